/*
 * Between the files of net. One struct net is one stack's internet layer; it has one owner thread.
 *
 * What is the same for both address families (interfaces, routes, paths, the neighbour table)
 * works on struct ip_addr; net_ipv4.c, net_arp.c and net_icmp.c hold what RFC 791, RFC 826 and RFC
 * 792 define, and what net_ipv6.h names stands beside them for IPv6.
 */
#ifndef STACK_NET_NET_INTERNAL_H
#define STACK_NET_NET_INTERNAL_H

#include <sys/queue.h>

#include <rte_mbuf.h>

#include "base/log.h"
#include "base/pool.h"
#include "stack/net/net.h"
#include "stack/net/net_ipv6.h"
#include "stack/wire/wire.h"

/* ---- interfaces: net_iface.c ---- */

#define NET_NAME_MAX 32

/* An address of ours with its network; everything in network byte order. */
struct net_ipv4_addr {
    uint32_t addr, mask;
    uint32_t broadcast; /* directed; 0 where there is none: /31 (RFC 3021) and /32 */
};

struct net_iface {
    char name[NET_NAME_MAX];
    uint8_t mac[6];
    uint8_t index;
    uint16_t mtu;
    uint16_t vlan;     /* 0: untagged */
    uint32_t offloads; /* STACK_TX_* */
    struct rte_mempool *tx_pool;
    struct stack_egress egress;
    stack_punt *punt; /* NULL: none */
    void *punt_ctx;
    bool follower;
    bool crowded;           /* the last round left no room in the default class */
    int32_t inject_balance; /* bytes: our data in that class less the other stack's */
    unsigned ipv4_count;
    struct net_ipv4_addr ipv4[STACK_IFACE_ADDRS];
    struct net_ipv6 ipv6;
    unsigned announcements; /* still to be sent; the next at announce_at */
    clock_ns announce_at;
};

/* Our IPv4 address on the interface from which to talk to `peer`: the one that shares a network
 * with it, else the first. The interface has one. */
struct ip_addr net_iface_source(const struct net_iface *iface, const struct ip_addr *peer);

/* Puts the interface's Ethernet header, with its tag, before the packet, and sets l2_len. `dst` may
 * be NULL: it is filled in by net_neighbour_output(). */
void net_iface_prepend(const struct net_iface *iface, struct rte_mbuf *m, const uint8_t *dst,
                       uint16_t type);

/* Is it a host's address, not ours, on a network of this interface? */
bool net_iface_on_link(const struct net_iface *iface, const struct ip_addr *addr);

/* A frame's place in the egress hook. */
struct net_place {
    uint8_t band; /* enum egress_band */
    uint8_t egress_class;
    bool wanted; /* as net_path.wanted */
};

/* Counts the frame and gives it to the egress hook. Takes it; net_iface_transmit() one of our own.
 */
void net_iface_enqueue(struct net *n, struct net_iface *iface, struct rte_mbuf *m,
                       struct net_place place);
void net_iface_transmit(struct net *n, struct net_iface *iface, struct rte_mbuf *m,
                        struct net_place place);

/* ---- routes: net_route.c ---- */

struct net_route {
    struct ip_prefix to;
    struct ip_addr via; /* unused when direct */
    bool direct;        /* a network that the interface is attached to */
    bool advertised;    /* such a network, as routers say: it goes again */
    uint8_t iface;
};

struct net_routes {
    struct net_route *entry; /* longest prefix first */
    unsigned count;
};

/* Adds the network of an interface's address. The same network twice on one interface is one route;
 * on two interfaces it is an error. */
int net_route_add_direct(struct net *n, const struct ip_prefix *network, uint8_t iface,
                         struct error *e);

/* The same of a prefix that routers advertise. Returns -1 when there is one already, and when the
 * network is part of one that is configured: nobody's advertisement leads its packets elsewhere. */
int net_route_advertise(struct net *n, const struct ip_prefix *network, uint8_t iface);
void net_route_withdraw(struct net *n, const struct ip_prefix *network, uint8_t iface);

/* The longest prefix that has `dst`, or NULL. */
const struct net_route *net_route_find(const struct net *n, const struct ip_addr *dst);

