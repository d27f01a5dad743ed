/*
 * The entries of the neighbour table, and how many there may be.
 *
 * The time an entry may stay in a state depends on the state alone, so each state keeps its
 * entries in a list by the time of entry (RESOLVED by the time of last use): the head is the next
 * that is due, and the first to be evicted. No timer per entry is needed.
 *
 * The table is bounded, and others can make us fill it: by packets from many addresses of a network
 * of ours, there or forged (RFC 6583). So there are two kinds of neighbours. Those that we want are
 * gateways, and peers of connections that we open, of which the configuration bounds how many there
 * are. All others are strangers, who have at most three quarters of the table. What bounds there
 * are, of entries without an answer and of packets that wait, each kind has for itself, and room
 * for a stranger is made among strangers: the newest displaces the one asked longest ago, as what
 * is there answers within a millisecond and stays; those who only asked for us, and those with whom
 * TCP got nowhere, go before those that carry traffic.
 */
#include "stack/net/net_neighbour.h"

#include <stdlib.h>

#define BUCKETS            (2 * NET_NEIGHBOUR_MAX)
#define UNCONFIRMED_SEARCH 64 /* entries looked at */

int net_neighbour_init(struct net *n, const struct siphash_key *key)
{
    struct net_neighbours *t = &n->neighbours;

    t->key = *key;
    for (unsigned k = 0; k < NET_NEIGHBOUR_KINDS; k++) {
        for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++)
            TAILQ_INIT(&t->kind[k].list[i]);
    }
    t->bucket = calloc(BUCKETS, sizeof *t->bucket);
    if (t->bucket == NULL)
        return -1;
    if (pool_init(&t->pool, sizeof(struct net_neighbour), NET_NEIGHBOUR_MAX) == 0)
        return 0;
    free(t->bucket);
    return -1;
}

static struct net_neighbour **neighbour_bucket(const struct net *n, uint8_t iface,
                                               const struct ip_addr *addr)
{
    struct {
        struct ip_addr addr;
        uint64_t iface;
    } key = {*addr, iface};

    return &n->neighbours.bucket[siphash(&key, sizeof key, &n->neighbours.key) % BUCKETS];
}

static bool neighbour_is(const struct net_neighbour *b, uint8_t iface, const struct ip_addr *addr)
{
    return b->iface == iface && ip_equal(&b->addr, addr);
}

struct net_neighbour *net_neighbour_find(const struct net *n, uint8_t iface,
                                         const struct ip_addr *addr)
{
    struct net_neighbour *b = n->neighbours.recent[iface];

    if (b != NULL && neighbour_is(b, iface, addr))
        return b;
    b = *neighbour_bucket(n, iface, addr);
    while (b != NULL && !neighbour_is(b, iface, addr))
        b = b->hash_next;
    return b;
}

/* Into, and out of, the list of its kind and state. */
static void list_add(struct net *n, struct net_neighbour *b, clock_ns now)
{
    struct net_neighbour_set *set = &n->neighbours.kind[b->kind];

    b->since = now;
    TAILQ_INSERT_TAIL(&set->list[b->state], b, link);
    set->count[b->state]++;
    set->total++;
}

static void list_remove(struct net *n, struct net_neighbour *b)
{
    struct net_neighbour_set *set = &n->neighbours.kind[b->kind];

    TAILQ_REMOVE(&set->list[b->state], b, link);
    set->count[b->state]--;
    set->total--;
}

void net_neighbour_enter(struct net *n, struct net_neighbour *b, enum net_neighbour_state state,
                         clock_ns now)
{
    list_remove(n, b);
    b->state = (uint8_t)state;
    list_add(n, b, now);
}

void net_neighbour_turn(struct net *n, struct net_neighbour *b, enum net_neighbour_kind kind,
                        clock_ns now)
{
    list_remove(n, b);
    n->neighbours.kind[b->kind].pending -= b->pending_count;
    b->kind = (uint8_t)kind;
    n->neighbours.kind[b->kind].pending += b->pending_count;
    list_add(n, b, now);
}

void net_neighbour_pending_drop(struct net *n, struct net_neighbour *b)
{
    for (unsigned i = 0; i < b->pending_count; i++)
        rte_pktmbuf_free(b->pending[i].m);
    COUNTER_ADD(n->counters->arp_pending_dropped, b->pending_count);
    n->neighbours.kind[b->kind].pending -= b->pending_count;
    b->pending_count = 0;
}

void net_neighbour_remove(struct net *n, struct net_neighbour *b)
{
    struct net_neighbours *t = &n->neighbours;
    struct net_neighbour **at = neighbour_bucket(n, b->iface, &b->addr);

    while (*at != b)
        at = &(*at)->hash_next;
    *at = b->hash_next;
    if (t->recent[b->iface] == b)
        t->recent[b->iface] = NULL;
    net_neighbour_pending_drop(n, b);
    list_remove(n, b);
    pool_put(&t->pool, b);
}

void net_neighbour_fini(struct net *n)
{
    struct net_neighbours *t = &n->neighbours;

    for (unsigned k = 0; k < NET_NEIGHBOUR_KINDS; k++) {
        for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++) {
            while (!TAILQ_EMPTY(&t->kind[k].list[i]))
                net_neighbour_remove(n, TAILQ_FIRST(&t->kind[k].list[i]));
        }
    }
    pool_fini(&t->pool);
    free(t->bucket);
}

/* ---- room ---- */

/* Of those without an answer, the one to give up for another. */
static struct net_neighbour *victim_unresolved(const struct net_neighbour_set *set)
{
    struct net_neighbour *failed = TAILQ_FIRST(&set->list[NET_NEIGHBOUR_FAILED]);

