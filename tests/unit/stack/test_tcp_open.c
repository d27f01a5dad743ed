/*
 * Opening connections: passive and active, options, retransmission of SYN and SYN-ACK, refusals,
 * the backlog and floods (RFC 9293, 3.5 and 3.10.7; RFC 6298, 5; RFC 7323; RFC 6528).
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>

#include "stack/wire/wire.h"

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
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* ---- passive ---- */

/* RFC 9293, 3.5, figure 6. */
static void test_passive_open(void **state)
{
    const struct script_segment *g;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_true(g->tcp.has_mss);
    assert_int_equal(g->tcp.mss, 1460);
    assert_int_equal(g->tcp.window, 65535);
    assert_int_equal(g->band, EGRESS_CONTROL);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 1);
    assert_int_equal(script_events(s, listener), 0);
    assert_null(sock_accept(listener));
    script_send(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(s, listener), EVENT_ACCEPT);
    script_accept(c, listener);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_null(sock_accept(listener));
    script_expect_none(s);
}

/* The owner's bound holds for both directions. */
static void test_mss_bound(void **state)
{
    const struct sock_options options = {.mss = 1000};
    struct sock *l = script_listen(s, 81, 4, &options);
    const struct script_segment *g;

    (void)state;
    c->stack_port = 81;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(g->tcp.mss, 1000);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    script_write(c, 1100);
    script_expect(c, TCP_ACK, 1, 1, 1000);
    script_expect(c, TCP_ACK, 1001, 1, 100);
}

/* RFC 7323, 2.2 and 3.2: an option that the SYN lacks is not in the SYN-ACK, nor later. */
static void test_passive_options_absent(void **state)
{
    const struct script_segment *g;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_false(g->tcp.has_wscale);
    assert_false(g->tcp.has_timestamp);
    script_send(c, TCP_ACK, 1, 1, 10);
    g = script_expect(c, TCP_ACK, 1, 11, 0);
    assert_false(g->tcp.has_timestamp);
    assert_int_equal(g->tcp.window, 65525); /* unscaled: it cannot say more */
}

static void test_passive_options_present(void **state)
{
    const struct script_segment *g;

    (void)state;
    c->wscale = 3;
    c->timestamps = true;
    c->window = 1000;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_true(g->tcp.has_wscale);
    assert_true(g->tcp.has_timestamp);
    assert_int_equal(g->tcp.ts_echo, c->ts_base);
    script_advance(s, 7 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_accept(c, listener);
    g = script_expect(c, TCP_ACK, 1, 11, 0);
    assert_int_equal(g->tcp.ts_echo, c->ts_base + 7);
    assert_int_equal((uint32_t)g->tcp.window << 7, 65536);
    /* Our data follows their scaled window and leaves room for the timestamps. */
    assert_int_equal(script_write(c, 20000), 20000);
    for (uint32_t seq = 1; seq + 1448 <= 8001; seq += 1448)
        script_expect(c, TCP_ACK, seq, 11, 1448);
    assert_int_equal(script_discard(s), 0);
    script_send(c, TCP_ACK, 11, 1 + 5 * 1448, 0);
    assert_int_equal(script_discard(s), 5);
}

/* RFC 9293, 3.7.1: without the option 536 bytes, never more than our own MTU; one that is absurdly
 * small would make us send storms of headers. */
static void test_mss(void **state)
{
    static const struct {
        uint16_t offered, used;
    } cases[] = {{0, 536}, {1, 88}, {88, 88}, {1000, 1000}, {9000, 1460}};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script_conn *k = script_conn(s);

        k->mss = cases[i].offered;
        script_establish(k, listener);
        script_write(k, 3000);
        script_expect(k, TCP_ACK, 1, 1, cases[i].used);
        script_discard(s);
    }
    /* The option is there and says 0. */
    c->mss = 1460;
    script_send_raw(c, &(struct packet_tcp){.flags = TCP_SYN, .window = 65535, .has_mss = true},
                    NULL, 0);
    c->peer_iss = 0;
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    script_write(c, 1000);
    script_expect(c, TCP_ACK, 1, 1, 88);
}

