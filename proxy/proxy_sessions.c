/*
 * Looking for living sessions. Their numbers stand in an array by their place in the pool, so a
 * search reads 8 bytes a session in order, and touches only those that it reports. Numbers ascend
 * with age, places do not: the lowest ones over a bound are picked out with a heap, highest first.
 */
#include "proxy/proxy_internal.h"

struct candidate {
    uint64_t id;
    uint32_t place;
};

struct heap {
    struct candidate *at; /* at[0] has the highest number */
    unsigned count, max;
};

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;

    *a = *b;
    *b = c;
}

static void sift_down(struct heap *h, unsigned i)
{
    for (;;) {
        unsigned top = i, left = 2 * i + 1, right = left + 1;

        if (left < h->count && h->at[left].id > h->at[top].id)
            top = left;
        if (right < h->count && h->at[right].id > h->at[top].id)
            top = right;
        if (top == i)
            return;
        swap(&h->at[i], &h->at[top]);
        i = top;
    }
}

static void sift_up(struct heap *h, unsigned i)
{
    for (; i > 0 && h->at[(i - 1) / 2].id < h->at[i].id; i = (i - 1) / 2)
        swap(&h->at[i], &h->at[(i - 1) / 2]);
}

static void offer(struct heap *h, struct candidate c)
{
    if (h->count < h->max) {
        h->at[h->count] = c;
        sift_up(h, h->count++);
    } else if (c.id < h->at[0].id) {
        h->at[0] = c;
        sift_down(h, 0);
    }
}

static struct candidate take_highest(struct heap *h)
{
    struct candidate c = h->at[0];

    h->at[0] = h->at[--h->count];
    sift_down(h, 0);
    return c;
}

/* Places from here on were never used. */
static uint32_t places(const struct proxy *p)
{
    return p->sessions.fresh;
}

unsigned proxy_sessions(struct proxy *p, uint64_t after, struct proxy_record *out, unsigned max)
{
    struct heap h = {.at = (struct candidate *)(void *)p->scratch,
                     .max = PROXY_SCRATCH / sizeof(struct candidate)};
    unsigned found;

    if (max < h.max)
        h.max = max;
    if (h.max == 0)
        return 0;
    for (uint32_t i = 0; i < places(p); i++) {
        if (p->ids[i] > after)
            offer(&h, (struct candidate){.id = p->ids[i], .place = i});
    }
    found = h.count;
    while (h.count > 0) {
        struct candidate c = take_highest(&h);

        proxy_record_fill(pool_at(&p->sessions, c.place), &out[h.count]);
    }
    return found;
}

bool proxy_session_find(struct proxy *p, uint64_t id, struct proxy_record *out)
{
    for (uint32_t i = 0; i < places(p); i++) {
        if (p->ids[i] == id && id != 0) {
            proxy_record_fill(pool_at(&p->sessions, i), out);
            return true;
        }
    }
    return false;
}
