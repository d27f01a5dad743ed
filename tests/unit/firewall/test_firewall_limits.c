/* The table of limits: buckets against plain arithmetic, exhaustion, and several threads. */
#include "tests/unit/support/test_unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "firewall/firewall_internal.h"
#include "tests/unit/firewall/firewall_naive.h"

static const uint8_t key[16] = "limits for tests";

static struct firewall_limits *make(uint32_t entries)
{
    struct firewall_limits *l = firewall_limits_create(entries, key, NULL);

    assert_non_null(l);
    return l;
}

static struct ip_addr v4(uint32_t n)
{
    return ip_from_v4(__builtin_bswap32(n));
}

/* ---- rates ---- */

struct naive_bucket {
    uint64_t tokens; /* billionths */
    clock_ns at;
};

static bool naive_take(struct naive_bucket *b, uint32_t rate, uint32_t burst, clock_ns now)
{
    b->tokens += (now - b->at) * rate;
    if (b->tokens > burst * UINT64_C(1000000000))
        b->tokens = burst * UINT64_C(1000000000);
    b->at = now;
    if (b->tokens < UINT64_C(1000000000))
        return false;
    b->tokens -= UINT64_C(1000000000);
    return true;
}

/* Rates that divide a second, so that both count in whole nanoseconds. */
static void check_rate(uint32_t rate, uint32_t burst, uint64_t seed)
{
    const struct firewall_limit limit = {
        .connections_per_second = rate, .connection_burst = burst, .prefix4 = 32};
    struct firewall_limits *l = make(64);
    struct naive_bucket bucket = {.tokens = burst * UINT64_C(1000000000), .at = CLOCK_SEC};
    struct ip_addr source = v4(0x0a000001);
    clock_ns interval = CLOCK_SEC / rate, now = CLOCK_SEC;

    naive_seed(seed);
    for (unsigned i = 0; i < 3000; i++) {
        enum firewall_limit_verdict seen, wanted;

        now += interval / 7 * naive_below(naive_below(20) == 0 ? 70 * burst : 12) + 1;
        wanted = naive_take(&bucket, rate, burst, now) ? FIREWALL_WITHIN : FIREWALL_TOO_FAST;
        seen = firewall_limits_ask(l, 1, &limit, &source, now);
        assert_int_equal(seen, wanted);
    }
    firewall_limits_destroy(l);
}

static void test_rates(void **state)
{
    static const uint32_t rates[] = {1, 2, 10, 50, 1000, 100000};
    uint64_t seed = (uint64_t)time(NULL);

    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        check_rate(rates[i], 1, seed);
        check_rate(rates[i], 7, seed);
        check_rate(rates[i], rates[i], seed);
    }
}

/* Connections and handshakes have a bucket each; rules and prefixes an entry each. */
static void test_apart(void **state)
{
    const struct firewall_limit limit = {.connections_per_second = 1,
                                         .connection_burst = 1,
                                         .handshakes_per_second = 1,
                                         .handshake_burst = 1,
                                         .prefix4 = 24,
                                         .prefix6 = 64};
    struct firewall_limits *l = make(1024);
    struct ip_addr a = v4(0x0a000001), same = v4(0x0a0000fe), other = v4(0x0a000101), v6, same6;

    (void)state;
    ip_parse("2001:db8::1", &v6);
    ip_parse("2001:db8::ffff:ffff:ffff:1", &same6);
    assert_int_equal(firewall_limits_ask(l, 1, &limit, &a, 0), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_ask(l, 1, &limit, &same, 0), FIREWALL_TOO_FAST);
    assert_int_equal(firewall_limits_handshake(l, 1, &limit, &same, 0), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_handshake(l, 1, &limit, &a, 0), FIREWALL_TOO_FAST);
    assert_int_equal(firewall_limits_ask(l, 2, &limit, &a, 0), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_ask(l, 1, &limit, &other, 0), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_ask(l, 1, &limit, &v6, 0), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_ask(l, 1, &limit, &same6, 0), FIREWALL_TOO_FAST);
    firewall_limits_destroy(l);
}

