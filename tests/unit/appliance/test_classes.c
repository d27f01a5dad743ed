/* Numbers of egress classes over reloads, and which interfaces have a shaper. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <string.h>

#include "appliance/classes.h"

static struct policy_interface interfaces[2];
static struct policy_class classes[EGRESS_CLASSES];
static struct policy policy;

/* A policy with classes of these names, one letter each. */
static const struct policy *with(const char *names)
{
    static char text[EGRESS_CLASSES][2];

    policy = (struct policy){.interfaces = interfaces, .interface_count = 2, .classes = classes};
    for (unsigned i = 0; names[i] != '\0'; i++) {
        text[i][0] = names[i];
        classes[i] = (struct policy_class){.name = text[i], .weight = 100, .index = i};
        policy.class_count++;
    }
    return &policy;
}

static struct classes *create(const char *names, const struct classes *former)
{
    struct error e = {0};
    struct classes *c = classes_create(with(names), former, 1, &e);

    if (c == NULL)
        fail_msg("%s", e.text);
    return c;
}

static void test_none(void **state)
{
    struct classes *c;

    (void)state;
    interfaces[0].rate = interfaces[1].rate = 0;
    c = create("", NULL);
    assert_null(c->shaper[0]);
    assert_null(c->shaper[1]);
    assert_int_equal(classes_number(c, NULL), 0);
    classes_free(c);
    classes_free(NULL);
}

static void test_rate_alone(void **state)
{
    struct classes *c;

    (void)state;
    interfaces[1].rate = 1000000;
    c = create("", NULL);
    assert_null(c->shaper[0]);
    assert_non_null(c->shaper[1]);
    assert_int_equal(c->count, 1);
    classes_free(c);
    interfaces[1].rate = 0;
}

static void test_numbers_stay(void **state)
{
    struct classes *first, *second, *third;

    (void)state;
    first = create("abc", NULL);
    assert_non_null(first->shaper[0]);
    assert_int_equal(first->count, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(classes_number(first, &classes[i]), i + 1);
    second = create("cxa", first);
    assert_int_equal(classes_number(second, &classes[0]), 3);
    assert_int_equal(classes_number(second, &classes[1]), 4);
    assert_int_equal(classes_number(second, &classes[2]), 1);
    assert_false(second->present[2]);
    classes_free(first);
    third = create("bxy", second); /* who comes back has its number again */
    assert_int_equal(classes_number(third, &classes[0]), 2);
    assert_int_equal(classes_number(third, &classes[1]), 4);
    assert_int_equal(classes_number(third, &classes[2]), 5);
    classes_free(second);
    classes_free(third);
}

/* When all numbers have been given away, those of classes that are gone are given again. */
static void test_numbers_run_out(void **state)
{
    struct classes *c = NULL;
    char names[EGRESS_CLASSES] = "";
    struct error e = {0};

    (void)state;
    for (unsigned i = 0; i < EGRESS_CLASSES - 1; i++)
        names[i] = (char)('0' + i);
    c = create(names, NULL);
    for (char fresh = 1; fresh < 40; fresh++) {
        char two[3] = {names[62], fresh};
        struct classes *next = create(two, c);

        assert_int_equal(classes_number(next, &classes[0]), 63);
        assert_in_range(classes_number(next, &classes[1]), 1, 62);
        classes_free(c);
        c = next;
    }
    classes_free(c);
    /* One more than there is room for. */
    with(names);
    classes[63] = (struct policy_class){.name = "z", .weight = 1, .index = 63};
    policy.class_count = 64;
    assert_null(classes_create(&policy, NULL, 1, &e));
    assert_non_null(strstr(e.text, "more than 63"));
}

/* What the scheduler refuses is said with the interface's name. */
static void test_refused(void **state)
{
    struct error e = {0};

    (void)state;
    with("a");
    interfaces[1].name = "outside";
    interfaces[1].rate = 1000;
    classes[0].rate = 2000;
    assert_null(classes_create(&policy, NULL, 1, &e));
    assert_non_null(strstr(e.text, "outside"));
    interfaces[1].rate = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),         cmocka_unit_test(test_rate_alone),
        cmocka_unit_test(test_numbers_stay), cmocka_unit_test(test_numbers_run_out),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
