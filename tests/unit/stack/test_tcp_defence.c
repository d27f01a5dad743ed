/*
 * Segments that a blind attacker, an old duplicate or a broken host may send, and what must not
 * follow from them (RFC 5961; RFC 7323, 5; RFC 5927).
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>

#define FINACK (TCP_FIN | TCP_ACK)
#define SYNACK (TCP_SYN | TCP_ACK)

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

static int setup_wrap(void **state)
{
    (void)state;
    s = script_create(&(struct script_config){.start = SCRIPT_WRAP - CLOCK_SEC / 2});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_establish(c, listener);
    return 0;
}

static int setup_timestamps(void **state)
{
    (void)state;
    s = script_create(NULL);
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    c->timestamps = true;
    script_establish(c, listener);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* ---- RST: RFC 5961, 3.2 ---- */

static void test_rst_exact(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 1, 1, 10);
    script_discard(s);
    script_events(s, c->sock);
    script_send(c, TCP_RST, 11, 0, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_RESET);
    assert_int_equal(sock_readable(c->sock), 0); /* without a FIN it may not be complete */
    assert_false(sock_eof(c->sock));
    script_expect_none(s);
    sock_close(c->sock);
}

static void test_rst_in_window(void **state)
{
    (void)state;
    for (uint32_t seq = 2; seq < 65536; seq += 9000) {
        script_send(c, TCP_RST, seq, 0, 0);
        script_expect(c, TCP_ACK, 1, 1, 0); /* a challenge */
        script_advance(s, CLOCK_SEC);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
}

static void test_rst_outside_window(void **state)
{
    (void)state;
    script_send(c, TCP_RST, 0, 0, 0);
    script_send(c, TCP_RST, 300000, 0, 0);
    script_send(c, TCP_RST, 0x80000000, 0, 0);
    script_expect_none(s);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
}

/* A RST by a sequence number that is not exact kills in no state. */
static void test_rst_inexact_in_every_state(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 6; way++) {
        struct script_conn *k = script_conn(s);
        uint32_t rcv_nxt = 1;

        if (way == 0) { /* SYN-RECEIVED */
            script_send(k, TCP_SYN, 0, 0, 0);
        } else {
            script_establish(k, listener);
            if (way == 1 || way == 4) /* CLOSE-WAIT, LAST-ACK */
                script_send(k, FINACK, rcv_nxt++, 1, 0);
            if (way >= 2) /* FIN-WAIT-1 */
                sock_shutdown(k->sock);
            script_flush(s);
            if (way == 3) /* FIN-WAIT-2 */
                script_send(k, TCP_ACK, 1, 2, 0);
            if (way == 5) /* CLOSING */
                script_send(k, FINACK, rcv_nxt++, 1, 0);
        }
        script_discard(s);
        for (uint32_t off = 1; off < 65535; off *= 2) {
            script_send(k, TCP_RST, rcv_nxt + off, 0, 0);
            script_send(k, TCP_RST | TCP_ACK, rcv_nxt + off, 1, 0);
            script_send(k, TCP_RST, rcv_nxt - off, 0, 0);
        }
        script_discard(s);
        assert_int_equal(script_usage(s).connections_used, 2); /* c and k */
        script_send(k, TCP_RST, rcv_nxt, 0, 0);
        assert_int_equal(script_usage(s).connections[TCP_ESTABLISHED], 1); /* c */
        if (way > 0)
            sock_close(k->sock);
        assert_int_equal(script_usage(s).connections_used, 1);
    }
}

/* Ahead of the RST something was lost: the challenge lets the peer send an exact one. */
static void test_rst_after_loss(void **state)
{
    (void)state;
    script_send(c, TCP_RST, 1001, 0, 0);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_RST, 1, 0, 0);
    assert_int_equal(sock_error(c->sock), SOCK_RESET);
    sock_close(c->sock);
}

/* ---- SYN: RFC 5961, 4.2 ---- */

