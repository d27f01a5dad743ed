/*
 * Reductions that had no reason: found so by DSACK, by timestamps (RFC 3522), by F-RTO (RFC 5682).
 */
#include "tests/unit/stack/tcp_script.h"

#define MSS 1460u

static struct script *s;
static struct script_conn *c;

static int setup(void **state)
{
    const struct script_config config = {.tcp = {.congestion = STACK_NEWRENO, .pacing_off = true}};

    (void)state;
    s = script_create(&config);
    c = script_conn(s);
    c->wscale = 3;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static uint32_t segment_size(void)
{
    return script_info(c).mss;
}

static void establish(bool sack, bool timestamps)
{
    c->sack = sack;
    c->timestamps = timestamps;
    script_establish(c, script_listen(s, 80, 4, NULL));
}

static void ten_in_flight(bool sack, bool timestamps)
{
    establish(sack, timestamps);
    script_write(c, 60 * MSS);
    assert_int_equal(script_discard(s), 10);
    script_advance(s, 10 * CLOCK_MS);
}

static void ack(uint32_t segments)
{
    script_send(c, TCP_ACK, 1, 1 + segments * segment_size(), 0);
}

static void sack(uint32_t ack, uint32_t from, uint32_t to)
{
    uint32_t mss = segment_size();

    script_send_sack(c, 1 + ack * mss, 1, (const uint32_t[]){1 + from * mss, 1 + to * mss});
}

static void assert_undone(void)
{
    assert_int_equal(script_info(c).spurious, 1);
    assert_int_equal(script_counters(s)->tcp_spurious_undone, 1);
    assert_int_equal(script_info(c).ssthresh, UINT32_MAX);
    assert_true(script_info(c).cwnd >= 10 * segment_size());
}

static void assert_reduced(void)
{
    assert_int_equal(script_info(c).spurious, 0);
    assert_true(script_info(c).ssthresh <= 6 * segment_size());
}

/* ---- fast recovery ---- */

static void fast_retransmit(void)
{
    sack(0, 1, 4);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 1);
    assert_int_equal(script_info(c).ssthresh, 5 * segment_size());
}

/* The duplicate is reported while the recovery goes on, and after it. */
static void test_dsack(void **state)
{
    (void)state;
    ten_in_flight(true, false);
    fast_retransmit();
    script_send_sack(c, 1 + 4 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_undone();
    script_discard(s);
}

static void test_dsack_later(void **state)
{
    (void)state;
    ten_in_flight(true, false);
    fast_retransmit();
    ack(10);
    assert_reduced();
    script_discard(s);
    script_send_sack(c, 1 + 10 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_undone();
    script_discard(s);
}

/* Of two sent again one was lost. */
static void test_dsack_of_a_part(void **state)
{
    (void)state;
    ten_in_flight(true, false);
    script_send_sack(c, 1, 2,
                     (const uint32_t[]){1 + 1 * MSS, 1 + 4 * MSS, 1 + 5 * MSS, 1 + 10 * MSS});
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 2);
    ack(10);
    script_discard(s);
    script_send_sack(c, 1 + 10 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_reduced();
    script_discard(s);
}

/* One that is of no retransmission. */
static void test_dsack_of_something_else(void **state)
{
    (void)state;
    ten_in_flight(true, false);
    ack(2);
    script_discard(s);
    sack(2, 3, 7);
    script_discard(s);
    script_send_sack(c, 1 + 2 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_reduced();
    script_discard(s);
}

/* The acknowledgement carries the timestamp of the original (RFC 3522). */
static void test_eifel(void **state)
{
    uint32_t original;

    (void)state;
    ten_in_flight(false, true);
    original = c->ts_recent;
    for (unsigned i = 0; i < 3; i++)
        ack(0);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 1);
    c->ts_recent = original;
    ack(5);
    assert_undone();
    script_discard(s);
}

static void test_eifel_not(void **state)
{
    (void)state;
    ten_in_flight(false, true);
    for (unsigned i = 0; i < 3; i++)
        ack(0);
    script_discard(s);
    ack(12); /* with that of the retransmission */
    assert_reduced();
    script_discard(s);
}

/* ---- timeouts ---- */

static void timeout(void)
{
    uint32_t mss = segment_size();

    script_advance(s, script_info(c).rto + SCRIPT_TICK);
    if (script_counters(s)->tcp_rto_expired == 0) /* a tail loss probe came first */
        script_advance(s, script_info(c).rto + SCRIPT_TICK);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_rto_expired, 1);
    assert_int_equal(script_info(c).cwnd, mss);
}

/* RFC 5682, 2.1: new data goes out, and its acknowledgement covers what was sent but once. */
static void test_frto(void **state)
{
    (void)state;
    ten_in_flight(false, false);
    timeout();
    ack(1);
    script_expect(c, TCP_ACK, 1 + 10 * MSS, 1, MSS);
    script_expect(c, TCP_ACK, 1 + 11 * MSS, 1, MSS);
    script_expect_none(s);
    ack(2);
    assert_undone();
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 1);
}

/* 3.1: with SACK as soon as a block covers what was sent but once. */
static void test_frto_sack(void **state)
{
    (void)state;
    ten_in_flight(true, false);
    timeout();
    sack(0, 1, 3);
    assert_undone();
    script_discard(s);
}

/* New data brings a duplicate: what was sent before the timeout is lost. */
static void test_frto_not(void **state)
{
    (void)state;
    ten_in_flight(false, false);
    timeout();
    ack(1);
    script_discard(s);
    ack(1);
    script_expect(c, TCP_ACK, 1 + MSS, 1, MSS);
    assert_reduced();
    script_discard(s);
}

/* Without SACK one acknowledgement for all cannot tell whether the first one was lost. */
static void test_frto_one_ack(void **state)
{
    (void)state;
    ten_in_flight(false, false);
    timeout();
    ack(10);
    assert_reduced();
    script_discard(s);
}

/* By the timestamp of the first acknowledgement. */
static void test_timeout_eifel(void **state)
{
    uint32_t original;

    (void)state;
    ten_in_flight(false, true);
    original = c->ts_recent;
    timeout();
    c->ts_recent = original;
    ack(1);
    assert_undone();
    script_discard(s);
}

/* No new data may go, as the rest of the window is too small to be worth it (RFC 9293,
 * 3.8.6.2.1): then what was lost does, at once, and not after another timeout. */
static void test_frto_small_window(void **state)
{
    (void)state;
    c->window = (10 * MSS + 1000) / 8;
    ten_in_flight(false, false);
    script_advance(s, 250 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1, 1, MSS);
    script_expect_none(s);
    c->window = (9 * MSS + 1000) / 8;
    ack(1);
    script_expect(c, TCP_ACK, 1 + MSS, 1, MSS);
    script_discard(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dsack),
        TEST(test_dsack_later),
        TEST(test_dsack_of_a_part),
        TEST(test_dsack_of_something_else),
        TEST(test_eifel),
        TEST(test_eifel_not),
        TEST(test_frto),
        TEST(test_frto_sack),
        TEST(test_frto_not),
        TEST(test_frto_one_ack),
        TEST(test_timeout_eifel),
        TEST(test_frto_small_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
