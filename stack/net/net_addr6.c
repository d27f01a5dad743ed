/*
 * IPv6 addresses of an interface: how they come to be, whether they may be used, which to send
 * from.
 *
 *     added --> TENTATIVE --1 s without objection--> PREFERRED --lifetime--> DEPRECATED --> gone
 *                   | somebody has it
 *                   v
 *               DUPLICATE --60 s--> TENTATIVE (configured), or another one is made (link-local,
 *                                             advertised)
 *
 * A tentative address is not used, however optimistic one may be (RFC 4429 is not followed): two
 * stations with one address are worse than a second's wait. Packets to it are not for us yet.
 *
 * A duplicate is tried out again from time to time: the other station may have gone, and whoever
 * objects once, in the second after a start, shall not have taken the address away for good.
 *
 * Interface identifiers are opaque (RFC 7217): made from the secret, so that they say nothing of
 * the device, and so that a kernel which shares the device's Ethernet address, behind a TAP, has
 * another link-local address than we do. All workers share the secret and so have the same.
 */
#include <assert.h>

#include "stack/net/net_internal.h"

#define PROBES              1 /* RFC 4862, 5.1: DupAddrDetectTransmits */
#define PROBE_INTERVAL      (1 * CLOCK_SEC)
#define PROBE_DELAY_MAX     (250 * CLOCK_MS) /* RFC 4862, 5.4.2: a random one, up to a second */
#define PROBE_LEAD          (300 * CLOCK_MS)
#define ANNOUNCEMENTS       2
#define PROBE_AGAIN         (60 * CLOCK_SEC)   /* after somebody else had it */
#define IDENTIFIER_ATTEMPTS 3                  /* RFC 7217, 7 */
#define LIFETIME_FLOOR      (7200 * CLOCK_SEC) /* RFC 4862, 5.5.3 e */

bool net_addr6_is_host(const struct ip_addr *a)
{
    static const struct ip_addr loopback = {.b = {[15] = 1}};

    return !net_addr6_is_group(a) && !ip_is_unspecified(a) && !ip_equal(a, &loopback) &&
           !ip_is_v4(a);
}

static struct ip_prefix prefix_of(const struct net_addr6 *a)
{
    struct ip_prefix p = {a->addr, a->len};

    return ip_prefix_network(&p);
}

struct net_addr6 *net_addr6_find(struct net_iface *iface, const struct ip_addr *addr)
{
    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        if (ip_equal(&iface->ipv6.addr[i].addr, addr))
            return &iface->ipv6.addr[i];
    }
    return NULL;
}

bool net_addr6_usable(const struct net_addr6 *a)
{
    return a->state == NET_ADDR6_PREFERRED || a->state == NET_ADDR6_DEPRECATED;
}

bool net_addr6_awaited(const struct net_iface *iface)
{
    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        if (a->state == NET_ADDR6_TENTATIVE && !net_addr6_is_link_local(&a->addr))
            return true;
    }
    return false;
}

unsigned net_addr6_tentative(const struct net_iface *iface)
{
    unsigned count = 0;

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        count += a->state == NET_ADDR6_TENTATIVE && a->origin != NET_ADDR6_SLAAC;
    }
    return count;
}

bool net_addr6_is_own(const struct net_iface *iface, const struct ip_addr *addr)
{
    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        if (a->state != NET_ADDR6_DUPLICATE && ip_equal(&a->addr, addr))
            return true;
    }
    return false;
}

bool net_addr6_on_link(const struct net_iface *iface, const struct ip_addr *addr)
{
    const struct net_ipv6 *v6 = &iface->ipv6;

    if (!v6->on || !net_addr6_is_host(addr) || net_addr6_is_own(iface, addr))
        return false;
    if (net_addr6_is_link_local(addr))
        return true;
    for (unsigned i = 0; i < v6->addr_count; i++) {
        struct ip_prefix p = prefix_of(&v6->addr[i]);

        /* An advertised prefix is on the link only where the router says so (RFC 4861, 6.3.4). */
        if (v6->addr[i].origin == NET_ADDR6_CONFIGURED && ip_in_prefix(addr, &p))
            return true;
    }
    for (unsigned i = 0; i < v6->prefix_count; i++) {
        if (ip_in_prefix(addr, &v6->prefix[i].prefix))
            return true;
    }
    return false;
}

