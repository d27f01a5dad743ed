/* Each way of balancing against a naive one, with random weights and servers that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/proxy_balance.h"

#define SERVERS_MAX 24
#define NOW         (1000 * CLOCK_SEC)

struct pool {
    struct policy_server config[SERVERS_MAX];
    struct policy_backend backend;
    struct proxy_server *servers[SERVERS_MAX];
    struct proxy_maglev *maglev;
    struct proxy_balance balance;
};

static uint64_t seed = 88172645463325252u;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

static struct pool *pool_create(enum policy_balance how, unsigned count, unsigned weight_max)
{
    size_t size = sizeof(struct proxy_server) + sizeof(struct proxy_server_worker);
    struct pool *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->backend =
        (struct policy_backend){.servers = p->config, .server_count = count, .balance = how};
    for (unsigned i = 0; i < count; i++) {
        p->config[i].endpoint.addr = ip_from_v4(0x0a000001u + i);
        p->config[i].endpoint.port = 80;
        p->config[i].weight = (uint16_t)(1 + pick(weight_max));
        p->servers[i] = aligned_alloc(64, size);
        assert_non_null(p->servers[i]);
        memset(p->servers[i], 0, size);
    }
    if (how == POLICY_SOURCE_HASH)
        p->maglev = proxy_maglev_create(&p->backend, NULL);
    assert_int_equal(proxy_balance_init(&p->balance, &p->backend, p->servers, p->maglev, 0, 0), 0);
    return p;
}

static void pool_free(struct pool *p)
{
    proxy_balance_fini(&p->balance);
    proxy_maglev_free(p->maglev);
    for (unsigned i = 0; i < p->backend.server_count; i++)
        free(p->servers[i]);
    free(p);
}

static int choose(struct pool *p)
{
    struct ip_addr client = ip_from_v4(seed & UINT32_MAX);

    return proxy_balance_choose(&p->balance, &client, PROXY_BALANCE_USABLE, NOW);
}

static bool usable(const struct pool *p, unsigned i)
{
    return proxy_server_usable(p->servers[i], NOW);
}

/* Something happens to a server, or it recovers. */
static void disturb(struct pool *p, unsigned i)
{
    struct proxy_server *s = p->servers[i];

    atomic_store(&s->health, pick(2) ? PROXY_HEALTH_UP : PROXY_HEALTH_DOWN);
    atomic_store(&s->drained, pick(4) == 0);
    atomic_store(&s->ejected_until, pick(3) == 0 ? NOW + 1 : pick(2) * NOW);
}

static unsigned sum_of_weights(const struct pool *p)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < p->backend.server_count; i++)
        sum += usable(p, i) ? p->config[i].weight : 0;
    return sum;
}

/* ---- round-robin ---- */

/* Every run of turns as long as the sum of the weights, wherever it begins, has each server exactly
 * as often as its weight says; and within a run nobody is ever more than two turns off. */
static void expect_exact_turns(struct pool *p, unsigned runs)
{
    unsigned count = p->backend.server_count, sum = sum_of_weights(p), turns = sum * runs;
    int *history = calloc(turns, sizeof *history);
    unsigned *in_run = calloc(count, sizeof *in_run), *total = calloc(count, sizeof *total);

    for (unsigned t = 0; t < turns; t++) {
        history[t] = choose(p);
        assert_true(history[t] >= 0 && usable(p, (unsigned)history[t]));
        in_run[history[t]]++;
        total[history[t]]++;
        if (t >= sum)
            in_run[history[t - sum]]--;
        for (unsigned i = 0; i < count; i++) {
            double fair = usable(p, i) ? (double)(t + 1) * p->config[i].weight / sum : 0;

            if (t + 1 >= sum && usable(p, i))
                assert_int_equal(in_run[i], p->config[i].weight);
            assert_true(total[i] > fair - 2 && total[i] < fair + 2);
        }
    }
    free(history);
    free(in_run);
    free(total);
}

static void turns_are_as_many_as_the_weights_and_evenly_spread(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct pool *p = pool_create(POLICY_ROUND_ROBIN, 1 + pick(10), 1 + pick(12));

        expect_exact_turns(p, 3);
        pool_free(p);
    }
}

