#include <assert.h>
#include <stdio.h>

#include "stack/net/net_internal.h"

#define NET_VLAN_MAX 4094
#define MTU_MIN_IPV6 1280u /* RFC 8200, 5 */

static bool mac_is_station(const uint8_t mac[6])
{
    static const uint8_t none[6];

    return (mac[0] & 1) == 0 && memcmp(mac, none, 6) != 0;
}

static int config_check(const struct net *n, const struct stack_iface_config *c, struct error *e)
{
    if (n->iface_count == STACK_MAX_IFACES)
        return error_set(e, "interface %s: more than %d interfaces", c->name, STACK_MAX_IFACES);
    if (c->mtu < 576 || c->mtu > 9000)
        return error_set(e, "interface %s: MTU %u is not from 576 to 9000", c->name, c->mtu);
    if (c->vlan > NET_VLAN_MAX)
        return error_set(e, "interface %s: VLAN %u is not from 1 to 4094", c->name, c->vlan);
    if (c->addr_count > STACK_IFACE_ADDRS)
        return error_set(e, "interface %s: more than %d addresses", c->name, STACK_IFACE_ADDRS);
    if (!mac_is_station(c->mac))
        return error_set(e, "interface %s: not the Ethernet address of a station", c->name);
    return 0;
}

static int addr_add(struct net *n, struct net_iface *iface, const struct ip_prefix *addr,
                    struct error *e)
{
    struct ip_prefix network = ip_prefix_network(addr);
    char text[IP_TEXT_MAX];

    ip_prefix_format(addr, text);
    if (!ip_is_v4(&addr->addr))
        return net_addr6_add(n, iface, addr, e);
    if (!net_ipv4_addr_from_prefix(addr, &iface->ipv4[iface->ipv4_count]))
        return error_set(e, "interface %s: %s is not an address of a host", iface->name, text);
    if (net_is_local(n, &addr->addr) || net_ipv4_is_own(iface, ip_to_v4(&addr->addr)))
        return error_set(e, "interface %s: %s is an address of ours already", iface->name, text);
    if (net_route_add_direct(n, &network, iface->index, e) < 0)
        return error_prefix(e, "interface %s", iface->name);
    iface->ipv4_count++;
    return 0;
}

static struct net_ipv6 ipv6_of(const struct stack_iface_config *config)
{
    return (struct net_ipv6){
        .on = config->router_advertisements,
        .advertisements = config->router_advertisements,
        .mtu = config->mtu,
        .solicit_at = CLOCK_NEVER,
        .report_at = CLOCK_NEVER,
        .answer_at = CLOCK_NEVER,
    };
}

int net_iface_add(struct net *n, const struct stack_iface_config *config, clock_ns now,
                  struct error *e)
{
    struct net_iface *iface = &n->iface[n->iface_count];

    if (config_check(n, config, e) < 0)
        return -1;
    *iface = (struct net_iface){
        .index = (uint8_t)n->iface_count,
        .mtu = config->mtu,
        .vlan = config->vlan,
        .offloads = config->offloads,
        .tx_pool = config->tx_pool,
        .egress = config->egress,
        .punt = config->punt,
        .punt_ctx = config->punt_ctx,
        .follower = config->follower,
        .announce_at = CLOCK_NEVER,
        .ipv6 = ipv6_of(config),
    };
    snprintf(iface->name, sizeof iface->name, "%s", config->name);
    memcpy(iface->mac, config->mac, sizeof iface->mac);
    for (unsigned i = 0; i < config->addr_count; i++) {
        if (addr_add(n, iface, &config->addrs[i], e) < 0) {
            net_route_remove_direct(n, iface->index);
            return -1;
        }
    }
    if (iface->ipv6.on && iface->mtu < MTU_MIN_IPV6) {
        net_route_remove_direct(n, iface->index);
        return error_set(e, "interface %s: IPv6 needs an MTU of %u, not %u", iface->name,
                         MTU_MIN_IPV6, iface->mtu);
    }
    n->iface_count++;
    if (!iface->follower && iface->ipv4_count > 0)
        net_arp_announce(n, iface, now);
    if (iface->ipv6.on)
        net_addr6_begin(n, iface, now);
    return iface->index;
}

bool net_iface_on_link(const struct net_iface *iface, const struct ip_addr *addr)
{
    return ip_is_v4(addr) ? net_ipv4_on_link(iface, ip_to_v4(addr))
                          : net_addr6_on_link(iface, addr);
}

struct ip_addr net_iface_source(const struct net_iface *iface, const struct ip_addr *peer)
{
    uint32_t to = ip_to_v4(peer);

    assert(ip_is_v4(peer) && iface->ipv4_count > 0);
    for (unsigned i = 0; i < iface->ipv4_count; i++) {
        const struct net_ipv4_addr *a = &iface->ipv4[i];

        if (((a->addr ^ to) & a->mask) == 0)
            return ip_from_v4(a->addr);
    }
    return ip_from_v4(iface->ipv4[0].addr);
}

void net_iface_prepend(const struct net_iface *iface, struct rte_mbuf *m, const uint8_t *dst,
                       uint16_t type)
{
    static const uint8_t unresolved[6];
    uint16_t len = WIRE_ETHER_LEN + (iface->vlan != 0 ? WIRE_VLAN_LEN : 0);
    uint8_t *header = (uint8_t *)rte_pktmbuf_prepend(m, len);

    assert(header != NULL);
    if (dst == NULL)
        dst = unresolved;
    if (iface->vlan != 0)
        wire_ether_emit_tagged(header, dst, iface->mac, iface->vlan, type);
    else
        wire_ether_emit(header, dst, iface->mac, type);
    m->l2_len = len;
}

uint16_t net_vlan(const struct net *n, uint8_t iface)
{
    return n->iface[iface].vlan;
}

void net_iface_transmit(struct net *n, struct net_iface *iface, struct rte_mbuf *m,
                        struct net_place place)
{
    if (iface->punt != NULL && place.band == EGRESS_DATA && place.egress_class == 0)
        net_punt_sent(iface, m->pkt_len);
    net_iface_enqueue(n, iface, m, place);
}

void net_iface_enqueue(struct net *n, struct net_iface *iface, struct rte_mbuf *m,
                       struct net_place place)
{
    COUNTER_INC(n->counters->tx_packets);
    COUNTER_ADD(n->counters->tx_bytes, m->pkt_len);
    iface->egress.enqueue(iface->egress.ctx, m, (enum egress_band)place.band, place.egress_class);
}