/* RFC 7323, 2.3: a shift above 14 means 14. */
static void test_wscale_limit(void **state)
{
    struct sock_info info;

    (void)state;
    c->wscale = 200;
    c->window = 1;
    script_establish(c, listener);
    sock_info(c->sock, &info);
    assert_int_equal(info.send_window, 1u << 14);
}

/* RFC 6298, 5.5: the SYN-ACK is repeated after 1, 2, 4 ... seconds, a bounded number of times. */
static void test_synack_retries(void **state)
{
    clock_ns at = script_now(s);

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_advance(s, 200 * CLOCK_SEC);
    for (unsigned i = 0; i < 5; i++) {
        const struct script_segment *g = script_expect(c, SYNACK, 0, 1, 0);

        script_assert_at(g, at + (CLOCK_SEC << i));
        at = g->at;
    }
    script_expect_none(s);
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(script_counters(s)->tcp_syn_expired, 1);
    assert_int_equal(script_events(s, listener), 0);
}

/* A repeated SYN means that the SYN-ACK was lost: it is sent again at once. */
static void test_syn_repeated(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(s, listener), EVENT_ACCEPT);
    assert_int_equal(script_usage(s).connections_used, 1);
}

/* RFC 6298, 3 (Karn): which of two SYN-ACKs the ACK answers is not known, so the time that passed
 * is no round trip. 5.7: without a sample, data begins with an RTO of 3 s. */
static void test_synack_repeated_is_no_sample(void **state)
{
    struct sock_info info;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_advance(s, 900 * CLOCK_MS);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_advance(s, 10 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    sock_info(c->sock, &info);
    assert_int_equal(info.srtt, 0);
    assert_int_equal(info.rto, CLOCK_SEC);
}

/* RFC 9293, 3.10.7.4, fifth check in SYN-RECEIVED: a wrong acknowledgement is answered by a RST and
 * leaves the half-open connection alone. */
static void test_wrong_ack_in_syn_received(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK, 1, 2, 0);
    script_expect(c, TCP_RST, 2, 0, 0);
    script_send(c, TCP_ACK, 1, 0, 0);
    script_expect(c, TCP_RST, 0, 0, 0);
    assert_int_equal(script_events(s, listener), 0);
    script_send(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(s, listener), EVENT_ACCEPT);
}

/* The third segment may be lost and data completes the handshake, a FIN with it. */
static void test_data_completes_handshake(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK | TCP_FIN, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 102, 0);
    script_accept(c, listener);
    assert_int_equal(sock_state(c->sock), TCP_CLOSE_WAIT);
    assert_int_equal(script_events(s, c->sock), EVENT_READABLE);
    assert_int_equal(script_read(c, 1000), 100);
    assert_true(sock_eof(c->sock));
}

/* RFC 9293, 3.10.7.2 allows to drop text that comes with the SYN; it is not acknowledged and comes
 * again. */
static void test_data_on_syn(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 20);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(script_counters(s)->tcp_syn_data_ignored, 1);
    script_send(c, TCP_ACK, 1, 1, 20);
    script_expect(c, TCP_ACK, 1, 21, 0);
    script_accept(c, listener);
    assert_int_equal(script_read(c, 1000), 20);
}

/* No connection begins with such flags. */
static void test_impossible_flags(void **state)
{
    static const uint8_t flags[] = {TCP_SYN | TCP_RST, TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK, 0,
                                    TCP_FIN | TCP_PSH | TCP_URG, 0xff};

    (void)state;
    for (unsigned i = 0; i < sizeof flags; i++) {
        script_send(c, flags[i], 0, 0, 0);
        assert_int_equal(script_usage(s).connections_used, 0);
        if ((flags[i] & TCP_RST) != 0)
            script_expect_none(s); /* a RST is never answered: RFC 9293, 3.10.7.1 */
        script_discard(s);
    }
}

