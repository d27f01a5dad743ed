/*
 * CUBIC's window (RFC 9438) against the RFC's formulas in floating point, over random paths and
 * epochs; and its reactions one by one.
 */
#include <math.h>
#include <string.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_cubic.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_tick.h"
#include "tests/unit/support/test_unit.h"

static struct tcp tcp;
static struct tcp_conn conn;

/* The same in segments and seconds. */
static struct reference {
    double cwnd, ssthresh, w_max, w_est, k, t, cwnd_prior;
    bool stage;
} ref;

static double mss(void)
{
    return tcp_segment_size(&conn);
}

static int setup(void **state)
{
    (void)state;
    memset(&tcp, 0, sizeof tcp);
    memset(&conn, 0, sizeof conn);
    tcp.config.initial_window = 10;
    tcp.cc = tcp_cc_find(STACK_CUBIC);
    tcp.now = 1000 * CLOCK_SEC;
    conn.sock.tcp = &tcp;
    conn.mss = 1460;
    conn.rto = 200 * CLOCK_MS;
    tcp_cc_init(&conn);
    return 0;
}

/* splitmix64 */
static uint32_t below(uint64_t *state, uint32_t n)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* ---- the reference: RFC 9438, 4.2 to 4.8 ---- */

static void ref_stage(void)
{
    if (ref.w_max <= ref.cwnd) {
        ref.w_max = ref.cwnd;
        ref.k = 0;
    } else {
        ref.k = cbrt((ref.w_max - ref.cwnd) / 0.4);
    }
    ref.w_est = ref.cwnd;
    ref.t = 0;
    ref.stage = true;
}

static double ref_window(double t)
{
    return 0.4 * pow(t - ref.k, 3) + ref.w_max;
}

static void ref_ack(double segments, double dt, double rtt)
{
    double target, alpha;

    if (!ref.stage)
        ref_stage();
    else
        ref.t += dt;
    alpha = ref.w_est >= ref.cwnd_prior ? 1 : 3 * (1 - 0.7) / (1 + 0.7);
    ref.w_est += alpha * segments / ref.cwnd;
    if (ref_window(ref.t) < ref.w_est) {
        ref.cwnd = fmax(ref.cwnd, ref.w_est);
        return;
    }
    target = fmin(fmax(ref_window(ref.t + rtt), ref.cwnd), 1.5 * ref.cwnd);
    ref.cwnd += (target - ref.cwnd) / ref.cwnd * segments;
}

static void ref_reduce(void)
{
    ref.cwnd_prior = ref.cwnd;
    ref.w_max = ref.cwnd < ref.w_max ? ref.cwnd * 1.7 / 2 : ref.cwnd;
    ref.ssthresh = ref.cwnd = fmax(ref.cwnd * 0.7, 2);
    ref.stage = false;
}

/* ---- one connection ---- */

static void ack(uint32_t bytes)
{
    const struct tcp_cc_ack a = {
        .acked = bytes, .prior_flight = conn.cwnd, .rtt = conn.srtt, .window_limited = true};

    tcp_cc_ack(&conn, &a);
}

static void reduce(void)
{
    conn.cwnd_limited = true;
    tcp_cc_reduce(&conn, TCP_CC_LOSS);
    tcp_cc_reduced(&conn);
}

/* Never further off than a hundredth and a segment, over a hundred thousand acknowledgements. */
static void assert_near(double bytes, double segments)
{
    double expected = segments * mss();

    if (fabs(bytes - expected) > expected / 100 + mss())
        fail_msg("%.0f bytes where the reference has %.0f", bytes, expected);
}

/* A stage, acknowledgement by acknowledgement, each for two segments. */
static void random_stage(uint32_t rounds)
{
    double rtt = (double)conn.srtt / CLOCK_SEC;

    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t acks = conn.cwnd / (2 * (uint32_t)mss()) + 1;
        clock_ns gap = conn.srtt / acks;

        for (uint32_t i = 0; i < acks; i++) {
            tcp.now += gap;
            ack(2 * (uint32_t)mss());
            ref_ack(2, (double)gap / CLOCK_SEC, rtt);
        }
        assert_near(conn.cwnd, ref.cwnd);
    }
}

