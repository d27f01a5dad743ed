/*
 * The timers of long waits: keepalive (RFC 1122, 4.2.3.6), and what several timers of one
 * connection do to each other.
 */
#include "tests/unit/stack/tcp_script.h"

static struct script *s;
static struct script_conn *c;

static int setup_at(clock_ns start)
{
    s = script_create(&(struct script_config){.start = start});
    c = script_conn(s);
    script_establish(c,
                     script_listen(s, 80, 4, &(struct sock_options){.keepalive = 30 * CLOCK_SEC}));
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_at(SCRIPT_START);
}

static int setup_wrap(void **state)
{
    (void)state;
    return setup_at(SCRIPT_WRAP - 20 * CLOCK_SEC);
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* After the idle time a segment below the window, which the peer must answer. */
static void test_probe(void **state)
{
    clock_ns at = script_now(s);
    const struct script_segment *g;

    (void)state;
    script_advance(s, 31 * CLOCK_SEC);
    g = script_expect(c, TCP_ACK, 0, 1, 0);
    script_assert_at(g, at + 30 * CLOCK_SEC);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_advance(s, 29 * CLOCK_SEC);
    script_expect_none(s);
    script_advance(s, 2 * CLOCK_SEC);
    script_expect(c, TCP_ACK, 0, 1, 0);
    assert_int_equal(script_counters(s)->tcp_keepalive_probes, 2);
}

/* Unanswered ones are counted, and the connection given up. */
static void test_give_up(void **state)
{
    (void)state;
    script_advance(s, 9 * 30 * CLOCK_SEC + CLOCK_SEC);
    assert_int_equal(script_discard(s), 9);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_advance(s, 31 * CLOCK_SEC);
    script_expect(c, TCP_RST | TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    sock_close(c->sock);
}

/* An answer in time starts the count anew. */
static void test_answer_resets_count(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        script_advance(s, 8 * 30 * CLOCK_SEC + CLOCK_SEC);
        script_send(c, TCP_ACK, 1, 1, 0);
    }
    script_discard(s);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
}

/* What the peer sends proves it as well. */
static void test_traffic_puts_it_off(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        script_advance(s, 20 * CLOCK_SEC);
        script_send(c, TCP_ACK, 1 + i, 1, 1);
    }
    assert_int_equal(script_counters(s)->tcp_keepalive_probes, 0);
    script_discard(s);
}

/* While data is in flight its retransmissions ask, and the user timeout decides. */
static void test_not_while_data_is_in_flight(void **state)
{
    (void)state;
    script_write(c, 10);
    script_advance(s, 115 * CLOCK_SEC);
    assert_int_equal(script_counters(s)->tcp_keepalive_probes, 0);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_discard(s);
}

/* Probes of a closed window, which grow rare, are no unanswered keepalives. */
static void test_closed_window(void **state)
{
    (void)state;
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_write(c, 10);
    for (unsigned i = 0; i < 3600; i++) {
        script_advance(s, CLOCK_SEC);
        if (script_discard(s) > 0)
            script_send(c, TCP_ACK, 1, 1, 0);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_counters(s)->tcp_keepalive_probes, 0);
}

/* Probes of a closed window are so frequent that three lost in a row end nothing. */
static void test_window_probes_lost(void **state)
{
    unsigned probes = 0;

    (void)state;
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_write(c, 10);
    for (unsigned i = 0; i < 3600; i++) {
        script_advance(s, CLOCK_SEC);
        if (script_discard(s) > 0 && probes++ % 4 == 0)
            script_send(c, TCP_ACK, 1, 1, 0);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_true(probes < 3600 / 10); /* and no more frequent than that */
}

/* After an idle time with keepalives unanswered so far, data has its full time. */
static void test_data_after_probes(void **state)
{
    (void)state;
    script_advance(s, 8 * 30 * CLOCK_SEC + CLOCK_SEC);
    script_write(c, 10);
    script_advance(s, 100 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_send(c, TCP_ACK, 1, 11, 0);
    script_advance(s, 100 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_discard(s);
}

/* In FIN-WAIT-2 without an owner the end comes after its own time, whatever the keepalive. */
static void test_orphan_with_keepalive(void **state)
{
    (void)state;
    script_advance(s, 25 * CLOCK_SEC);
    sock_close(c->sock);
    script_flush(s);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_advance(s, 59 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 1);
    script_advance(s, 2 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_discard(s);
}

/* RFC 9293, 3.10.7.4: the idle connection that nobody asked to be kept alive stays for ever. */
static void test_none_by_default(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    k->stack_port = 81;
    script_establish(k, script_listen(s, 81, 4, NULL));
    sock_abort(c->sock);
    script_discard(s);
    script_advance(s, 30 * 24 * 3600 * CLOCK_SEC);
    script_expect_none(s);
    assert_int_equal(sock_state(k->sock), TCP_ESTABLISHED);
    script_write(k, 10);
    script_expect(k, TCP_ACK, 1, 1, 10);
}

/* Probes that nobody has answered say nothing of what is sent later: its first timeout is a first
 * one, which reduces, and looks for no black hole. */
static void test_unanswered_are_no_timeouts(void **state)
{
    struct sock_info i;

    (void)state;
    script_advance(s, 4 * 30 * CLOCK_SEC + CLOCK_SEC);
    assert_int_equal(script_discard(s), 4);
    script_write(c, 4 * 1460);
    assert_int_equal(script_discard(s), 4);
    script_advance(s, 300 * CLOCK_MS);
    assert_int_equal(script_counters(s)->tcp_rto_expired, 1);
    assert_int_equal(script_counters(s)->mtu_black_holes, 0);
    sock_info(c->sock, &i);
    assert_true(i.ssthresh <= 4 * 1460);
    script_discard(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_WRAP(name)                                 \
    {                                                   \
#name "_wrap", name, setup_wrap, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_probe),
        TEST(test_give_up),
        TEST(test_answer_resets_count),
        TEST(test_traffic_puts_it_off),
        TEST(test_not_while_data_is_in_flight),
        TEST(test_closed_window),
        TEST(test_window_probes_lost),
        TEST(test_data_after_probes),
        TEST(test_orphan_with_keepalive),
        TEST(test_none_by_default),
        TEST(test_unanswered_are_no_timeouts),
        TEST_WRAP(test_probe),
        TEST_WRAP(test_give_up),
        TEST_WRAP(test_traffic_puts_it_off),
        TEST_WRAP(test_closed_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
