/*
 * Neighbour discovery (RFC 4861): which Ethernet address an IPv6 address has, and whether another
 * station has ours (RFC 4862, 5.4).
 *
 * As with ARP there is no proof of anything, so little is believed. wire_parse() has dropped what
 * did not come from the link (hop limit 255). A station gets an entry only when it asks for an
 * address of ours, or when we asked for it; an advertisement changes entries that exist, and an
 * address only within the bounds of RFC 4861, 7.2.5. Redirects are not followed: where packets go
 * is the configuration's affair. What is not about an address of ours goes on to the other stack of
 * the interface, where there is one, as ARP does.
 */
#include <assert.h>

#include "stack/net/net_internal.h"

#define MESSAGE_MAX 1500 /* no neighbour sends a longer one; fragments are refused (RFC 6980) */

static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}};

struct ip_addr net_nd_group(const struct ip_addr *addr)
{
    struct ip_addr group = {.b = {0xff, 2, [11] = 1, [12] = 0xff}};

    memcpy(group.b + 13, addr->b + 13, 3);
    return group;
}

/* ---- sending ---- */

struct rte_mbuf *net_nd_message(struct net *n, struct net_iface *iface, size_t len, uint8_t **out)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(iface->tx_pool);

    *out = m != NULL ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len) : NULL;
    if (*out != NULL)
        return m;
    rte_pktmbuf_free(m);
    COUNTER_INC(n->counters->tx_no_mbuf);
    return NULL;
}

void net_nd_send(struct net *n, struct net_iface *iface, const struct net_nd_frame *to,
                 struct rte_mbuf *m)
{
    struct wire_ipv6 ip = {.src = to->src,
                           .dst = to->dst,
                           .next_header = WIRE_IP_PROTO_ICMP6,
                           .hop_limit = to->hop_limit};
    uint8_t group_mac[6] = {0x33, 0x33}; /* RFC 2464, 7 */

    assert(to->mac != NULL || net_addr6_is_group(&to->dst));
    wire_icmp6_checksum(m, &to->src, &to->dst);
    if (to->alert) {
        wire_mld_alert_emit(WIRE_IP_PROTO_ICMP6,
                            (uint8_t *)rte_pktmbuf_prepend(m, WIRE_MLD_ALERT_LEN));
        ip.next_header = 0;
    }
    ip.payload_length = (uint16_t)m->pkt_len;
    wire_ipv6_emit(&ip, (uint8_t *)rte_pktmbuf_prepend(m, WIRE_IPV6_LEN));
    memcpy(group_mac + 2, to->dst.b + 12, 4);
    net_iface_prepend(iface, m, to->mac != NULL ? to->mac : group_mac, WIRE_TYPE_IPV6);
    net_iface_transmit(n, iface, m, (struct net_place){.band = EGRESS_CONTROL});
}

static void nd_send(struct net *n, struct net_iface *iface, const struct net_nd_frame *to,
                    const struct wire_nd *nd)
{
    uint8_t *out;
    struct rte_mbuf *m = net_nd_message(n, iface, WIRE_ND_LEN, &out);

    if (m == NULL)
        return;
    rte_pktmbuf_trim(m, (uint16_t)(WIRE_ND_LEN - wire_nd_emit(nd, out)));
    if (nd->type == WIRE_ND_SOLICITATION)
        COUNTER_INC(n->counters->nd_solicitations_sent);
    else
        COUNTER_INC(n->counters->nd_advertisements_sent);
    net_nd_send(n, iface, to, m);
}

void net_nd_solicit(struct net *n, struct net_iface *iface, const struct ip_addr *target,
                    const uint8_t *mac)
{
    struct wire_nd nd = {.type = WIRE_ND_SOLICITATION, .has_mac = true, .target = *target};
    struct net_nd_frame to = {.mac = mac,
                              .dst = mac != NULL ? *target : net_nd_group(target),
                              .hop_limit = WIRE_ND_HOP_LIMIT};

    if (!net_addr6_source(iface, target, &to.src))
        return;
    memcpy(nd.mac, iface->mac, sizeof nd.mac);
    nd_send(n, iface, &to, &nd);
}

