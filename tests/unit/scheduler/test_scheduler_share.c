/*
 * How classes share an interface: against a fluid model, with random classes, rates and demands,
 * one worker and several; then each promise by itself.
 */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>

#include "scheduler/scheduler_internal.h"
#include "tests/unit/scheduler/share_world.h"

#define MBIT        UINT64_C(1000000)
#define ALL_WORKERS 0xf

static const struct share_source greedy = {SHARE_GREEDY, ALL_WORKERS, false};
static const struct share_source greedy_large = {SHARE_GREEDY, ALL_WORKERS, true};

/* ---- the model: rates as if data were a fluid ---- */

struct fluid {
    double want, had; /* bits a second */
};

static void fluid_priority(const struct scheduler_shaper_config *c, struct fluid *f,
                           unsigned priority, double *rest)
{
    for (unsigned pass = 0; pass <= c->class_count; pass++) {
        double weights = 0, left = *rest;

        for (unsigned i = 0; i < c->class_count; i++) {
            if (c->classes[i].priority == priority && f[i].had < f[i].want)
                weights += c->classes[i].weight;
        }
        for (unsigned i = 0; weights > 0 && i < c->class_count; i++) {
            double share = left * c->classes[i].weight / weights, lacks = f[i].want - f[i].had;

            if (c->classes[i].priority != priority || lacks <= 0)
                continue;
            share = share < lacks ? share : lacks;
            f[i].had += share;
            *rest -= share;
        }
    }
}

static void fluid_share(const struct scheduler_shaper_config *c, const uint64_t demand[],
                        struct fluid *f)
{
    double rest = (double)c->rate;

    for (unsigned i = 0; i < c->class_count; i++) {
        const struct scheduler_class *k = &c->classes[i];

        f[i].want = demand[i] == SHARE_GREEDY ? 1e15 : (double)demand[i];
        if (k->ceiling != 0 && f[i].want > (double)k->ceiling)
            f[i].want = (double)k->ceiling;
        f[i].had = f[i].want < (double)k->rate ? f[i].want : (double)k->rate;
        rest -= f[i].had;
    }
    for (unsigned p = 0; p < 8; p++)
        fluid_priority(c, f, p, &rest);
}

/* ---- random classes ---- */

static struct scheduler_shaper_config random_config(struct share_world *r)
{
    struct scheduler_shaper_config c = {.rate = (10 + share_random(r, 2000)) * MBIT,
                                        .class_count = 1 + (unsigned)share_random(r, 6)};
    uint64_t left = c.rate;

    for (unsigned i = 0; i < c.class_count; i++) {
        struct scheduler_class *k = &c.classes[i];

        if (share_random(r, 2) == 0)
            k->rate = c.rate / 50 + share_random(r, left / 2 + 1);
        k->rate = k->rate < left ? k->rate : left;
        left -= k->rate;
        if (share_random(r, 3) == 0)
            k->ceiling = k->rate + c.rate / 20 + share_random(r, c.rate / 2);
        k->priority = (uint8_t)(share_random(r, 3) * 3);
        k->weight = (uint16_t)(50 + share_random(r, 300));
    }
    return c;
}

static void random_sources(struct share_world *w, const struct scheduler_shaper_config *c,
                           unsigned workers, uint64_t demand[])
{
    for (unsigned i = 0; i < c->class_count; i++) {
        struct share_source source = {.large = share_random(w, 2) == 0};
        unsigned having = 0;

        source.workers = 1 + (uint32_t)share_random(w, (1u << workers) - 1);
        for (unsigned k = 0; k < workers; k++)
            having += source.workers >> k & 1;
        switch (share_random(w, 4)) {
        case 0:
            break;
        case 1:
            source.demand = (c->rate / 30 + share_random(w, c->rate / 2)) / having;
            break;
        default:
            source.demand = SHARE_GREEDY;
        }
        demand[i] = source.demand == SHARE_GREEDY ? SHARE_GREEDY : source.demand * having;
        share_source(w, i, source);
    }
}

