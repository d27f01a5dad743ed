/*
 * What routers advertise (RFC 4861, 6.3; RFC 4862, 5.5): default routers, prefixes of the link and
 * for addresses, the MTU. Only where the configuration asks for it: an advertisement needs no
 * proof, and who trusts one gives its traffic to whoever sends it (RFC 6104).
 *
 * All of it ends with its lifetime. What is configured comes first: default routers count where no
 * route leads on, and a prefix that is configured stays as it is. The hop limit is not taken: a low
 * one would cut every connection, and 64 is right everywhere.
 *
 * One station can neither fill the tables nor end what another one advertises. It is told by its
 * Ethernet address, of which switches that do not guard advertisements (RFC 6105) still bound how
 * many a port may have: it is one router, with so many prefixes, and nobody else withdraws them.
 * Who came first stays, however many come. Only one that does not answer, or has not been heard of
 * for longer than a router may be silent, gives way to a new one.
 */
#include "stack/net/net_internal.h"

#define SOLICITATIONS      3 /* RFC 4861, 10 */
#define SOLICITATION_EVERY (4 * CLOCK_SEC)
#define MTU_MIN            1280               /* RFC 8200, 5 */
#define OVERDUE            (5400 * CLOCK_SEC) /* three times the longest interval: RFC 4861, 6.2.1 */

static clock_ns lifetime(uint32_t seconds, clock_ns now)
{
    return seconds == UINT32_MAX ? CLOCK_NEVER : now + seconds * CLOCK_SEC;
}

static bool same_station(const uint8_t a[6], const uint8_t b[6])
{
    return memcmp(a, b, 6) == 0;
}

bool net_ra_may_change(uint8_t owner[6], clock_ns *heard, const uint8_t from[6], clock_ns now)
{
    if (!same_station(owner, from) && now - *heard < OVERDUE)
        return false;
    memcpy(owner, from, 6);
    *heard = now;
    return true;
}

/* What is not believed of an advertisement; `what` says why. */
static void refuse(struct net *n, const struct net_iface *iface, const struct net_ra_source *from,
                   const char *what, clock_ns now)
{
    const uint8_t *mac = from->mac;
    char text[IP_TEXT_MAX];
    uint32_t suppressed;

    COUNTER_INC(n->counters->nd_router_refused);
    if (iface->follower || !log_limit_pass(&n->ra_log, now, &suppressed))
        return;
    log_warn("nd",
             "%s: router %s, at %02x:%02x:%02x:%02x:%02x:%02x, is not believed: %s "
             "(%u such lines left out)",
             iface->name, ip_format(&from->addr, text), mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5], what, suppressed);
}

/* ---- default routers ---- */

static void router_remove(struct net_ipv6 *v6, unsigned i)
{
    v6->router[i] = v6->router[--v6->router_count];
}

/* Its index; router_count: it is not there. */
static unsigned router_find(const struct net_ipv6 *v6, const struct ip_addr *addr)
{
    unsigned i = 0;

    while (i < v6->router_count && !ip_equal(&v6->router[i].source.addr, addr))
        i++;
    return i;
}

/* The place for a new router, or NULL: two are worth having (RFC 4861, 6.3.4), and of those that
 * there are each may be the right one. */
static struct net_ra_router *router_place(const struct net *n, struct net_iface *iface,
                                          const struct net_ra_source *from, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    struct net_ra_router *missed_least = NULL;

    for (unsigned i = 0; i < v6->router_count; i++) {
        struct net_ra_router *r = &v6->router[i];

        if (same_station(r->source.mac, from->mac))
            return r; /* it has another address now */
        if (now - r->heard >= OVERDUE || net_neighbour_silent(n, iface->index, &r->source.addr))
            missed_least = r;
    }
    return v6->router_count < NET_RA_ROUTERS ? &v6->router[v6->router_count++] : missed_least;
}

static void router_heard(struct net *n, struct net_iface *iface, const struct net_ra_source *from,
                         const struct wire_nd_router *ra, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    unsigned i = router_find(v6, &from->addr);
    bool known = i < v6->router_count;
    struct net_ra_router *r = known ? &v6->router[i] : NULL;

    if (known && !net_ra_may_change(r->source.mac, &r->heard, from->mac, now)) {
        if (ra->lifetime == 0)
            refuse(n, iface, from, "another station is the router of this address", now);
        r->until = RTE_MAX(r->until, now + ra->lifetime * CLOCK_SEC);
        return;
    }
    if (ra->lifetime == 0) {
        if (known)
            router_remove(v6, i);
        return;
    }
    if (!known) {
        r = router_place(n, iface, from, now);
        if (r == NULL) {
            refuse(n, iface, from, "there are enough routers", now);
            return;
        }
        r->source = *from;
        r->heard = now;
    }
    r->until = now + ra->lifetime * CLOCK_SEC;
    r->preference = ra->preference;
}

