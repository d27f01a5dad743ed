/*
 * The token buckets of one interface, shared by its workers without locks.
 *
 * The rate of the interface is divided at the source: each class has a bucket that fills with its
 * guaranteed rate, and what is not guaranteed to anybody fills the bucket of the rest. What a full
 * bucket of a class cannot take spills into the rest. So the guarantees hold over all workers
 * whatever the others take, the sum never exceeds the rate, and nothing is lost while somebody can
 * use it. A class with a ceiling has a second bucket, which it must pay into whatever it takes from
 * the first two. (The sharing of tokens between bandwidth profiles is that of MEF 10.3, 12.)
 *
 * Time is a claim: who moves refilled_at forward has the interval to distribute, and nobody else
 * has. During a flush a worker draws tokens in chunks of a tenth of a millisecond's worth, and at
 * its end settles: it puts back what is left over or what it overdrew, so that between flushes
 * everything is in the buckets. A frame may go when there is any token at all; the debt is the
 * bucket's, and whoever comes next waits for it to be worked off.
 *
 * The rest goes by priority, and within one by weight, across all workers: each class has a virtual
 * time, the bytes that it had of the rest divided by its weight, and who has had least is entitled
 * (start-time fair queueing; Goyal, Vin and Cheng, 1996). A worker keeps to that with the classes
 * that wait in other workers, too, unless the rest piles up, as when one of those workers is held
 * up by its device.
 */
#include "scheduler/scheduler_internal.h"

#include <stdlib.h>

#include <rte_common.h>

#define SHAPER_DEPTH       (4 * CLOCK_MS)   /* of a bucket: how late a worker may come */
#define SHAPER_CHUNK       (100 * CLOCK_US) /* of a draw */
#define SHAPER_OVERDRAW    (8 * CLOCK_MS)   /* of control */
#define SHAPER_CHUNK_MIN   2048             /* bytes */
#define SHAPER_REFILL      (10 * CLOCK_US)  /* not more often than that */
#define SHAPER_QUEUE       (1 * CLOCK_MS)   /* of a class's queue, at the most that it can get */
#define SHAPER_FRAME       (1 * CLOCK_MS)   /* of one frame, likewise */
#define SHAPER_FRAME_OWN   (4 * CLOCK_MS)   /* of one frame, at the guaranteed rate */
#define SHAPER_FRAME_LARGE 61440            /* bytes: as large as frames get */
#define SHAPER_LEAD        65536            /* bytes that a class may be ahead by, at weight 1 */
#define SHAPER_SCALE       1024             /* of virtual time, so that weights divide well */

/* Bytes that a rate in bits a second brings in a time. */
static uint64_t rate_bytes(uint64_t rate, clock_ns time)
{
    return (uint64_t)((double)rate * (double)time / (8.0 * CLOCK_SEC));
}

static void bucket_init(struct scheduler_bucket *b, uint64_t rate)
{
    uint64_t depth = RTE_MAX(rate_bytes(rate, SHAPER_DEPTH), (uint64_t)SCHEDULER_FRAME);
    uint64_t chunk = RTE_MAX(rate_bytes(rate, SHAPER_CHUNK), (uint64_t)SHAPER_CHUNK_MIN);

    b->rate = (double)rate * (double)SCHEDULER_TOKENS(1) / (8.0 * CLOCK_SEC);
    b->depth = SCHEDULER_TOKENS(depth);
    b->chunk = SCHEDULER_TOKENS(chunk);
    b->overdraw = SCHEDULER_TOKENS(rate_bytes(rate, SHAPER_OVERDRAW) + SHAPER_CHUNK_MIN);
    atomic_init(&b->level, 0);
}

static uint64_t lesser_rate(uint64_t a, uint64_t b)
{
    return a != 0 && (b == 0 || a < b) ? a : b;
}

static void class_init(struct scheduler_shaper_class *k, const struct scheduler_class *from,
                       uint64_t interface_rate)
{
    uint64_t most = lesser_rate(from->ceiling, interface_rate);
    uint64_t frame = SHAPER_FRAME_LARGE, queue = UINT64_MAX;

    bucket_init(&k->guarantee, from->rate);
    bucket_init(&k->ceiling, from->ceiling);
    k->priority = from->priority;
    k->weight = from->weight != 0 ? from->weight : 1;
    if (most != 0)
        frame = RTE_MIN(frame, rate_bytes(most, SHAPER_FRAME));
    if (from->rate != 0)
        frame = RTE_MIN(frame, rate_bytes(from->rate, SHAPER_FRAME_OWN));
    frame = RTE_MAX(frame, (uint64_t)SCHEDULER_FRAME);
    if (most != 0)
        queue = RTE_MAX(rate_bytes(most, SHAPER_QUEUE), 2 * frame);
    k->frame_max = (uint32_t)frame;
    k->queue_bytes = queue;
}