static void model_print(const struct scheduler_shaper_config *c, const uint64_t demand[],
                        const struct fluid *f, const struct share_world *w, clock_ns time)
{
    print_message("Mbit/s: interface %.1f\n", (double)c->rate / 1e6);
    for (unsigned i = 0; i < c->class_count; i++) {
        const struct scheduler_class *k = &c->classes[i];

        print_message("class %u: rate %.1f ceiling %.1f priority %u weight %u demand %.1f: "
                      "expected %.1f, got %.1f\n",
                      i, (double)k->rate / 1e6, (double)k->ceiling / 1e6, k->priority, k->weight,
                      demand[i] == SHARE_GREEDY ? 1e9 : (double)demand[i] / 1e6, f[i].had / 1e6,
                      (double)share_sent(w, i) * 8e3 / (double)time);
    }
}

/* Shares within 2 % of the class's own, and some frames. */
static void check_random(uint64_t seed, unsigned workers)
{
    const struct scheduler_shaper_config any = {.rate = MBIT, .class_count = 1};
    struct share_world *w = share_create(&any, workers, seed);
    struct scheduler_shaper_config c = random_config(w);
    uint64_t demand[EGRESS_CLASSES];
    struct fluid f[EGRESS_CLASSES];
    clock_ns time = (clock_ns)(30e6 * 8e9 / (double)c.rate);

    share_apply(w, &c);
    random_sources(w, &c, workers, demand);
    share_jitter(w, seed % 3 * 50 * CLOCK_US);
    fluid_share(&c, demand, f);
    share_run(w, time / 10);
    share_reset(w);
    share_run(w, time);
    for (unsigned i = 0; i < c.class_count; i++) {
        double expected = f[i].had * (double)time / 8e9, got = (double)share_sent(w, i);
        double tolerance = expected * 0.02 + 4 * 64000;

        if (got < expected - tolerance || got > expected + tolerance) {
            model_print(&c, demand, f, w, time);
            fail_msg("seed %u, %u workers, class %u: %.0f bytes, expected %.0f", (unsigned)seed,
                     workers, i, got, expected);
        }
    }
    share_destroy(w);
}

static void test_random_one_worker(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        check_random(seed, 1);
}

static void test_random_many_workers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        check_random(seed, 2 + seed % 3);
}

/* ---- one promise at a time ---- */

static struct share_world *world(struct scheduler_shaper_config c, unsigned workers)
{
    return share_create(&c, workers, 99);
}

/* Mbit/s of a class over a second, after a tenth to settle. */
static void settle_and_run(struct share_world *w)
{
    share_run(w, 100 * CLOCK_MS);
    share_reset(w);
    share_run(w, CLOCK_SEC);
}

static double mbit(const struct share_world *w, unsigned egress_class)
{
    return (double)share_sent(w, egress_class) * 8 / 1e6;
}

#define assert_mbit(w, k, low, high) \
    assert_in_range((uint64_t)(mbit(w, k) * 1000), (low)*1000, (high)*1000)

/* Four workers with the same class: the ceiling is that of all together. */
static void test_ceiling_over_workers(void **state)
{
    static const uint64_t ceilings[] = {1, 10, 100, 1000};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct share_world *w = world(
            (struct scheduler_shaper_config){.class_count = 2,
                                             .classes = {{0}, {.ceiling = ceilings[i] * MBIT}}},
            4);
        uint64_t low = ceilings[i] * 980, high = ceilings[i] * 1020;

        share_source(w, 1, i % 2 == 0 ? greedy : greedy_large);
        share_jitter(w, 50 * CLOCK_US);
        share_run(w, 100 * CLOCK_MS);
        share_reset(w);
        share_run(w, 4 * CLOCK_SEC);
        assert_in_range(share_sent(w, 1) * 8 / 4000, low, high);
        share_destroy(w);
    }
}

