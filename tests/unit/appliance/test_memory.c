#include "tests/unit/support/test_unit.h"

#include "appliance/memory.h"

#define MIB (UINT64_C(1) << 20)

static struct memory_plan plan(uint32_t connections, uint64_t buffer_memory, unsigned workers,
                               unsigned ports)
{
    struct policy_limits limits = {.connections = connections, .buffer_memory = buffer_memory};
    struct memory_plan p;

    memory_plan(&limits, workers, ports, &p);
    return p;
}

static void test_every_session_can_have_its_second_connection(void **state)
{
    (void)state;
    assert_int_equal(plan(131072, 64 * MIB, 1, 2).sessions, 65536);
    assert_int_equal(plan(1, 64 * MIB, 1, 2).sessions, 1);
}

static void test_buffers_fit_into_the_limit(void **state)
{
    struct memory_plan p = plan(1000, 64 * MIB, 1, 2);

    (void)state;
    assert_true((uint64_t)p.buffers * 2048 <= 64 * MIB);
    assert_true((uint64_t)p.buffers * 2048 >= 48 * MIB); /* and overhead is no large part of it */
}

static void test_a_full_budget_leaves_frames_for_the_devices(void **state)
{
    (void)state;
    for (unsigned ports = 1; ports <= 16; ports++) {
        struct memory_plan p = plan(1000, 1 * MIB, 1, ports);

        /* Two scheduler queues and two rings of 1,024 frames for each port. */
        assert_true(p.data_mbufs >= p.buffers + ports * 4096);
    }
}

static void test_extremes_are_bounded(void **state)
{
    (void)state;
    assert_true(plan(1000, 0, 1, 1).buffers >= 1024);
    assert_true(plan(1000, UINT64_MAX, 1, 1).buffers <= UINT32_MAX / 4);
}

static void test_bytes_cover_all_workers(void **state)
{
    struct memory_plan one = plan(1000, 64 * MIB, 1, 2), four = plan(1000, 64 * MIB, 4, 2);

    (void)state;
    assert_int_equal(four.data_bytes, 4 * one.data_bytes);
    assert_true(one.data_bytes >= (uint64_t)one.data_mbufs * 2176);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_session_can_have_its_second_connection),
        cmocka_unit_test(test_buffers_fit_into_the_limit),
        cmocka_unit_test(test_a_full_budget_leaves_frames_for_the_devices),
        cmocka_unit_test(test_extremes_are_bounded),
        cmocka_unit_test(test_bytes_cover_all_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
