/* Calls that wait (app/app_block.h): threads on one channel. */
#include "tests/unit/app/app_rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/app_block.h"

#define CLIENTS 8
#define BYTES   300000u

static struct rig *r;
static struct app_block *a, *b;
static int listener;

static int setup(void **state)
{
    const struct ip_endpoint local = rig_endpoint("10.0.0.2:7");

    (void)state;
    r = rig_start(NULL, NULL, 2000);
    a = app_block_create(rig_a(r));
    b = app_block_create(rig_b(r));
    listener = app_block_listen(b, &local, 64, NULL);
    assert_true(listener >= 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    app_block_destroy(a);
    app_block_destroy(b);
    rig_stop(r);
    return 0;
}

static void *echo(void *arg)
{
    uint8_t chunk[5000];
    ssize_t n;
    int fd = app_block_accept(b, listener, NULL, 20 * CLOCK_SEC);

    (void)arg;
    while ((n = app_block_read(b, fd, chunk, sizeof chunk, 20 * CLOCK_SEC)) > 0) {
        if (app_block_write(b, fd, chunk, (size_t)n, 20 * CLOCK_SEC) != n)
            return "short write";
    }
    if (n < 0)
        return "read failed";
    app_block_shutdown(b, fd);
    app_block_close(b, fd);
    return NULL;
}

struct client {
    pthread_t reader, writer, server;
    int fd;
};

/* Reads and writes go on at once on one descriptor, in two threads. */
static void *client_write(void *arg)
{
    struct client *c = arg;
    uint8_t *all = malloc(BYTES);
    bool good;

    for (uint32_t i = 0; i < BYTES; i++)
        all[i] = rig_byte(i);
    good = app_block_write(a, c->fd, all, BYTES, 20 * CLOCK_SEC) == (ssize_t)BYTES;
    app_block_shutdown(a, c->fd);
    free(all);
    return good ? NULL : "short write";
}

static void *client_read(void *arg)
{
    struct client *c = arg;
    uint8_t chunk[3000];
    uint32_t seen = 0;
    ssize_t n;

    while ((n = app_block_read(a, c->fd, chunk, sizeof chunk, 20 * CLOCK_SEC)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] != rig_byte(seen + (uint32_t)i))
                return "wrong byte";
        }
        seen += (uint32_t)n;
    }
    return n == 0 && seen == BYTES ? NULL : "wrong end";
}

static void join_good(pthread_t thread)
{
    void *fault;

    pthread_join(thread, &fault);
    if (fault != NULL)
        fail_msg("%s", (const char *)fault);
}

static void test_threads(void **state)
{
    const struct ip_endpoint to = rig_endpoint("10.0.0.2:7");
    struct client c[CLIENTS];

    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&c[i].server, NULL, echo, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        c[i].fd = app_block_connect(a, &to, NULL, 20 * CLOCK_SEC);
        assert_true(c[i].fd >= 0);
        pthread_create(&c[i].writer, NULL, client_write, &c[i]);
        pthread_create(&c[i].reader, NULL, client_read, &c[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        join_good(c[i].writer);
        join_good(c[i].reader);
        join_good(c[i].server);
        app_block_close(a, c[i].fd);
    }
}

static void test_timeouts(void **state)
{
    const struct ip_endpoint to = rig_endpoint("10.0.0.2:7");
    char byte;
    int x, y;

    (void)state;
    assert_int_equal(app_block_accept(b, listener, NULL, 5 * CLOCK_MS), -1);
    assert_int_equal(errno, ETIMEDOUT);
    x = app_block_connect(a, &to, NULL, CLOCK_NEVER);
    y = app_block_accept(b, listener, NULL, CLOCK_NEVER);
    assert_int_equal(app_block_read(a, x, &byte, 1, 5 * CLOCK_MS), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(app_block_read(a, x, &byte, 1, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    app_block_close(b, y);
    assert_int_equal(app_block_read(a, x, &byte, 1, CLOCK_NEVER), 0);
    app_block_close(a, x);
    assert_int_equal(app_block_read(a, x, &byte, 1, CLOCK_NEVER), -1);
    assert_int_equal(errno, EBADF);
}

static void test_connect_refused(void **state)
{
    const struct ip_endpoint to = rig_endpoint("10.0.0.2:8");

    (void)state;
    assert_int_equal(app_block_connect(a, &to, NULL, CLOCK_NEVER), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

/* Waits in accept; returns errno. */
static void *accept_for_ever(void *arg)
{
    int *err = arg;

    *err = app_block_accept(b, listener, NULL, CLOCK_NEVER) < 0 ? errno : 0;
    return NULL;
}

static void await_both(pthread_t *thread, int *err, int wanted)
{
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(err[i], wanted);
    }
}

static void test_closed_under_waiters(void **state)
{
    pthread_t thread[2];
    int err[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, accept_for_ever, &err[i]);
    app_block_close(b, listener);
    await_both(thread, err, EBADF);
}

static void test_interrupted(void **state)
{
    pthread_t thread[2];
    int err[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, accept_for_ever, &err[i]);
    app_block_interrupt(b);
    await_both(thread, err, EINTR);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_threads),         TEST(test_timeouts),
        TEST(test_connect_refused), TEST(test_closed_under_waiters),
        TEST(test_interrupted),
    };

    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
