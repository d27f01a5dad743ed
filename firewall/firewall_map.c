/*
 * All sets of a ruleset in one: a map from an address to a word with a bit for each set that has
 * it. One look-up answers for every set, so that a packet costs the same whether the rules name one
 * or thirty.
 *
 * The edges of the sets are merged to one ascending array of entries (first address, sets from
 * there on). An index over equal slices of the span between the first and the last entry leads to a
 * few neighbouring entries, and a binary search finishes there. With a million IPv4 prefixes that
 * is at most 20 MB and two cache misses a look-up, which overlap over a burst. DPDK's rte_fib looks
 * up as fast, but takes 6 s and 940 MiB for as much, of DPDK's memory: without hugepages that is
 * fixed at start, and a set could not grow by a reload. See docs/architecture.md.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "firewall/firewall_internal.h"

#define INDEX_BITS_MAX 20
#define LOOKUP_BURST   FIREWALL_BURST
#define HUGE_PAGE      ((size_t)2 << 20)

struct entry4 {
    uint32_t key, sets;
};

struct entry6 {
    firewall_u128 key;
    uint32_t sets;
};

/* One family. */
struct table {
    enum firewall_family family;
    uint32_t count;
    unsigned shift;     /* an address's slice is address >> shift … */
    firewall_u128 base; /* … less this one, that of the first entry */
    uint32_t slices;    /* up to that of the last entry */
    uint32_t *index;    /* by slice: how many entries lie in slices before; and one more */
    union {
        void *entries;
        struct entry4 *v4;
        struct entry6 *v6;
    };
};

struct firewall_map {
    struct table table[FIREWALL_FAMILIES];
};

/* Large tables on large pages, where the kernel has them: a look-up then misses no TLB. */
static void *table_alloc(size_t size)
{
    void *p;

    if (size < HUGE_PAGE)
        return malloc(size);
    p = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (p != NULL)
        madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static firewall_u128 entry_key(const struct table *t, uint32_t i)
{
    return t->family == FIREWALL_IPV4 ? t->v4[i].key : t->v6[i].key;
}

static void entry_store(struct table *t, firewall_u128 key, uint32_t sets)
{
    if (t->family == FIREWALL_IPV4)
        t->v4[t->count++] = (struct entry4){(uint32_t)key, sets};
    else
        t->v6[t->count++] = (struct entry6){key, sets};
}

/* Where the reading of each set's edges stands. */
struct merge {
    const struct firewall_edges *edges[FIREWALL_SETS_MAX];
    uint32_t next[FIREWALL_SETS_MAX];
    unsigned count;
};

static bool merge_lowest(const struct merge *m, firewall_u128 *key)
{
    bool found = false;

    for (unsigned s = 0; s < m->count; s++) {
        firewall_u128 edge;

        if (m->next[s] == m->edges[s]->count)
            continue;
        edge = firewall_edge(m->edges[s], m->next[s]);
        if (!found || edge < *key)
            *key = edge;
        found = true;
    }
    return found;
}

static void table_merge(struct table *t, struct merge *m)
{
    firewall_u128 key = 0;
    uint32_t sets = 0;

    while (merge_lowest(m, &key)) {
        for (unsigned s = 0; s < m->count; s++) {
            if (m->next[s] < m->edges[s]->count && firewall_edge(m->edges[s], m->next[s]) == key) {
                m->next[s]++;
                sets ^= UINT32_C(1) << s;
            }
        }
        entry_store(t, key, sets);
    }
}

static uint32_t slice_of(const struct table *t, firewall_u128 address)
{
    return (uint32_t)((address >> t->shift) - t->base);
}

/* About one slice for every two entries. */
static int table_index(struct table *t)
{
    firewall_u128 first = entry_key(t, 0), last = entry_key(t, t->count - 1);
    unsigned bits = 1; /* so that no shift is as wide as an address */

    while (bits < INDEX_BITS_MAX && (UINT32_C(4) << bits) <= t->count)
        bits++;
    while (((last >> t->shift) - (first >> t->shift)) >> bits != 0)
        t->shift++;
    t->base = first >> t->shift;
    t->slices = slice_of(t, last) + 1;
    t->index = table_alloc(((size_t)t->slices + 1) * sizeof *t->index);
    if (t->index == NULL)
        return -1;
    for (uint32_t slice = 0, i = 0; slice <= t->slices; slice++) {
        while (i < t->count && slice_of(t, entry_key(t, i)) < slice)
            i++;
        t->index[slice] = i;
    }
    return 0;
}

static int table_fill(struct table *t, enum firewall_family family,
                      struct firewall_set *const *sets, unsigned count)
{
    size_t size = family == FIREWALL_IPV4 ? sizeof(struct entry4) : sizeof(struct entry6);
    struct merge m = {.count = count};
    size_t edges = 0;

    t->family = family;
    for (unsigned s = 0; s < count; s++) {
        m.edges[s] = firewall_set_edges(sets[s], family);
        edges += m.edges[s]->count;
    }
    if (edges == 0)
        return 0;
    t->entries = table_alloc(edges * size);
    if (t->entries == NULL)
        return -1;
    table_merge(t, &m);
    return table_index(t);
}

struct firewall_map *firewall_map_create(struct firewall_set *const *sets, unsigned count,
                                         struct error *e)
{
    struct firewall_map *m = calloc(1, sizeof *m);

    if (m == NULL) {
        error_set(e, "out of memory for the firewall's sets");
        return NULL;
    }
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++) {
        if (table_fill(&m->table[f], (enum firewall_family)f, sets, count) == 0)
            continue;
        error_set(e, "out of memory for the firewall's sets");
        firewall_map_destroy(m);
        return NULL;
    }
    return m;
}

