/*
 * IPv6 in and out: whose packets are taken in, what their senders are told, ICMPv6, paths and their
 * source addresses. Mirrors the tests of IPv4, ICMP and routes.
 */
#include "tests/unit/stack/test_net_fixture.h"

#include "stack/wire/wire_nd.h"

#define US   "2001:db8:2::1"
#define PEER "2001:db8:2::5"
#define FAR  "2001:db8:ffff::1"

static struct {
    unsigned count;
    struct packet last;
} taken;

static void take(void *ctx, struct packet *p, clock_ns now)
{
    (void)ctx;
    (void)now;
    taken.count++;
    taken.last = *p;
}

static struct net_error told;

static bool take_error(void *ctx, const struct net_error *error, clock_ns now)
{
    (void)ctx;
    (void)now;
    told = *error;
    return error->seq == 77;
}

static int setup(void **state)
{
    struct fix *x;

    fix_setup6(state);
    x = *state;
    taken.count = 0;
    net_handler_set(x->net, 6, take, take_error, NULL);
    return 0;
}

/* The peer's Ethernet address is known, so that answers go out at once. */
static void meet(struct fix *x, const char *peer)
{
    const struct fix_nd nd = {135, 0, peer, "ff02::1:ff00:1", US, fix_peer};
    struct test_frame f = fix_nd(x, FIX_INSIDE, &nd);

    fix_frame(x, FIX_INSIDE, &f);
    fix_discard(x, FIX_INSIDE);
}

static struct test_frame segment_to(struct fix *x, const char *src, const char *dst)
{
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 6, src, dst);

    test_frame_tcp(&f, 40000, 443, 1, 0, TCP_SYN);
    test_frame_finish(&f);
    return f;
}

static void give(struct fix *x, const struct test_frame *f)
{
    fix_frame(x, FIX_INSIDE, f);
}

static void test_whose_packets(void **state)
{
    struct fix *x = *state;
    struct test_frame f = segment_to(x, PEER, US);

    give(x, &f);
    assert_int_equal(taken.count, 1);
    f = segment_to(x, PEER, "2001:db8:1::10"); /* outside's: the strong model */
    give(x, &f);
    f = segment_to(x, PEER, "2001:db8:2::9");
    give(x, &f);
    f = segment_to(x, "fe80::7", US); /* a link-local address is no end of a connection */
    give(x, &f);
    assert_int_equal(x->counters.drop_ip_destination, 3);
    f = segment_to(x, US, US);
    give(x, &f);
    assert_int_equal(x->counters.drop_ip_spoofed, 1);
    f = segment_to(x, "ff02::1", US);
    give(x, &f);
    f = segment_to(x, "::1", US);
    give(x, &f);
    f = segment_to(x, "::", US);
    give(x, &f);
    assert_int_equal(x->counters.drop_ip_martian, 3);
    f = segment_to(x, PEER, US); /* our address, but the frame is for a group */
    f.b[0] = 0x33;
    give(x, &f);
    assert_int_equal(x->counters.drop_ip_destination, 4);
    assert_int_equal(taken.count, 1);
}

/* ---- what senders are told ---- */

static void expect_problem(struct fix *x, uint8_t code, uint32_t at)
{
    struct fix_sent6 s = fix_take6(x, FIX_INSIDE, 4);

    assert_int_equal(s.payload[1], code);
    assert_int_equal(test_frame_get32(s.payload + 4), at);
    assert_int_equal(s.payload[8] >> 4, 6); /* the quoted packet */
}

