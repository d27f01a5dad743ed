/*
 * Workers that really run at once over one shaper, on a clock that they move themselves: nothing is
 * sent twice and no token is lost, whoever is interrupted where.
 */
#include "tests/unit/support/test_unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <rte_mbuf.h>

#include "scheduler/scheduler.h"

#define THREADS 4
#define ROUNDS  50000
#define STEP    (2 * CLOCK_US)
#define START   (1000 * CLOCK_SEC)
#define FRAME   1514
#define MBIT    UINT64_C(1000000)

struct worker {
    pthread_t thread;
    struct scheduler *scheduler;
    struct stack_egress egress;
    uint64_t sent[3]; /* bytes by class */
    _Atomic clock_ns *clock;
};

static uint16_t device_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct worker *w = ctx;

    for (uint16_t i = 0; i < count; i++) {
        w->sent[frames[i]->port] += frames[i]->pkt_len;
        free(frames[i]);
    }
    return count;
}

static void fill(struct worker *w, uint8_t egress_class)
{
    while (w->egress.room(w->egress.ctx, egress_class) > 0) {
        struct rte_mbuf *m = calloc(1, sizeof *m);

        rte_mbuf_refcnt_set(m, 1);
        m->nb_segs = 1;
        m->pkt_len = FRAME;
        m->port = egress_class;
        w->egress.enqueue(w->egress.ctx, m, EGRESS_DATA, egress_class);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        clock_ns now = atomic_fetch_add(w->clock, STEP);

        fill(w, 1);
        fill(w, 2);
        scheduler_flush(w->scheduler, now);
    }
    return NULL;
}

/* What waits leaves through a shaper without bounds. */
static void worker_end(struct worker *w, clock_ns now)
{
    assert_int_equal(scheduler_apply(w->scheduler, NULL, NULL), 0);
    assert_int_equal(scheduler_flush(w->scheduler, now), 0);
    scheduler_destroy(w->scheduler);
}

static void test_rates_hold(void **state)
{
    const struct scheduler_shaper_config config = {
        .rate = 1000 * MBIT,
        .class_count = 3,
        .classes = {{.priority = 4},
                    {.ceiling = 300 * MBIT, .priority = 1},
                    {.rate = 200 * MBIT, .priority = 2}},
    };
    struct scheduler_shaper *shaper = scheduler_shaper_create(&config, START, NULL);
    static struct worker worker[THREADS];
    _Atomic clock_ns clock = START;
    uint64_t sent[3] = {0};
    double seconds;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &worker[i];
        const struct scheduler_config sc = {.shaper = shaper, .send = device_send, .send_ctx = w};

        w->clock = &clock;
        w->scheduler = scheduler_create(&sc, NULL);
        assert_non_null(w->scheduler);
        w->egress = scheduler_egress(w->scheduler);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&worker[i].thread, NULL, worker_main, &worker[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(worker[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned k = 0; k < 3; k++)
            sent[k] += worker[i].sent[k];
        worker_end(&worker[i], clock);
    }
    scheduler_shaper_destroy(shaper);
    seconds = (double)(clock - START) / 1e9;
    assert_in_range((uint64_t)((double)sent[1] * 8 / seconds), 294 * MBIT, 306 * MBIT);
    assert_in_range((uint64_t)((double)(sent[1] + sent[2]) * 8 / seconds), 970 * MBIT, 1020 * MBIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates_hold)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
