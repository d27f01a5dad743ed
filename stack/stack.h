/*
 * One TCP/IP stack: the whole of a worker's protocol state. It shares nothing with other stacks,
 * takes no lock, and knows neither threads nor clocks: whoever owns it calls, once a round,
 *
 *     stack_input()   for each burst received,
 *     event_next()    until there is none, acting on sockets (stack/event.h, stack/socket.h),
 *     stack_flush()   to run the timers that are due and to emit what became sendable.
 *
 * `now` never goes back from one call to the next.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/counters.h"
#include "stack/hooks.h"

struct rte_mbuf;
struct rte_mempool;
struct stack;

/* What a port can do, decided from the driver's capabilities at run time. */
#define STACK_TX_IPV4_CHECKSUM 0x01
#define STACK_TX_TCP_CHECKSUM  0x02
#define STACK_TX_TCP_SEGMENT   0x04 /* TSO; implies both checksums */
#define STACK_TX_MULTI_SEGMENT 0x08 /* a frame may be several mbufs */

#define STACK_MAX_IFACES       16
#define STACK_IFACE_ADDRS      16

struct stack_iface_config {
    const char *name; /* copied */
    uint8_t mac[6];
    uint16_t mtu;      /* bytes of IP packet, 576 (with IPv6: 1,280) to 9000 */
    uint16_t vlan;     /* IEEE 802.1Q: only frames with this tag are the interface's; 0: untagged
                          ones. Several interfaces may share a port, each with a tag of its own */
    uint32_t offloads; /* STACK_TX_* */
    struct rte_mempool
        *tx_pool; /* linear frames of the interface are built in mbufs of this pool */
    struct stack_egress egress;
    struct ip_prefix addrs[STACK_IFACE_ADDRS]; /* the host's part is our address */
    unsigned addr_count;
    stack_punt *punt; /* NULL: such frames are dropped and counted */
    void *punt_ctx;
    bool router_advertisements; /* IPv6: prefixes, routers, MTU are learned from them (RFC 4861,
                                   RFC 4862); else only what is configured counts */
    bool follower; /* another stack has the interface, too, and gets ARP and IPv6 neighbour
                      discovery as well: answers, announcements and punting of these are its */
};

/* What TCP does by default, and may be told to do otherwise. Zero always means the default. */
enum stack_congestion { STACK_CUBIC, STACK_NEWRENO }; /* RFC 9438 with 9406; RFC 5681 */

/* RFC 3168. PASSIVE: where the peer asks for it; ACTIVE: we ask for it, too. */
enum stack_ecn { STACK_ECN_PASSIVE, STACK_ECN_ACTIVE, STACK_ECN_OFF };

/* RFC 4821. BLACK_HOLE: once full segments are lost again and again; ALWAYS: from the start. */
enum stack_mtu_probing {
    STACK_MTU_PROBING_BLACK_HOLE,
    STACK_MTU_PROBING_ALWAYS,
    STACK_MTU_PROBING_OFF
};

struct stack_tcp_config {
    enum stack_congestion congestion;
    enum stack_ecn ecn;
    enum stack_mtu_probing mtu_probing;
    bool pacing_off, timestamps_off, sack_off;
    bool hystart_classic;   /* the first slow start ends by HyStart's delay, not by HyStart++ */
    bool rest_keeps_window; /* a rest takes nothing from cwnd (RFC 7661 keeps it for minutes, too);
                               by itself it halves for each RTO, as RFC 2861 had it */
    bool reduce_from_cwnd;  /* a reduction starts from cwnd though less was in flight, as RFC 9438,
                               4.6 lets CUBIC do; by itself from what was (RFC 5681, 3.1) */
    bool cubic_classic;     /* CUBIC as before RFC 9438: it aims at where the curve is a least round
                               trip from now, by itself a smoothed one (4.2), and adds a segment
                               for each 20 at least until it knows a window that was too large */
    bool ecn_by_prr;        /* a mark reduces cwnd in proportion to what arrives, as a loss does
                               (RFC 6937); by itself at once */
    bool sack_segments;     /* SACK blocks count for the whole segments in them; by itself for each
                               byte (RFC 6675, 4) */
    bool rack_by_number;  /* RACK.rtt is of what was acknowledged last by number; by itself of what
                             was sent last (RFC 8985, 6.2, step 2) */
    uint8_t window_scale; /* 1 to 14, of what we offer; 7, or what receive_buffer_max needs */
    uint16_t initial_window; /* segments; 10 (RFC 6928) */
    uint16_t quick_acks;     /* segments acknowledged at once at the start; 16 */
    uint16_t abc_limit;      /* segments by which an acknowledgement opens the window in slow start
                                without pacing; 8 (RFC 3465's L; RFC 9406, 4.2) */
    uint8_t syn_retries;     /* of an active open; 6 */
    uint8_t synack_retries;  /* 5 */
    clock_ns rto_initial;    /* 1 s (RFC 6298) */
    clock_ns rto_min;        /* 200 ms */
    clock_ns delayed_ack;    /* 40 ms */
    clock_ns fin_wait_2;     /* of connections that nobody owns any more; 60 s */
    uint32_t orphans_max;    /* such connections at a time; an eighth of max_connections */
    uint32_t receive_buffer_max; /* bytes, to which buffers grow by themselves; 6 MiB */
    uint32_t send_buffer_max;    /* 4 MiB */
};

