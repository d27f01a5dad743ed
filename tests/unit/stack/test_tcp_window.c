/*
 * Flow control: the peer's window and its probes, the window that we offer, silly windows on both
 * sides (RFC 9293, 3.8.6; RFC 7323, 2).
 */
#include "tests/unit/stack/tcp_script.h"

#define FINACK (TCP_FIN | TCP_ACK)
#define MSS    1460

static struct script *s;
static struct script_conn *c;

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void establish(const struct sock_options *options)
{
    script_establish(c, script_listen(s, 80, 4, options));
}

/* ---- the peer's window ---- */

/* 3.8.6.1: the first probe after the RTO, then ever more rarely, though each is answered. */
static void test_zero_window_probes(void **state)
{
    clock_ns at, gap = 200 * CLOCK_MS;

    (void)state;
    c->window = 0;
    establish(NULL);
    script_write(c, 5000);
    script_expect_none(s);
    at = script_now(s);
    for (unsigned i = 0; i < 10; i++) {
        const struct script_segment *g;

        script_advance(s, gap + SCRIPT_TICK);
        g = script_expect(c, TCP_ACK, 0, 1, 0);
        script_assert_at(g, at + gap);
        at = g->at;
        gap = gap * 2 < 15 * CLOCK_SEC ? gap * 2 : 15 * CLOCK_SEC; /* an eighth of the timeout */
        script_expect_none(s);
        script_send(c, TCP_ACK, 1, 1, 0);
        script_expect_none(s);
    }
    assert_int_equal(script_counters(s)->tcp_zero_window_probes, 10);
    /* It opens: everything goes, and the timers start afresh. */
    c->window = 65535;
    script_send(c, TCP_ACK, 1, 1, 0);
    at = script_expect(c, TCP_ACK, 1, 1, MSS)->at;
    script_expect(c, TCP_ACK, 1461, 1, MSS);
    script_expect(c, TCP_ACK, 2921, 1, MSS);
    script_expect(c, TCP_ACK, 4381, 1, 620);
    script_advance(s, 250 * CLOCK_MS);
    script_assert_at(script_expect(c, TCP_ACK, 1, 1, MSS), at + 200 * CLOCK_MS);
}

