/* Edits of sets against a plain list that is searched for every question. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/sets.h"
#include "tests/unit/firewall/firewall_naive.h"

#define PREFIXES 24 /* that there are at all, in the random test */

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix p;

    assert_int_equal(ip_prefix_parse(text, &p), 0);
    return p;
}

static bool holds(const struct sets *s, const struct policy_set *set, const struct ip_prefix *p)
{
    unsigned count, found = 0;
    struct ip_prefix *all = sets_prefixes(s, set, &count);

    assert_non_null(all);
    for (unsigned i = 0; i < count; i++) {
        found += ip_equal(&all[i].addr, &p->addr) && all[i].len == p->len;
        if (i > 0) { /* ascending, without duplicates */
            int order = memcmp(all[i - 1].addr.b, all[i].addr.b, 16);

            assert_true(order < 0 || (order == 0 && all[i - 1].len < all[i].len));
        }
    }
    free(all);
    return found == 1;
}

static void test_edits(void **state)
{
    struct ip_prefix own[] = {prefix("192.0.2.0/24"), prefix("198.51.100.7")};
    struct policy_set set = {.name = "bad", .prefixes = own, .prefix_count = 2};
    struct ip_prefix more[] = {prefix("203.0.113.9/24"), prefix("203.0.113.0/24"), own[0]};
    struct ip_prefix within = prefix("192.0.2.1"), network = prefix("203.0.113.0/24");
    struct sets s = {0};
    struct sets_outcome out;

    (void)state;
    /* A host's part does not count, nor does the same prefix twice. */
    assert_int_equal(sets_change(&s, &set, true, more, 3, &out), 0);
    assert_int_equal(out.changed, 1);
    assert_int_equal(out.unchanged, 2);
    assert_true(holds(&s, &set, &network));
    assert_int_equal(sets_change(&s, &set, false, &within, 1, &out), 0);
    assert_int_equal(out.changed, 0);
    assert_true(holds(&s, &set, &own[0]));
    assert_int_equal(sets_change(&s, &set, false, own, 2, &out), 0);
    assert_int_equal(out.changed, 2);
    assert_false(holds(&s, &set, &own[0]));
    assert_false(holds(&s, &set, &own[1]));
    sets_free(&s);
    assert_true(holds(&s, &set, &own[0]));
    assert_false(holds(&s, &set, &network));
}

/* What a set's file says later does not undo what was said at run time; a set that goes away and
 * comes back begins anew. */
static void test_reload(void **state)
{
    struct ip_prefix a = prefix("192.0.2.0/24"), b = prefix("198.51.100.0/24");
    struct policy_set sets[] = {{.name = "one", .prefixes = &a, .prefix_count = 1, .index = 0},
                                {.name = "two", .index = 1}};
    struct policy both = {.sets = sets, .set_count = 2},
                  second = {.sets = sets + 1, .set_count = 1};
    struct sets s = {0}, copy;
    struct sets_outcome out;
    struct error e = {0};

    (void)state;
    assert_int_equal(sets_change(&s, &sets[0], false, &a, 1, &out), 0);
    assert_int_equal(sets_change(&s, &sets[1], true, &b, 1, &out), 0);
    assert_int_equal(sets_copy(&copy, &s), 0);
    sets_prune(&s, &both);
    assert_false(holds(&s, &sets[0], &a));
    sets_prune(&s, &second);
    assert_true(holds(&s, &sets[0], &a));
    assert_true(holds(&s, &sets[1], &b));
    assert_false(holds(&copy, &sets[0], &a));
    sets_free(&s);
    sets_free(&copy);
    assert_ptr_equal(sets_find(&both, "two", &e), &sets[1]);
    assert_null(sets_find(&second, "one", &e));
    assert_string_equal(e.text, "there is no set \"one\"");
}

/* What was added and deleted at run time is as if nothing had been said; what was deleted from the
 * file stays deleted. */
static void test_taken_back(void **state)
{
    struct ip_prefix a = prefix("192.0.2.0/24"), b = prefix("198.51.100.0/24");
    struct policy_set with_a = {.name = "one", .prefixes = &a, .prefix_count = 1},
                      with_b = {.name = "one", .prefixes = &b, .prefix_count = 1};
    struct sets s = {0};
    struct sets_outcome out;

    (void)state;
    assert_int_equal(sets_change(&s, &with_a, true, &b, 1, &out), 0);
    assert_int_equal(sets_change(&s, &with_a, false, &a, 1, &out), 0);
    assert_int_equal(sets_change(&s, &with_a, false, &b, 1, &out), 0);
    assert_int_equal(out.changed, 1);
    assert_false(holds(&s, &with_a, &b));
    assert_false(holds(&s, &with_a, &a));
    assert_true(holds(&s, &with_b, &b));
    sets_free(&s);
}

static void test_random(void **state)
{
    uint64_t seed = (uint64_t)time(NULL);
    struct ip_prefix world[PREFIXES], own[PREFIXES];
    struct policy_set set = {.name = "random", .prefixes = own};

    (void)state;
    naive_seed(seed);
    for (unsigned i = 0; i < PREFIXES; i++) {
        char text[32];

        snprintf(text, sizeof text, i % 3 == 0 ? "2001:db8:%u::/48" : "10.%u.0.0/16", i);
        world[i] = prefix(text);
    }
    for (unsigned i = 1; i < PREFIXES; i++) { /* ascending, as policies have them */
        struct ip_prefix p = world[i];
        unsigned k = i;

        for (; k > 0 && memcmp(world[k - 1].addr.b, p.addr.b, 16) > 0; k--)
            world[k] = world[k - 1];
        world[k] = p;
    }
    for (unsigned round = 0; round < 50; round++) {
        bool in[PREFIXES];
        struct sets s = {0};

        set.prefix_count = 0;
        for (unsigned i = 0; i < PREFIXES; i++) {
            in[i] = naive_below(2) == 0;
            if (in[i])
                own[set.prefix_count++] = world[i];
        }
        for (unsigned turn = 0; turn < 20; turn++) {
            bool add = naive_below(2) == 0;
            unsigned which = naive_below(PREFIXES);
            struct sets_outcome out;

            assert_int_equal(sets_change(&s, &set, add, &world[which], 1, &out), 0);
            assert_int_equal(out.changed, in[which] != add);
            in[which] = add;
            for (unsigned i = 0; i < PREFIXES; i++)
                assert_int_equal(holds(&s, &set, &world[i]), in[i]);
        }
        sets_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
