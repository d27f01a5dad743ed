/* Readiness (app/app_epoll.h). */
#include "tests/unit/app/app_rig.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static struct rig *r;
static int listener, x, y;
static struct app_epoll *set;

static int setup(void **state)
{
    const struct ip_endpoint local = rig_endpoint("10.0.0.2:80");

    (void)state;
    r = rig_start(NULL, NULL, 0);
    listener = app_listen(rig_b(r), &local, 64, NULL);
    rig_connect(r, listener, &x, &y);
    set = app_epoll_create(rig_b(r));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    app_epoll_destroy(set);
    app_close(rig_a(r), x);
    rig_stop(r);
    return 0;
}

static int control(int op, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};

    return app_epoll_ctl(set, op, fd, &e);
}

/* The one event within two seconds; 0: none at once. */
static uint32_t next(clock_ns timeout)
{
    struct epoll_event e[4];
    int n = app_epoll_wait(set, e, 4, timeout);

    assert_in_range(n, 0, 1);
    return n == 1 ? e[0].events : 0;
}

static void send_bytes(const char *text, size_t len)
{
    assert_int_equal(app_write(rig_a(r), x, text, len), len);
    app_channel_flush(rig_a(r));
}

static void test_level(void **state)
{
    char byte;

    (void)state;
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLIN), 0);
    assert_int_equal(next(0), 0);
    send_bytes("ab", 2);
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLIN);
    assert_int_equal(next(0), EPOLLIN);
    assert_int_equal(app_read(rig_b(r), y, &byte, 1), 1);
    assert_int_equal(next(0), EPOLLIN);
    assert_int_equal(app_read(rig_b(r), y, &byte, 1), 1);
    assert_int_equal(next(0), 0);
    send_bytes("c", 1);
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLIN);
}

static void test_edge(void **state)
{
    (void)state;
    send_bytes("a", 1);
    rig_wait(rig_b(r), y, EPOLLIN);
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLIN | EPOLLET), 0);
    assert_int_equal(next(0), EPOLLIN); /* it held when the interest was told */
    assert_int_equal(next(0), 0);
    send_bytes("b", 1);
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLIN);
    assert_int_equal(next(0), 0);
    app_shutdown(rig_a(r), x);
    app_channel_flush(rig_a(r));
    assert_int_equal(control(EPOLL_CTL_MOD, y, EPOLLRDHUP | EPOLLET), 0);
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLRDHUP);
    assert_int_equal(next(0), 0);
}

static void test_one_shot(void **state)
{
    (void)state;
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLIN | EPOLLONESHOT), 0);
    send_bytes("a", 1);
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLIN);
    send_bytes("b", 1);
    assert_int_equal(next(20 * CLOCK_MS), 0);
    assert_int_equal(control(EPOLL_CTL_MOD, y, EPOLLIN | EPOLLONESHOT), 0);
    assert_int_equal(next(0), EPOLLIN);
}

/* Room in the send ring: level-triggered and once. */
static void test_writable(void **state)
{
    static char chunk[65536], sink[65536];
    int full = 0;

    (void)state;
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLOUT | EPOLLET), 0);
    assert_int_equal(next(0), EPOLLOUT);
    assert_int_equal(next(0), 0);
    while (full < 50) { /* until a takes no more: its ring and its window are full */
        ssize_t n = app_write(rig_b(r), y, chunk, sizeof chunk);

        full = n < 0 ? full + 1 : 0;
        app_channel_flush(rig_b(r));
        app_channel_sleep(rig_b(r), CLOCK_MS);
    }
    while (next(0) != 0)
        ; /* of before */
    while (next(0) == 0) {
        app_read(rig_a(r), x, sink, sizeof sink);
        app_channel_flush(rig_a(r));
    }
    assert_true(app_write(rig_b(r), y, chunk, 1) == 1);
}