/* A peer that answers keeps the connection, however long its window is closed. */
static void test_zero_window_for_hours(void **state)
{
    (void)state;
    c->window = 0;
    establish(&(struct sock_options){.user_timeout = 30 * CLOCK_SEC});
    script_write(c, 100);
    for (unsigned i = 0; i < 2 * 3600; i++) {
        script_advance(s, CLOCK_SEC);
        if (script_discard(s) > 0)
            script_send(c, TCP_ACK, 1, 1, 0);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
}

/* The peer had closed its window while there was nothing to send: the wait begins with the data. */
static void test_zero_window_after_idle(void **state)
{
    (void)state;
    establish(NULL);
    script_write(c, 100);
    script_discard(s);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 101, 0);
    script_advance(s, 600 * CLOCK_SEC);
    script_write(c, 100);
    script_advance(s, 10 * CLOCK_SEC); /* probes without an answer, so far */
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_true(script_discard(s) >= 3);
    script_send(c, TCP_ACK, 1, 101, 0);
    script_advance(s, 100 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
}

/* 3.8.3: a peer that does not answer is given up after the user timeout. */
static void test_zero_window_silent_peer(void **state)
{
    (void)state;
    c->window = 0;
    establish(&(struct sock_options){.user_timeout = 30 * CLOCK_SEC});
    script_advance(s, 300 * CLOCK_SEC);
    script_write(c, 100);
    script_advance(s, 29 * CLOCK_SEC);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_advance(s, 31 * CLOCK_SEC);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    sock_close(c->sock);
}

/* Nobody owns it: a closed window is not waited for longer than the user timeout, answers or not;
 * but as long as that. */
static void test_zero_window_orphan(void **state)
{
    (void)state;
    c->window = 0;
    establish(NULL);
    script_advance(s, 600 * CLOCK_SEC);
    script_write(c, 100);
    sock_close(c->sock);
    for (unsigned i = 0; i < 200; i++) {
        script_advance(s, CLOCK_SEC);
        if (i == 100)
            assert_int_equal(script_usage(s).connections_used, 1);
        if (script_discard(s) > 0 && script_usage(s).connections_used > 0)
            script_send(c, TCP_ACK, 1, 1, 0);
    }
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* The update that opened the window was lost: the answer to a probe brings it. */
static void test_window_update_lost(void **state)
{
    (void)state;
    c->window = 1000;
    establish(NULL);
    script_write(c, 2000);
    script_expect(c, TCP_ACK, 1, 1, 1000);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1001, 0);
    script_expect_none(s);
    script_advance(s, 210 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1000, 1, 0);
    c->window = 1000;
    script_send(c, TCP_ACK, 1, 1001, 0);
    script_expect(c, TCP_ACK, 1001, 1, 1000);
}

/* The peer takes its window back over data in flight (discouraged, 3.8.6, but to be survived). */
static void test_window_shrinks(void **state)
{
    (void)state;
    establish(NULL);
    script_write(c, 14600);
    assert_int_equal(script_discard(s), 10);
    c->window = 1000;
    script_send(c, TCP_ACK, 1, 1461, 0);
    script_expect_none(s);
    script_advance(s, 210 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1461, 1, MSS); /* the head, which is its probe as well */
    script_send(c, TCP_ACK, 1, 2461, 0);
    script_expect(c, TCP_ACK, 2921, 1, 540); /* up to the edge */
    c->window = 65535;
    script_send(c, TCP_ACK, 1, 14601, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
}

/* It takes it back wholly, for longer than it may owe us an answer; answers all the while, and
 * opens it again: what it was closed over goes at once, not when the next probe of the window is
 * due. */
static void test_window_shrinks_for_long(void **state)
{
    const struct script_segment *g;
    clock_ns until;

    (void)state;
    establish(NULL);
    script_write(c, 5840);
    assert_int_equal(script_discard(s), 4);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1461, 0);
    for (until = script_now(s) + 300 * CLOCK_SEC; script_now(s) < until;) {
        script_advance(s, CLOCK_SEC);
        if (script_discard(s) > 0)
            script_send(c, TCP_ACK, 1, 1461, 0);
    }
    c->window = 65535;
    script_send(c, TCP_ACK, 1, 1461, 0);
    script_advance(s, SCRIPT_TICK);
    g = script_next(
        s); /* of whatever size: to be unanswered so often is a black hole's sign, too */
    assert_non_null(g);
    assert_int_equal(g->tcp.seq, c->stack_iss + 1461);
    script_send(c, TCP_ACK, 1, 5841, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
    assert_int_equal(script_events(s, c->sock) & EVENT_ERROR, 0);
}

/* After minutes without a window there is a tiny one: it is used, late as it is. */
static void test_zero_window_opens_a_crack(void **state)
{
    clock_ns until;

    (void)state;
    c->window = 0;
    establish(NULL);
    script_write(c, 5000);
    for (until = script_now(s) + 300 * CLOCK_SEC; script_now(s) < until;) {
        script_advance(s, CLOCK_SEC);
        if (script_discard(s) > 0) {
            c->window = script_now(s) + 61 * CLOCK_SEC < until ? 0 : 100;
            script_send(c, TCP_ACK, 1, 1, 0);
        }
    }
    script_expect_none(s);
    script_advance(s, 61 * CLOCK_SEC);
    script_expect(c, TCP_ACK, 1, 1, 100);
}

/* A retransmission of the peer's acknowledges something new: its window counts, though its sequence
 * number is older than that of the last window. */
static void test_window_of_retransmission(void **state)
{
    (void)state;
    c->window = 4 * MSS;
    establish(NULL);
    script_write(c, 20000);
    assert_int_equal(script_discard(s), 4);
    script_send(c, TCP_ACK, 101, 1, 100); /* behind a gap */
    script_discard(s);
    c->window = 2 * MSS; /* the same edge */
    script_send(c, TCP_ACK, 1, 1 + 2 * MSS, 100);
    script_expect(c, TCP_ACK, 1 + 4 * MSS, 201, 0);
    script_expect_none(s);
}

/* An old segment, overtaken by a newer one, does not bring its old window back (3.10.7.4: WL1 and
 * WL2). */
static void test_window_of_old_segment(void **state)
{
    struct sock_info info;

    (void)state;
    establish(NULL);
    script_write(c, 1000);
    c->window = 30000;
    script_send(c, TCP_ACK, 11, 1001, 10);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1, 10);
    sock_info(c->sock, &info);
    assert_int_equal(info.send_window, 30000);
}

/* ---- silly windows, sender's side: 3.8.6.2.1 ---- */

/* Less than a segment and less than half of the largest window waits; the persist timer sends it in
 * the end. */
static void test_sender_avoids_silly_window(void **state)
{
    clock_ns at;

    (void)state;
    c->window = 20000;
    establish(NULL);
    script_write(c, MSS);
    script_discard(s);
    c->window = 900;
    script_send(c, TCP_ACK, 1, 1461, 0);
    script_write(c, 4000);
    script_expect_none(s);
    at = script_now(s);
    script_advance(s, 210 * CLOCK_MS);
    script_assert_at(script_expect(c, TCP_ACK, 1461, 1, 900), at + 200 * CLOCK_MS);
    c->window = 1460;
    script_send(c, TCP_ACK, 1, 2361, 0);
    script_expect(c, TCP_ACK, 2361, 1, 1460); /* a full segment need not wait */
}

/* Half of the largest window ever offered is worth sending: the peer's buffer may be small. */
static void test_sender_uses_half_of_small_window(void **state)
{
    (void)state;
    c->window = 1000;
    establish(NULL);
    script_write(c, 3000);
    script_expect(c, TCP_ACK, 1, 1, 1000);
    c->window = 499;
    script_send(c, TCP_ACK, 1, 1001, 0);
    script_expect_none(s);
    c->window = 500;
    script_send(c, TCP_ACK, 1, 1001, 0);
    script_expect(c, TCP_ACK, 1001, 1, 500);
}

/* All that there is to send goes, however small. */
static void test_sender_sends_the_rest(void **state)
{
    (void)state;
    establish(NULL);
    script_write(c, 3);
    script_expect(c, TCP_ACK, 1, 1, 3);
    script_write(c, 5);
    script_expect(c, TCP_ACK, 4, 1, 5);
}

/* A FIN takes a number, and so needs room. */
static void test_fin_needs_window(void **state)
{
    (void)state;
    c->window = 100;
    establish(NULL);
    script_write(c, 100);
    sock_shutdown(c->sock);
    script_flush(s);
    script_expect(c, TCP_ACK, 1, 1, 100);
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 101, 0);
    script_expect(c, FINACK, 101, 1, 0);
}