static void test_syn_on_connection(void **state)
{
    static const uint32_t seqs[] = {0, 1, 100, 65536, 300000, 0x80000001};
    static const uint8_t flags[] = {TCP_SYN, SYNACK};

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        script_send(c, flags[i % 2], seqs[i / 2], 1, 0);
        script_expect(c, TCP_ACK, 1, 1, 0);
        script_advance(s, CLOCK_SEC);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(sock_readable(c->sock), 0);
}

/* The challenge of a peer that has lost the connection is answered by an exact RST. */
static void test_syn_of_restarted_peer(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 100000, 0, 0);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_RST, 1, 0, 0);
    assert_int_equal(sock_error(c->sock), SOCK_RESET);
    sock_close(c->sock);
}

/* RFC 5961, 7: ten in five seconds, five of them at once; for each connection alone. */
static void test_challenge_limit(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    script_establish(k, listener);
    for (unsigned i = 0; i < 100; i++)
        script_send(c, TCP_SYN, 1, 0, 0);
    assert_int_equal(script_discard(s), 5);
    assert_int_equal(script_counters(s)->tcp_challenge_acks, 5);
    assert_int_equal(script_counters(s)->tcp_challenge_acks_limited, 95);
    script_send(k, TCP_SYN, 1, 0, 0);
    script_expect(k, TCP_ACK, 1, 1, 0);
    script_advance(s, CLOCK_SEC);
    script_send(c, TCP_SYN, 1, 0, 0);
    script_send(c, TCP_SYN, 1, 0, 0);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_expect_none(s);
}

#define CROWD 1600

/* Each of many connections is challenged as often as it may be; returns how many ACKs came. */
static unsigned challenge_crowd(struct script_conn **crowd)
{
    for (unsigned i = 0; i < CROWD; i++) {
        for (unsigned n = 0; n < 5; n++)
            script_send(crowd[i], TCP_SYN, 1, 0, 0);
    }
    return script_discard(s);
}

/* All together have a budget. It is another one each second, or it could be used to find out
 * whether a guess about somebody else's connection was right (CVE-2016-5696). */
static void test_challenge_budget(void **state)
{
    static struct script_conn *crowd[CROWD];
    unsigned counts[4];

    (void)state;
    s = script_create(&(struct script_config){.max_connections = 2 * CROWD});
    listener = script_listen(s, 80, 2 * CROWD, NULL);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = script_conn(s);
        script_establish(crowd[i], listener);
    }
    for (unsigned i = 0; i < 4; i++) {
        counts[i] = challenge_crowd(crowd);
        assert_in_range(counts[i], 2500, 7499);
        script_advance(s, 10 * CLOCK_SEC);
    }
    assert_true(counts[0] != counts[1] && counts[1] != counts[2] && counts[2] != counts[3]);
    assert_true(script_counters(s)->tcp_challenge_budget_exhausted > 0);
}

/* ---- ACK: RFC 5961, 5.2 ---- */

static void test_ack_out_of_range(void **state)
{
    (void)state;
    script_write(c, 1000);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1002, 50); /* of what was never sent */
    script_expect(c, TCP_ACK, 1001, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0); /* the text of such a segment is not taken */
    assert_int_equal(sock_unacknowledged(c->sock), 1000);
    script_advance(s, CLOCK_SEC);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1 - 65536u, 50); /* older than the largest window */
    script_expect(c, TCP_ACK, 1001, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0);
    assert_int_equal(script_counters(s)->drop_tcp_ack, 2);
    script_send(c, TCP_ACK, 1, 1 - 65535u, 50); /* old, but possible */
    assert_int_equal(sock_readable(c->sock), 50);
}

static void test_no_ack_flag(void **state)
{
    (void)state;
    script_send(c, 0, 1, 0, 50);
    script_send(c, TCP_FIN, 1, 0, 0);
    script_send(c, TCP_PSH | TCP_URG, 1, 0, 50);
    assert_int_equal(sock_readable(c->sock), 0);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_counters(s)->drop_tcp_flags, 3);
}

/* RFC 9293, 3.10.7.4, first check: out of the window is acknowledged, not taken. */
static void test_data_outside_window(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 300001, 1, 100);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_ACK, 1 - 1000u, 1, 100);
    script_expect(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0);
    assert_int_equal(script_counters(s)->drop_tcp_out_of_window, 2);
}

