/*
 * The control block of a connection, and what every socket has.
 *
 * Ownership: a connection block lives in tcp->conns. It is in the flow table from its creation to
 * CLOSED, and is freed when it is both dead (CLOSED) and disowned (its user has closed it, or it
 * never had one).
 */
#ifndef STACK_TCP_TCP_CONN_H
#define STACK_TCP_TCP_CONN_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "stack/chain.h"
#include "stack/event.h"
#include "stack/net/net.h"
#include "stack/packet.h"
#include "stack/socket.h"
#include "stack/tcp/tcp_buffer.h"
#include "stack/tcp/tcp_cubic.h"
#include "stack/tcp/tcp_hystart.h"

struct tcp;
struct tcp_listener;
struct tcp_flight;

enum sock_kind { SOCK_LISTENER, SOCK_CONNECTION };

struct sock {
    struct tcp *tcp;
    void *user;
    TAILQ_ENTRY(sock) ready_link;
    uint8_t kind;
    bool ready;    /* on tcp->ready */
    bool owned;    /* somebody holds the pointer and will close it */
    bool attached; /* the owner has set its pointer: events may be delivered */
    uint32_t events;
};

/* A run of bytes received ahead of a gap. */
struct tcp_run {
    struct tcp_run *next, *prev;
    LIST_ENTRY(tcp_run) recent; /* on conn->recent_runs */
    uint32_t seq;               /* of its first byte; its end is seq + chain.len */
    struct chain chain;
};

/* Sequence numbers [left, right); empty: none. */
struct tcp_range {
    uint32_t left, right;
};

enum tcp_timer_kind {
    TCP_TIMER_LOSS,       /* RFC 8985: a loss may be noticed, or a tail loss probe is due */
    TCP_TIMER_RETRANSMIT, /* retransmission; in TIME_WAIT its end */
    TCP_TIMER_PERSIST,
    TCP_TIMER_DELAYED_ACK,
    TCP_TIMER_KEEPALIVE, /* keepalive; of an active open the connect timeout; orphaned in
                            FIN_WAIT_2 its end */
    TCP_TIMER_PACE,      /* new data may follow: tcp_pacing.c */
    TCP_TIMER_COUNT,
};

#define TCP_TIMER_STOPPED 0 /* a deadline in ticks that no timer has */

struct tcp_newreno {
    uint32_t acked; /* bytes, towards the next segment in congestion avoidance */
};

/* What congestion control remembers: of the first slow start, in which ssthresh is UINT32_MAX, and
 * what the algorithm does from then on. */
union tcp_cc_state {
    struct tcp_hystart hystart;
    struct tcp_newreno newreno;
    struct tcp_cubic cubic;
};

struct tcp_conn {
    struct sock sock;

    /* flow table */
    struct tcp_conn *hash_next;
    uint32_t hash;
    uint8_t state; /* enum tcp_state */
    uint8_t error; /* enum sock_error */

    bool active : 1;       /* opened by us */
    bool fin_queued : 1;   /* a FIN follows the send queue */
    bool fin_received : 1; /* the peer's FIN is in order: rcv_nxt counts it */
    bool fin_ahead : 1;    /* the peer's FIN lies beyond a gap, at fin_seq */
    bool timestamps : 1;   /* RFC 7323, negotiated */
    bool scaling : 1;      /* window scale negotiated */
    bool sack : 1;         /* RFC 2018, negotiated */
    bool nagle : 1;
    bool ack_now : 1;
    bool send_syn : 1;  /* (re)send SYN or SYN-ACK */
    bool timing : 1;    /* our SYN was sent once, at sent_at */
    bool probing : 1;   /* TCP_TIMER_LOSS is that of a tail loss probe */
    bool tlp_out : 1;   /* RFC 8985, 7: it is not known what became of a tail loss probe */
    bool tlp_again : 1; /* which was no new data */
    bool frto : 1;      /* RFC 5682: the timeout may have been spurious */
    bool frto_new : 1;  /* and new data is to show it */
    bool undo : 1;      /* the last reduction may be undone */
    bool undo_sent : 1; /* something was sent again since it began */
    bool reordering_seen : 1;
    bool reorder_round_valid : 1;
    bool receive_fixed : 1;  /* the owner has set the size of this buffer */
    bool send_fixed : 1;     /* and of this */
    bool want_write : 1;     /* tell when there is worthwhile room to write */
    bool output_pending : 1; /* on tcp->output */
    bool turn_waiting : 1;   /* on the queue of its class */
    bool memory_waiting : 1; /* on tcp->memory_waiters */
    bool mtu_bisect : 1;     /* the largest packet was tried */
    bool from_cookie : 1;    /* its SYN-ACK was sent up to 64 ms after the time that it says */
    bool in_half_open : 1;
    bool in_accept : 1;
    bool in_time_wait : 1;        /* on tcp->time_waiters */
    bool in_orphans : 1;          /* on tcp->orphans */
    bool cwnd_limited : 1;        /* cwnd has kept us from sending, in the present round trip */
    bool ecn : 1;                 /* RFC 3168, negotiated */
    bool ecn_asked : 1;           /* by our last SYN */
    bool ecn_echo : 1;            /* the peer has yet to answer a mark */
    bool ecn_cwr : 1;             /* we have yet to tell of a reduction */
    bool ecn_reduced : 1;         /* ecn_end is that of the last reduction */
    bool cwnd_limited_before : 1; /* the same in the last one */

