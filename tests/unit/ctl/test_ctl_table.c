/* Tables and values as sluicectl prints them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_table.h"
#include "ctl/ctl_text.h"
#include "tests/unit/support/test_unit.h"

static const struct ctl_column columns[] = {
    {"NAME", "name", NULL, false},
    {"SIZE", "size", ctl_table_bytes, true},
    {"LIST", "list", NULL, false},
    {0},
};

static char *printed(void (*print)(FILE *, const struct ctl_column *, const json_t *),
                     const char *json)
{
    json_t *value = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(value);
    print(out, columns, value);
    fclose(out);
    json_decref(value);
    return text;
}

static void columns_are_aligned(void **state)
{
    char *text =
        printed(ctl_table_print, "[{\"name\":\"a\",\"size\":1,\"list\":[\"x\",\"y\"]},"
                                 " {\"name\":\"caf\\u00e9 long\",\"size\":1048576,\"list\":[]},"
                                 " {\"name\":null,\"size\":1536}]");

    (void)state;
    assert_string_equal(text, "NAME          SIZE  LIST\n"
                              "a              1 B  x, y\n"
                              "caf\xc3\xa9 long  1.0 MiB  -\n"
                              "-          1.5 KiB  -\n");
    free(text);
}

static void no_rows(void **state)
{
    char *text = printed(ctl_table_print, "[]");

    (void)state;
    assert_string_equal(text, "NAME  SIZE  LIST\n");
    free(text);
}

static void one_object(void **state)
{
    char *text = printed(ctl_table_print_one, "{\"name\":\"a\",\"size\":10}");

    (void)state;
    assert_string_equal(text, "NAME: a\nSIZE: 10 B\n");
    free(text);
}

/* A server name that a client chose must not move the cursor. */
static void control_characters(void **state)
{
    char *text =
        printed(ctl_table_print, "[{\"name\":\"a\\u001b[2Jb\\nc\\u009bd\\u007f\",\"size\":0}]");

    (void)state;
    assert_null(strpbrk(text, "\033\177"));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_non_null(strstr(text, "a?[2Jb?c??d?"));
    free(text);
}

static void long_lists_are_cut(void **state)
{
    json_t *list = json_array();
    char out[CTL_TEXT_MAX];

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        json_array_append_new(list, json_string("name.example"));
    assert_true(strlen(ctl_text_value(list, out)) < CTL_TEXT_MAX);
    json_decref(list);
}

static void values(void **state)
{
    char out[CTL_TEXT_MAX];

    (void)state;
    assert_string_equal(ctl_text_bytes(0, out), "0 B");
    assert_string_equal(ctl_text_bytes(1023, out), "1023 B");
    assert_string_equal(ctl_text_bytes(1024.0 * 1024 * 1536, out), "1.5 GiB");
    assert_string_equal(ctl_text_count(950, out), "950");
    assert_string_equal(ctl_text_count(12345, out), "12.3k");
    assert_string_equal(ctl_text_count(123456789, out), "123M");
    assert_string_equal(ctl_text_duration(0.00035, out), "350us");
    assert_string_equal(ctl_text_duration(0.0123, out), "12.3ms");
    assert_string_equal(ctl_text_duration(45, out), "45.0s");
    assert_string_equal(ctl_text_duration(125, out), "2m 5s");
    assert_string_equal(ctl_text_duration(2 * 86400 + 3 * 3600, out), "2d 3h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned), cmocka_unit_test(no_rows),
        cmocka_unit_test(one_object),          cmocka_unit_test(control_characters),
        cmocka_unit_test(long_lists_are_cut),  cmocka_unit_test(values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
