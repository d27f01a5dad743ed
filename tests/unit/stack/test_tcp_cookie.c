/*
 * SYN cookies (RFC 4987, 3.6): the codec by itself, then a listener that answers with them.
 */
#include "tests/unit/stack/tcp_script.h"

#include <stdlib.h>
#include <string.h>

#include "stack/tcp/tcp_cookie.h"

#define SYNACK (TCP_SYN | TCP_ACK)

/* ---- the codec ---- */

static const struct siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static uint32_t random32(void)
{
    return (uint32_t)random() << 16 ^ (uint32_t)random();
}

static struct tcp_cookie_flow random_flow(void)
{
    struct tcp_cookie_flow f = {
        .local = {ip_from_v4(random32()), (uint16_t)random()},
        .remote = {ip_from_v4(random32()), (uint16_t)random()},
    };

    return f;
}

static struct packet_tcp random_syn(void)
{
    return (struct packet_tcp){
        .seq = random32(),
        .flags = random() % 2 == 0 ? TCP_SYN : TCP_SYN | TCP_ECE | TCP_CWR,
        .has_mss = random() % 4 != 0,
        .mss = (uint16_t)random(),
        .has_wscale = random() % 2 == 0,
        .wscale = (uint8_t)(random() % 15),
        .sack_permitted = random() % 2 == 0,
        .has_timestamp = random() % 2 == 0,
        .ts_value = random32(),
    };
}

/* The ACK of the cookie that answers the SYN at `now`. */
static struct packet_tcp ack_of(const struct tcp_cookie_flow *flow, const struct packet_tcp *syn,
                                clock_ns now)
{
    struct tcp_cookie cookie = tcp_cookie_make(&key, flow, syn, now, random32());

    return (struct packet_tcp){
        .seq = syn->seq + 1,
        .ack = cookie.iss + 1,
        .flags = TCP_ACK,
        .window = 1234,
        .has_timestamp = syn->has_timestamp,
        .ts_value = syn->ts_value + 5,
        .ts_echo = cookie.ts_value,
    };
}

/* The largest of the values there are that is not larger; naively. */
static uint16_t rounded_mss(const struct packet_tcp *syn)
{
    static const uint16_t values[] = {88, 536, 1220, 1360, 1400, 1440, 1460, 8960};
    uint16_t mss = syn->has_mss ? syn->mss : 536, best = 88;

    for (unsigned i = 0; i < 8; i++) {
        if (values[i] <= mss)
            best = values[i];
    }
    return best;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn(), ack, back;
        clock_ns now = (clock_ns)random32() * CLOCK_MS;

        ack = ack_of(&flow, &syn, now);
        now += (clock_ns)random() % TCP_COOKIE_EPOCH;
        assert_int_equal(tcp_cookie_open(&key, &flow, &ack, now, &back), TCP_COOKIE_GOOD);
        assert_int_equal(back.seq, syn.seq);
        assert_int_equal(back.flags, syn.has_timestamp ? syn.flags : TCP_SYN);
        assert_int_equal(back.window, 1234);
        assert_true(back.has_mss);
        assert_int_equal(back.mss, rounded_mss(&syn));
        assert_int_equal(back.has_wscale, syn.has_wscale);
        assert_int_equal(back.wscale, syn.has_wscale ? syn.wscale : 0);
        assert_int_equal(back.sack_permitted, syn.sack_permitted);
        assert_int_equal(back.has_timestamp, ack.has_timestamp);
        assert_int_equal(back.ts_value, ack.ts_value);
    }
}

/* At least one epoch, less than two, wherever in its epoch the cookie was made; from the first
 * nanosecond of the clock on. */
