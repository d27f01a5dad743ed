/*
 * Routes: the networks that interfaces are attached to, and configured ones through a gateway on
 * such a network. A proxy has a handful, looked up once a connection, so an array in the order of
 * the longest prefix, searched from the front, is the fastest table there is.
 */
#include <stdlib.h>

#include "stack/net/net_internal.h"

static const struct net_route *route_exact(const struct net *n, const struct ip_prefix *to)
{
    for (unsigned i = 0; i < n->routes.count; i++) {
        const struct net_route *r = &n->routes.entry[i];

        if (r->to.len == to->len && ip_equal(&r->to.addr, &to->addr))
            return r;
    }
    return NULL;
}

static int route_insert(struct net *n, const struct net_route *route, struct error *e)
{
    struct net_routes *t = &n->routes;
    struct net_route *entry = realloc(t->entry, (t->count + 1) * sizeof *entry);
    unsigned at = 0;

    if (entry == NULL)
        return error_set(e, "out of memory for routes");
    t->entry = entry;
    while (at < t->count && entry[at].to.len >= route->to.len)
        at++;
    memmove(&entry[at + 1], &entry[at], (t->count - at) * sizeof *entry);
    entry[at] = *route;
    t->count++;
    return 0;
}

int net_route_add_direct(struct net *n, const struct ip_prefix *network, uint8_t iface,
                         struct error *e)
{
    const struct net_route *known = route_exact(n, network);
    struct net_route route = {.to = *network, .direct = true, .iface = iface};
    char text[IP_TEXT_MAX];

    if (known == NULL)
        return route_insert(n, &route, e);
    if (known->direct && known->iface == iface)
        return 0;
    return error_set(e, "%s is reached another way already", ip_prefix_format(network, text));
}

/* Does the configuration say where the network lies? A route for half of the world does not. */
static bool route_covers(const struct net *n, const struct ip_prefix *network)
{
    for (unsigned i = 0; i < n->routes.count; i++) {
        const struct net_route *r = &n->routes.entry[i];

        if (!r->advertised && r->to.len >= NET_RA_PREFIX_MIN && r->to.len <= network->len &&
            ip_in_prefix(&network->addr, &r->to))
            return true;
    }
    return false;
}

int net_route_advertise(struct net *n, const struct ip_prefix *network, uint8_t iface)
{
    const struct net_route route = {
        .to = *network, .direct = true, .advertised = true, .iface = iface};

    if (route_exact(n, network) != NULL || route_covers(n, network))
        return -1;
    return route_insert(n, &route, NULL);
}

void net_route_withdraw(struct net *n, const struct ip_prefix *network, uint8_t iface)
{
    struct net_routes *t = &n->routes;

    for (unsigned i = 0; i < t->count; i++) {
        const struct net_route *r = &t->entry[i];

        if (r->advertised && r->iface == iface && r->to.len == network->len &&
            ip_equal(&r->to.addr, &network->addr)) {
            memmove(&t->entry[i], &t->entry[i + 1], (t->count - i - 1) * sizeof t->entry[0]);
            t->count--;
            return;
        }
    }
}

void net_route_remove_direct(struct net *n, uint8_t iface)
{
    struct net_routes *t = &n->routes;
    unsigned kept = 0;

    for (unsigned i = 0; i < t->count; i++) {
        if (!t->entry[i].direct || t->entry[i].iface != iface)
            t->entry[kept++] = t->entry[i];
    }
    t->count = kept;
}

int net_route_add(struct net *n, const struct stack_route *route, struct error *e)
{
    const struct net_route *to_gateway = net_route_find(n, &route->via);
    struct net_route r = {.to = ip_prefix_network(&route->to), .via = route->via};
    char to[IP_TEXT_MAX], via[IP_TEXT_MAX];
    struct net_route link;

    ip_prefix_format(&route->to, to);
    ip_format(&route->via, via);
    if (ip_is_v4(&route->via) != (ip_is_v4(&route->to.addr) && route->to.len >= 96))
        return error_set(e, "route to %s via %s: one is IPv4, the other IPv6", to, via);
    if (net_addr6_is_link_local(&route->via)) {
        link = (struct net_route){.direct = true, .iface = (uint8_t)route->iface};
        to_gateway = route->iface < n->iface_count ? &link : NULL;
    }
    if (to_gateway == NULL || !to_gateway->direct ||
        !net_iface_on_link(&n->iface[to_gateway->iface], &route->via))
        return error_set(e, "route to %s: %s is not a host on an interface's network", to, via);
    if (route_exact(n, &r.to) != NULL)
        return error_set(e, "route to %s via %s: there is one already", to, via);
    r.iface = to_gateway->iface;
    return route_insert(n, &r, e);
}

const struct net_route *net_route_find(const struct net *n, const struct ip_addr *dst)
{
    for (unsigned i = 0; i < n->routes.count; i++) {
        if (ip_in_prefix(dst, &n->routes.entry[i].to))
            return &n->routes.entry[i];
    }
    return NULL;
}

void net_route_free(struct net *n)
{
    free(n->routes.entry);
    n->routes = (struct net_routes){0};
}
