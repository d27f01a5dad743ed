/*
 * The control blocks of TCP, for the files of this folder.
 *
 * Ownership: a connection block lives in tcp->conns. It is in the flow table from its creation to
 * CLOSED, and is freed when it is both dead (CLOSED) and disowned (its user has closed it, or it
 * never had one).
 */
#ifndef STACK_TCP_TCP_INTERNAL_H
#define STACK_TCP_TCP_INTERNAL_H

#include <assert.h>
#include <sys/queue.h>

#include <rte_common.h>

#include "base/log.h"
#include "base/pool.h"
#include "base/siphash.h"
#include "base/wheel.h"
#include "stack/chain.h"
#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_buffer.h"
#include "stack/tcp/tcp_cubic.h"
#include "stack/tcp/tcp_hystart.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/wire/wire.h"

/* ---- sequence numbers: comparison modulo 2^32 (RFC 9293, 3.4) ---- */

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? a : b;
}

/* ---- constants; some are defaults of struct stack_tcp_config ---- */

#define TCP_DEFAULT_MSS       536 /* RFC 9293, 3.7.1: when the peer names none */
#define TCP_WINDOW_SCALE_MAX  14
#define TCP_WINDOW_SCALE      7  /* what we offer: windows up to 8 MB in steps of 128 bytes */
#define TCP_INITIAL_SEGMENTS  10 /* RFC 6928 */
#define TCP_ETHERNET_MSS      1460
#define TCP_CWND_MAX          (1u << 30) /* the largest window of the peer */
#define TCP_DUPACK_THRESHOLD  3          /* RFC 5681 */
#define TCP_ABC_LIMIT         8          /* RFC 9406, 4.2 */
#define TCP_QUICK_ACKS        16 /* segments acknowledged at once when a connection is young */
#define TCP_DELAYED_ACK       (40 * CLOCK_MS)
#define TCP_RTO_INITIAL       (1 * CLOCK_SEC) /* RFC 6298, 2.1 */
#define TCP_RTO_SYN_LOST      (3 * CLOCK_SEC) /* RFC 6298, 5.7 */
#define TCP_SYN_AGAIN         (10 * CLOCK_MS) /* after resetting the peer's older connection */
#define TCP_RTO_MIN           (200 * CLOCK_MS)
#define TCP_RTO_MAX           (60 * CLOCK_SEC)
#define TCP_PERSIST_MIN       (200 * CLOCK_MS)
#define TCP_SYN_RETRIES       6
#define TCP_SYNACK_RETRIES    5
#define TCP_KEEPALIVE_PROBES  9
#define TCP_KEEPALIVE_GAP     (75 * CLOCK_SEC)
#define TCP_FIN_WAIT_2_TIME   (60 * CLOCK_SEC) /* for connections that nobody owns any more */
#define TCP_TIME_WAIT_DEFAULT (60 * CLOCK_SEC)
#define TCP_TIME_WAIT_REUSE   (1 * CLOCK_SEC)  /* RFC 6191: timestamps must have moved on */
#define TCP_REUSE_ISS_GAP     (128 * 1024)     /* beyond what the former connection sent */
#define TCP_PAWS_EXPIRY       (24 * 24 * 3600) /* seconds: RFC 7323, 5.5 */
#define TCP_STARVED_RETRY     (20 * CLOCK_US)
#define TCP_SHARE_MIN         4 /* segments that any queue may hold, whatever the others do */
/* Patience with peers that take nothing when memory is short. */
#define TCP_PRESSED_PATIENCE (10 * CLOCK_SEC)
#define TCP_OUT_OF_ORDER_MAX 256   /* gaps in one connection's reassembly queue */
#define TCP_COOKIE_WINDOW    14600 /* ten segments on Ethernet */
#define TCP_RECEIVE_BUFFER   (6u << 20)
#define TCP_SEND_BUFFER      (4u << 20)
#define TCP_PORT_MIN         16384
#define TCP_PORT_MAX         65535
#define TCP_PORT_TRIES       1024 /* ports found in use before a connect gives up */

/* ---- blocks ---- */

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

struct tcp_listener {
    struct sock sock;
    LIST_ENTRY(tcp_listener) link;
    struct ip_endpoint local;
    struct sock_options options;
    uint32_t backlog;
    uint32_t half_open_count, accept_count;
    bool refusing;                    /* no more connections */
    bool cookies_on;                  /* SYNs are answered with cookies at present */
    bool cookies_told;                /* the log says so */
    clock_ns cookie_at;               /* when the last one was sent; 0: never */
    TAILQ_HEAD(, tcp_conn) half_open; /* oldest first */
    TAILQ_HEAD(, tcp_conn) accept;    /* oldest first */
};

