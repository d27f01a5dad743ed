/*
 * A set of addresses, from prefixes: disjoint ranges in ascending order, so that looking an address
 * up takes a binary search however long the list in the file was.
 */
#ifndef POLICY_POLICY_RANGE_H
#define POLICY_POLICY_RANGE_H

#include <stdbool.h>

#include "base/ip.h"
#include "policy/policy_arena.h"

struct policy_range {
    struct ip_addr first, last;
};

/* Each family has its own ranges: an IPv6 prefix never holds an IPv4 address (base/ip.h). */
struct policy_range_set {
    struct policy_range *ranges[2]; /* IPv6, IPv4 */
    unsigned count[2];
};

/* Returns 0, or -1 when memory is out. */
int policy_range_set_init(struct policy_range_set *s, struct policy_arena *a,
                          const struct ip_prefix *prefixes, unsigned count);

bool policy_range_set_has(const struct policy_range_set *s, const struct ip_addr *addr);

/* Is every address of `inner` in `outer`? */
bool policy_range_set_covers(const struct policy_range_set *outer,
                             const struct policy_range_set *inner);

#endif
