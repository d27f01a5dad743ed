/*
 * Queues in front of a device, bounded, in two bands: acknowledgements and handshakes (control)
 * overtake data, so that a connection that sends a lot does not slow down one that only answers.
 *
 * The queues are rings of pointers. Without a shaper there is one class, and a flush offers one
 * array made of both bands, control first: the device is asked once for each burst, not once for
 * each queue, since with AF_XDP every call costs a system call. What it does not take stays where
 * it is, in order. With a shaper each class has its own two rings, and scheduler_share.c chooses.
 *
 * Data is bounded by back-pressure: the stack asks for room and offers no more. A frame beyond
 * that, and control beyond its bound, is dropped and counted; TCP repairs both. A shaped class
 * gives room for about a millisecond at the most that it can get, so that what the stack hands over
 * now is what goes out soon.
 */
#include "scheduler/scheduler.h"

#include <stdlib.h>

#include <rte_mbuf.h>

#include "scheduler/scheduler_internal.h"

#define SCHEDULER_DEFAULT   1024
#define SCHEDULER_STALL_MIN (20 * CLOCK_US) /* how soon to try a full device again, */
#define SCHEDULER_STALL_MAX (1 * CLOCK_MS)  /* and how late at most */

COUNTER_TABLE(scheduler_counter_table, SCHEDULER_COUNTERS);
COUNTER_TABLE(scheduler_class_counter_table, SCHEDULER_CLASS_COUNTERS);

/* Rings for the first `count` classes. Those of more stay where they are: harmless. */
static int queues_grow(struct scheduler *s, unsigned count, struct error *e)
{
    for (unsigned i = 0; i < count; i++) {
        struct scheduler_queue *q = &s->queues[i];

        if (q->control.slots == NULL && scheduler_ring_init(&q->control, s->control_max) < 0)
            return error_set(e, "no memory for a queue of %u frames", s->control_max);
        if (q->data.slots == NULL && scheduler_ring_init(&q->data, s->data_max) < 0)
            return error_set(e, "no memory for a queue of %u frames", s->data_max);
    }
    return 0;
}

struct scheduler *scheduler_create(const struct scheduler_config *config, struct error *e)
{
    struct scheduler *s = calloc(1, sizeof *s);

    if (s == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    s->control_max = config->control_max != 0 ? config->control_max : SCHEDULER_DEFAULT;
    s->data_max = config->data_max != 0 ? config->data_max : SCHEDULER_DEFAULT;
    s->send = config->send;
    s->send_ctx = config->send_ctx;
    s->shaper = config->shaper;
    s->deadline = CLOCK_NEVER;
    if (queues_grow(s, s->shaper != NULL ? s->shaper->class_count : 1, e) < 0) {
        scheduler_destroy(s);
        return NULL;
    }
    return s;
}

static void shaper_leave(struct scheduler *s)
{
    for (unsigned i = 0; i < EGRESS_CLASSES; i++) {
        if (s->queues[i].joined)
            scheduler_shaper_leave(s->shaper, i);
        s->queues[i].joined = false;
    }
}

void scheduler_destroy(struct scheduler *s)
{
    if (s == NULL)
        return;
    shaper_leave(s);
    for (unsigned i = 0; i < EGRESS_CLASSES; i++) {
        scheduler_ring_fini(&s->queues[i].control);
        scheduler_ring_fini(&s->queues[i].data);
    }
    free(s);
}

/* ---- the stack's side ---- */

static struct scheduler_queue *queue_of(struct scheduler *s, unsigned egress_class)
{
    bool known = s->shaper != NULL && egress_class < s->shaper->class_count;

    return &s->queues[known ? egress_class : 0];
}

static void queue_put(struct scheduler *s, struct scheduler_queue *q, struct rte_mbuf *m,
                      enum egress_band band)
{
    uint64_t bit = UINT64_C(1) << (q - s->queues);

    if (!scheduler_ring_put(band == EGRESS_CONTROL ? &q->control : &q->data, m)) {
        if (band == EGRESS_CONTROL)
            COUNTER_INC(s->counters.scheduler_control_dropped);
        else
            COUNTER_INC(s->counters.scheduler_data_dropped);
        rte_pktmbuf_free(m);
        return;
    }
    if (s->shaper == NULL)
        return;
    if (band == EGRESS_CONTROL) {
        s->control_waits |= bit;
    } else {
        s->data_waits |= bit;
        q->data_bytes += scheduler_frame_bytes(m);
    }
    COUNTER_INC(s->waiting);
    s->fresh = true;
}

static void scheduler_enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band,
                              uint8_t egress_class)
{
    struct scheduler *s = ctx;

    queue_put(s, queue_of(s, egress_class), m, band);
}

static uint32_t scheduler_room(void *ctx, uint8_t egress_class)
{
    struct scheduler *s = ctx;
    const struct scheduler_queue *q = queue_of(s, egress_class);
    uint32_t used = scheduler_ring_used(&q->data);
    uint32_t frames = used < q->data.max ? q->data.max - used : 0; /* more after a reload */
    const struct scheduler_shaper_class *k;
    uint64_t bytes;

    if (s->shaper == NULL)
        return frames;
    k = &s->shaper->classes[q - s->queues];
    if (q->data_bytes >= k->queue_bytes)
        return 0;
    bytes = (k->queue_bytes - q->data_bytes - 1) / k->frame_max + 1;
    return bytes < frames ? (uint32_t)bytes : frames;
}