static void test_parameter_problems(void **state)
{
    struct fix *x = *state;
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 60, PEER, US);

    meet(x, PEER);
    test_frame_append(&f, "\6\0\x9e\4abcd", 8); /* an option that asks for it */
    test_frame_tcp(&f, 1, 443, 1, 0, TCP_SYN);
    test_frame_finish(&f);
    give(x, &f);
    expect_problem(x, 2, 42);
    assert_int_equal(x->counters.drop_ip_option, 1);

    f = fix_ipv6(x, FIX_INSIDE, 43, PEER, US);
    test_frame_append(&f, "\6\0\0\1\0\0\0\0", 8); /* type 0 (RFC 5095) */
    test_frame_tcp(&f, 1, 443, 1, 0, TCP_SYN);
    test_frame_finish(&f);
    give(x, &f);
    expect_problem(x, 0, 42);
    assert_int_equal(x->counters.drop_ip_header, 1);

    f = fix_ipv6(x, FIX_INSIDE, 253, PEER, US); /* a protocol that nobody serves */
    test_frame_append(&f, "anything", 8);
    test_frame_finish(&f);
    give(x, &f);
    expect_problem(x, 1, 6);
    assert_int_equal(x->counters.drop_ip_protocol, 1);

    f = fix_ipv6(x, FIX_INSIDE, 59, PEER, US); /* no next header: nothing to say */
    test_frame_finish(&f);
    give(x, &f);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(taken.count, 0);
}

static void test_problems_sent_to_a_group(void **state)
{
    struct fix *x = *state;
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 60, PEER, "ff02::1");

    meet(x, PEER);
    test_frame_append(&f, "\6\0\x9e\4abcd", 8);
    test_frame_tcp(&f, 1, 443, 1, 0, TCP_SYN);
    test_frame_finish(&f);
    give(x, &f);
    expect_problem(x, 2, 42); /* RFC 8200, 4.2: this one is asked of groups as well */
    f.b[TEST6_L4 + 2] = 0xde;
    give(x, &f);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static void test_errors_are_limited(void **state)
{
    struct fix *x = *state;
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 253, PEER, US);

    meet(x, PEER);
    test_frame_finish(&f);
    for (unsigned i = 0; i < 500; i++)
        give(x, &f);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 50);
}

/* ---- ICMPv6 ---- */

static void test_echo(void **state)
{
    struct fix *x = *state;
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 58, PEER, US);
    struct fix_sent6 s;

    meet(x, PEER);
    test_frame_icmp(&f, 128, 0, 0x00070001);
    test_frame_append(&f, "ping!", 5);
    test_frame_finish(&f);
    give(x, &f);
    s = fix_take6(x, FIX_INSIDE, 129);
    assert_int_equal(test_frame_get32(s.payload + 4), 0x00070001);
    assert_memory_equal(s.payload + 8, "ping!", 5);
    assert_int_equal(s.hop_limit, 64);
    f = fix_ipv6(x, FIX_INSIDE, 58, PEER, "ff02::1"); /* not to a group: that is a reflector */
    test_frame_icmp(&f, 128, 0, 1);
    test_frame_finish(&f);
    give(x, &f);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static struct ip_addr link_local_of(struct fix *x)
{
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 0, "fe80::1", "ff02::1");
    struct fix_sent6 s;

    test_frame_append(&f, "\x3a\0\5\2\0\0\1\0", 8);
    test_frame_icmp(&f, 130, 0, 0);
    test_frame_append(&f, (uint8_t[20]){0}, 20);
    f.b[TEST_L3 + 7] = 1;
    test_frame_finish(&f);
    give(x, &f);
    fix_advance(x, 0);
    s = fix_take6(x, FIX_INSIDE, 0);
    return s.src;
}

static void test_echo_on_the_link(void **state)
{
    struct fix *x = *state;
    struct ip_addr own = link_local_of(x);
    char text[IP_TEXT_MAX];
    struct test_frame f;
    struct fix_sent6 s;

    assert_int_equal(own.b[0], 0xfe);
    meet(x, "fe80::5");
    f = fix_ipv6(x, FIX_INSIDE, 58, "fe80::5", ip_format(&own, text));
    test_frame_icmp(&f, 128, 0, 1);
    test_frame_finish(&f);
    give(x, &f);
    s = fix_take6(x, FIX_INSIDE, 129);
    assert_true(ip_equal(&s.src, &own));
}

