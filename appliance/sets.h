/*
 * Edits of named sets at run time: prefixes added to, or deleted from, what the configuration says.
 * They outlive reloads as long as there is a set of that name, and end with the process; what was
 * added and deleted again is forgotten. An edit is about a prefix as it is written: deleting
 * 192.0.2.1/32 does not make a hole in 192.0.2.0/24.
 *
 * The main thread's.
 */
#ifndef APPLIANCE_SETS_H
#define APPLIANCE_SETS_H

#include <stdbool.h>

#include "base/error.h"
#include "policy/policy.h"

struct sets_edited;

/* Zero-initialise it. */
struct sets {
    struct sets_edited *first;
};

/* What an edit came to. */
struct sets_outcome {
    unsigned changed;
    unsigned unchanged; /* there already, or not there */
};

/* What the set holds, edits included: malloc'd, ascending, without duplicates; NULL when memory is
 * out. */
struct ip_prefix *sets_prefixes(const struct sets *s, const struct policy_set *set,
                                unsigned *count);

/* Adds or deletes; host parts are cleared. Returns 0, or -1 when memory is out. */
int sets_change(struct sets *s, const struct policy_set *set, bool add,
                const struct ip_prefix *prefixes, unsigned count, struct sets_outcome *out);

/* Returns 0, or -1 when memory is out; then `to` is empty. */
int sets_copy(struct sets *to, const struct sets *from);

/* Forgets the edits of sets that the policy does not have. */
void sets_prune(struct sets *s, const struct policy *policy);
void sets_free(struct sets *s);

/* The set of that name, or NULL with the cause. */
const struct policy_set *sets_find(const struct policy *policy, const char *name, struct error *e);

#endif