static void test_age(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn(), ack, back;
        clock_ns at = i < 100 ? i : (clock_ns)random32() * CLOCK_MS;
        clock_ns old = 2 * TCP_COOKIE_EPOCH + (clock_ns)random() % (1000 * TCP_COOKIE_EPOCH);

        ack = ack_of(&flow, &syn, at);
        assert_int_equal(tcp_cookie_open(&key, &flow, &ack, at + TCP_COOKIE_EPOCH, &back),
                         TCP_COOKIE_GOOD);
        assert_int_not_equal(tcp_cookie_open(&key, &flow, &ack, at + old, &back), TCP_COOKIE_GOOD);
    }
}

/* One bit of whatever is held against the cookie. */
static void flip(struct tcp_cookie_flow *flow, struct packet_tcp *ack, struct siphash_key *k)
{
    struct {
        void *at;
        size_t len;
    } parts[] = {
        {&flow->local.addr, 16},
        {&flow->remote.addr, 16},
        {&flow->local.port, 2},
        {&flow->remote.port, 2},
        {&ack->seq, 4},
        {&ack->ack, 4},
        {&k->k0, 8},
    };
    unsigned part = (unsigned)random() % 7;
    size_t bit = (size_t)random() % (parts[part].len * 8);

    ((uint8_t *)parts[part].at)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void test_bit_flipped(void **state)
{
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn(), ack, back;
        struct siphash_key k = key;
        clock_ns now = (clock_ns)random32() * CLOCK_MS;

        ack = ack_of(&flow, &syn, now);
        flip(&flow, &ack, &k);
        taken += tcp_cookie_open(&k, &flow, &ack, now, &back) == TCP_COOKIE_GOOD;
    }
    assert_true(taken <= 2); /* by chance one in 2^23 */
}

static void test_guessed(void **state)
{
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < 500000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp back, ack = {.seq = random32(),
                                       .ack = random32(),
                                       .flags = TCP_ACK,
                                       .has_timestamp = i % 2 == 0,
                                       .ts_echo = random32()};

        taken += tcp_cookie_open(&key, &flow, &ack, (clock_ns)random32() * CLOCK_MS, &back) ==
                 TCP_COOKIE_GOOD;
    }
    assert_true(taken <= 2);
}

/* A cookie is recognized whatever the segment's own number is, and only the right one begins. */
static void test_ahead(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn(), ack, back;
        clock_ns now = (clock_ns)random32() * CLOCK_MS;

        ack = ack_of(&flow, &syn, now);
        for (unsigned k = 0; k < 2; k++) {
            ack.seq += 1 + random32() % 65536;
            assert_int_not_equal(tcp_cookie_open(&key, &flow, &ack, now, &back), TCP_COOKIE_NONE);
        }
    }
}

/* What the SYN said may not be changed on its way back, though the timestamp carries it. */
static void test_timestamp_changed(void **state)
{
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn(), ack, back;
        clock_ns now = (clock_ns)random32() * CLOCK_MS;

        syn.has_timestamp = true;
        ack = ack_of(&flow, &syn, now);
        ack.ts_echo ^= 1u << i % 6;
        taken += tcp_cookie_open(&key, &flow, &ack, now, &back) == TCP_COOKIE_GOOD;
        ack.ts_echo ^= 1u << i % 6;
        ack.has_timestamp = false;
        taken += tcp_cookie_open(&key, &flow, &ack, now, &back) == TCP_COOKIE_GOOD;
    }
    assert_int_equal(taken, 0);
}

/* Never after the clock, so that it does not go back with the next segment; and not long before. */
static void test_timestamp_is_near(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct tcp_cookie_flow flow = random_flow();
        struct packet_tcp syn = random_syn();
        uint32_t clock = i < 200 ? i - 100 : random32();

        assert_in_range(clock - tcp_cookie_make(&key, &flow, &syn, 0, clock).ts_value, 0, 63);
    }
}