/* One worker's class has the guarantee, the other three overload the interface with another. */
static void test_guarantee_over_workers(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .rate = 500 * MBIT,
            .class_count = 3,
            .classes = {{.priority = 4, .weight = 100},
                        {.rate = 200 * MBIT, .priority = 7, .weight = 1},
                        {.priority = 0, .weight = 1000}}},
        4);

    (void)state;
    share_source(w, 1, (struct share_source){SHARE_GREEDY, 0x1, false});
    share_source(w, 2, (struct share_source){SHARE_GREEDY, 0xe, true});
    settle_and_run(w);
    assert_mbit(w, 1, 196, 204);
    assert_mbit(w, 2, 294, 306);
    share_destroy(w);
}

/* Priority holds where the classes wait in different workers, and nothing is lost to caution when
 * the one that goes first has enough. */
static void test_priority_over_workers(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .rate = 100 * MBIT,
            .class_count = 3,
            .classes = {{.priority = 4}, {.priority = 1}, {.priority = 2}}},
        2);

    (void)state;
    share_source(w, 1, (struct share_source){SHARE_GREEDY, 0x1, false});
    share_source(w, 2, (struct share_source){SHARE_GREEDY, 0x2, false});
    settle_and_run(w);
    assert_mbit(w, 1, 95, 102);
    assert_mbit(w, 2, 0, 5);
    share_source(w, 1, (struct share_source){30 * MBIT, 0x1, false});
    settle_and_run(w);
    assert_mbit(w, 1, 29, 31);
    assert_mbit(w, 2, 68, 72);
    share_destroy(w);
}

/* Without a rate the device decides how much: guarantees come first, then priority. */
static void test_device_is_the_bound(void **state)
{
    struct share_world *w =
        world((struct scheduler_shaper_config){.class_count = 4,
                                               .classes = {{.priority = 4},
                                                           {.rate = 30 * MBIT, .priority = 7},
                                                           {.priority = 1, .weight = 1},
                                                           {.priority = 1, .weight = 3}}},
              1);

    (void)state;
    share_device(w, 100 * MBIT);
    share_source(w, 1, greedy);
    share_source(w, 2, greedy);
    share_source(w, 3, greedy);
    settle_and_run(w);
    assert_mbit(w, 1, 29, 31);
    assert_mbit(w, 2, 16, 19);
    assert_mbit(w, 3, 49, 55);
    share_destroy(w);
}

/* Control waits for no data, but counts: the sum stays what the interface may send. */
static void test_control_is_ahead_and_accounted(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .rate = 10 * MBIT, .class_count = 2, .classes = {{.priority = 4}, {.priority = 4}}},
        1);
    uint64_t control = 0, data, total;

    (void)state;
    share_source(w, 1, greedy);
    share_run(w, 100 * CLOCK_MS);
    share_reset(w);
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned k = 0; k < 4; k++) {
            share_offer(w, 0, 0, EGRESS_CONTROL, 66);
            control += 66;
        }
        share_run(w, 20 * CLOCK_US);
        assert_int_equal(share_sent(w, 0), control); /* at once */
        share_run(w, 980 * CLOCK_US);
    }
    data = share_sent(w, 1);
    total = data + control;
    assert_in_range(total * 8, 9800000, 10200000);
    share_destroy(w);
}

/* Control alone beyond the ceiling: it waits, and no more goes out than the ceiling and the debt
 * that control may run up. */
static void test_control_overdraws_little(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){.class_count = 2, .classes = {{0}, {.ceiling = 1 * MBIT}}},
        1);

    (void)state;
    share_reset(w);
    for (unsigned i = 0; i < 1000; i++)
        share_offer(w, 0, 1, EGRESS_CONTROL, 100);
    share_run(w, 100 * CLOCK_MS);
    assert_in_range(share_sent(w, 1), 12500, 12500 + 4000);
    assert_int_equal(scheduler_class_waiting(share_scheduler(w, 0), 1),
                     1000 - share_sent(w, 1) / 100);
    assert_true(scheduler_deadline(share_scheduler(w, 0)) < share_now(w) + 10 * CLOCK_MS);
    share_destroy(w);
}