/* RFC 9293, 3.10.7.1. */
static void test_refused(void **state)
{
    const struct script_segment *g;

    (void)state;
    c->stack_port = 81;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_next(s);
    assert_int_equal(g->tcp.flags, TCP_RST | TCP_ACK);
    assert_int_equal(g->tcp.seq, 0);
    assert_int_equal(g->tcp.ack, c->peer_iss + 1);
    script_send(c, TCP_SYN | TCP_FIN, 0, 0, 10);
    assert_int_equal(script_next(s)->tcp.ack, c->peer_iss + 12);
    script_send(c, TCP_ACK, 5, 77, 10);
    g = script_next(s);
    assert_int_equal(g->tcp.flags, TCP_RST);
    assert_int_equal(g->tcp.seq, c->stack_iss + 77);
    script_send(c, TCP_RST, 5, 0, 0);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->drop_tcp_no_port, 4);
}

/* ---- the backlog; test_tcp_cookie.c has what cookies change ---- */

static const struct sock_options no_cookies = {.cookies = SOCK_COOKIES_OFF};

/* Full of half-open connections, and no cookies: the oldest gives way. */
static void test_backlog_evicts_oldest(void **state)
{
    struct sock *l = script_listen(s, 81, 2, &no_cookies);
    struct script_conn *k[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        k[i] = script_conn(s);
        k[i]->stack_port = 81;
        script_send(k[i], TCP_SYN, 0, 0, 0);
        script_expect(k[i], SYNACK, 0, 1, 0);
    }
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 2);
    script_send(k[0], TCP_ACK, 1, 1, 0); /* gone: nobody knows it */
    script_expect(k[0], TCP_RST, 1, 0, 0);
    script_send(k[1], TCP_ACK, 1, 1, 0);
    script_send(k[2], TCP_ACK, 1, 1, 0);
    script_accept(k[1], l);
    script_accept(k[2], l);
}

/* Full of connections that wait to be accepted: the SYN is dropped and counted. */
static void test_backlog_full_of_accepted(void **state)
{
    struct sock *l = script_listen(s, 81, 1, NULL);
    struct script_conn *k[2] = {script_conn(s), script_conn(s)};

    (void)state;
    k[0]->stack_port = k[1]->stack_port = 81;
    script_handshake(k[0]);
    script_send(k[1], TCP_SYN, 0, 0, 0);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->drop_tcp_backlog, 1);
    script_accept(k[0], l);
    script_send(k[1], TCP_SYN, 0, 0, 0);
    script_expect(k[1], SYNACK, 0, 1, 0);
}

static void flood(unsigned count, uint16_t port)
{
    struct script_conn *k = script_conn(s);

    k->stack_port = port;
    for (unsigned i = 0; i < count; i++) {
        k->host = (uint8_t)(2 + i % 250);
        k->peer_port = (uint16_t)(1024 + i);
        script_send(k, TCP_SYN, 0, 0, 0);
        script_discard(s);
    }
}

/* Floods are bounded by the backlog, and an honest client still gets through. */
static void test_syn_flood(void **state)
{
    struct sock *l = script_listen(s, 81, 16, &no_cookies);

    (void)state;
    c->stack_port = 81;
    flood(2000, 81);
    assert_int_equal(script_usage(s).connections_used, 16);
    assert_int_equal(script_usage(s).buffers_used, 0);
    script_establish(c, l);
    flood(100, 81);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_advance(s, 200 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 1);
}

/* The same when the pool of connections is smaller than the backlog: some blocks stay for those
 * that the appliance opens itself, and the newest client is not locked out. */
static void test_syn_flood_small_pool(void **state)
{
    struct sock *l = script_listen(s, 81, 1000, NULL);

    (void)state;
    c->stack_port = 81;
    for (unsigned i = 0; i < 500; i++) {
        struct script_conn k = *c;

        k.host = (uint8_t)(2 + i % 250);
        k.peer_port = (uint16_t)(1024 + i);
        script_send(&k, TCP_SYN, 0, 0, 0);
        script_discard(s);
    }
    assert_int_equal(script_usage(s).connections_used, 64 - 64 / 8);
    script_establish(c, l);
    for (unsigned i = 0; i < 8; i++)
        script_connect(script_conn(s), NULL);
}

