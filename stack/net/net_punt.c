/*
 * What ends here without having been served: frames for somebody else's stack (the kernel's, behind
 * a TAP), and packets that the firewall rejects.
 *
 * The other stack gets whatever is well-formed, was not forbidden by the firewall and is not ours:
 * of ports, addresses and protocols that we do not serve, broadcasts and multicast, other Ethernet
 * types. What belongs to us by its port never goes there, even when we drop it: the other stack
 * knows nothing of our connections and would reset them.
 *
 * Frames of the other stack go out as data of the default class. It knows no back-pressure and we
 * do, so of what room there is it would leave us none, or we it: each gets half.
 *
 * Neighbours' news (ARP, IPv6 neighbour discovery) goes to every stack that shares the interface:
 * one of them, the leader, hands it on.
 */
#include <assert.h>
#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>

#include "stack/net/net_internal.h"

#define PUNT_FRAGMENTS     128
#define REJECTS_PER_SECOND 1000
#define REJECTS_BURST      200

bool net_punt_cause(enum drop_cause cause)
{
    switch (cause) {
    case drop_ethernet_type:
    case drop_ip_destination:
    case drop_ip_protocol:
    case drop_icmp_type:
    case drop_icmp_unmatched:
    case drop_tcp_no_port:
        return true;
    default:
        return false;
    }
}

bool net_punts(const struct net *n, uint8_t iface)
{
    return n->iface[iface].punt != NULL;
}

/* To this station, or to several. */
static bool is_addressed(const struct net_iface *iface, const struct rte_mbuf *m)
{
    uint8_t copy[6];
    const uint8_t *mac = rte_pktmbuf_read(m, 0, sizeof copy, copy);

    return (mac[0] & 1) != 0 || memcmp(mac, iface->mac, 6) == 0;
}

/* The other stack's end is the VLAN's alone, as the interface is: it knows no tag. */
static bool untag(const struct net_iface *iface, const struct packet *p)
{
    if (iface->vlan == 0 || p->l3_offset == WIRE_ETHER_LEN)
        return true;
    return p->m->data_len >= WIRE_ETHER_LEN + WIRE_VLAN_LEN && rte_vlan_strip(p->m) == 0;
}

/* What was put together for the firewall, here or by the worker that it came from, may be too long
 * for the other stack's end: it goes on as it came, in fragments. */
