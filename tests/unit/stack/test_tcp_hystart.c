/* HyStart++ (RFC 9406): when slow start ends, when it goes on. */
#include <string.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "tests/unit/support/test_unit.h"

#define MSS 1460u

static struct tcp tcp;
static struct tcp_conn conn;

static int setup(void **state)
{
    (void)state;
    memset(&tcp, 0, sizeof tcp);
    memset(&conn, 0, sizeof conn);
    tcp.config.initial_window = 10;
    tcp.cc = tcp_cc_find(STACK_CUBIC);
    tcp.now = 1000 * CLOCK_SEC;
    conn.sock.tcp = &tcp;
    conn.mss = MSS;
    tcp_cc_init(&conn);
    return 0;
}

/* One round trip of `acks` acknowledgements for a segment each. */
static void round_of(unsigned acks, clock_ns rtt)
{
    for (unsigned i = 0; i < acks; i++) {
        const struct tcp_cc_ack a = {.acked = MSS,
                                     .prior_flight = conn.cwnd,
                                     .rtt = rtt,
                                     .round_ended = i + 1 == acks,
                                     .window_limited = true};

        tcp_cc_ack(&conn, &a);
    }
}

static bool slow_start(void)
{
    return conn.ssthresh == UINT32_MAX;
}

/* As long as the round trip stays, each segment acknowledged opens the window by one. */
static void test_steady(void **state)
{
    (void)state;
    round_of(10, 20 * CLOCK_MS);
    round_of(20, 20 * CLOCK_MS);
    round_of(40, 22 * CLOCK_MS);
    assert_int_equal(conn.cwnd, 80 * MSS);
    assert_true(slow_start());
}

/* A round trip longer by an eighth, at least 4 ms: a quarter of the pace, then the end. */
static void test_queue_builds_up(void **state)
{
    uint32_t before;

    (void)state;
    round_of(10, 40 * CLOCK_MS);
    round_of(20, 44 * CLOCK_MS);
    assert_int_equal(conn.cwnd, 40 * MSS); /* an eighth is 5 ms */
    before = conn.cwnd;
    round_of(40, 50 * CLOCK_MS);
    /* Seven samples are not enough; from the eighth on it is conservative. */
    assert_int_equal(conn.cwnd, before + 7 * MSS + 33 * MSS / 4);
    assert_true(slow_start());
    for (unsigned i = 1; i < 5; i++) {
        assert_true(slow_start());
        round_of(40, 60 * CLOCK_MS);
    }
    assert_false(slow_start());
    assert_int_equal(conn.ssthresh, conn.cwnd);
}

/* It was jitter: below what led into it, slow start goes on. */
static void test_jitter(void **state)
{
    uint32_t before;

    (void)state;
    round_of(10, 40 * CLOCK_MS);
    round_of(20, 50 * CLOCK_MS);
    round_of(20, 45 * CLOCK_MS);
    before = conn.cwnd;
    round_of(20, 45 * CLOCK_MS);
    assert_int_equal(conn.cwnd, before + 20 * MSS);
    assert_true(slow_start());
}

/* Too few samples in a round say nothing, nor do rounds without any. */
static void test_few_samples(void **state)
{
    (void)state;
    round_of(10, 10 * CLOCK_MS);
    for (unsigned i = 0; i < 20; i++)
        round_of(7, 100 * CLOCK_MS);
    for (unsigned i = 0; i < 20; i++)
        round_of(40, 0);
    assert_true(slow_start());
    assert_int_equal(conn.cwnd, (10 + 10 + 140 + 800) * MSS);
}

/* 16 ms more are enough however long the path is. */
static void test_long_path(void **state)
{
    (void)state;
    round_of(10, 500 * CLOCK_MS);
    round_of(20, 515 * CLOCK_MS);
    assert_int_equal(conn.cc.hystart.baseline, 0);
    round_of(20, 531 * CLOCK_MS);
    assert_int_not_equal(conn.cc.hystart.baseline, 0);
}

/* A round of the classic one begins. */
static void classic_round(uint32_t number)
{
    conn.snd_una = number;
    conn.snd_max = number + 1;
}

/* The classic one compares with the least of all, after the eighth sample of a round, and ends slow
 * start there and then. */
static void test_classic(void **state)
{
    (void)state;
    tcp.config.hystart_classic = true;
    round_of(10, 40 * CLOCK_MS);
    classic_round(2);
    round_of(9, 45 * CLOCK_MS); /* an eighth, but no more */
    classic_round(4);
    round_of(10, 60 * CLOCK_MS);
    assert_false(slow_start());
    assert_int_equal(conn.ssthresh, (10 + 10 + 9 + 8) * MSS);
}

/* One sample as short as ever, and it goes on; so it does below sixteen segments. */
static void test_classic_goes_on(void **state)
{
    (void)state;
    tcp.config.hystart_classic = true;
    round_of(1, 20 * CLOCK_MS);
    for (uint32_t i = 0; i < 4; i++)
        round_of(1, 90 * CLOCK_MS);
    assert_int_equal(conn.cwnd, 15 * MSS);
    assert_int_equal(conn.cc.hystart.samples, 0);
    for (uint32_t i = 1; i < 10; i++) {
        classic_round(2 * i);
        round_of(2, 20 * CLOCK_MS);
        round_of(20, 90 * CLOCK_MS);
    }
    assert_true(slow_start());
}

/* A loss ends it at once, and it never comes back. */
static void test_loss(void **state)
{
    (void)state;
    round_of(10, 40 * CLOCK_MS);
    conn.cwnd_limited = true;
    tcp_cc_reduce(&conn, TCP_CC_LOSS);
    tcp_cc_reduced(&conn);
    assert_int_equal(conn.cwnd, 14 * MSS);
    conn.cwnd = 5 * MSS; /* slow start up to ssthresh */
    round_of(8, 400 * CLOCK_MS);
    assert_int_equal(conn.cwnd, 13 * MSS);
}

/* RFC 7661: the window does not grow where it is not the limit. */
static void test_application_limited(void **state)
{
    const struct tcp_cc_ack a = {.acked = MSS, .prior_flight = MSS, .rtt = 40 * CLOCK_MS};

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        tcp_cc_ack(&conn, &a);
    assert_int_equal(conn.cwnd, 10 * MSS);
}

/* RFC 9406, 4.2: without pacing one acknowledgement opens the window by eight segments at most. */
static void test_burst_bound(void **state)
{
    const struct tcp_cc_ack a = {
        .acked = 40 * MSS, .prior_flight = 40 * MSS, .window_limited = true};

    (void)state;
    tcp_cc_ack(&conn, &a);
    assert_int_equal(conn.cwnd, 20 * MSS); /* twice as much in a round trip, never more */
    tcp.config.pacing_off = true;
    tcp.config.abc_limit = TCP_ABC_LIMIT;
    tcp_cc_ack(&conn, &a);
    assert_int_equal(conn.cwnd, 28 * MSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_steady, setup),
        cmocka_unit_test_setup(test_queue_builds_up, setup),
        cmocka_unit_test_setup(test_jitter, setup),
        cmocka_unit_test_setup(test_few_samples, setup),
        cmocka_unit_test_setup(test_long_path, setup),
        cmocka_unit_test_setup(test_classic, setup),
        cmocka_unit_test_setup(test_classic_goes_on, setup),
        cmocka_unit_test_setup(test_loss, setup),
        cmocka_unit_test_setup(test_application_limited, setup),
        cmocka_unit_test_setup(test_burst_bound, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
