/*
 * IPv4 in and out (RFC 791; RFC 1122, 3.2 and 3.3).
 *
 * In: an address of ours counts only on its own interface (the strong end system model, RFC 1122,
 * 3.3.4.2), so that an inside address is not reachable from outside.
 *
 * Out: nothing we send may be fragmented: path MTU is TCP's affair. DF is set on every packet,
 * which makes it atomic, and an atomic packet's identification means nothing and is 0 (RFC
 * 6864, 4.1). The ECN bits are those of a transport that does not use it (RFC 3168, 5).
 */
#include <assert.h>

#include "stack/net/net_internal.h"

bool net_ipv4_is_host(uint32_t addr)
{
    uint8_t first = (uint8_t)(rte_be_to_cpu_32(addr) >> 24);

    return first != 0 && first != 127 && first < 224;
}

bool net_ipv4_is_own(const struct net_iface *iface, uint32_t addr)
{
    for (unsigned i = 0; i < iface->ipv4_count; i++) {
        if (iface->ipv4[i].addr == addr)
            return true;
    }
    return false;
}

/* Is it the network's own number or its broadcast address? Networks of /31 and /32 have neither. */
static bool ipv4_is_reserved(const struct net_ipv4_addr *a, uint32_t addr)
{
    return a->broadcast != 0 && (addr == a->broadcast || addr == (a->addr & a->mask));
}

bool net_ipv4_on_link(const struct net_iface *iface, uint32_t addr)
{
    bool inside = false;

    if (!net_ipv4_is_host(addr) || net_ipv4_is_own(iface, addr))
        return false;
    for (unsigned i = 0; i < iface->ipv4_count; i++) {
        const struct net_ipv4_addr *a = &iface->ipv4[i];

        if (ipv4_is_reserved(a, addr))
            return false;
        inside |= ((a->addr ^ addr) & a->mask) == 0;
    }
    return inside;
}

bool net_ipv4_addr_from_prefix(const struct ip_prefix *prefix, struct net_ipv4_addr *out)
{
    unsigned bits;

    if (!ip_is_v4(&prefix->addr) || prefix->len <= 96 || prefix->len > 128)
        return false;
    bits = prefix->len - 96u;
    out->addr = ip_to_v4(&prefix->addr);
    out->mask = rte_cpu_to_be_32((uint32_t)(UINT64_C(0xffffffff) << (32 - bits)));
    out->broadcast = bits < 31 ? out->addr | ~out->mask : 0;
    return net_ipv4_is_host(out->addr) && !ipv4_is_reserved(out, out->addr);
}

enum drop_cause net_ipv4_addresses_check(const struct net_iface *iface, uint32_t src, uint32_t dst)
{
    bool own = false;

    if (!net_ipv4_is_host(src))
        return drop_ip_martian;
    for (unsigned i = 0; i < iface->ipv4_count; i++) {
        const struct net_ipv4_addr *a = &iface->ipv4[i];

        if (src == a->addr)
            return drop_ip_spoofed;
        if (ipv4_is_reserved(a, src))
            return drop_ip_martian;
        own |= dst == a->addr;
    }
    return own ? DROP_NONE : drop_ip_destination;
}

void net_ipv4_input(struct net *n, struct packet *p, clock_ns now)
{
    const struct net_protocol *protocol = &n->protocol[p->ip_protocol];

    p->drop = net_ipv4_addresses_check(&n->iface[p->iface], ip_to_v4(&p->src), ip_to_v4(&p->dst));
    if (p->drop != DROP_NONE)
        return;
    if (p->kind == PACKET_ICMP) {
        net_icmp_input(n, p, now);
    } else if (protocol->handler != NULL) {
        protocol->handler(protocol->ctx, p, now);
    } else {
        p->drop = drop_ip_protocol;
        if (!net_punts(n, p->iface))
            net_icmp_error(n, p, WIRE_ICMP_UNREACHABLE, WIRE_ICMP_CODE_PROTOCOL, now);
    }
}

/* The device computes the checksum where it can; segmentation (TSO) implies that it does. */
static bool ipv4_checksum_offload(const struct net_iface *iface, struct rte_mbuf *m)
{
    bool offload = (iface->offloads & STACK_TX_IPV4_CHECKSUM) != 0 ||
                   (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;

    if (offload)
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    if (offload || (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0)
        m->ol_flags |= RTE_MBUF_F_TX_IPV4;
    return offload;
}

void net_ipv4_output(struct net *n, const struct net_path *path, const struct ip_addr *src,
                     const struct ip_addr *dst, uint8_t protocol, enum egress_band band,
                     struct rte_mbuf *m, clock_ns now)
{
    struct net_iface *iface = &n->iface[path->iface];
    uint32_t total = m->pkt_len + WIRE_IPV4_LEN;
    uint8_t *header = (uint8_t *)rte_pktmbuf_prepend(m, WIRE_IPV4_LEN);

    assert(header != NULL && total <= UINT16_MAX);
    wire_ipv4_emit(header, src, dst, protocol, (uint8_t)(path->dscp << 2 | path->ecn),
                   (uint16_t)total, 0, ipv4_checksum_offload(iface, m));
    m->l3_len = WIRE_IPV4_LEN;
    net_iface_prepend(iface, m, NULL, WIRE_TYPE_IPV4);
    net_neighbour_output(n, iface, &path->next_hop, m,
                         (struct net_place){(uint8_t)band, path->egress_class, path->wanted}, now);
}
