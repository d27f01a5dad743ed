#include <assert.h>

#include "stack/net/net_internal.h"

#define FLOW_LABEL_BITS 0x000fffff

static struct net_path path_on(const struct net_iface *iface, const struct ip_addr *next_hop)
{
    bool v4 = ip_is_v4(next_hop);

    return (struct net_path){
        .iface = iface->index,
        .link_mtu = v4 ? iface->mtu : iface->ipv6.mtu,
        .offloads = iface->offloads,
        .next_hop = *next_hop,
        .tx_pool = iface->tx_pool,
    };
}

/* IPv6 chooses the source by the destination itself (RFC 6724, 5), and may have none yet. */
static int path_source(const struct net *n, const struct ip_addr *dst, struct net_path *out)
{
    const struct net_iface *iface = &n->iface[out->iface];

    out->mtu = net_pmtu_of(n, out, dst);
    if (!ip_is_v4(dst))
        return net_addr6_source(iface, dst, &out->src) ? 0 : -1;
    out->src = net_iface_source(iface, &out->next_hop);
    return 0;
}

/* Where no route leads on, a router that advertises itself may. */
static int path_by_router(const struct net *n, const struct ip_addr *dst, struct net_path *out)
{
    uint8_t iface;
    const struct ip_addr *router = net_ra_default(n, &iface);

    if (router == NULL)
        return -1;
    *out = path_on(&n->iface[iface], router);
    out->wanted = true;
    return path_source(n, dst, out);
}

int net_path_find(const struct net *n, const struct ip_addr *dst, struct net_path *out)
{
    const struct net_route *route = net_route_find(n, dst);
    bool v4 = ip_is_v4(dst);
    const struct net_iface *iface;

    if (v4 ? !net_ipv4_is_host(ip_to_v4(dst))
           : !net_addr6_is_host(dst) || net_addr6_is_link_local(dst))
        return -1;
    if (net_is_local(n, dst))
        return -1;
    if (route == NULL)
        return v4 ? -1 : path_by_router(n, dst, out);
    iface = &n->iface[route->iface];
    if (route->direct && !net_iface_on_link(iface, dst))
        return -1;
    *out = path_on(iface, route->direct ? dst : &route->via);
    out->wanted = !route->direct;
    return path_source(n, dst, out);
}

bool net_path_awaited(const struct net *n, const struct ip_addr *dst)
{
    const struct net_route *route = ip_is_v4(dst) ? NULL : net_route_find(n, dst);

    return route != NULL && net_addr6_awaited(&n->iface[route->iface]);
}

int net_path_back(const struct net *n, const struct packet *p, struct net_path *out)
{
    if (ip_is_v4(&p->src) || !net_addr6_is_link_local(&p->src))
        return net_path_find(n, &p->src, out);
    *out = path_on(&n->iface[p->iface], &p->src);
    return path_source(n, &p->src, out);
}

void net_path_label(const struct net *n, struct net_path *path, const struct ip_endpoint *local,
                    const struct ip_endpoint *remote)
{
    struct {
        struct ip_addr local, remote;
        uint16_t local_port, remote_port;
    } __attribute__((packed)) id = {local->addr, remote->addr, local->port, remote->port};

    path->flow_label = 0;
    if (ip_is_v4(&remote->addr))
        return;
    path->flow_label = (uint32_t)siphash(&id, sizeof id, &n->neighbours.key) & FLOW_LABEL_BITS;
    if (path->flow_label == 0) /* which would say that there is none */
        path->flow_label = 1;
}

void net_path_confirm(struct net *n, const struct net_path *path, clock_ns now)
{
    assert(path->iface < n->iface_count);
    net_neighbour_confirmed(n, path->iface, &path->next_hop, now);
}