/* Sequence numbers of equal SYNs from different ports share nothing, not even the low bits. */
static void test_unlike(void **state)
{
    struct tcp_cookie_flow flow = random_flow();
    struct packet_tcp syn = {.seq = 7, .flags = TCP_SYN};
    unsigned ones[32] = {0};

    (void)state;
    for (unsigned i = 0; i < 4096; i++) {
        uint32_t cookie;

        flow.remote.port = (uint16_t)i;
        syn.has_timestamp = i % 2 == 0;
        cookie = tcp_cookie_make(&key, &flow, &syn, SCRIPT_START, 0).iss;
        for (unsigned b = 0; b < 32; b++)
            ones[b] += cookie >> b & 1;
    }
    for (unsigned b = 0; b < 32; b++)
        assert_in_range(ones[b], 1800, 2300);
}

/* ---- a listener ---- */

static const struct sock_options always = {.cookies = SOCK_COOKIES_ALWAYS};

static struct script *s;
static struct sock *listener;
static struct script_conn *c;

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    listener = script_listen(s, 80, 16, &always);
    c = script_conn(s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void expect_nothing_kept(void)
{
    assert_int_equal(script_usage(s).connections_used, 0);
    assert_int_equal(stack_deadline(script_stack(s)) > script_now(s) + CLOCK_SEC, true);
}

static void test_no_state(void **state)
{
    (void)state;
    script_advance(s, 10 * CLOCK_SEC); /* ARP's announcements are over */
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    expect_nothing_kept();
    script_advance(s, 30 * CLOCK_SEC);
    script_expect_none(s); /* nor is it sent again */
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    assert_int_equal(sock_state(c->sock), TCP_ESTABLISHED);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 1);
    assert_int_equal(script_counters(s)->tcp_cookies_accepted, 1);
    assert_int_equal(script_counters(s)->tcp_accepted, 1);
}

static bool expected(uint8_t flags, uint32_t seq, uint32_t ack)
{
    struct packet p = {
        .kind = PACKET_TCP,
        .sport = c->peer_port,
        .dport = 80,
        .tcp = {.flags = flags, .seq = c->peer_iss + seq, .ack = c->stack_iss + ack}};

    p.src = script_endpoint(2, 0).addr;
    p.dst = script_endpoint(1, 0).addr;
    return stack_expects(script_stack(s), &p);
}

/* A firewall that lets SYNs in, and for the rest connections only, has to know of the cookie. */
static void test_expected(void **state)
{
    (void)state;
    assert_false(expected(TCP_ACK, 1, 1));
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_true(expected(TCP_ACK, 1, 1));
    assert_true(expected(TCP_ACK | TCP_PSH, 1, 1));
    assert_false(expected(TCP_ACK, 1, 2));
    assert_false(expected(TCP_ACK, 2, 1));
    assert_false(expected(TCP_RST | TCP_ACK, 1, 1));
    assert_false(expected(TCP_SYN | TCP_ACK, 1, 1));
    expect_nothing_kept();
    script_advance(s, 2 * TCP_COOKIE_EPOCH);
    assert_false(expected(TCP_ACK, 1, 1));
}

/* What the SYN-ACK says is what one with state says, but for the window. */
static void test_syn_ack(void **state)
{
    const struct script_segment *g;

    (void)state;
    c->wscale = 3;
    c->timestamps = true;
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(g->tcp.mss, 1460);
    assert_true(g->tcp.has_wscale);
    assert_int_equal(g->tcp.wscale, 7);
    assert_true(g->tcp.has_timestamp);
    assert_int_equal(g->tcp.ts_echo, c->ts_base);
    assert_int_equal(g->tcp.window, 14600);
    assert_int_equal(g->band, EGRESS_CONTROL);

    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, SYNACK, 0, 1, 0);
    assert_false(g->tcp.has_wscale);
    assert_false(g->tcp.has_timestamp);
}

