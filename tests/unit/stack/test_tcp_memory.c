/*
 * The budget of buffers of all connections: what happens as it fills, and that what was
 * acknowledged is never lost.
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_mbuf.h>

static struct script *s;
static struct sock *listener;

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static struct script_conn *peer(void)
{
    struct script_conn *c = script_conn(s);

    c->wscale = 7;
    script_discard(s);
    script_establish(c, listener);
    return c;
}

static void begin(uint32_t max_buffers)
{
    s = script_create(&(struct script_config){.max_buffers = max_buffers});
    listener = script_listen(s, 80, 64, NULL);
}

/* Many peers send to readers that do not read: the windows close before memory is full, and all
 * that was acknowledged is there when the readers come. */
static void test_pressure(void **state)
{
    struct script_conn *c[16];
    uint32_t next[16], edge[16];
    bool moved = true;

    (void)state;
    begin(256);
    for (unsigned i = 0; i < 16; i++) {
        c[i] = peer();
        next[i] = 1;
        edge[i] = 65536;
    }
    script_discard(s);
    while (moved) {
        moved = false;
        for (unsigned i = 0; i < 16; i++) {
            const struct script_segment *g;
            uint32_t len = edge[i] - next[i] < 1460 ? edge[i] - next[i] : 1460;

            if ((int32_t)len <= 0)
                continue;
            script_send(c[i], TCP_ACK, next[i], 1, len);
            script_advance(s, 50 * CLOCK_MS);
            while ((g = script_next(s)) != NULL) {
                uint32_t ack = g->tcp.ack - c[i]->peer_iss;

                moved |= ack > next[i];
                if (ack > next[i])
                    next[i] = ack;
                edge[i] = ack + ((uint32_t)g->tcp.window << 7);
            }
        }
        assert_true(script_usage(s).buffers_used <= 256);
    }
    assert_true(script_usage(s).buffers_used > 128);
    for (unsigned i = 0; i < 16; i++) {
        assert_true(next[i] > 1); /* everybody got something */
        assert_int_equal(sock_readable(c[i]->sock), next[i] - 1);
        assert_int_equal(script_read(c[i], 65536), next[i] - 1);
    }
    assert_int_equal(script_usage(s).buffers_used, 0);
}

/* What is ahead of a gap goes first: it was not acknowledged. */
static void test_out_of_order_is_refused_under_pressure(void **state)
{
    struct script_conn *full, *c;
    uint64_t dropped;

    (void)state;
    begin(256);
    full = peer();
    c = peer();
    for (uint32_t i = 0; script_usage(s).buffers_used < 256 / 4 * 3; i++) {
        if (i % 40 == 0)
            full = peer();
        script_send(full, TCP_ACK, 1 + i % 40 * 1460, 1, 1460);
    }
    script_discard(s);
    dropped = script_counters(s)->drop_tcp_no_memory;
    script_send(c, TCP_ACK, 1461, 1, 1460);
    assert_int_equal(script_counters(s)->drop_tcp_no_memory, dropped + 1);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 1460); /* in order: taken */
    assert_int_equal(script_read(c, 2000), 1460);
}

/* A byte at a time from a client to a stalled server must not hold an mbuf for each. */
static void test_splice_of_bytes(void **state)
{
    struct script_conn *from, *to;

    (void)state;
    begin(4096);
    from = peer();
    to = peer();
    to->window = 0;
    script_send(to, TCP_ACK, 1, 1, 0);
    for (uint32_t i = 0; i < 3000; i++) {
        script_send(from, TCP_ACK, 1 + i, 1, 1);
        assert_int_equal(sock_splice(from->sock, to->sock, 1000), 1);
    }
    script_discard(s);
    assert_true(script_usage(s).buffers_used <= 3);
    to->window = 512;
    script_send(to, TCP_ACK, 1, 1, 0);
    for (uint32_t seq = 1; seq < 2921; seq += 1460)
        script_expect(to, TCP_ACK, seq, 1, 1460);
}