void net_ra_router_gone(struct net_iface *iface, const struct ip_addr *router)
{
    unsigned i = router_find(&iface->ipv6, router);

    if (i < iface->ipv6.router_count)
        router_remove(&iface->ipv6, i);
}

/* One that does not answer only when there is no other (RFC 4861, 6.3.6); then by preference (RFC
 * 4191). */
const struct ip_addr *net_ra_default(const struct net *n, uint8_t *iface)
{
    const struct ip_addr *best = NULL;
    int best_rank = 0;

    for (unsigned i = 0; i < n->iface_count; i++) {
        const struct net_ipv6 *v6 = &n->iface[i].ipv6;

        for (unsigned k = 0; k < v6->router_count; k++) {
            const struct net_ra_router *r = &v6->router[k];
            bool silent = net_neighbour_silent(n, (uint8_t)i, &r->source.addr);
            int rank = r->preference + (silent ? 0 : 3);

            if (best != NULL && rank <= best_rank)
                continue;
            best = &r->source.addr;
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

/* Makes room for a prefix of the station. Returns false when it has enough of them, or all have. */
static bool prefix_room(struct net *n, struct net_iface *iface, const uint8_t station[6],
                        clock_ns now)
{
    const struct net_ipv6 *v6 = &iface->ipv6;
    unsigned by_station = 0, overdue = NET_RA_PREFIXES;

    for (unsigned i = 0; i < v6->prefix_count; i++) {
        by_station += same_station(v6->prefix[i].station, station);
        if (now - v6->prefix[i].heard >= OVERDUE)
            overdue = i;
    }
    if (by_station == NET_RA_STATION)
        return false;
    if (v6->prefix_count < NET_RA_PREFIXES)
        return true;
    if (overdue == NET_RA_PREFIXES)
        return false;
    prefix_remove(n, iface, overdue);
    return true;
}

/* Returns what is wrong with it, or NULL. */
static const char *prefix_new(struct net *n, struct net_iface *iface, const uint8_t station[6],
                              const struct wire_nd_prefix *p, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    struct net_ra_prefix new = {
        .prefix = p->prefix, .until = lifetime(p->valid, now), .heard = now};

    if (p->valid == 0)
        return NULL;
    if (!prefix_room(n, iface, station, now))
        return "it has too many prefixes, or all routers have";
    if (net_route_advertise(n, &p->prefix, iface->index) < 0)
        return NULL; /* reached another way already */
    memcpy(new.station, station, sizeof new.station);
    v6->prefix[v6->prefix_count++] = new;
    return NULL;
}

static const char *prefix_on_link(struct net *n, struct net_iface *iface, const uint8_t station[6],
                                  const struct wire_nd_prefix *p, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    struct net_ra_prefix *known;
    unsigned i = 0;

    while (i < v6->prefix_count && (v6->prefix[i].prefix.len != p->prefix.len ||
                                    !ip_equal(&v6->prefix[i].prefix.addr, &p->prefix.addr)))
        i++;
    if (i == v6->prefix_count)
        return prefix_new(n, iface, station, p, now);
    known = &v6->prefix[i];
    if (!net_ra_may_change(known->station, &known->heard, station, now)) {
        known->until = RTE_MAX(known->until, lifetime(p->valid, now));
        return p->valid == 0 ? "it withdraws another station's prefix" : NULL;
    }
    known->until = lifetime(p->valid, now);
    if (p->valid == 0)
        prefix_remove(n, iface, i);
    return NULL;
}

static void prefix_heard(struct net *n, struct net_iface *iface, const struct net_ra_source *from,
                         const struct wire_nd_prefix *p, clock_ns now)
{
    const char *wrong = NULL;

    if (net_addr6_is_link_local(&p->prefix.addr) || net_addr6_is_group(&p->prefix.addr) ||
        p->prefix.len < NET_RA_PREFIX_MIN || ip_is_v4(&p->prefix.addr))
        return;
    if (p->on_link)
        wrong = prefix_on_link(n, iface, from->mac, p, now);
    if (p->autonomous && p->prefix.len == 64 &&
        !net_addr6_advertised(n, iface, from->mac, p, now) && wrong == NULL)
        wrong = "there are enough addresses";
    if (wrong != NULL)
        refuse(n, iface, from, wrong, now);
}

/* ---- advertisements ---- */

void net_ra_input(struct net *n, struct net_iface *iface, const struct net_ra_source *from,
                  const struct wire_nd_router *ra, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    COUNTER_INC(n->counters->nd_router_advertisements);
    v6->solicit_at = CLOCK_NEVER;
    if (ra->has_mac)
        net_neighbour_told(n, iface, &from->addr, ra->mac, now);
    router_heard(n, iface, from, ra, now);
    if (ra->mtu >= MTU_MIN && ra->mtu <= iface->mtu)
        v6->mtu = (uint16_t)ra->mtu;
    for (unsigned i = 0; i < ra->prefix_count; i++)
        prefix_heard(n, iface, from, &ra->prefix[i], now);
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