static void quote(struct fix *x, uint8_t type, uint8_t code, uint32_t rest, uint32_t seq)
{
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 58, "2001:db8:2::99", US), inner;

    test_frame_ether(&inner, fix_peer, fix_peer, 0x86dd);
    test_frame_ipv6(&inner, 6, US, FAR);
    test_frame_tcp(&inner, 443, 40000, seq, 0, TCP_ACK);
    test_frame_put16(inner.b + TEST_L3 + 4, 1460);
    test_frame_icmp(&f, type, code, rest);
    test_frame_append(&f, inner.b + TEST_L3, inner.len - TEST_L3);
    test_frame_finish(&f);
    give(x, &f);
}

static void test_errors_received(void **state)
{
    struct fix *x = *state;
    static const struct {
        uint8_t type, code;
        enum net_error_kind kind;
    } cases[] = {{1, 0, NET_ERROR_UNREACHABLE}, {1, 4, NET_ERROR_PORT},
                 {2, 0, NET_ERROR_MTU},         {3, 0, NET_ERROR_TIME},
                 {4, 1, NET_ERROR_PORT},        {4, 0, NET_ERROR_UNREACHABLE}};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        quote(x, cases[i].type, cases[i].code, 1300, 77);
        assert_int_equal(told.kind, cases[i].kind);
        assert_int_equal(told.local.port, 443);
        assert_int_equal(told.remote.addr.b[4], 0xff);
        assert_int_equal(told.length, 1500);
    }
    assert_int_equal(x->counters.icmp_errors_received, 6);
    quote(x, 2, 0, 1300, 78); /* not in flight, says the transport */
    assert_int_equal(x->counters.drop_icmp_unmatched, 1);
    quote(x, 2, 0, 70000, 77);
    assert_int_equal(told.mtu, UINT16_MAX);
}

/* ---- out ---- */

static void test_output(void **state)
{
    struct fix *x = *state;
    struct ip_endpoint local = {fix_addr(US), 443}, remote = {fix_addr(PEER), 40000};
    struct net_path path, again;
    struct rte_mbuf *m;
    const uint8_t *frame;

    meet(x, PEER);
    assert_int_equal(net_path_find(x->net, &remote.addr, &path), 0);
    assert_int_equal(net_path_header(&path), 40);
    again = path;
    net_path_label(x->net, &path, &local, &remote);
    net_path_label(x->net, &again, &local, &remote);
    assert_true(path.flow_label != 0 && path.flow_label <= 0xfffff);
    assert_int_equal(path.flow_label, again.flow_label);
    remote.port++;
    net_path_label(x->net, &again, &local, &remote);
    assert_int_not_equal(path.flow_label, again.flow_label);
    path.dscp = 46;
    path.ecn = 2;
    m = rte_pktmbuf_alloc(x->tx_pool);
    memset(rte_pktmbuf_append(m, 20), 0, 20);
    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    net_send(x->net, &path, &path.src, &remote.addr, 6, EGRESS_DATA, m, x->now);
    m = fix_take(x, FIX_INSIDE, NULL);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(test_frame_get32(frame + TEST_L3),
                     6u << 28 | (46u << 2 | 2) << 20 | path.flow_label);
    assert_int_equal(test_frame_get16(frame + TEST_L3 + 4), 20);
    assert_int_equal(m->l2_len, 14);
    assert_int_equal(m->l3_len, 40);
    assert_true((m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0);
    assert_true((m->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM)) == 0);
    rte_pktmbuf_free(m);
}

static void expect_path(struct fix *x, const char *dst, const char *src, const char *next_hop)
{
    struct ip_addr to = fix_addr(dst), from = fix_addr(src), hop = fix_addr(next_hop);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    assert_true(ip_equal(&path.src, &from));
    assert_true(ip_equal(&path.next_hop, &hop));
}

static void expect_no_path(struct fix *x, const char *dst)
{
    struct ip_addr to = fix_addr(dst);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), -1);
}

