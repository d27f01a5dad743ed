/*
 * Between the files of the scheduler: the queues of a worker, the token buckets that the workers of
 * an interface share, and the account that a worker keeps of them during a flush.
 */
#ifndef SCHEDULER_SCHEDULER_INTERNAL_H
#define SCHEDULER_SCHEDULER_INTERNAL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "scheduler/scheduler.h"

#define SCHEDULER_BURST      64
#define SCHEDULER_PRIORITIES 8
#define SCHEDULER_FRAME      1514 /* bytes: what has to fit whatever the rate is */

/* ---- tokens ---- */

/* A token is a byte on the wire in steps of 2^-20, so that the slowest rate and the shortest time
 * lose nothing worth mentioning to rounding. */
typedef int64_t scheduler_tokens;
#define SCHEDULER_TOKENS(bytes) ((scheduler_tokens)(bytes) * (1 << 20))

struct scheduler_bucket {
    _Atomic scheduler_tokens level; /* negative: a debt */
    scheduler_tokens depth;
    scheduler_tokens chunk;    /* what a worker draws at a time */
    scheduler_tokens overdraw; /* how deep control may go into debt */
    double rate;               /* tokens a nanosecond; 0: there is no such bucket */
};

struct scheduler_shaper_class {
    alignas(64) struct scheduler_bucket guarantee;
    struct scheduler_bucket ceiling;
    _Atomic uint64_t virtual_time; /* what it had of the rest, by weight */
    atomic_uint backlogged;        /* workers in which data of the class waits */
    uint8_t priority;
    uint16_t weight;
    uint32_t frame_max;   /* bytes of payload */
    uint64_t queue_bytes; /* that may wait in one worker */
};

struct scheduler_shaper {
    alignas(64) _Atomic clock_ns refilled_at;
    struct scheduler_bucket rest; /* what is not guaranteed, or not taken by who it is for */
    _Atomic uint64_t virtual_time[SCHEDULER_PRIORITIES]; /* of who was served last */
    unsigned class_count;
    struct scheduler_shaper_class classes[EGRESS_CLASSES];
};

/* Gives the buckets what the time since the last call by any worker brought. */
void scheduler_shaper_refill(struct scheduler_shaper *s, clock_ns now);

/* Takes up to `want` out of a bucket that is not in debt. */
scheduler_tokens scheduler_bucket_draw(struct scheduler_bucket *b, scheduler_tokens want);

/* When the level will be over `level`, as of `now`. */
clock_ns scheduler_bucket_time(const struct scheduler_bucket *b, scheduler_tokens level,
                               clock_ns now);

/* The same for the rest; `now` where it has no bound. */
clock_ns scheduler_shaper_rest_time(const struct scheduler_shaper *s, scheduler_tokens level,
                                    clock_ns now);

/* Data of a class begins to wait in a worker, and does not any more. */
void scheduler_shaper_join(struct scheduler_shaper *s, unsigned egress_class);
void scheduler_shaper_leave(struct scheduler_shaper *s, unsigned egress_class);

/* Virtual time wraps. */
static inline bool scheduler_virtual_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* A class took `bytes` of the rest, or gives them back. */
void scheduler_shaper_charge(struct scheduler_shaper *s, unsigned egress_class, uint32_t bytes);
void scheduler_shaper_refund(struct scheduler_shaper *s, unsigned egress_class, uint32_t bytes);

/* The classes that may take of the rest now, as far as all workers are concerned: a bit each. The
 * caller holds tokens of the ceilings of some classes, and found none for others. */
uint64_t scheduler_shaper_entitled(struct scheduler_shaper *s, uint64_t holding, uint64_t lacking);

/* ---- queues: scheduler_ring.c ---- */

/* head and tail run freely; their difference is the number of frames. */
struct scheduler_ring {
    struct rte_mbuf **slots; /* NULL: of a class that never was */
    uint32_t mask;           /* slots - 1, a power of two */
    uint32_t max;            /* frames that it takes */
    uint32_t head, tail;
};

int scheduler_ring_init(struct scheduler_ring *r, uint32_t max);
void scheduler_ring_fini(struct scheduler_ring *r); /* frees what waits */
bool scheduler_ring_put(struct scheduler_ring *r, struct rte_mbuf *m);

/* Makes room for so many more to be moved into it, beyond its bound, as far as there is memory. */
void scheduler_ring_reserve(struct scheduler_ring *r, uint32_t more);

/* Returns how many found no room and were freed. */
uint32_t scheduler_ring_move(struct scheduler_ring *to, struct scheduler_ring *from);

/* Copies up to `max` of the frames in front without taking them. Returns how many. */
uint32_t scheduler_ring_peek(const struct scheduler_ring *r, struct rte_mbuf **out, uint32_t max);

static inline uint32_t scheduler_ring_used(const struct scheduler_ring *r)
{
    return r->tail - r->head;
}

/* The same for another thread. */
static inline uint32_t scheduler_ring_waiting(const struct scheduler_ring *r)
{
    return __atomic_load_n(&r->tail, __ATOMIC_RELAXED) -
           __atomic_load_n(&r->head, __ATOMIC_RELAXED);
}

/* ---- one worker ---- */

struct scheduler_queue {
    struct scheduler_ring control, data;
    uint64_t data_bytes; /* on the wire; counted where there is a shaper */
    bool joined;         /* the shaper knows that data waits */
    bool held;           /* something waits for tokens */
    /* Drawn and not settled yet; all zero between two flushes. */
    scheduler_tokens guarantee, ceiling;
    struct scheduler_class_counters counters;
};

struct scheduler {
    struct scheduler_shaper *shaper;
    scheduler_send *send;
    void *send_ctx;
    uint32_t control_max, data_max;
    uint32_t waiting;                   /* frames; counted where there is a shaper */
    uint64_t control_waits, data_waits; /* classes: a bit each */
    uint64_t drawn;                     /* classes with an account to settle */
    scheduler_tokens rest;              /* drawn, as in the queues */
    bool fresh;                         /* something came since the last flush */
    unsigned turn;                      /* who is next among equals */
    clock_ns deadline;
    clock_ns stalled_since; /* when the device took a frame last; 0 while it takes all */
    struct scheduler_counters counters;
    struct scheduler_queue queues[EGRESS_CLASSES];
};

/* What the frame takes of the wire: with segmentation each segment has the headers. */
uint32_t scheduler_frame_bytes(const struct rte_mbuf *m);

/* The device took so many of what it was offered. */
void scheduler_stall(struct scheduler *s, uint32_t offered, uint32_t taken, clock_ns now);

/* When to offer again what it did not take. */
clock_ns scheduler_stall_time(const struct scheduler *s, clock_ns now);

/* scheduler_share.c: scheduler_flush() where there is a shaper. */
void scheduler_share_flush(struct scheduler *s, clock_ns now);

#endif
