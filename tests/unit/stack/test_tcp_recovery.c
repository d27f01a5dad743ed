/*
 * Round trips, losses and the congestion window: RFC 6298, 5681, 6582 (NewReno), 3042, 3465, 6928.
 */
#include "tests/unit/stack/tcp_script.h"

#define MSS 1460u

static struct script *s;
static struct script_conn *c;

static int setup(void **state)
{
    const struct script_config config = {
        .tcp = {.congestion = STACK_NEWRENO, .mtu_probing = STACK_MTU_PROBING_OFF}};

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

static void establish(void)
{
    script_establish(c, script_listen(s, 80, 4, &(struct sock_options){.send_buffer = 262144}));
}

/* Acknowledges the first `segments` full ones. */
static void ack(uint32_t segments)
{
    script_send(c, TCP_ACK, 1, 1 + segments * MSS, 0);
}

/* The stack sends full segments number `from` to `to` - 1, and nothing else. */
static void expect_segments(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        script_expect(c, TCP_ACK, 1 + i * MSS, 1, MSS);
    script_expect_none(s);
}

/* Established, and ten segments in flight: the initial window. */
static void ten_in_flight(void)
{
    establish();
    assert_int_equal(script_write(c, 100 * MSS), 100 * MSS);
    expect_segments(0, 10);
}

/* ---- RFC 6298, 2: the estimator ---- */

static void test_rtt_numbers(void **state)
{
    struct sock *l = script_listen(s, 80, 4, NULL);

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    script_advance(s, 100 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    assert_int_equal(script_info(c).srtt, 100 * CLOCK_MS);
    assert_int_equal(script_info(c).rttvar, 50 * CLOCK_MS);
    assert_int_equal(script_info(c).rto, 300 * CLOCK_MS);
    script_write(c, 10);
    script_advance(s, 200 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 11, 0);
    assert_int_equal(script_info(c).srtt, 112500 * CLOCK_US);
    assert_int_equal(script_info(c).rttvar, 62500 * CLOCK_US);
    assert_int_equal(script_info(c).rto, 362500 * CLOCK_US);
    script_discard(s);
}

/* Bounds: 200 ms beyond the round trip, and 60 s. */
static void test_rto_bounds(void **state)
{
    struct script_conn *k = script_conn(s);
    struct sock *l = script_listen(s, 80, 4, NULL);
    struct sock_info i;

    (void)state;
    script_establish(c, l);
    assert_int_equal(script_info(c).rto, script_info(c).srtt + 200 * CLOCK_MS);
    k->timestamps = true;
    script_establish(k, l);
    script_write(k, 10);
    script_advance(s, 40 * CLOCK_SEC); /* resent often; the first one's echo comes back */
    k->ts_recent -= 40000;
    script_send(k, TCP_ACK, 1, 11, 0);
    sock_info(k->sock, &i);
    assert_in_range(i.rto, 10 * CLOCK_SEC, 60 * CLOCK_SEC);
    script_discard(s);
}

/* One segment in a round trip is timed, from its sending to the acknowledgement that covers it. */
static void test_timed_segment(void **state)
{
    (void)state;
    establish();
    script_write(c, 10);
    script_advance(s, 30 * CLOCK_MS);
    script_write(c, 10);
    script_advance(s, 50 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 21, 0);
    assert_in_range(script_info(c).srtt, 10 * CLOCK_MS - 2, 10 * CLOCK_MS); /* an eighth of 80 ms */
    script_discard(s);
}

/* ---- RFC 6298, 5: the timer ---- */

/* 5.5, 5.6: again and again, with the time doubled. When new data brings duplicates, too, the
 * timeout had its reason (RFC 5682, 2.1): what follows the first goes again as the window opens. */
static void test_timeout(void **state)
{
    clock_ns at = script_now(s), rto = 200 * CLOCK_MS;

    (void)state;
    ten_in_flight();
    for (unsigned i = 0; i < 4; i++) {
        const struct script_segment *g;

        script_advance(s, rto + SCRIPT_TICK);
        g = script_expect(c, TCP_ACK, 1, 1, MSS);
        script_assert_at(g, at + rto);
        at = g->at;
        rto *= 2;
        script_expect_none(s);
        assert_int_equal(script_info(c).cwnd, MSS);
        assert_int_equal(script_info(c).ssthresh,
                         5 * MSS); /* 5681, 3.1: halved once, not each time */
    }
    ack(1);
    expect_segments(10, 12);
    ack(1);
    expect_segments(1, 2);
    ack(1);
    expect_segments(2, 3);
    ack(3);
    expect_segments(3, 5); /* slow start */
    ack(12);               /* the peer had the rest: on with what is new */
    assert_int_equal(sock_unacknowledged(c->sock), 88 * MSS);
    script_expect(c, TCP_ACK, 1 + 12 * MSS, 1, MSS);
    script_discard(s);
    assert_int_equal(script_info(c).spurious, 0);
    assert_int_equal(script_counters(s)->tcp_rto_expired, 4);
}

/* 5.3: an acknowledgement of something new starts the timer anew. */
static void test_timer_restarts(void **state)
{
    clock_ns at;

    (void)state;
    ten_in_flight();
    script_advance(s, 150 * CLOCK_MS);
    c->window = 14600 / 8;
    ack(1);
    script_discard(s);
    at = script_now(s) + script_info(c).rto;
    script_advance(s, script_info(c).rto + SCRIPT_TICK);
    script_assert_at(script_expect(c, TCP_ACK, 1 + MSS, 1, MSS), at);
}

/* 5.2: nothing in flight, no timer. */
static void test_timer_stops(void **state)
{
    (void)state;
    establish();
    script_write(c, 10);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 11, 0);
    script_advance(s, 3600 * CLOCK_SEC);
    script_expect_none(s);
}

/* 3 (Karn) and 5.5: no sample from what was sent twice, and the longer time stays until there is
 * one. Otherwise a path that became slower than the RTO was never measured again. */
static void test_karn(void **state)
{
    clock_ns srtt;

    (void)state;
    establish();
    srtt = script_info(c).srtt;
    script_write(c, 10);
    script_advance(s, 250 * CLOCK_MS);
    script_discard(s);
    script_advance(s, 50 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 11, 0);
    assert_int_equal(script_info(c).srtt, srtt);
    assert_int_equal(script_info(c).rto, 2 * (srtt + 200 * CLOCK_MS));
    script_write(c, 10);
    script_advance(s, 300 * CLOCK_MS); /* not sent again: there was no timeout */
    script_expect(c, TCP_ACK, 11, 1, 10);
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 21, 0);
    assert_true(script_info(c).srtt > 30 * CLOCK_MS); /* measured at last */
}