/* ---- the window that we offer ---- */

static uint32_t offered(const struct script_segment *g)
{
    return (uint32_t)g->tcp.window << 7;
}

static void establish_scaled(uint32_t receive_buffer)
{
    c->wscale = 7;
    c->window = 512;
    establish(&(struct sock_options){.receive_buffer = receive_buffer});
}

/* Closes as nobody reads, and opens with an update when the reader comes. */
static void test_window_closes_and_opens(void **state)
{
    const struct script_segment *g;
    uint32_t seq = 1;

    (void)state;
    establish_scaled(16384);
    for (uint32_t space = 16384; space > 0;) {
        uint32_t len = space < 1408 ? space : 1408; /* 11 units of the scale */

        script_send(c, TCP_ACK, seq, 1, len);
        seq += len;
        space -= len;
        script_advance(s, 50 * CLOCK_MS);
        g = script_expect(c, TCP_ACK, 1, seq, 0);
        assert_int_equal(offered(g), space);
    }
    /* A byte more: not taken, acknowledged at once (3.10.7.4, first check). */
    script_send(c, TCP_ACK, seq, 1, 1);
    g = script_expect(c, TCP_ACK, 1, seq, 0);
    assert_int_equal(g->tcp.window, 0);
    assert_int_equal(sock_readable(c->sock), 16384);
    /* Silly window, receiver's side (3.8.6.2.2): no update, nor a larger window in an answer, for
     * less than a segment. */
    script_read(c, MSS - 1);
    script_expect_none(s);
    script_send(c, TCP_ACK, seq, 1, 1);
    assert_int_equal(script_expect(c, TCP_ACK, 1, seq, 0)->tcp.window, 0);
    script_read(c, 1);
    g = script_expect(c, TCP_ACK, 1, seq, 0);
    assert_in_range(offered(g), MSS, MSS + 127);
    script_read(c, 16384);
    g = script_expect(c, TCP_ACK, 1, seq, 0);
    assert_int_equal(offered(g), 16384);
}

/* Half of a buffer that is smaller than two segments is worth an update. */
static void test_window_of_small_buffer(void **state)
{
    (void)state;
    establish_scaled(1024);
    script_send(c, TCP_ACK, 1, 1, 1024);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 1025, 0)->tcp.window, 0);
    script_read(c, 511);
    script_expect_none(s);
    script_read(c, 1);
    assert_int_equal(offered(script_expect(c, TCP_ACK, 1, 1025, 0)), 512);
}

