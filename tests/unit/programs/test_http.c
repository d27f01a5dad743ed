/* Heads of requests and responses (programs/http.h). */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>

#include "programs/http.h"

#define HOST "Host: a\r\n"

static int status_of(const char *text)
{
    struct http_request q;

    return http_request_parse(text, strlen(text), &q) ? q.status : 0;
}

static void test_good(void **state)
{
    const char *text = "GET /a/b?c=d HTTP/1.1\r\n" HOST "\r\nGET";
    struct http_request q;

    (void)state;
    assert_true(http_request_parse(text, strlen(text), &q));
    assert_int_equal(q.status, 200);
    assert_int_equal(q.length, strlen(text) - 3);
    assert_int_equal(q.target_len, 4);
    assert_memory_equal(q.target, "/a/b", 4);
    assert_true(q.keep_alive);
    assert_false(q.head || q.older);
    assert_int_equal(status_of("HEAD / HTTP/1.0\r\n\r\n"), 200);
    assert_int_equal(status_of("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 200);
}

static void test_persistence(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "connection: x ,\tCLOSE\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"POST / HTTP/1.1\r\n" HOST "\r\n", false},
    };
    struct http_request q;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(http_request_parse(cases[i].text, strlen(cases[i].text), &q));
        assert_int_equal(q.keep_alive, cases[i].keep_alive);
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"G\tT / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "x: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413},
        {"DELETE / HTTP/1.1\r\n" HOST "\r\n", 405},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", 505},
        {"GET / HTCP/1.1\r\n" HOST "\r\n", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_of(cases[i].text), cases[i].status);
}

/* A NUL ends nothing: neither the target nor a field's name may have one. */
static void test_nul(void **state)
{
    static const char target[] = "GET /a\0b HTTP/1.1\r\n" HOST "\r\n";
    static const char name[] = "GET /a HTTP/1.1\r\n" HOST "x\0y: z\r\n\r\n";
    struct http_request q;

    (void)state;
    assert_true(http_request_parse(target, sizeof target - 1, &q));
    assert_int_equal(q.status, 400);
    assert_true(http_request_parse(name, sizeof name - 1, &q));
    assert_int_equal(q.status, 400);
}

/* Every proper beginning wants more, and reads nothing behind its end. */
static void test_beginnings(void **state)
{
    const char *text = "GET /a HTTP/1.1\r\n" HOST "X: y\r\n\r\n";
    struct http_request q;

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        char *part = malloc(len > 0 ? len : 1); /* of just that size, for AddressSanitizer */

        memcpy(part, text, len);
        assert_false(http_request_parse(part, len, &q));
        free(part);
    }
}

static void test_responses(void **state)
{
    const char *good = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 12\r\n\r\nbody";
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/3 200 OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 2000\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1    \r\nContent-Length: 1\r\n\r\n", /* a number must not be looked for */
        "nonsense\r\n\r\n",
        "\r\n\r\n",
    };
    struct http_response r;

    (void)state;
    assert_int_equal(http_response_parse(good, strlen(good), &r), 1);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.content, 12);
    assert_int_equal(r.length, strlen(good) - 4);
    assert_true(r.keep_alive);
    assert_int_equal(http_response_parse(good, 30, &r), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(http_response_parse(bad[i], strlen(bad[i]), &r), -1);
}

/* Random changes of good requests: no crash, and a length within what there is. */
static void test_random(void **state)
{
    const char *text =
        "GET /a?b HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 0\r\n\r\n";
    size_t len = strlen(text);

    (void)state;
    srandom(1);
    for (int i = 0; i < 200000; i++) {
        char *copy = malloc(len);
        struct http_request q;

        memcpy(copy, text, len);
        for (long n = random() % 4; n >= 0; n--)
            copy[(size_t)random() % len] =
                (char)(random() % 3 == 0 ? "\r\n :"[random() % 4] : random());
        if (http_request_parse(copy, len, &q)) {
            assert_in_range(q.length, 4, len);
            if (q.status == 200)
                assert_true(q.target >= copy && q.target + q.target_len <= copy + q.length);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_persistence),
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_responses), cmocka_unit_test(test_random),
        cmocka_unit_test(test_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