/* Fragments of IP packets (RFC 791, RFC 8200, 4.5; RFC 5722): put together within a budget, or
 * dropped. */
enum stack_fragments { STACK_FRAGMENTS_REASSEMBLE, STACK_FRAGMENTS_DROP };

struct stack_route {
    struct ip_prefix to;
    struct ip_addr via;
    unsigned iface; /* of a link-local gateway (fe80::/10), which says nothing by itself; else 0 */
};

/* Is a segment with this source (remote) and destination (local), as the wire has it, delivered to
 * this stack's worker? Used to choose source ports. */
typedef bool stack_owns_flow(void *ctx, const struct ip_endpoint *remote,
                             const struct ip_endpoint *local);

/* A packet that was put together from fragments is of a flow that `owns_flow` denies: takes the
 * frame to the stack that owns it. */
typedef void stack_pass(void *ctx, unsigned iface, struct rte_mbuf *frame);

struct stack_config {
    const char *name;              /* for log lines; copied */
    uint32_t max_connections;      /* connections in any state, TIME_WAIT included */
    uint32_t max_buffers;          /* mbufs that all receive and send queues may hold together */
    struct rte_mempool *data_pool; /* for bytes written by sock_write(), and for indirect mbufs */
    uint8_t secret[16];            /* initial sequence numbers, ports and hash keys derive from it;
                                      workers of one process share it */
    stack_owns_flow *owns_flow;    /* NULL: every flow is ours */
    stack_pass *pass;    /* NULL: such packets stay; as frames, so that stack_input() takes them */
    void *owns_flow_ctx; /* of both */
    stack_ingress *ingress; /* NULL: none */
    void *ingress_ctx;
    clock_ns time_wait; /* how long TIME_WAIT lasts (2 MSL); 0: 60 s */
    struct stack_tcp_config tcp;
    enum stack_fragments fragments;
    uint32_t fragment_buffers; /* mbufs that unfinished packets may hold; 0: 1,024 */
};

/* Returns a stack, or NULL with the cause in *e. All memory is reserved here. */
struct stack *stack_create(const struct stack_config *config, clock_ns now, struct error *e);

/* Frees everything, connections included; sends nothing. */
void stack_destroy(struct stack *s);

/* Adds an interface; returns its index, or -1 with the cause. Announces its addresses by ARP, and
 * tries its IPv6 addresses out before they are used (RFC 4862, 5.4): for a second nothing is sent
 * from them or received. */
int stack_iface_add(struct stack *s, const struct stack_iface_config *config, struct error *e);

/* Adds a route through the interface that reaches `via` directly. Returns 0, or -1. */
int stack_route_add(struct stack *s, const struct stack_route *route, struct error *e);

/* The VLAN of a received frame, 0: none; tells which of the interfaces on a port it is for. */
uint16_t stack_frame_vlan(const struct rte_mbuf *frame);

/* Takes `count` received frames. Valid checksum marks of the driver (RTE_MBUF_F_RX_*_CKSUM_GOOD)
 * are trusted; otherwise checksums are computed. */
void stack_input(struct stack *s, unsigned iface, struct rte_mbuf **frames, unsigned count,
                 clock_ns now);

/* Fires due timers, then emits: control first, then data in turn. */
void stack_flush(struct stack *s, clock_ns now);

/* When stack_flush() must be called again though no packet came: a time not after the next timer;
 * `now` or earlier when there is output that an egress hook has room for, or an event pending;
 * CLOCK_NEVER when nothing is. Output that waits for room goes on when the hook has sent something:
 * ask again after that. */
clock_ns stack_deadline(const struct stack *s);

/* Sends a frame as it is on an interface, as data of the default class: what the other side of
 * `punt` sends. Takes the mbuf in any case. */
void stack_inject(struct stack *s, unsigned iface, struct rte_mbuf *frame, clock_ns now);

/* Does the segment belong to a connection (not a listener), or begin one that a SYN cookie
 * promised? For the firewall's default. */
bool stack_expects(const struct stack *s, const struct packet *segment);

/* The time of the current round. */
clock_ns stack_now(const struct stack *s);

const struct stack_counters *stack_counters(const struct stack *s);

/* Levels, for reports and tests: what is in use now. May be read by another thread. */
struct stack_usage {
    uint32_t connections[11]; /* by enum tcp_state (stack/socket.h) */
    uint32_t connections_used, connections_max;
    uint32_t orphans; /* of them: nobody owns them any more, and they have not come to TIME_WAIT */
    uint32_t buffers_used, buffers_max;
    uint32_t neighbours;
    uint32_t addresses_tentative; /* IPv6, configured and link-local: still being tried out; what
                                     routers advertise comes when they like */
};

void stack_usage(const struct stack *s, struct stack_usage *out);

#endif
