/*
 * A pool of equal objects, reserved in one piece at start and touched page by page on first use,
 * so that its memory lands on the NUMA node of the thread that uses it and an unused pool costs
 * nothing. One owner thread. Freed objects are reused last in, first out, while they are warm.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
    uint8_t *base;
    size_t object_size; /* rounded up to a multiple of 64 bytes */
    uint32_t capacity;
    uint32_t used;
    uint32_t fresh; /* objects from this index on were never handed out */
    void *free_list;
    size_t mapped;
};

/* Reserves room for `capacity` objects of `object_size` bytes. Returns 0 or -1 (errno). */
int pool_init(struct pool *p, size_t object_size, uint32_t capacity);
void pool_fini(struct pool *p);

/* Returns a zeroed object, or NULL when all are in use. */
void *pool_get(struct pool *p);

/* Objects handed out now. The one question that another thread may ask. */
static inline uint32_t pool_used(const struct pool *p)
{
    return __atomic_load_n(&p->used, __ATOMIC_RELAXED);
}

/* An object's place in the pool, from 0 to capacity - 1, as long as it is handed out; and back. */
static inline uint32_t pool_index(const struct pool *p, const void *object)
{
    return (uint32_t)((size_t)((const uint8_t *)object - p->base) / p->object_size);
}

static inline void *pool_at(const struct pool *p, uint32_t index)
{
    return p->base + (size_t)index * p->object_size;
}

/* Gives an object back. Under AddressSanitizer a later use of it is reported. */
void pool_put(struct pool *p, void *object);

#endif