/* A peer's keepalive, one below the window, without and with a byte (RFC 1122, 4.2.3.6). */
static void test_keepalive_of_peer(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 0, 1, 0);
    script_expect(c, TCP_ACK, 1, 1, 0);
    script_send(c, TCP_ACK, 0, 1, 1);
    script_expect(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0);
}

/* RFC 6093, 6: the pointer is not looked at, wherever it points to; urgent bytes are bytes. */
static void test_urgent(void **state)
{
    static const uint16_t pointers[] = {0, 1, 10, 11, 65535};
    struct packet_tcp h = {
        .flags = TCP_ACK | TCP_URG,
        .ack = c->stack_iss + 1,
        .window = 65535,
    };
    uint8_t data[10];

    (void)state;
    for (unsigned n = 0; n < 5; n++) {
        h.seq = c->peer_iss + 1 + n * 10;
        h.urgent = pointers[n];
        for (unsigned i = 0; i < sizeof data; i++)
            data[i] = script_byte(n * 10 + i);
        script_send_raw(c, &h, data, sizeof data);
        assert_int_equal(script_read(c, 100), 10);
    }
    assert_int_equal(script_counters(s)->tcp_urgent, 5);
}

/* ---- timestamps: RFC 7323 ---- */

static struct packet_tcp timestamped(uint32_t seq, uint32_t ts_value)
{
    return (struct packet_tcp){
        .flags = TCP_ACK,
        .seq = c->peer_iss + seq,
        .ack = c->stack_iss + 1,
        .window = 65535,
        .has_timestamp = true,
        .ts_value = ts_value,
        .ts_echo = c->ts_recent,
    };
}

/* 5.3, R1: an old timestamp, in spite of good numbers. */
static void test_paws(void **state)
{
    struct packet_tcp old = timestamped(1, c->ts_base - 1);

    (void)state;
    script_send_raw(c, &old, "x", 1);
    script_expect(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0);
    assert_int_equal(script_counters(s)->drop_tcp_paws, 1);
    old.ts_value = c->ts_base - 0x7fffffffu;
    script_send_raw(c, &old, "x", 1);
    assert_int_equal(sock_readable(c->sock), 0);
    old.ts_value = c->ts_base;
    script_send_raw(c, &old, "x", 1);
    assert_int_equal(sock_readable(c->sock), 1);
}

/* A RST is not subject to it (5.2). */
static void test_paws_rst(void **state)
{
    struct packet_tcp rst = timestamped(1, c->ts_base - 1000);

    (void)state;
    rst.flags = TCP_RST;
    script_send_raw(c, &rst, NULL, 0);
    assert_int_equal(sock_error(c->sock), SOCK_RESET);
    sock_close(c->sock);
}

/* 3.2: once negotiated, every segment has them, or is dropped. */
static void test_timestamp_missing(void **state)
{
    (void)state;
    c->timestamps = false;
    script_send(c, TCP_ACK, 1, 1, 10);
    script_expect_none(s);
    assert_int_equal(sock_readable(c->sock), 0);
    script_send(c, TCP_RST, 1, 0, 0); /* again not for RST */
    assert_int_equal(sock_error(c->sock), SOCK_RESET);
    sock_close(c->sock);
}

/* 4.3: what is echoed is that of the segment that the acknowledgement is for. */
static void test_timestamp_echo(void **state)
{
    struct packet_tcp h;

    (void)state;
    h = timestamped(101, c->ts_base + 50); /* ahead of a gap */
    script_send_raw(c, &h, "xxxxxxxxxx", 10);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 1, 0)->tcp.ts_echo, c->ts_base);
    h = timestamped(1, c->ts_base + 60);
    script_send_raw(c, &h, "xxxxxxxxxx", 10);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 11, 0)->tcp.ts_echo, c->ts_base + 60);
    /* Two segments, one delayed acknowledgement: the earlier one's is echoed, which makes the peer
     * count our delay in. */
    script_advance(s, CLOCK_SEC);
    script_discard(s);
    script_hold(s);
    h = timestamped(11, c->ts_base + 70);
    script_send_raw(c, &h, "xxxxxxxxxx", 10);
    h = timestamped(21, c->ts_base + 80);
    script_send_raw(c, &h, "xxxxxxxxxx", 10);
    script_release(s);
    script_advance(s, 50 * CLOCK_MS);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 31, 0)->tcp.ts_echo, c->ts_base + 70);
}