static uint32_t scheduler_frame_max(void *ctx, uint8_t egress_class)
{
    struct scheduler *s = ctx;

    return s->shaper != NULL ? s->shaper->classes[queue_of(s, egress_class) - s->queues].frame_max
                             : UINT32_MAX;
}

struct stack_egress scheduler_egress(struct scheduler *s)
{
    return (struct stack_egress){.ctx = s,
                                 .enqueue = scheduler_enqueue,
                                 .room = scheduler_room,
                                 .frame_max = scheduler_frame_max};
}

/* ---- the device's side ---- */

void scheduler_stall(struct scheduler *s, uint32_t offered, uint32_t taken, clock_ns now)
{
    if (taken == offered) {
        s->stalled_since = 0;
        return;
    }
    COUNTER_INC(s->counters.scheduler_device_full);
    if (taken > 0 || s->stalled_since == 0)
        s->stalled_since = now;
}

clock_ns scheduler_stall_time(const struct scheduler *s, clock_ns now)
{
    clock_ns wait = (now - s->stalled_since) / 4;

    return now + RTE_MIN(RTE_MAX(wait, SCHEDULER_STALL_MIN), SCHEDULER_STALL_MAX);
}

/* Offers one burst; returns false when there is no use in offering another. */
static bool plain_burst(struct scheduler *s, clock_ns now)
{
    struct scheduler_ring *control = &s->queues[0].control, *data = &s->queues[0].data;
    struct rte_mbuf *burst[SCHEDULER_BURST];
    uint32_t first = scheduler_ring_peek(control, burst, SCHEDULER_BURST);
    uint32_t count = first + scheduler_ring_peek(data, burst + first, SCHEDULER_BURST - first);
    uint32_t taken;

    if (count == 0)
        return false;
    taken = s->send(s->send_ctx, burst, (uint16_t)count);
    control->head += taken < first ? taken : first;
    data->head += taken > first ? taken - first : 0;
    COUNTER_ADD(s->counters.scheduler_sent, taken);
    scheduler_stall(s, count, taken, now);
    return taken == SCHEDULER_BURST;
}

uint32_t scheduler_flush(struct scheduler *s, clock_ns now)
{
    if (s->shaper != NULL) {
        scheduler_share_flush(s, now);
        return s->waiting;
    }
    while (plain_burst(s, now))
        ;
    s->deadline = scheduler_waiting(s) > 0 ? scheduler_stall_time(s, now) : CLOCK_NEVER;
    return scheduler_waiting(s);
}

clock_ns scheduler_deadline(const struct scheduler *s)
{
    return s->deadline;
}

uint32_t scheduler_class_waiting(const struct scheduler *s, unsigned egress_class)
{
    const struct scheduler_queue *q = &s->queues[egress_class];

    return scheduler_ring_waiting(&q->control) + scheduler_ring_waiting(&q->data);
}

uint32_t scheduler_waiting(const struct scheduler *s)
{
    return s->shaper != NULL ? s->waiting : scheduler_class_waiting(s, 0);
}

/* ---- another shaper ---- */

/* The frames of the classes from `first` on become frames of class 0. */
static void queues_merge(struct scheduler *s, unsigned first)
{
    struct scheduler_queue *to = &s->queues[0];
    uint32_t control = 0, data = 0;

    for (unsigned i = first; i < EGRESS_CLASSES; i++) {
        control += scheduler_ring_used(&s->queues[i].control);
        data += scheduler_ring_used(&s->queues[i].data);
    }
    scheduler_ring_reserve(&to->control, control);
    scheduler_ring_reserve(&to->data, data);
    for (unsigned i = first; i < EGRESS_CLASSES; i++) {
        control = scheduler_ring_move(&to->control, &s->queues[i].control);
        data = scheduler_ring_move(&to->data, &s->queues[i].data);
        COUNTER_ADD(s->counters.scheduler_control_dropped, control);
        COUNTER_ADD(s->counters.scheduler_data_dropped, data);
    }
}

/* What is counted for a shaper, counted anew. */
static void queue_recount(struct scheduler *s, unsigned egress_class)
{
    struct scheduler_queue *q = &s->queues[egress_class];
    uint32_t waiting = scheduler_class_waiting(s, egress_class);

    q->held = false;
    q->data_bytes = 0;
    for (uint32_t i = q->data.head; i != q->data.tail; i++)
        q->data_bytes += scheduler_frame_bytes(q->data.slots[i & q->data.mask]);
    COUNTER_ADD(s->waiting, waiting);
    s->control_waits |= (uint64_t)(scheduler_ring_used(&q->control) > 0) << egress_class;
    s->data_waits |= (uint64_t)(scheduler_ring_used(&q->data) > 0) << egress_class;
}

int scheduler_apply(struct scheduler *s, struct scheduler_shaper *shaper, struct error *e)
{
    unsigned count = shaper != NULL ? shaper->class_count : 1;

    if (queues_grow(s, count, e) < 0)
        return -1;
    shaper_leave(s);
    queues_merge(s, count);
    s->control_waits = s->data_waits = 0;
    COUNTER_ADD(s->waiting, -s->waiting);
    for (unsigned i = 0; i < EGRESS_CLASSES; i++)
        queue_recount(s, i);
    s->shaper = shaper;
    s->fresh = true;
    s->deadline = s->waiting > 0 ? 0 : CLOCK_NEVER;
    return 0;
}

const struct scheduler_counters *scheduler_counters(const struct scheduler *s)
{
    return &s->counters;
}

const struct scheduler_class_counters *scheduler_class_counters(const struct scheduler *s,
                                                                unsigned egress_class)
{
    return &s->queues[egress_class].counters;
}
