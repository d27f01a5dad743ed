#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "appliance/report.h"

#define SAMPLE_COUNTERS(X)                  \
    X(sample_moved, "a counter that moved") \
    X(sample_still, "one that never did")

COUNTER_STRUCT(sample_counters, SAMPLE_COUNTERS);
extern const struct counter_table sample_counter_table;
COUNTER_TABLE(sample_counter_table, SAMPLE_COUNTERS);

static void expect_table(unsigned worker, const char *prefix, const char *expected)
{
    struct sample_counters c = {.sample_moved = UINT64_MAX};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    report_table(out, worker, prefix, &sample_counter_table, &c);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_every_counter_is_a_line(void **state)
{
    (void)state;
    expect_table(3, NULL,
                 "worker 3 sample_moved 18446744073709551615\n"
                 "worker 3 sample_still 0\n");
}

static void test_counters_of_a_port_carry_its_name(void **state)
{
    (void)state;
    expect_table(0, "outside",
                 "worker 0 outside.sample_moved 18446744073709551615\n"
                 "worker 0 outside.sample_still 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_counter_is_a_line),
        cmocka_unit_test(test_counters_of_a_port_carry_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
