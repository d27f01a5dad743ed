/* ICMP: echo, errors received, errors sent, and the limits on both answers. */
#include "tests/unit/stack/test_net_fixture.h"

/* The gateway is known, so that answers go out at once. */
static int setup(void **state)
{
    struct fix *x;

    if (fix_setup(state) != 0)
        return -1;
    x = *state;
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    return 0;
}

static struct test_frame icmp_frame(uint8_t type, uint8_t code, uint32_t rest)
{
    struct test_frame f;

    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 1, "198.51.100.7", "192.0.2.10");
    test_frame_icmp(&f, type, code, rest);
    return f;
}

static struct test_frame echo_frame(size_t len)
{
    struct test_frame f = icmp_frame(8, 0, 0xabcd0007);

    for (size_t i = 0; i < len; i++)
        test_frame_append(&f, &(uint8_t){(uint8_t)i}, 1);
    test_frame_finish(&f);
    return f;
}

/* ---- echo ---- */

static void assert_echo_reply(struct fix *x, const struct test_frame *request)
{
    enum egress_band band;
    struct rte_mbuf *m = fix_take(x, FIX_OUTSIDE, &band);
    size_t total = test_frame_get16(request->b + TEST_L3 + 2);
    uint8_t frame[TEST_FRAME_MAX];

    assert_non_null(m);
    assert_int_equal(band, EGRESS_CONTROL);
    assert_int_equal(m->pkt_len, TEST_L3 + total);
    assert_int_equal(m->ol_flags & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT), 0);
    memcpy(frame, rte_pktmbuf_read(m, 0, m->pkt_len, frame), m->pkt_len);
    assert_true(test_frame_sums_right(frame, m->pkt_len));
    assert_memory_equal(frame, fix_peer, 6);
    assert_memory_equal(frame + TEST_L3 + 12, request->b + TEST_L3 + 16, 4);
    assert_memory_equal(frame + TEST_L3 + 16, request->b + TEST_L3 + 12, 4);
    assert_int_equal(frame[TEST_L4], 0);
    assert_memory_equal(frame + TEST_L4 + 4, request->b + TEST_L4 + 4, total - 24);
    rte_pktmbuf_free(m);
}

static void test_echo(void **state)
{
    static const size_t sizes[] = {0, 1, 17, 18, 56, 1472};
    struct fix *x = *state;

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct test_frame f = echo_frame(sizes[i]);

        fix_frame(x, FIX_OUTSIDE, &f);
        assert_echo_reply(x, &f);
    }
    assert_int_equal(x->counters.icmp_echo_replies_sent, 6);
}

/* A driver's own mbuf is turned round; nothing of what it noted there may go out. */
static void test_echo_in_the_received_mbuf(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(5);
    struct rte_mbuf *m;
    unsigned before = test_mbuf_in_use();

    test_frame_append(&f, "padding", 7);
    m = test_mbuf_plain(f.b, f.len);
    m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    fix_input(x, FIX_OUTSIDE, m);
    assert_ptr_equal(x->egress[FIX_OUTSIDE].sent[x->egress[FIX_OUTSIDE].taken].m, m);
    assert_echo_reply(x, &f);
    assert_int_equal(test_mbuf_in_use(), before);
}

/* Bytes that somebody else refers to are not touched. */
static void test_echo_of_a_shared_mbuf_is_a_copy(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(5);
    struct rte_mbuf *m = test_mbuf_plain(f.b, f.len);

    rte_mbuf_refcnt_update(m, 1);
    fix_input(x, FIX_OUTSIDE, m);
    assert_echo_reply(x, &f);
    assert_memory_equal(rte_pktmbuf_mtod(m, void *), f.b, f.len);
    rte_pktmbuf_free(m);
}

static void test_echo_in_segments(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(100);
    uint16_t cut[] = {10, 40, 41, 90};

    fix_input(x, FIX_OUTSIDE, test_mbuf_split(f.b, f.len, cut, 4));
    assert_echo_reply(x, &f);
}

static void test_echo_too_large_for_a_frame(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(1473);

    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    assert_int_equal(x->counters.drop_icmp_limited, 1);
}

static void test_echo_is_limited(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(5);

    for (unsigned i = 0; i < 1000; i++)
        fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 200);
    assert_int_equal(x->counters.drop_icmp_limited, 800);
    x->now += 100 * CLOCK_MS;
    for (unsigned i = 0; i < 1000; i++)
        fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 100);
    x->now += 3600 * CLOCK_SEC; /* credit does not pile up */
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    for (unsigned i = 0; i < 1000; i++)
        fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 200);
}