    uint8_t snd_wscale, rcv_wscale;
    uint8_t recovery; /* enum tcp_recovery_phase */
    uint8_t dupacks;
    uint8_t retries; /* of the segment now timed, or probes now unanswered */
    uint8_t quick_acks;
    uint8_t unacked_segments; /* full segments received since our last acknowledgement */
    uint16_t mss;             /* largest payload we send, without counting options */
    uint16_t peer_mss;        /* and that the peer would take */
    uint16_t syn_window;      /* what our SYN offers: never scaled (RFC 7323, 2.2) */
    uint16_t mss_max;         /* the owner's bound, of both directions */
    uint16_t spurious;        /* reductions undone, as far as the count goes */
    uint32_t path_generation; /* of what is known of paths, when path.mtu was looked up */

    struct ip_endpoint local, remote;
    struct net_path path;
    uint32_t mtu_probe_seq;    /* where the probe in flight begins */
    uint32_t mtu_probe_at;     /* from when on the path may be probed: seconds */
    uint16_t mtu_probe;        /* the probe's packet; 0: none is in flight */
    uint16_t mtu_high;         /* what the path may take at most; 0: path.mtu is that */
    struct packet_label label; /* of the segment that began it; zero for our own */

    /* RFC 9293, 3.3.1 */
    uint32_t iss, snd_una, snd_wnd, snd_wl1, snd_wl2;
    uint32_t irs, rcv_nxt;
    uint32_t snd_max;     /* SND.NXT: it never goes back, what is sent again is in `flight` */
    uint32_t max_snd_wnd; /* the largest window the peer has offered */
    uint32_t rcv_adv;     /* the right edge of the window that we have offered */
    uint32_t last_ack_sent;
    uint32_t fin_seq;

    /* RFC 7323 */
    uint32_t ts_recent, ts_offset;
    uint32_t ts_recent_time; /* seconds */

    /* RFC 6298 */
    uint32_t rtt_seq; /* a sample is due when this is acknowledged */
    clock_ns srtt, rttvar, rto;
    uint32_t rtt_min, rtt_min_next; /* microseconds: the least, and that of a later start */

    /* RFC 5681, 6582 */
    uint32_t cwnd, ssthresh, recover;
    uint32_t prior_cwnd, prior_ssthresh; /* before the last reduction */
    uint32_t ecn_end;                    /* snd_max at the last reduction */
    uint32_t round_end;                  /* snd_max when the present round trip began */
    uint32_t round_flight;               /* the most in flight since then */

    /* loss recovery: tcp_recovery.h */
    struct tcp_flight *flight;     /* NULL: nothing is unacknowledged */
    uint32_t undo_una, undo_until; /* snd_una when the reduction began, snd_max when it ended */
    uint32_t undo_bytes, undo_ts;  /* sent again for a reason yet; timestamp of the first */
    uint32_t tlp_end;              /* snd_max when the tail loss probe was sent */
    uint32_t reorder_round;        /* snd_max at the last DSACK that counted */
    uint8_t reorder_quarters;      /* of rtt_min that reordering may last, less one */
    uint8_t reorder_persist;       /* recoveries for which that stays */
    uint16_t reordering;           /* segments: the farthest seen */
    uint32_t lost;                 /* segments, all in all */
    union tcp_cc_state cc;
    uint32_t retransmissions;

    struct chain send_queue;
    uint32_t send_queue_seq; /* sequence number of its first byte */
    int32_t credit;          /* bytes it may send in its turn; negative: a debt */
    struct chain receive_queue;
    struct tcp_run *runs;             /* sorted, disjoint, not adjacent */
    LIST_HEAD(, tcp_run) recent_runs; /* the same, the last one extended first */
    struct tcp_range duplicate;       /* received again, to be reported (RFC 2883) */
    uint32_t run_segs, run_bytes;
    uint16_t run_count;
    uint16_t rtt_min_at; /* when rtt_min_next began: minutes, of which the count may wrap */
    uint32_t held;       /* mbufs of all queues, as counted in tcp->held */

    struct tcp_buffers buffers;
    uint32_t promised; /* what sock_writable() told last, less what was written since */
    clock_ns pace_at;  /* from when new data may follow what was sent */
    clock_ns sent_at;  /* when data was last sent: RFC 5681, 4.1 */

