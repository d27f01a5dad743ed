/* Sets of addresses, at the edges of prefixes and of the address space. */
#include "tests/unit/support/test_unit.h"

#include "policy/policy_range.h"

#define SET_MAX 8

struct set {
    struct policy_arena memory;
    struct policy_range_set ranges;
};

static void set_init(struct set *s, const char *const *prefixes)
{
    struct ip_prefix parsed[SET_MAX];
    unsigned count = 0;

    for (; prefixes[count] != NULL; count++)
        assert_int_equal(ip_prefix_parse(prefixes[count], &parsed[count]), 0);
    s->memory = (struct policy_arena){0};
    assert_int_equal(policy_range_set_init(&s->ranges, &s->memory, parsed, count), 0);
}

static bool has(const struct set *s, const char *text)
{
    struct ip_addr addr;

    assert_int_equal(ip_parse(text, &addr), 0);
    return policy_range_set_has(&s->ranges, &addr);
}

static void test_edges(void **state)
{
    struct set s;

    (void)state;
    set_init(&s, (const char *[]){"10.0.0.64/26", "10.0.0.0/30", "192.0.2.1", NULL});
    assert_true(has(&s, "10.0.0.0") && has(&s, "10.0.0.3"));
    assert_false(has(&s, "9.255.255.255") || has(&s, "10.0.0.4") || has(&s, "10.0.0.63"));
    assert_true(has(&s, "10.0.0.64") && has(&s, "10.0.0.127"));
    assert_false(has(&s, "10.0.0.128") || has(&s, "192.0.2.0") || has(&s, "192.0.2.2"));
    assert_true(has(&s, "192.0.2.1"));
    policy_arena_free(&s.memory);
}

static void test_joined(void **state)
{
    struct set s;

    (void)state;
    set_init(&s, (const char *[]){"10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/25",
                                  "255.255.255.255", "255.255.255.0/24", NULL});
    assert_int_equal(s.ranges.count[1], 2);
    assert_true(has(&s, "10.0.0.0") && has(&s, "10.0.1.255") && has(&s, "255.255.255.255"));
    assert_false(has(&s, "10.0.2.0") || has(&s, "255.255.254.255"));
    policy_arena_free(&s.memory);
}

static void test_families(void **state)
{
    struct set s, all4;

    (void)state;
    set_init(&s, (const char *[]){"::/0", NULL});
    set_init(&all4, (const char *[]){"0.0.0.0/0", NULL});
    assert_true(has(&s, "::") && has(&s, "2001:db8::1"));
    assert_true(has(&s, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(has(&s, "192.0.2.1") || has(&all4, "2001:db8::1"));
    assert_true(has(&all4, "0.0.0.0") && has(&all4, "255.255.255.255"));
    assert_false(policy_range_set_covers(&s.ranges, &all4.ranges));
    assert_false(policy_range_set_covers(&all4.ranges, &s.ranges));
    policy_arena_free(&s.memory);
    policy_arena_free(&all4.memory);
}

static void test_covers(void **state)
{
    struct set halves, whole, more;

    (void)state;
    set_init(&halves, (const char *[]){"10.128.0.0/9", "10.0.0.0/9", NULL});
    set_init(&whole, (const char *[]){"10.0.0.0/8", NULL});
    set_init(&more, (const char *[]){"10.0.0.0/8", "11.0.0.0", NULL});
    assert_true(policy_range_set_covers(&halves.ranges, &whole.ranges));
    assert_true(policy_range_set_covers(&whole.ranges, &halves.ranges));
    assert_true(policy_range_set_covers(&more.ranges, &whole.ranges));
    assert_false(policy_range_set_covers(&whole.ranges, &more.ranges));
    policy_arena_free(&halves.memory);
    policy_arena_free(&whole.memory);
    policy_arena_free(&more.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_covers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
