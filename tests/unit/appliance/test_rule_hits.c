/* Hits of rules by name, over snapshots that come and go. */
#include "appliance/rule_hits.h"
#include "tests/unit/support/test_unit.h"

static struct policy_rule before_rules[] = {
    {.name = "shop", .index = 0}, {.name = "old", .index = 1}, {.name = "rule 3", .index = 2}};
static struct policy_rule after_rules[] = {{.name = "rule 3", .index = 0},
                                           {.name = "shop", .index = 1}};
static const struct policy before = {.rules = before_rules, .rule_count = 3};
static const struct policy after = {.rules = after_rules, .rule_count = 2};

static void names_carry_over(void **state)
{
    const uint64_t counted_before[] = {10, 20, 30}, counted_after[] = {1, 2};
    struct rule_hits gone = {0}, all = {0};

    (void)state;
    rule_hits_add(&gone, &before, counted_before);
    rule_hits_merge(&all, &gone);
    rule_hits_add(&all, &after, counted_after);
    assert_int_equal(rule_hits_of(&all, "shop"), 12);
    assert_int_equal(rule_hits_of(&all, "rule 3"), 31);
    assert_int_equal(rule_hits_of(&all, "old"), 20);
    assert_int_equal(rule_hits_of(&all, "never"), 0);
    assert_int_equal(rule_hits_of(&gone, "shop"), 10);
    rule_hits_free(&all);
    rule_hits_free(&gone);
}

static void pruned_to_what_there_is(void **state)
{
    const uint64_t counted[] = {10, 20, 30};
    struct rule_hits h = {0};

    (void)state;
    rule_hits_add(&h, &before, counted);
    rule_hits_prune(&h, &after);
    assert_int_equal(rule_hits_of(&h, "shop"), 10);
    assert_int_equal(rule_hits_of(&h, "rule 3"), 30);
    assert_int_equal(rule_hits_of(&h, "old"), 0);
    rule_hits_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_carry_over),
        cmocka_unit_test(pruned_to_what_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
