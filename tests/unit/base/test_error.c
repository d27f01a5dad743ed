#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "base/error.h"

static void test_first_cause_stays(void **state)
{
    struct error e = {0};

    (void)state;
    assert_int_equal(error_set(&e, "no memory for %d things", 3), -1);
    assert_int_equal(error_set(&e, "could not start"), -1);
    assert_true(e.set);
    assert_string_equal(e.text, "no memory for 3 things");
}

static void test_prefix(void **state)
{
    struct error e = {0};

    (void)state;
    assert_int_equal(error_prefix(&e, "nothing is set"), -1);
    assert_false(e.set);
    error_set(&e, "no route");
    assert_int_equal(error_prefix(&e, "worker %u", 2), -1);
    assert_string_equal(e.text, "worker 2: no route");
}

static void test_null_discards(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, "x"), -1);
    assert_int_equal(error_prefix(NULL, "x"), -1);
}

static void test_long_texts_are_cut(void **state)
{
    static char text[2 * ERROR_TEXT_MAX];
    struct error e = {0};

    (void)state;
    memset(text, 'a', sizeof text - 1);
    error_set(&e, "%s", text);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    error_prefix(&e, "context");
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    assert_int_equal(strncmp(e.text, "context: aaa", 12), 0);
    error_prefix(&e, "%s", text); /* no room for the cause: the prefix is left out instead */
    assert_int_equal(strncmp(e.text, "context: aaa", 12), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_cause_stays),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_null_discards),
        cmocka_unit_test(test_long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
