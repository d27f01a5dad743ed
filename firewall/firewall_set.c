/*
 * Named sets. A set of prefixes is the same as a list of edges: the addresses at which membership
 * begins or ends, ascending, in turn. Prefixes that touch or overlap melt into one range, so that
 * two edges a prefix is the most that a set can need: 8 bytes for IPv4. An address is in the set
 * when the number of edges up to it is odd.
 *
 * The packet path does not search sets one by one: firewall_map.c merges those of a ruleset.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/firewall_internal.h"

struct firewall_set {
    atomic_uint references;
    uint32_t count; /* of prefixes, as given */
    struct firewall_edges edges[FIREWALL_FAMILIES];
    char name[];
};

struct range {
    firewall_u128 first, last;
};

#define IPV4_BITS 32
#define IPV6_BITS 128

static firewall_u128 family_max(enum firewall_family family)
{
    return family == FIREWALL_IPV4 ? UINT32_MAX : ~(firewall_u128)0;
}

static bool prefix_is_v4(const struct ip_prefix *p)
{
    return p->len >= IPV6_BITS - IPV4_BITS && ip_is_v4(&p->addr);
}

static struct range prefix_range(const struct ip_prefix *p, enum firewall_family family)
{
    struct ip_prefix net = ip_prefix_network(p);
    unsigned host_bits = IPV6_BITS - p->len;
    firewall_u128 host =
        host_bits == IPV6_BITS ? ~(firewall_u128)0 : ((firewall_u128)1 << host_bits) - 1;
    firewall_u128 first = firewall_number(&net.addr, family);

    return (struct range){first, first | (host & family_max(family))};
}

static int range_compare(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

/* Sets come from files that are sorted already, as a rule. */
static void ranges_sort(struct range *ranges, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (ranges[i].first < ranges[i - 1].first) {
            qsort(ranges, count, sizeof *ranges, range_compare);
            return;
        }
    }
}

/* Joins ranges that touch or overlap, in place; returns how many are left. */
static uint32_t ranges_merge(struct range *ranges, uint32_t count, firewall_u128 max)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct range *last = n > 0 ? &ranges[n - 1] : NULL;

        if (last == NULL || (last->last != max && ranges[i].first > last->last + 1))
            ranges[n++] = ranges[i];
        else if (ranges[i].last > last->last)
            last->last = ranges[i].last;
    }
    return n;
}

static void edge_store(struct firewall_edges *e, firewall_u128 value)
{
    if (e->family == FIREWALL_IPV4)
        e->v4[e->count++] = (uint32_t)value;
    else
        e->v6[e->count++] = value;
}

static int edges_fill(struct firewall_edges *e, enum firewall_family family,
                      const struct ip_prefix *prefixes, uint32_t count, struct range *ranges)
{
    size_t size = family == FIREWALL_IPV4 ? sizeof e->v4[0] : sizeof e->v6[0];
    firewall_u128 max = family_max(family);
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (prefix_is_v4(&prefixes[i]) == (family == FIREWALL_IPV4))
            ranges[n++] = prefix_range(&prefixes[i], family);
    }
    ranges_sort(ranges, n);
    n = ranges_merge(ranges, n, max);
    *e = (struct firewall_edges){.family = family};
    e->any = calloc(2 * (size_t)n + 1, size);
    if (e->any == NULL)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        edge_store(e, ranges[i].first);
        if (ranges[i].last != max) /* else it has no end */
            edge_store(e, ranges[i].last + 1);
    }
    return 0;
}

static void set_free(struct firewall_set *s)
{
    for (unsigned f = 0; f < FIREWALL_FAMILIES; f++)
        free(s->edges[f].any);
    free(s);
}

struct firewall_set *firewall_set_create(const char *name, const struct ip_prefix *prefixes,
                                         uint32_t count, struct error *e)
{
    size_t name_size = strlen(name) + 1;
    struct firewall_set *s = calloc(1, sizeof *s + name_size);
    struct range *ranges = calloc((size_t)count + 1, sizeof *ranges);
    bool filled = s != NULL && ranges != NULL;

    for (unsigned f = 0; filled && f < FIREWALL_FAMILIES; f++)
        filled = edges_fill(&s->edges[f], (enum firewall_family)f, prefixes, count, ranges) == 0;
    free(ranges);
    if (!filled) {
        error_set(e, "out of memory for set %s of %u prefixes", name, count);
        if (s != NULL)
            set_free(s);
        return NULL;
    }
    memcpy(s->name, name, name_size);
    s->count = count;
    atomic_init(&s->references, 1);
    return s;
}

struct firewall_set *firewall_set_ref(struct firewall_set *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void firewall_set_unref(struct firewall_set *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
        set_free(s);
}

const struct firewall_edges *firewall_set_edges(const struct firewall_set *s,
                                                enum firewall_family family)
{
    return &s->edges[family];
}

bool firewall_set_has(const struct firewall_set *s, const struct ip_addr *addr)
{
    enum firewall_family family = firewall_family_of(addr);
    const struct firewall_edges *e = &s->edges[family];
    firewall_u128 wanted = firewall_number(addr, family);
    uint32_t below = 0, above = e->count;

    while (below < above) { /* edges [0, below) are up to it, [above, count) beyond it */
        uint32_t middle = below + (above - below) / 2;

        if (firewall_edge(e, middle) <= wanted)
            below = middle + 1;
        else
            above = middle;
    }
    return below % 2 == 1;
}

uint32_t firewall_set_count(const struct firewall_set *s)
{
    return s->count;
}