/* Takes the networks of an interface away again. */
void net_route_remove_direct(struct net *n, uint8_t iface);
void net_route_free(struct net *n);

/* ---- neighbours: net_neighbour.c, net_neighbour_table.c ---- */

#define NET_NEIGHBOUR_MAX            1024
#define NET_NEIGHBOUR_STRANGERS_MAX  768 /* of these, others than those that we want */
#define NET_NEIGHBOUR_UNRESOLVED_MAX 256 /* of one kind, entries without an answer */
#define NET_NEIGHBOUR_PENDING        8   /* packets that wait for one neighbour */
#define NET_NEIGHBOUR_PENDING_TOTAL  256 /* and for all of a kind */
#define NET_NEIGHBOUR_REQUESTS       3   /* unanswered ones before a neighbour is given up */
#define NET_NEIGHBOUR_RETRY          (1 * CLOCK_SEC) /* RFC 1122, 2.3.2.1: one a second */
#define NET_NEIGHBOUR_HOLD_DOWN      (2 * CLOCK_SEC)
#define NET_NEIGHBOUR_REACHABLE      (60 * CLOCK_SEC)
#define NET_NEIGHBOUR_DELAY_PROBE    (5 * CLOCK_SEC)   /* RFC 4861, 10 */
#define NET_NEIGHBOUR_IN_USE         (10 * CLOCK_SEC)  /* since the last packet */
#define NET_NEIGHBOUR_FORGET         (600 * CLOCK_SEC) /* since the last packet */

enum net_neighbour_state {
    NET_NEIGHBOUR_INCOMPLETE, /* asked, no answer yet; packets wait */
    NET_NEIGHBOUR_LEARNED,    /* it asked for us; nothing was sent to it yet */
    NET_NEIGHBOUR_RESOLVED,   /* in use, or was */
    NET_NEIGHBOUR_DELAY,  /* IPv6: in use, but doubtful: TCP may yet confirm it (RFC 4861, 7.3.2) */
    NET_NEIGHBOUR_PROBE,  /* in use, but silent for long: asked by unicast whether it is there */
    NET_NEIGHBOUR_FAILED, /* did not answer: its packets are dropped for a while */
};

#define NET_NEIGHBOUR_STATES (NET_NEIGHBOUR_FAILED + 1)

enum net_neighbour_kind {
    NET_NEIGHBOUR_STRANGER, /* whoever has sent us something */
    NET_NEIGHBOUR_WANTED,   /* gateways, and peers of connections that we open */
};

#define NET_NEIGHBOUR_KINDS (NET_NEIGHBOUR_WANTED + 1)

struct net_neighbour;
TAILQ_HEAD(net_neighbour_list, net_neighbour);

/* The entries of one kind. */
struct net_neighbour_set {
    struct net_neighbour_list list[NET_NEIGHBOUR_STATES]; /* by the time of entry, oldest first */
    uint32_t count[NET_NEIGHBOUR_STATES];
    uint32_t total;
    uint32_t pending;
};

/* See net_limit_pass(). */
typedef clock_ns net_limit;

struct net_neighbours {
    struct siphash_key key;
    struct pool pool;
    struct net_neighbour **bucket;
    struct net_neighbour_set kind[NET_NEIGHBOUR_KINDS];
    net_limit ask_limit;
    struct net_neighbour *recent[STACK_MAX_IFACES]; /* the last one sent to, or NULL */
};

int net_neighbour_init(struct net *n, const struct siphash_key *key);
void net_neighbour_fini(struct net *n);

/* Sends an IP packet, complete but for the destination's Ethernet address, to a neighbour on the
 * interface; asks for the neighbour and holds the packet where it is not known. Takes m. */
void net_neighbour_output(struct net *n, struct net_iface *iface, const struct ip_addr *addr,
                          struct rte_mbuf *m, struct net_place place, clock_ns now);

/* What was heard of the neighbour at `addr`, which lies in a network of the interface: */

/* It asked for an address of ours: it will want an answer, so it is worth an entry. */
void net_neighbour_asked_us(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now);

