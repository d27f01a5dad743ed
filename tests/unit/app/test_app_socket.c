/* Descriptors over two stacks (app/app_socket.h). */
#include "tests/unit/app/app_rig.h"

#include <errno.h>
#include <string.h>

#define SMALL_RING 4096

static struct rig *r;
static int listener;

static int setup(void **state)
{
    const struct ip_endpoint local = rig_endpoint("10.0.0.2:80");
    const struct app_channel_config a = {
        .descriptors = 64, .receive_ring = SMALL_RING, .send_ring = SMALL_RING};

    (void)state;
    r = rig_start(&a, &(struct app_channel_config){.descriptors = 16}, 0);
    listener = app_listen(rig_b(r), &local, 64, NULL);
    assert_true(listener >= 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(r);
    return 0;
}

static void assert_fails(ssize_t result, int err)
{
    assert_int_equal(result, -1);
    assert_int_equal(errno, err);
}

static void test_errors(void **state)
{
    const struct ip_endpoint taken = rig_endpoint("10.0.0.2:80");
    const struct ip_endpoint foreign = rig_endpoint("10.0.0.9:80");
    struct app_channel *b = rig_b(r);
    struct ip_endpoint where;
    char byte;

    (void)state;
    assert_fails(app_listen(b, &taken, 1, NULL), EADDRINUSE);
    assert_fails(app_listen(b, &foreign, 1, NULL), EADDRNOTAVAIL);
    assert_fails(app_accept(b, listener, NULL), EAGAIN);
    assert_fails(app_read(b, listener, &byte, 1), EINVAL);
    assert_fails(app_write(b, listener, &byte, 1), EINVAL);
    assert_fails(app_shutdown(b, listener), EINVAL);
    assert_fails(app_read(b, -1, &byte, 1), EBADF);
    assert_fails(app_read(b, 16, &byte, 1), EBADF);
    assert_fails(app_close(b, 5), EBADF);
    assert_fails(app_error(b, 5), EBADF);
    assert_fails(app_local(b, 5, &where), EBADF);
    assert_int_equal(app_errno(SOCK_OK), 0);
    assert_int_equal(app_errno(SOCK_RESET), ECONNRESET);
}

static void test_connect_fails(void **state)
{
    const struct ip_endpoint closed = rig_endpoint("10.0.0.2:81");
    const struct ip_endpoint nowhere = rig_endpoint("203.0.113.1:80");
    struct app_channel *a = rig_a(r);
    int fd = app_connect(a, &closed, NULL);
    struct sock_info info;
    char byte;

    (void)state;
    rig_wait(a, fd, EPOLLERR);
    assert_int_equal(app_error(a, fd), ECONNREFUSED);
    assert_fails(app_read(a, fd, &byte, 1), ECONNREFUSED);
    assert_fails(app_write(a, fd, &byte, 1), ECONNREFUSED);
    assert_fails(app_info(a, fd, &info), ENOTCONN);
    assert_int_equal(app_close(a, fd), 0);
    fd = app_connect(a, &nowhere, NULL);
    rig_wait(a, fd, EPOLLERR);
    assert_int_equal(app_error(a, fd), ENETUNREACH);
    assert_fails(app_info(a, fd, &info), ENOTCONN);
    app_close(a, fd);
}

static void test_ends_and_info(void **state)
{
    struct ip_endpoint a_local, b_remote;
    struct sock_info info;
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    app_local(rig_a(r), x, &a_local);
    app_remote(rig_b(r), y, &b_remote);
    assert_int_equal(a_local.port, b_remote.port);
    assert_true(ip_equal(&a_local.addr, &b_remote.addr));
    assert_int_equal(app_info(rig_b(r), y, &info), 0);
    assert_int_equal(info.state, TCP_ESTABLISHED);
    assert_fails(app_info(rig_b(r), listener, &info), EINVAL);
    app_close(rig_a(r), x);
    app_close(rig_b(r), y);
}

/* One end sends `size` bytes in vectors of three, the other reads them in two; all arrive. */
static void transfer(struct app_channel *from, int x, struct app_channel *to, int y, uint64_t size)
{
    static uint8_t out[3000], in[3000];
    uint64_t sent = 0, seen = 0;

    while (seen < size) {
        uint64_t len = size - sent < sizeof out ? size - sent : sizeof out;
        const struct iovec v[3] = {
            {out, len / 3}, {out + len / 3, 0}, {out + len / 3, len - len / 3}};
        const struct iovec w[2] = {{in, 1000}, {in + 1000, sizeof in - 1000}};
        ssize_t n = 0;

        for (uint64_t i = 0; i < len; i++)
            out[i] = rig_byte(sent + i);
        if (len > 0)
            n = app_writev(from, x, v, 3);
        assert_true(n >= 0 || errno == EAGAIN);
        sent += n > 0 ? (uint64_t)n : 0;
        app_channel_flush(from);
        n = app_readv(to, y, w, 2);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(in[i], rig_byte(seen + (uint64_t)i));
        seen += n > 0 ? (uint64_t)n : 0;
        app_channel_flush(to);
    }
    assert_int_equal(sent, size);
}

/* Through rings much smaller than the windows, and the other way. */
static void test_bytes(void **state)
{
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    transfer(rig_a(r), x, rig_b(r), y, 2000000);
    transfer(rig_b(r), y, rig_a(r), x, 2000000);
    app_close(rig_a(r), x);
    app_close(rig_b(r), y);
}

/* Who does not read stops who writes; nothing is lost when he goes on. */
static void test_back_pressure(void **state)
{
    static uint8_t chunk[65536];
    uint64_t sent = 0, seen = 0;
    int x, y, quiet = 0;
    ssize_t n;

    (void)state;
    rig_connect(r, listener, &x, &y);
    while (quiet < 50) { /* rounds of a millisecond in which nothing found room */
        uint64_t before = sent;

        for (uint32_t i = 0; i < sizeof chunk; i++)
            chunk[i] = rig_byte(sent + i);
        n = app_write(rig_b(r), y, chunk, sizeof chunk);
        sent += n > 0 ? (uint64_t)n : 0;
        app_channel_flush(rig_b(r));
        app_channel_sleep(rig_b(r), CLOCK_MS);
        quiet = sent == before ? quiet + 1 : 0;
    }
    assert_fails(app_write(rig_b(r), y, chunk, 1), EAGAIN);
    assert_true(sent > SMALL_RING + 65536);
    app_shutdown(rig_b(r), y);
    assert_fails(app_write(rig_b(r), y, chunk, 1), EPIPE);
    while (seen < sent) {
        rig_wait(rig_a(r), x, EPOLLIN);
        n = app_read(rig_a(r), x, chunk, sizeof chunk);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(chunk[i], rig_byte(seen + (uint64_t)i));
        seen += (uint64_t)n;
    }
    rig_wait(rig_a(r), x, EPOLLRDHUP);
    assert_int_equal(app_read(rig_a(r), x, chunk, 1), 0);
    app_close(rig_a(r), x);
    app_close(rig_b(r), y);
}

/* One direction ends, the other goes on; HUP when both have. */
static void test_half_close(void **state)
{
    char byte;
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    assert_int_equal(app_write(rig_a(r), x, "question", 8), 8);
    assert_int_equal(app_shutdown(rig_a(r), x), 0);
    rig_wait(rig_b(r), y, EPOLLRDHUP);
    for (int i = 0; i < 8; i++)
        assert_int_equal(app_read(rig_b(r), y, &byte, 1), 1);
    assert_int_equal(app_read(rig_b(r), y, &byte, 1), 0);
    assert_int_equal(rig_wait(rig_b(r), y, EPOLLOUT | EPOLLHUP), EPOLLOUT);
    assert_int_equal(app_write(rig_b(r), y, "!", 1), 1);
    app_close(rig_b(r), y);
    rig_wait(rig_a(r), x, EPOLLHUP);
    assert_int_equal(app_read(rig_a(r), x, &byte, 1), 1);
    assert_int_equal(byte, '!');
    assert_int_equal(app_read(rig_a(r), x, &byte, 1), 0);
    assert_int_equal(app_error(rig_a(r), x), 0);
    app_close(rig_a(r), x);
}

/* What was written before close arrives. */
static void test_close_loses_nothing(void **state)
{
    static uint8_t chunk[65536];
    uint64_t seen = 0;
    ssize_t n;
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    for (uint32_t i = 0; i < sizeof chunk; i++)
        chunk[i] = rig_byte(i);
    assert_int_equal(app_write(rig_b(r), y, chunk, sizeof chunk), sizeof chunk);
    app_close(rig_b(r), y);
    assert_fails(app_read(rig_b(r), y, chunk, 1), EBADF);
    app_channel_flush(rig_b(r));
    do {
        rig_wait(rig_a(r), x, EPOLLIN);
        n = app_read(rig_a(r), x, chunk, 1000);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(chunk[i], rig_byte(seen + (uint64_t)i));
        assert_true(n >= 0);
        seen += (uint64_t)n;
    } while (n > 0);
    assert_int_equal(seen, sizeof chunk);
    app_close(rig_a(r), x);
}

/* Neither the descriptor's ring nor its peer, who does not read, has room for more. */
static bool is_stuck(struct app_channel *c, int fd)
{
    const struct app_desc *d = app_socket_find(c, fd);
    struct sock_info info;

    rig_pause(r);
    sock_info(d->sock, &info);
    rig_resume(r);
    return app_fifo_room(&d->out) == 0 && info.send_window == 0;
}

/* Closed, and the peer acknowledges but takes nothing: it does not keep the descriptor. */
static void test_close_does_not_wait_for_ever(void **state)
{
    static char bytes[65536];
    struct app_channel *c = rig_b(r);
    int x, y;
    bool waits, gone;

    (void)state;
    rig_connect(r, listener, &x, &y);
    do {
        app_write(c, y, bytes, sizeof bytes);
        app_channel_flush(c);
        app_channel_sleep(c, CLOCK_MS);
    } while (!is_stuck(c, y));
    app_close(c, y);
    app_channel_flush(c);
    rig_pause(r);
    app_serve_requests(c, c->now);
    app_serve_requests(c, c->now + SERVE_CLOSING_TIME - 1);
    waits = !TAILQ_EMPTY(&c->closing);
    app_serve_requests(c, c->now + 1);
    gone = TAILQ_EMPTY(&c->closing);
    rig_resume(r); /* before anything fails: the end of the test needs the threads */
    assert_true(waits);
    assert_true(gone);
    rig_wait(rig_a(r), x, EPOLLERR);
    assert_int_equal(app_error(rig_a(r), x), ECONNRESET);
    app_close(rig_a(r), x);
}

/* Closed with bytes unread, or aborted: the peer learns by RST. */
static void test_resets(void **state)
{
    char byte;
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    app_write(rig_a(r), x, "unread", 6);
    rig_wait(rig_b(r), y, EPOLLIN);
    app_close(rig_b(r), y);
    app_channel_flush(rig_b(r));
    rig_wait(rig_a(r), x, EPOLLERR);
    assert_int_equal(app_error(rig_a(r), x), ECONNRESET);
    assert_fails(app_read(rig_a(r), x, &byte, 1), ECONNRESET);
    app_close(rig_a(r), x);
    rig_connect(r, listener, &x, &y);
    app_abort(rig_a(r), x);
    app_channel_flush(rig_a(r));
    rig_wait(rig_b(r), y, EPOLLERR | EPOLLHUP);
    assert_int_equal(app_error(rig_b(r), y), ECONNRESET);
    app_close(rig_b(r), y);
}

/* More connections than descriptors: the rest waits in the backlog and is accepted as descriptors
 * are closed. */
static void test_out_of_descriptors(void **state)
{
    enum { MORE = 40 };
    int fd[MORE], accepted = 0, open[MORE], n = 0;
    const struct ip_endpoint to = rig_endpoint("10.0.0.2:80");

    (void)state;
    for (int i = 0; i < MORE; i++)
        fd[i] = app_connect(rig_a(r), &to, NULL);
    for (int i = 0; i < MORE; i++)
        assert_int_equal(rig_wait(rig_a(r), fd[i], EPOLLOUT | EPOLLERR), EPOLLOUT);
    while (accepted < MORE) {
        int x = app_accept(rig_b(r), listener, NULL);

        if (x >= 0) {
            accepted++;
            open[n++] = x;
            assert_true(n <= 15); /* of 16, one listens */
        } else if (n == 15) {
            assert_int_equal(app_connect(rig_b(r), &to, NULL), -1);
            assert_int_equal(errno, EMFILE);
            while (n > 0)
                app_close(rig_b(r), open[--n]);
        }
        app_channel_flush(rig_b(r));
        app_channel_sleep(rig_b(r), CLOCK_MS);
    }
    for (int i = 0; i < MORE; i++)
        app_close(rig_a(r), fd[i]);
}

/* Connections that were not accepted go with their listener. */
static void test_listener_closed(void **state)
{
    const struct ip_endpoint to = rig_endpoint("10.0.0.2:80");
    int fd = app_connect(rig_a(r), &to, NULL);

    (void)state;
    rig_wait(rig_a(r), fd, EPOLLOUT);
    rig_wait(rig_b(r), listener, EPOLLIN);
    app_close(rig_b(r), listener);
    app_channel_flush(rig_b(r));
    rig_wait(rig_a(r), fd, EPOLLERR);
    assert_int_equal(app_error(rig_a(r), fd), ECONNRESET);
    app_close(rig_a(r), fd);
    listener = app_listen(rig_b(r), &to, 4, NULL); /* the port is free again */
    assert_true(listener >= 0);
}

/* Descriptors come back: many times as many connections as there are. */
static void test_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        char byte;
        int x, y;

        rig_connect(r, listener, &x, &y);
        assert_int_equal(app_write(rig_a(r), x, "x", 1), 1);
        rig_wait(rig_b(r), y, EPOLLIN);
        assert_int_equal(app_read(rig_b(r), y, &byte, 1), 1);
        if (i % 3 == 0)
            app_abort(rig_b(r), y);
        else
            app_close(rig_b(r), y);
        app_close(rig_a(r), x);
        app_channel_flush(rig_a(r));
        app_channel_flush(rig_b(r));
    }
}