static void test_echo_to_broadcast_is_silent(void **state)
{
    struct fix *x = *state;
    struct test_frame f = echo_frame(5);

    memcpy(f.b, fix_broadcast, 6);
    memset(f.b + TEST_L3 + 16, 0xff, 4);
    test_frame_checksums(&f);
    fix_frame(x, FIX_OUTSIDE, &f);
    f.b[TEST_L3 + 16] = 192;
    f.b[TEST_L3 + 17] = 0;
    f.b[TEST_L3 + 18] = 2;
    test_frame_checksums(&f);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    assert_int_equal(x->counters.drop_ip_destination, 2);
}

static void test_other_types_are_dropped(void **state)
{
    struct fix *x = *state;

    for (unsigned type = 0; type < 256; type++) {
        struct test_frame f = icmp_frame((uint8_t)type, 0, 0);

        if (type == 3 || type == 8 || type == 11)
            continue;
        test_frame_finish(&f);
        fix_frame(x, FIX_OUTSIDE, &f);
    }
    assert_int_equal(x->counters.drop_icmp_type, 253);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
}

/* ---- errors received ---- */

struct heard {
    unsigned count;
    struct net_error last;
    bool match;
};

static bool hear(void *ctx, const struct net_error *error, clock_ns now)
{
    struct heard *h = ctx;

    (void)now;
    h->count++;
    h->last = *error;
    return h->match;
}

/* An error about a segment from `src` to 198.51.100.7, `len` bytes of which are quoted. */
static struct test_frame error_frame(uint8_t type, uint8_t code, uint32_t rest, const char *src,
                                     size_t len)
{
    struct test_frame f = icmp_frame(type, code, rest), quoted;

    test_frame_ether(&quoted, fix_peer, fix_mac[FIX_OUTSIDE], 0x0800);
    test_frame_ipv4(&quoted, 6, src, "198.51.100.7");
    test_frame_tcp(&quoted, 443, 40000, 0x01020304, 0, TCP_ACK);
    test_frame_finish(&quoted);
    test_frame_append(&f, quoted.b + TEST_L3, len);
    test_frame_finish(&f);
    return f;
}

static void test_errors_reach_the_transport(void **state)
{
    static const struct {
        uint8_t type, code;
        uint32_t rest;
        enum net_error_kind kind;
        uint16_t mtu;
    } cases[] = {
        {3, 0, 0, NET_ERROR_UNREACHABLE, 0},   {3, 1, 0, NET_ERROR_UNREACHABLE, 0},
        {3, 2, 0, NET_ERROR_PORT, 0},          {3, 3, 0, NET_ERROR_PORT, 0},
        {3, 4, 1280, NET_ERROR_MTU, 1280},     {3, 4, 0, NET_ERROR_MTU, 296},
        {3, 13, 77, NET_ERROR_UNREACHABLE, 0}, {11, 0, 0, NET_ERROR_TIME, 0},
    };
    struct fix *x = *state;
    struct heard heard = {.match = true};
    struct ip_addr us = fix_addr("192.0.2.10"), peer = fix_addr("198.51.100.7");

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, NULL, hear, &heard);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_frame f =
            error_frame(cases[i].type, cases[i].code, cases[i].rest, "192.0.2.10", 28);

        fix_frame(x, FIX_OUTSIDE, &f);
        assert_int_equal(heard.count, i + 1);
        assert_int_equal(heard.last.kind, cases[i].kind);
        assert_int_equal(heard.last.mtu, cases[i].mtu);
        assert_int_equal(heard.last.length, 40);
        assert_int_equal(heard.last.ip_protocol, 6);
        assert_int_equal(heard.last.seq, 0x01020304);
        assert_true(ip_equal(&heard.last.local.addr, &us) && heard.last.local.port == 443);
        assert_true(ip_equal(&heard.last.remote.addr, &peer) && heard.last.remote.port == 40000);
    }
    assert_int_equal(x->counters.icmp_errors_received, 8);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0); /* never an error about an error */
}

