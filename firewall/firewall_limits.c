/*
 * Limits for each source prefix: one table for all workers, of atomic words, without a lock.
 *
 * An entry has an owner word (a tag of the rule and the source, and the number of connections that
 * stand) and two token buckets. A bucket is one word, the time at which it will be full again (the
 * theoretical arrival time of the generic cell rate algorithm, ITU-T I.371): taking a token moves
 * that time on by one interval, and is refused when it would lie more than the burst ahead. A full
 * bucket is a time gone by, so that no entry has to be visited for time to pass.
 *
 * The table is set-associative and keyed: a source cannot choose its place. An entry with
 * connections is never replaced. Of the others, that whose buckets are full soonest gives way: it
 * knows the least, since a source without entry begins with full buckets. A million sources with a
 * packet each can thus push out one another, but not one that is over its limit, and none of them
 * makes a newcomer wait. Where each entry of a set has connections, the newcomer goes unlimited.
 *
 * Races between workers cost at most a token: a new owner empties the buckets after it has taken
 * the entry, and a sibling may see the former ones for a moment. The count of connections is exact,
 * as it shares its word with the tag.
 */
#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/firewall_internal.h"

#define WAYS       8
#define COUNT_BITS 24
#define COUNT_MAX  ((UINT64_C(1) << COUNT_BITS) - 1)
#define SETS_MAX   (UINT32_C(1) << COUNT_BITS) /* the hash's low bits choose the set */
#define TRIES      4                           /* against siblings that change the same entry */

struct entry {
    alignas(32) _Atomic uint64_t owner; /* tag << COUNT_BITS | connections; tag 0: never used */
    _Atomic uint64_t connections_full;  /* when the bucket of connections will be full */
    _Atomic uint64_t handshakes_full;
};

struct firewall_limits {
    struct siphash_key key;
    uint32_t mask;         /* of sets */
    struct entry *entries; /* WAYS for each set, side by side */
};

/* A source as the table knows it. */
struct source {
    struct entry *way; /* its set */
    uint64_t tag;
};

struct firewall_limits *firewall_limits_create(uint32_t entries, const uint8_t key[16],
                                               struct error *e)
{
    struct firewall_limits *l = calloc(1, sizeof *l);
    uint32_t sets = 1;
    size_t size;

    while (sets < SETS_MAX && (uint64_t)sets * WAYS < entries)
        sets *= 2;
    size = sets * WAYS * sizeof(struct entry);
    if (l != NULL)
        l->entries = aligned_alloc(WAYS * sizeof(struct entry), size);
    if (l == NULL || l->entries == NULL) {
        error_set(e, "out of memory for the limits of %u sources", entries);
        free(l);
        return NULL;
    }
    memset(l->entries, 0, size);
    memcpy(&l->key, key, sizeof l->key);
    l->mask = sets - 1;
    return l;
}

void firewall_limits_destroy(struct firewall_limits *l)
{
    if (l == NULL)
        return;
    free(l->entries);
    explicit_bzero(l, sizeof *l);
    free(l);
}

static struct source source_of(const struct firewall_limits *l, uint64_t id,
                               const struct firewall_limit *limit, const struct ip_addr *addr)
{
    uint8_t len = ip_is_v4(addr) ? (uint8_t)(96 + limit->prefix4) : limit->prefix6;
    struct ip_prefix prefix = ip_prefix_network(&(struct ip_prefix){*addr, len});
    struct {
        uint64_t id;
        struct ip_addr network;
    } name = {id, prefix.addr};
    uint64_t hash = siphash(&name, sizeof name, &l->key);
    uint64_t tag = hash >> COUNT_BITS;

    return (struct source){&l->entries[(hash & l->mask) * WAYS], tag != 0 ? tag : 1};
}

static struct entry *entry_find(const struct source *s)
{
    for (unsigned w = 0; w < WAYS; w++) {
        struct entry *e = &s->way[w];

        if (atomic_load_explicit(&e->owner, memory_order_acquire) >> COUNT_BITS == s->tag)
            return e;
    }
    return NULL;
}

static uint64_t entry_full_at(const struct entry *e)
{
    uint64_t connections = atomic_load_explicit(&e->connections_full, memory_order_relaxed);
    uint64_t handshakes = atomic_load_explicit(&e->handshakes_full, memory_order_relaxed);

    return connections > handshakes ? connections : handshakes;
}

/* The entry to be replaced and its owner word, or NULL when all have connections. */
static struct entry *entry_victim(const struct source *s, uint64_t *owner)
{
    struct entry *victim = NULL;
    uint64_t soonest = 0;

    for (unsigned w = 0; w < WAYS; w++) {
        struct entry *e = &s->way[w];
        uint64_t word = atomic_load_explicit(&e->owner, memory_order_relaxed);
        uint64_t full = entry_full_at(e);

        if ((word & COUNT_MAX) != 0 || (victim != NULL && full >= soonest))
            continue;
        victim = e;
        soonest = full;
        *owner = word;
    }
    return victim;
}

/* An entry without connections is free again, for whoever comes. Returns false where it has some,
 * or is another source's by now. */