void net_nd_probe(struct net *n, struct net_iface *iface, const struct ip_addr *addr)
{
    const struct wire_nd nd = {.type = WIRE_ND_SOLICITATION, .target = *addr};
    const struct net_nd_frame to = {.dst = net_nd_group(addr), .hop_limit = WIRE_ND_HOP_LIMIT};

    nd_send(n, iface, &to, &nd);
}

static struct wire_nd advertisement(const struct net_iface *iface, const struct ip_addr *addr)
{
    struct wire_nd nd = {
        .type = WIRE_ND_ADVERTISEMENT, .override_ = true, .has_mac = true, .target = *addr};

    memcpy(nd.mac, iface->mac, sizeof nd.mac);
    return nd;
}

void net_nd_announce(struct net *n, struct net_iface *iface, const struct ip_addr *addr)
{
    const struct wire_nd nd = advertisement(iface, addr);
    const struct net_nd_frame to = {.src = *addr, .dst = all_nodes, .hop_limit = WIRE_ND_HOP_LIMIT};

    nd_send(n, iface, &to, &nd);
}

/* ---- solicitations ---- */

/* What came in, as all the functions below need it. */
struct heard {
    struct net_iface *iface;
    const struct packet *p;
    const uint8_t *mac; /* the frame's source */
    const uint8_t *data;
    uint32_t len; /* of the ICMPv6 message */
};

/* Can the Ethernet address be another station's? */
static bool mac_ok(const struct net_iface *iface, const uint8_t mac[6])
{
    static const uint8_t none[6];

    return (mac[0] & 1) == 0 && memcmp(mac, none, 6) != 0 && memcmp(mac, iface->mac, 6) != 0;
}

/* The answer goes straight to the station that asked: it may well have no room in the table. */
static void advertise(struct net *n, const struct heard *h, const struct wire_nd *ns)
{
    struct wire_nd nd = advertisement(h->iface, &ns->target);
    struct net_nd_frame to = {.mac = ns->has_mac ? ns->mac : h->mac,
                              .src = ns->target,
                              .dst = h->p->src,
                              .hop_limit = WIRE_ND_HOP_LIMIT};

    nd.solicited = !ip_is_unspecified(&to.dst);
    if (!nd.solicited) { /* it wants the address for itself: everybody is to know */
        to.dst = all_nodes;
        to.mac = NULL;
    }
    nd_send(n, h->iface, &to, &nd);
}

/* RFC 4861, 7.1.1: a host without an address asks the group, and has nothing to be told. */
static bool solicitation_ok(const struct packet *p, const struct wire_nd *ns)
{
    struct ip_addr group = net_nd_group(&ns->target);

    return !ip_is_unspecified(&p->src) || (ip_equal(&p->dst, &group) && !ns->has_mac);
}

/* Sets *ours when it was about an address of ours. */
static enum drop_cause solicitation_input(struct net *n, const struct heard *h, bool *ours,
                                          clock_ns now)
{
    const struct packet *p = h->p;
    struct net_addr6 *a;
    struct wire_nd ns;

    if (!wire_nd_parse(h->data, h->len, &ns) || !solicitation_ok(p, &ns) ||
        (ns.has_mac && !mac_ok(h->iface, ns.mac)))
        return drop_nd_invalid;
    a = net_addr6_find(h->iface, &ns.target);
    *ours = a != NULL && a->state != NET_ADDR6_DUPLICATE;
    if (!*ours)
        return DROP_NONE;
    if (a->state == NET_ADDR6_TENTATIVE) { /* RFC 4862, 5.4.3: both of us want it, so neither */
        if (ip_is_unspecified(&p->src))
            net_addr6_conflict(n, h->iface, a, h->mac, now);
        return DROP_NONE;
    }
    COUNTER_INC(n->counters->nd_solicitations_received);
    if (ns.has_mac && net_addr6_on_link(h->iface, &p->src))
        net_neighbour_told(n, h->iface, &p->src, ns.mac, now);
    if (!h->iface->follower)
        advertise(n, h, &ns);
    return DROP_NONE;
}