/* Window scale, MSS and timestamps hold for the connection; data flows both ways. */
static void test_options_survive(void **state)
{
    struct sock_info info;
    const struct script_segment *g;

    (void)state;
    c->wscale = 9;
    c->mss = 1400;
    c->timestamps = true;
    c->window = 1000;
    script_advance(s, 5 * CLOCK_MS);
    script_establish(c, listener);
    sock_info(c->sock, &info);
    assert_int_equal(info.mss, 1400 - 12);
    assert_int_equal(info.send_window, 1000 << 9);
    script_send(c, TCP_ACK, 1, 1, 1000);
    g = script_expect(c, TCP_ACK, 1, 1001, 0);
    assert_true(g->tcp.has_timestamp);
    assert_true((uint32_t)g->tcp.window << 7 > 60000); /* the window has opened */
    assert_int_equal(script_read(c, 2000), 1000);
    script_discard(s);
    script_write(c, 3000);
    script_expect(c, TCP_ACK, 1, 1001, 1388);
}

/* The time that the SYN-ACK says is not that of its sending: it measures nothing. */
static void test_no_round_trip_from_cookie(void **state)
{
    struct sock_info info;

    (void)state;
    c->timestamps = true;
    script_establish(c, listener);
    sock_info(c->sock, &info);
    assert_int_equal(info.srtt, 0);
    script_write(c, 10);
    script_discard(s);
    script_advance(s, 30 * CLOCK_MS);
    script_send(c, TCP_ACK, 1, 11, 0);
    sock_info(c->sock, &info);
    assert_in_range(info.srtt, 29 * CLOCK_MS, 31 * CLOCK_MS);
}

/* The firewall asks for it, for these SYNs alone; but not where the listener sends none. */
static void test_label_asks(void **state)
{
    (void)state;
    script_destroy(s);
    s = script_create(&(struct script_config){.label = {.cookies = true}});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    assert_int_equal(script_counters(s)->tcp_cookies_accepted, 1);
    sock_listener_set(listener, 16, SOCK_COOKIES_OFF);
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 1);
    script_discard(s);
}

/* The ACK is lost, the first data comes in its place. */
static void test_data_after_lost_ack(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK | TCP_PSH, 1, 1, 500);
    script_expect(c, TCP_ACK, 1, 501, 0);
    script_accept(c, listener);
    assert_int_equal(script_events(s, c->sock) & EVENT_READABLE, EVENT_READABLE);
    assert_int_equal(script_read(c, 1000), 500);
}

static void test_data_and_fin_after_lost_ack(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK | TCP_FIN, 1, 1, 10);
    script_expect(c, TCP_ACK, 1, 12, 0);
    script_accept(c, listener);
    assert_int_equal(script_read(c, 1000), 10);
    assert_true(sock_eof(c->sock));
}

/* Both ACK and the first data segment are lost: the second must not be refused, the first comes
 * again. */
static void test_second_segment_first(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_send(c, TCP_ACK, 101, 1, 100);
    script_send(c, TCP_ACK | TCP_FIN, 201, 1, 0);
    script_send(c, TCP_ACK, 202, 1, 0); /* as in answer to a second SYN-ACK */
    script_expect_none(s);
    assert_int_equal(script_counters(s)->tcp_cookies_failed, 3);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_expect(c, TCP_ACK, 1, 101, 0);
    script_accept(c, listener);
    script_send(c, TCP_ACK, 101, 1, 100);
    assert_int_equal(script_read(c, 1000), 200);
}

/* The client's SYN again: our answer was lost. The same number, so either answer serves. */
static void test_syn_again(void **state)
{
    uint32_t first;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    first = c->stack_iss;
    script_advance(s, CLOCK_SEC);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    assert_int_equal(c->stack_iss, first);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    script_send(c, TCP_ACK, 1, 1, 0); /* again: it is the connection's now */
    assert_int_equal(script_counters(s)->tcp_cookies_accepted, 1);
}

static void test_expired(void **state)
{
    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    script_advance(s, 2 * TCP_COOKIE_EPOCH);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_expect(c, TCP_RST, 1, 0, 0);
    assert_int_equal(script_usage(s).connections_used, 0);
}

