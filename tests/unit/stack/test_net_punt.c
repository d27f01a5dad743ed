/* What goes to the stack behind us, and how packets are answered that the firewall rejects. */
#include "tests/unit/stack/test_net_fixture.h"

#include <stdlib.h>

#define OURS   "198.51.100.1"
#define PEER   "198.51.100.7"
#define KERNEL "198.51.100.2"

enum { PUNTING = 2, FOLLOWING };

static struct fix *x;
static struct rte_mbuf *punted;
static unsigned punted_count;
static unsigned rejected;

static void punt(void *ctx, struct rte_mbuf *m)
{
    assert_ptr_equal(ctx, &punted);
    rte_pktmbuf_free(punted);
    punted = m;
    punted_count++;
}

static void serve(void *ctx, struct packet *p, clock_ns now)
{
    (void)ctx;
    (void)now;
    p->drop = p->dport == 80 ? drop_tcp_no_connection : drop_tcp_no_port;
}

static void reject(void *ctx, struct packet *p, clock_ns now)
{
    (void)ctx;
    (void)p;
    (void)now;
    rejected++;
}

static int setup(void **state)
{
    struct stack_iface_config c;

    assert_int_equal(fix_setup(state), 0);
    x = *state;
    c = fix_iface_config(x, FIX_INSIDE, "punting", OURS "/24");
    c.punt = punt;
    c.punt_ctx = &punted;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), PUNTING);
    c = fix_iface_config(x, FIX_INSIDE, "following", "203.0.113.1/24");
    c.punt = punt;
    c.punt_ctx = &punted;
    c.follower = true;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), FOLLOWING);
    net_handler_set(x->net, WIRE_IP_PROTO_TCP, serve, NULL, NULL);
    net_reject_set(x->net, WIRE_IP_PROTO_TCP, reject);
    fix_discard(x, FIX_INSIDE);
    punted_count = rejected = 0;
    return 0;
}

static int teardown(void **state)
{
    rte_pktmbuf_free(punted);
    punted = NULL;
    return fix_teardown(state);
}

static struct test_frame frame_to(const uint8_t mac[6], uint8_t protocol, const char *dst)
{
    struct test_frame f;

    test_frame_ether(&f, mac, fix_peer, 0x0800);
    test_frame_ipv4(&f, protocol, PEER, dst);
    if (protocol == 6)
        test_frame_tcp(&f, 1000, 22, 1, 0, TCP_SYN);
    else if (protocol == 1)
        test_frame_icmp(&f, 0, 0, 1); /* an echo reply */
    else
        test_frame_append(&f,
                          "\x30\x39\x00\x35\x00\x0c\x00\x00"
                          "data",
                          12);
    test_frame_finish(&f);
    return f;
}

static uint64_t drops(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < DROP_NONE; i++)
        /* cppcheck-suppress objectIndex; the counters of the reasons stand side by side */
        sum += (&x->counters.drop_truncated)[i];
    return sum;
}

/* It is handed on as it came, and counted as such, not as a drop. */
static void expect_punted(const struct test_frame *f, unsigned iface, bool wanted)
{
    uint64_t before = x->counters.punted, dropped = drops();
    unsigned count = punted_count;

    fix_frame(x, iface, f);
    assert_int_equal(punted_count - count, wanted);
    assert_int_equal(x->counters.punted - before, wanted);
    if (!wanted)
        return;
    assert_int_equal(punted->pkt_len, f->len);
    assert_memory_equal(rte_pktmbuf_mtod(punted, const void *), f->b, f->len);
    assert_int_equal(drops() - dropped, 0);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0); /* nor was it answered */
}

static void test_unserved(void **state)
{
    static const uint8_t multicast[6] = {1, 0, 0x5e, 0, 0, 18};
    const uint8_t *mac = fix_mac[FIX_INSIDE];
    struct test_frame f;

    (void)state;
    f = frame_to(mac, 6, OURS);
    expect_punted(&f, PUNTING, true);
    f = frame_to(mac, 17, OURS);
    expect_punted(&f, PUNTING, true);
    f = frame_to(mac, 47, OURS);
    expect_punted(&f, PUNTING, true);
    f = frame_to(mac, 1, OURS);
    expect_punted(&f, PUNTING, true);
    f = frame_to(mac, 6, KERNEL);
    expect_punted(&f, PUNTING, true);
    f = frame_to(multicast, 112, "224.0.0.18");
    expect_punted(&f, PUNTING, true);
    f = frame_to(fix_broadcast, 17, "255.255.255.255");
    expect_punted(&f, PUNTING, true);
    test_frame_ether(&f, multicast, fix_peer, 0x88cc); /* LLDP */
    test_frame_append(&f, "some information", 16);
    expect_punted(&f, PUNTING, true);
}

