#include "policy/policy_table.h"

#include <assert.h>
#include <string.h>

#include "base/siphash.h"

/* The key is public on purpose: only the operator puts names in, a peer merely asks for some. */
static const struct siphash_key hash_key = {0x706f6c6963790000, 0x7461626c65000000};

int policy_table_init(struct policy_table *t, struct policy_arena *a, size_t capacity)
{
    size_t size = 2;

    while (size < capacity * 2)
        size *= 2;
    t->slots = policy_arena_alloc(a, size, sizeof *t->slots);
    t->mask = size - 1;
    return t->slots != NULL ? 0 : -1;
}

/* The slot of the key, or the free one where it belongs: at most half of the slots are taken. */
static struct policy_table_slot *slot_of(const struct policy_table *t, const char *key)
{
    size_t i = siphash(key, strlen(key), &hash_key) & t->mask;

    while (t->slots[i].key != NULL && strcmp(t->slots[i].key, key) != 0)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

void *policy_table_find(const struct policy_table *t, const char *key)
{
    return t->slots != NULL ? slot_of(t, key)->value : NULL;
}

void *policy_table_add(struct policy_table *t, const char *key, void *value)
{
    struct policy_table_slot *slot = slot_of(t, key);

    assert(value != NULL);
    if (slot->key != NULL)
        return slot->value;
    slot->key = key;
    slot->value = value;
    return NULL;
}