    return failed != NULL ? failed : TAILQ_FIRST(&set->list[NET_NEIGHBOUR_INCOMPLETE]);
}

/* Of those that were used a moment ago, one with which no transport has got anywhere. */
static struct net_neighbour *victim_unconfirmed(const struct net_neighbour_set *set)
{
    struct net_neighbour *b = TAILQ_FIRST(&set->list[NET_NEIGHBOUR_RESOLVED]);

    for (unsigned i = 0; i < UNCONFIRMED_SEARCH && b != NULL; i++, b = TAILQ_NEXT(b, link)) {
        if (!b->confirmed)
            return b;
    }
    return NULL;
}

/* The entry that is missed least, or NULL when all are in use. */
static struct net_neighbour *victim(const struct net_neighbour_set *set, clock_ns now)
{
    struct net_neighbour *failed = TAILQ_FIRST(&set->list[NET_NEIGHBOUR_FAILED]);
    struct net_neighbour *learned = TAILQ_FIRST(&set->list[NET_NEIGHBOUR_LEARNED]);
    struct net_neighbour *oldest = TAILQ_FIRST(&set->list[NET_NEIGHBOUR_RESOLVED]);

    if (failed != NULL)
        return failed;
    if (learned != NULL)
        return learned;
    if (oldest != NULL && now - oldest->since >= NET_NEIGHBOUR_IN_USE)
        return oldest;
    return victim_unconfirmed(set);
}

/* A stranger for one that we want, whatever it is used for. */
static struct net_neighbour *victim_any(const struct net_neighbour_set *set, clock_ns now)
{
    struct net_neighbour *out = victim(set, now);

    for (unsigned i = 0; out == NULL && i < NET_NEIGHBOUR_STATES; i++)
        out = TAILQ_FIRST(&set->list[i]);
    return out;
}

/* Who is to go for an entry of this kind and state. Returns false when there is room without. */
static bool victim_find(const struct net_neighbours *t, enum net_neighbour_kind kind,
                        enum net_neighbour_state state, clock_ns now, struct net_neighbour **out)
{
    const struct net_neighbour_set *strangers = &t->kind[NET_NEIGHBOUR_STRANGER];
    const struct net_neighbour_set *set = &t->kind[kind];
    uint32_t unresolved = set->count[NET_NEIGHBOUR_INCOMPLETE] + set->count[NET_NEIGHBOUR_FAILED];
    bool full = t->pool.used == t->pool.capacity;

    if (state == NET_NEIGHBOUR_INCOMPLETE && unresolved == NET_NEIGHBOUR_UNRESOLVED_MAX) {
        *out = victim_unresolved(set);
        return true;
    }
    if (kind == NET_NEIGHBOUR_STRANGER && (full || set->total == NET_NEIGHBOUR_STRANGERS_MAX)) {
        *out = victim(set, now);
        if (*out == NULL && state == NET_NEIGHBOUR_INCOMPLETE)
            *out = victim_unresolved(set);
        return true;
    }
    if (!full)
        return false;
    *out = victim_any(strangers, now);
    if (*out == NULL)
        *out = victim(set, now);
    return true;
}

static bool room_make(struct net *n, enum net_neighbour_kind kind, enum net_neighbour_state state,
                      clock_ns now)
{
    struct net_neighbour *out = NULL;

    if (!victim_find(&n->neighbours, kind, state, now, &out))
        return true;
    if (out == NULL) {
        COUNTER_INC(n->counters->arp_table_full);
        return false;
    }
    net_neighbour_remove(n, out);
    return true;
}

struct net_neighbour *net_neighbour_create(struct net *n, uint8_t iface, const struct ip_addr *addr,
                                           enum net_neighbour_kind kind,
                                           enum net_neighbour_state state, clock_ns now)
{
    struct net_neighbour **bucket = neighbour_bucket(n, iface, addr);
    struct net_neighbour *b;

    if (!room_make(n, kind, state, now))
        return NULL;
    b = pool_get(&n->neighbours.pool);
    b->addr = *addr;
    b->iface = iface;
    b->state = (uint8_t)state;
    b->kind = (uint8_t)kind;
    b->hash_next = *bucket;
    *bucket = b;
    list_add(n, b, now);
    return b;
}

/* ---- packets that wait ---- */

/* Where there is no room for it, the neighbour's oldest
 * packet makes some: the latest is the one to keep (RFC 1122, 2.3.2.2). */
void net_neighbour_hold(struct net *n, struct net_neighbour *b, struct rte_mbuf *m,
                        struct net_place place)
{
    uint32_t *waiting = &n->neighbours.kind[b->kind].pending;
    bool full =
        b->pending_count == NET_NEIGHBOUR_PENDING || *waiting == NET_NEIGHBOUR_PENDING_TOTAL;

    if (full)
        COUNTER_INC(n->counters->arp_pending_dropped);
    if (full && b->pending_count == 0) {
        rte_pktmbuf_free(m);
        return;
    }
    if (full) {
        rte_pktmbuf_free(b->pending[0].m);
        b->pending_count--;
        (*waiting)--;
        memmove(&b->pending[0], &b->pending[1], b->pending_count * sizeof b->pending[0]);
    }
    b->pending[b->pending_count].m = m;
    b->pending[b->pending_count].place = place;
    b->pending_count++;
    (*waiting)++;
}

uint32_t net_neighbour_count(const struct net *n)
{
    return pool_used(&n->neighbours.pool);
}
