/*
 * The internet layer of one stack: interfaces' addresses, routes, neighbours (ARP, RFC 826; RFC
 * 4861), IPv4 and IPv6 in and out (RFC 791, RFC 1122; RFC 8200), ICMP (RFC 792, RFC 4443).
 * Transport protocols register a handler; net never calls them by name.
 *
 * What the layer has no use for is dropped and counted, or goes to the interface's punt hook.
 */
#ifndef STACK_NET_NET_H
#define STACK_NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "base/siphash.h"
#include "stack/counters.h"
#include "stack/hooks.h"
#include "stack/packet.h"
#include "stack/stack.h"

struct net;

/* A packet for a transport protocol. The handler takes the mbuf of packets that it keeps by
 * setting p->m to NULL; it sets p->drop to a cause to have a packet counted and freed; a packet
 * left with DROP_NONE and its mbuf is freed without being counted as a drop. */
typedef void net_handler(void *ctx, struct packet *p, clock_ns now);

/* What an ICMP error says of a segment that we sent (RFC 792, RFC 1191). */
enum net_error_kind { NET_ERROR_UNREACHABLE, NET_ERROR_PORT, NET_ERROR_MTU, NET_ERROR_TIME };

struct net_error {
    enum net_error_kind kind;
    uint8_t ip_protocol;              /* of the quoted packet */
    struct ip_endpoint local, remote; /* the quoted packet's source and destination */
    uint32_t seq;                     /* the quoted TCP sequence number: validate it */
    uint16_t mtu;                     /* NET_ERROR_MTU: what the next hop takes */
    uint16_t length;                  /* of the quoted packet, as it was when it came there */
};

/* Returns false when no connection of the protocol matches (counted by net). */
typedef bool net_error_handler(void *ctx, const struct net_error *error, clock_ns now);

/* The way to a destination, and how packets take it. Plain data: keep it in a connection and hand
 * it to net_send(). */
struct net_path {
    uint8_t iface;
    uint8_t egress_class;    /* of the interface's egress hook; the sender's choice */
    uint8_t dscp;            /* 0 to 63 (RFC 2474); the sender's choice */
    uint8_t ecn : 2;         /* RFC 3168, of what is sent next; the sender's choice */
    bool wanted : 1;         /* the next hop is a gateway, or, the sender's choice, the peer of a
                                connection that we open: others do not displace such neighbours */
    uint16_t mtu;            /* of the interface, or less where the path is known to take less */
    uint16_t link_mtu;       /* of the interface: what it takes in, whatever the path out does */
    uint32_t offloads;       /* of the interface, STACK_TX_* */
    uint32_t flow_label;     /* IPv6 (RFC 6437): net_path_label() */
    struct ip_addr src;      /* our address on that interface */
    struct ip_addr next_hop; /* the destination itself, or the gateway */
    struct rte_mempool *tx_pool;
};

/* Bytes of the IP header, without options or extensions, on a path; the rest of its MTU is the
 * transport's. */
static inline uint16_t net_path_header(const struct net_path *p)
{
    return ip_is_v4(&p->src) ? 20 : 40;
}

static inline uint16_t net_path_payload(const struct net_path *p)
{
    return (uint16_t)(p->mtu - net_path_header(p));
}

/* The same of what we take in: an MSS is announced by this one (RFC 6691, 2; RFC 8201, 5.4). */
static inline uint16_t net_link_payload(const struct net_path *p)
{
    return (uint16_t)(p->link_mtu - net_path_header(p));
}

struct net *net_create(const struct siphash_key *key, struct stack_counters *counters, clock_ns now,
                       struct error *e);
void net_destroy(struct net *n);

/* As stack_iface_add() and stack_route_add(). */
int net_iface_add(struct net *n, const struct stack_iface_config *config, clock_ns now,
                  struct error *e);
int net_route_add(struct net *n, const struct stack_route *route, struct error *e);

/* The VLAN whose frames are the interface's; 0: untagged ones. */
uint16_t net_vlan(const struct net *n, uint8_t iface);

void net_handler_set(struct net *n, uint8_t ip_protocol, net_handler *handler,
                     net_error_handler *error, void *ctx);

/* The transport answers what the firewall rejects by itself; the packet stays the caller's. Without
 * such a handler the sender is told by ICMP. */
void net_reject_set(struct net *n, uint8_t ip_protocol, net_handler *handler);

/* Does what no transport serves go to somebody else (stack_iface_config.punt)? Then it is not for
 * the transport to refuse it. */
bool net_punts(const struct net *n, uint8_t iface);