/* ---- advertisements ---- */

static enum drop_cause advertisement_input(struct net *n, const struct heard *h, bool *ours,
                                           clock_ns now)
{
    struct net_addr6 *a;
    struct wire_nd na;

    if (!wire_nd_parse(h->data, h->len, &na) || (na.solicited && net_addr6_is_group(&h->p->dst)) ||
        (na.has_mac && !mac_ok(h->iface, na.mac)))
        return drop_nd_invalid;
    a = net_addr6_find(h->iface, &na.target);
    *ours = a != NULL && a->state != NET_ADDR6_DUPLICATE;
    if (*ours) {
        net_addr6_conflict(n, h->iface, a, h->mac, now);
        return DROP_NONE;
    }
    if (net_neighbour_advertised(n, h->iface, &na, now))
        COUNTER_INC(n->counters->nd_advertisements_received);
    if (!na.router)
        net_ra_router_gone(h->iface, &na.target);
    return DROP_NONE;
}

/* ---- routers, and groups ---- */

static enum drop_cause router_input(struct net *n, const struct heard *h, clock_ns now)
{
    struct net_ra_source from = {.addr = h->p->src};
    struct wire_nd_router ra;

    if (!net_addr6_is_link_local(&h->p->src) || !wire_nd_router_parse(h->data, h->len, &ra) ||
        (ra.has_mac && !mac_ok(h->iface, ra.mac)))
        return drop_nd_invalid;
    memcpy(from.mac, h->mac, sizeof from.mac);
    if (h->iface->ipv6.advertisements)
        net_ra_input(n, h->iface, &from, &ra, now);
    return DROP_NONE;
}

static enum drop_cause query_input(struct net *n, const struct heard *h, clock_ns now)
{
    struct wire_mld_query query;

    if (!wire_mld_query_parse(h->data, h->len, &query))
        return drop_nd_invalid;
    net_mld_query(n, h->iface, &query, now);
    return DROP_NONE;
}

/* A group or loopback speaks to nobody. Our own addresses may be another's, too: that is what
 * advertisements of them are told for, while nothing else comes from them. */
static bool source_ok(const struct net_iface *iface, const struct packet *p)
{
    if (ip_is_unspecified(&p->src))
        return true;
    return net_addr6_is_host(&p->src) &&
           (p->icmp.type == WIRE_ND_ADVERTISEMENT || !net_addr6_is_own(iface, &p->src));
}

static enum drop_cause message_input(struct net *n, const struct heard *h, bool *ours, clock_ns now)
{
    switch (h->p->icmp.type) {
    case WIRE_ND_SOLICITATION:
        return solicitation_input(n, h, ours, now);
    case WIRE_ND_ADVERTISEMENT:
        return advertisement_input(n, h, ours, now);
    case WIRE_ND_ROUTER_ADVERTISEMENT:
        return router_input(n, h, now);
    case WIRE_MLD_QUERY:
        return query_input(n, h, now);
    default: /* redirects; solicitations for routers, which we are not */
        return DROP_NONE;
    }
}

void net_nd_input(struct net *n, struct packet *p, clock_ns now)
{
    struct net_iface *iface = &n->iface[p->iface];
    uint8_t ether[12], copy[MESSAGE_MAX];
    struct heard h = {.iface = iface, .p = p, .len = p->payload_length + WIRE_ICMP_LEN};
    bool ours = false;

    if (!iface->ipv6.on) {
        p->drop = drop_ip_destination;
        return;
    }
    if (!source_ok(iface, p)) {
        p->drop = drop_ip_martian;
        return;
    }
    h.mac = (const uint8_t *)rte_pktmbuf_read(p->m, 0, sizeof ether, ether) + 6;
    if (h.len > sizeof copy || !mac_ok(iface, h.mac)) {
        p->drop = drop_nd_invalid;
        return;
    }
    h.data = rte_pktmbuf_read(p->m, p->l4_offset, h.len, copy);
    p->drop = message_input(n, &h, &ours, now);
    if (p->drop == DROP_NONE && !ours)
        net_punt(n, p);
}
