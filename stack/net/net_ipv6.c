/*
 * IPv6 in and out (RFC 8200).
 *
 * In: as with IPv4, an address of ours counts only on its own interface. Link-local addresses are
 * for neighbours: discovery and echo are answered there, transports are not served, since such an
 * address says nothing without its link, which a connection's key does not have.
 *
 * Out: without extension headers. The flow label is a keyed hash of the flow, so that routers
 * spread flows and an observer cannot tell which belong together (RFC 6437).
 */
#include <assert.h>

#include "stack/net/net_internal.h"

#define HOP_LIMIT 64

enum drop_cause net_ipv6_addresses_check(const struct net_iface *iface, const struct ip_addr *src,
                                         const struct ip_addr *dst)
{
    bool own = false;

    if (!net_addr6_is_host(src) || ip_is_unspecified(dst))
        return drop_ip_martian;
    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        if (!net_addr6_usable(a))
            continue;
        if (ip_equal(src, &a->addr))
            return drop_ip_spoofed;
        own |= ip_equal(dst, &a->addr);
    }
    return own ? DROP_NONE : drop_ip_destination;
}

/* What the header walk has found wrong is told to the sender (RFC 8200, 4), who sent it to a group
 * only where that is asked for (RFC 4443, 2.4 e). */
static void problem_input(struct net *n, struct packet *p, clock_ns now)
{
    uint8_t code = (uint8_t)(p->problem - 1);

    p->drop = code == WIRE_ICMP6_CODE_OPTION ? drop_ip_option
              : code == WIRE_ICMP6_CODE_NEXT ? drop_ip_extension
                                             : drop_ip_header;
    net_icmp6_error(n, p, WIRE_ICMP6_PROBLEM, code, p->problem_at, now);
}

static void payload_input(struct net *n, struct packet *p, clock_ns now)
{
    const struct net_protocol *protocol = &n->protocol[p->ip_protocol];

    if (p->kind == PACKET_ICMP) {
        net_icmp6_input(n, p, now);
    } else if (net_addr6_is_link_local(&p->src) || net_addr6_is_link_local(&p->dst)) {
        p->drop = drop_ip_destination;
    } else if (protocol->handler != NULL) {
        protocol->handler(protocol->ctx, p, now);
    } else if (p->ip_protocol != WIRE_IP_PROTO_NONE) {
        p->drop = drop_ip_protocol;
        if (!net_punts(n, p->iface))
            net_icmp6_error(n, p, WIRE_ICMP6_PROBLEM, WIRE_ICMP6_CODE_NEXT, p->named_at, now);
    }
}

void net_ipv6_input(struct net *n, struct packet *p, bool group, clock_ns now)
{
    const struct net_iface *iface = &n->iface[p->iface];

    p->drop = net_ipv6_addresses_check(iface, &p->src, &p->dst);
    if (group && p->drop == drop_ip_destination && p->problem != 0 &&
        net_mld_is_member(iface, &p->dst))
        problem_input(n, p, now);
    if (group && p->drop == DROP_NONE)
        p->drop = drop_ip_destination; /* our address, but sent to everybody */
    if (p->drop != DROP_NONE)
        return;
    if (p->problem != 0)
        problem_input(n, p, now);
    else
        payload_input(n, p, now);
}

void net_ipv6_output(struct net *n, const struct net_path *path, const struct ip_addr *src,
                     const struct ip_addr *dst, uint8_t protocol, enum egress_band band,
                     struct rte_mbuf *m, clock_ns now)
{
    struct net_iface *iface = &n->iface[path->iface];
    const struct wire_ipv6 h = {.src = *src,
                                .dst = *dst,
                                .next_header = protocol,
                                .traffic_class = (uint8_t)(path->dscp << 2 | path->ecn),
                                .hop_limit = HOP_LIMIT,
                                .flow_label = path->flow_label,
                                .payload_length = (uint16_t)m->pkt_len};
    uint8_t *header;

    assert(m->pkt_len <= UINT16_MAX);
    header = (uint8_t *)rte_pktmbuf_prepend(m, WIRE_IPV6_LEN);
    assert(header != NULL);
    wire_ipv6_emit(&h, header);
    net_iface_prepend(iface, m, NULL, WIRE_TYPE_IPV6);
    m->l3_len = WIRE_IPV6_LEN;
    if ((m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)) != 0)
        m->ol_flags |= RTE_MBUF_F_TX_IPV6;
    net_neighbour_output(n, iface, &path->next_hop, m,
                         (struct net_place){(uint8_t)band, path->egress_class, path->wanted}, now);
}

/* ---- time ---- */

void net_ipv6_timers(struct net *n, clock_ns now)
{
    for (unsigned i = 0; i < n->iface_count; i++) {
        struct net_iface *iface = &n->iface[i];

        if (!iface->ipv6.on)
            continue;
        net_mld_timers(n, iface, now); /* a group is joined before it is used (RFC 4862, 5.4.2) */
        net_addr6_timers(n, iface, now);
        net_ra_timers(n, iface, now);
    }
}

uint32_t net_tentative_count(const struct net *n)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < n->iface_count; i++)
        count += net_addr6_tentative(&n->iface[i]);
    return count;
}

clock_ns net_ipv6_deadline(const struct net *n)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < n->iface_count; i++) {
        const struct net_iface *iface = &n->iface[i];

        if (!iface->ipv6.on)
            continue;
        next = RTE_MIN(next, net_addr6_deadline(iface));
        next = RTE_MIN(next, RTE_MIN(net_mld_deadline(iface), net_ra_deadline(iface)));
    }
    return next;
}
