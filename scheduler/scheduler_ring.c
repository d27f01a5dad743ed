#include "scheduler/scheduler_internal.h"

#include <stdlib.h>

#include <rte_mbuf.h>

int scheduler_ring_init(struct scheduler_ring *r, uint32_t max)
{
    uint32_t size = 1;

    while (size < max && size < UINT32_C(1) << 31)
        size *= 2;
    *r = (struct scheduler_ring){.max = max, .mask = size - 1};
    r->slots = calloc(size, sizeof(struct rte_mbuf *));
    return r->slots != NULL && size >= max ? 0 : -1;
}

void scheduler_ring_fini(struct scheduler_ring *r)
{
    for (; r->slots != NULL && r->head != r->tail; r->head++)
        rte_pktmbuf_free(r->slots[r->head & r->mask]);
    free(r->slots);
    r->slots = NULL;
}

void scheduler_ring_reserve(struct scheduler_ring *r, uint32_t more)
{
    struct scheduler_ring larger;
    uint32_t used = scheduler_ring_used(r);

    if (used + more <= r->mask + 1 || scheduler_ring_init(&larger, used + more) < 0)
        return;
    scheduler_ring_peek(r, larger.slots, used);
    larger.tail = used;
    larger.max = r->max;
    free(r->slots);
    *r = larger;
}

uint32_t scheduler_ring_move(struct scheduler_ring *to, struct scheduler_ring *from)
{
    uint32_t lost = 0;

    for (; from->head != from->tail; from->head++) {
        struct rte_mbuf *m = from->slots[from->head & from->mask];

        if (scheduler_ring_used(to) <= to->mask) {
            to->slots[to->tail++ & to->mask] = m;
        } else {
            rte_pktmbuf_free(m);
            lost++;
        }
    }
    return lost;
}

bool scheduler_ring_put(struct scheduler_ring *r, struct rte_mbuf *m)
{
    if (scheduler_ring_used(r) >= r->max)
        return false;
    r->slots[r->tail++ & r->mask] = m;
    return true;
}

uint32_t scheduler_ring_peek(const struct scheduler_ring *r, struct rte_mbuf **out, uint32_t max)
{
    uint32_t n = scheduler_ring_used(r);

    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        out[i] = r->slots[(r->head + i) & r->mask];
    return n;
}