static void equal_weights_are_plain_turns(void **state)
{
    struct pool *p = pool_create(POLICY_ROUND_ROBIN, 5, 1);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(choose(p), i % 5);
    pool_free(p);
}

/* The smooth weighted turns of the literature: 5, 1, 1 is a a b a c a a. */
static void heavy_server_does_not_have_its_turns_in_a_row(void **state)
{
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    struct pool *p = pool_create(POLICY_ROUND_ROBIN, 3, 1);

    (void)state;
    p->config[0].weight = 5;
    for (unsigned i = 0; i < 21; i++)
        assert_int_equal(choose(p), expected[i % 7]);
    pool_free(p);
}

static void turns_go_past_servers_that_cannot_be_used(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        unsigned count = 1 + pick(10), turns[SERVERS_MAX] = {0}, sum;
        struct pool *p = pool_create(POLICY_ROUND_ROBIN, count, 1 + pick(12));

        for (unsigned i = pick(30); i > 0; i--)
            choose(p);
        for (unsigned i = 0; i < count; i++)
            disturb(p, i);
        sum = sum_of_weights(p);
        for (unsigned t = 0; t < 10 * sum; t++)
            turns[choose(p)]++;
        /* Credit from before the change may be one turn. */
        for (unsigned i = 0; i < count; i++) {
            unsigned fair = usable(p, i) ? 10u * p->config[i].weight : 0;

            assert_in_range(turns[i] + 2, fair, fair == 0 ? 2 : fair + 4);
        }
        if (sum == 0)
            assert_int_equal(choose(p), -1);
        pool_free(p);
    }
}

static void workers_begin_with_different_servers(void **state)
{
    struct pool *p = pool_create(POLICY_ROUND_ROBIN, 4, 1);

    (void)state;
    for (unsigned phase = 0; phase < 9; phase++) {
        proxy_balance_fini(&p->balance);
        proxy_balance_init(&p->balance, &p->backend, p->servers, NULL, 0, phase);
        assert_int_equal(choose(p), (int)(phase % 4));
    }
    pool_free(p);
}

/* ---- least connections ---- */

/* The load of a server if it had one connection more. */
static double load(const struct pool *p, unsigned i)
{
    return (p->servers[i]->worker[0].connections + 1.0) / p->config[i].weight;
}

static int expect_least(struct pool *p)
{
    int chosen = choose(p);
    bool any = false;

    for (unsigned i = 0; i < p->backend.server_count; i++) {
        any |= usable(p, i);
        if (usable(p, i))
            assert_true(load(p, (unsigned)chosen) <= load(p, i) * (1 + 1e-12));
    }
    assert_int_equal(chosen >= 0, any);
    return chosen;
}

static void least_loaded_server_is_chosen(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        unsigned count = 1 + pick(SERVERS_MAX);
        struct pool *p = pool_create(POLICY_LEAST_CONNECTIONS, count, 1 + pick(256));

        for (unsigned step = 0; step < 500; step++) {
            unsigned at = pick(count);
            int chosen;

            if (pick(20) == 0)
                disturb(p, at);
            if (pick(2) == 0 && p->servers[at]->worker[0].connections > 0)
                p->servers[at]->worker[0].connections--;
            chosen = expect_least(p);
            if (chosen >= 0)
                p->servers[chosen]->worker[0].connections++;
        }
        pool_free(p);
    }
}

static void equally_loaded_servers_take_turns(void **state)
{
    unsigned chosen[4] = {0};
    struct pool *p = pool_create(POLICY_LEAST_CONNECTIONS, 4, 1);

    (void)state;
    for (unsigned i = 0; i < 400; i++) /* each session has ended before the next begins */
        chosen[choose(p)]++;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(chosen[i], 100);
    pool_free(p);
}

/* ---- source hash ---- */

static int server_of(struct pool *p, uint32_t client)
{
    struct ip_addr addr = ip_from_v4(client);

    return proxy_balance_choose(&p->balance, &addr, PROXY_BALANCE_USABLE, NOW);
}