/* Who guesses the sequence number, but not the acknowledgement, must not move the peer's clock: all
 * its segments would be old then. */
static void test_timestamp_poisoned(void **state)
{
    struct packet_tcp h = timestamped(1, c->ts_base + 1000000);

    (void)state;
    h.ack = c->stack_iss + 100000;
    script_send_raw(c, &h, "x", 1);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1, 10);
    assert_int_equal(script_read(c, 100), 10);
}

/* 5.5: after 24 days of silence the clock may have wrapped. It is believed, and kept, again. */
static void test_paws_expiry(void **state)
{
    uint32_t old = c->ts_base - 1000000;
    struct packet_tcp h;

    (void)state;
    script_advance(s, (clock_ns)25 * 24 * 3600 * CLOCK_SEC);
    h = timestamped(1, old);
    script_send_raw(c, &h, "x", 1);
    assert_int_equal(sock_readable(c->sock), 1);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 2, 0)->tcp.ts_echo, old);
    h = timestamped(2, old - 1);
    script_send_raw(c, &h, "x", 1);
    assert_int_equal(sock_readable(c->sock), 1);
}

/* ---- ICMP: RFC 5927 ---- */

#define UNREACHABLE 3
#define PORT        3
#define TOO_BIG     4

/* 4: an error that quotes nothing in flight is not ours. */
static void test_icmp_sequence(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    script_connect(k, NULL);
    script_expect(k, TCP_SYN, 0, 0, 0);
    script_icmp(k, UNREACHABLE, PORT, 0, 1);
    script_icmp(k, UNREACHABLE, PORT, 0, -1u);
    assert_int_equal(sock_state(k->sock), TCP_SYN_SENT);
    assert_int_equal(script_counters(s)->drop_icmp_unmatched, 2);
    script_icmp(k, UNREACHABLE, PORT, 0, 0);
    assert_int_equal(script_events(s, k->sock), EVENT_ERROR);
    assert_int_equal(sock_error(k->sock), SOCK_UNREACHABLE);
    sock_close(k->sock);
}

/* 5: a connection that stands is not ended by one, nor a half-open one. */
static void test_icmp_on_connection(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    script_send(k, TCP_SYN, 0, 0, 0);
    script_write(c, 100);
    for (uint8_t code = 0; code < 16; code++) {
        if (code == TOO_BIG)
            continue;
        script_icmp(c, UNREACHABLE, code, 0, 1);
        script_icmp(k, UNREACHABLE, code, 0, 0);
        script_icmp(c, 11, code, 0, 1);
    }
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_WRAP(name)                                 \
    {                                                   \
#name "_wrap", name, setup_wrap, teardown, NULL \
    }
#define TEST_TS(name) cmocka_unit_test_setup_teardown(name, setup_timestamps, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rst_exact),
        TEST(test_rst_in_window),
        TEST(test_rst_outside_window),
        TEST(test_rst_inexact_in_every_state),
        TEST(test_rst_after_loss),
        TEST(test_syn_on_connection),
        TEST(test_syn_of_restarted_peer),
        TEST(test_challenge_limit),
        TEST_WRAP(test_challenge_limit),
        cmocka_unit_test_teardown(test_challenge_budget, teardown),
        TEST(test_ack_out_of_range),
        TEST(test_no_ack_flag),
        TEST(test_data_outside_window),
        TEST(test_keepalive_of_peer),
        TEST(test_urgent),
        TEST_TS(test_paws),
        TEST_TS(test_paws_rst),
        TEST_TS(test_timestamp_missing),
        TEST_TS(test_timestamp_echo),
        TEST_TS(test_timestamp_poisoned),
        TEST_TS(test_paws_expiry),
        TEST(test_icmp_sequence),
        TEST(test_icmp_on_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
