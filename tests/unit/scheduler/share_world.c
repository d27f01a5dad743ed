#include "tests/unit/scheduler/share_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#define HEADERS 66
#define SEGMENT 1448
#define START   (1000 * CLOCK_SEC)

struct worker {
    struct share_world *world;
    struct scheduler *scheduler;
    struct stack_egress egress;
    clock_ns wakes, device_free;
    struct {
        clock_ns since;
        uint64_t produced; /* bytes, when the demand has a bound */
    } source[EGRESS_CLASSES];
};

struct share_world {
    struct scheduler_shaper *shaper;
    struct worker worker[SHARE_WORKERS];
    unsigned workers;
    clock_ns now, jitter;
    uint64_t device, random;
    struct share_source source[EGRESS_CLASSES];
    uint64_t sent[EGRESS_CLASSES];
    clock_ns longest[EGRESS_CLASSES];
};

/* A frame that needs no pool; the device frees it. */
struct frame {
    struct rte_mbuf m;
    clock_ns at;
    uint8_t egress_class, band;
    uint32_t wire;
};

uint64_t share_random(struct share_world *w, uint64_t n)
{
    uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

static uint16_t device_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct worker *k = ctx;
    struct share_world *w = k->world;

    for (uint16_t i = 0; i < count; i++) {
        struct frame *f = (struct frame *)(void *)frames[i];

        if (w->device != 0 && k->device_free > w->now)
            return i;
        if (w->device != 0)
            k->device_free = (k->device_free > w->now - CLOCK_MS ? k->device_free : w->now) +
                             (clock_ns)f->wire * 8 * CLOCK_SEC / w->device;
        w->sent[f->egress_class] += f->wire;
        if (f->band == EGRESS_DATA && w->now - f->at > w->longest[f->egress_class])
            w->longest[f->egress_class] = w->now - f->at;
        free(f);
    }
    return count;
}

struct share_world *share_create(const struct scheduler_shaper_config *config, unsigned workers,
                                 uint64_t seed)
{
    struct share_world *w = calloc(1, sizeof *w);
    struct error e = {0};

    assert(w != NULL && workers <= SHARE_WORKERS);
    w->now = START;
    w->random = seed;
    w->workers = workers;
    w->shaper = scheduler_shaper_create(config, w->now, &e);
    assert(w->shaper != NULL);
    for (unsigned i = 0; i < workers; i++) {
        struct worker *k = &w->worker[i];
        const struct scheduler_config sc = {
            .shaper = w->shaper, .send = device_send, .send_ctx = k};

        k->world = w;
        k->scheduler = scheduler_create(&sc, &e);
        assert(k->scheduler != NULL);
        k->egress = scheduler_egress(k->scheduler);
        k->wakes = w->now;
    }
    return w;
}

void share_destroy(struct share_world *w)
{
    const struct scheduler_shaper_config open = {.class_count = 1};

    memset(w->source, 0, sizeof w->source);
    w->device = 0;
    share_apply(w, &open);
    share_run(w, CLOCK_MS); /* everything leaves */
    for (unsigned i = 0; i < w->workers; i++) {
        assert(scheduler_waiting(w->worker[i].scheduler) == 0);
        scheduler_destroy(w->worker[i].scheduler);
    }
    scheduler_shaper_destroy(w->shaper);
    free(w);
}

void share_source(struct share_world *w, unsigned egress_class, struct share_source source)
{
    w->source[egress_class] = source;
    for (unsigned i = 0; i < w->workers; i++)
        w->worker[i].source[egress_class].since = w->now;
}

void share_device(struct share_world *w, uint64_t rate)
{
    w->device = rate;
}

void share_jitter(struct share_world *w, clock_ns jitter)
{
    w->jitter = jitter;
}

static void offer(struct worker *k, unsigned egress_class, enum egress_band band, uint32_t payload)
{
    struct frame *f = calloc(1, sizeof *f);
    uint32_t segments = payload > SEGMENT ? (payload + SEGMENT - 1) / SEGMENT : 1;

    assert(f != NULL);
    rte_mbuf_refcnt_set(&f->m, 1);
    f->m.nb_segs = 1;
    f->m.pkt_len = payload + HEADERS;
    f->m.l2_len = 14;
    f->m.l3_len = 20;
    f->m.l4_len = HEADERS - 34;
    if (segments > 1) {
        f->m.ol_flags = RTE_MBUF_F_TX_TCP_SEG;
        f->m.tso_segsz = SEGMENT;
    }
    f->at = k->world->now;
    f->egress_class = (uint8_t)egress_class;
    f->band = band;
    f->wire = payload + segments * HEADERS;
    k->egress.enqueue(k->egress.ctx, &f->m, band, (uint8_t)egress_class);
}

