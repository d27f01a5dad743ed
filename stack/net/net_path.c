#include <assert.h>

#include "stack/net/net_internal.h"

int net_path_find(const struct net *n, const struct ip_addr *dst, struct net_path *out)
{
    const struct net_route *route = net_route_find(n, dst);
    const struct net_iface *iface;

    if (route == NULL || !net_ipv4_is_host(ip_to_v4(dst)) || net_is_local(n, dst))
        return -1;
    iface = &n->iface[route->iface];
    if (route->direct && !net_ipv4_on_link(iface, ip_to_v4(dst)))
        return -1;
    *out = (struct net_path){
        .iface = iface->index,
        .link_mtu = iface->mtu,
        .offloads = iface->offloads,
        .next_hop = route->direct ? *dst : route->via,
        .tx_pool = iface->tx_pool,
    };
    out->mtu = net_pmtu_of(n, out, dst);
    out->src = net_iface_source(iface, &out->next_hop);
    return 0;
}

void net_path_confirm(struct net *n, const struct net_path *path, clock_ns now)
{
    assert(path->iface < n->iface_count);
    net_neighbour_confirmed(n, path->iface, &path->next_hop, now);
}