/* Splicing hands the mbufs themselves over. */
static void test_splice(void **state)
{
    struct script_conn *from, *to;

    (void)state;
    begin(4096);
    from = peer();
    to = peer();
    for (uint32_t i = 0; i < 5; i++)
        script_send(from, TCP_ACK, 1 + i * 1460, 1, 1460);
    script_discard(s);
    assert_int_equal(sock_splice(from->sock, to->sock, 2000), 2920); /* whole segments */
    assert_int_equal(sock_splice(from->sock, to->sock, 100000), 3 * 1460);
    assert_int_equal(sock_splice(from->sock, to->sock, 100000), 0);
    assert_int_equal(script_usage(s).buffers_used, 5);
    assert_int_equal(rte_mempool_in_use_count(script_data_pool()), 0);
    script_flush(s);
    for (uint32_t i = 0; i < 5; i++)
        script_expect(to, TCP_ACK, 1 + i * 1460, 1, 1460);
    sock_shutdown(to->sock);
    assert_int_equal(sock_splice(from->sock, to->sock, 100), 0);
}

/* A writer that found no memory waits for some; but when its own queue has drained it can go on,
 * though others that stall hold nearly all. */
static void test_waiter_drains(void **state)
{
    struct script_conn *stalled[16], *c;

    (void)state;
    begin(64);
    for (unsigned i = 0; i < 16; i++)
        stalled[i] = peer();
    c = peer();
    for (unsigned i = 0; i < 16; i++) {
        stalled[i]->window = 0;
        script_send(stalled[i], TCP_ACK, 1, 1, 0);
        while (script_write(stalled[i], 4000) == 4000)
            ;
    }
    assert_in_range(script_usage(s).buffers_used, 57, 64);
    script_write(c, 2048);
    script_hog(s, script_data_pool(), 0);
    assert_int_equal(script_write(c, 1000), 0);
    script_unhog(s);
    script_flush(s);
    assert_int_equal(script_events(s, c->sock), 0);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 2049, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_WRITABLE);
    assert_int_equal(script_write(c, 1000), 1000);
}

/* What the log says from one call to the next. */
static int log_fd = -1, log_saved = -1;

static void log_begin(void)
{
    log_saved = dup(STDERR_FILENO);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
}

static void log_end(char *out, size_t size)
{
    ssize_t n = pread(log_fd, out, size - 1, 0);

    assert_true(dup2(log_saved, STDERR_FILENO) >= 0);
    close(log_saved);
    close(log_fd);
    assert_true(n >= 0);
    out[n] = '\0';
}

static unsigned lines(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* One line when it begins, one when it is over, and none between. */
static void test_shortage_is_told(void **state)
{
    struct script_conn *c[16];
    char text[4096];

    (void)state;
    begin(64);
    for (unsigned i = 0; i < 16; i++)
        c[i] = peer();
    log_begin();
    for (unsigned i = 0; i < 16; i++) {
        for (uint32_t n = 0; n < 4; n++)
            script_send(c[i], TCP_ACK, 1 + n * 1460, 1, 1460);
        script_flush(s);
    }
    for (unsigned i = 0; i < 16; i++) {
        script_read(c[i], 65536);
        script_flush(s);
    }
    log_end(text, sizeof text);
    assert_int_equal(lines(text), 2);
    assert_non_null(strstr(text, "tcp: packet buffers run short: 49 of 64 are in use"));
    assert_non_null(strstr(text, "tcp: packet buffers suffice again"));
}

/* An idle connection holds nothing. */
static void test_idle_holds_nothing(void **state)
{
    struct script_conn *c;

    (void)state;
    begin(256);
    c = peer();
    script_send(c, TCP_ACK, 1, 1, 1000);
    script_read(c, 1000);
    script_write(c, 1000);
    script_discard(s);
    script_send(c, TCP_ACK, 1001, 1001, 0);
    assert_int_equal(script_usage(s).buffers_used, 0);
    assert_int_equal(rte_mempool_in_use_count(script_data_pool()), 0);
    assert_int_equal(rte_mempool_in_use_count(script_tx_pool()), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pressure),           TEST(test_out_of_order_is_refused_under_pressure),
        TEST(test_splice_of_bytes),    TEST(test_splice),
        TEST(test_waiter_drains),      TEST(test_shortage_is_told),
        TEST(test_idle_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
