/* What is refused before any key is looked at: what is no YAML, and what YAML has too much of. */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const struct policy_case syntax_cases[] = {
    {"empty",
     "",
     {" error: the file is empty: expected at least the keys interfaces, listeners and "
      "policy"}},
    {"only a comment",
     "# nothing\n",
     {" error: the file is empty: expected at least the keys "
      "interfaces, listeners and policy"}},
    {"null",
     "~\n",
     {" error: the file is empty: expected at least the keys interfaces, listeners "
      "and policy"}},
    {"a word",
     "hello\n",
     {"1:1: error: expected a mapping with the keys interfaces, listeners and "
      "policy, found \"hello\""}},
    {"a list",
     "- a\n",
     {"1:1: error: expected a mapping with the keys interfaces, listeners and "
      "policy, found a list"}},
    {"unclosed list",
     "listeners: [",
     {"2:1: error: not YAML: did not find expected node content, while parsing a flow node"}},
    {"unclosed mapping",
     "a: {b: c\nd: e\n",
     {"2:2: error: not YAML: did not find expected ',' or '}', while parsing a flow mapping that "
      "began in line 1"}},
    {"colon in value",
     "a: b: c\n",
     {"1:5: error: not YAML: mapping values are not allowed in this context"}},
    {"bad indentation",
     "a:\n    b: 1\n  c: 2\n",
     {"3:3: error: not YAML: did not find expected key, while parsing a block mapping that began "
      "in "
      "line 1"}},
    {"tab",
     "a:\n\tb: 1\n",
     {"2:1: error: not YAML: found character that cannot start any token, while scanning for the "
      "next token (a tab, where YAML is indented by spaces)"}},
    {"unclosed quote",
     "a: \"b\nc\n",
     {"3:1: error: not YAML: found unexpected end of stream, while scanning a quoted scalar that "
      "began in line 1"}},
    {"anchor", "a: &x 1\n", {"1:4: error: anchors (&name) are not supported: write the value out"}},
    {"anchor at a list",
     "a: &x [1]\n",
     {"1:4: error: anchors (&name) are not supported: write the value out"}},
    {"anchor at a mapping",
     "a: &x {b: 1}\n",
     {"1:4: error: anchors (&name) are not supported: write the value out"}},
    {"alias",
     "a: *x\n",
     {"1:4: error: aliases (*name) are not supported: write the value out; a text that begins with "
      "\"*\" needs quotation marks"}},
    {"wildcard without quotation marks",
     "a: *.example\n",
     {"1:5: error: not YAML: did not find expected alphabetic or numeric character, while scanning "
      "an alias (a value that begins with \"*\" needs quotation marks)"}},
    {"flag without quotation marks",
     "a: [syn, !ack]\n",
     {"1:14: error: not YAML: did not find expected whitespace or line break, while scanning a tag "
      "(a value that begins with \"!\" needs quotation marks)"}},
    {"tag",
     "a: !!str 1\n",
     {"1:4: error: tags (!name) are not supported: a text that begins with \"!\" needs quotation "
      "marks"}},
    {"second document",
     "--- {}\n--- {}\n",
     {"2:1: error: a second document: the file must hold one"}},
    {"key that is a list",
     "? [a]\n: b\n",
     {"1:3: error: expected a key, found a list or mapping in its place"}},
    {"NUL", "a: \"x\\0y\"\n", {"1:4: error: a NUL character in a text"}},
    {"Latin-1",
     "a: b\n# caf\xe9\n",
     {"2:6: error: not a text in UTF-8: incomplete UTF-8 octet sequence"}},
    {"after a character of two bytes",
     "# caf\xc3\xa9 \xff\n",
     {"1:8: error: not a text in UTF-8: invalid leading UTF-8 octet"}},
    {"control character",
     "a: \x01\n",
     {"1:4: error: not a text in UTF-8: control characters are not allowed"}},
    {"UTF-16",
     "\xff\xfe"
     "a",
     {"1:1: error: not a text in UTF-8: invalid leading UTF-8 octet"}},
    {"byte order mark", "\xef\xbb\xbf" BASE, {NULL}},
    {"carriage returns",
     "interfaces:\r\n  x: {device: {tap: x}, addresses: [10.0.0.1/8]}\r\n"
     "listeners: {x: {bind: 10.0.0.1:1}}\r\npolicy: [{action: reject}]\r\n",
     {NULL}},
    {"JSON",
     "{\"interfaces\": {\"x\": {\"device\": {\"tap\": \"x\"}, \"addresses\": [\"10.0.0.1/8\"]}},\n"
     " \"listeners\": {\"x\": {\"bind\": \"10.0.0.1:1\"}}, \"policy\": [{\"action\": "
     "\"reject\"}]}\n",
     {NULL}},
};

static void test_syntax(void **state)
{
    (void)state;
    POLICY_CASES_RUN(syntax_cases);
}

static const struct policy_case duplicate_cases[] = {
    {"top", BASE "policy: []\n", {"10:1: error: policy: given twice, first in line 8"}},
    {"in a mapping",
     "interfaces:\n  x: {device: {tap: x}, addresses: [10.0.0.1/8], device: {tap: y}}\n"
     "listeners: {x: {bind: 10.0.0.1:1}}\npolicy: [{action: reject}]\n",
     {"2:50: error: interfaces.x.device: given twice, first in line 2"}},
    {"in a section",
     "backends:\n  web: {servers: [10.0.0.12:1]}\n  web: 7\n" INTERFACES PLAIN SPLICE,
     {"3:3: error: backends.web: given twice, first in line 2"}},
};

static void test_duplicates(void **state)
{
    (void)state;
    POLICY_CASES_RUN(duplicate_cases);
}

static char *repeat(const char *what, size_t count)
{
    size_t len = strlen(what);
    char *text = malloc(len * count + 1);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, what, len);
    text[len * count] = '\0';
    return text;
}

static void expect_first(const char *text, const char *finding)
{
    struct policy_report r = {0};

    assert_null(policy_parse(text, strlen(text), "t.yaml", &r));
    assert_string_equal(r.findings[0].text, finding);
    policy_report_free(&r);
}

static void test_limits(void **state)
{
    char *deep = repeat("[", 100000), *large = repeat("# 45678\n", 524289);

    (void)state;
    expect_first(deep, "t.yaml:1:33: error: lists and mappings are nested too deep");
    expect_first(large, "t.yaml: error: the file is larger than 4 MiB");
    free(deep);
    free(large);
}

/* A file full of mistakes is reported up to a limit, and the report says that there are more. */
static void test_many_findings(void **state)
{
    char *text = repeat("- x\n", 5000);
    struct policy_report r = {0};
    char *file;

    (void)state;
    assert_true(asprintf(&file, "%s%s%s", INTERFACES BACKENDS PLAIN "policy:\n", text,
                         "limits: {connections: 0}\n") > 0);
    assert_null(policy_parse(file, strlen(file), "t.yaml", &r));
    assert_int_equal(r.errors, 5001);
    assert_int_equal(r.count, POLICY_REPORT_MAX + 1);
    assert_string_equal(r.findings[0].text, "t.yaml:9:3: error: policy[0]: expected a mapping with "
                                            "the key action, found \"x\"");
    assert_string_equal(r.findings[POLICY_REPORT_MAX].text,
                        "t.yaml: more than 1000 findings, the rest is not shown");
    policy_report_free(&r);
    free(file);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
