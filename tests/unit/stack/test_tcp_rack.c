/*
 * RACK and the tail loss probe (RFC 8985): losses found by time.
 */
#include "tests/unit/stack/tcp_script.h"

#define MSS 1460u
#define RTT (40 * CLOCK_MS)

static struct script *s;
static struct script_conn *c;

/* Established, with a round trip of 40 ms. */
static void establish(const struct stack_tcp_config *tcp)
{
    const struct script_config config = {.tcp = *tcp};
    struct sock *l;

    s = script_create(&config);
    c = script_conn(s);
    c->wscale = 3;
    c->sack = true;
    l = script_listen(s, 80, 4, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    script_advance(s, RTT);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
}

static int setup(void **state)
{
    (void)state;
    establish(&(struct stack_tcp_config){.congestion = STACK_NEWRENO, .pacing_off = true});
    return 0;
}

static int setup_by_number(void **state)
{
    (void)state;
    establish(&(struct stack_tcp_config){
        .congestion = STACK_NEWRENO, .pacing_off = true, .rack_by_number = true});
    return 0;
}

static int setup_segments(void **state)
{
    (void)state;
    establish(&(struct stack_tcp_config){
        .congestion = STACK_NEWRENO, .pacing_off = true, .sack_segments = true});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_rto_expired, 0);
    script_destroy(s);
    return 0;
}

static void ack(uint32_t segments)
{
    script_send(c, TCP_ACK, 1, 1 + segments * MSS, 0);
}

static void sack(uint32_t ack, uint32_t from, uint32_t to)
{
    script_send_sack(c, 1 + ack * MSS, 1, (const uint32_t[]){1 + from * MSS, 1 + to * MSS});
}

static const struct script_segment *expect_segment(uint32_t i)
{
    return script_expect(c, TCP_ACK, 1 + i * MSS, 1, MSS);
}

static void send_segments(uint32_t count)
{
    assert_int_equal(script_write(c, count * MSS), count * MSS);
    for (uint32_t i = 0; i < count; i++)
        expect_segment(i);
    script_expect_none(s);
}

/* ---- 6: detection ---- */

/* A retransmission that is lost, too, is known so by what was sent after it. */
static void test_retransmission_lost(void **state)
{
    (void)state;
    script_write(c, 20 * MSS);
    script_discard(s);
    script_advance(s, RTT);
    sack(0, 1, 4);
    expect_segment(0);
    sack(0, 1, 10);
    expect_segment(10);
    script_discard(s);
    script_advance(s, RTT);
    sack(0, 1, 11);
    expect_segment(0);
    script_advance(s, RTT);
    ack(14);
    assert_int_equal(script_info(c).lost, 2);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
}

/* Before any reordering was seen, fewer than three wait a quarter of the round trip. */
static void test_waits(void **state)
{
    clock_ns at;

    (void)state;
    send_segments(3);
    script_advance(s, RTT);
    at = script_now(s);
    sack(0, 1, 3);
    script_expect_none(s);
    script_advance(s, RTT);
    script_assert_at(expect_segment(0), at + RTT / 4);
    assert_int_equal(script_info(c).reordering, 0);
}

static void reorder(void)
{
    send_segments(10);
    script_advance(s, RTT);
    sack(0, 2, 3);
    sack(2, 2, 3); /* 0 and 1, late */
    assert_int_equal(script_info(c).reordering, 3);
}

/* Once it was, any number waits; what comes in time was not lost. */
static void test_reordering(void **state)
{
    (void)state;
    reorder();
    sack(3, 4, 10);
    script_expect_none(s);
    script_advance(s, RTT / 4 - SCRIPT_TICK);
    ack(10);
    script_advance(s, CLOCK_SEC);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 0);
    assert_int_equal(script_info(c).ssthresh, UINT32_MAX);
}

/* What was sent again for nothing widens the window: by a quarter for each such round trip. */
static void test_window_adapts(void **state)
{
    clock_ns at;

    (void)state;
    reorder();
    sack(3, 4, 10);
    script_advance(s, RTT / 4 + SCRIPT_TICK);
    expect_segment(3);
    ack(10);
    script_send_sack(c, 1 + 10 * MSS, 1, (const uint32_t[]){1 + 3 * MSS, 1 + 4 * MSS});
    assert_int_equal(script_info(c).spurious, 1);
    script_write(c, 5 * MSS);
    assert_int_equal(script_discard(s), 5);
    script_advance(s, RTT);
    at = script_now(s);
    sack(10, 11, 15);
    script_advance(s, RTT);
    script_assert_at(expect_segment(10), at + RTT / 2);
}

/* A retransmission and a slower original are answered together. RACK.rtt is that of the former, as
 * it was sent last, so the end of the flight, sent with the original, is lost at once... */
static void answer_together(void)
{
    send_segments(10);
    script_advance(s, RTT);
    sack(0, 1, 3);
    sack(0, 8, 9);
    expect_segment(0);
    script_expect_none(s);
    script_advance(s, RTT + RTT / 5);
    sack(4, 8, 9);
}

static void test_round_trip_of_latest(void **state)
{
    (void)state;
    answer_together();
    script_discard(s);
    assert_int_equal(script_info(c).lost, 7);
    ack(10);
}