/* What waits is a millisecond's worth, or two frames: and nothing is ever dropped. */
static void test_queues_are_short(void **state)
{
    static const uint64_t rates[] = {1, 20, 200, 2000};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct share_world *w =
            world((struct scheduler_shaper_config){.class_count = 2,
                                                   .classes = {{0}, {.ceiling = rates[i] * MBIT}}},
                  1);
        clock_ns two_frames = (clock_ns)(3.2 * 1514 * 8e3 / (double)rates[i]);
        const struct scheduler_counters *c = scheduler_counters(share_scheduler(w, 0));

        share_source(w, 1, greedy_large);
        settle_and_run(w);
        assert_in_range(share_longest(w, 1), 0, 4 * CLOCK_MS + two_frames);
        assert_int_equal(c->scheduler_data_dropped, 0);
        assert_int_equal(c->scheduler_control_dropped, 0);
        share_destroy(w);
    }
}

/* A class that sends nothing costs the others nothing; one that begins again has its share soon. */
/* Nothing is left over of the interface's rate but what those it is guaranteed to do not take.
 * Nobody tells the worker in which others wait when they stop to take it. */
static void test_all_guaranteed(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .rate = 100 * MBIT,
            .class_count = 2,
            .classes = {{.priority = 4, .weight = 100},
                        {.rate = 100 * MBIT, .priority = 4, .weight = 100}}},
        2);

    (void)state;
    share_source(w, 0, (struct share_source){SHARE_GREEDY, 0x1, true});
    share_source(w, 1, (struct share_source){SHARE_GREEDY, 0x2, false});
    share_run(w, 100 * CLOCK_MS);
    share_source(w, 1, (struct share_source){0});
    share_reset(w);
    share_run(w, 200 * CLOCK_MS);
    assert_in_range(share_sent(w, 0) * 8, 19 * MBIT, 21 * MBIT);
    share_destroy(w);
}

/* Virtual time wraps after some weeks at 100 Gbit/s. */
static void test_virtual_time_wraps(void **state)
{
    struct share_world *w =
        world((struct scheduler_shaper_config){.rate = 100 * MBIT,
                                               .class_count = 2,
                                               .classes = {{.priority = 4, .weight = 1},
                                                           {.priority = 4, .weight = 1}}},
              2);
    struct scheduler_shaper *shaper = share_scheduler(w, 0)->shaper;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&shaper->classes[i].virtual_time, UINT64_MAX - 1024 * 1000000);
    atomic_store(&shaper->virtual_time[4], UINT64_MAX - 1024 * 1000000);
    share_source(w, 0, (struct share_source){SHARE_GREEDY, 0x1, false});
    share_source(w, 1, (struct share_source){SHARE_GREEDY, 0x2, false});
    share_run(w, 100 * CLOCK_MS);
    share_reset(w);
    share_run(w, 400 * CLOCK_MS);
    assert_true(atomic_load(&shaper->classes[0].virtual_time) < UINT64_MAX / 2);
    assert_in_range(share_sent(w, 0) * 8, 19 * MBIT, 21 * MBIT);
    assert_in_range(share_sent(w, 1) * 8, 19 * MBIT, 21 * MBIT);
    share_destroy(w);
}