/* A connection that dies before it was accepted leaves the queue. */
static void test_reset_before_accept(void **state)
{
    (void)state;
    script_handshake(c);
    script_send(c, TCP_RST, 1, 0, 0);
    assert_null(sock_accept(listener));
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* Closing a listener resets the connections that it had not handed out. */
static void test_listener_close(void **state)
{
    struct script_conn *half = script_conn(s);

    (void)state;
    script_handshake(c);
    script_send(half, TCP_SYN, 0, 0, 0);
    script_expect(half, SYNACK, 0, 1, 0);
    sock_close(listener);
    script_expect(half, TCP_RST | TCP_ACK, 1, 1, 0);
    script_expect(c, TCP_RST | TCP_ACK, 1, 1, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_advance(s, 10 * CLOCK_SEC);
    script_expect_none(s);
}

/* What it had not handed out is reset and new SYNs are refused; what was accepted goes on. */
static void test_listener_refuse(void **state)
{
    struct script_conn *half = script_conn(s), *late = script_conn(s);

    (void)state;
    script_establish(c, listener);
    script_send(half, TCP_SYN, 0, 0, 0);
    script_expect(half, SYNACK, 0, 1, 0);
    sock_listener_refuse(listener);
    script_expect(half, TCP_RST | TCP_ACK, 1, 1, 0);
    script_send(late, TCP_SYN, 0, 0, 0);
    script_expect(late, TCP_RST | TCP_ACK, 0, 1, 0);
    assert_int_equal(script_counters(s)->drop_tcp_no_connection, 1);
    assert_int_equal(script_usage(s).connections_used, 1);
    script_send(c, TCP_ACK, 1, 1, 10);
    assert_int_equal(script_read(c, 10), 10);
}

static void test_listen_errors(void **state)
{
    struct ip_endpoint at = script_endpoint(1, 80);
    enum sock_error error;

    (void)state;
    assert_null(sock_listen(script_stack(s), &at, 1, NULL, NULL, &error));
    assert_int_equal(error, SOCK_IN_USE);
    at = script_endpoint(9, 80);
    assert_null(sock_listen(script_stack(s), &at, 1, NULL, NULL, &error));
    assert_int_equal(error, SOCK_BAD_ADDRESS);
}

/* A listener on the address goes before one on any address. */
static void test_listener_specific_first(void **state)
{
    struct ip_endpoint any = {.port = 80};
    enum sock_error error;
    struct sock *l;

    (void)state;
    ip_parse("0.0.0.0", &any.addr);
    l = sock_listen(script_stack(s), &any, 4, NULL, NULL, &error);
    assert_non_null(l);
    script_establish(c, listener);
    sock_close(listener);
    script_establish(script_conn(s), l);
}

/* ---- active ---- */

static void test_active_open(void **state)
{
    const struct script_segment *g;

    (void)state;
    script_connect(c, NULL);
    g = script_expect(c, TCP_SYN, 0, 0, 0);
    assert_int_equal(g->tcp.flags, TCP_SYN);
    assert_int_equal(g->tcp.mss, 1460);
    assert_true(g->tcp.has_wscale && g->tcp.has_timestamp);
    assert_int_equal(g->tcp.ts_echo, 0);
    assert_int_equal(g->tcp.window, 65535);
    assert_int_equal(sock_state(c->sock), TCP_SYN_SENT);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, SYNACK, 0, 1, 0);
    g = script_expect(c, TCP_ACK, 1, 1, 0);
    assert_false(g->tcp.has_timestamp);
    assert_int_equal(script_events(s, c->sock), EVENT_CONNECTED);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_counters(s)->tcp_connected, 1);
}

/* What was written and shut down before the answer came goes out behind it. */
static void test_write_before_connected(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_expect(c, TCP_SYN, 0, 0, 0);
    assert_int_equal(script_write(c, 100), 100);
    sock_shutdown(c->sock);
    script_flush(s);
    script_expect_none(s);
    script_send(c, SYNACK, 0, 1, 0);
    script_expect(c, TCP_ACK | TCP_FIN, 1, 1, 100);
    assert_int_equal(sock_state(c->sock), TCP_FIN_WAIT_1);
}