/* A run of bytes received ahead of a gap. */
struct tcp_run {
    struct tcp_run *next;
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

struct tcp_table {
    struct tcp_conn **bucket;
    uint32_t mask;
    struct siphash_key key;
};

TAILQ_HEAD(tcp_ready, sock);
TAILQ_HEAD(tcp_conns, tcp_conn);

/* Connections of one class of one interface that have data to send, in the order of their turns. */
struct tcp_turn {
    struct tcp_conns waiting;
    TAILQ_ENTRY(tcp_turn) link; /* on tcp->turns while somebody waits */
    uint8_t iface, egress_class;
    /* As the egress hook told last: */
    uint32_t room;      /* frames */
    uint32_t frame_max; /* bytes of payload */
};

struct tcp {
    struct net *net;
    struct stack_counters *counters;
    clock_ns now;
    struct wheel wheel;
    struct tcp_table table;
    struct pool conns, runs, flights, sents;
    struct rte_mempool *data_pool;
    uint32_t held, held_max; /* mbufs in queues */
    struct siphash_key isn_key, port_key, ts_key, cookie_key, challenge_key;
    struct log_limit cookie_log, memory_log;
    bool memory_short; /* and the log says so */
    uint32_t port_counter;
    stack_owns_flow *owns_flow;
    void *owns_flow_ctx;
    clock_ns time_wait;
    const struct tcp_cc *cc;        /* the algorithm of congestion control */
    struct stack_tcp_config config; /* complete: defaults are filled in */
    LIST_HEAD(, tcp_listener) listeners;
    struct tcp_ready ready;
    struct tcp_conns output, memory_waiters;
    struct tcp_conns time_waiters, orphans; /* oldest first */
    uint32_t orphan_count;
    uint64_t challenge_second; /* that challenges_left is of */
    uint32_t challenges_left;
    struct tcp_conns dead; /* in CLOSED, but not yet closed by their owners: by output_link */
    bool output_fresh;     /* something was put on `output` since the last flush */
    bool starved;          /* the last flush found no mbufs for something */
    TAILQ_HEAD(, tcp_turn) turns;
    struct tcp_turn turn[STACK_MAX_IFACES][EGRESS_CLASSES];
    uint32_t state_count[TCP_TIME_WAIT + 1];
};

/* ---- tcp.c: life of a connection block ---- */

/* A block in CLOSED, not yet in the table. Recycles the oldest TIME_WAIT when the pool is empty;
 * keeps `reserve` blocks back. NULL: none to be had. */
struct tcp_conn *tcp_conn_create(struct tcp *t, uint32_t reserve);

/* Gives the flow its addresses, path and options, and enters it into the table. */
void tcp_conn_bind(struct tcp_conn *c, const struct ip_endpoint *local,
                   const struct ip_endpoint *remote, const struct net_path *path,
                   const struct sock_options *options);

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

void tcp_event_raise(struct sock *k, uint32_t what);

/* ---- tcp_table.c ---- */

int tcp_table_init(struct tcp_table *t, uint32_t max, const struct siphash_key *key);
void tcp_table_fini(struct tcp_table *t);
uint32_t tcp_table_hash(const struct tcp_table *t, const struct ip_endpoint *local,
                        const struct ip_endpoint *remote);
struct tcp_conn *tcp_table_find(const struct tcp_table *t, uint32_t hash,
                                const struct ip_endpoint *local, const struct ip_endpoint *remote);
void tcp_table_insert(struct tcp_table *t, struct tcp_conn *c); /* c->hash is set */
void tcp_table_remove(struct tcp_table *t, struct tcp_conn *c);

/* ---- tcp_isn.c ---- */

/* RFC 6528. */
uint32_t tcp_isn(const struct tcp *t, const struct ip_endpoint *local,
                 const struct ip_endpoint *remote);

/* Where a pair of hosts begins its timestamps (RFC 7323, 5.4): the same for every connection
 * between them, so that TIME_WAIT can compare. */
uint32_t tcp_ts_offset(const struct tcp *t, const struct ip_addr *local,
                       const struct ip_addr *remote);

/* ---- tcp_port.c ---- */

/* A source port for `local`, whose port is filled in (RFC 6056, algorithm 3). *reuse is set when
 * the port belongs to a connection in TIME_WAIT that may be replaced. Returns false when none is
 * free. */
bool tcp_port_pick(struct tcp *t, struct ip_endpoint *local, const struct ip_endpoint *remote,
                   struct tcp_conn **reuse);

/* ---- tcp_listen.c ---- */

struct tcp_listener *tcp_listener_find(const struct tcp *t, const struct ip_endpoint *local);
void tcp_listener_segment(struct tcp_listener *l, struct packet *p, uint32_t iss_min); /* a SYN */

/* A segment with ACK for which there is no connection: the half-open one that it completes, made
 * from its cookie, or NULL: then it may have been dropped (p->drop). */
struct tcp_conn *tcp_listener_cookie(struct tcp_listener *l, struct packet *p);

/* May tcp_listener_cookie() make one of it? */
bool tcp_listener_promised(const struct tcp_listener *l, const struct packet *p);
void tcp_listener_established(struct tcp_conn *c); /* half open -> waiting to be accepted */
void tcp_listener_forget(struct tcp_conn *c);      /* the connection leaves its listener's queues */
void tcp_listener_close(struct tcp_listener *l);

/* ---- tcp_input.c ---- */

void tcp_input(void *ctx, struct packet *p, clock_ns now);
void tcp_input_rejected(void *ctx, struct packet *p, clock_ns now); /* by the firewall */
bool tcp_input_error(void *ctx, const struct net_error *error, clock_ns now);

/* Answers a segment that is not acceptable (RFC 9293, 3.10.7.4). */
void tcp_unacceptable(struct tcp_conn *c, const struct packet *p);

/* What a SYN says: options, first window. */
void tcp_input_syn_options(struct tcp_conn *c, const struct packet_tcp *syn);

/* ---- tcp_ack.c ---- */

/* Processes the acknowledgement of an acceptable segment. Returns false when it must be dropped
 * (p->drop is set) or when the connection has ended with it (*ended). */
bool tcp_ack(struct tcp_conn *c, struct packet *p, bool *ended);

/* ---- tcp_timestamp.c ---- */

/* RFC 7323, 5.3, R1. Returns false when the segment is old: it is answered then. */
bool tcp_timestamp_acceptable(struct tcp_conn *c, struct packet *p);

/* RFC 7323, 4.3 (2). Only after the acknowledgement was found good: a forged timestamp would make
 * all that the peer sends look old. */
void tcp_timestamp_note(struct tcp_conn *c, const struct packet *p);

/* ---- tcp_challenge.c ---- */

/* A challenge ACK (RFC 5961), as far as the limits allow. */
void tcp_challenge(struct tcp_conn *c);

/* ---- tcp_time_wait.c ---- */

void tcp_time_wait_enter(struct tcp_conn *c);
void tcp_time_wait_unowned(struct tcp_conn *c); /* its block may be taken from now on */
void tcp_time_wait_segment(struct tcp_conn *c, struct packet *p);

/* May this SYN open the connection anew? Then the old one is gone, and the new one's initial
 * sequence number is to be no less than *iss_min. */
bool tcp_time_wait_reopened(struct tcp_conn *c, const struct packet *p, uint32_t *iss_min);

/* May a new connection of ours to the same peer take its place (RFC 6191)? When timestamps let the
 * peer tell the two apart, and ours have moved on. */
bool tcp_time_wait_replaceable(const struct tcp_conn *c);

/* ---- tcp_orphan.c ---- */

/* Nobody owns the connection any more. May end an older such one, or this one. */
void tcp_orphan_add(struct tcp_conn *c);
void tcp_orphan_remove(struct tcp_conn *c);

/* ---- tcp_mtu.c ---- */

/* The peer takes segments of this size. */
void tcp_mtu_init(struct tcp_conn *c, uint16_t peer_mss);

/* What we offer to take, in a SYN; mss_max: the owner's bound, or 0. */
uint16_t tcp_mtu_offer(const struct net_path *path, uint16_t mss_max);

/* The path takes packets of `mtu` bytes from now on: what is in flight and larger goes out again,
 * and is no sign of congestion. */
void tcp_mtu_changed(struct tcp_conn *c, uint16_t mtu);

/* The same from the next segment on; what is in flight stays as it is. */
void tcp_mtu_set(struct tcp_conn *c, uint16_t mtu);

/* Looks whether more, or less, has become known of the path. */
void tcp_mtu_refresh(struct tcp_conn *c);

/* A router says that a segment in flight was too large. */
void tcp_mtu_error(struct tcp_conn *c, const struct net_error *error);

/* ---- tcp_mtu_probe.c (RFC 4821) ---- */

/* The connection stands. */
void tcp_mtu_probe_init(struct tcp_conn *c);

/* Should the next segment be a probe? Then it is to be one of this size. */
bool tcp_mtu_probe_due(const struct tcp_conn *c);
uint16_t tcp_mtu_probe_mss(const struct tcp_conn *c);

void tcp_mtu_probe_sent(struct tcp_conn *c, uint32_t seq);
void tcp_mtu_probe_acked(struct tcp_conn *c); /* snd_una has moved */

/* Of the segments that were found lost, how many were a probe: they say nothing of congestion. */
uint32_t tcp_mtu_probe_lost(struct tcp_conn *c);

/* The retransmission timer has run out: are full segments too large for the path? */
void tcp_mtu_probe_timeout(struct tcp_conn *c);

/* The path was said to take no more. */
void tcp_mtu_probe_bound(struct tcp_conn *c, uint16_t mtu);

/* ---- tcp_reassembly.c ---- */

/* Takes the payload of an acceptable segment that begins at p->tcp.seq; delivers what is in order.
 */
void tcp_reassembly_add(struct tcp_conn *c, struct packet *p);
/* Keeps the payload, which is the next, until tcp_reassembly_release(): the connection does not
 * stand yet. */
void tcp_reassembly_hold(struct tcp_conn *c, struct packet *p);
void tcp_reassembly_release(struct tcp_conn *c);
void tcp_reassembly_free(struct tcp_conn *c);

/* The SACK blocks to send now, at most `max`: a duplicate first (RFC 2883), then runs, the last one
 * extended first (RFC 2018, 4). Returns how many. */
unsigned tcp_reassembly_sack(const struct tcp_conn *c, struct tcp_range *out, unsigned max);

/* A segment that lies whole below what is expected: to be reported. */
void tcp_reassembly_old(struct tcp_conn *c, const struct packet *p);

/* Does a duplicate wait to be reported? */
static inline bool tcp_reassembly_repeated(const struct tcp_conn *c)
{
    return c->duplicate.left != c->duplicate.right;
}

/* ---- tcp_window.c ---- */

/* Bytes that the send queue, and the receive queue, may hold under the present memory pressure. */
uint32_t tcp_send_limit(const struct tcp_conn *c);
uint32_t tcp_receive_limit(const struct tcp_conn *c);

/* The budget of all is used up: writers wait, except for what keeps each of them going. */
bool tcp_memory_tight(const struct tcp_conn *c);

/* The window to offer now; moves rcv_adv. Never takes back what was offered (RFC 9293, 3.8.6). */
uint32_t tcp_window_offer(struct tcp_conn *c);

/* After bytes were read: sends an update when it is worth one (RFC 9293, 3.8.6.2.2). */
void tcp_window_opened(struct tcp_conn *c);

/* Room for another segment of payload in the budget of all connections? */
bool tcp_window_memory(const struct tcp_conn *c, bool in_order);

/* ---- tcp_segment.c ---- */

/* Builds and sends one frame with `len` payload bytes from `seq` on. Returns false when no mbuf
 * could be had; nothing has changed then. */
bool tcp_segment_send(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags);

/* Of `len` bytes from `seq` on: what one frame may carry, a whole number of full segments unless it
 * is less than one. */
uint32_t tcp_segment_payload(const struct tcp_conn *c, uint32_t seq, uint32_t len);

/* ---- tcp_output.c ---- */

/* Sends what may be sent, data in turn. Returns false when there is something left that
 * tcp_output_bare() must see to: an acknowledgement when the data that would carry it waits for its
 * turn, a SYN or an acknowledgement without mbuf. */
bool tcp_output(struct tcp_conn *c);

/* SYN or acknowledgement without data. Returns false when it must be tried again. */
bool tcp_output_bare(struct tcp_conn *c);

enum tcp_data {
    TCP_DATA_DONE,    /* no more to send */
    TCP_DATA_SPENT,   /* more, but no credit */
    TCP_DATA_BLOCKED, /* more, but no room */
    TCP_DATA_NO_MBUF,
};

/* Sends data as far as windows, credit and room go. */
enum tcp_data tcp_output_data(struct tcp_conn *c);

/* Would new data go out, were there room in the congestion window for a segment? */
bool tcp_output_new_possible(const struct tcp_conn *c);

void tcp_output_reset(struct tcp_conn *c); /* RST for a synchronized connection */
void tcp_output_ack(struct tcp_conn *c);   /* at once, ahead of tcp_flush() */
bool tcp_output_tail(struct tcp_conn *c);  /* a tail loss probe; false: not now */
void tcp_output_probe(struct tcp_conn *c); /* window probe or keepalive: one below snd_una */
void tcp_output_now(struct tcp_conn *c);   /* persist timeout: send what fits, however small */

/* Ends the SYN_SENT or SYN_RECEIVED phase: windows, congestion state and timers start. */
void tcp_conn_established(struct tcp_conn *c, const struct packet *p);

/* ---- tcp_reply.c: segments without a connection ---- */

/* RST in answer to a segment without connection (RFC 9293, 3.10.7.1). */
void tcp_reply_reset(struct tcp *t, const struct packet *p);

/* SYN-ACK with a cookie, in answer to a SYN. `path` has class and DSCP. */
void tcp_reply_cookie(struct tcp *t, const struct packet *p, const struct net_path *path,
                      uint16_t window, uint16_t mss);

/* ---- tcp_turn.c: fairness between the connections of a class ---- */

void tcp_turn_init(struct tcp *t);

/* The connection has something to send: sends it when nobody waits, else queues up. */
void tcp_turn_take(struct tcp_conn *c);
void tcp_turn_leave(struct tcp_conn *c);                      /* its turns are over */
void tcp_turn_move(struct tcp_conn *c, uint8_t egress_class); /* to another class */

/* Serves all queues as far as there is room. Returns false when there were no mbufs. */
bool tcp_turn_flush(struct tcp *t);

/* Would another flush serve somebody? */
bool tcp_turn_possible(const struct tcp *t);

/* During a turn: room left, most payload of a frame; a frame was sent. */
bool tcp_turn_room(const struct tcp_conn *c);
uint32_t tcp_turn_frame_max(const struct tcp_conn *c);
void tcp_turn_charge(struct tcp_conn *c, uint32_t payload);

/* ---- tcp_rtt.c ---- */

void tcp_rtt_sample(struct tcp_conn *c, clock_ns rtt);

/* Takes a sample from the acknowledgement of our SYN. Returns false when it gives none. */
bool tcp_rtt_handshake(struct tcp_conn *c, const struct packet *p);

/* The same from one of data. */
struct tcp_delivery;
void tcp_rtt_acked(struct tcp_conn *c, const struct packet *p, const struct tcp_delivery *d);

void tcp_rtt_backoff(struct tcp_conn *c);           /* a timeout: RFC 6298, 5.5 */
clock_ns tcp_rtt_persist(const struct tcp_conn *c); /* the time to the next window probe */

/* The least of the last five to ten minutes; 0: unknown. */
static inline clock_ns tcp_rtt_min(const struct tcp_conn *c)
{
    return c->rtt_min * CLOCK_US;
}

/* ---- tcp_timer.c ---- */

void tcp_timer_init(struct tcp_conn *c);
void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, clock_ns deadline);
void tcp_timer_stop(struct tcp_conn *c, enum tcp_timer_kind kind);
void tcp_timer_stop_all(struct tcp_conn *c);

static inline bool tcp_timer_running(const struct tcp_conn *c, enum tcp_timer_kind kind)
{
    return c->deadline[kind] != TCP_TIMER_STOPPED;
}

/* When it runs out, rounded up to a tick; CLOCK_NEVER when it does not run. */
static inline clock_ns tcp_timer_deadline(const struct tcp_conn *c, enum tcp_timer_kind kind)
{
    return tcp_timer_running(c, kind) ? tcp_tick_time(c->deadline[kind], c->sock.tcp->now)
                                      : CLOCK_NEVER;
}

/* ---- shared by several ---- */

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

static inline uint32_t tcp_ts_now(const struct tcp_conn *c)
{
    return tcp_ts_at(c, c->sock.tcp->now);
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

static inline struct tcp_listener *tcp_listener_of(const struct sock *k)
{
    return (struct tcp_listener *)(uintptr_t)k;
}

#define tcp_count(t, name)      COUNTER_INC((t)->counters->name)
#define tcp_count_n(t, name, n) COUNTER_ADD((t)->counters->name, n)

#endif