/* With timestamps there are samples after a loss as well (RFC 7323, 4.1). */
static void test_karn_with_timestamps(void **state)
{
    (void)state;
    c->timestamps = true;
    establish();
    script_write(c, 10);
    script_advance(s, 250 * CLOCK_MS);
    script_discard(s);
    script_advance(s, 30 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 11, 0); /* echoes the second */
    assert_true(script_info(c).srtt > 2 * CLOCK_MS && script_info(c).srtt < 20 * CLOCK_MS);
    assert_int_equal(script_info(c).rto, script_info(c).srtt + 200 * CLOCK_MS);
}

/* RFC 9293, 3.8.3. */
static void test_user_timeout(void **state)
{
    (void)state;
    ten_in_flight();
    script_advance(s, 119 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_advance(s, 120 * CLOCK_SEC);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    assert_int_equal(script_usage(s).buffers_used, 0);
    sock_close(c->sock);
}

/* Small segments that were lost together go out again together; nothing that was not sent before.
 */
static void test_resent_together(void **state)
{
    (void)state;
    c->wscale = SCRIPT_NO_WSCALE;
    c->window = 100;
    establish();
    for (unsigned i = 0; i < 9; i++)
        script_write(c, 10);
    script_write(c, 1000); /* ten bytes of room: not worth sending */
    assert_int_equal(script_discard(s), 9);
    script_advance(s, 210 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1, 1, 90);
}

/* ---- fast retransmit: RFC 5681, 3.2; RFC 6582 ---- */

/* RFC 3042: the first two duplicates let a new segment out each. The third sends the lost one. */
static void test_fast_retransmit(void **state)
{
    (void)state;
    ten_in_flight();
    ack(0);
    expect_segments(10, 11);
    ack(0);
    expect_segments(11, 12);
    ack(0);
    script_expect(c, TCP_ACK, 1, 1, MSS);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    assert_int_equal(script_info(c).ssthresh,
                     5 * MSS); /* half of the window, those two not counted */
    assert_int_equal(script_info(c).in_flight, 9 * MSS);
    /* Each further duplicate says that one more has left the network; RFC 6937: down to the
     * threshold, no further. */
    for (unsigned i = 0; i < 4; i++) {
        ack(0);
        script_expect_none(s);
    }
    assert_int_equal(script_info(c).in_flight, 5 * MSS);
    ack(0);
    expect_segments(12, 13);
    ack(0);
    expect_segments(13, 14);
    ack(14);
    assert_int_equal(script_info(c).cwnd, 5 * MSS);
    expect_segments(14, 19);
}

/* RFC 6582, 3.2: an acknowledgement of a part sends the next hole at once. */
static void test_partial_ack(void **state)
{
    (void)state;
    ten_in_flight();
    for (unsigned i = 0; i < 3; i++)
        ack(0);
    script_expect(c, TCP_ACK, 1 + 10 * MSS, 1, MSS);
    script_expect(c, TCP_ACK, 1 + 11 * MSS, 1, MSS);
    script_expect(c, TCP_ACK, 1, 1, MSS);
    ack(3);
    script_expect(c, TCP_ACK, 1 + 3 * MSS, 1, MSS);
    script_discard(s);
    ack(5);
    script_expect(c, TCP_ACK, 1 + 5 * MSS, 1, MSS);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    ack(12);
    assert_true(script_info(c).cwnd <= script_info(c).ssthresh + MSS);
}

/* RFC 5681, 2: what is not a duplicate. */
static void test_not_duplicates(void **state)
{
    (void)state;
    ten_in_flight();
    for (uint32_t i = 0; i < 5; i++)
        script_send(c, TCP_ACK, 1 + i, 1, 1); /* carries data */
    for (unsigned i = 0; i < 5; i++) {
        c->window--;
        script_send(c, TCP_ACK, 6, 1, 0); /* changes the window */
    }
    script_send(c, TCP_ACK, 6, -10u, 0); /* old */
    script_send(c, TCP_ACK, 6, -10u, 0);
    script_send(c, TCP_ACK, 6, -10u, 0);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 0);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 0);
    script_discard(s);
}