/* RFC 6298, 5.5: SYNs after 1, 3, 7, 15, 31, 63 s; then the connect timeout. */
static void test_syn_retransmission(void **state)
{
    clock_ns at = script_now(s);

    (void)state;
    script_connect(c, NULL);
    script_expect(c, TCP_SYN, 0, 0, 0);
    script_advance(s, 74 * CLOCK_SEC);
    for (unsigned i = 0; i < 6; i++) {
        const struct script_segment *g = script_expect(c, TCP_SYN, 0, 0, 0);

        script_assert_at(g, at + (CLOCK_SEC << i));
        at = g->at;
    }
    script_expect_none(s);
    assert_int_equal(script_events(s, c->sock), 0);
    script_advance(s, 2 * CLOCK_SEC);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    assert_int_equal(script_counters(s)->tcp_connect_failed, 1);
    sock_close(c->sock);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* So many times, and then no more, whatever the timeout of the whole. */
static void test_syn_retries(void **state)
{
    (void)state;
    script_destroy(s);
    s = script_create(&(struct script_config){.tcp = {.syn_retries = 2, .synack_retries = 1}});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_connect(c, NULL);
    script_advance(s, 6 * CLOCK_SEC); /* 1 s, 2 s, and 4 s for the last */
    assert_int_equal(script_discard(s), 3);
    assert_int_equal(script_events(s, c->sock), 0);
    script_advance(s, 2 * CLOCK_SEC);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    sock_close(c->sock);
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_advance(s, 4 * CLOCK_SEC);
    assert_int_equal(script_discard(s), 2);
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(script_counters(s)->tcp_syn_expired, 1);
}

/* RFC 9293, 3.10.7.3: what comes with the SYN of the answer is taken. */
static void test_data_on_synack(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_discard(s);
    script_send(c, SYNACK, 0, 1, 3);
    script_expect(c, TCP_ACK, 1, 4, 0);
    assert_int_equal(script_read(c, 10), 3);
    script_send(c, TCP_ACK, 4, 1, 10);
    assert_int_equal(script_read(c, 10), 10);
}

/* The same with a SYN that crosses ours waits until the connection stands. */
static void test_simultaneous_open_data_on_syn(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_discard(s);
    script_send(c, TCP_SYN, 0, 0, 3);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(sock_readable(c->sock), 0);
    script_send(c, TCP_ACK, 4, 1, 0);
    script_expect(c, TCP_ACK, 1, 4, 0);
    assert_int_equal(script_read(c, 10), 3);
}

static void test_connect_timeout_option(void **state)
{
    (void)state;
    script_connect(c, &(struct sock_options){.connect_timeout = 2500 * CLOCK_MS});
    script_advance(s, 2499 * CLOCK_MS);
    assert_int_equal(script_events(s, c->sock), 0);
    script_advance(s, 3 * CLOCK_MS);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    sock_close(c->sock);
}

/* RFC 6298, 5.7: after a lost SYN and without a round trip measured, data starts with an RTO of 3
 * s; RFC 5681, 3.1: and with one segment. */
static void test_rto_after_lost_syn(void **state)
{
    struct sock_info info;
    clock_ns sent;

    (void)state;
    script_connect(c, NULL);
    script_advance(s, 1100 * CLOCK_MS);
    assert_int_equal(script_discard(s), 2);
    script_send(c, SYNACK, 0, 1, 0);
    script_discard(s);
    sock_info(c->sock, &info);
    assert_int_equal(info.srtt, 0);
    assert_int_equal(info.rto, 3 * CLOCK_SEC);
    assert_int_equal(info.cwnd, 1460);
    script_write(c, 5000);
    sent = script_expect(c, TCP_ACK, 1, 1, 1460)->at;
    script_expect_none(s);
    script_advance(s, 4 * CLOCK_SEC);
    script_assert_at(script_expect(c, TCP_ACK, 1, 1, 1460), sent + 3 * CLOCK_SEC);
}

/* RFC 7323, 4: a timestamp tells which SYN was answered, so that there is a sample after all. */
static void test_timestamp_samples_lost_syn(void **state)
{
    struct sock_info info;

    (void)state;
    c->timestamps = true;
    script_connect(c, NULL);
    script_advance(s, 1100 * CLOCK_MS);
    script_discard(s);
    script_advance(s, 30 * CLOCK_MS);
    script_send(c, SYNACK, 0, 1, 0);
    sock_info(c->sock, &info);
    assert_in_range(info.srtt, 100 * CLOCK_MS, 140 * CLOCK_MS);
}

/* RFC 9293, 3.10.7.3: a RST counts only with the acknowledgement of our SYN. */
static void test_connect_refused(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_discard(s);
    script_send(c, TCP_RST, 0, 0, 0);
    script_send(c, TCP_RST | TCP_ACK, 0, 2, 0);
    assert_int_equal(script_events(s, c->sock), 0);
    script_expect_none(s);
    script_send(c, TCP_RST | TCP_ACK, 0, 1, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_REFUSED);
    assert_int_equal(sock_state(c->sock), TCP_CLOSED);
    sock_close(c->sock);
}

/* RFC 9293, 3.5.2: the ACK of an older connection is reset, and the SYN follows again soon. Forged
 * ACKs, however many, cannot put the SYN off. */
static void test_stale_ack(void **state)
{
    clock_ns start;

    (void)state;
    script_connect(c, NULL);
    script_expect(c, TCP_SYN, 0, 0, 0);
    start = script_now(s);
    for (unsigned i = 0; i < 30; i++) {
        script_send(c, TCP_ACK, 100, 4711, 0);
        script_advance(s, CLOCK_MS);
    }
    for (const struct script_segment *g;;) {
        g = script_next(s);
        assert_non_null(g);
        if (g->tcp.flags == TCP_SYN) {
            script_assert_at(g, start + 10 * CLOCK_MS);
            break;
        }
        assert_int_equal(g->tcp.flags, TCP_RST);
        assert_int_equal(g->tcp.seq, c->stack_iss + 4711);
    }
    script_discard(s);
    script_send(c, SYNACK, 0, 1, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_CONNECTED);
}

static void test_connect_ignores_ack_without_syn(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_expect_none(s);
    assert_int_equal(sock_state(c->sock), TCP_SYN_SENT);
}

/* Giving up in SYN-SENT: nothing is left, and the answer is refused. */
static void test_close_in_syn_sent(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_discard(s);
    sock_close(c->sock);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_send(c, SYNACK, 0, 1, 0);
    script_expect(c, TCP_RST, 1, 0, 0);
}

/* RFC 9293, 3.5, figure 7. */
static void test_simultaneous_open(void **state)
{
    const struct script_segment *g;

    (void)state;
    c->wscale = 5;
    c->timestamps = true;
    script_connect(c, NULL);
    script_expect(c, TCP_SYN, 0, 0, 0);
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_true(g->tcp.has_wscale && g->tcp.has_timestamp);
    assert_int_equal(sock_state(c->sock), TCP_SYN_RECEIVED);
    script_send(c, SYNACK, 0, 1, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_CONNECTED);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1, 100);
    assert_int_equal(script_read(c, 200), 100);
}