static void only_clients_of_a_server_that_is_down_move(void **state)
{
    enum { CLIENTS = 3000 };
    struct pool *p = pool_create(POLICY_SOURCE_HASH, 6, 1);
    unsigned moved_to[6] = {0}, moved = 0;
    int before[CLIENTS];

    (void)state;
    for (uint32_t i = 0; i < CLIENTS; i++)
        before[i] = server_of(p, i);
    atomic_store(&p->servers[2]->health, PROXY_HEALTH_DOWN);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        int now = server_of(p, i);

        if (before[i] != 2) {
            assert_int_equal(now, before[i]);
            continue;
        }
        assert_int_not_equal(now, 2);
        moved_to[now]++;
        moved++;
    }
    assert_in_range(moved, CLIENTS / 6 - 100, CLIENTS / 6 + 100);
    for (unsigned i = 0; i < 6; i++) /* to all others alike, not to a neighbour */
        assert_in_range(moved_to[i], i == 2 ? 0 : moved / 10, i == 2 ? 0 : moved / 3);
    atomic_store(&p->servers[2]->health, PROXY_HEALTH_UP);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(server_of(p, i), before[i]);
    pool_free(p);
}

static void a_usable_server_is_always_found(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        unsigned count = 1 + pick(SERVERS_MAX);
        struct pool *p = pool_create(POLICY_SOURCE_HASH, count, 1 + pick(100));

        for (unsigned step = 0; step < 200; step++) {
            int chosen;

            disturb(p, pick(count));
            chosen = choose(p);
            if (chosen >= 0)
                assert_true(usable(p, (unsigned)chosen));
            else
                assert_int_equal(sum_of_weights(p), 0);
        }
        for (unsigned i = 0; i < count; i++)
            atomic_store(&p->servers[i]->drained, true);
        assert_int_equal(choose(p), -1);
        pool_free(p);
    }
}

/* ---- for all ---- */

static void ejected_servers_are_a_level_of_their_own(void **state)
{
    static const enum policy_balance ways[] = {POLICY_ROUND_ROBIN, POLICY_LEAST_CONNECTIONS,
                                               POLICY_SOURCE_HASH};
    static const struct ip_addr client;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct pool *p = pool_create(ways[i], 4, 1);

        atomic_store(&p->servers[0]->health, PROXY_HEALTH_DOWN);
        atomic_store(&p->servers[1]->drained, true);
        atomic_store(&p->servers[1]->ejected_until, NOW + 1);
        atomic_store(&p->servers[2]->ejected_until, NOW + 1);
        atomic_store(&p->servers[3]->ejected_until, NOW);
        for (unsigned n = 0; n < 8; n++) {
            assert_int_equal(proxy_balance_choose(&p->balance, &client, PROXY_BALANCE_USABLE, NOW),
                             3);
            assert_int_equal(proxy_balance_choose(&p->balance, &client, PROXY_BALANCE_EJECTED, NOW),
                             2);
        }
        atomic_store(&p->servers[2]->health, PROXY_HEALTH_DOWN);
        assert_int_equal(proxy_balance_choose(&p->balance, &client, PROXY_BALANCE_EJECTED, NOW),
                         -1);
        pool_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_as_many_as_the_weights_and_evenly_spread),
        cmocka_unit_test(equal_weights_are_plain_turns),
        cmocka_unit_test(heavy_server_does_not_have_its_turns_in_a_row),
        cmocka_unit_test(turns_go_past_servers_that_cannot_be_used),
        cmocka_unit_test(workers_begin_with_different_servers),
        cmocka_unit_test(least_loaded_server_is_chosen),
        cmocka_unit_test(equally_loaded_servers_take_turns),
        cmocka_unit_test(only_clients_of_a_server_that_is_down_move),
        cmocka_unit_test(a_usable_server_is_always_found),
        cmocka_unit_test(ejected_servers_are_a_level_of_their_own),
    };

    return cmocka_run_group_tests_name("proxy_balance", tests, NULL, NULL);
}
