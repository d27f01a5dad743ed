#include "tests/unit/support/test_unit.h"

#include "base/counter.h"

#define SAMPLE_COUNTERS(X)             \
    X(sample_first, "the first one")   \
    X(sample_second, "the second one") \
    X(sample_third, "the third one")

COUNTER_STRUCT(sample_counters, SAMPLE_COUNTERS);
extern const struct counter_table sample_counter_table;
COUNTER_TABLE(sample_counter_table, SAMPLE_COUNTERS);

static void test_table_matches_struct(void **state)
{
    (void)state;
    assert_int_equal(sample_counter_table.count, 3);
    assert_int_equal(sizeof(struct sample_counters), 3 * sizeof(uint64_t));
    assert_string_equal(sample_counter_table.desc[1].name, "sample_second");
    assert_string_equal(sample_counter_table.desc[1].help, "the second one");
}

static void test_read_by_index(void **state)
{
    struct sample_counters c = {0};

    (void)state;
    COUNTER_INC(c.sample_first);
    COUNTER_ADD(c.sample_third, 40);
    COUNTER_INC(c.sample_third);
    assert_int_equal(counter_read(&c, 0), 1);
    assert_int_equal(counter_read(&c, 1), 0);
    assert_int_equal(counter_read(&c, 2), 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_matches_struct),
        cmocka_unit_test(test_read_by_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