/* One of the two fragments of a datagram of 1,608 bytes to the kernel. */
static struct rte_mbuf *datagram_fragment(bool last)
{
    uint8_t data[1600] = {0};
    struct test_frame f;

    test_frame_ether(&f, fix_mac[FIX_INSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 17, PEER, KERNEL);
    test_frame_put16(f.b + TEST_L3 + 6, last ? 1200 / 8 : 0x2000);
    test_frame_append(&f, data, last ? 408 : 1200);
    test_frame_finish(&f);
    return test_mbuf_exact(f.b, f.len);
}

/* What was put together goes on in fragments again, none longer than the interface's MTU. */
static void test_reassembled(void **state)
{
    struct packet p = {.iface = PUNTING};
    const uint8_t *ip;

    (void)state;
    assert_int_equal(net_fragments_enable(x->net, 64, NULL, NULL, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        p.m = datagram_fragment(i == 1);
        wire_parse(&p);
        assert_int_equal(net_fragments_input(x->net, &p, 1, x->now), i);
    }
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.m->pkt_len, 14 + 20 + 1608);
    net_input(x->net, &p, 1, x->now);
    assert_int_equal(punted_count, 2);
    assert_int_equal(punted->pkt_len, 14 + 20 + 1608 - 1480);
    ip = rte_pktmbuf_mtod_offset(punted, const uint8_t *, TEST_L3);
    assert_int_equal(test_frame_get16(ip + 6), 1480 / 8);
    assert_int_equal(test_frame_sum(ip, 20, 0), 0);
    assert_memory_equal(ip - 14, fix_mac[FIX_INSIDE], 6);
}

/* What another worker has put together and handed to this one shows it by its length only. */
static void test_reassembled_elsewhere(void **state)
{
    struct packet p = {.iface = PUNTING};

    (void)state;
    assert_int_equal(net_fragments_enable(x->net, 64, NULL, NULL, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        p.m = datagram_fragment(i == 1);
        wire_parse(&p);
        net_fragments_input(x->net, &p, 1, x->now);
    }
    fix_input(x, PUNTING, p.m);
    assert_int_equal(punted_count, 2);
    assert_int_equal(punted->pkt_len, 14 + 20 + 1608 - 1480);
}

static void test_ipv6(void **state)
{
    const uint8_t solicitation[24] = {135, [8] = 0xfe, 0x80, [23] = 9};
    struct test_frame f;

    (void)state;
    test_frame_ether(&f, fix_broadcast, fix_peer, 0x86dd);
    test_frame_ipv6(&f, 58, "fe80::7", "ff02::1:ff00:9");
    f.b[TEST_L3 + 7] = 255;
    test_frame_append(&f, solicitation, sizeof solicitation);
    test_frame_finish(&f);
    expect_punted(&f, PUNTING, true);
    expect_punted(&f, FOLLOWING, false); /* the leader has it, too */
    f.b[TEST_L3 + 6] = 89;
    expect_punted(&f, FOLLOWING, true);
}

/* What is ours, wrong, forbidden or somebody else's stays here. */
static void test_kept(void **state)
{
    const uint8_t *mac = fix_mac[FIX_INSIDE];
    struct test_frame f = frame_to(mac, 6, OURS);

    (void)state;
    test_frame_put16(f.b + TEST_L4 + 2, 80); /* a listener's port */
    test_frame_checksums(&f);
    expect_punted(&f, PUNTING, false);
    assert_int_equal(x->counters.drop_tcp_no_connection, 1);
    f = frame_to(mac, 6, OURS);
    f.b[TEST_L4 + 16] ^= 1;
    expect_punted(&f, PUNTING, false);
    f = frame_to(mac, 17, OURS);
    f.b[TEST_L3 + 10] ^= 1;
    expect_punted(&f, PUNTING, false);
    f = frame_to(fix_peer, 17, OURS);
    expect_punted(&f, PUNTING, false);
    test_frame_ether(&f, fix_peer, fix_peer, 0x88cc);
    test_frame_append(&f, "some information", 16);
    expect_punted(&f, PUNTING, false);
    test_frame_ether(&f, mac, fix_peer, 0x0800);
    test_frame_ipv4(&f, 1, PEER, OURS);
    test_frame_icmp(&f, 8, 0, 1);
    test_frame_finish(&f);
    expect_punted(&f, PUNTING, false); /* the echo is answered */
    f = frame_to(mac, 17, OURS);
    expect_punted(&f, FIX_INSIDE, false); /* no hook there */
}

static void test_arp(void **state)
{
    (void)state;
    fix_arp(x, PUNTING - 1, WIRE_ARP_REQUEST, fix_peer, "10.0.0.9", "10.0.0.8");
    assert_int_equal(punted_count, 0); /* another interface */
}

static void arp(unsigned iface, uint16_t operation, const char *sender, const char *target)
{
    static const uint8_t unknown[6];
    bool reply = operation == WIRE_ARP_REPLY;
    const uint8_t *mac = fix_mac[FIX_INSIDE];
    struct test_frame f;

    test_frame_ether(&f, reply ? mac : fix_broadcast, fix_peer, 0x0806);
    test_frame_arp(&f, operation, fix_peer, sender, reply ? mac : unknown, target);
    fix_frame(x, iface, &f);
}

static void test_arp_leader(void **state)
{
    (void)state;
    arp(PUNTING, WIRE_ARP_REQUEST, PEER, KERNEL);
    assert_int_equal(punted_count, 1);
    arp(PUNTING, WIRE_ARP_REPLY, PEER, OURS); /* both of us may have asked */
    assert_int_equal(punted_count, 2);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    arp(PUNTING, WIRE_ARP_REQUEST, PEER, OURS); /* answered here */
    assert_int_equal(punted_count, 2);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 1);
}

/* A follower learns, and says nothing. */
static void test_arp_follower(void **state)
{
    uint32_t known = net_neighbour_count(x->net);

    (void)state;
    arp(FOLLOWING, WIRE_ARP_REQUEST, "203.0.113.7", "203.0.113.1");
    arp(FOLLOWING, WIRE_ARP_REQUEST, "203.0.113.7", "203.0.113.2");
    arp(FOLLOWING, WIRE_ARP_REPLY, "203.0.113.7", "203.0.113.1");
    assert_int_equal(punted_count, 0);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(net_neighbour_count(x->net), known + 1);
}

static void test_follower_is_silent_at_start(void **state)
{
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "silent", "198.18.0.1/24");