static void test_no_duplicates_without_data(void **state)
{
    (void)state;
    establish();
    for (unsigned i = 0; i < 10; i++)
        script_send(c, TCP_ACK, 1, 1, 0);
    script_expect_none(s);
    script_write(c, 10);
    script_expect(c, TCP_ACK, 1, 1, 10);
    script_expect_none(s);
}

/* RFC 6582, 3.2, step 2: duplicates of what a timeout sends again say nothing new. */
static void test_no_fast_retransmit_after_timeout(void **state)
{
    (void)state;
    ten_in_flight();
    script_advance(s, 210 * CLOCK_MS);
    script_discard(s);
    ack(1);
    script_discard(s);
    for (unsigned i = 0; i < 5; i++)
        ack(1);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 0);
    script_discard(s);
}

/* A timeout ends fast recovery. */
static void test_timeout_in_recovery(void **state)
{
    (void)state;
    ten_in_flight();
    for (unsigned i = 0; i < 5; i++)
        ack(0);
    script_discard(s);
    script_advance(s, 210 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1, 1, MSS);
    script_expect_none(s);
    assert_int_equal(script_info(c).cwnd, MSS);
    ack(12);
    assert_true(script_info(c).cwnd <= 3 * MSS);
    script_discard(s);
}

/* ---- the congestion window ---- */