/* ...or with rack_by_number that of the latter: it may yet come. */
static void test_round_trip_by_number(void **state)
{
    (void)state;
    answer_together();
    script_discard(s);
    assert_int_equal(script_info(c).lost, 6);
    ack(10);
}

/* sack_segments: of a block only what are whole segments counts, so one of a byte says nothing. */
static void test_whole_segments(void **state)
{
    (void)state;
    send_segments(5);
    script_advance(s, RTT);
    script_send_sack(c, 1, 1, (const uint32_t[]){5 * MSS, 1 + 5 * MSS});
    script_advance(s, RTT);
    script_expect_none(s);
    assert_int_equal(script_info(c).lost, 0);
    script_send_sack(c, 1, 1, (const uint32_t[]){2 * MSS, 1 + 5 * MSS});
    expect_segment(0);
    expect_segment(1);
    script_expect_none(s);
    ack(5);
}

/* ---- 7: the probe ---- */

/* 7.2: an acknowledgement that acknowledges nothing does not put the probe off. */
static void test_probe_not_put_off(void **state)
{
    (void)state;
    send_segments(4);
    for (unsigned i = 0; i < 4; i++) {
        script_advance(s, RTT / 2);
        ack(0);
        script_expect_none(s);
    }
    script_advance(s, 2 * SCRIPT_TICK);
    expect_segment(3);
    ack(4);
}

/* The last segment again, after two round trips; its answer shows the rest. */
static void test_tail_lost(void **state)
{
    clock_ns at = script_now(s);

    (void)state;
    send_segments(4);
    script_advance(s, 3 * RTT + 2 * SCRIPT_TICK);
    script_assert_at(expect_segment(3), at + 2 * RTT + 2 * CLOCK_MS);
    script_expect_none(s);
    assert_int_equal(script_info(c).cwnd, 10 * MSS);
    sack(0, 3, 4);
    expect_segment(0);
    script_advance(s, RTT);
    sack(2, 3, 4);
    script_discard(s);
    ack(4);
    assert_int_equal(script_counters(s)->tcp_tail_probes, 1);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
}

/* Something new where there is: cwnd does not hold it back. */
static void test_probe_with_new_data(void **state)
{
    (void)state;
    script_write(c, 20 * MSS);
    assert_int_equal(script_discard(s), 10);
    script_advance(s, 3 * RTT + 2 * SCRIPT_TICK);
    expect_segment(10);
    script_expect_none(s);
    sack(0, 10, 11); /* all ten before it are missing */
    expect_segment(0);
}

/* A single segment: its acknowledgement may be delayed. Not later than the timeout. */
static void test_single_segment(void **state)
{
    clock_ns at = script_now(s), rto = script_info(c).rto;

    (void)state;
    send_segments(1);
    script_advance(s, rto + SCRIPT_TICK);
    script_assert_at(expect_segment(0), at + rto);
    assert_int_equal(script_info(c).cwnd, 10 * MSS);
    script_advance(s, rto / 2); /* one probe; the timer begins anew */
    script_expect_none(s);
    ack(1);
}

/* 7.4: the probe made good a loss that nobody has noticed: the window is reduced all the same. */
static void test_repaired(void **state)
{
    (void)state;
    send_segments(4);
    script_advance(s, 3 * RTT);
    expect_segment(3);
    script_write(c, MSS);
    expect_segment(4);
    ack(5);
    assert_int_equal(script_info(c).ssthresh < 10 * MSS, true);
    assert_int_equal(script_info(c).lost, 0);
}

/* Also when nothing is in flight any more with its answer, and that to what follows tells. */
static void test_repaired_all(void **state)
{
    (void)state;
    send_segments(4);
    script_advance(s, 3 * RTT);
    expect_segment(3);
    ack(4);
    assert_int_equal(script_info(c).ssthresh, UINT32_MAX);
    script_advance(s, RTT);
    script_write(c, MSS);
    expect_segment(4);
    ack(5);
    assert_int_equal(script_info(c).ssthresh < 10 * MSS, true);
}

/* It was late, not lost, as the peer reports: nothing is reduced. */
static void test_probe_spurious(void **state)
{
    (void)state;
    send_segments(4);
    script_advance(s, 3 * RTT);
    expect_segment(3);
    ack(4);
    script_send_sack(c, 1 + 4 * MSS, 1, (const uint32_t[]){1 + 3 * MSS, 1 + 4 * MSS});
    script_write(c, MSS);
    expect_segment(4);
    ack(5);
    assert_int_equal(script_info(c).ssthresh, UINT32_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip_by_number, setup_by_number, teardown),
        cmocka_unit_test_setup_teardown(test_whole_segments, setup_segments, teardown),
        TEST(test_round_trip_of_latest),
        TEST(test_probe_not_put_off),
        TEST(test_retransmission_lost),
        TEST(test_waits),
        TEST(test_reordering),
        TEST(test_window_adapts),
        TEST(test_tail_lost),
        TEST(test_probe_with_new_data),
        TEST(test_single_segment),
        TEST(test_repaired),
        TEST(test_repaired_all),
        TEST(test_probe_spurious),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