static bool entry_release(struct entry *e, const struct source *s)
{
    uint64_t idle = s->tag << COUNT_BITS;

    return atomic_compare_exchange_strong_explicit(&e->owner, &idle, 0, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/*
 * Two workers that see a source for the first time at once take an entry each. Both look again
 * after they have taken theirs, so at least one sees the other's: the first of the two stays, or
 * the one that has connections already.
 */
static struct entry *entry_settle(const struct source *s, struct entry *own)
{
    for (unsigned w = 0; w < WAYS; w++) {
        struct entry *e = &s->way[w];

        if (e == own ||
            atomic_load_explicit(&e->owner, memory_order_seq_cst) >> COUNT_BITS != s->tag)
            continue;
        if (e > own && entry_release(e, s))
            continue;
        entry_release(own, s);
        return e;
    }
    return own;
}

/* The source's entry, taken from another one if need be; NULL when there is no room. */
static struct entry *entry_get(const struct source *s)
{
    for (unsigned try = 0; try < TRIES; try++) {
        struct entry *e = entry_find(s);
        uint64_t owner;

        if (e != NULL)
            return e;
        e = entry_victim(s, &owner);
        if (e == NULL)
            return NULL;
        if (atomic_compare_exchange_strong_explicit(&e->owner, &owner, s->tag << COUNT_BITS,
                                                    memory_order_seq_cst, memory_order_relaxed)) {
            atomic_store_explicit(&e->connections_full, 0, memory_order_relaxed);
            atomic_store_explicit(&e->handshakes_full, 0, memory_order_relaxed);
            return entry_settle(s, e);
        }
    }
    return NULL;
}

/* A burst of 1 is the least: a bucket that never holds a token would let nobody pass. */
static bool bucket_take(_Atomic uint64_t *full_at, uint32_t rate, uint32_t burst, clock_ns now)
{
    uint64_t interval = rate < CLOCK_SEC ? CLOCK_SEC / rate : 1;
    uint64_t tolerance = burst > 1 ? interval * (burst - 1) : 0;
    uint64_t full = atomic_load_explicit(full_at, memory_order_relaxed), next;

    do {
        if (full > now && full - now > tolerance)
            return false;
        next = (full > now ? full : now) + interval;
    } while (!atomic_compare_exchange_weak_explicit(full_at, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static uint64_t connections_allowed(const struct firewall_limit *limit)
{
    return limit->connections < COUNT_MAX ? limit->connections : COUNT_MAX;
}

enum firewall_limit_verdict firewall_limits_ask(struct firewall_limits *l, uint64_t id,
                                                const struct firewall_limit *limit,
                                                const struct ip_addr *source, clock_ns now)
{
    const struct source s = source_of(l, id, limit, source);
    struct entry *e;

    if (limit->connections_per_second == 0) { /* only those that stand count: look, take nothing */
        e = entry_find(&s);
        if (e == NULL)
            return FIREWALL_WITHIN;
    } else {
        e = entry_get(&s);
        if (e == NULL)
            return FIREWALL_UNTRACKED;
    }
    if (limit->connections > 0 && (atomic_load_explicit(&e->owner, memory_order_relaxed) &
                                   COUNT_MAX) >= connections_allowed(limit))
        return FIREWALL_TOO_MANY;
    if (limit->connections_per_second > 0 &&
        !bucket_take(&e->connections_full, limit->connections_per_second, limit->connection_burst,
                     now))
        return FIREWALL_TOO_FAST;
    return FIREWALL_WITHIN;
}

/* Counts one more connection; FIREWALL_UNTRACKED when the entry has gone to another source. */
static enum firewall_limit_verdict entry_open(struct entry *e, uint64_t tag, uint64_t allowed)
{
    uint64_t owner = atomic_load_explicit(&e->owner, memory_order_relaxed);

    do {
        if (owner >> COUNT_BITS != tag)
            return FIREWALL_UNTRACKED;
        if ((owner & COUNT_MAX) >= allowed)
            return FIREWALL_TOO_MANY;
    } while (!atomic_compare_exchange_weak_explicit(&e->owner, &owner, owner + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return FIREWALL_WITHIN;
}

enum firewall_limit_verdict firewall_limits_open(struct firewall_limits *l, uint64_t id,
                                                 const struct firewall_limit *limit,
                                                 const struct ip_addr *source, uint64_t *handle)
{
    const struct source s = source_of(l, id, limit, source);
    enum firewall_limit_verdict verdict = FIREWALL_UNTRACKED;

    *handle = 0;
    for (unsigned try = 0; try < TRIES && verdict == FIREWALL_UNTRACKED; try++) {
        struct entry *e = entry_get(&s);

        if (e == NULL)
            return FIREWALL_UNTRACKED;
        verdict = entry_open(e, s.tag, connections_allowed(limit));
        if (verdict == FIREWALL_WITHIN)
            *handle = (uint64_t)(e - l->entries) + 1;
    }
    return verdict;
}

void firewall_limits_close(struct firewall_limits *l, uint64_t handle)
{
    struct entry *e = &l->entries[handle - 1];
    uint64_t before = atomic_fetch_sub_explicit(&e->owner, 1, memory_order_release);

    assert((before & COUNT_MAX) > 0);
    (void)before;
}

enum firewall_limit_verdict firewall_limits_handshake(struct firewall_limits *l, uint64_t id,
                                                      const struct firewall_limit *limit,
                                                      const struct ip_addr *source, clock_ns now)
{
    const struct source s = source_of(l, id, limit, source);
    struct entry *e = entry_get(&s);

    if (e == NULL)
        return FIREWALL_UNTRACKED;
    return bucket_take(&e->handshakes_full, limit->handshakes_per_second, limit->handshake_burst,
                       now)
               ? FIREWALL_WITHIN
               : FIREWALL_TOO_FAST;
}