/* The window of any segment with SYN is unscaled (RFC 7323, 2.2), and text behind the SYN begins
 * one number later. */
static void test_simultaneous_open_window_and_text(void **state)
{
    struct sock_info info;

    (void)state;
    c->wscale = 5;
    script_connect(c, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    c->window = 1000;
    script_send_raw(
        c,
        &(struct packet_tcp){
            .flags = SYNACK, .seq = c->peer_iss, .ack = c->stack_iss + 1, .window = 1000},
        "0123456789", 10);
    sock_info(c->sock, &info);
    assert_int_equal(info.state, TCP_ESTABLISHED);
    assert_int_equal(info.send_window, 1000);
    assert_int_equal(sock_readable(c->sock), 0); /* as with any SYN: it comes again */
    script_send(c, TCP_ACK, 1, 1, 10);
    assert_int_equal(script_read(c, 100), 10);
}

/* A peer that answers our SYN by a SYN and then falls silent must not hold us for ever. */
static void test_simultaneous_open_times_out(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_advance(s, 80 * CLOCK_SEC);
    script_discard(s);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_TIMED_OUT);
    sock_close(c->sock);
}

static void test_simultaneous_open_refused(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_send(c, TCP_RST, 1, 0, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    assert_int_equal(sock_error(c->sock), SOCK_REFUSED);
    sock_close(c->sock);
}

/* Closed by its owner in SYN-RECEIVED: goes on alone, and ends. */
static void test_simultaneous_open_closed(void **state)
{
    (void)state;
    script_connect(c, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    sock_close(c->sock);
    script_advance(s, CLOCK_MS);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_expect(c, TCP_FIN | TCP_ACK, 1, 1, 0);
    script_send(c, TCP_FIN | TCP_ACK, 1, 2, 0);
    script_expect(c, TCP_ACK, 2, 2, 0);
    script_advance(s, 61 * CLOCK_SEC);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* ---- initial sequence numbers: RFC 6528 ---- */

static void test_isn(void **state)
{
    struct script_conn *k = script_conn(s);
    uint32_t first, other;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    first = c->stack_iss;
    script_send(c, TCP_RST, 1, 0, 0);
    k->peer_port = c->peer_port + 1;
    script_send(k, TCP_SYN, 0, 0, 0);
    other = k->stack_iss;
    assert_int_not_equal(other - first, 0);
    assert_true(other - first > 100000 && first - other > 100000); /* unrelated */
    script_advance(s, CLOCK_SEC);
    script_send(c, TCP_SYN, 0, 0, 0);
    assert_int_equal(c->stack_iss - first, 250000); /* a tick every 4 microseconds */
}

/* No block and no buffer: the caller is told, and a SYN is counted. */
static void test_pool_exhausted(void **state)
{
    struct ip_endpoint to = script_endpoint(2, 9);
    enum sock_error error = SOCK_OK;

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        script_connect(script_conn(s), NULL);
    assert_null(sock_connect(script_stack(s), &to, NULL, NULL, &error));
    assert_int_equal(error, SOCK_NO_MEMORY);
    script_discard(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->drop_tcp_no_memory, 1);
}

static void test_connect_no_route(void **state)
{
    struct ip_endpoint to = {.port = 9};
    enum sock_error error = SOCK_OK;

    (void)state;
    ip_parse("192.0.2.1", &to.addr);
    assert_null(sock_connect(script_stack(s), &to, NULL, NULL, &error));
    assert_int_equal(error, SOCK_BAD_ADDRESS);
    to = script_endpoint(1, 9);
    assert_null(sock_connect(script_stack(s), &to, NULL, NULL, &error));
    assert_int_equal(error, SOCK_BAD_ADDRESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_passive_open),
        TEST(test_passive_options_absent),
        TEST(test_passive_options_present),
        TEST(test_mss),
        TEST(test_mss_bound),
        TEST(test_wscale_limit),
        TEST(test_synack_retries),
        TEST(test_syn_repeated),
        TEST(test_synack_repeated_is_no_sample),
        TEST(test_wrong_ack_in_syn_received),
        TEST(test_data_completes_handshake),
        TEST(test_data_on_syn),
        TEST(test_impossible_flags),
        TEST(test_refused),
        TEST(test_backlog_evicts_oldest),
        TEST(test_backlog_full_of_accepted),
        TEST(test_syn_flood),
        TEST(test_syn_flood_small_pool),
        TEST(test_reset_before_accept),
        TEST(test_listener_close),
        TEST(test_listener_refuse),
        TEST(test_listen_errors),
        TEST(test_listener_specific_first),
        TEST(test_active_open),
        TEST(test_write_before_connected),
        TEST(test_syn_retransmission),
        TEST(test_syn_retries),
        TEST(test_data_on_synack),
        TEST(test_simultaneous_open_data_on_syn),
        TEST(test_connect_timeout_option),
        TEST(test_rto_after_lost_syn),
        TEST(test_timestamp_samples_lost_syn),
        TEST(test_connect_refused),
        TEST(test_stale_ack),
        TEST(test_connect_ignores_ack_without_syn),
        TEST(test_close_in_syn_sent),
        TEST(test_simultaneous_open),
        TEST(test_simultaneous_open_window_and_text),
        TEST(test_simultaneous_open_times_out),
        TEST(test_simultaneous_open_refused),
        TEST(test_simultaneous_open_closed),
        TEST(test_isn),
        TEST(test_pool_exhausted),
        TEST(test_connect_no_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
