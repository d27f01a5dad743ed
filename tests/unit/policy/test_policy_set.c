/* Files of one value a line: sets of prefixes, lists of server names, and what cannot be read. */
#include "tests/unit/policy/policy_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[] = "/tmp/sluice-policy-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/list", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void write_bytes(const char *text, size_t len)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    fclose(out);
}

/* Loads a set from text that must be good. */
static struct ip_prefix *load(const char *text, size_t len, unsigned *count)
{
    struct policy_report r = {0};
    struct ip_prefix *prefixes;

    write_bytes(text, len);
    prefixes = policy_set_load(path, count, &r);
    for (size_t i = 0; i < r.count; i++)
        print_error("%s\n", r.findings[i].text);
    assert_int_equal(r.count, 0);
    policy_report_free(&r);
    assert_non_null(prefixes);
    return prefixes;
}

static void expect_set(const char *text, size_t len, const char *const *wanted)
{
    unsigned count, i = 0;
    struct ip_prefix *prefixes = load(text, len, &count);
    char out[IP_TEXT_MAX];

    for (; i < count && wanted[i] != NULL; i++)
        assert_string_equal(ip_prefix_format(&prefixes[i], out), wanted[i]);
    assert_int_equal(i, count);
    assert_null(wanted[i]);
    free(prefixes);
}

#define EXPECT_SET(text, ...) \
    expect_set(text, sizeof text - 1, (const char *const[]){__VA_ARGS__, NULL})

static void test_good(void **state)
{
    (void)state;
    EXPECT_SET("", NULL);
    EXPECT_SET("\n\n# nothing\n   \t\r\n", NULL);
    EXPECT_SET("10.0.0.0/8", "10.0.0.0/8");
    EXPECT_SET("10.0.0.0/8\r\n192.0.2.1\r\n", "10.0.0.0/8", "192.0.2.1/32");
    EXPECT_SET("\xef\xbb\xbf  10.0.0.0/8\t# ours\n", "10.0.0.0/8");
    EXPECT_SET("10.0.0.0/8#\n#9.0.0.0/8\n", "10.0.0.0/8");
    EXPECT_SET("192.0.2.1\n10.0.0.0/8\n192.0.2.1/32\n10.0.0.0/9\n10.0.0.0/8\n", "10.0.0.0/8",
               "10.0.0.0/9", "192.0.2.1/32");
    EXPECT_SET("2001:db8::/32\n10.0.0.0/8\n0.0.0.0/0\n::/0\n", "::/0", "0.0.0.0/0", "10.0.0.0/8",
               "2001:db8::/32");
}

/* ---- bad lines ---- */

#define PREFIX " error: expected an address or prefix such as 198.51.100.0/24, found "

static void expect_bad(const char *text, size_t len, const char *const *wanted)
{
    struct policy_report r = {0};
    unsigned count = 7;
    size_t i = 0;

    write_bytes(text, len);
    assert_null(policy_set_load(path, &count, &r));
    assert_int_equal(count, 0);
    for (; i < r.count && wanted[i] != NULL; i++) {
        char line[512];

        snprintf(line, sizeof line, "%s:%s", path, wanted[i]);
        assert_string_equal(r.findings[i].text, line);
    }
    assert_int_equal(r.count, i);
    assert_null(wanted[i]);
    assert_int_equal(r.errors, i);
    policy_report_free(&r);
}

#define EXPECT_BAD(text, ...) \
    expect_bad(text, sizeof text - 1, (const char *const[]){__VA_ARGS__, NULL})