void share_offer(struct share_world *w, unsigned worker, unsigned egress_class,
                 enum egress_band band, uint32_t bytes)
{
    offer(&w->worker[worker], egress_class, band, bytes - HEADERS);
    w->worker[worker].wakes = w->now;
}

static uint32_t payload_size(struct share_world *w, struct worker *k, unsigned egress_class)
{
    uint32_t max = k->egress.frame_max(k->egress.ctx, (uint8_t)egress_class);

    if (!w->source[egress_class].large || max < 2 * SEGMENT)
        return 100 + (uint32_t)share_random(w, SEGMENT - 100 + 1);
    max = max < 61440 ? max : 61440;
    return SEGMENT + (uint32_t)share_random(w, max - SEGMENT + 1);
}

/* Returns when a source that has a bound has more. */
static clock_ns produce(struct share_world *w, struct worker *k, unsigned egress_class)
{
    const struct share_source *source = &w->source[egress_class];
    uint64_t due = UINT64_MAX, *produced = &k->source[egress_class].produced;

    if (source->demand == 0 || (source->workers >> (k - w->worker) & 1) == 0)
        return CLOCK_NEVER;
    if (source->demand != SHARE_GREEDY)
        due = (uint64_t)((double)(w->now - k->source[egress_class].since) * (double)source->demand /
                         8e9);
    while (*produced < due && k->egress.room(k->egress.ctx, (uint8_t)egress_class) > 0) {
        uint32_t payload = payload_size(w, k, egress_class);

        offer(k, egress_class, EGRESS_DATA, payload);
        if (source->demand != SHARE_GREEDY)
            *produced += payload + (payload + SEGMENT - 1) / SEGMENT * HEADERS;
    }
    if (source->demand == SHARE_GREEDY)
        return CLOCK_NEVER;
    return w->now + 20 * CLOCK_US;
}

static void worker_round(struct share_world *w, struct worker *k)
{
    clock_ns next = CLOCK_NEVER, deadline;
    uint32_t before;

    for (unsigned c = 0; c < EGRESS_CLASSES; c++) {
        clock_ns at = produce(w, k, c);

        next = at < next ? at : next;
    }
    before = scheduler_waiting(k->scheduler);
    if (scheduler_flush(k->scheduler, w->now) < before)
        next = w->now + CLOCK_US; /* a round that sent something is followed by another */
    deadline = scheduler_deadline(k->scheduler);
    if (deadline != CLOCK_NEVER && w->jitter > 0)
        deadline += share_random(w, w->jitter);
    k->wakes = deadline < next ? deadline : next;
}

void share_run(struct share_world *w, clock_ns time)
{
    clock_ns end = w->now + time;

    while (w->now < end) {
        clock_ns next = end;

        for (unsigned i = 0; i < w->workers; i++) {
            if (w->worker[i].wakes <= w->now)
                worker_round(w, &w->worker[i]);
            if (w->worker[i].wakes < next)
                next = w->worker[i].wakes;
        }
        w->now = next > w->now + 200 ? next : w->now + 200;
    }
}

void share_reset(struct share_world *w)
{
    memset(w->sent, 0, sizeof w->sent);
    memset(w->longest, 0, sizeof w->longest);
}

uint64_t share_sent(const struct share_world *w, unsigned egress_class)
{
    return w->sent[egress_class];
}

clock_ns share_longest(const struct share_world *w, unsigned egress_class)
{
    return w->longest[egress_class];
}

clock_ns share_now(const struct share_world *w)
{
    return w->now;
}

struct scheduler *share_scheduler(struct share_world *w, unsigned worker)
{
    return w->worker[worker].scheduler;
}

void share_apply(struct share_world *w, const struct scheduler_shaper_config *config)
{
    struct error e = {0};
    struct scheduler_shaper *next = scheduler_shaper_create(config, w->now, &e);

    assert(next != NULL);
    for (unsigned i = 0; i < w->workers; i++) {
        int result = scheduler_apply(w->worker[i].scheduler, next, &e);

        assert(result == 0);
        (void)result;
        w->worker[i].wakes = w->now;
    }
    scheduler_shaper_destroy(w->shaper);
    w->shaper = next;
}
