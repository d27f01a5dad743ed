#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "base/pool.h"

static void test_hands_out_all_and_no_more(void **state)
{
    struct pool p;
    void *got[10];

    (void)state;
    assert_int_equal(pool_init(&p, 40, 10), 0);
    assert_int_equal(p.object_size, 64);
    for (unsigned i = 0; i < 10; i++) {
        got[i] = pool_get(&p);
        assert_non_null(got[i]);
        assert_int_equal((uintptr_t)got[i] % 64, 0);
        for (unsigned j = 0; j < i; j++)
            assert_ptr_not_equal(got[i], got[j]);
    }
    assert_int_equal(p.used, 10);
    assert_null(pool_get(&p));
    pool_put(&p, got[4]);
    assert_int_equal(p.used, 9);
    assert_ptr_equal(pool_get(&p), got[4]);
    assert_null(pool_get(&p));
    pool_fini(&p);
}

static void test_objects_come_zeroed(void **state)
{
    struct pool p;
    uint8_t zero[128] = {0};
    void *object;

    (void)state;
    assert_int_equal(pool_init(&p, sizeof zero, 2), 0);
    object = pool_get(&p);
    assert_memory_equal(object, zero, sizeof zero);
    memset(object, 0xa5, sizeof zero);
    pool_put(&p, object);
    assert_ptr_equal(pool_get(&p), object);
    assert_memory_equal(object, zero, sizeof zero);
    pool_fini(&p);
}

static void test_last_in_first_out(void **state)
{
    struct pool p;
    void *a, *b, *c;

    (void)state;
    assert_int_equal(pool_init(&p, 1, 3), 0);
    a = pool_get(&p);
    b = pool_get(&p);
    c = pool_get(&p);
    pool_put(&p, a);
    pool_put(&p, c);
    pool_put(&p, b);
    assert_ptr_equal(pool_get(&p), b);
    assert_ptr_equal(pool_get(&p), c);
    assert_ptr_equal(pool_get(&p), a);
    pool_fini(&p);
}

static void test_random_against_flags(void **state)
{
    enum { CAPACITY = 500 };
    static void *held[CAPACITY + 1];
    uint32_t count = 0, random = 1;
    struct pool p;

    (void)state;
    assert_int_equal(pool_init(&p, 72, CAPACITY), 0);
    for (unsigned i = 0; i < 200000; i++) {
        random = random * 1664525 + 1013904223;
        if (count > 0 && (random >> 16) % 2 == 0) {
            uint32_t victim = (random >> 8) % count;

            assert_memory_equal(held[victim], &held[victim], sizeof(void *));
            pool_put(&p, held[victim]);
            held[victim] = held[--count];
            continue;
        }
        held[count] = pool_get(&p);
        if (count == CAPACITY) {
            assert_null(held[count]);
            continue;
        }
        assert_non_null(held[count]);
        /* Each object holds its own address: two owners of one object would be seen. */
        memcpy(held[count], &held[count], sizeof(void *));
        count++;
        assert_int_equal(p.used, count);
    }
    pool_fini(&p);
}

static void test_empty_pool(void **state)
{
    struct pool p;

    (void)state;
    assert_int_equal(pool_init(&p, 64, 0), 0);
    assert_null(pool_get(&p));
    pool_fini(&p);
    pool_fini(&p); /* a cleared pool may be cleared again by an unwinding caller */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hands_out_all_and_no_more),
        cmocka_unit_test(test_objects_come_zeroed),
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_random_against_flags),
        cmocka_unit_test(test_empty_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