/* ---- source selection ---- */

static unsigned common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
    unsigned bits = 0;

    while (bits < 128 && ((a->b[bits / 8] ^ b->b[bits / 8]) >> (7 - bits % 8) & 1) == 0)
        bits++;
    return bits;
}

/* What RFC 6724 compares, the weightiest first, as one number. Unique local addresses go with
 * their like (its label 13 and the longest match say the same). */
static unsigned source_rank(const struct net_addr6 *a, const struct ip_addr *dst)
{
    bool scope = net_addr6_is_link_local(&a->addr) == net_addr6_is_link_local(dst);
    bool local = ((a->addr.b[0] ^ dst->b[0]) & 0xfe) == 0;
    bool unique = (a->addr.b[0] & 0xfe) == 0xfc || (dst->b[0] & 0xfe) == 0xfc;
    unsigned bits = common_bits(&a->addr, dst);

    return (unsigned)scope << 10 | (unsigned)(a->state == NET_ADDR6_PREFERRED) << 9 |
           (unsigned)(!unique || local) << 8 | RTE_MIN(bits, (unsigned)a->len);
}

bool net_addr6_source(const struct net_iface *iface, const struct ip_addr *dst, struct ip_addr *out)
{
    const struct net_addr6 *best = NULL;
    unsigned best_rank = 0;

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];
        unsigned rank = source_rank(a, dst);

        /* From a link-local address nothing comes back from further away (RFC 6724, rule 2). */
        if (!net_addr6_usable(a) || (net_addr6_is_link_local(&a->addr) &&
                                     !net_addr6_is_link_local(dst) && !net_addr6_is_group(dst)))
            continue;
        if (best == NULL || rank > best_rank) {
            best = a;
            best_rank = rank;
        }
    }
    if (best != NULL)
        *out = best->addr;
    return best != NULL;
}

/* ---- making ---- */

/* RFC 7217, 5: the same prefix on the same interface gives the same address, until that turns out
 * to be taken. */
static struct ip_addr opaque_addr(const struct net *n, const struct net_iface *iface,
                                  const struct ip_addr *prefix, uint8_t attempts)
{
    struct {
        uint64_t prefix;
        uint8_t mac[6];
        uint8_t attempts, iface;
        char purpose[8];
    } id = {.prefix = prefix->q[0], .attempts = attempts, .purpose = "RFC7217"};
    struct ip_addr a = {.q = {prefix->q[0]}};

    memcpy(id.mac, iface->mac, sizeof id.mac);
    id.iface = iface->index;
    a.q[1] = siphash(&id, sizeof id, &n->neighbours.key);
    return a;
}

/* The same for all workers, and not for all machines of a rack after a power failure. The worker
 * that asks for all adds PROBE_LEAD to it: workers start one after the other, and what it then
 * announces must be everybody's. */
static clock_ns probe_delay(const struct net *n, const struct ip_addr *addr)
{
    return siphash(addr, sizeof *addr, &n->neighbours.key) % PROBE_DELAY_MAX;
}

/* The address goes through duplicate address detection, from its begin. */
static void probe_begin(struct net *n, struct net_iface *iface, struct net_addr6 *a, clock_ns now)
{
    a->state = NET_ADDR6_TENTATIVE;
    a->probes = PROBES;
    a->announcements = 0;
    a->due = now + probe_delay(n, &a->addr) + (iface->follower ? 0 : PROBE_LEAD);
    net_mld_changed(iface, now);
}

static struct net_addr6 *addr_append(struct net_iface *iface, const struct ip_addr *addr,
                                     uint8_t len, enum net_addr6_origin origin)
{
    struct net_ipv6 *v6 = &iface->ipv6;
    struct net_addr6 *a;

    assert(v6->addr_count < NET_ADDR6_MAX);
    a = &v6->addr[v6->addr_count++];
    *a = (struct net_addr6){.addr = *addr,
                            .len = len,
                            .state = NET_ADDR6_TENTATIVE,
                            .origin = (uint8_t)origin,
                            .due = CLOCK_NEVER,
                            .preferred_until = CLOCK_NEVER,
                            .valid_until = CLOCK_NEVER};
    return a;
}

