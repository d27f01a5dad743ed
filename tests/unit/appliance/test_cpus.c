#include "tests/unit/support/test_unit.h"

#include "appliance/cpus.h"

static void set(struct cpus *c, unsigned count, const unsigned *id)
{
    c->count = count;
    for (unsigned i = 0; i < count; i++)
        c->id[i] = id[i];
}

static void test_default_is_all_but_the_first(void **state)
{
    struct cpus available, workers;

    (void)state;
    set(&available, 4, (const unsigned[]){0, 1, 2, 3});
    cpus_default_workers(&available, &workers);
    assert_int_equal(workers.count, 3);
    assert_int_equal(workers.id[0], 1);
    assert_int_equal(workers.id[2], 3);
    assert_int_equal(cpus_main(&available, &workers), 0);
}

static void test_affinity_decides_what_is_first(void **state)
{
    struct cpus available, workers;

    (void)state;
    set(&available, 2, (const unsigned[]){5, 9});
    cpus_default_workers(&available, &workers);
    assert_int_equal(workers.count, 1);
    assert_int_equal(workers.id[0], 9);
    assert_int_equal(cpus_main(&available, &workers), 5);
}

static void test_a_single_cpu_is_shared(void **state)
{
    struct cpus available, workers;

    (void)state;
    set(&available, 1, (const unsigned[]){3});
    cpus_default_workers(&available, &workers);
    assert_int_equal(workers.count, 1);
    assert_int_equal(workers.id[0], 3);
    assert_int_equal(cpus_main(&available, &workers), 3);
}

static void test_default_is_bounded(void **state)
{
    struct cpus available = {.count = 200}, workers;

    (void)state;
    for (unsigned i = 0; i < available.count; i++)
        available.id[i] = i;
    cpus_default_workers(&available, &workers);
    assert_int_equal(workers.count, CPUS_WORKERS_MAX);
}

static void test_main_avoids_the_workers_of_the_file(void **state)
{
    struct cpus available, workers;

    (void)state;
    set(&available, 3, (const unsigned[]){0, 1, 2});
    set(&workers, 2, (const unsigned[]){2, 0});
    assert_int_equal(cpus_main(&available, &workers), 1);
}

static void test_format(void **state)
{
    struct cpus c;
    char text[64], small[6];

    (void)state;
    set(&c, 6, (const unsigned[]){0, 1, 2, 3, 8, 10});
    assert_string_equal(cpus_format(&c, text, sizeof text), "0-3,8,10");
    assert_string_equal(cpus_format(&c, small, sizeof small), "0-3,8"); /* cut, and terminated */
    set(&c, 3, (const unsigned[]){3, 2, 1});
    assert_string_equal(cpus_format(&c, text, sizeof text), "3,2,1"); /* workers keep their order */
    c.count = 0;
    assert_string_equal(cpus_format(&c, text, sizeof text), "");
}

static void test_available(void **state)
{
    struct cpus c;
    struct error e = {0};

    (void)state;
    assert_int_equal(cpus_available(&c, &e), 0);
    assert_true(c.count >= 1);
    assert_true(cpus_contain(&c, c.id[c.count - 1]));
    assert_false(cpus_contain(&c, CPUS_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_is_all_but_the_first),
        cmocka_unit_test(test_affinity_decides_what_is_first),
        cmocka_unit_test(test_a_single_cpu_is_shared),
        cmocka_unit_test(test_default_is_bounded),
        cmocka_unit_test(test_main_avoids_the_workers_of_the_file),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_available),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
