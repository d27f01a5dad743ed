/*
 * How classes share an interface: against a fluid model, with random classes, rates and demands,
 * one worker and several; then each promise by itself.
 */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_one_worker),
        cmocka_unit_test(test_random_many_workers),
    };

    (void)greedy;
    (void)greedy_large;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
