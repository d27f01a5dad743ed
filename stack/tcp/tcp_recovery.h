/*
 * Loss recovery: what acknowledgements and timeouts say of losses, and what is sent again. How much
 * may be in flight meanwhile is asked of tcp_cc.h.
 *
 * An acknowledgement goes this way:
 *
 *  - tcp_sent: records of what it covers are released, or marked by its SACK blocks (tcp_sack)
 *  - tcp_rtt: the round trip that it shows
 *  - tcp_tlp: does it answer a loss probe?
 *  - tcp_undo: were the last retransmissions for nothing?
 *  - tcp_rack: what is lost by now; without SACK, NewReno
 *  - tcp_prr: cwnd while a reduction for a loss, or a mark, goes on; else tcp_cc_ack()
 */
#ifndef STACK_TCP_TCP_RECOVERY_H
#define STACK_TCP_TCP_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "stack/tcp/tcp_sent.h"

struct packet;
struct tcp_conn;

/* Where a connection is with a loss. Until snd_una reaches conn->recover. */
enum tcp_recovery_phase {
    TCP_RECOVERY_NONE,
    TCP_RECOVERY_FAST, /* RFC 6675, RFC 6582 */
    TCP_RECOVERY_LOSS, /* after a retransmission timeout */
};

/* What one acknowledgement brought. */
struct tcp_delivery {
    uint32_t acked;        /* bytes acknowledged cumulatively */
    uint32_t delivered;    /* bytes that have arrived as it tells, one way or the other */
    uint32_t prior_flight; /* in flight before */
    clock_ns rtt;          /* of the last sent of those that were sent once; 0: of none */
    clock_ns rtt_first;    /* of the first sent of these */
    uint32_t dsack_end;    /* where the duplicate that it reports ends */
    bool sacked;           /* it has news in its SACK blocks */
    bool dsacked;          /* it reports a duplicate */
    bool duplicate;        /* RFC 5681, 2 */
    bool retransmitted;    /* some of what it acknowledges was sent more than once */
    bool partial;          /* RFC 6582: it ends at the next hole */
    bool reduced;          /* it ends a reduction */
    bool original;         /* some was sent once, and before recovery began */
};

/* ---- tcp_recovery.c ---- */

void tcp_recovery_init(struct tcp_conn *c);

/* Something is in flight, and this acknowledges up to snd_una, `acked` bytes of it new, or is a
 * duplicate. */
void tcp_recovery_ack(struct tcp_conn *c, const struct packet *p, uint32_t acked, bool duplicate);

/* Nothing is in flight; what has been may be reported as a duplicate all the same. */
void tcp_recovery_late(struct tcp_conn *c, const struct packet *p);

/* The timer that tcp_rack_detect() has set has run out. */
void tcp_recovery_reordered(struct tcp_conn *c);

/* The retransmission timer has run out. */
void tcp_recovery_timeout(struct tcp_conn *c);

/* What is in flight and larger than a segment may be now was lost for its size. */
void tcp_recovery_resize(struct tcp_conn *c);

/* A loss was repaired before it was noticed. */
void tcp_recovery_repaired(struct tcp_conn *c);

/* Bytes in flight: the pipe of RFC 6675, 4. */
uint32_t tcp_in_flight(const struct tcp_conn *c);

/* What is to be sent again next; NULL: nothing. */
struct tcp_sent *tcp_recovery_next(const struct tcp_conn *c);

/* `s` goes out again, its first `len` bytes if it cannot be cut there. */
void tcp_recovery_retransmitted(struct tcp_conn *c, struct tcp_sent *s, uint32_t len);

/* ---- tcp_sack.c ---- */

/* Takes the SACK blocks of an acknowledgement: marks records, notes a duplicate. */
void tcp_sack_take(struct tcp_conn *c, const struct packet *p, struct tcp_delivery *d);

/* ---- tcp_rack.c (RFC 8985) ---- */

/* Bytes of `s` up to `end` have arrived (5.2, steps 1 to 3). */
void tcp_rack_delivered(struct tcp_conn *c, const struct packet *p, const struct tcp_sent *s,
                        uint32_t end, struct tcp_delivery *d);

/* Marks what is lost, and sets the timer for what may be (step 5). */
void tcp_rack_detect(struct tcp_conn *c);

void tcp_rack_duplicate(struct tcp_conn *c); /* a DSACK has come (step 4) */
void tcp_rack_recovered(struct tcp_conn *c); /* a recovery ends (step 4) */

/* Whatever was sent at this time or before is lost when the retransmission timer runs out (6.3). */
clock_ns tcp_rack_timeout(const struct tcp_conn *c);

/* ---- tcp_tlp.c (RFC 8985, 7) ---- */

/* Data was sent, or acknowledged: when to probe. */
void tcp_tlp_schedule(struct tcp_conn *c);
void tcp_tlp_stop(struct tcp_conn *c); /* if it is not allowed any more */
void tcp_tlp_expired(struct tcp_conn *c);
void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_delivery *d);

/* ---- tcp_prr.c (RFC 6937) ---- */

void tcp_prr_begin(struct tcp_conn *c, const struct tcp_delivery *d);

/* `safe`: snd_una moved, and nothing else was found lost. */
void tcp_prr_ack(struct tcp_conn *c, const struct tcp_delivery *d, bool safe);

/* ---- tcp_undo.c ---- */

void tcp_undo_begin(struct tcp_conn *c); /* a reduction for a loss begins */
void tcp_undo_end(struct tcp_conn *c);   /* it had its reason */
void tcp_undo_retransmitted(struct tcp_conn *c, uint32_t bytes);
void tcp_undo_duplicate(struct tcp_conn *c, uint32_t left, uint32_t right);

/* Does the acknowledgement prove that all retransmissions were for nothing? */
bool tcp_undo_proven(const struct tcp_conn *c, const struct packet *p,
                     const struct tcp_delivery *d);

#endif