static void punt_in_fragments(struct net *n, const struct net_iface *iface, const struct packet *p)
{
    struct rte_mbuf *out[PUNT_FRAGMENTS], *m = p->m;
    struct rte_ether_hdr ether;
    int count;

    net_copy(m, 0, sizeof ether, &ether);
    ether.ether_type = rte_cpu_to_be_16(ip_is_v4(&p->src) ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    rte_pktmbuf_adj(m, (uint16_t)(m->pkt_len - p->l3_length));
    count = ip_is_v4(&p->src) ? rte_ipv4_fragment_packet(m, out, PUNT_FRAGMENTS, iface->mtu,
                                                         iface->tx_pool, iface->tx_pool)
                              : rte_ipv6_fragment_packet(m, out, PUNT_FRAGMENTS, iface->mtu,
                                                         iface->tx_pool, iface->tx_pool);
    rte_pktmbuf_free(m);
    if (count < 0)
        COUNTER_INC(n->counters->tx_no_mbuf);
    for (int i = 0; i < count; i++) {
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(out[i], struct rte_ipv4_hdr *);

        if (ip_is_v4(&p->src))
            ip->hdr_checksum = rte_ipv4_cksum(ip); /* the library leaves it to the device */
        memcpy(rte_pktmbuf_prepend(out[i], sizeof ether), &ether, sizeof ether);
        iface->punt(iface->punt_ctx, out[i]);
    }
}

void net_punt(struct net *n, struct packet *p)
{
    const struct net_iface *iface = &n->iface[p->iface];

    if (iface->punt == NULL || !is_addressed(iface, p->m) ||
        (iface->follower && (p->kind == PACKET_ARP || p->kind == PACKET_ND)) || !untag(iface, p))
        return;
    COUNTER_INC(n->counters->punted);
    if (p->l3_length > iface->mtu)
        punt_in_fragments(n, iface, p);
    else
        iface->punt(iface->punt_ctx, p->m);
    p->m = NULL;
}

/* ---- what the other stack sends ---- */

/* Whose turn it is is forgotten beyond that. */
#define INJECT_BALANCE_MAX 65536

static void balance_add(struct net_iface *iface, int64_t bytes)
{
    int64_t balance = iface->inject_balance + bytes;

    iface->inject_balance =
        (int32_t)RTE_MAX(RTE_MIN(balance, INJECT_BALANCE_MAX), -INJECT_BALANCE_MAX);
}

void net_punt_sent(struct net_iface *iface, uint32_t bytes)
{
    balance_add(iface, bytes);
}

/* As it came from a device: what that noted of it is nothing to the next one. */
static bool inject_prepare(const struct net_iface *iface, struct rte_mbuf **frame)
{
    (*frame)->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    (*frame)->tx_offload = 0;
    (*frame)->vlan_tci = iface->vlan;
    return iface->vlan == 0 || rte_vlan_insert(frame) == 0;
}

void net_inject(struct net *n, unsigned index, struct rte_mbuf *frame)
{
    struct net_iface *iface = &n->iface[index];

    assert(index < n->iface_count);
    if ((iface->crowded && iface->inject_balance < 0) || net_room(n, iface->index, 0) == 0 ||
        !inject_prepare(iface, &frame)) {
        COUNTER_INC(n->counters->inject_dropped);
        rte_pktmbuf_free(frame);
        return;
    }
    COUNTER_INC(n->counters->injected);
    balance_add(iface, -(int64_t)frame->pkt_len);
    net_iface_enqueue(n, iface, frame, (struct net_place){.band = EGRESS_DATA});
}

void net_round_end(struct net *n)
{
    for (unsigned i = 0; i < n->iface_count; i++) {
        struct net_iface *iface = &n->iface[i];

        if (iface->punt == NULL)
            continue;
        iface->crowded = net_room(n, iface->index, 0) == 0;
        if (!iface->crowded)
            iface->inject_balance = 0;
    }
}

/* ---- what the firewall rejects ---- */

/* RFC 1122, 3.2.2: no answer to what was not sent to one host by another. An address that is not
 * ours may be that of the stack behind us. */
static bool reject_allowed(const struct net_iface *iface, const struct packet *p)
{
    uint8_t copy[6];
    const uint8_t *mac = rte_pktmbuf_read(p->m, 0, sizeof copy, copy);
    enum drop_cause about;

    if (p->kind == PACKET_ARP || p->kind == PACKET_ND || memcmp(mac, iface->mac, 6) != 0)
        return false;
    about = ip_is_v4(&p->src)
                ? net_ipv4_addresses_check(iface, ip_to_v4(&p->src), ip_to_v4(&p->dst))
                : net_ipv6_addresses_check(iface, &p->src, &p->dst);
    if (about == drop_ip_destination)
        return iface->punt != NULL && net_iface_on_link(iface, &p->dst);
    return about == DROP_NONE;
}

void net_reject(struct net *n, struct packet *p, clock_ns now)
{
    const struct net_protocol *protocol = &n->protocol[p->ip_protocol];

    if (!reject_allowed(&n->iface[p->iface], p))
        return;
    if (!net_limit_pass(&n->reject_limit, now, REJECTS_PER_SECOND, REJECTS_BURST)) {
        COUNTER_INC(n->counters->rejects_limited);
        return;
    }
    COUNTER_INC(n->counters->rejects);
    if (p->kind == PACKET_TCP && protocol->reject != NULL)
        protocol->reject(protocol->ctx, p, now);
    else if (ip_is_v4(&p->src))
        net_icmp_error(n, p, WIRE_ICMP_UNREACHABLE, WIRE_ICMP_CODE_PROHIBITED, now);
    else
        net_icmp6_error(n, p, WIRE_ICMP6_UNREACHABLE, WIRE_ICMP6_CODE_PROHIBITED, 0, now);
}
