/*
 * Two bounded queues in front of a device. Acknowledgements and handshakes (control) overtake data,
 * so that a connection that sends a lot does not slow down one that only answers.
 *
 * The queues are rings of pointers. A flush offers one array made of both, control first: the
 * device is asked once for each burst, not once for each queue, since with AF_XDP every call costs
 * a system call. What it does not take stays where it is, in order.
 *
 * Data is bounded by back-pressure: the stack asks for room and offers no more. A frame beyond
 * that, and control beyond its bound, is dropped and counted; TCP repairs both.
 */
#include "scheduler/scheduler.h"

#include <stdlib.h>

#include <rte_mbuf.h>

#define SCHEDULER_DEFAULT 1024
#define SCHEDULER_BURST   64

COUNTER_TABLE(scheduler_counter_table, SCHEDULER_COUNTERS);

/* head and tail run freely; their difference is the number of frames. */
struct scheduler_band {
    struct rte_mbuf **slots;
    uint32_t mask; /* slots - 1, a power of two */
    uint32_t max;  /* frames it takes: at most mask + 1 */
    uint32_t head, tail;
};

struct scheduler {
    struct scheduler_band control, data;
    scheduler_send *send;
    void *send_ctx;
    struct scheduler_counters counters;
};

static uint32_t scheduler_band_used(const struct scheduler_band *b)
{
    return b->tail - b->head;
}

static int scheduler_band_init(struct scheduler_band *b, uint32_t max)
{
    uint32_t size = 1;

    b->max = max != 0 ? max : SCHEDULER_DEFAULT;
    while (size < b->max && size < UINT32_C(1) << 31)
        size *= 2;
    b->mask = size - 1;
    b->slots = calloc(size, sizeof(struct rte_mbuf *));
    return b->slots != NULL && size >= b->max ? 0 : -1;
}

static void scheduler_band_fini(struct scheduler_band *b)
{
    for (; b->slots != NULL && b->head != b->tail; b->head++)
        rte_pktmbuf_free(b->slots[b->head & b->mask]);
    free(b->slots);
}

static bool scheduler_band_put(struct scheduler_band *b, struct rte_mbuf *m)
{
    if (scheduler_band_used(b) >= b->max)
        return false;
    b->slots[b->tail++ & b->mask] = m;
    return true;
}

/* Copies up to `max` of the frames in front without taking them. Returns how many. */
static uint32_t scheduler_band_peek(const struct scheduler_band *b, struct rte_mbuf **out,
                                    uint32_t max)
{
    uint32_t n = scheduler_band_used(b);

    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        out[i] = b->slots[(b->head + i) & b->mask];
    return n;
}

struct scheduler *scheduler_create(const struct scheduler_config *config, struct error *e)
{
    struct scheduler *s = calloc(1, sizeof *s);

    if (s == NULL || scheduler_band_init(&s->control, config->control_max) != 0 ||
        scheduler_band_init(&s->data, config->data_max) != 0) {
        scheduler_destroy(s);
        error_set(e, "no memory for a scheduler of %u and %u frames", config->control_max,
                  config->data_max);
        return NULL;
    }
    s->send = config->send;
    s->send_ctx = config->send_ctx;
    return s;
}

void scheduler_destroy(struct scheduler *s)
{
    if (s == NULL)
        return;
    scheduler_band_fini(&s->control);
    scheduler_band_fini(&s->data);
    free(s);
}

static void scheduler_enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band,
                              uint8_t egress_class)
{
    struct scheduler *s = ctx;

    (void)egress_class;

    if (band == EGRESS_CONTROL) {
        if (scheduler_band_put(&s->control, m))
            return;
        COUNTER_INC(s->counters.scheduler_control_dropped);
    } else {
        if (scheduler_band_put(&s->data, m))
            return;
        COUNTER_INC(s->counters.scheduler_data_dropped);
    }
    rte_pktmbuf_free(m);
}

static uint32_t scheduler_room(void *ctx, uint8_t egress_class)
{
    const struct scheduler *s = ctx;

    (void)egress_class;

    return s->data.max - scheduler_band_used(&s->data);
}

struct stack_egress scheduler_egress(struct scheduler *s)
{
    return (struct stack_egress){.ctx = s, .enqueue = scheduler_enqueue, .room = scheduler_room};
}

/* Offers one burst; returns false when there is no use in offering another. */
static bool scheduler_flush_burst(struct scheduler *s)
{
    struct rte_mbuf *burst[SCHEDULER_BURST];
    uint32_t control = scheduler_band_peek(&s->control, burst, SCHEDULER_BURST);
    uint32_t count =
        control + scheduler_band_peek(&s->data, burst + control, SCHEDULER_BURST - control);
    uint32_t taken;

    if (count == 0)
        return false;
    taken = s->send(s->send_ctx, burst, (uint16_t)count);
    s->control.head += taken < control ? taken : control;
    s->data.head += taken > control ? taken - control : 0;
    COUNTER_ADD(s->counters.scheduler_sent, taken);
    if (taken < count)
        COUNTER_INC(s->counters.scheduler_device_full);
    return taken == SCHEDULER_BURST;
}

uint32_t scheduler_flush(struct scheduler *s, clock_ns now)
{
    (void)now;
    while (scheduler_flush_burst(s))
        ;
    return scheduler_waiting(s);
}

uint32_t scheduler_waiting(const struct scheduler *s)
{
    return scheduler_band_used(&s->control) + scheduler_band_used(&s->data);
}

const struct scheduler_counters *scheduler_counters(const struct scheduler *s)
{
    return &s->counters;
}