static void test_reference(void **state)
{
    uint64_t r = 9438;

    for (unsigned i = 0; i < 60; i++) {
        setup(state);
        conn.mss = (uint16_t)(536 + below(&r, 8400));
        conn.srtt = (1 + below(&r, 200)) * CLOCK_MS;
        conn.cwnd = (10 + below(&r, 2000)) * (uint32_t)mss();
        memset(&ref, 0, sizeof ref);
        ref.cwnd = conn.cwnd / mss();
        for (unsigned stage = 0; stage < 4; stage++) {
            /* What little they differ by must not decide whether the window is below the last. */
            ref.cwnd = conn.cwnd / mss();
            ref.w_max = stage > 0 ? conn.cc.cubic.curve.w_max / mss() : 0;
            reduce();
            ref_reduce();
            assert_near(conn.ssthresh, ref.ssthresh);
            random_stage(1 + below(&r, 150));
        }
    }
}

/* ---- RFC 9438, one by one ---- */

/* 4.6, 4.7: down to 0.7; a loss below the last one's window takes less of the curve. */
static void test_fast_convergence(void **state)
{
    uint32_t w = 100 * (uint32_t)mss();

    (void)state;
    conn.cwnd = w;
    reduce();
    assert_int_equal(conn.ssthresh, w * 7 / 10);
    assert_int_equal(conn.cwnd, conn.ssthresh);
    assert_int_equal(conn.cc.cubic.curve.w_max, w);
    reduce();
    assert_int_equal(conn.cc.cubic.curve.w_max, w * 7 / 10 * 17 / 20);
    assert_in_range(conn.cwnd, w * 49 / 100 - 1, w * 49 / 100);
}

/* Never below two segments. */
static void test_least(void **state)
{
    (void)state;
    conn.cwnd = 2 * (uint32_t)mss();
    reduce();
    assert_int_equal(conn.ssthresh, 2 * (uint32_t)mss());
}

/* 4.8: a timeout leaves one segment; the stage after it begins flat. */
static void test_timeout(void **state)
{
    uint32_t w = 100 * (uint32_t)mss();

    (void)state;
    conn.cwnd = w;
    conn.cwnd_limited = true;
    conn.retries = 1;
    tcp_cc_reduce(&conn, TCP_CC_TIMEOUT);
    assert_int_equal(conn.cwnd, mss());
    assert_int_equal(conn.ssthresh, w * 7 / 10);
    conn.retries = 2;
    tcp_cc_reduce(&conn, TCP_CC_TIMEOUT);
    assert_int_equal(conn.ssthresh, w * 7 / 10);
    conn.cwnd = conn.ssthresh;
    conn.srtt = 10 * CLOCK_MS;
    ack(1460);
    assert_int_equal(conn.cc.cubic.curve.k, 0);
    assert_in_range(conn.cc.cubic.curve.w_max, w * 7 / 10, w * 7 / 10 + 1);
}

/* 4.9: all is back as if it had not been, and the clock goes on from where it was. */
static void test_undo(void **state)
{
    struct tcp_cubic_curve curve;
    uint32_t cwnd, ssthresh;

    (void)state;
    conn.srtt = 50 * CLOCK_MS;
    conn.cwnd = 500 * (uint32_t)mss();
    memset(&ref, 0, sizeof ref);
    reduce();
    for (unsigned i = 0; i < 2000; i++) {
        tcp.now += CLOCK_MS;
        ack(2920);
    }
    curve = conn.cc.cubic.curve;
    cwnd = conn.cwnd;
    ssthresh = conn.ssthresh;
    reduce();
    tcp_cc_undo(&conn);
    assert_int_equal(conn.cwnd, cwnd);
    assert_int_equal(conn.ssthresh, ssthresh);
    assert_memory_equal(&conn.cc.cubic.curve, &curve, sizeof curve);
    tcp.now += 10 * CLOCK_SEC;
    ack(2920);
    assert_int_equal(conn.cc.cubic.curve.elapsed, curve.elapsed);
}

/* A reduction of the first slow start that is undone leads back into it. */
static void test_undo_slow_start(void **state)
{
    (void)state;
    reduce();
    assert_int_not_equal(conn.ssthresh, UINT32_MAX);
    tcp_cc_undo(&conn);
    assert_int_equal(conn.ssthresh, UINT32_MAX);
    assert_int_equal(conn.cc.hystart.last_min, UINT32_MAX);
}