static void test_wrong_ack(void **state)
{
    struct script_conn *other = script_conn(s);
    unsigned resets = 0;

    (void)state;
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect(c, SYNACK, 0, 1, 0);
    for (uint32_t ack = 2; ack < 34; ack++) { /* one in 32 goes without a RST */
        script_send(c, TCP_ACK, 1, ack, 0);
        resets += script_discard(s);
    }
    assert_in_range(resets, 28, 32);
    script_send(c, TCP_ACK, 0, 1, 0);
    script_expect_none(s);
    other->stack_iss = c->stack_iss; /* another port's */
    script_send(other, TCP_ACK, 1, 1, 0);
    script_expect(other, TCP_RST, 1, 0, 0);
    script_send(c, SYNACK, 1, 1, 0); /* not an ACK alone */
    script_expect(c, TCP_RST, 1, 0, 0);
    script_send(c, TCP_RST | TCP_ACK, 1, 1, 0);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->tcp_cookies_failed, 32 + 2);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* No cookie is out: no look at any, and a RST at once, with data or without. */
static void test_ack_without_cookies(void **state)
{
    (void)state;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_expect(c, TCP_RST, 1, 0, 0);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_expect(c, TCP_RST, 1, 0, 0);
    assert_int_equal(script_counters(s)->tcp_cookies_failed, 0);
}

/* Established before the listener could hand out what waits: the ACK is dropped, nobody is reset,
 * and the data that follows finds room later. */
static void test_accept_queue_full(void **state)
{
    struct sock *l = script_listen(s, 81, 1, &always);
    struct script_conn *k[2] = {script_conn(s), script_conn(s)};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        k[i]->stack_port = 81;
        script_send(k[i], TCP_SYN, 0, 0, 0);
        script_expect(k[i], SYNACK, 0, 1, 0);
    }
    script_send(k[0], TCP_ACK, 1, 1, 0);
    script_send(k[1], TCP_ACK, 1, 1, 0);
    script_send(k[1], TCP_ACK, 1, 1, 100);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->drop_tcp_backlog, 2);
    script_accept(k[0], l);
    script_send(k[1], TCP_ACK, 1, 1, 100);
    script_expect(k[1], TCP_ACK, 1, 101, 0);
    script_accept(k[1], l);
}

/* The pool is full of connections: no promise that could not be kept. */
static void test_pool_taken(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++)
        script_connect(script_conn(s), NULL);
    script_discard(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_expect_none(s);
    assert_int_equal(script_counters(s)->drop_tcp_no_memory, 1);
}

/* ---- when ---- */

static void syn_from(uint16_t port, uint16_t stack_port)
{
    struct script_conn k = *c;

    k.peer_port = port;
    k.stack_port = stack_port;
    script_send(&k, TCP_SYN, 0, 0, 0);
}

/* From more than half of the backlog on, until a quarter is left. */
static void test_auto(void **state)
{
    struct sock *l = script_listen(s, 81, 16, NULL);
    struct script_conn *k = script_conn(s), *half[9];

    (void)state;
    k->stack_port = 81;
    for (unsigned i = 0; i < 9; i++) {
        half[i] = script_conn(s);
        half[i]->stack_port = 81;
        script_send(half[i], TCP_SYN, 0, 0, 0);
        script_expect(half[i], SYNACK, 0, 1, 0);
        assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], i + 1);
    }
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 0);
    for (uint16_t port = 1000; port < 1100; port++)
        syn_from(port, 81);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 100);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 9);
    script_establish(k, l); /* an honest client among them */
    assert_int_equal(script_counters(s)->tcp_cookies_accepted, 1);

    for (unsigned i = 0; i < 4; i++)
        script_send(half[i], TCP_RST, 1, 0, 0);
    syn_from(1200, 81); /* five are left: still */
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 102);
    script_send(half[4], TCP_RST, 1, 0, 0);
    syn_from(1201, 81); /* four: no longer */
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 102);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 5);
    script_discard(s);
}