int net_addr6_add(struct net *n, struct net_iface *iface, const struct ip_prefix *addr,
                  struct error *e)
{
    struct ip_prefix network = ip_prefix_network(addr);
    char text[IP_TEXT_MAX];

    ip_prefix_format(addr, text);
    if (addr->len == 0 || !net_addr6_is_host(&addr->addr) || net_addr6_is_link_local(&addr->addr))
        return error_set(e, "interface %s: %s is not an address of a host", iface->name, text);
    if (net_is_local(n, &addr->addr) || net_addr6_is_own(iface, &addr->addr))
        return error_set(e, "interface %s: %s is an address of ours already", iface->name, text);
    if (net_route_add_direct(n, &network, iface->index, e) < 0)
        return error_prefix(e, "interface %s", iface->name);
    addr_append(iface, &addr->addr, addr->len, NET_ADDR6_CONFIGURED);
    iface->ipv6.on = true;
    return 0;
}

void net_addr6_begin(struct net *n, struct net_iface *iface, clock_ns now)
{
    static const struct ip_addr link_local = {.b = {0xfe, 0x80}};
    struct ip_addr own = opaque_addr(n, iface, &link_local, 0);

    addr_append(iface, &own, 64, NET_ADDR6_LINK_LOCAL);
    for (unsigned i = 0; i < iface->ipv6.addr_count; i++)
        probe_begin(n, iface, &iface->ipv6.addr[i], now);
}

/* ---- advertised prefixes ---- */

static clock_ns lifetime(uint32_t seconds, clock_ns now)
{
    return seconds == UINT32_MAX ? CLOCK_NEVER : now + seconds * CLOCK_SEC;
}

/* Nobody can end an address at once by a forged advertisement (RFC 4862, 5.5.3 e), and other
 * stations than the one that it is from cannot shorten its life at all. */
static void advertised_again(struct net_addr6 *a, const uint8_t station[6],
                             const struct wire_nd_prefix *p, clock_ns now)
{
    clock_ns valid = lifetime(p->valid, now), preferred = lifetime(p->preferred, now);
    bool own = net_ra_may_change(a->station, &a->heard, station, now);

    if (own || preferred > a->preferred_until)
        a->preferred_until = preferred;
    if (valid > a->valid_until || (own && valid >= now + LIFETIME_FLOOR))
        a->valid_until = valid;
    else if (own && a->valid_until > now + LIFETIME_FLOOR)
        a->valid_until = now + LIFETIME_FLOOR;
    if (a->state == NET_ADDR6_DEPRECATED && a->preferred_until > now)
        a->state = NET_ADDR6_PREFERRED;
}

bool net_addr6_advertised(struct net *n, struct net_iface *iface, const uint8_t station[6],
                          const struct wire_nd_prefix *p, clock_ns now)
{
    unsigned made = 0, by_station = 0;
    struct ip_addr own;
    struct net_addr6 *a;

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        a = &iface->ipv6.addr[i];
        if (a->origin != NET_ADDR6_SLAAC)
            continue;
        made++;
        by_station += memcmp(a->station, station, sizeof a->station) == 0;
        if (ip_in_prefix(&a->addr, &p->prefix)) {
            advertised_again(a, station, p, now);
            return true;
        }
    }
    own = opaque_addr(n, iface, &p->prefix.addr, 0);
    if (p->valid == 0 || net_is_local(n, &own))
        return true;
    if (made == NET_ADDR6_ADVERTISED || by_station == NET_ADDR6_STATION)
        return false;
    a = addr_append(iface, &own, 64, NET_ADDR6_SLAAC);
    memcpy(a->station, station, sizeof a->station);
    a->heard = now;
    a->preferred_until = lifetime(p->preferred, now);
    a->valid_until = lifetime(p->valid, now);
    probe_begin(n, iface, a, now);
    return true;
}

/* ---- conflicts ---- */

/* What was configured and is not to be had is an error; it is told once for each time that it is
 * tried out, and so needs no limit. */