static void test_bad(void **state)
{
    (void)state;
    EXPECT_BAD("10.0.0.0/8\n\n  10.0.0/8 # x\nfoo bar\n", "3:3:" PREFIX "\"10.0.0/8\"",
               "4:1:" PREFIX "\"foo bar\"");
    EXPECT_BAD("# a\r\n10.0.0.1/8\r\n10.0.0.0/33",
               "2:1: error: 10.0.0.1/8 has bits set beyond its length, did you mean 10.0.0.0/8?",
               "3:1:" PREFIX "\"10.0.0.0/33\"");
    EXPECT_BAD("10.0.0.1 10.0.0.2\n", "1:1:" PREFIX "\"10.0.0.1 10.0.0.2\"");
    EXPECT_BAD("\xef\xbb\xbf x\n", "1:2:" PREFIX "\"x\"");
    EXPECT_BAD("10.0.0.1\0\n\0", "1:1:" PREFIX "\"10.0.0.1?\"", "2:1:" PREFIX "\"?\"");
}

/* Longer than the reader's buffer, in one line and in all. */
static void test_long(void **state)
{
    static char text[200000];
    unsigned count;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "10.0.0.1\n", 9);
    expect_bad(text, sizeof text,
               (const char *const[]){" error: has a line 2 of more than 4096 bytes", NULL});
    memset(text, ' ', sizeof text);
    for (size_t at = 4000; at < sizeof text; at += 4000)
        memcpy(text + at, "\n10.0.0.1", 9);
    free(load(text, sizeof text, &count));
    assert_int_equal(count, 1);
}

static void test_bounded_report(void **state)
{
    static char text[2 * 5000];
    struct policy_report r = {0};
    unsigned count;

    (void)state;
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "x\n", 2);
    write_bytes(text, sizeof text);
    assert_null(policy_set_load(path, &count, &r));
    assert_true(r.count <= POLICY_REPORT_MAX + 1);
    assert_true(r.errors >= POLICY_REPORT_MAX);
    policy_report_free(&r);
}

/* Against a plain sort of what was written. */
static void test_many(void **state)
{
    enum { COUNT = 100000 };
    char *text = malloc(COUNT * 20), *at = text;
    unsigned count;
    struct ip_prefix *prefixes;
    uint32_t value = 1;

    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < COUNT; i++) {
        value = value * 1664525u + 1013904223u;
        at += sprintf(at, "%u.%u.%u.0/24\n", value >> 24, value >> 16 & 255, value >> 8 & 255);
    }
    prefixes = load(text, (size_t)(at - text), &count);
    assert_in_range(count, COUNT * 95 / 100, COUNT);
    for (unsigned i = 1; i < count; i++)
        assert_true(memcmp(prefixes[i - 1].addr.b, prefixes[i].addr.b, 16) < 0);
    free(prefixes);
    free(text);
}

/* ---- what cannot be read ---- */