static bool awaited(struct fix *x, const char *dst)
{
    struct ip_addr to = fix_addr(dst);

    return net_path_awaited(x->net, &to);
}

static void test_paths(void **state)
{
    struct fix *x = *state;

    expect_path(x, PEER, US, PEER);
    expect_path(x, FAR, "2001:db8:1::10", "2001:db8:1::1");
    expect_no_path(x, US);
    expect_no_path(x, "fe80::5");
    expect_no_path(x, "ff02::1");
    expect_no_path(x, "::1");
    expect_no_path(x, "::");
}

static int route(struct fix *x, const char *to, const char *via, unsigned iface)
{
    struct stack_route r = {.via = fix_addr(via), .iface = iface};

    assert_int_equal(ip_prefix_parse(to, &r.to), 0);
    return net_route_add(x->net, &r, NULL);
}

static void test_routes(void **state)
{
    struct fix *x = *state;

    assert_int_equal(route(x, "2001:db8:7::/48", "fe80::1", FIX_INSIDE), 0);
    expect_path(x, "2001:db8:7::1", US, "fe80::1");
    assert_int_equal(route(x, "2001:db8:8::/48", "fe80::1", 7), -1); /* no such interface */
    assert_int_equal(route(x, "2001:db8:8::/48", "2001:db8:9::1", 0), -1);
    assert_int_equal(route(x, "2001:db8:8::/48", US, 0), -1);
    assert_int_equal(route(x, "2001:db8:8::/48", "10.0.0.2", 0), -1);
    assert_int_equal(route(x, "172.16.0.0/12", PEER, 0), -1);
    assert_int_equal(route(x, "::/0", PEER, 0), -1); /* twice */
}

/* RFC 6724: the longest match, and unique local addresses among themselves. */
static void test_source_selection(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "third", "2001:db8:3::1/64");

    c.addr_count = 3;
    assert_int_equal(ip_prefix_parse("fd00:3::1/64", &c.addrs[1]), 0);
    assert_int_equal(ip_prefix_parse("2001:db8:33::1/64", &c.addrs[2]), 0);
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    assert_int_equal(route(x, "2000::/3", "2001:db8:3::99", 0), 0);
    assert_int_equal(route(x, "fd00::/8", "2001:db8:3::99", 0), 0);
    expect_no_path(x, "2001:db8:3::9"); /* nothing of it is ours yet */
    assert_true(awaited(x, "2001:db8:3::9"));
    assert_true(awaited(x, "2000::1")); /* by a router there */
    assert_false(awaited(x, "fe80::1"));
    assert_false(awaited(x, "172.16.0.1"));
    fix_advance(x, 5 * CLOCK_SEC);
    assert_false(awaited(x, "2001:db8:3::9"));
    fix_discard(x, FIX_INSIDE);
    expect_path(x, "2001:db8:3::9", "2001:db8:3::1", "2001:db8:3::9");
    expect_path(x, "2001:db8:33::9", "2001:db8:33::1", "2001:db8:33::9");
    expect_path(x, "fd00:9::1", "fd00:3::1", "2001:db8:3::99");
    expect_path(x, "2a00::1", "2001:db8:3::1", "2001:db8:3::99");
}

static void test_mtu(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "small", "2001:db8:3::1/64");
    struct error e = {0};

    c.mtu = 1279;
    assert_int_equal(net_iface_add(x->net, &c, x->now, &e), -1);
    assert_string_equal(e.text, "interface small: IPv6 needs an MTU of 1280, not 1279");
    c.mtu = 1280;
    assert_int_equal(net_iface_add(x->net, &c, x->now, &e), 2);
    fix_discard(x, FIX_INSIDE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whose_packets),
        TEST(test_parameter_problems),
        TEST(test_problems_sent_to_a_group),
        TEST(test_errors_are_limited),
        TEST(test_echo),
        TEST(test_echo_on_the_link),
        TEST(test_errors_received),
        TEST(test_output),
        TEST(test_paths),
        TEST(test_routes),
        TEST(test_source_selection),
        TEST(test_mtu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
