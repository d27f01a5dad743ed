/* IPv4: what is let in and to whom it goes; what goes out and how it looks. */
#include "tests/unit/stack/test_net_fixture.h"

static struct test_frame tcp_frame(const char *src, const char *dst)
{
    struct test_frame f;

    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 6, src, dst);
    test_frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK);
    test_frame_append(&f, "hello", 5);
    test_frame_finish(&f);
    return f;
}

/* ---- in ---- */

struct seen {
    unsigned count;
    struct packet last;
    bool keep;
    enum drop_cause drop;
};

static void see(void *ctx, struct packet *p, clock_ns now)
{
    struct seen *s = ctx;

    (void)now;
    s->count++;
    s->last = *p;
    p->drop = s->drop;
    if (s->keep)
        p->m = NULL;
}

static void test_segment_reaches_its_handler(void **state)
{
    struct fix *x = *state;
    struct seen seen = {.drop = DROP_NONE};
    struct test_frame f = tcp_frame("198.51.100.7", "192.0.2.10");
    unsigned before = test_mbuf_in_use();

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, see, NULL, &seen);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.payload_length, 5);
    assert_int_equal(test_mbuf_in_use(), before);

    seen.keep = true;
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(test_mbuf_in_use(), before + 1);
    rte_pktmbuf_free(seen.last.m);

    seen.keep = false;
    seen.drop = drop_tcp_no_port;
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_tcp_no_port, 1);
    assert_int_equal(test_mbuf_in_use(), before);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *src, *dst;
        enum drop_cause drop;
    } cases[] = {
        {"198.51.100.7", "192.0.2.11", drop_ip_destination},
        {"198.51.100.7", "192.0.2.255", drop_ip_destination},
        {"198.51.100.7", "255.255.255.255", drop_ip_destination},
        {"198.51.100.7", "224.0.0.1", drop_ip_destination},
        {"198.51.100.7", "10.0.0.1", drop_ip_destination}, /* ours, but inside */
        {"192.0.2.255", "192.0.2.10", drop_ip_martian},
        {"192.0.2.0", "192.0.2.10", drop_ip_martian},
        {"127.0.0.1", "192.0.2.10", drop_ip_martian},
        {"224.0.0.1", "192.0.2.10", drop_ip_martian},
        {"0.0.0.0", "192.0.2.10", drop_ip_martian},
        {"192.0.2.10", "192.0.2.10", drop_ip_spoofed},
    };
    struct fix *x = *state;
    struct seen seen = {.drop = DROP_NONE};
    uint64_t *drops = (uint64_t *)&x->counters;

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, see, NULL, &seen);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_frame f = tcp_frame(cases[i].src, cases[i].dst);
        uint64_t before = drops[cases[i].drop];

        fix_frame(x, FIX_OUTSIDE, &f);
        assert_int_equal(drops[cases[i].drop], before + 1);
    }
    assert_int_equal(seen.count, 0);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
}

/* RFC 1122, 3.3.6: an IP packet for us alone in a frame for everybody. */
static void test_unicast_in_broadcast_frame(void **state)
{
    struct fix *x = *state;
    struct seen seen = {.drop = DROP_NONE};
    struct test_frame f = tcp_frame("198.51.100.7", "192.0.2.10");

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, see, NULL, &seen);
    memcpy(f.b, fix_broadcast, 6);
    fix_frame(x, FIX_OUTSIDE, &f);
    f.b[0] = 1;
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_ip_destination, 2);
    memcpy(f.b, fix_peer, 6);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_ethernet_address, 1);
    assert_int_equal(seen.count, 0);
}

static void test_drops_before_net_are_counted(void **state)
{
    struct fix *x = *state;
    struct test_frame f = tcp_frame("198.51.100.7", "192.0.2.10");

    f.b[TEST_L4 + 4] ^= 1;
    fix_frame(x, FIX_OUTSIDE, &f);
    f.len = 20;
    fix_frame(x, FIX_OUTSIDE, &f);
    f.len = 3;
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_tcp_checksum, 1);
    assert_int_equal(x->counters.drop_truncated, 2);
}

static void test_unknown_protocol_is_refused(void **state)
{
    struct fix *x = *state;
    struct test_frame f;
    struct rte_mbuf *m;
    const uint8_t *frame;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 17, "198.51.100.7", "192.0.2.10");
    test_frame_append(&f, "12345678datagram", 16);
    test_frame_finish(&f);
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_ip_protocol, 1);
    assert_int_equal(x->counters.icmp_errors_sent, 1);
    m = fix_take(x, FIX_OUTSIDE, NULL);
    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_true(test_frame_sums_right(frame, m->pkt_len));
    assert_int_equal(frame[TEST_L4], 3);
    assert_int_equal(frame[TEST_L4 + 1], 2);
    assert_memory_equal(frame + TEST_L4 + 8, f.b + TEST_L3, f.len - TEST_L3);
    rte_pktmbuf_free(m);
}

