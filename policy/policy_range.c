#include "policy/policy_range.h"

#include <endian.h>
#include <stdlib.h>

static int compare(const struct ip_addr *a, const struct ip_addr *b)
{
    for (int i = 0; i < 2; i++) {
        uint64_t x = be64toh(a->q[i]), y = be64toh(b->q[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static int compare_first(const void *a, const void *b)
{
    const struct policy_range *x = a, *y = b;

    return compare(&x->first, &y->first);
}

static struct policy_range range_of(const struct ip_prefix *p)
{
    struct policy_range range = {ip_prefix_network(p).addr, p->addr};

    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = p->len > i * 8 ? p->len - i * 8 : 0;

        if (keep < 8)
            range.last.b[i] |= (uint8_t)(0xff >> keep);
    }
    return range;
}

/* Does `next` begin within `range` or right after it? */
static bool adjoins(const struct policy_range *range, const struct policy_range *next)
{
    struct ip_addr after = range->last;

    for (int i = 15; i >= 0 && ++after.b[i] == 0; i--)
        if (i == 0)
            return true; /* the range ends with the last address of all */
    return compare(&next->first, &after) <= 0;
}

/* Sorts, and joins ranges that overlap or adjoin. Returns how many are left. */
static unsigned normalise(struct policy_range *ranges, unsigned count)
{
    unsigned kept = 0;

    qsort(ranges, count, sizeof *ranges, compare_first);
    for (unsigned i = 0; i < count; i++) {
        if (kept > 0 && adjoins(&ranges[kept - 1], &ranges[i])) {
            if (compare(&ranges[kept - 1].last, &ranges[i].last) < 0)
                ranges[kept - 1].last = ranges[i].last;
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    return kept;
}

static int family_of(const struct ip_prefix *p)
{
    return p->len >= 96 && ip_is_v4(&p->addr);
}

int policy_range_set_init(struct policy_range_set *s, struct policy_arena *a,
                          const struct ip_prefix *prefixes, unsigned count)
{
    *s = (struct policy_range_set){0};
    for (int family = 0; family < 2 && count > 0; family++) {
        s->ranges[family] = policy_arena_alloc(a, count, sizeof *s->ranges[family]);
        if (s->ranges[family] == NULL)
            return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        int family = family_of(&prefixes[i]);

        s->ranges[family][s->count[family]++] = range_of(&prefixes[i]);
    }
    for (int family = 0; family < 2; family++)
        if (s->count[family] > 0)
            s->count[family] = normalise(s->ranges[family], s->count[family]);
    return 0;
}

/* The last range that begins at or before the address, or NULL. */
static const struct policy_range *find(const struct policy_range_set *s, int family,
                                       const struct ip_addr *addr)
{
    const struct policy_range *ranges = s->ranges[family];
    unsigned low = 0, high = s->count[family];

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (compare(&ranges[middle].first, addr) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &ranges[low - 1] : NULL;
}

bool policy_range_set_has(const struct policy_range_set *s, const struct ip_addr *addr)
{
    const struct policy_range *range = find(s, ip_is_v4(addr), addr);

    return range != NULL && compare(addr, &range->last) <= 0;
}

bool policy_range_set_covers(const struct policy_range_set *outer,
                             const struct policy_range_set *inner)
{
    for (int family = 0; family < 2; family++) {
        for (unsigned i = 0; i < inner->count[family]; i++) {
            const struct policy_range *wanted = &inner->ranges[family][i];
            const struct policy_range *range = find(outer, family, &wanted->first);

            if (range == NULL || compare(&wanted->last, &range->last) > 0)
                return false;
        }
    }
    return true;
}