/* ---- connections ---- */

static const struct firewall_limit three = {.connections = 3, .prefix4 = 32};

static void test_connections(void **state)
{
    struct firewall_limits *l = make(1024);
    struct ip_addr a = v4(1), b = v4(2);
    uint64_t handle[4];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(firewall_limits_ask(l, 1, &three, &a, 0), FIREWALL_WITHIN);
        assert_int_equal(firewall_limits_open(l, 1, &three, &a, &handle[i]), FIREWALL_WITHIN);
        assert_true(handle[i] != 0);
    }
    assert_int_equal(firewall_limits_ask(l, 1, &three, &a, 0), FIREWALL_TOO_MANY);
    assert_int_equal(firewall_limits_open(l, 1, &three, &a, &handle[3]), FIREWALL_TOO_MANY);
    assert_int_equal(handle[3], 0);
    assert_int_equal(firewall_limits_open(l, 1, &three, &b, &handle[3]), FIREWALL_WITHIN);
    firewall_limits_close(l, handle[1]);
    assert_int_equal(firewall_limits_ask(l, 1, &three, &a, 0), FIREWALL_WITHIN);
    firewall_limits_destroy(l);
}

/* ---- exhaustion ---- */

#define MILLION 1000000

/* Sources with a SYN each push out one another, not the one that is over its limit; newcomers are
 * served as if nothing were. */
static void test_million_sources(void **state)
{
    const struct firewall_limit limit = {
        .connections_per_second = 10, .connection_burst = 10, .prefix4 = 32};
    struct firewall_limits *l = make(4096);
    struct ip_addr greedy = v4(0x0b000001);
    clock_ns now = CLOCK_SEC;
    unsigned greedy_passed = 0, refused = 0;

    (void)state;
    naive_seed(3);
    for (unsigned i = 0; i < MILLION; i++, now += CLOCK_US) { /* all within a second */
        struct ip_addr source = v4(0x10000000 + i);

        refused += firewall_limits_ask(l, 1, &limit, &source, now) != FIREWALL_WITHIN;
        if (i % 1000 == 0)
            greedy_passed += firewall_limits_ask(l, 1, &limit, &greedy, now) == FIREWALL_WITHIN;
    }
    assert_int_equal(refused, 0);
    /* Ten at once, then ten a second. */
    assert_in_range(greedy_passed, 19, 20);
    firewall_limits_destroy(l);
}

/* Entries with connections stay; when all are such, newcomers go unlimited, and are told apart. */
static void test_full_of_connections(void **state)
{
    enum { ENTRIES = 256, SOURCES = 5000 };
    const struct firewall_limit limit = {
        .connections = 1, .connections_per_second = 1, .connection_burst = 1, .prefix4 = 32};
    struct firewall_limits *l = make(ENTRIES);
    static uint64_t handles[SOURCES];
    unsigned tracked = 0;

    (void)state;
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct ip_addr source = v4(i);

        if (firewall_limits_open(l, 1, &limit, &source, &handles[i]) == FIREWALL_WITHIN)
            tracked++;
        else
            assert_int_equal(handles[i], 0);
    }
    assert_int_equal(tracked, ENTRIES);
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct ip_addr source = v4(i);
        uint64_t handle;

        assert_int_equal(firewall_limits_open(l, 1, &limit, &source, &handle),
                         handles[i] != 0 ? FIREWALL_TOO_MANY : FIREWALL_UNTRACKED);
        assert_int_equal(firewall_limits_ask(l, 1, &limit, &source, 0),
                         handles[i] != 0 ? FIREWALL_TOO_MANY : FIREWALL_UNTRACKED);
    }
    for (uint32_t i = 0; i < SOURCES; i++) {
        if (handles[i] != 0)
            firewall_limits_close(l, handles[i]);
    }
    for (uint32_t i = 0; i < SOURCES; i++) { /* all free again: each may replace another */
        struct ip_addr source = v4(i);

        assert_int_equal(firewall_limits_ask(l, 1, &limit, &source, i * CLOCK_SEC),
                         FIREWALL_WITHIN);
    }
    firewall_limits_destroy(l);
}