static void expect_unreadable(const char *file, const char *what)
{
    struct policy_report r = {0};
    char wanted[256];
    unsigned count;

    snprintf(wanted, sizeof wanted, "%s: error: %s", file, what);
    assert_null(policy_set_load(file, &count, &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.findings[0].text, wanted);
    policy_report_free(&r);
    assert_null(policy_load(file, &r)); /* the configuration itself, too */
    assert_int_equal(r.count, 1);
    assert_string_equal(r.findings[0].text, wanted);
    policy_report_free(&r);
}

static void test_unreadable(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    unlink(path);
    expect_unreadable(path, "cannot be opened: No such file or directory");
    expect_unreadable(directory, "cannot be read: it is a directory, expected a file");
    expect_unreadable("/dev/zero", "cannot be read: it is a device, expected a file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unreadable(path, "cannot be read: it is a pipe, expected a file");
    unlink(path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_unreadable(path, "cannot be read: it is a socket, expected a file");
    close(fd);
    unlink(path);
}

/* ---- in the configuration ---- */

/* Parses a configuration beside the list. */
static struct policy *parse(const char *text, struct policy_report *r)
{
    char config[64];

    snprintf(config, sizeof config, "%s/t.yaml", directory);
    return policy_parse(text, strlen(text), config, r);
}

static void expect_findings(struct policy_report *r, const char *const *wanted)
{
    size_t i = 0;

    for (; i < r->count && wanted[i] != NULL; i++)
        assert_string_equal(r->findings[i].text + strlen(directory) + 1, wanted[i]);
    assert_int_equal(r->count, i);
    assert_null(wanted[i]);
    policy_report_free(r);
}

#define EXPECT_FINDINGS(r, ...) expect_findings(r, (const char *const[]){__VA_ARGS__, NULL})

#define WITH_SET                BASE "sets: {a: {file: list}}\nfirewall: {rules: [{action: drop, source: a}]}\n"

static void test_set_of_configuration(void **state)
{
    struct policy_report r = {0};
    struct policy *p;

    (void)state;
    write_bytes("10.1.0.0/16\n10.0.0.0/16\n", 24);
    p = parse(WITH_SET, &r);
    assert_non_null(p);
    EXPECT_FINDINGS(&r, NULL);
    assert_string_equal(p->sets[0].file, path);
    assert_int_equal(p->sets[0].file_mark.line, 10);
    assert_int_equal(p->sets[0].file_mark.column, 18);
    assert_int_equal(p->sets[0].prefix_count, 2);
    assert_int_equal(p->sets[0].prefixes[0].addr.b[13], 0);
    policy_free(p);
    write_bytes("10.1.0.0/16\nx\n", 14);
    assert_null(parse("limits: 5\n" WITH_SET, &r));
    /* Findings are kept in the order of each file, the files apart. */
    EXPECT_FINDINGS(&r, "list:2:1:" PREFIX "\"x\"",
                    "t.yaml:1:9: error: limits: expected a mapping of limits, found \"5\"");
}

#define WITH_NAMES(keys)                                                            \
    INTERFACES BACKENDS CERTIFICATES                                                \
        "listeners: {l: {bind: 192.0.2.10:1, tls: {certificates: [shop, blog]}}}\n" \
        "policy: [{match: {" keys "}, action: splice, backend: web}]\n"

static void test_names(void **state)
{
    struct policy_report r = {0};
    struct policy *p;

    (void)state;
    write_bytes("Shop.Example.\r\n*.b.example # all\n\n", 34);
    p = parse(WITH_NAMES("sni: [a.b], sni-file: list"), &r);
    assert_non_null(p);
    EXPECT_FINDINGS(&r, NULL);
    assert_int_equal(p->rules[0].sni_count, 3);
    assert_string_equal(p->rules[0].snis[0], "a.b");
    assert_string_equal(p->rules[0].snis[1], "shop.example");
    assert_string_equal(p->rules[0].snis[2], "*.b.example");
    policy_free(p);
    p = parse(WITH_NAMES("sni-file: list"), &r);
    assert_non_null(p);
    EXPECT_FINDINGS(&r, NULL);
    assert_int_equal(p->rules[0].sni_count, 2);
    policy_free(p);
}

static void test_bad_names(void **state)
{
    struct policy_report r = {0};
    char empty[256], missing[256];

    (void)state;
    snprintf(
        empty, sizeof empty,
        "t.yaml:10:29: error: policy[0].match.sni-file: the file \"%s\" holds no name: the rule "
        "could not match",
        path);
    snprintf(missing, sizeof missing,
             "t.yaml:10:29: error: policy[0].match.sni-file: the file \"%s\" cannot be opened: No "
             "such file or directory",
             path);
    write_bytes("a.b\n a..b\n192.0.2.1\n", 20);
    assert_null(parse(WITH_NAMES("sni-file: list"), &r));
    EXPECT_FINDINGS(&r,
                    "list:2:2: error: expected a server name such as shop.example or "
                    "*.shop.example, found \"a..b\": it has an empty label",
                    "list:3:1: error: expected a server name such as shop.example or "
                    "*.shop.example, found \"192.0.2.1\": clients ask for names, never for "
                    "addresses (RFC 6066, 3)");
    write_bytes("# none\n", 7);
    assert_null(parse(WITH_NAMES("sni-file: list"), &r));
    EXPECT_FINDINGS(&r, empty);
    unlink(path);
    assert_null(parse(WITH_NAMES("sni-file: list"), &r));
    EXPECT_FINDINGS(&r, missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_bounded_report),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_set_of_configuration),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
