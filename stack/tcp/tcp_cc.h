/*
 * Congestion control behind one small interface: which losses there are is recovery's affair
 * (tcp_recovery.h), how much may be in flight is that of an algorithm here.
 *
 * cwnd and ssthresh are of the connection, in bytes. Outside of recovery the algorithm moves cwnd;
 * while a reduction for a loss goes on, proportional rate reduction (RFC 6937) leads it to
 * ssthresh. A mark reduces at once: nothing is missing that would have to be sent meanwhile.
 */
#ifndef STACK_TCP_TCP_CC_H
#define STACK_TCP_TCP_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "stack/stack.h"

struct tcp_conn;

/* Why the window is reduced. */
enum tcp_cc_event {
    TCP_CC_LOSS,    /* fast recovery begins */
    TCP_CC_ECN,     /* the peer has seen a CE mark (RFC 3168, 6.1.2) */
    TCP_CC_TIMEOUT, /* the retransmission timer has run out */
};

/* What one acknowledgement brought. */
struct tcp_cc_ack {
    uint32_t acked;        /* bytes newly acknowledged, cumulatively or selectively */
    uint32_t prior_flight; /* bytes in flight before it */
    clock_ns rtt;          /* of a segment that was sent once; 0: none was measured */
    bool round_ended;      /* all that was in flight when the round began is acknowledged */
    bool window_limited;   /* cwnd was what kept us from sending more: it may grow */
};

struct tcp_cc {
    const char *name;
    /* The connection stands, with its initial cwnd. */
    void (*init)(struct tcp_conn *c);
    /* Outside of any reduction: may raise cwnd. */
    void (*ack)(struct tcp_conn *c, const struct tcp_cc_ack *a);
    /* A reduction begins: returns the new ssthresh; remembers what undo() needs. */
    uint32_t (*reduce)(struct tcp_conn *c, enum tcp_cc_event event);
    /* The last reduction had no reason (RFC 4015's response): cwnd and ssthresh are back already.
     */
    void (*undo)(struct tcp_conn *c);
    /* Nothing was in flight for `idle`. */
    void (*idle)(struct tcp_conn *c, clock_ns idle);
};

extern const struct tcp_cc tcp_cubic, tcp_newreno;

/* ---- for algorithms ---- */

/* What is acknowledged opens the window by as much, within bounds (RFC 3465), or by a quarter of
 * that (RFC 9406). */
void tcp_cc_slow_start(struct tcp_conn *c, const struct tcp_cc_ack *a);

/* The window that was in use when a loss was found: what a reduction starts from. Less than cwnd
 * where the application had not filled that (RFC 7661, 4.4.1). */
uint32_t tcp_cc_window_used(const struct tcp_conn *c);

/* ---- what recovery calls: tcp_cc.c ---- */

const struct tcp_cc *tcp_cc_find(enum stack_congestion which);

void tcp_cc_init(struct tcp_conn *c);

/* Fills round_ended and window_limited, when snd_una has moved. */
void tcp_cc_progress(struct tcp_conn *c, struct tcp_cc_ack *a);
void tcp_cc_ack(struct tcp_conn *c, const struct tcp_cc_ack *a);

/* Saves cwnd and ssthresh for tcp_cc_undo(), and sets ssthresh. TIMEOUT sets cwnd to one segment;
 * after LOSS proportional rate reduction moves it, after ECN tcp_cc_reduced() does. */
void tcp_cc_reduce(struct tcp_conn *c, enum tcp_cc_event event);

/* The reduction is over: cwnd is ssthresh. */
void tcp_cc_reduced(struct tcp_conn *c);
void tcp_cc_undo(struct tcp_conn *c);

/* Called before data is sent while nothing is in flight: after a rest the window is smaller
 * (RFC 5681, 4.1; RFC 7661). */
void tcp_cc_restart(struct tcp_conn *c);

/* All that could be sent was: was it cwnd that kept back more? */
void tcp_cc_sent(struct tcp_conn *c);

#endif
