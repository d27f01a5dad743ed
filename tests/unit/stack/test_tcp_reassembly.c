/*
 * Reassembly: segments in any order, with any overlaps, against a map that says for each byte
 * whether it came (RFC 9293, 3.10.7.4, seventh check).
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>

#define STREAM 60000

static struct script *s;
static struct script_conn *c;

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    c->wscale = 7;
    script_establish(c, script_listen(s, 80, 4, NULL));
    return 0;
}

static int setup_large(void **state)
{
    (void)state;
    s = script_create(&(struct script_config){.max_buffers = 32768});
    c = script_conn(s);
    c->wscale = 7;
    script_establish(c, script_listen(s, 80, 4, NULL));
    return 0;
}

/* The start time at which the stack's initial sequence number for the first connection is near
 * `isn` (RFC 6528: it moves on by one each 4 microseconds), and the peer's too, so that both wrap.
 */
static clock_ns start_for_isn(uint32_t isn)
{
    struct script *probe = script_create(NULL);
    struct script_conn *k = script_conn(probe);
    uint32_t now;

    script_send(k, TCP_SYN, 0, 0, 0);
    now = k->stack_iss;
    script_destroy(probe);
    return SCRIPT_START + (clock_ns)(isn - now) * 4000;
}

static uint32_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* ---- the property ---- */

struct map {
    bool came[STREAM];
    uint32_t next; /* the first byte that did not */
};

static void map_add(struct map *m, uint32_t from, uint32_t len)
{
    for (uint32_t i = from; i < from + len && i < STREAM; i++)
        m->came[i] = true;
    while (m->next < STREAM && m->came[m->next])
        m->next++;
}

static uint32_t info_out_of_order(void)
{
    struct sock_info info;

    sock_info(c->sock, &info);
    return info.out_of_order;
}

static uint32_t map_ahead(const struct map *m)
{
    uint32_t n = 0;

    for (uint32_t i = m->next; i < STREAM; i++)
        n += m->came[i];
    return n;
}

/* Segments near the front, so that there are fewer gaps than the queue may have. */
static void random_segments(struct map *m, uint64_t *random, unsigned count)
{
    for (unsigned i = 0; i < count && m->next < STREAM; i++) {
        uint32_t from = m->next + random_next(random) % 12000, len;
        uint32_t back = random_next(random) % 3000;

        from = from > back ? from - back : 0;
        if (random_next(random) % 8 == 0)
            from = m->next;
        if (from >= STREAM)
            continue;
        len = 1 + random_next(random) % (random_next(random) % 2 == 0 ? 1400 : 60);
        if (len > STREAM - from)
            len = STREAM - from;
        script_exact(s, random_next(random) % 2 == 0);
        script_send(c, TCP_ACK, 1 + from, 1, len);
        map_add(m, from, len);
        if (random_next(random) % 16 == 0)
            script_read(c, random_next(random) % 8000);
        assert_int_equal(c->read + sock_readable(c->sock), m->next);
        assert_int_equal(info_out_of_order(), map_ahead(m));
        script_discard(s);
    }
}

static void run_seed(uint64_t seed, clock_ns start)
{
    static struct map m;
    uint64_t random = seed;

    memset(&m, 0, sizeof m);
    s = script_create(&(struct script_config){.start = start});
    c = script_conn(s);
    c->peer_iss = start != 0 ? UINT32_MAX - (uint32_t)(seed * 997 % STREAM) : 5000;
    c->wscale = 7;
    script_establish(c, script_listen(s, 80, 4, NULL));
    while (m.next < STREAM) {
        random_segments(&m, &random, 40);
        if (m.next < STREAM) { /* go on, and close gaps now and then */
            uint32_t len = 1 + random_next(&random) % 1400;

            len = len < STREAM - m.next ? len : STREAM - m.next;
            script_send(c, TCP_ACK, 1 + m.next, 1, len);
            map_add(&m, m.next, len);
        }
    }
    script_read(c, STREAM);
    assert_int_equal(c->read, STREAM);
    assert_int_equal(info_out_of_order(), 0);
    assert_int_equal(script_usage(s).buffers_used, 0);
    assert_int_equal(script_counters(s)->tcp_bytes_received, STREAM);
    script_destroy(s);
}

static void test_random_overlaps(void **state)
{
    clock_ns wrap = start_for_isn(UINT32_MAX - 3);

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        run_seed(seed, seed % 2 == 0 ? wrap : 0);
}

/* ---- single cases ---- */

static void test_gap_then_fill(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 101, 1, 100);
    script_send(c, TCP_ACK, 301, 1, 100);
    script_send(c, TCP_ACK, 201, 1, 100); /* joins the two */
    assert_int_equal(info_out_of_order(), 300);
    assert_int_equal(sock_readable(c->sock), 0);
    script_send(c, TCP_ACK, 1, 1, 350); /* covers the gap and most of what came */
    assert_int_equal(script_read(c, 1000), 400);
    assert_int_equal(script_usage(s).buffers_used, 0);
}