/* Requests while the stack thread is away are done together when it is back. */
static void test_gathered(void **state)
{
    char text[3];
    int x, y;

    (void)state;
    rig_connect(r, listener, &x, &y);
    rig_pause(r);
    app_write(rig_a(r), x, "a", 1);
    app_write(rig_a(r), x, "b", 1);
    app_write(rig_a(r), x, "c", 1);
    app_shutdown(rig_a(r), x);
    app_close(rig_a(r), x);
    rig_resume(r);
    rig_wait(rig_b(r), y, EPOLLRDHUP);
    assert_int_equal(app_read(rig_b(r), y, text, 3), 3);
    assert_memory_equal(text, "abc", 3);
    app_close(rig_b(r), y);
}

static void test_bad_config(void **state)
{
    const struct app_channel_config bad[] = {
        {.receive_ring = 5000}, {.send_ring = 2048}, {.descriptors = UINT32_MAX}};
    struct app_bell bell;

    (void)state;
    app_bell_open(&bell, NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct error e = {0};

        assert_null(app_channel_create(&bad[i], &bell, &e));
        assert_true(e.set);
    }
    app_bell_close(&bell);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_errors),
        TEST(test_connect_fails),
        TEST(test_ends_and_info),
        TEST(test_bytes),
        TEST(test_back_pressure),
        TEST(test_half_close),
        TEST(test_close_loses_nothing),
        TEST(test_close_does_not_wait_for_ever),
        TEST(test_resets),
        TEST(test_out_of_descriptors),
        TEST(test_listener_closed),
        TEST(test_again_and_again),
        TEST(test_gathered),
        cmocka_unit_test(test_bad_config),
    };

    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