/* 4.2, 5.8: time in which the window was not the limit does not count. */
static void test_application_limited(void **state)
{
    const struct tcp_cc_ack idle = {.acked = 1460, .prior_flight = 1460};
    uint32_t before;

    (void)state;
    conn.srtt = 50 * CLOCK_MS;
    conn.cwnd = 100 * (uint32_t)mss();
    reduce();
    ack(1460);
    tcp.now += 100 * CLOCK_MS;
    ack(1460);
    assert_int_equal(conn.cc.cubic.curve.elapsed, 100);
    before = conn.cwnd;
    for (unsigned i = 0; i < 100; i++) {
        tcp.now += 100 * CLOCK_MS;
        tcp_cc_ack(&conn, &idle);
    }
    assert_int_equal(conn.cwnd, before);
    tcp.now += 100 * CLOCK_MS;
    ack(1460);
    assert_int_equal(conn.cc.cubic.curve.elapsed, 100);
}

/* RFC 7661, 4.4.1: who used little of the window is reduced to a part of what was used. */
static void test_window_not_used(void **state)
{
    (void)state;
    conn.cwnd = 100 * (uint32_t)mss();
    conn.snd_max = 20 * (uint32_t)mss();
    tcp_cc_reduce(&conn, TCP_CC_LOSS);
    assert_int_equal(conn.ssthresh, 14 * (uint32_t)mss());
}

static void test_reduced_from_cwnd(void **state)
{
    (void)state;
    tcp.config.reduce_from_cwnd = true;
    conn.cwnd = 100 * (uint32_t)mss();
    conn.snd_max = 20 * (uint32_t)mss();
    tcp_cc_reduce(&conn, TCP_CC_LOSS);
    assert_int_equal(conn.ssthresh, 70 * (uint32_t)mss());
}

/* ---- cubic_classic ---- */

static void classic(uint32_t segments)
{
    tcp.config.cubic_classic = true;
    conn.srtt = 200 * CLOCK_MS;
    conn.cwnd = conn.ssthresh = segments * (uint32_t)mss();
    tcp_cc_find(STACK_CUBIC)->init(&conn);
}

/* Acknowledges a segment every millisecond; returns by how many segments the window has grown. */
static uint32_t acknowledge(uint32_t segments)
{
    uint32_t before = conn.cwnd;

    for (uint32_t i = 0; i < segments; i++) {
        tcp.now += CLOCK_MS;
        ack((uint32_t)mss());
    }
    return (conn.cwnd - before) / (uint32_t)mss();
}

/* No window that was too large is known: one segment for each twenty. A loss makes one known, a
 * timeout makes it forgotten. */
static void test_classic_search(void **state)
{
    (void)state;
    classic(100);
    assert_int_equal(acknowledge(100), 5);
    reduce();
    tcp_cc_reduced(&conn);
    acknowledge(70);
    assert_in_range(conn.cwnd, conn.ssthresh, conn.ssthresh + 2 * (uint32_t)mss());
    conn.retries = 1;
    tcp_cc_reduce(&conn, TCP_CC_TIMEOUT);
    conn.cwnd = conn.ssthresh;
    assert_int_equal(acknowledge(100), 5);
}

/* A rest takes nothing from the window, and the stage goes on where it was. */
static void test_rest_keeps_window(void **state)
{
    uint32_t cwnd, elapsed;

    (void)state;
    classic(100);
    tcp.config.rest_keeps_window = true;
    acknowledge(50);
    cwnd = conn.cwnd;
    elapsed = conn.cc.cubic.curve.elapsed;
    conn.sent_at = tcp.now;
    tcp.now += 10 * CLOCK_SEC;
    tcp_cc_restart(&conn);
    assert_int_equal(conn.cwnd, cwnd);
    acknowledge(1);
    assert_int_equal(conn.cc.cubic.curve.elapsed, elapsed + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reference, setup),
        cmocka_unit_test_setup(test_fast_convergence, setup),
        cmocka_unit_test_setup(test_least, setup),
        cmocka_unit_test_setup(test_timeout, setup),
        cmocka_unit_test_setup(test_undo, setup),
        cmocka_unit_test_setup(test_undo_slow_start, setup),
        cmocka_unit_test_setup(test_application_limited, setup),
        cmocka_unit_test_setup(test_window_not_used, setup),
        cmocka_unit_test_setup(test_reduced_from_cwnd, setup),
        cmocka_unit_test_setup(test_classic_search, setup),
        cmocka_unit_test_setup(test_rest_keeps_window, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