/* A busy descriptor does not keep the others from their turn. */
static void test_in_turn(void **state)
{
    struct epoll_event e[1];
    int x2, y2, seen[2] = {0};

    (void)state;
    rig_connect(r, listener, &x2, &y2);
    app_write(rig_a(r), x2, "b", 1);
    send_bytes("a", 1);
    rig_wait(rig_b(r), y, EPOLLIN);
    rig_wait(rig_b(r), y2, EPOLLIN);
    control(EPOLL_CTL_ADD, y, EPOLLIN);
    control(EPOLL_CTL_ADD, y2, EPOLLIN);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(app_epoll_wait(set, e, 1, 0), 1);
        seen[e[0].data.fd == y2]++;
    }
    assert_int_equal(seen[0], 5);
    app_close(rig_a(r), x2);
}

static void test_closed_leaves_the_set(void **state)
{
    (void)state;
    control(EPOLL_CTL_ADD, y, EPOLLIN);
    send_bytes("a", 1);
    rig_wait(rig_b(r), y, EPOLLIN);
    app_close(rig_b(r), y);
    assert_int_equal(next(20 * CLOCK_MS), 0);
}

static void test_dead(void **state)
{
    (void)state;
    control(EPOLL_CTL_ADD, y, 0);
    app_abort(rig_a(r), x);
    app_channel_flush(rig_a(r));
    assert_int_equal(next(2 * CLOCK_SEC), EPOLLERR | EPOLLHUP);
}

static void test_control_errors(void **state)
{
    struct app_epoll *other = app_epoll_create(rig_b(r));
    struct epoll_event e = {.events = EPOLLIN};

    (void)state;
    assert_int_equal(control(EPOLL_CTL_MOD, y, EPOLLIN), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(control(EPOLL_CTL_DEL, y, 0), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLIN), 0);
    assert_int_equal(control(EPOLL_CTL_ADD, y, EPOLLIN), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(app_epoll_ctl(other, EPOLL_CTL_ADD, y, &e), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(control(EPOLL_CTL_MOD, y, EPOLLEXCLUSIVE), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(control(EPOLL_CTL_ADD, 4000, EPOLLIN), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(control(77, y, EPOLLIN), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(app_epoll_wait(set, &e, 0, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(control(EPOLL_CTL_DEL, y, 0), 0);
    app_epoll_destroy(other);
}

static void nothing(int number)
{
    (void)number;
}

static void *send_signal(void *arg)
{
    const pthread_t *to = arg;

    /* Again and again: the first may come before the wait has begun. */
    for (int i = 0; i < 50; i++) {
        pthread_kill(*to, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return NULL;
}

static void test_interrupted(void **state)
{
    const struct sigaction sa = {.sa_handler = nothing};
    pthread_t self = pthread_self(), sender;
    struct epoll_event e;

    (void)state;
    sigaction(SIGUSR1, &sa, NULL);
    pthread_create(&sender, NULL, send_signal, &self);
    assert_int_equal(app_epoll_wait(set, &e, 1, CLOCK_NEVER), -1);
    assert_int_equal(errno, EINTR);
    pthread_join(sender, NULL);
}

/* With the kernel's epoll beside it: armed, the channel's descriptor tells. */
static void test_in_kernel_epoll(void **state)
{
    int kernel = epoll_create1(0), fd = app_channel_fd(rig_b(r));
    struct epoll_event e = {.events = EPOLLIN};

    (void)state;
    control(EPOLL_CTL_ADD, y, EPOLLIN);
    assert_int_equal(epoll_ctl(kernel, EPOLL_CTL_ADD, fd, &e), 0);
    while (!app_channel_arm(rig_b(r)))
        assert_int_equal(next(0), 0);
    send_bytes("a", 1);
    assert_int_equal(epoll_wait(kernel, &e, 1, 5000), 1);
    assert_false(app_channel_arm(rig_b(r)));
    assert_int_equal(next(0), EPOLLIN);
    close(kernel);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_level),       TEST(test_edge),
        TEST(test_one_shot),    TEST(test_writable),
        TEST(test_in_turn),     TEST(test_closed_leaves_the_set),
        TEST(test_dead),        TEST(test_control_errors),
        TEST(test_interrupted), TEST(test_in_kernel_epoll),
    };

    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