/* What is beyond the window is cut off. */
static void test_trimmed_to_window(void **state)
{
    uint32_t seq = 1;

    (void)state;
    while (seq + 1400 < 65537) {
        script_send(c, TCP_ACK, seq, 1, 1400);
        seq += 1400;
        script_discard(s);
    }
    script_send(c, TCP_ACK, seq, 1, 1400);
    assert_in_range(sock_readable(c->sock), 65536, 65536 + 127);
}

static void gaps(uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        script_send(c, TCP_ACK, 1 + 50 * i, 1, 10);
}

/* Slow start that overshoots loses every other segment of a window: all that comes is kept. */
static void test_gaps_of_an_overshoot(void **state)
{
    (void)state;
    gaps(1000);
    assert_int_equal(info_out_of_order(), 10000);
    assert_int_equal(script_counters(s)->tcp_out_of_order_dropped, 0);
    for (uint32_t i = 0; i <= 1000; i++)
        script_send(c, TCP_ACK, i == 0 ? 1 : 11 + 50 * i, 1, i == 0 ? 50 : 40);
    assert_int_equal(script_read(c, 60000), 50 * 1001);
    assert_int_equal(script_usage(s).buffers_used, 0);
}

/* The list of gaps is bounded: who makes holes cannot make it long. */
static void test_gaps_bounded(void **state)
{
    (void)state;
    gaps(1200);
    assert_int_equal(info_out_of_order(), 1024 * 10);
    assert_int_equal(script_usage(s).buffers_used, 1024);
    assert_int_equal(script_counters(s)->tcp_out_of_order_dropped, 1200 - 1024);
    /* In order still goes on. */
    script_send(c, TCP_ACK, 1, 1, 50);
    assert_int_equal(script_read(c, 1000), 60);
}

/* Nor can one connection take the room for gaps of all: a part is always left. */
static void test_gaps_shared(void **state)
{
    uint32_t first;

    (void)state;
    gaps(500);
    script_discard(s);
    first = info_out_of_order() / 10;
    assert_in_range(first, 300, 400);
    c = script_conn(s);
    c->stack_port = 81;
    c->wscale = 7;
    script_establish(c, script_listen(s, 81, 4, NULL));
    gaps(500);
    assert_in_range(info_out_of_order() / 10, first / 2, first);
}

/* One byte a segment, in order or not: an mbuf must not be held for each. */
static void test_bytes_do_not_hold_mbufs(void **state)
{
    uint32_t n;

    (void)state;
    for (n = 0; n < 3000; n++)
        script_send(c, TCP_ACK, 1 + n, 1, 1);
    assert_int_equal(sock_readable(c->sock), 3000);
    assert_true(script_usage(s).buffers_used <= 3);
    /* Ahead of a gap: every second byte, then those in between, many times over. */
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t from = 4001 + round * 100;

        for (uint32_t i = 0; i < 100; i += 2)
            script_send(c, TCP_ACK, from + i, 1, 1);
        for (uint32_t i = 1; i < 100; i += 2)
            script_send(c, TCP_ACK, from + i, 1, 1);
    }
    assert_int_equal(info_out_of_order(), 2000);
    assert_true(script_usage(s).buffers_used <= 3 + 20);
    script_discard(s);
}

/* Frames whose memory is not ours to write to are linked, not extended. */
static void test_foreign_memory(void **state)
{
    (void)state;
    script_exact(s, true);
    for (uint32_t n = 0; n < 100; n++)
        script_send(c, TCP_ACK, 1 + 10 * n, 1, 10);
    assert_int_equal(script_usage(s).buffers_used, 100);
    assert_int_equal(script_read(c, 2000), 1000);
    script_discard(s);
}

/* The counter of held mbufs returns to zero whatever way the bytes go. */
static void test_freed_on_reset(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 1, 1, 1000);
    script_send(c, TCP_ACK, 3001, 1, 1000);
    script_send(c, TCP_RST, 1001, 0, 0);
    assert_int_equal(script_usage(s).buffers_used, 0);
    sock_close(c->sock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_overlaps),
        TEST(test_gap_then_fill),
        TEST(test_trimmed_to_window),
        cmocka_unit_test_setup_teardown(test_gaps_of_an_overshoot, setup_large, teardown),
        cmocka_unit_test_setup_teardown(test_gaps_bounded, setup_large, teardown),
        TEST(test_gaps_shared),
        TEST(test_bytes_do_not_hold_mbufs),
        TEST(test_foreign_memory),
        TEST(test_freed_on_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
