/*
 * A ring of bytes with one producer and one consumer. A record lies in one piece: where it does not
 * fit before the end of the memory, a record without bytes fills the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/capture/capture_internal.h"

#define ALIGN 8u

int capture_ring_init(struct capture_ring *r)
{
    r->bytes = aligned_alloc(64, CAPTURE_RING_SIZE);
    r->next = 0;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    return r->bytes != NULL ? 0 : -1;
}

void capture_ring_fini(struct capture_ring *r)
{
    free(r->bytes);
    r->bytes = NULL;
}

static struct capture_record *record_at(const struct capture_ring *r, uint64_t position)
{
    return (struct capture_record *)(void *)(r->bytes + position % CAPTURE_RING_SIZE);
}

static uint32_t record_size(uint32_t captured)
{
    return (uint32_t)((sizeof(struct capture_record) + captured + ALIGN - 1) & ~(ALIGN - 1));
}

struct capture_record *capture_ring_reserve(struct capture_ring *r, uint32_t captured)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    uint32_t size = record_size(captured);
    uint32_t rest = (uint32_t)(CAPTURE_RING_SIZE - r->next % CAPTURE_RING_SIZE);
    uint32_t skip = rest < size ? rest : 0;
    struct capture_record *record;

    if (r->next + skip + size - tail > CAPTURE_RING_SIZE)
        return NULL;
    /* The rest is known to the reader by its place alone when no header fits into it. */
    if (skip >= sizeof *record)
        *record_at(r, r->next) = (struct capture_record){.size = skip};
    r->next += skip;
    record = record_at(r, r->next);
    record->size = size;
    record->captured = captured;
    r->next += size;
    return record;
}

void capture_ring_commit(struct capture_ring *r, uint64_t next)
{
    r->next = next;
    atomic_store_explicit(&r->head, next, memory_order_release);
}

const struct capture_record *capture_ring_peek(struct capture_ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    while (tail != head) {
        uint32_t rest = (uint32_t)(CAPTURE_RING_SIZE - tail % CAPTURE_RING_SIZE);
        const struct capture_record *record = record_at(r, tail);

        if (rest >= sizeof *record && record->captured != 0)
            return record;
        tail += rest;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    return NULL;
}

void capture_ring_release(struct capture_ring *r, const struct capture_record *record)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    atomic_store_explicit(&r->tail, tail + record->size, memory_order_release);
}