void firewall_map_destroy(struct firewall_map *m)
{
    if (m == NULL)
        return;
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++) {
        free(m->table[f].index);
        free(m->table[f].entries);
    }
    free(m);
}

/* The entries among which an address's is: the one before `low`, or one of [low, high). */
struct span {
    uint32_t low, high;
};

/* Brings an address into the span of the index: below the first entry nothing is known, beyond the
 * last one the last one holds. */
static uint32_t slice_clamped(const struct table *t, firewall_u128 address)
{
    firewall_u128 slice = address >> t->shift;

    if (slice < t->base)
        return 0;
    return slice - t->base < t->slices ? (uint32_t)(slice - t->base) : t->slices - 1;
}

static uint32_t search4(const struct table *t, struct span s, uint32_t address)
{
    const struct entry4 *base = t->v4 + s.low;
    uint32_t n = s.high - s.low;

    while (n > 0) { /* without branches: both halves are as likely */
        uint32_t half = (n + 1) / 2;

        base = base[half - 1].key <= address ? base + half : base;
        n -= half;
    }
    return base == t->v4 ? 0 : base[-1].sets;
}

static uint32_t search6(const struct table *t, struct span s, firewall_u128 address)
{
    const struct entry6 *base = t->v6 + s.low;
    uint32_t n = s.high - s.low;

    while (n > 0) {
        uint32_t half = (n + 1) / 2;

        base = base[half - 1].key <= address ? base + half : base;
        n -= half;
    }
    return base == t->v6 ? 0 : base[-1].sets;
}

/* Each step is done for all addresses before the next: their cache misses overlap. */
static void find_spans(const struct table *t, const struct ip_addr *const *addrs, unsigned count,
                       struct span *spans)
{
    uint32_t slices[LOOKUP_BURST];
    const char *entries = t->entries;
    size_t size = t->family == FIREWALL_IPV4 ? sizeof(struct entry4) : sizeof(struct entry6);

    for (unsigned i = 0; i < count; i++) {
        slices[i] = slice_clamped(t, firewall_number(addrs[i], t->family));
        rte_prefetch0(&t->index[slices[i]]);
    }
    for (unsigned i = 0; i < count; i++) {
        spans[i] = (struct span){t->index[slices[i]], t->index[slices[i] + 1]};
        rte_prefetch0(entries + (spans[i].low + spans[i].high) / 2 * size);
    }
}

void firewall_map_lookup(const struct firewall_map *m, enum firewall_family family,
                         const struct ip_addr *const *addrs, unsigned count, uint32_t *sets)
{
    const struct table *t = &m->table[family];
    struct span spans[LOOKUP_BURST];

    if (t->count == 0) {
        memset(sets, 0, count * sizeof *sets);
        return;
    }
    find_spans(t, addrs, count, spans);
    for (unsigned i = 0; i < count; i++) {
        if (family == FIREWALL_IPV4)
            sets[i] = search4(t, spans[i], rte_be_to_cpu_32(ip_to_v4(addrs[i])));
        else
            sets[i] = search6(t, spans[i], firewall_number(addrs[i], FIREWALL_IPV6));
    }
}
