/* Memory that is freed all at once: a snapshot's, or that of the parsed document. */
#ifndef POLICY_POLICY_ARENA_H
#define POLICY_POLICY_ARENA_H

#include <stddef.h>

struct policy_arena_chunk;

/* Zero-initialise it. One owner thread; what was allocated may be read by any. */
struct policy_arena {
    struct policy_arena_chunk *chunks;
};

/* `count` zeroed objects of `size` bytes, aligned for any type. Returns NULL when memory is out. */
void *policy_arena_alloc(struct policy_arena *a, size_t count, size_t size);

/* A copy of `len` bytes with a NUL after them. Returns NULL when memory is out. */
char *policy_arena_copy(struct policy_arena *a, const char *text, size_t len);

void policy_arena_free(struct policy_arena *a);

#endif