/* It answered us. Returns false when we had not asked; the news is then as good as any other's. */
bool net_neighbour_answered(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now);

/* It told everybody. Changes an entry that exists, makes none. */
void net_neighbour_announced(struct net *n, const struct net_iface *iface,
                             const struct ip_addr *addr, const uint8_t mac[6], clock_ns now);

/* IPv6: it said so of itself when it spoke to us (a source link-layer address): worth an entry, to
 * be verified when it is used (RFC 4861, 7.2.3). */
void net_neighbour_told(struct net *n, const struct net_iface *iface, const struct ip_addr *addr,
                        const uint8_t mac[6], clock_ns now);

/* IPv6: an advertisement, of which no more is believed than RFC 4861, 7.2.5 wants. Returns true
 * when it answers a question of ours. */
bool net_neighbour_advertised(struct net *n, const struct net_iface *iface,
                              const struct wire_nd *na, clock_ns now);

/* Was it asked for in vain? */
bool net_neighbour_silent(const struct net *n, uint8_t iface, const struct ip_addr *addr);

/* The transport heard from beyond it. */
void net_neighbour_confirmed(struct net *n, uint8_t iface, const struct ip_addr *addr,
                             clock_ns now);

void net_neighbour_timers(struct net *n, clock_ns now);
clock_ns net_neighbour_deadline(const struct net *n);

/* ---- MTU of paths: net_pmtu.c ---- */

#define NET_PMTU_MAX    4096 /* destinations; the one learned longest ago gives way */
#define NET_PMTU_MIN_V4 552  /* the usual floor: 512 bytes of payload and headers */
#define NET_PMTU_MIN_V6 1280 /* RFC 8200, 5 */
#define NET_PMTU_LIFE   (600 * CLOCK_SEC)

struct net_pmtu;
TAILQ_HEAD(net_pmtu_list, net_pmtu);

struct net_pmtus {
    struct siphash_key key;
    struct pool pool;
    struct net_pmtu **bucket;
    struct net_pmtu_list list; /* in the order of their ends */
    net_limit limit;
    uint32_t generation;
};

int net_pmtu_init(struct net *n, const struct siphash_key *key);
void net_pmtu_fini(struct net *n);

/* What a "too big" says of the next hop: the MTU it tells, or, where an old router tells none, the
 * next plateau below the length of the packet that it quotes. */
uint16_t net_pmtu_claimed(uint32_t told, uint16_t quoted);

void net_pmtu_timers(struct net *n, clock_ns now);
clock_ns net_pmtu_deadline(const struct net *n);

/* ---- ARP: net_arp.c ---- */

/* Sets p->drop of packets that are to be counted as dropped. */
void net_arp_input(struct net *n, struct packet *p, clock_ns now);

/* Asks for an address on the interface's network: everybody, or the station `mac` when not NULL. */
void net_arp_request(struct net *n, struct net_iface *iface, const struct ip_addr *target,
                     const uint8_t *mac);

/* Begins to announce the interface's addresses (RFC 5227, 2.3). */
void net_arp_announce(struct net *n, struct net_iface *iface, clock_ns now);
void net_arp_timers(struct net *n, clock_ns now);
clock_ns net_arp_deadline(const struct net *n);

/* ---- IPv4: net_ipv4.c ---- */

/* Can the address belong to one host? Not 0/8, 127/8, multicast, 240/4 or the limited broadcast. */
bool net_ipv4_is_host(uint32_t addr);

/* Is it an address of ours on this interface? */
bool net_ipv4_is_own(const struct net_iface *iface, uint32_t addr);

/* Is it a host's address, not ours, on a network of this interface? */
bool net_ipv4_on_link(const struct net_iface *iface, uint32_t addr);

/* Checks an address for an interface: a host's, with a length from 1 to 32, and not its network's
 * own or broadcast address. Fills *out. */
bool net_ipv4_addr_from_prefix(const struct ip_prefix *prefix, struct net_ipv4_addr *out);

/* What the header alone cannot tell: how the addresses relate to our own. */
enum drop_cause net_ipv4_addresses_check(const struct net_iface *iface, uint32_t src, uint32_t dst);

