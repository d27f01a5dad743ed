/*
 * IPv6 on an interface, for the files of net: addresses and how they come to be (RFC 4862),
 * neighbour discovery (RFC 4861), the groups that are listened to (RFC 3810), what routers
 * advertise. Included by net_internal.h.
 *
 * An interface speaks IPv6 when it has an address of it, or listens to routers. It then has a
 * link-local address, too. What every worker's stack must know alike, each finds out by itself from
 * the same frames and the same secret; only the leader (stack_iface_config.follower is false) sends
 * what one station sends once.
 */
#ifndef STACK_NET_NET_IPV6_H
#define STACK_NET_NET_IPV6_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/drop.h"
#include "stack/hooks.h"
#include "stack/stack.h"
#include "stack/wire/wire_nd.h"

struct net;
struct net_iface;
struct net_path;
struct packet;

#define NET_ADDR6_ADVERTISED 16 /* addresses from prefixes of routers; more are not made */
#define NET_ADDR6_STATION    4  /* of these, from what one station advertises */
#define NET_ADDR6_MAX        (STACK_IFACE_ADDRS + NET_ADDR6_ADVERTISED + 1)
#define NET_RA_ROUTERS       4
#define NET_RA_PREFIXES      32
#define NET_RA_STATION       8  /* of these, from one station */
#define NET_RA_PREFIX_MIN    32 /* bits: a shorter one would draw the world's traffic to the link */

enum net_addr6_origin { NET_ADDR6_LINK_LOCAL, NET_ADDR6_CONFIGURED, NET_ADDR6_SLAAC };

enum net_addr6_state {
    NET_ADDR6_TENTATIVE, /* nobody has objected so far; not used yet (RFC 4862, 5.4) */
    NET_ADDR6_PREFERRED,
    NET_ADDR6_DEPRECATED, /* no more for what begins now (RFC 4862, 5.5.4) */
    NET_ADDR6_DUPLICATE,  /* somebody else's; not used, and tried out again later */
};

struct net_addr6 {
    struct ip_addr addr;
    uint8_t len; /* of its network's prefix */
    uint8_t state, origin;
    uint8_t attempts;      /* link-local and advertised ones: others were taken before it */
    uint8_t probes;        /* still to be sent before it is ours */
    uint8_t announcements; /* still to be sent after that */
    clock_ns due;          /* the next of these */
    clock_ns preferred_until, valid_until;
    uint8_t station[6]; /* advertised ones: whose they are, and when it said so last */
    clock_ns heard;
};

/* Who advertises: the address that it speaks from, and its Ethernet address. */
struct net_ra_source {
    struct ip_addr addr;
    uint8_t mac[6];
};

struct net_ra_router {
    struct net_ra_source source;
    clock_ns until, heard;
    int8_t preference; /* RFC 4191 */
};

struct net_ra_prefix {
    struct ip_prefix prefix; /* on the link */
    uint8_t station[6];      /* whose it is */
    clock_ns until, heard;
};

struct net_ipv6 {
    bool on;
    bool advertisements;
    uint16_t mtu; /* of the interface, or less: what the routers say */
    unsigned addr_count;
    struct net_addr6 addr[NET_ADDR6_MAX];

    unsigned router_count, prefix_count;
    struct net_ra_router router[NET_RA_ROUTERS];
    struct net_ra_prefix prefix[NET_RA_PREFIXES];
    uint8_t solicitations; /* still to be sent */
    clock_ns solicit_at;

    uint8_t reports; /* of changed membership, still to be sent */
    clock_ns report_at;
    clock_ns answer_at;   /* a query is to be answered */
    clock_ns answer_from; /* no sooner, however many ask */
    clock_ns v1_until;    /* the querier knows RFC 2710 only */
};

/* ---- addresses: net_addr6.c ---- */