    (void)state;
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    c.follower = true;
    assert_true(net_iface_add(x->net, &c, x->now, NULL) >= 0);
    fix_advance(x, 10 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static void test_inject(void **state)
{
    struct test_frame f = frame_to(fix_peer, 17, PEER);
    struct rte_mbuf *m = test_mbuf_exact(f.b, f.len), *sent;
    enum egress_band band;

    (void)state;
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_TX_TCP_CKSUM;
    x->egress[FIX_INSIDE].room = 1;
    net_inject(x->net, PUNTING, m);
    sent = fix_take(x, FIX_INSIDE, &band);
    assert_ptr_equal(sent, m);
    assert_int_equal(band, EGRESS_DATA);
    assert_int_equal(sent->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL), 0);
    assert_int_equal(x->counters.injected, 1);
    rte_pktmbuf_free(sent);
}

/* One frame of the other stack; returns whether it was sent. */
static bool inject(void)
{
    struct test_frame f = frame_to(fix_peer, 17, PEER);
    uint64_t before = x->counters.injected;

    net_inject(x->net, PUNTING, test_mbuf_exact(f.b, f.len));
    return x->counters.injected != before;
}

/* One frame of data of ours, as large. */
static void send_own(void)
{
    const struct ip_addr peer = fix_addr(PEER), own = fix_addr(OURS);
    struct test_frame f = frame_to(fix_peer, 17, PEER);
    struct rte_mbuf *m = rte_pktmbuf_alloc(x->tx_pool);
    struct net_path path;

    assert_non_null(m);
    assert_non_null(rte_pktmbuf_append(m, (uint16_t)(f.len - 34)));
    assert_int_equal(net_path_find(x->net, &peer, &path), 0);
    path.iface = PUNTING;
    net_send(x->net, &path, &own, &peer, 17, EGRESS_DATA, m, x->now);
}

/* Where both have more than there is room for, each gets half of it. */
static void test_inject_shares_room(void **state)
{
    unsigned own = 0, others = 0;

    (void)state;
    fix_arp(x, PUNTING, 1, fix_peer, PEER, OURS);
    fix_discard(x, FIX_INSIDE);
    for (unsigned round = 0; round < 1000; round++) {
        uint32_t *room = &x->egress[FIX_INSIDE].room;

        *room = 1 + round % 3;
        for (unsigned i = 0; i < 32; i++) {
            bool sent = inject();

            *room -= sent;
            others += sent;
        }
        for (; *room > 0; --*room, own++)
            send_own();
        net_round_end(x->net);
        fix_discard(x, FIX_INSIDE);
    }
    assert_in_range(own, 900, 1100);
    assert_in_range(others, 900, 1100);
    assert_int_equal(x->counters.inject_dropped, 32 * 1000 - others);
}

/* Where nobody else has anything to send, nearly all. */
static void test_inject_alone(void **state)
{
    unsigned others = 0;

    (void)state;
    for (unsigned round = 0; round < 1000; round++) {
        uint32_t *room = &x->egress[FIX_INSIDE].room;

        *room = 8;
        for (unsigned i = 0; i < 8; i++) {
            bool sent = inject();

            *room -= sent;
            others += sent;
        }
        *room += round % 2; /* what the device takes by then */
        net_round_end(x->net);
        fix_discard(x, FIX_INSIDE);
    }
    assert_true(others >= 4000);
}

/* ---- reject ---- */

/* As the firewall leaves it. Returns whether something was sent. */
static bool reject_frame(unsigned iface, const struct test_frame *f)
{
    struct packet p = {.m = test_mbuf_exact(f->b, f->len), .iface = (uint8_t)iface};
    unsigned before = rejected;

    wire_parse(&p);
    p.drop = drop_firewall;
    p.reject = true;
    net_input(x->net, &p, 1, x->now);
    return fix_waiting(x, FIX_INSIDE) > 0 || rejected > before;
}

static void test_reject(void **state)
{
    const uint8_t *mac = fix_mac[FIX_INSIDE];
    struct test_frame f = frame_to(mac, 6, OURS);
    struct rte_mbuf *m;

    (void)state;
    arp(PUNTING, WIRE_ARP_REQUEST, PEER, OURS); /* so that the peer is known */
    fix_discard(x, FIX_INSIDE);
    assert_true(reject_frame(PUNTING, &f));
    assert_int_equal(rejected, 1); /* the transport's */
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    f = frame_to(mac, 17, OURS);
    assert_true(reject_frame(PUNTING, &f));
    m = fix_take(x, FIX_INSIDE, NULL);
    assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[TEST_L4], 3);
    assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[TEST_L4 + 1], 13);
    assert_true(test_frame_sums_right(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len));
    rte_pktmbuf_free(m);
    assert_int_equal(x->counters.drop_firewall, 2);
    assert_int_equal(x->counters.rejects, 2);
    assert_int_equal(punted_count, 0);
    f = frame_to(mac, 6, KERNEL);
    assert_true(reject_frame(PUNTING, &f)); /* on behalf of the stack behind us */
    assert_int_equal(rejected, 2);
}