static void test_idle_and_back(void **state)
{
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .rate = 100 * MBIT,
            .class_count = 3,
            .classes = {{.priority = 4},
                        {.rate = 60 * MBIT, .priority = 4, .weight = 1},
                        {.rate = 20 * MBIT, .priority = 4, .weight = 1}}},
        2);
    const struct share_source none = {0};

    (void)state;
    share_source(w, 2, greedy);
    settle_and_run(w);
    assert_mbit(w, 2, 98, 101);
    share_source(w, 1, greedy);
    share_run(w, 10 * CLOCK_MS);
    share_reset(w);
    share_run(w, CLOCK_SEC);
    assert_mbit(w, 1, 68, 72);
    assert_mbit(w, 2, 28, 32);
    share_source(w, 1, none);
    settle_and_run(w);
    assert_mbit(w, 2, 98, 101);
    share_destroy(w);
}

/* What waits goes on under another shaper; classes that are gone become the default one. */
static void test_apply(void **state)
{
    const struct scheduler_shaper_config few = {.class_count = 2,
                                                .classes = {{0}, {.ceiling = 20 * MBIT}}};
    struct share_world *w = world(
        (struct scheduler_shaper_config){
            .class_count = 4, .classes = {{0}, {.ceiling = 5 * MBIT}, {0}, {.ceiling = 1 * MBIT}}},
        2);
    uint32_t waited;

    (void)state;
    share_source(w, 1, greedy);
    share_source(w, 3, greedy);
    settle_and_run(w);
    assert_mbit(w, 1, 4.9, 5.1);
    assert_mbit(w, 3, 0.98, 1.02);
    share_source(w, 3, (struct share_source){0});
    waited = scheduler_class_waiting(share_scheduler(w, 0), 3);
    assert_in_range(waited, 1, 5);
    share_apply(w, &few);
    assert_in_range(scheduler_class_waiting(share_scheduler(w, 0), 0), waited, waited);
    settle_and_run(w);
    assert_int_equal(scheduler_class_waiting(share_scheduler(w, 0), 0), 0);
    assert_mbit(w, 1, 19.6, 20.4);
    share_destroy(w);
}

/* A device that takes part of a burst gets the rest later, in order, and nothing is charged twice:
 * a ceiling below the device's rate is kept exactly. */
static void test_device_takes_part(void **state)
{
    struct share_world *w =
        world((struct scheduler_shaper_config){.rate = 60 * MBIT,
                                               .class_count = 3,
                                               .classes = {{.priority = 4},
                                                           {.ceiling = 40 * MBIT, .priority = 1},
                                                           {.rate = 10 * MBIT, .priority = 3}}},
              1);

    (void)state;
    share_device(w, 70 * MBIT);
    share_source(w, 1, greedy);
    share_source(w, 2, greedy_large);
    settle_and_run(w);
    assert_mbit(w, 1, 39.2, 40.8);
    assert_mbit(w, 2, 19.4, 20.6);
    assert_true(scheduler_counters(share_scheduler(w, 0))->scheduler_device_full > 0);
    share_destroy(w);
}

static void test_refused(void **state)
{
    const struct scheduler_shaper_config bad[] = {
        {.class_count = 0},
        {.class_count = EGRESS_CLASSES + 1},
        {.class_count = 1, .classes = {{.priority = 8}}},
        {.class_count = 1, .classes = {{.rate = 2, .ceiling = 1}}},
        {.rate = 10, .class_count = 2, .classes = {{.rate = 6}, {.rate = 5}}},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error e = {0};

        assert_null(scheduler_shaper_create(&bad[i], 0, &e));
        assert_true(e.set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_one_worker),
        cmocka_unit_test(test_random_many_workers),
        cmocka_unit_test(test_ceiling_over_workers),
        cmocka_unit_test(test_guarantee_over_workers),
        cmocka_unit_test(test_priority_over_workers),
        cmocka_unit_test(test_device_is_the_bound),
        cmocka_unit_test(test_control_is_ahead_and_accounted),
        cmocka_unit_test(test_control_overdraws_little),
        cmocka_unit_test(test_queues_are_short),
        cmocka_unit_test(test_all_guaranteed),
        cmocka_unit_test(test_virtual_time_wraps),
        cmocka_unit_test(test_idle_and_back),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_device_takes_part),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