/* ---- threads ---- */

#define THREADS 2
#define TURNS   200000

static struct firewall_limits *shared;
static const struct firewall_limit few = {
    .connections = 5, .connections_per_second = 1000, .connection_burst = 500, .prefix4 = 32};
static unsigned standing; /* atomic: connections that stand */

struct hammer {
    unsigned number, passed, most;
};

/* Opens and closes connections of one source, between many others that want the same few entries.
 */
static void *hammer(void *arg)
{
    struct hammer *h = arg;
    struct ip_addr source = v4(0x0a000001);
    uint32_t other = h->number << 24;

    for (unsigned i = 0; i < TURNS; i++) {
        struct ip_addr crowd = v4(other++);
        uint64_t handle;

        h->passed += firewall_limits_ask(shared, 1, &few, &source, CLOCK_SEC) == FIREWALL_WITHIN;
        firewall_limits_ask(shared, 1, &few, &crowd, CLOCK_SEC);
        if (firewall_limits_open(shared, 1, &few, &source, &handle) != FIREWALL_WITHIN)
            continue;
        unsigned n = __atomic_add_fetch(&standing, 1, __ATOMIC_RELAXED);

        h->most = n > h->most ? n : h->most;
        __atomic_sub_fetch(&standing, 1, __ATOMIC_RELAXED);
        firewall_limits_close(shared, handle);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct hammer h[THREADS] = {0};
    pthread_t threads[THREADS];
    struct ip_addr source = v4(0x0a000001);
    uint64_t pin, handle;

    (void)state;
    shared = make(64);
    /* With a connection that stands throughout, the entry stays, and its bucket with it. */
    assert_int_equal(firewall_limits_open(shared, 1, &few, &source, &pin), FIREWALL_WITHIN);
    for (unsigned t = 0; t < THREADS; t++) {
        h[t].number = t + 1;
        assert_int_equal(pthread_create(&threads[t], NULL, hammer, &h[t]), 0);
    }
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(h[0].passed + h[1].passed, 500); /* the clock stood: the burst, exactly */
    assert_in_range(h[0].most, 1, 2);
    for (unsigned i = 1; i < 5; i++) /* the count is what it was */
        assert_int_equal(firewall_limits_open(shared, 1, &few, &source, &handle), FIREWALL_WITHIN);
    assert_int_equal(firewall_limits_open(shared, 1, &few, &source, &handle), FIREWALL_TOO_MANY);
    firewall_limits_destroy(shared);
}

/* ---- a source that two workers see for the first time at once ---- */

#define MEETINGS 30000

static const struct firewall_limit one = {.connections = 1, .prefix4 = 32};
static unsigned met[THREADS], let_in[MEETINGS]; /* atomic */

static void *meet(void *arg)
{
    unsigned self = *(const unsigned *)arg;

    for (unsigned i = 0; i < MEETINGS; i++) {
        struct ip_addr source = v4(0x0a000000 + i);
        uint64_t handle;

        __atomic_store_n(&met[self], i + 1, __ATOMIC_SEQ_CST);
        for (unsigned spin = 0; __atomic_load_n(&met[1 - self], __ATOMIC_SEQ_CST) <= i; spin++) {
            if (spin > 1000)
                sched_yield();
        }
        if (firewall_limits_open(shared, 1, &one, &source, &handle) == FIREWALL_WITHIN)
            __atomic_add_fetch(&let_in[i], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_meetings(void **state)
{
    unsigned self[THREADS] = {0, 1}, twice = 0;
    pthread_t threads[THREADS];

    (void)state;
    shared = make(16 * MEETINGS);
    for (unsigned t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, meet, &self[t]), 0);
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (unsigned i = 0; i < MEETINGS; i++) {
        assert_true(let_in[i] > 0);
        twice += let_in[i] > 1;
    }
    assert_int_equal(twice, 0);
    firewall_limits_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_million_sources),
        cmocka_unit_test(test_full_of_connections),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_meetings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