static inline bool net_addr6_is_link_local(const struct ip_addr *a)
{
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static inline bool net_addr6_is_group(const struct ip_addr *a)
{
    return a->b[0] == 0xff;
}

/* Can the address belong to one host? Not unspecified, loopback or a group. */
bool net_addr6_is_host(const struct ip_addr *a);

/* Adds a configured address; it is not used before net_addr6_begin(). */
int net_addr6_add(struct net *n, struct net_iface *iface, const struct ip_prefix *addr,
                  struct error *e);

/* The link-local address is made, and all are tried out. */
void net_addr6_begin(struct net *n, struct net_iface *iface, clock_ns now);

/* An address from a prefix of 64 bits that a station advertises, or another life for the one that
 * there is. Returns false when there is no place for it. */
bool net_addr6_advertised(struct net *n, struct net_iface *iface, const uint8_t station[6],
                          const struct wire_nd_prefix *p, clock_ns now);

/* Ours in any state, or NULL. */
struct net_addr6 *net_addr6_find(struct net_iface *iface, const struct ip_addr *addr);

/* May packets be sent from it, and to it? */
bool net_addr6_usable(const struct net_addr6 *a);
bool net_addr6_is_own(const struct net_iface *iface, const struct ip_addr *addr);

/* Is an address that is not link-local being tried out? */
bool net_addr6_awaited(const struct net_iface *iface);

/* How many that no router advertised are? */
unsigned net_addr6_tentative(const struct net_iface *iface);

/* Is it a host's address on the interface's link, not ours? */
bool net_addr6_on_link(const struct net_iface *iface, const struct ip_addr *addr);

/* The address to send from (RFC 6724, 5: scope, then preferred ones, then the longest match).
 * Returns false while there is none. */
bool net_addr6_source(const struct net_iface *iface, const struct ip_addr *dst,
                      struct ip_addr *out);

/* Another station has the address: it is not ours. */
void net_addr6_conflict(struct net *n, struct net_iface *iface, struct net_addr6 *a,
                        const uint8_t mac[6], clock_ns now);

void net_addr6_timers(struct net *n, struct net_iface *iface, clock_ns now);
clock_ns net_addr6_deadline(const struct net_iface *iface);

/* ---- the header: net_ipv6.c ---- */

void net_ipv6_input(struct net *n, struct packet *p, bool group, clock_ns now);
void net_ipv6_output(struct net *n, const struct net_path *path, const struct ip_addr *src,
                     const struct ip_addr *dst, uint8_t protocol, enum egress_band band,
                     struct rte_mbuf *m, clock_ns now);

/* How the addresses of a packet relate to our own. */
enum drop_cause net_ipv6_addresses_check(const struct net_iface *iface, const struct ip_addr *src,
                                         const struct ip_addr *dst);

/* The timers of all that IPv6 has on the interfaces. */
void net_ipv6_timers(struct net *n, clock_ns now);
clock_ns net_ipv6_deadline(const struct net *n);

/* ---- ICMPv6: net_icmp6.c ---- */

void net_icmp6_input(struct net *n, struct packet *p, clock_ns now);

/* The sender is told by `type` and `code`, rate-limited; `rest` are bytes 4 to 7. */
void net_icmp6_error(struct net *n, const struct packet *p, uint8_t type, uint8_t code,
                     uint32_t rest, clock_ns now);

/* ---- neighbour discovery: net_nd.c ---- */

void net_nd_input(struct net *n, struct packet *p, clock_ns now);

/* Asks for the neighbour: its solicited-node group, or the station `mac` when not NULL. */
void net_nd_solicit(struct net *n, struct net_iface *iface, const struct ip_addr *target,
                    const uint8_t *mac);

/* Asks whether anybody has the address that is to be ours (RFC 4862, 5.4.2). */
void net_nd_probe(struct net *n, struct net_iface *iface, const struct ip_addr *addr);

/* Tells everybody that it is ours (RFC 4861, 7.2.6). */
void net_nd_announce(struct net *n, struct net_iface *iface, const struct ip_addr *addr);

/* The group in which a host asks for an address (RFC 4291, 2.7.1). */
struct ip_addr net_nd_group(const struct ip_addr *addr);

/*
 * Sends an ICMPv6 message that goes no further than the link: m's data begins at the ICMPv6 header,
 * whose checksum is filled in. `mac` may be NULL when `dst` is a group. Takes m.
 */
struct net_nd_frame {
    const uint8_t *mac;
    struct ip_addr src, dst;
    uint8_t hop_limit;
    bool alert; /* with MLD's hop-by-hop header */
};
void net_nd_send(struct net *n, struct net_iface *iface, const struct net_nd_frame *to,
                 struct rte_mbuf *m);

/* An mbuf of the interface with room for a message of `len` bytes, at *out; NULL: none (counted).
 */
struct rte_mbuf *net_nd_message(struct net *n, struct net_iface *iface, size_t len, uint8_t **out);

/* ---- groups: net_mld.c ---- */

/* The groups have changed: the switches are to know. */
void net_mld_changed(struct net_iface *iface, clock_ns now);
void net_mld_query(struct net *n, struct net_iface *iface, const struct wire_mld_query *query,
                   clock_ns now);
bool net_mld_is_member(const struct net_iface *iface, const struct ip_addr *group);
void net_mld_timers(struct net *n, struct net_iface *iface, clock_ns now);
clock_ns net_mld_deadline(const struct net_iface *iface);

/* ---- routers: net_ra.c ---- */

/* There is a link-local address: routers are asked, where they are listened to. */
void net_ra_begin(struct net_iface *iface, clock_ns now);
void net_ra_input(struct net *n, struct net_iface *iface, const struct net_ra_source *from,
                  const struct wire_nd_router *ra, clock_ns now);

/* The station at the address is no router any more, as it says itself (RFC 4861, 7.2.5). */
void net_ra_router_gone(struct net_iface *iface, const struct ip_addr *router);

/* The default router to use, and its interface; NULL: none is advertised. */
const struct ip_addr *net_ra_default(const struct net *n, uint8_t *iface);

/* May `from` change what is another station's, last heard of from that at *heard? When it is the
 * station itself, or that has been silent for too long: then it becomes the owner. */
bool net_ra_may_change(uint8_t owner[6], clock_ns *heard, const uint8_t from[6], clock_ns now);

void net_ra_timers(struct net *n, struct net_iface *iface, clock_ns now);
clock_ns net_ra_deadline(const struct net_iface *iface);

#endif