/* RFC 1122, 3.2.2. */
static void test_reject_in_silence(void **state)
{
    const uint8_t *mac = fix_mac[FIX_INSIDE];
    struct test_frame f;

    (void)state;
    arp(PUNTING, WIRE_ARP_REQUEST, PEER, OURS);
    fix_discard(x, FIX_INSIDE);
    f = frame_to(fix_broadcast, 17, "198.51.100.255");
    assert_false(reject_frame(PUNTING, &f));
    f = frame_to(fix_broadcast, 17, OURS);
    assert_false(reject_frame(PUNTING, &f));
    f = frame_to(mac, 17, "203.0.113.9"); /* nobody's here */
    assert_false(reject_frame(PUNTING, &f));
    test_frame_ether(&f, mac, fix_peer, 0x0800); /* an ICMP error */
    test_frame_ipv4(&f, 1, PEER, OURS);
    test_frame_icmp(&f, 3, 1, 0);
    test_frame_append(&f, "12345678901234567890123456789012", 32);
    test_frame_finish(&f);
    assert_false(reject_frame(PUNTING, &f));
    fix_arp(x, PUNTING - 1, WIRE_ARP_REQUEST, fix_peer, "10.0.0.9", "10.0.0.1");
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(x->counters.drop_firewall, 4);
}

static void test_reject_limited(void **state)
{
    struct test_frame f = frame_to(fix_mac[FIX_INSIDE], 6, OURS);

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        reject_frame(PUNTING, &f);
    assert_int_equal(rejected, 200);
    assert_int_equal(x->counters.rejects_limited, 800);
    x->now += 100 * CLOCK_MS;
    for (unsigned i = 0; i < 1000; i++)
        reject_frame(PUNTING, &f);
    assert_int_equal(rejected, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unserved),
        TEST(test_reassembled),
        TEST(test_reassembled_elsewhere),
        TEST(test_ipv6),
        TEST(test_kept),
        TEST(test_arp),
        TEST(test_arp_leader),
        TEST(test_arp_follower),
        TEST(test_follower_is_silent_at_start),
        TEST(test_inject),
        TEST(test_inject_shares_room),
        TEST(test_inject_alone),
        TEST(test_reject),
        TEST(test_reject_in_silence),
        TEST(test_reject_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
