/*
 * Names to pointers, in an arena: open addressing over a size fixed at the start. Serves the check
 * for duplicate keys, the references between sections, and server names while matching.
 */
#ifndef POLICY_POLICY_TABLE_H
#define POLICY_POLICY_TABLE_H

#include <stddef.h>

#include "policy/policy_arena.h"

struct policy_table_slot {
    const char *key; /* NULL: free */
    void *value;
};

/* A zeroed table is empty and cannot grow. */
struct policy_table {
    struct policy_table_slot *slots;
    size_t mask;
};

/* Makes room for `capacity` names. Returns 0, or -1 when memory is out. */
int policy_table_init(struct policy_table *t, struct policy_arena *a, size_t capacity);

/* Returns the value of a name, or NULL. */
void *policy_table_find(const struct policy_table *t, const char *key);

/* Adds a name, which the table does not copy, with a value that is not NULL. Returns the value that
 * the name had already, which then stays, or NULL. */
void *policy_table_add(struct policy_table *t, const char *key, void *value);

#endif