void net_ipv4_input(struct net *n, struct packet *p, clock_ns now);
void net_ipv4_output(struct net *n, const struct net_path *path, const struct ip_addr *src,
                     const struct ip_addr *dst, uint8_t protocol, enum egress_band band,
                     struct rte_mbuf *m, clock_ns now);

/* ---- paths: net_path.c ---- */

/* The way back to who sent the packet, on its own link where its address says nothing beyond it. */
int net_path_back(const struct net *n, const struct packet *p, struct net_path *out);

/* ---- ICMP: net_icmp.c ---- */

/* For both families. The answer to an echo request; an error that we got, of a kind and (of
 * NET_ERROR_MTU) with the next hop's MTU; an error that we send, rate-limited. */
struct net_icmp_message {
    uint8_t type, code;
    uint32_t rest;
    uint32_t quote_max; /* bytes */
};

/* Tells the transport what befell a packet of ours; the kind, and the MTU if it is that, are set.
 * False when no connection of it is known. */
bool net_error_pass(struct net *n, struct net_error *error, const struct wire_quote *quote,
                    clock_ns now);

void net_icmp_echo(struct net *n, struct packet *p, uint8_t reply, clock_ns now);
void net_icmp_quoted(struct net *n, struct packet *p, enum net_error_kind kind, uint32_t mtu,
                     clock_ns now);
void net_icmp_tell(struct net *n, const struct packet *p, const struct net_icmp_message *told,
                   clock_ns now);

void net_icmp_input(struct net *n, struct packet *p, clock_ns now);

/* Is one more event within the limit now? It is the generic cell rate algorithm (ITU-T I.371):
 * *due, zero at first, is when the next event would be due if all came at the steady rate. */
bool net_limit_pass(net_limit *due, clock_ns now, unsigned per_second, unsigned burst);

/* ---- fragments: net_fragment.c, net_fragment_table.c ---- */

#define NET_FRAGMENT_PACKETS 256 /* of which not all is there */

struct net_partial;
TAILQ_HEAD(net_partial_list, net_partial);

struct net_fragments {
    bool enabled; /* else they are dropped */
    stack_ingress *ingress;
    void *ingress_ctx;
    struct pool packets, sources, pieces;
    struct net_partial **bucket;
    struct net_fragment_source **source_bucket;
    struct net_partial_list list[2]; /* IPv4, IPv6; oldest first */
    uint32_t buffers, buffers_max;   /* mbufs */
};

void net_fragments_fini(struct net *n);

/* Drops what was not whole in time. */
void net_fragments_timers(struct net *n, clock_ns now);
clock_ns net_fragments_deadline(const struct net *n);

/* ---- what the stack has no use for: net_punt.c ---- */

/* Gives the frame to the interface's punt hook, if it has one that wants it; p->m is NULL then. */
void net_punt(struct net *n, struct packet *p);

/* Data of ours went out in the default class of the interface. */
void net_punt_sent(struct net_iface *iface, uint32_t bytes);

/* Is it for something else than malformed or forbidden that such packets are dropped? */
bool net_punt_cause(enum drop_cause cause);

/* Tells the sender of a packet that the firewall rejects it. */
void net_reject(struct net *n, struct packet *p, clock_ns now);

/* ---- the whole: net.c ---- */

struct net_protocol {
    net_handler *handler;
    net_error_handler *error;
    net_handler *reject;
    void *ctx;
};

struct net {
    struct stack_counters *counters;
    unsigned iface_count;
    struct net_iface iface[STACK_MAX_IFACES];
    struct net_routes routes;
    struct net_neighbours neighbours;
    struct net_pmtus pmtus;
    struct net_fragments fragments;
    struct net_protocol protocol[256];
    net_limit echo_limit, error_limit, reject_limit;
    struct log_limit conflict_log, ra_log;
};

/* Copies `len` bytes of a packet from `offset` on, which are there. */
static inline void net_copy(const struct rte_mbuf *m, uint32_t offset, uint32_t len, void *out)
{
    const void *at = rte_pktmbuf_read(m, offset, len, out);

    if (at != out)
        memcpy(out, at, len);
}

#endif
