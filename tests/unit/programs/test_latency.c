/* Percentiles (programs/latency.h), against a sorted array. */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>

#include "programs/latency.h"

static int by_value(const void *a, const void *b)
{
    const clock_ns *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void test_against_sorted(void **state)
{
    enum { COUNT = 10000 };
    static struct latency all, half[2];
    static clock_ns value[COUNT];
    static const double parts[] = {0.01, 0.5, 0.9, 0.99, 0.999, 1.0};

    (void)state;
    srandom(1);
    for (int i = 0; i < COUNT; i++) {
        value[i] = (clock_ns)random() >> (random() % 31);
        latency_add(&half[i % 2], value[i]);
    }
    latency_merge(&all, &half[0]);
    latency_merge(&all, &half[1]);
    qsort(value, COUNT, sizeof *value, by_value);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        clock_ns exact = value[(size_t)(parts[i] * COUNT) - 1];
        clock_ns told = latency_percentile(&all, parts[i]);

        assert_true(told >= exact && told <= exact + exact / 32 + 1);
    }
    assert_int_equal(all.count, COUNT);
    assert_int_equal(all.max, value[COUNT - 1]);
}

static void test_edges(void **state)
{
    static struct latency none, one, most;

    (void)state;
    assert_int_equal(latency_percentile(&none, 0.5), 0);
    latency_add(&one, 77);
    assert_int_equal(latency_percentile(&one, 0.001), 77);
    assert_int_equal(latency_percentile(&one, 1.0), 77);
    latency_add(&most, UINT64_MAX);
    latency_add(&most, 0);
    assert_int_equal(latency_percentile(&most, 0.5), 0);
    assert_int_equal(latency_percentile(&most, 1.0), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sorted),
        cmocka_unit_test(test_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
