/*
 * Every allocation fails once: the file is then refused with a finding, nothing leaks, nothing
 * crashes. The linker sends the allocations of policy/ here (--wrap); those of libyaml and libc
 * are not reached.
 */
#include "tests/unit/policy/policy_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);

static unsigned allocations, failing; /* the `failing`-th one fails; 0: none */

static bool fails(void)
{
    if (++allocations != failing)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, count, size);
}

static const char text_form[] = INTERFACES BACKENDS CERTIFICATES
    "listeners:\n"
    "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog], alpn: [h2]}}\n"
    "policy:\n"
    "  - {match: {sni: [a.b, \"*.c\"], source: 10.0.0.0/8}, action: reject}\n"
    "  - {match: {listener: https}, action: terminate, backend: web}\n"
    "workers: [1, 2]\n"
    "routes: [{to: default, via: 10.0.0.2}]\n"
    "classes: {gold: {rate: 1Mbit}}\n"
    "sets: {a: {prefixes: [10.0.0.0/8, 10.0.0.0/9]}, b: {file: @}}\n"
    "firewall: {rules: [{action: drop, source: [a, b, 192.0.2.0/24], port: [80, 443]},\n"
    "  {action: accept, tcp-flags: syn, class: gold}]}\n";

/* A set's file, with more lines than the first allocation holds. */
static char text[sizeof text_form + 64];

static int write_set(void **state)
{
    static char path[] = "/tmp/sluice-set-XXXXXX";
    const char *at = strchr(text_form, '@');
    int fd = mkstemp(path);

    if (fd < 0 || dprintf(fd, "10.0.0.1\n10.0.0.2\n") < 0)
        return -1;
    close(fd);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - text_form), text_form, path, at + 1);
    *state = path;
    return 0;
}

static int remove_set(void **state)
{
    return unlink(*state);
}

/* Returns whether an allocation failed. */
static bool parse_with_failure(unsigned nth)
{
    struct policy_report r = {0};
    struct policy *p;
    bool failed;

    allocations = 0;
    failing = nth;
    p = policy_parse(text, strlen(text), "t.yaml", &r);
    failing = 0;
    failed = allocations >= nth;
    assert_true((p == NULL) == failed);
    assert_true((r.errors > 0) == failed);
    /* It is about the whole file and so comes first; it may itself be what could not be kept. */
    if (failed && r.count > 0)
        assert_non_null(strstr(r.findings[0].text, "out of memory"));
    policy_free(p);
    policy_report_free(&r);
    return failed;
}

static void test_every_allocation(void **state)
{
    unsigned nth = 1;

    (void)state;
    while (parse_with_failure(nth))
        nth++;
    /* Hundreds under AddressSanitizer, where each object is an allocation of its own. */
    assert_true(nth > 2);
}

/* A finding that cannot be kept still counts, or a bad file would be taken for a good one. */
static void test_lost_finding(void **state)
{
    struct policy_report r = {0};

    (void)state;
    allocations = 0;
    failing = 1;
    policy_report_add(&r, false, "t.yaml", 1, 2, "a", "b");
    failing = 0;
    assert_int_equal(r.count, 0);
    assert_int_equal(r.errors, 1);
    policy_report_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation),
        cmocka_unit_test(test_lost_finding),
    };

    return cmocka_run_group_tests(tests, write_set, remove_set);
}