/* RFC 6928: ten segments; of small ones, no more bytes than that. */
static void test_initial_window(void **state)
{
    (void)state;
    c->mss = 536;
    establish();
    assert_int_equal(script_info(c).cwnd, 5360);
}

/* RFC 5681, 3.1 with RFC 3465: by what is acknowledged, however many segments that is. */
static void test_slow_start(void **state)
{
    (void)state;
    ten_in_flight();
    ack(1);
    assert_int_equal(script_info(c).cwnd, 11 * MSS);
    ack(3);
    assert_int_equal(script_info(c).cwnd, 13 * MSS);
    ack(10);
    assert_int_equal(script_info(c).cwnd, 20 * MSS);
    script_discard(s);
}

/* RFC 3465: acknowledging in pieces gains nothing. */
static void test_ack_division(void **state)
{
    (void)state;
    ten_in_flight();
    for (uint32_t i = 1; i <= MSS; i += 10)
        script_send(c, TCP_ACK, 1, 1 + i, 0);
    assert_true(script_info(c).cwnd <= 11 * MSS);
    script_discard(s);
}

/* RFC 5681, 3.1: past the threshold, one segment in a round trip. */
static void test_congestion_avoidance(void **state)
{
    (void)state;
    ten_in_flight();
    for (unsigned i = 0; i < 3; i++)
        ack(0);
    ack(12);
    script_discard(s);
    for (uint32_t i = 13; script_info(c).cwnd < script_info(c).ssthresh; i++)
        ack(i);
    script_discard(s);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t before = script_info(c).cwnd;
        uint32_t una = 100 * MSS - sock_unacknowledged(c->sock);

        for (uint32_t i = 0; i < before / MSS; i++) {
            una += MSS;
            script_send(c, TCP_ACK, 1, 1 + una, 0);
        }
        assert_int_equal(script_info(c).cwnd, before + MSS);
    }
    script_discard(s);
}

/* A sender that does not fill its window learns nothing of the path: it does not grow. */
static void test_application_limited(void **state)
{
    (void)state;
    establish();
    for (uint32_t i = 1; i <= 100; i++) {
        script_write(c, 100);
        script_send(c, TCP_ACK, 1, 1 + 100 * i, 0);
    }
    assert_int_equal(script_info(c).cwnd, 10 * MSS);
    script_discard(s);
}

/* RFC 5681, 4.1: after an idle time longer than the RTO it starts from the initial window. */
static void test_idle_restart(void **state)
{
    (void)state;
    ten_in_flight();
    for (uint32_t i = 10; i <= 100; i += 10) {
        for (uint32_t k = 1; k <= 10; k++)
            ack(i - 10 + k);
    }
    script_discard(s);
    assert_true(script_info(c).cwnd > 20 * MSS);
    script_advance(s, CLOCK_SEC);
    assert_int_equal(script_write(c, 100 * MSS), 100 * MSS);
    assert_int_equal(script_discard(s), 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rtt_numbers),
        TEST(test_rto_bounds),
        TEST(test_timed_segment),
        TEST(test_timeout),
        TEST(test_timer_restarts),
        TEST(test_timer_stops),
        TEST(test_karn),
        TEST(test_karn_with_timestamps),
        TEST(test_user_timeout),
        TEST(test_resent_together),
        TEST(test_fast_retransmit),
        TEST(test_partial_ack),
        TEST(test_not_duplicates),
        TEST(test_no_duplicates_without_data),
        TEST(test_no_fast_retransmit_after_timeout),
        TEST(test_timeout_in_recovery),
        TEST(test_initial_window),
        TEST(test_slow_start),
        TEST(test_ack_division),
        TEST(test_congestion_avoidance),
        TEST(test_application_limited),
        TEST(test_idle_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