/* While the window is wide, not every read is worth an update. */
static void test_few_updates(void **state)
{
    (void)state;
    establish_scaled(65536);
    for (uint32_t seq = 1; seq < 20 * MSS; seq += MSS) {
        script_send(c, TCP_ACK, seq, 1, MSS);
        script_read(c, MSS);
    }
    script_advance(s, 50 * CLOCK_MS);
    assert_in_range(script_discard(s), 10, 30);
}

/* The right edge never goes back by more than the scaling makes it (RFC 7323, 2.4), whatever the
 * reader does; and what was offered is taken. */
static void test_right_edge_stays(void **state)
{
    uint32_t seq = 1, edge = 0, random = 1;

    (void)state;
    establish_scaled(20000);
    for (unsigned i = 0; i < 2000; i++) {
        const struct script_segment *g;
        uint32_t len, room = edge - seq;

        random = random * 1103515245 + 12345;
        len = 1 + (random >> 16) % 1400;
        if (edge == 0)
            room = 20000;
        if (len > room)
            len = room;
        if (len > 0) {
            script_send(c, TCP_ACK, seq, 1, len);
            seq += len;
        }
        if ((random >> 8) % 3 == 0)
            script_read(c, (random >> 4) % 4000);
        script_send(c, TCP_ACK, seq - 1, 1, 1); /* makes it acknowledge */
        while ((g = script_next(s)) != NULL) {
            assert_int_equal(g->tcp.ack - c->peer_iss, seq); /* all of it */
            assert_true(edge == 0 || (int32_t)(seq + offered(g) - edge) > -128);
            if (edge == 0 || (int32_t)(seq + offered(g) - edge) > 0)
                edge = seq + offered(g);
        }
    }
}

/* Rounding the window to the scale must not give room that is not there: a peer that sends a few
 * bytes at a time to a reader that does not read would fill all memory. */
static void test_small_segments_fill_the_window(void **state)
{
    uint32_t seq = 1;

    (void)state;
    establish_scaled(8192);
    for (unsigned i = 0; i < 1000; i++) {
        script_send(c, TCP_ACK, seq, 1, 100);
        seq += 100;
        script_send(c, TCP_ACK, 1, 1, 1); /* old: makes it acknowledge at once */
    }
    assert_in_range(sock_readable(c->sock), 8192, 8192 + 127);
    script_discard(s);
    script_read(c, 10000);
    assert_int_equal(offered(script_expect(c, TCP_ACK, 1, 1 + (uint32_t)c->read, 0)), 8192);
}

/* Without window scaling the field is the limit, and reading more than it can say is no news. */
static void test_unscaled_window(void **state)
{
    (void)state;
    establish(NULL);
    script_send(c, TCP_ACK, 1, 1, 100);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 101, 0)->tcp.window, 65435);
    script_read(c, 100);
    script_expect_none(s);
}

/* ---- sequence numbers of bare acknowledgements: 3.10.7.4 ---- */

/* After a timeout what was sent is sent again; a bare acknowledgement must not go back with it: the
 * peer, which may have had all but the first segment, would drop it. */
static void test_ack_after_timeout(void **state)
{
    (void)state;
    establish(NULL);
    script_write(c, 5 * MSS);
    assert_int_equal(script_discard(s), 5);
    script_advance(s, 210 * CLOCK_MS);
    script_expect(c, TCP_ACK, 1, 1, MSS);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1 + 5 * MSS, 101, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_zero_window_probes),
        TEST(test_zero_window_for_hours),
        TEST(test_zero_window_after_idle),
        TEST(test_zero_window_silent_peer),
        TEST(test_zero_window_orphan),
        TEST(test_window_update_lost),
        TEST(test_window_shrinks),
        TEST(test_window_shrinks_for_long),
        TEST(test_window_of_retransmission),
        TEST(test_zero_window_opens_a_crack),
        TEST(test_window_of_old_segment),
        TEST(test_sender_avoids_silly_window),
        TEST(test_sender_uses_half_of_small_window),
        TEST(test_sender_sends_the_rest),
        TEST(test_fin_needs_window),
        TEST(test_window_closes_and_opens),
        TEST(test_window_of_small_buffer),
        TEST(test_few_updates),
        TEST(test_right_edge_stays),
        TEST(test_small_segments_fill_the_window),
        TEST(test_unscaled_window),
        TEST(test_ack_after_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