static int config_check(const struct scheduler_shaper_config *c, struct error *e)
{
    uint64_t guaranteed = 0;

    if (c->class_count < 1 || c->class_count > EGRESS_CLASSES)
        return error_set(e, "%u egress classes are not from 1 to %d", c->class_count,
                         EGRESS_CLASSES);
    for (unsigned i = 0; i < c->class_count; i++) {
        const struct scheduler_class *k = &c->classes[i];

        if (k->priority >= SCHEDULER_PRIORITIES)
            return error_set(e, "egress class %u: priority %u is not from 0 to %d", i, k->priority,
                             SCHEDULER_PRIORITIES - 1);
        if (k->ceiling != 0 && k->rate > k->ceiling)
            return error_set(e, "egress class %u: more is guaranteed than its ceiling", i);
        guaranteed += k->rate;
    }
    if (c->rate != 0 && guaranteed > c->rate)
        return error_set(e, "more is guaranteed than the interface's rate");
    return 0;
}

struct scheduler_shaper *scheduler_shaper_create(const struct scheduler_shaper_config *config,
                                                 clock_ns now, struct error *e)
{
    uint64_t guaranteed = 0;
    struct scheduler_shaper *s;

    if (config_check(config, e) < 0)
        return NULL;
    s = aligned_alloc(alignof(struct scheduler_shaper), sizeof *s);
    if (s == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    *s = (struct scheduler_shaper){.class_count = config->class_count};
    atomic_init(&s->refilled_at, now);
    for (unsigned i = 0; i < config->class_count; i++) {
        class_init(&s->classes[i], &config->classes[i], config->rate);
        guaranteed += config->classes[i].rate;
    }
    if (config->rate != 0) {
        bucket_init(&s->rest, config->rate);
        s->rest.rate =
            (double)(config->rate - guaranteed) * (double)SCHEDULER_TOKENS(1) / (8.0 * CLOCK_SEC);
    }
    return s;
}

void scheduler_shaper_destroy(struct scheduler_shaper *s)
{
    free(s);
}

/* ---- buckets ---- */

/* Returns what does not fit. */
static scheduler_tokens bucket_fill(struct scheduler_bucket *b, scheduler_tokens add)
{
    scheduler_tokens level = atomic_load_explicit(&b->level, memory_order_relaxed), fit;

    do {
        fit = level < b->depth ? RTE_MIN(add, b->depth - level) : 0;
    } while (!atomic_compare_exchange_weak_explicit(&b->level, &level, level + fit,
                                                    memory_order_relaxed, memory_order_relaxed));
    return add - fit;
}

void scheduler_shaper_refill(struct scheduler_shaper *s, clock_ns now)
{
    clock_ns since = atomic_load_explicit(&s->refilled_at, memory_order_relaxed);
    scheduler_tokens spilled = 0;
    double time;

    if (now < since + SHAPER_REFILL ||
        !atomic_compare_exchange_strong_explicit(&s->refilled_at, &since, now, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    time = (double)RTE_MIN(now - since, CLOCK_SEC);
    for (unsigned i = 0; i < s->class_count; i++) {
        struct scheduler_shaper_class *k = &s->classes[i];

        if (k->guarantee.rate > 0)
            spilled += bucket_fill(&k->guarantee, (scheduler_tokens)(k->guarantee.rate * time));
        if (k->ceiling.rate > 0)
            bucket_fill(&k->ceiling, (scheduler_tokens)(k->ceiling.rate * time));
    }
    if (s->rest.depth > 0)
        bucket_fill(&s->rest, (scheduler_tokens)(s->rest.rate * time) + spilled);
}

scheduler_tokens scheduler_bucket_draw(struct scheduler_bucket *b, scheduler_tokens want)
{
    scheduler_tokens level = atomic_load_explicit(&b->level, memory_order_relaxed), take;

    do {
        if (level <= 0)
            return 0;
        take = RTE_MIN(level, want);
    } while (!atomic_compare_exchange_weak_explicit(&b->level, &level, level - take,
                                                    memory_order_relaxed, memory_order_relaxed));
    return take;
}

static clock_ns time_to_bring(scheduler_tokens tokens, double rate, clock_ns now)
{
    double time = rate > 0 ? (double)tokens / rate + 1 : (double)CLOCK_SEC;

    return time < (double)CLOCK_SEC ? now + (clock_ns)time : now + CLOCK_SEC;
}

clock_ns scheduler_bucket_time(const struct scheduler_bucket *b, scheduler_tokens level,
                               clock_ns now)
{
    scheduler_tokens lacks = level - atomic_load_explicit(&b->level, memory_order_relaxed);

    return lacks < 0 ? now : time_to_bring(lacks, b->rate, now);
}

/* ---- the rest ---- */

clock_ns scheduler_shaper_rest_time(const struct scheduler_shaper *s, scheduler_tokens level,
                                    clock_ns now)
{
    scheduler_tokens lacks = level - atomic_load_explicit(&s->rest.level, memory_order_relaxed);
    clock_ns spilling = CLOCK_NEVER;
    double rate = s->rest.rate;

    if (s->rest.depth == 0 || lacks < 0)
        return now;
    /* What full buckets spill comes on top: look again when the next one may be full, as nobody
     * tells that those it is for take no more. */
    for (unsigned i = 0; i < s->class_count; i++) {
        const struct scheduler_bucket *b = &s->classes[i].guarantee;

        if (b->rate <= 0)
            continue;
        if (atomic_load_explicit(&b->level, memory_order_relaxed) >= b->depth)
            rate += b->rate;
        else
            spilling = RTE_MIN(spilling, scheduler_bucket_time(b, b->depth, now));
    }
    return RTE_MIN(time_to_bring(lacks, rate, now), RTE_MAX(spilling, now + SHAPER_REFILL));
}

/* Bytes of a class in virtual time. */
static uint64_t virtual_bytes(const struct scheduler_shaper_class *k, uint64_t bytes)
{
    return bytes * SHAPER_SCALE / k->weight;
}

/* Who was away is not owed what it did not ask for, but for a little: a queue may be empty for the
 * moment that the stack takes to fill it again. */
void scheduler_shaper_join(struct scheduler_shaper *s, unsigned egress_class)
{
    struct scheduler_shaper_class *k = &s->classes[egress_class];
    uint64_t now = atomic_load_explicit(&s->virtual_time[k->priority], memory_order_relaxed);
    uint64_t own = atomic_load_explicit(&k->virtual_time, memory_order_relaxed);
    uint64_t least = now - virtual_bytes(k, SHAPER_LEAD);

    while (scheduler_virtual_before(own, least) &&
           !atomic_compare_exchange_weak_explicit(&k->virtual_time, &own, least,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&k->backlogged, 1, memory_order_relaxed);
}

void scheduler_shaper_leave(struct scheduler_shaper *s, unsigned egress_class)
{
    atomic_fetch_sub_explicit(&s->classes[egress_class].backlogged, 1, memory_order_relaxed);
}

void scheduler_shaper_charge(struct scheduler_shaper *s, unsigned egress_class, uint32_t bytes)
{
    struct scheduler_shaper_class *k = &s->classes[egress_class];
    uint64_t start =
        atomic_fetch_add_explicit(&k->virtual_time, virtual_bytes(k, bytes), memory_order_relaxed);

    atomic_store_explicit(&s->virtual_time[k->priority], start, memory_order_relaxed);
}

void scheduler_shaper_refund(struct scheduler_shaper *s, unsigned egress_class, uint32_t bytes)
{
    struct scheduler_shaper_class *k = &s->classes[egress_class];

    atomic_fetch_sub_explicit(&k->virtual_time, virtual_bytes(k, bytes), memory_order_relaxed);
}

/* Waits, and its ceiling lets it go on. */
static bool class_competes(const struct scheduler_shaper_class *k, bool holds, bool lacks)
{
    if (atomic_load_explicit(&k->backlogged, memory_order_relaxed) == 0 || lacks)
        return false;
    return k->ceiling.rate <= 0 || holds ||
           atomic_load_explicit(&k->ceiling.level, memory_order_relaxed) > 0;
}

uint64_t scheduler_shaper_entitled(struct scheduler_shaper *s, uint64_t holding, uint64_t lacking)
{
    unsigned priority = SCHEDULER_PRIORITIES;
    uint64_t least = 0, entitled = 0;

    if (s->rest.depth == 0 ||
        atomic_load_explicit(&s->rest.level, memory_order_relaxed) > s->rest.depth / 2)
        return UINT64_MAX;
    for (unsigned i = 0; i < s->class_count; i++) {
        const struct scheduler_shaper_class *k = &s->classes[i];
        uint64_t own = atomic_load_explicit(&k->virtual_time, memory_order_relaxed);

        if (k->priority > priority || !class_competes(k, holding >> i & 1, lacking >> i & 1))
            continue;
        if (k->priority < priority || scheduler_virtual_before(own, least))
            least = own;
        priority = k->priority;
    }
    for (unsigned i = 0; i < s->class_count; i++) {
        const struct scheduler_shaper_class *k = &s->classes[i];
        uint64_t own = atomic_load_explicit(&k->virtual_time, memory_order_relaxed);

        if (k->priority == priority &&
            !scheduler_virtual_before(least + virtual_bytes(k, SHAPER_LEAD), own))
            entitled |= UINT64_C(1) << i;
    }
    return entitled;
}
