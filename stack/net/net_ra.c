/*
 * What routers advertise (RFC 4861, 6.3; RFC 4862, 5.5): default routers, prefixes of the link and
 * for addresses, the MTU. Only where the configuration asks for it: an advertisement needs no
 * proof, and who trusts one gives its traffic to whoever sends it.
 *
 * All of it ends with its lifetime. What is configured comes first: default routers count where no
 * route leads on, and a prefix that is configured stays as it is. The hop limit is not taken: a low
 * one would cut every connection, and 64 is right everywhere.
 */
#include "stack/net/net_internal.h"

#define SOLICITATIONS      3 /* RFC 4861, 10 */
#define SOLICITATION_EVERY (4 * CLOCK_SEC)
#define MTU_MIN            1280 /* RFC 8200, 5 */

static clock_ns lifetime(uint32_t seconds, clock_ns now)
{
    return seconds == UINT32_MAX ? CLOCK_NEVER : now + seconds * CLOCK_SEC;
}

/* ---- default routers ---- */

static void router_remove(struct net_ipv6 *v6, unsigned i)
{
    v6->router[i] = v6->router[--v6->router_count];
}

static void router_heard(struct net_iface *iface, const struct ip_addr *addr,
                         const struct wire_nd_router *ra, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    unsigned i = 0;

    while (i < v6->router_count && !ip_equal(&v6->router[i].addr, addr))
        i++;
    if (ra->lifetime == 0) {
        if (i < v6->router_count)
            router_remove(v6, i);
        return;
    }
    if (i == NET_RA_ROUTERS)
        return; /* two are worth having (RFC 4861, 6.3.4); the rest may be anybody */
    if (i == v6->router_count)
        v6->router_count++;
    v6->router[i] = (struct net_ra_router){*addr, now + ra->lifetime * CLOCK_SEC, ra->preference};
}

void net_ra_router_gone(struct net_iface *iface, const struct ip_addr *router)
{
    for (unsigned i = 0; i < iface->ipv6.router_count; i++) {
        if (ip_equal(&iface->ipv6.router[i].addr, router)) {
            router_remove(&iface->ipv6, i);
            return;
        }
    }
}

/* One that does not answer only when there is no other (RFC 4861, 6.3.6); then by preference (RFC
 * 4191). */
const struct net_ra_router *net_ra_default(const struct net *n, uint8_t *iface)
{
    const struct net_ra_router *best = NULL;
    int best_rank = 0;

    for (unsigned i = 0; i < n->iface_count; i++) {
        const struct net_ipv6 *v6 = &n->iface[i].ipv6;

        for (unsigned k = 0; k < v6->router_count; k++) {
            const struct net_ra_router *r = &v6->router[k];
            int rank = r->preference + (net_neighbour_silent(n, (uint8_t)i, &r->addr) ? 0 : 3);

            if (best != NULL && rank <= best_rank)
                continue;
            best = r;
            best_rank = rank;
            *iface = (uint8_t)i;
        }
    }
    return best;
}

/* ---- prefixes ---- */

static void prefix_remove(struct net *n, struct net_iface *iface, unsigned i)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    net_route_withdraw(n, &v6->prefix[i].prefix, iface->index);
    v6->prefix[i] = v6->prefix[--v6->prefix_count];
}

static void prefix_on_link(struct net *n, struct net_iface *iface, const struct wire_nd_prefix *p,
                           clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    unsigned i = 0;

    while (i < v6->prefix_count && (v6->prefix[i].prefix.len != p->prefix.len ||
                                    !ip_equal(&v6->prefix[i].prefix.addr, &p->prefix.addr)))
        i++;
    if (p->valid == 0) {
        if (i < v6->prefix_count)
            prefix_remove(n, iface, i);
        return;
    }
    if (i == NET_RA_PREFIXES ||
        (i == v6->prefix_count && net_route_advertise(n, &p->prefix, iface->index) < 0))
        return; /* too many, or reached another way already */
    if (i == v6->prefix_count)
        v6->prefix_count++;
    v6->prefix[i] = (struct net_ra_prefix){p->prefix, lifetime(p->valid, now)};
}

static void prefix_heard(struct net *n, struct net_iface *iface, const struct wire_nd_prefix *p,
                         clock_ns now)
{
    if (net_addr6_is_link_local(&p->prefix.addr) || net_addr6_is_group(&p->prefix.addr) ||
        p->prefix.len < NET_RA_PREFIX_MIN || ip_is_v4(&p->prefix.addr))
        return;
    if (p->on_link)
        prefix_on_link(n, iface, p, now);
    if (p->autonomous && p->prefix.len == 64)
        net_addr6_advertised(n, iface, p, now);
}

/* ---- advertisements ---- */

void net_ra_input(struct net *n, struct net_iface *iface, const struct ip_addr *router,
                  const struct wire_nd_router *ra, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    COUNTER_INC(n->counters->nd_router_advertisements);
    v6->solicit_at = CLOCK_NEVER;
    if (ra->has_mac)
        net_neighbour_told(n, iface, router, ra->mac, now);
    router_heard(iface, router, ra, now);
    if (ra->mtu >= MTU_MIN && ra->mtu <= iface->mtu)
        v6->mtu = (uint16_t)ra->mtu;
    for (unsigned i = 0; i < ra->prefix_count; i++)
        prefix_heard(n, iface, &ra->prefix[i], now);
}

/* ---- solicitations, and time ---- */

void net_ra_begin(struct net_iface *iface, clock_ns now)
{
    if (!iface->ipv6.advertisements || iface->follower)
        return;
    iface->ipv6.solicitations = SOLICITATIONS;
    iface->ipv6.solicit_at = now;
}

static void solicit(struct net *n, struct net_iface *iface)
{
    struct net_nd_frame to = {.dst = {.b = {0xff, 2, [15] = 2}}, .hop_limit = WIRE_ND_HOP_LIMIT};
    struct rte_mbuf *m;
    uint8_t *out;

    if (!net_addr6_source(iface, &to.dst, &to.src))
        return;
    m = net_nd_message(n, iface, WIRE_ND_ROUTER_SOLICITATION_LEN, &out);
    if (m == NULL)
        return;
    wire_nd_router_solicitation_emit(iface->mac, out);
    net_nd_send(n, iface, &to, m);
}

void net_ra_timers(struct net *n, struct net_iface *iface, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    if (v6->solicit_at <= now) {
        solicit(n, iface);
        v6->solicitations--;
        v6->solicit_at = v6->solicitations > 0 ? now + SOLICITATION_EVERY : CLOCK_NEVER;
    }
    for (unsigned i = v6->router_count; i-- > 0;) {
        if (v6->router[i].until <= now)
            router_remove(v6, i);
    }
    for (unsigned i = v6->prefix_count; i-- > 0;) {
        if (v6->prefix[i].until <= now)
            prefix_remove(n, iface, i);
    }
}

clock_ns net_ra_deadline(const struct net_iface *iface)
{
    const struct net_ipv6 *v6 = &iface->ipv6;
    clock_ns next = v6->solicit_at;

    for (unsigned i = 0; i < v6->router_count; i++)
        next = RTE_MIN(next, v6->router[i].until);
    for (unsigned i = 0; i < v6->prefix_count; i++)
        next = RTE_MIN(next, v6->prefix[i].until);
    return next;
}