static void conflict_log(struct net *n, const struct net_iface *iface, const struct net_addr6 *a,
                         const uint8_t mac[6], clock_ns now)
{
    char text[IP_TEXT_MAX];
    bool tentative = a->state == NET_ADDR6_TENTATIVE;
    bool lost = tentative && a->origin == NET_ADDR6_CONFIGURED;
    uint32_t suppressed = 0;

    COUNTER_INC(n->counters->nd_conflicts);
    if (iface->follower || (!lost && !log_limit_pass(&n->conflict_log, now, &suppressed)))
        return;
    log_write(lost ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "nd",
              "%s: our address %s is also used by %02x:%02x:%02x:%02x:%02x:%02x%s "
              "(%u such lines left out)",
              iface->name, ip_format(&a->addr, text), mac[0], mac[1], mac[2], mac[3], mac[4],
              mac[5], tentative ? ": it is not used here" : "", suppressed);
}

void net_addr6_conflict(struct net *n, struct net_iface *iface, struct net_addr6 *a,
                        const uint8_t mac[6], clock_ns now)
{
    conflict_log(n, iface, a, mac, now);
    if (a->state != NET_ADDR6_TENTATIVE)
        return; /* it was ours first */
    a->state = NET_ADDR6_DUPLICATE;
    a->due = now + PROBE_AGAIN;
    if (a->origin == NET_ADDR6_CONFIGURED || a->attempts == IDENTIFIER_ATTEMPTS)
        return;
    a->attempts++;
    a->addr = opaque_addr(n, iface, &a->addr, a->attempts);
    probe_begin(n, iface, a, now);
}

/* ---- time ---- */

static void became_ours(struct net *n, struct net_iface *iface, struct net_addr6 *a, clock_ns now)
{
    char text[IP_TEXT_MAX];

    (void)n;
    a->state = a->preferred_until > now ? NET_ADDR6_PREFERRED : NET_ADDR6_DEPRECATED;
    a->announcements = ANNOUNCEMENTS;
    if (!iface->follower)
        log_info("nd", "%s: %s is ours, nobody else has it", iface->name,
                 ip_format(&a->addr, text));
    if (a->origin == NET_ADDR6_LINK_LOCAL)
        net_ra_begin(iface, now);
}

/* The next probe, or its silence; then the announcements, which are for switches and caches. */
static void addr_step(struct net *n, struct net_iface *iface, struct net_addr6 *a, clock_ns now)
{
    if (a->state == NET_ADDR6_DUPLICATE) {
        probe_begin(n, iface, a, now);
        a->due += PROBE_INTERVAL;      /* so that all workers listen before the leader asks */
        net_mld_timers(n, iface, now); /* whose turn it has been in this round */
        return;
    }
    if (a->state == NET_ADDR6_TENTATIVE && a->probes > 0) {
        a->probes--;
        a->due = now + PROBE_INTERVAL;
        if (!iface->follower)
            net_nd_probe(n, iface, &a->addr);
        return;
    }
    if (a->state == NET_ADDR6_TENTATIVE)
        became_ours(n, iface, a, now);
    if (!iface->follower)
        net_nd_announce(n, iface, &a->addr);
    a->announcements--;
    a->due = a->announcements > 0 ? now + PROBE_INTERVAL : CLOCK_NEVER;
}

static void addr_remove(struct net_iface *iface, unsigned i)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    memmove(&v6->addr[i], &v6->addr[i + 1], (v6->addr_count - i - 1) * sizeof v6->addr[0]);
    v6->addr_count--;
}

void net_addr6_timers(struct net *n, struct net_iface *iface, clock_ns now)
{
    struct net_ipv6 *v6 = &iface->ipv6;

    for (unsigned i = 0; i < v6->addr_count;) {
        struct net_addr6 *a = &v6->addr[i];

        if (a->valid_until <= now) {
            addr_remove(iface, i);
            continue;
        }
        if (a->due <= now)
            addr_step(n, iface, a, now);
        if (a->state == NET_ADDR6_PREFERRED && a->preferred_until <= now)
            a->state = NET_ADDR6_DEPRECATED;
        i++;
    }
}

clock_ns net_addr6_deadline(const struct net_iface *iface)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < iface->ipv6.addr_count; i++) {
        const struct net_addr6 *a = &iface->ipv6.addr[i];

        next = RTE_MIN(next, RTE_MIN(a->due, a->valid_until));
        if (a->state == NET_ADDR6_PREFERRED)
            next = RTE_MIN(next, a->preferred_until);
    }
    return next;
}
