/* The web server's pages (programs/site.h). */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "programs/site.h"

static const char *const names[] = {"index.html", "a", "ab", "abc", "b"};

#define NAMES (sizeof names / sizeof names[0])

static char folder[] = "/tmp/site-XXXXXX";

static const char *file(const char *name)
{
    static char path[sizeof folder + 32];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int setup(void **state)
{
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < NAMES; i++) {
        FILE *f = fopen(file(names[i]), "w");

        assert_non_null(f);
        fputs(names[i], f);
        assert_int_equal(fclose(f), 0);
    }
    *state = site_load(folder, NULL);
    assert_non_null(*state);
    return 0;
}

static int teardown(void **state)
{
    site_free(*state);
    for (size_t i = 0; i < NAMES; i++)
        unlink(file(names[i]));
    return rmdir(folder);
}

static void test_pages(void **state)
{
    for (size_t i = 0; i < NAMES; i++) {
        const struct site_page *p;
        char path[32];

        p = site_find(*state, path, (size_t)snprintf(path, sizeof path, "/%s", names[i]));
        assert_non_null(p);
        assert_int_equal(p->len, strlen(names[i]));
        assert_memory_equal(p->body, names[i], p->len);
    }
    assert_ptr_equal(site_find(*state, "/", 1), site_find(*state, "/index.html", 11));
}

/* A path is compared by its length: what a client puts behind a NUL is part of it. */
static void test_no_page(void **state)
{
    static char longer[8192] = "/abc";

    assert_null(site_find(*state, "/abcd", 5));
    assert_null(site_find(*state, "/0", 2));
    assert_null(site_find(*state, "/zz", 3));
    assert_null(site_find(*state, "/abc\0", 5));
    assert_null(site_find(*state, longer, sizeof longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_no_page),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
