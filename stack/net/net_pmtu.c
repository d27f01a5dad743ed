/*
 * What paths are known to take (RFC 1191, RFC 8201): a bounded cache of destinations whose path
 * takes less than the link does. Nearly all are not in it.
 *
 * An entry goes ten minutes after it was last lowered (RFC 1191, 6.3; RFC 8201, 4): packets of the
 * link's size are tried again then. All entries live equally long, so a list in the order of the
 * last change is also the order in which they end, and its head is the one to displace when the
 * cache is full.
 *
 * Nobody is told of a change. Each one moves a generation on, and whoever keeps a path compares
 * that before it sends: so all connections to a destination learn what one of them was told, and
 * the millions that send nothing cost nothing.
 *
 * What is learned comes from ICMP. The transport has found the quoted segment to be one in flight,
 * but its peer may forge as many as it likes: the floor bounds what that does to others behind the
 * same address, and a limit how often the generation moves.
 */
#include <stdlib.h>

#include "stack/net/net_internal.h"

#define BUCKETS            (2 * NET_PMTU_MAX)
#define CHANGES_PER_SECOND 1000
#define CHANGES_BURST      200

struct net_pmtu {
    struct ip_addr dst;
    uint16_t mtu;
    clock_ns expires;
    struct net_pmtu *hash_next;
    TAILQ_ENTRY(net_pmtu) link;
};

int net_pmtu_init(struct net *n, const struct siphash_key *key)
{
    struct net_pmtus *t = &n->pmtus;

    t->key = *key;
    TAILQ_INIT(&t->list);
    t->bucket = calloc(BUCKETS, sizeof(struct net_pmtu *));
    if (t->bucket != NULL && pool_init(&t->pool, sizeof(struct net_pmtu), NET_PMTU_MAX) == 0)
        return 0;
    free(t->bucket);
    return -1;
}

void net_pmtu_fini(struct net *n)
{
    pool_fini(&n->pmtus.pool);
    free(n->pmtus.bucket);
}

static struct net_pmtu **pmtu_bucket(const struct net *n, const struct ip_addr *dst)
{
    return &n->pmtus.bucket[siphash(dst, sizeof *dst, &n->pmtus.key) % BUCKETS];
}

static struct net_pmtu *pmtu_find(const struct net *n, const struct ip_addr *dst)
{
    struct net_pmtu *e;

    if (TAILQ_EMPTY(&n->pmtus.list))
        return NULL;
    e = *pmtu_bucket(n, dst);
    while (e != NULL && !ip_equal(&e->dst, dst))
        e = e->hash_next;
    return e;
}

static void pmtu_remove(struct net *n, struct net_pmtu *e)
{
    struct net_pmtu **at = pmtu_bucket(n, &e->dst);

    while (*at != e)
        at = &(*at)->hash_next;
    *at = e->hash_next;
    TAILQ_REMOVE(&n->pmtus.list, e, link);
    pool_put(&n->pmtus.pool, e);
    n->pmtus.generation++;
}

static struct net_pmtu *pmtu_add(struct net *n, const struct ip_addr *dst)
{
    struct net_pmtu **bucket = pmtu_bucket(n, dst), *e = pool_get(&n->pmtus.pool);

    if (e == NULL) {
        pmtu_remove(n, TAILQ_FIRST(&n->pmtus.list));
        e = pool_get(&n->pmtus.pool);
    }
    e->dst = *dst;
    e->hash_next = *bucket;
    *bucket = e;
    TAILQ_INSERT_TAIL(&n->pmtus.list, e, link);
    return e;
}

uint16_t net_pmtu_of(const struct net *n, const struct net_path *path, const struct ip_addr *dst)
{
    const struct net_pmtu *e = pmtu_find(n, dst);

    return e != NULL && e->mtu < path->link_mtu ? e->mtu : path->link_mtu;
}

uint32_t net_pmtu_generation(const struct net *n)
{
    return n->pmtus.generation;
}

uint16_t net_pmtu_floor(const struct ip_addr *dst)
{
    return ip_is_v4(dst) ? NET_PMTU_MIN_V4 : NET_PMTU_MIN_V6;
}

uint16_t net_pmtu_claimed(uint32_t told, uint16_t quoted)
{
    /* RFC 1191, 7.1 */
    static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
    unsigned i = 0;

    if (told != 0)
        return told < UINT16_MAX ? (uint16_t)told : UINT16_MAX;
    while (i < RTE_DIM(plateaus) - 1 && plateaus[i] >= quoted)
        i++;
    return plateaus[i];
}

bool net_pmtu_learn(struct net *n, const struct net_path *path, const struct ip_addr *dst,
                    uint16_t mtu, clock_ns now)
{
    struct net_pmtu *e = pmtu_find(n, dst);
    uint16_t known = net_pmtu_of(n, path, dst);

    mtu = RTE_MAX(mtu, net_pmtu_floor(dst));
    if (mtu >= known)
        return false;
    if (!net_limit_pass(&n->pmtus.limit, now, CHANGES_PER_SECOND, CHANGES_BURST)) {
        COUNTER_INC(n->counters->pmtu_limited);
        return false;
    }
    if (e == NULL)
        e = pmtu_add(n, dst);
    e->mtu = mtu;
    e->expires = now + NET_PMTU_LIFE;
    TAILQ_REMOVE(&n->pmtus.list, e, link);
    TAILQ_INSERT_TAIL(&n->pmtus.list, e, link);
    n->pmtus.generation++;
    COUNTER_INC(n->counters->pmtu_lowered);
    return true;
}

void net_pmtu_timers(struct net *n, clock_ns now)
{
    struct net_pmtu *e;

    while ((e = TAILQ_FIRST(&n->pmtus.list)) != NULL && e->expires <= now)
        pmtu_remove(n, e);
}

clock_ns net_pmtu_deadline(const struct net *n)
{
    const struct net_pmtu *e = TAILQ_FIRST(&n->pmtus.list);

    return e != NULL ? e->expires : CLOCK_NEVER;
}