static void test_errors_that_are_not_believed(void **state)
{
    struct fix *x = *state;
    struct heard heard = {.match = true};
    struct test_frame f;

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, NULL, hear, &heard);
    for (size_t len = 0; len < 28; len++) {
        f = error_frame(3, 1, 0, "192.0.2.10", len);
        fix_frame(x, FIX_OUTSIDE, &f);
    }
    assert_int_equal(x->counters.drop_icmp_invalid, 28);
    f = error_frame(3, 1, 0, "192.0.2.11", 28); /* not what the error was sent to */
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_icmp_unmatched, 1);
    assert_int_equal(heard.count, 0);

    heard.match = false;
    f = error_frame(3, 1, 0, "192.0.2.10", 28);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(heard.count, 1);
    net_handler_set(x->net, WIRE_IP_PROTO_TCP, NULL, NULL, NULL);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_icmp_unmatched, 3);
    assert_int_equal(x->counters.icmp_errors_received, 0);
}

/* ---- errors sent ---- */

static struct test_frame datagram(size_t len)
{
    struct test_frame f;

    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 99, "198.51.100.7", "192.0.2.10");
    for (size_t i = 0; i < len; i++)
        test_frame_append(&f, &(uint8_t){(uint8_t)(i * 3)}, 1);
    test_frame_finish(&f);
    return f;
}

static void test_quote_is_bounded(void **state)
{
    struct fix *x = *state;
    struct test_frame f = datagram(1400);
    uint16_t cut[] = {20, 300};
    struct rte_mbuf *m;
    const uint8_t *frame;

    fix_input(x, FIX_OUTSIDE, test_mbuf_split(f.b, f.len, cut, 2));
    m = fix_take(x, FIX_OUTSIDE, NULL);
    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(m->pkt_len, TEST_L3 + 576);
    assert_true(test_frame_sums_right(frame, m->pkt_len));
    assert_memory_equal(frame + TEST_L4 + 8, f.b + TEST_L3, 548);
    rte_pktmbuf_free(m);
}

static void test_errors_are_limited(void **state)
{
    struct fix *x = *state;
    struct test_frame f = datagram(8);

    for (unsigned i = 0; i < 500; i++)
        fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 50);
    assert_int_equal(x->counters.icmp_errors_sent, 50);
    assert_int_equal(x->counters.drop_ip_protocol, 500);
    x->now += CLOCK_SEC / 10;
    for (unsigned i = 0; i < 500; i++)
        fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 20);
}

static void test_no_error_about_an_icmp_error(void **state)
{
    struct fix *x = *state;
    struct packet p = {.kind = PACKET_ICMP,
                       .ip_protocol = WIRE_IP_PROTO_ICMP,
                       .l3_offset = 14,
                       .l3_length = 56,
                       .src = fix_addr("198.51.100.7"),
                       .dst = fix_addr("192.0.2.10")};
    struct test_frame f = error_frame(3, 1, 0, "192.0.2.10", 28);

    p.m = test_mbuf_exact(f.b, f.len);
    p.icmp.type = 3;
    net_icmp_error(x->net, &p, 3, 2, x->now);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    p.icmp.type = 8;
    net_icmp_error(x->net, &p, 3, 2, x->now);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 1);
    rte_pktmbuf_free(p.m);
}

/* With no mbuf to be had, answers are lost and counted, and nothing else happens. */
static void test_empty_pool(void **state)
{
    static struct rte_mbuf *all[TEST_MBUF_COUNT + 1];
    struct fix *x = *state;
    struct test_frame echo = echo_frame(5), other = datagram(8);
    struct rte_mbuf *frames[] = {test_mbuf_exact(echo.b, echo.len),
                                 test_mbuf_exact(other.b, other.len)};
    unsigned n = 0;

    while (n < TEST_MBUF_COUNT && (all[n] = rte_pktmbuf_alloc(test_mbuf_pool())) != NULL)
        n++;
    fix_input(x, FIX_OUTSIDE, frames[0]);
    all[n] = rte_pktmbuf_alloc(test_mbuf_pool()); /* the frame's own */
    assert_non_null(all[n]);
    n++;
    fix_input(x, FIX_OUTSIDE, frames[1]);
    assert_int_equal(x->counters.tx_no_mbuf, 2);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    while (n > 0)
        rte_pktmbuf_free(all[--n]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_echo_in_the_received_mbuf),
        TEST(test_echo_of_a_shared_mbuf_is_a_copy),
        TEST(test_echo_in_segments),
        TEST(test_echo_too_large_for_a_frame),
        TEST(test_echo_is_limited),
        TEST(test_echo_to_broadcast_is_silent),
        TEST(test_other_types_are_dropped),
        TEST(test_errors_reach_the_transport),
        TEST(test_errors_that_are_not_believed),
        TEST(test_quote_is_bounded),
        TEST(test_errors_are_limited),
        TEST(test_no_error_about_an_icmp_error),
        TEST(test_empty_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
