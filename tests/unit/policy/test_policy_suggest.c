/* Which words are near enough to be suggested. */
#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "policy/policy_suggest.h"

static const char *nearest(const char *text)
{
    static const char *const words[] = {"workers", "interfaces",  "certificates", "backends",
                                        "backlog", "half-closed", "web",          "a"};
    struct policy_suggest s = {.text = text};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        policy_suggest_offer(&s, words[i]);
    return s.best != NULL ? s.best : "";
}

static void test_near(void **state)
{
    (void)state;
    assert_string_equal(nearest("wrokers"), "workers");
    assert_string_equal(nearest("worker"), "workers");
    assert_string_equal(nearest("Interface"), "interfaces");
    assert_string_equal(nearest("certs"), "");
    assert_string_equal(nearest("cert"), "certificates");
    assert_string_equal(nearest("backend"), "backends");
    assert_string_equal(nearest("baklog"), "backlog");
    assert_string_equal(nearest("half_closed"), "half-closed");
    assert_string_equal(nearest("HALF-CLOSED"), "half-closed");
    assert_string_equal(nearest("wbe"), "web");
}

static void test_far(void **state)
{
    char long_word[1000];

    (void)state;
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    assert_string_equal(nearest("firewall"), "");
    assert_string_equal(nearest(""), "");
    assert_string_equal(nearest("b"), "");
    assert_string_equal(nearest(long_word), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