/* ---- out ---- */

/* A segment to the gateway, which is known. */
static struct rte_mbuf *sent(struct fix *x, struct rte_mbuf *m)
{
    struct ip_addr dst = fix_addr("198.51.100.7");
    struct net_path path;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    assert_int_equal(net_path_find(x->net, &dst, &path), 0);
    net_send(x->net, &path, &path.src, &dst, WIRE_IP_PROTO_TCP, EGRESS_DATA, m, x->now);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 1);
    return fix_take(x, FIX_OUTSIDE, NULL);
}

static struct rte_mbuf *segment(size_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(test_mbuf_pool());

    memset(rte_pktmbuf_append(m, (uint16_t)len), 'x', len);
    return m;
}

static void test_headers(void **state)
{
    static const uint8_t ip[] = {0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6};
    struct fix *x = *state;
    struct rte_mbuf *m = sent(x, segment(40));
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

    assert_int_equal(m->pkt_len, 74);
    assert_memory_equal(frame, fix_peer, 6);
    assert_memory_equal(frame + 6, fix_mac[FIX_OUTSIDE], 6);
    assert_memory_equal(frame + TEST_L3, ip, sizeof ip);
    assert_int_equal(test_frame_sum(frame + TEST_L3, 20, 0), 0);
    assert_int_equal(test_frame_get32(frame + TEST_L3 + 12), 0xc000020a);
    assert_int_equal(test_frame_get32(frame + TEST_L3 + 16), 0xc6336407);
    assert_int_equal(m->l2_len, 14);
    assert_int_equal(m->l3_len, 20);
    assert_int_equal(m->ol_flags, 0);
    assert_int_equal(x->counters.tx_packets, 2); /* with the ARP reply */
    assert_int_equal(x->counters.tx_bytes, 42 + 74);
    rte_pktmbuf_free(m);
}

static int setup_ip_offload(void **state)
{
    return fix_setup_offloads(state, STACK_TX_IPV4_CHECKSUM);
}

static void test_ip_checksum_offload(void **state)
{
    struct rte_mbuf *m = sent(*state, segment(40));

    assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    assert_int_equal(test_frame_get16(rte_pktmbuf_mtod(m, const uint8_t *) + TEST_L3 + 10), 0);
    rte_pktmbuf_free(m);
}

/* The caller's flags stay, and get what the driver needs beside them. */
static void test_tcp_offload_flags(void **state)
{
    struct fix *x = *state;
    struct rte_mbuf *m = segment(40);

    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    m = sent(x, m);
    assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4);
    assert_int_equal(test_frame_sum(rte_pktmbuf_mtod(m, const uint8_t *) + TEST_L3, 20, 0), 0);
    rte_pktmbuf_free(m);

    m = segment(8000);
    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
    m->l4_len = 20;
    m->tso_segsz = 1460;
    m = sent(x, m);
    assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG |
                                      RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    assert_int_equal(m->l4_len, 20);
    assert_int_equal(m->tso_segsz, 1460);
    assert_int_equal(test_frame_get16(rte_pktmbuf_mtod(m, const uint8_t *) + TEST_L3 + 2), 8020);
    rte_pktmbuf_free(m);
}

static void test_chain_of_segments(void **state)
{
    struct rte_mbuf *head = segment(32), *payload = segment(1000);
    struct rte_mbuf *indirect = rte_pktmbuf_alloc(test_mbuf_pool());

    rte_pktmbuf_attach(indirect, payload);
    rte_pktmbuf_free(payload);
    assert_int_equal(rte_pktmbuf_chain(head, indirect), 0);
    head = sent(*state, head);
    assert_int_equal(head->nb_segs, 2);
    assert_int_equal(head->pkt_len, 34 + 1032);
    assert_int_equal(head->data_len, 34 + 32);
    assert_int_equal(test_frame_get16(rte_pktmbuf_mtod(head, const uint8_t *) + TEST_L3 + 2), 1052);
    rte_pktmbuf_free(head);
}

/* Exactly the headroom of the contract. */
static void test_least_headroom(void **state)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(test_mbuf_pool());

    m->data_off = NET_HEADROOM;
    memset(rte_pktmbuf_append(m, 20), 'x', 20);
    m = sent(*state, m);
    assert_int_equal(m->data_off, NET_HEADROOM - 34);
    rte_pktmbuf_free(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_segment_reaches_its_handler),
        TEST(test_addresses),
        TEST(test_unicast_in_broadcast_frame),
        TEST(test_drops_before_net_are_counted),
        TEST(test_unknown_protocol_is_refused),
        TEST(test_headers),
        cmocka_unit_test_setup_teardown(test_ip_checksum_offload, setup_ip_offload, fix_teardown),
        TEST(test_tcp_offload_flags),
        TEST(test_chain_of_segments),
        TEST(test_least_headroom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