    uint32_t keepalive, user_timeout; /* milliseconds */
    /* Ticks: tcp_tick.h. */
    uint32_t progress_at;   /* when the peer last acknowledged something, or had nothing to */
    uint32_t heard_at;      /* when anything acceptable came from the peer */
    uint32_t challenge_due; /* of the next challenge ACK, did they come at a steady rate */
    uint32_t probed_at;     /* when a window probe or a keepalive was sent */
    uint32_t deadline[TCP_TIMER_COUNT]; /* or TCP_TIMER_STOPPED */
    struct wheel_timer timer;

    struct tcp_listener *listener; /* while half open or waiting to be accepted */
    union {
        /* Of the half-open, accept, orphan or TIME_WAIT queue: nobody owns what is there. */
        TAILQ_ENTRY(tcp_conn) queue_link;
        /* Of tcp->memory_waiters: only an owner waits, and tcp_conn_disown() ends that. */
        TAILQ_ENTRY(tcp_conn) memory_link;
    };
    TAILQ_ENTRY(tcp_conn) output_link;
    TAILQ_ENTRY(tcp_conn) turn_link;

    uint64_t bytes_received, bytes_acked;
};

/* Eleven lines of the cache: ten million idle connections are to fit in 8 GB with all that belongs
 * to them. What only a busy sender needs goes to tcp_flight. */
static_assert(sizeof(struct tcp_conn) <= 704, "a connection block has outgrown its place");

TAILQ_HEAD(tcp_conns, tcp_conn);

/* The sequence number after the last byte queued, FIN not counted. */
static inline uint32_t tcp_send_end(const struct tcp_conn *c)
{
    return c->send_queue_seq + c->send_queue.len;
}

/* Bytes of options in every segment after the handshake. */
static inline uint32_t tcp_option_length(const struct tcp_conn *c)
{
    return c->timestamps ? 12 : 0;
}

/* The payload of a full segment. */
static inline uint32_t tcp_segment_size(const struct tcp_conn *c)
{
    return c->mss - tcp_option_length(c);
}

/* The timestamp of what is sent at a time. */
static inline uint32_t tcp_ts_at(const struct tcp_conn *c, clock_ns time)
{
    return (uint32_t)(time / CLOCK_MS) + c->ts_offset;
}

/* The window that a segment of the peer offers: never scaled with a SYN (RFC 7323, 2.2). */
static inline uint32_t tcp_window_of(const struct tcp_conn *c, const struct packet *p)
{
    return (uint32_t)p->tcp.window << ((p->tcp.flags & TCP_SYN) != 0 ? 0 : c->snd_wscale);
}

static inline bool tcp_synchronized(const struct tcp_conn *c)
{
    return c->state >= TCP_ESTABLISHED;
}

/* A connection that nobody will ever read from again. */
static inline bool tcp_orphaned(const struct tcp_conn *c)
{
    return !c->sock.owned && c->listener == NULL;
}

static inline struct tcp_conn *tcp_conn_of(const struct sock *k)
{
    return (struct tcp_conn *)(uintptr_t)k;
}

/* ---- tcp_conn.c: life of a block ---- */

/* A block in CLOSED, not yet in the table. Recycles the oldest TIME_WAIT when the pool is empty;
 * keeps `reserve` blocks back. NULL: none to be had. */
struct tcp_conn *tcp_conn_create(struct tcp *t, uint32_t reserve);

/* Gives the flow its addresses, path and options, and enters it into the table; `hash` is
 * tcp_table_hash() of the two. */
void tcp_conn_bind(struct tcp_conn *c, const struct ip_endpoint *local,
                   const struct ip_endpoint *remote, const struct net_path *path,
                   const struct sock_options *options, uint32_t hash);

/* Its segments' egress class and DSCP from now on. */
void tcp_conn_class(struct tcp_conn *c, uint8_t egress_class, uint8_t dscp);

void tcp_conn_state(struct tcp_conn *c, enum tcp_state state);

/* To CLOSED: out of the table, timers off, queues freed. Tells the owner when `error` is not
 * SOCK_OK; frees the block when there is no owner: do not touch it afterwards. */
void tcp_conn_end(struct tcp_conn *c, enum sock_error error);

/* The owner lets go; frees the block when it is dead. */
void tcp_conn_disown(struct tcp_conn *c);

/* Settles tcp->held after a queue of the connection changed. */
void tcp_conn_account(struct tcp_conn *c);

/* Puts the connection on the list of those that tcp_flush() looks at. */
void tcp_conn_output(struct tcp_conn *c);

/* ---- tcp_event.c ---- */

void tcp_event_raise(struct sock *k, uint32_t what);

/* The owner wants to hear no more. */
void tcp_event_cancel(struct sock *k);

#endif
