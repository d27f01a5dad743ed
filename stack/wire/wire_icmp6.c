/*
 * ICMPv6 (RFC 4443). What only a station on the link may say is told apart here from the rest, by
 * the hop limit: no router forwards a packet and leaves it at 255 (RFC 4861, 3.1), and queries for
 * multicast listeners have 1 (RFC 3810, 5.1.14).
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"
#include "stack/wire/wire_nd.h"

static bool is_link_local(const struct ip_addr *a)
{
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static bool is_discovery(uint8_t type)
{
    return type >= WIRE_ND_ROUTER_SOLICITATION && type <= WIRE_ND_REDIRECT;
}

/* Behind an extension header it is nothing that a neighbour sends; in fragments it is forbidden
 * (RFC 6980, 5). */
static bool discovery_ok(const struct packet *p)
{
    return p->ttl == WIRE_ND_HOP_LIMIT && p->icmp.code == 0 &&
           p->l4_offset == p->l3_offset + WIRE_IPV6_LEN;
}

enum drop_cause wire_icmp6_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l4_offset;
    uint32_t len = p->payload_length; /* of the whole message, so far */
    uint16_t pseudo = wire_pseudo_sum(&p->src, &p->dst, WIRE_IP_PROTO_ICMP6, len);

    if (len < WIRE_ICMP_LEN || wire_sum_mbuf(f->m, p->l4_offset, len, pseudo) != UINT16_MAX)
        return drop_icmp_invalid;
    wire_icmp_header(p, h);
    if (is_discovery(p->icmp.type) && !discovery_ok(p))
        return drop_nd_invalid;
    if (p->icmp.type == WIRE_MLD_QUERY && (p->ttl != 1 || !is_link_local(&p->src)))
        return drop_nd_invalid;
    if (is_discovery(p->icmp.type) || p->icmp.type == WIRE_MLD_QUERY)
        p->kind = PACKET_ND;
    return DROP_NONE;
}

void wire_icmp6_checksum(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst)
{
    uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);
    uint16_t pseudo = wire_pseudo_sum(src, dst, WIRE_IP_PROTO_ICMP6, m->pkt_len);

    wire_store16(h + 2, 0);
    wire_store_sum(h + 2, (uint16_t)~wire_sum_mbuf(m, 0, m->pkt_len, pseudo));
}
