/* Pacing: how long a window takes to leave, and who is not paced. */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_pacing.h"
#include "stack/tcp/tcp_tick.h"
#include "tests/unit/stack/tcp_script.h"

#define MSS 1460u
#define RTT (100 * CLOCK_MS)

static const struct sock_options buffers = {.send_buffer = 262144};
static struct script *s;
static struct script_conn *c;

static void begin(const struct script_config *config)
{
    s = script_create(config);
    c = script_conn(s);
    c->wscale = 7;
    c->window = 60000;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* Established over a path with this round trip; the initial window is acknowledged as a whole after
 * another one: twenty segments are allowed then. */
static void twenty_allowed(clock_ns rtt)
{
    struct sock *l = script_listen(s, 80, 4, &buffers);

    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    script_advance(s, rtt);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    assert_true(script_write(c, 40 * MSS) >= 40 * MSS);
    assert_int_equal(script_discard(s), 10); /* RFC 6928: as a burst */
    script_advance(s, rtt);
    script_send(c, TCP_ACK, 1, 1 + 10 * MSS, 0);
}

/* Twice the window in a round trip, after a few segments at once. */
static void test_rate(void **state)
{
    clock_ns start, gap = RTT / 40, last = 0;
    unsigned count = 0;

    (void)state;
    begin(NULL);
    twenty_allowed(RTT);
    start = script_now(s);
    assert_int_equal(script_info(c).pacing_rate, 2 * 20 * MSS * 10);
    for (const struct script_segment *g; count < 20; count++) {
        while ((g = script_next(s)) == NULL) {
            script_advance(s, CLOCK_MS);
            assert_true(script_now(s) < start + RTT);
        }
        assert_int_equal(g->len, MSS);
        /* The burst at the beginning, then one at a time. */
        if (count >= 5)
            assert_in_range(g->at, start + (count - 4) * gap,
                            start + (count - 4) * gap + SCRIPT_TICK);
        else
            assert_int_equal(g->at, start);
        last = g->at;
    }
    assert_in_range(last - start, RTT / 3, RTT / 2);
    script_advance(s, RTT / 2);
    script_expect_none(s); /* that was the window */
}

/* In slow start twice the window in a round trip, in congestion avoidance 1.2 times. */
static void test_gain(void **state)
{
    struct tcp tcp = {.now = SCRIPT_START};
    struct tcp_conn conn = {.sock.tcp = &tcp, .mss = MSS, .srtt = RTT, .cwnd = 100 * MSS};

    (void)state;
    conn.ssthresh = UINT32_MAX;
    assert_int_equal(tcp_pacing_rate(&conn), 2000 * MSS);
    conn.ssthresh = conn.cwnd;
    assert_int_equal(tcp_pacing_rate(&conn), 1200 * MSS);
    conn.cwnd = TCP_CWND_MAX;
    assert_int_equal(tcp_pacing_rate(&conn), UINT64_C(12884901880));
}

/* What a late timer has missed follows at once, but for no more than two ticks. */
static void test_late(void **state)
{
    struct tcp tcp = {.now = SCRIPT_START};
    struct tcp_conn conn = {.sock.tcp = &tcp, .mss = MSS, .srtt = RTT, .cwnd = 10000 * MSS};

    (void)state;
    conn.ssthresh = conn.cwnd;
    tcp_pacing_sent(&conn, MSS);
    tcp.now += 10 * CLOCK_SEC;
    for (unsigned n = 0; n < 251; n++) { /* of 120 in a millisecond, and a tick is 1.05 of those */
        assert_true(conn.pace_at <= tcp.now);
        tcp_pacing_sent(&conn, MSS);
    }
    tcp_pacing_sent(&conn, MSS);
    assert_true(conn.pace_at > tcp.now);
    tcp.now += 5 * CLOCK_MS;
    for (unsigned n = 0; n < 251; n++)
        tcp_pacing_sent(&conn, MSS);
    assert_in_range(conn.pace_at, tcp.now - 10 * CLOCK_US, tcp.now + 10 * CLOCK_US);
}

/* A round trip that the wheel can hardly tell apart: the window leaves as it is. */
static void test_short_path(void **state)
{
    (void)state;
    begin(NULL);
    twenty_allowed(500 * CLOCK_US);
    assert_int_equal(script_discard(s), 20);
    assert_int_equal(script_info(c).pacing_rate, 0);
}

static void test_off(void **state)
{
    const struct script_config config = {.tcp.pacing_off = true};

    (void)state;
    begin(&config);
    twenty_allowed(RTT);
    assert_int_equal(script_discard(s), 18); /* 8 segments more: RFC 9406, 4.2 */
}

/* A frame that the device segments carries no more than a millisecond's worth, or two segments. */
static void test_frames(void **state)
{
    const struct script_config config = {.offloads = STACK_TX_IPV4_CHECKSUM |
                                                     STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT |
                                                     STACK_TX_MULTI_SEGMENT};
    struct sock *l;

    (void)state;
    begin(&config);
    l = script_listen(s, 80, 4, &buffers);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    script_advance(s, RTT);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    script_write(c, 40 * MSS);
    assert_true(script_discard(s) <= 3);
    script_advance(s, RTT);
    script_send(c, TCP_ACK, 1, 1 + 10 * MSS, 0);
    for (const struct script_segment *g; (g = script_next(s)) != NULL;)
        assert_true(g->len <= 2 * MSS);
    script_advance(s, RTT);
    for (const struct script_segment *g; (g = script_next(s)) != NULL;)
        assert_true(g->len <= 2 * MSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_rate, teardown),
        cmocka_unit_test(test_gain),
        cmocka_unit_test(test_late),
        cmocka_unit_test_teardown(test_short_path, teardown),
        cmocka_unit_test_teardown(test_off, teardown),
        cmocka_unit_test_teardown(test_frames, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
