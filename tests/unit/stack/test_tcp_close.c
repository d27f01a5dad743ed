/*
 * Closing: every order of the two FINs, half-close, TIME-WAIT, resets for unread data and to
 * connections without an owner (RFC 9293, 3.6 and 3.10.4; RFC 1122, 4.2.2.13; RFC 1337; RFC 6191).
 */
#include "tests/unit/stack/tcp_script.h"

#define FINACK (TCP_FIN | TCP_ACK)
#define SYNACK (TCP_SYN | TCP_ACK)
#define RSTACK (TCP_RST | TCP_ACK)

static struct script *s;
static struct script_conn *c;
static struct sock *listener;

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_establish(c, listener);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static uint32_t in_state(enum tcp_state state)
{
    return script_usage(s).connections[state];
}

static void close_and_flush(void)
{
    sock_close(c->sock);
    script_flush(s);
}

/* Our FIN, acknowledged, and the peer's. */
static void to_time_wait(void)
{
    close_and_flush();
    script_expect(c, FINACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_send(c, FINACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
}

/* ---- the orders: RFC 9293, 3.6, figures 12 and 13 ---- */

static void test_active_close(void **state)
{
    (void)state;
    close_and_flush();
    script_expect(c, FINACK, 1, 1, 0);
    assert_int_equal(in_state(TCP_FIN_WAIT_1), 1);
    script_send(c, TCP_ACK, 1, 2, 0);
    assert_int_equal(in_state(TCP_FIN_WAIT_2), 1);
    script_send(c, FINACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_advance(s, 59900 * CLOCK_MS);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_advance(s, 200 * CLOCK_MS);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_expect_none(s);
}

static void test_passive_close(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 0);
    script_expect(c, TCP_ACK, 1, 2, 0);
    assert_int_equal(in_state(TCP_CLOSE_WAIT), 1);
    assert_int_equal(script_events(s, c->sock), EVENT_READABLE);
    assert_true(sock_eof(c->sock));
    close_and_flush();
    script_expect(c, FINACK, 1, 2, 0);
    assert_int_equal(in_state(TCP_LAST_ACK), 1);
    script_send(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_expect_none(s);
}

static void test_simultaneous_close(void **state)
{
    (void)state;
    close_and_flush();
    script_expect(c, FINACK, 1, 1, 0);
    script_send(c, FINACK, 1, 1, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_CLOSING), 1);
    script_send(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_expect_none(s);
}

static void test_fin_acknowledges_fin(void **state)
{
    (void)state;
    close_and_flush();
    script_expect(c, FINACK, 1, 1, 0);
    script_send(c, FINACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
}

/* What is queued goes first, and the FIN with the last of it. */
static void test_close_flushes(void **state)
{
    (void)state;
    assert_int_equal(script_write(c, 14600), 14600);
    assert_int_equal(script_discard(s), 10);
    assert_int_equal(script_write(c, 1000), 1000);
    close_and_flush();
    script_expect_none(s); /* the congestion window is used up */
    script_send(c, TCP_ACK, 1, 14601, 0);
    script_expect(c, FINACK, 14601, 1, 1000);
    script_send(c, TCP_ACK, 1, 15602, 0);
    assert_int_equal(in_state(TCP_FIN_WAIT_2), 1);
}

static void test_fin_retransmitted(void **state)
{
    clock_ns at;

    (void)state;
    close_and_flush();
    at = script_expect(c, FINACK, 1, 1, 0)->at;
    script_advance(s, 800 * CLOCK_MS);
    for (clock_ns rto = 200 * CLOCK_MS; rto <= 400 * CLOCK_MS; rto *= 2) {
        const struct script_segment *g = script_expect(c, FINACK, 1, 1, 0);

        script_assert_at(g, at + rto);
        at = g->at;
    }
    script_send(c, TCP_ACK, 1, 2, 0);
    assert_int_equal(in_state(TCP_FIN_WAIT_2), 1);
}

/* CLOSING and LAST-ACK repeat their FIN as well, and are given up after the user timeout. */
static void test_last_ack_gives_up(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 0);
    script_discard(s);
    close_and_flush();
    script_advance(s, 300 * CLOCK_SEC);
    assert_true(script_discard(s) > 5);
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(script_counters(s)->tcp_timeouts, 1);
}

static void test_closing_repeats_fin(void **state)
{
    (void)state;
    close_and_flush();
    script_send(c, FINACK, 1, 1, 0);
    script_discard(s);
    script_advance(s, 250 * CLOCK_MS);
    script_expect(c, FINACK, 1, 2, 0);
    script_send(c, TCP_ACK, 2, 2, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
}

/* ---- half-close: RFC 9293, 3.6 ---- */

static void test_half_close_ours(void **state)
{
    (void)state;
    sock_shutdown(c->sock);
    script_flush(s);
    script_expect(c, FINACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 2, 0);
    assert_int_equal(sock_state(c->sock), TCP_FIN_WAIT_2);
    assert_int_equal(sock_writable(c->sock), 0);
    assert_int_equal(script_write(c, 10), 0);
    script_advance(s, 600 * CLOCK_SEC); /* somebody owns it: it may take its time */
    script_send(c, TCP_ACK, 1, 2, 500);
    script_expect(c, TCP_ACK, 2, 501, 0);
    assert_int_equal(script_read(c, 1000), 500);
    script_send(c, FINACK, 501, 2, 0);
    script_expect(c, TCP_ACK, 2, 502, 0);
    assert_int_equal(sock_state(c->sock), TCP_TIME_WAIT);
    assert_true(sock_eof(c->sock));
    close_and_flush();
    script_expect_none(s);
}

static void test_half_close_theirs(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 102, 0);
    assert_false(sock_eof(c->sock));
    assert_int_equal(script_read(c, 1000), 100);
    assert_true(sock_eof(c->sock));
    script_advance(s, 600 * CLOCK_SEC);
    assert_int_equal(script_write(c, 500), 500);
    script_expect(c, TCP_ACK, 1, 102, 500);
    script_send(c, TCP_ACK, 102, 501, 0);
    close_and_flush();
    script_expect(c, FINACK, 501, 102, 0);
    script_send(c, TCP_ACK, 102, 502, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* A repeated FIN (the ACK was lost) is acknowledged again, whatever the state. */
static void test_fin_repeated(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 102, 0);
    script_send(c, FINACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 102, 0);
    script_send(c, FINACK, 101, 1, 0);
    script_expect(c, TCP_ACK, 1, 102, 0);
    assert_int_equal(sock_readable(c->sock), 100);
}

/* A FIN ahead of a gap waits for the bytes in between. */
static void test_fin_out_of_order(void **state)
{
    (void)state;
    script_send(c, FINACK, 201, 1, 100);
    script_expect(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, TCP_ACK, 101, 1, 100);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 302, 0);
    assert_int_equal(sock_state(c->sock), TCP_CLOSE_WAIT);
    assert_int_equal(script_read(c, 1000), 300);
    assert_true(sock_eof(c->sock));
}

/* A FIN in front of bytes that are here already contradicts them. It must not wedge the
 * connection. */
static void test_fin_before_received_data(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 101, 1, 100);
    script_send(c, FINACK, 151, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_send(c, TCP_ACK, 201, 1, 100);
    script_discard(s);
    assert_int_equal(script_read(c, 1000), 300);
    script_send(c, FINACK, 301, 1, 0);
    assert_true(sock_eof(c->sock));
}

/* After the FIN nothing new can come. */
static void test_data_after_fin(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 0);
    script_expect(c, TCP_ACK, 1, 2, 0);
    script_send(c, TCP_ACK, 2, 1, 100);
    script_expect(c, TCP_ACK, 1, 2, 0);
    assert_int_equal(sock_readable(c->sock), 0);
    assert_int_equal(sock_state(c->sock), TCP_CLOSE_WAIT);
}

/* ---- resets ---- */

/* RFC 9293, 3.10.4 and RFC 1122, 4.2.2.13: closing with data that nobody read tells the peer. */
static void test_close_with_unread_data(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 1, 1, 10);
    script_discard(s);
    close_and_flush();
    script_expect(c, RSTACK, 1, 11, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(script_usage(s).buffers_used, 0);
}

static void test_data_to_orphan(void **state)
{
    (void)state;
    close_and_flush();
    script_expect(c, FINACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_send(c, TCP_ACK, 1, 2, 10);
    script_expect(c, TCP_RST, 2, -c->peer_iss, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(script_counters(s)->drop_tcp_closed, 1);
}

/* RFC 5961, 3.2: the peer takes the RST only with the number that it expects, and the FIN may not
 * have come. */
static void test_data_to_orphan_before_fin(void **state)
{
    (void)state;
    close_and_flush();
    script_expect(c, TCP_FIN | TCP_ACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_expect(c, TCP_RST, 1, -c->peer_iss, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* Old data is no news to an orphan: it is acknowledged, not reset. */
static void test_old_data_to_orphan(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 1, 1, 10);
    script_read(c, 10);
    script_discard(s);
    close_and_flush();
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_expect(c, TCP_ACK, 2, 11, 0);
    assert_int_equal(in_state(TCP_FIN_WAIT_1), 1);
}

static void test_abort(void **state)
{
    (void)state;
    script_write(c, 100);
    script_discard(s);
    sock_abort(c->sock);
    script_expect(c, RSTACK, 101, 1, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* An orphan without an answer to its FIN does not stay in FIN-WAIT-2. */
static void test_orphan_in_fin_wait_2(void **state)
{
    (void)state;
    close_and_flush();
    script_send(c, TCP_ACK, 1, 2, 0);
    script_advance(s, 59 * CLOCK_SEC);
    assert_int_equal(in_state(TCP_FIN_WAIT_2), 1);
    script_advance(s, 2 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* The same when it is given up there. */
static void test_disowned_in_fin_wait_2(void **state)
{
    (void)state;
    sock_shutdown(c->sock);
    script_flush(s);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_advance(s, 600 * CLOCK_SEC);
    close_and_flush();
    assert_int_equal(in_state(TCP_FIN_WAIT_2), 1);
    script_advance(s, 61 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* ---- TIME-WAIT ---- */

/* RFC 9293, 3.10.7.4: a repeated FIN is acknowledged, and the wait begins anew. */
/* Of too many, those that were left first are reset; those in TIME_WAIT do not count. */
static void test_orphans_limit(void **state)
{
    struct script_conn *k[6];

    (void)state;
    script_destroy(s);
    s = script_create(&(struct script_config){.tcp.orphans_max = 4});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_establish(c, listener);
    to_time_wait();
    for (unsigned i = 0; i < 6; i++) {
        k[i] = script_conn(s);
        script_establish(k[i], listener);
    }
    for (unsigned i = 0; i < 4; i++) {
        sock_close(k[i]->sock);
        script_flush(s);
        script_expect(k[i], FINACK, 1, 1, 0);
    }
    script_send(k[1], TCP_ACK, 1, 2, 0); /* FIN_WAIT_2 is one as well */
    assert_int_equal(script_usage(s).orphans, 4);
    sock_close(k[4]->sock);
    script_expect(k[0], RSTACK, 2, 1, 0);
    script_flush(s);
    script_expect(k[4], FINACK, 1, 1, 0);
    sock_close(k[5]->sock);
    script_expect(k[1], RSTACK, 2, 1, 0);
    assert_int_equal(script_usage(s).orphans, 4);
    assert_int_equal(script_counters(s)->tcp_orphans_reset, 2);
    script_discard(s);
    script_send(k[2], FINACK, 1, 2, 0); /* to TIME_WAIT */
    script_send(k[3], RSTACK, 1, 2, 0);
    assert_int_equal(script_usage(s).orphans, 2);
    script_discard(s);
}

static void test_time_wait_repeated_fin(void **state)
{
    (void)state;
    to_time_wait();
    script_advance(s, 50 * CLOCK_SEC);
    script_send(c, FINACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    script_advance(s, 50 * CLOCK_SEC);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_advance(s, 11 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* Only that very FIN: anybody can make up another. */
static void test_time_wait_forged_fin(void **state)
{
    (void)state;
    to_time_wait();
    for (unsigned i = 0; i < 5; i++) {
        script_advance(s, 10 * CLOCK_SEC);
        script_send(c, FINACK, 1000 + i, 2, 0);
    }
    script_advance(s, 11 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* RFC 1337: no assassination, not even by an exact RST. */
static void test_time_wait_reset(void **state)
{
    (void)state;
    to_time_wait();
    script_send(c, TCP_RST, 2, 0, 0);
    script_send(c, RSTACK, 2, 2, 0);
    script_expect_none(s);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
}

static void test_time_wait_old_segments(void **state)
{
    (void)state;
    to_time_wait();
    script_send(c, TCP_ACK, 2, 2, 0); /* as ours: were it answered, two ends could go on for ever */
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    script_send(c, TCP_ACK, 1, 2, 10);
    script_expect(c, TCP_ACK, 2, 2, 0);
    script_send(c, SYNACK, 100, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0); /* a challenge */
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
}

/* RFC 1122, 4.2.2.13: a SYN beyond the old connection's numbers begins a new one, whose own numbers
 * begin beyond ours. */
static void test_time_wait_reopened_by_sequence(void **state)
{
    uint32_t old_end = c->stack_iss + 2, old_iss = c->peer_iss;

    (void)state;
    to_time_wait();
    c->peer_iss = old_iss - 5000;
    script_send(c, TCP_SYN, 0, 0, 0);
    c->peer_iss = old_iss;
    script_expect(c, TCP_ACK, 2, 2, 0); /* old */
    c->peer_iss = old_iss + 3;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_true((int32_t)(c->stack_iss - old_end) > 0);
    assert_int_equal(script_usage(s).connections_used, 1);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
}

/* RFC 6191: with timestamps, those decide. */
static void test_time_wait_reopened_by_timestamp(void **state)
{
    struct script_conn *k = script_conn(s);
    uint32_t base;

    (void)state;
    k->timestamps = true;
    script_establish(k, listener);
    c = k;
    to_time_wait();
    base = k->ts_base;
    k->ts_base = base - 1000;
    k->peer_iss += 100000;
    script_send(k, TCP_SYN, 0, 0, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1); /* higher numbers, but an older clock */
    script_discard(s);
    k->ts_base = base + 1;
    k->peer_iss -= 200000;
    script_send(k, TCP_SYN, 0, 0, 0);
    script_expect(k, SYNACK, 0, 1, 0);
}

/* The old one had none: a peer that has them now has begun anew, whatever its numbers. */
static void test_time_wait_reopened_with_timestamps(void **state)
{
    (void)state;
    to_time_wait();
    c->timestamps = true;
    c->peer_iss -= 5000;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(script_counters(s)->tcp_time_wait_reopened, 1);
}

/* One that has no timestamps any more is held against its numbers. */
static void test_time_wait_reopened_without_timestamps(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    k->timestamps = true;
    script_establish(k, listener);
    c = k;
    to_time_wait();
    k->timestamps = false;
    k->peer_iss -= 5000;
    script_send(k, TCP_SYN, 0, 0, 0);
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_discard(s);
    k->peer_iss += 5003;
    script_send(k, TCP_SYN, 0, 0, 0);
    script_expect(k, SYNACK, 0, 1, 0);
}

/* Who keeps the socket keeps the block: it is not recycled under its owner. */
static void test_time_wait_owned(void **state)
{
    (void)state;
    sock_shutdown(c->sock);
    script_flush(s);
    script_send(c, FINACK, 1, 2, 0);
    assert_int_equal(sock_state(c->sock), TCP_TIME_WAIT);
    script_advance(s, 61 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_CLOSED);
    assert_int_equal(sock_error(c->sock), SOCK_OK);
    assert_true(sock_eof(c->sock));
    sock_close(c->sock);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* An empty pool takes the oldest. */
static void test_time_wait_recycled(void **state)
{
    struct script_conn *k = NULL;

    (void)state;
    to_time_wait();
    script_advance(s, CLOCK_SEC);
    for (unsigned i = 1; i < 64; i++) {
        k = script_conn(s);
        script_connect(k, NULL);
    }
    assert_int_equal(in_state(TCP_TIME_WAIT), 1);
    script_connect(script_conn(s), NULL);
    assert_int_equal(in_state(TCP_TIME_WAIT), 0);
    assert_int_equal(script_counters(s)->tcp_time_wait_reused, 1);
    assert_int_equal(script_usage(s).connections_used, 64);
}

/* ---- destruction ---- */

/* stack_destroy() frees what dead connections hold that their owners have not closed. */
static void test_destroy_with_dead_connection(void **state)
{
    (void)state;
    script_send(c, FINACK, 1, 1, 100);
    script_send(c, TCP_RST, 102, 0, 0);
    assert_int_equal(sock_state(c->sock), TCP_CLOSED);
    assert_int_equal(sock_readable(c->sock), 100); /* it was all there: the FIN said so */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_active_close),
        TEST(test_passive_close),
        TEST(test_simultaneous_close),
        TEST(test_fin_acknowledges_fin),
        TEST(test_close_flushes),
        TEST(test_fin_retransmitted),
        TEST(test_last_ack_gives_up),
        TEST(test_closing_repeats_fin),
        TEST(test_half_close_ours),
        TEST(test_half_close_theirs),
        TEST(test_fin_repeated),
        TEST(test_fin_out_of_order),
        TEST(test_fin_before_received_data),
        TEST(test_data_after_fin),
        TEST(test_close_with_unread_data),
        TEST(test_data_to_orphan),
        TEST(test_data_to_orphan_before_fin),
        TEST(test_old_data_to_orphan),
        TEST(test_abort),
        TEST(test_orphan_in_fin_wait_2),
        TEST(test_disowned_in_fin_wait_2),
        TEST(test_orphans_limit),
        TEST(test_time_wait_repeated_fin),
        TEST(test_time_wait_forged_fin),
        TEST(test_time_wait_reset),
        TEST(test_time_wait_old_segments),
        TEST(test_time_wait_reopened_by_sequence),
        TEST(test_time_wait_reopened_by_timestamp),
        TEST(test_time_wait_reopened_with_timestamps),
        TEST(test_time_wait_reopened_without_timestamps),
        TEST(test_time_wait_owned),
        TEST(test_time_wait_recycled),
        TEST(test_destroy_with_dead_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