/* Has fragments put together, with at most so many mbufs waiting for the rest of their packets.
 * Without it they are dropped. The hook, which may be NULL, is asked whether the sender of a packet
 * that was not whole in time may be told so. Returns 0, or -1. Once. */
int net_fragments_enable(struct net *n, uint32_t buffers, stack_ingress *ingress, void *ctx,
                         struct error *e);

/*
 * Takes the fragments out of a burst of parsed packets, before the ingress hook. A packet that is
 * whole now stands in the burst with `reassembled` set, in the place of its last fragment; one that
 * is refused stays, to be dropped. Returns how many packets remain.
 */
unsigned net_fragments_input(struct net *n, struct packet *packets, unsigned count, clock_ns now);

/*
 * Takes a burst of parsed packets of one interface, after the ingress hook, and without fragments,
 * which net_fragments_input() has taken or refused: answers ARP and ICMP
 * echo, passes the rest to its handlers, counts every drop and frees what nobody took.
 * Packets for an address of another interface are dropped (strong end system, RFC 1122, 3.3.4.2).
 */
void net_input(struct net *n, struct packet *packets, unsigned count, clock_ns now);

/* True when the address is one of ours on any interface. */
bool net_is_local(const struct net *n, const struct ip_addr *addr);

/* Finds the way to `dst` (longest prefix), unmarked and in the default class. Returns 0, or -1 when
 * no route leads there. */
int net_path_find(const struct net *n, const struct ip_addr *dst, struct net_path *out);

/* Where net_path_find() has found none: will there be one as soon as an address of ours has been
 * tried out (RFC 4862, 5.4)? */
bool net_path_awaited(const struct net *n, const struct ip_addr *dst);

/* Gives the path the flow label of a flow that takes it: the same at all times for the same two
 * endpoints, and nothing that an observer can tell. Nothing with IPv4. */
void net_path_label(const struct net *n, struct net_path *path, const struct ip_endpoint *local,
                    const struct ip_endpoint *remote);

/*
 * Path MTU (RFC 1191, RFC 8201). net_path_find() tells what is known; who keeps a path looks again,
 * by net_pmtu_of(), when the generation is another one than it was.
 */
uint16_t net_pmtu_of(const struct net *n, const struct net_path *path, const struct ip_addr *dst);
uint32_t net_pmtu_generation(const struct net *n);

/* No path is taken to be narrower: 552 bytes, 1,280 over IPv6. */
uint16_t net_pmtu_floor(const struct ip_addr *dst);

/* A router has said that the path takes no more than `mtu`: for ten minutes so it is. Returns false
 * when that is nothing new, or too much news in a short time. */
bool net_pmtu_learn(struct net *n, const struct net_path *path, const struct ip_addr *dst,
                    uint16_t mtu, clock_ns now);

/*
 * Sends a transport segment: m's data begins at the transport header, with at least
 * NET_HEADROOM bytes of headroom before it; pkt_len and nb_segs are right. `src` is the address to
 * send from. Prepends the headers, resolves the neighbour (holding the packet for a bounded time
 * where it must be asked for), sets l2_len, l3_len and the IP checksum (or its offload flag: TSO
 * and TCP-checksum flags are the caller's). Takes m in any case.
 */
#define NET_HEADROOM 64
void net_send(struct net *n, const struct net_path *path, const struct ip_addr *src,
              const struct ip_addr *dst, uint8_t ip_protocol, enum egress_band band,
              struct rte_mbuf *m, clock_ns now);

/* As stack_inject(). */
void net_inject(struct net *n, unsigned iface, struct rte_mbuf *frame);

/* All that we have to send now was given to the egress hooks. */
void net_round_end(struct net *n);

/* How many data frames of a class the interface's egress hook wants now. */
uint32_t net_room(const struct net *n, uint8_t iface, uint8_t egress_class);

/* How many bytes of payload one of them should carry at most. */
uint32_t net_frame_max(const struct net *n, uint8_t iface, uint8_t egress_class);

/* The transport has proof that the path's next hop is alive (RFC 1122, 2.3.2.1): no need to ask. */
void net_path_confirm(struct net *n, const struct net_path *path, clock_ns now);

/* Answers `p` with an ICMP error (RFC 1122, 3.2.2), rate-limited. Leaves the packet to the caller.
 */
void net_icmp_error(struct net *n, const struct packet *p, uint8_t type, uint8_t code,
                    clock_ns now);

/* Asks silent neighbours again, gives up those that stay silent, forgets old ones. */
void net_timers(struct net *n, clock_ns now);
clock_ns net_deadline(const struct net *n);

uint32_t net_neighbour_count(const struct net *n);

/* As stack_usage.addresses_tentative. */
uint32_t net_tentative_count(const struct net *n);

#endif