/* After the flood everything is as before. */
static void test_auto_ends(void **state)
{
    (void)state;
    script_listen(s, 81, 16, NULL);
    for (uint16_t port = 1000; port < 3000; port++)
        syn_from(port, 81);
    script_discard(s);
    assert_int_equal(script_usage(s).connections_used, 9);
    script_advance(s, 70 * CLOCK_SEC);
    script_discard(s);
    assert_int_equal(script_usage(s).connections_used, 0);
    syn_from(3000, 81);
    assert_int_equal(script_usage(s).connections_used, 1);
}

static void test_off(void **state)
{
    struct sock_options off = {.cookies = SOCK_COOKIES_OFF};

    (void)state;
    script_listen(s, 81, 16, &off);
    for (uint16_t port = 1000; port < 1100; port++)
        syn_from(port, 81);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 0);
    assert_int_equal(script_usage(s).connections_used, 16);
}

/* A reload may change its mind in the midst of a flood. */
static void test_set(void **state)
{
    struct sock *l = script_listen(s, 81, 1000, NULL);

    (void)state;
    for (uint16_t port = 1000; port < 1020; port++)
        syn_from(port, 81);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 0);
    sock_listener_set(l, 16, SOCK_COOKIES_AUTO);
    syn_from(1100, 81);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 1);
    sock_listener_set(l, 16, SOCK_COOKIES_OFF);
    syn_from(1101, 81);
    sock_listener_set(l, 64, SOCK_COOKIES_ALWAYS);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 1);
    syn_from(1102, 81);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 2);
    script_discard(s);
}

/* A reopened TIME_WAIT needs a sequence number beyond the old one's: state is kept. */
static void test_time_wait_reopened(void **state)
{
    (void)state;
    script_establish(c, listener);
    sock_close(c->sock);
    script_flush(s);
    script_send(c, TCP_FIN | TCP_ACK, 1, 2, 0);
    script_discard(s);
    assert_int_equal(script_usage(s).connections[TCP_TIME_WAIT], 1);
    script_send(c, TCP_SYN, 1000, 0, 0);
    assert_int_equal(script_usage(s).connections[TCP_SYN_RECEIVED], 1);
    assert_int_equal(script_counters(s)->tcp_cookies_sent, 1);
    script_discard(s);
}

/* The label is that of the ACK: nothing is remembered of the SYN. */
static void test_label(void **state)
{
    struct script *other = s;

    (void)state;
    s = script_create(&(struct script_config){.label = {.limit = 9, .egress_class = 3}});
    listener = script_listen(s, 80, 16,
                             &(struct sock_options){.cookies = SOCK_COOKIES_ALWAYS, .dscp = 12});
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    {
        const struct script_segment *g = script_expect(c, SYNACK, 0, 1, 0);

        assert_int_equal(g->egress_class, 3);
        assert_int_equal(g->dscp, 12);
    }
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, listener);
    assert_int_equal(sock_label(c->sock).limit, 9);
    script_destroy(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_bit_flipped),
        cmocka_unit_test(test_guessed),
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_timestamp_changed),
        cmocka_unit_test(test_timestamp_is_near),
        cmocka_unit_test(test_unlike),
        TEST(test_no_state),
        TEST(test_expected),
        TEST(test_syn_ack),
        TEST(test_options_survive),
        TEST(test_no_round_trip_from_cookie),
        TEST(test_label_asks),
        TEST(test_data_after_lost_ack),
        TEST(test_data_and_fin_after_lost_ack),
        TEST(test_second_segment_first),
        TEST(test_syn_again),
        TEST(test_expired),
        TEST(test_wrong_ack),
        TEST(test_ack_without_cookies),
        TEST(test_accept_queue_full),
        TEST(test_pool_taken),
        TEST(test_auto),
        TEST(test_auto_ends),
        TEST(test_off),
        TEST(test_set),
        TEST(test_time_wait_reopened),
        TEST(test_label),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
