/*
 * Fragments, alone and at random: what is put together is held against a naive reassembler, which
 * keeps every byte apart.
 */
#include "tests/unit/stack/test_net_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PEER    "192.0.2.1"
#define OURS    "192.0.2.10"
#define PEER6   "2001:db8::1"
#define OURS6   "2001:db8::10"
#define BUFFERS 256
#define DATA    65000

enum { IPV6 = 2 };

static struct fix *x;
static uint8_t payload[DATA];

/* A fragment to build. */
struct cut {
    const char *src;
    bool v6;
    uint32_t id;
    uint32_t offset, len;
    bool more;
    uint8_t protocol; /* 0: UDP */
    uint8_t tos;
    const uint8_t *bytes; /* NULL: of the payload */
};

/* The ingress hook: drops what goes to a port, and of TCP and ICMP what has these flags or type. */
static struct {
    unsigned asked;
    uint16_t port;
    uint8_t flags, type;
} firewall;

static void judge(void *ctx, struct packet *packets, unsigned count, clock_ns now)
{
    (void)ctx;
    (void)now;
    firewall.asked += count;
    for (unsigned i = 0; i < count; i++) {
        const struct packet *p = &packets[i];

        assert_true(p->fragment && p->piece.offset == 0);
        if ((firewall.port != 0 && p->dport == firewall.port) ||
            (p->ip_protocol == 6 && (p->tcp.flags & firewall.flags) != 0) ||
            (p->ip_protocol == 1 && firewall.type != 0 && p->icmp.type == firewall.type))
            packets[i].drop = drop_firewall;
    }
}

static int setup(void **state)
{
    struct stack_iface_config c;

    assert_int_equal(fix_setup(state), 0);
    x = *state;
    memset(&firewall, 0, sizeof firewall);
    c = fix_iface_config(x, FIX_OUTSIDE, "ipv6", OURS6 "/64");
    c.mtu = 1500;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), IPV6);
    fix_advance(x, 10 * CLOCK_SEC); /* the address is found to be nobody else's */
    fix_discard(x, FIX_OUTSIDE);
    assert_int_equal(net_fragments_enable(x->net, BUFFERS, judge, NULL, NULL), 0);
    for (unsigned i = 0; i < DATA; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static void header_v6(struct test_frame *f, const struct cut *c)
{
    struct ip_addr src = fix_addr(c->src), dst = fix_addr(OURS6);
    uint8_t h[48] = {0x60, (uint8_t)(c->tos << 4), 0, 0, [6] = 44, [7] = 64};

    test_frame_put16(h + 4, (uint16_t)(8 + c->len));
    memcpy(h + 8, &src, 16);
    memcpy(h + 24, &dst, 16);
    h[40] = c->protocol != 0 ? c->protocol : 17;
    test_frame_put16(h + 42, (uint16_t)(c->offset | c->more));
    test_frame_put32(h + 44, c->id);
    test_frame_append(f, h, sizeof h);
}

static struct rte_mbuf *build(const struct cut *c)
{
    struct test_frame f;
    const uint8_t *bytes = c->bytes != NULL ? c->bytes : payload + c->offset;

    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, c->v6 ? 0x86dd : 0x0800);
    if (c->v6) {
        header_v6(&f, c);
        test_frame_append(&f, bytes, c->len);
    } else {
        test_frame_ipv4(&f, c->protocol != 0 ? c->protocol : 17, c->src, OURS);
        f.b[TEST_L3 + 1] = c->tos;
        test_frame_put16(f.b + TEST_L3 + 4, (uint16_t)c->id);
        test_frame_put16(f.b + TEST_L3 + 6, (uint16_t)(c->offset / 8 | (c->more ? 0x2000 : 0)));
        test_frame_append(&f, bytes, c->len);
        test_frame_put16(f.b + TEST_L3 + 2, (uint16_t)(20 + c->len));
        test_frame_put16(f.b + TEST_L3 + 10, 0);
        test_frame_put16(f.b + TEST_L3 + 10, test_frame_sum(f.b + TEST_L3, 20, 0));
        if (f.len < 60)
            test_frame_append(&f, "padding padding padding padding", 60 - f.len);
    }
    return test_mbuf_exact(f.b, f.len);
}

/* Gives one fragment in; returns what it completed, to be freed by the caller, or NULL. */
static struct rte_mbuf *give(const struct cut *c)
{
    struct packet p = {.m = build(c), .iface = c->v6 ? IPV6 : FIX_OUTSIDE};
    struct rte_mbuf *m;

    wire_parse(&p);
    if (net_fragments_input(x->net, &p, 1, x->now) == 0)
        return NULL;
    m = p.m;
    if (p.drop == DROP_NONE) {
        assert_true(p.reassembled);
        assert_false(p.fragment);
        return m;
    }
    net_input(x->net, &p, 1, x->now);
    return NULL;
}

static void expect_whole(struct rte_mbuf *m, uint32_t len, bool v6)
{
    uint32_t at = v6 ? 54 : 34;
    uint8_t *out = malloc(len);

    assert_non_null(m);
    assert_int_equal(m->pkt_len, at + len);
    assert_memory_equal(rte_pktmbuf_read(m, at, len, out), payload, len);
    free(out);
    rte_pktmbuf_free(m);
}

static struct cut piece(uint32_t id, uint32_t offset, uint32_t len, bool more)
{
    return (struct cut){.src = PEER, .id = id, .offset = offset, .len = len, .more = more};
}

#define GIVE(...) give(&(struct cut[]){__VA_ARGS__}[0])

static uint64_t refused(void)
{
    return x->counters.drop_ip_fragment;
}

static void test_in_order(void **state)
{
    struct rte_mbuf *m;
    uint8_t *h;

    (void)state;
    assert_null(GIVE(piece(7, 0, 1480, true)));
    assert_null(GIVE(piece(7, 1480, 1480, true)));
    m = GIVE(piece(7, 2960, 5, false));
    assert_non_null(m);
    h = rte_pktmbuf_mtod_offset(m, uint8_t *, TEST_L3);
    assert_int_equal(test_frame_get16(h + 2), 20 + 2965);
    assert_int_equal(test_frame_get16(h + 6), 0);
    assert_int_equal(test_frame_sum(h, 20, 0), 0);
    expect_whole(m, 2965, false);
    assert_int_equal(x->counters.ip_fragments, 3);
    assert_int_equal(x->counters.ip_reassembled, 1);
    assert_int_equal(refused(), 0);
    assert_int_equal(test_mbuf_in_use(), x->mbufs_before);
}

/* The transport is parsed anew: ports and checksum are those of the whole packet. */
static void test_tcp(void **state)
{
    struct test_frame f;
    struct packet p;

    (void)state;
    test_frame_ether(&f, fix_mac[FIX_OUTSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 6, PEER, OURS);
    test_frame_tcp(&f, 1000, 443, 1, 2, TCP_ACK);
    test_frame_append(&f, payload, 100);
    test_frame_finish(&f);
    for (unsigned broken = 0; broken < 2; broken++) {
        const uint8_t *l4 = f.b + TEST_L4;
        struct cut first = {PEER, false, broken, 0, 40, true, 6, 0, l4};
        struct cut last = {PEER, false, broken, 40, 80, false, 6, 0, l4 + 40};

        assert_null(give(&last));
        p = (struct packet){.m = build(&first), .iface = FIX_OUTSIDE};
        wire_parse(&p);
        assert_int_equal(net_fragments_input(x->net, &p, 1, x->now), 1);
        assert_int_equal(p.drop, broken ? drop_tcp_checksum : DROP_NONE);
        rte_pktmbuf_free(p.m);
        if (broken)
            break;
        assert_int_equal(p.payload_length, 100);
        assert_int_equal(p.dport, 443);
        assert_int_equal(p.kind, PACKET_TCP);
        f.b[TEST_L4 + 60] ^= 1;
    }
}

static void test_impossible(void **state)
{
    static const struct cut bad[] = {
        {.src = PEER, .offset = 0, .len = 12, .more = true},                 /* not in units of 8 */
        {.src = PEER, .offset = 0, .len = 0, .more = true, .protocol = 50},  /* no data */
        {.src = PEER, .offset = 65528, .len = 100, .bytes = payload},        /* beyond 64 KiB */
        {.src = PEER, .offset = 8, .len = 100, .more = true, .protocol = 6}, /* RFC 3128 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(give(&bad[i]));
        assert_int_equal(refused(), i + 1);
    }
    assert_int_equal(test_mbuf_in_use(), x->mbufs_before);
}

static void test_overlap_ends_it(void **state)
{
    (void)state;
    assert_null(GIVE(piece(1, 0, 800, true)));
    assert_null(GIVE(piece(1, 792, 800, true)));
    assert_int_equal(x->counters.ip_reassembly_overlaps, 1);
    assert_int_equal(refused(), 2);
    assert_null(GIVE(piece(1, 0, 800, true))); /* what still comes of it */
    assert_null(GIVE(piece(1, 800, 8, false)));
    assert_int_equal(refused(), 4);
    fix_advance(x, 31 * CLOCK_SEC);
    assert_int_equal(x->counters.icmp_errors_sent, 0);
    assert_null(GIVE(piece(1, 0, 800, true))); /* the number is free again */
    expect_whole(GIVE(piece(1, 800, 8, false)), 808, false);
}

static void test_ends_disagree(void **state)
{
    (void)state;
    assert_null(GIVE(piece(1, 800, 8, false)));
    assert_null(GIVE(piece(1, 808, 8, false)));
    assert_null(GIVE(piece(2, 800, 8, false)));
    assert_null(GIVE(piece(2, 808, 8, true)));
    assert_null(GIVE(piece(3, 808, 8, true)));
    assert_null(GIVE(piece(3, 800, 8, false)));
    assert_null(GIVE(piece(4, 800, 8, false)));
    assert_null(GIVE(piece(4, 800, 8, true)));
    assert_int_equal(x->counters.ip_reassembly_overlaps, 4);
}

static void test_duplicates(void **state)
{
    struct cut other = piece(2, 0, 800, true);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_null(GIVE(piece(1, 0, 800, true)));
    assert_int_equal(refused(), 2);
    expect_whole(GIVE(piece(1, 800, 8, false)), 808, false);
    assert_null(GIVE(piece(2, 0, 800, true)));
    other.bytes = payload + 1; /* the same place, other bytes */
    assert_null(give(&other));
    assert_int_equal(x->counters.ip_reassembly_overlaps, 1);
}

/* RFC 3168, 5.3: the ECN bits of the fragments, and of the whole; 4: none. */
static void test_ecn(void **state)
{
    static const uint8_t cases[][3] = {{0, 0, 0}, {2, 2, 2}, {1, 1, 1}, {2, 3, 3},
                                       {3, 1, 3}, {0, 3, 4}, {3, 0, 4}, {2, 0, 2}};

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *c = cases[i / 2];
        bool v6 = i % 2 != 0;
        struct cut first = {v6 ? PEER6 : PEER, v6, i, 0, 800, true, 0, c[0], NULL};
        struct cut last = {v6 ? PEER6 : PEER, v6, i, 800, 8, false, 0, c[1], NULL};
        struct rte_mbuf *m;
        const uint8_t *h;

        assert_null(give(&first));
        m = give(&last);
        if (c[2] == 4) {
            assert_null(m);
            continue;
        }
        assert_non_null(m);
        h = rte_pktmbuf_mtod_offset(m, const uint8_t *, TEST_L3);
        assert_int_equal((v6 ? h[1] >> 4 : h[1]) & 3, c[2]);
        expect_whole(m, 808, v6);
    }
}

/* The sender is told when the first fragment had come, and not for the others. */
static void test_time(void **state)
{
    enum egress_band band;
    struct rte_mbuf *m;
    const uint8_t *icmp;

    (void)state;
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, PEER, OURS);
    fix_discard(x, FIX_OUTSIDE);
    assert_null(GIVE(piece(1, 0, 800, true)));
    assert_null(GIVE(piece(2, 800, 800, true)));
    fix_advance(x, 29 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 1);
    m = fix_take(x, FIX_OUTSIDE, &band);
    icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, TEST_L4);
    assert_int_equal(icmp[0], 11);
    assert_int_equal(icmp[1], 1);
    assert_int_equal(test_frame_get16(icmp + 8 + 4), 1);
    rte_pktmbuf_free(m);
    assert_int_equal(x->counters.ip_reassembly_timeouts, 2);
    assert_int_equal(refused(), 2);
}

/* What the firewall drops is dropped in silence when it is late, too. */
static void test_time_is_no_way_past_the_firewall(void **state)
{
    static const uint8_t tcp[24] = {0x30, 0x39, 0, 22, [12] = 0x50, [13] = TCP_SYN};
    static const uint8_t icmp[8] = {13};
    struct cut c = piece(3, 0, 24, true);

    (void)state;
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, PEER, OURS);
    fix_discard(x, FIX_OUTSIDE);
    firewall.port = (uint16_t)(payload[2] << 8 | payload[3]);
    firewall.flags = TCP_SYN;
    firewall.type = 13;
    assert_null(GIVE(piece(1, 0, 800, true)));
    assert_null(GIVE(piece(2, 8, 800, true)));
    c.protocol = 6;
    c.bytes = tcp;
    assert_null(give(&c));
    c.protocol = 1;
    c.bytes = icmp;
    c.len = 8;
    assert_null(give(&c));
    fix_advance(x, 31 * CLOCK_SEC);
    assert_int_equal(x->counters.ip_reassembly_timeouts, 4);
    assert_int_equal(firewall.asked, 3); /* of what has no first fragment nobody is told anyway */
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    firewall.port = 0;
    assert_null(GIVE(piece(1, 0, 800, true)));
    fix_advance(x, 31 * CLOCK_SEC);
    assert_int_equal(x->counters.icmp_errors_sent, 1);
}

/* A source may have a quarter of all, and its own give way first; then the oldest of all. */
static void test_bounds(void **state)
{
    char source[32];

    (void)state;
    assert_null(GIVE({.src = "198.51.100.9", .id = 1, .len = 800, .more = true}));
    for (uint32_t id = 0; id < 1000; id++)
        assert_null(GIVE({.src = "198.51.100.1", .id = id, .len = 800, .more = true}));
    assert_int_equal(test_mbuf_in_use() - x->mbufs_before, BUFFERS / 4 + 1);
    expect_whole(GIVE({.src = "198.51.100.9", .id = 1, .offset = 800, .len = 8}), 808, false);
    assert_null(GIVE({.src = "198.51.100.9", .id = 2, .len = 800, .more = true}));
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(source, sizeof source, "203.0.%u.%u", i / 250, i % 250 + 1);
        assert_null(GIVE({.src = source, .id = i, .len = 800, .more = true}));
        assert_true(test_mbuf_in_use() - x->mbufs_before <= BUFFERS);
    }
    assert_null(GIVE({.src = "198.51.100.9", .id = 2, .offset = 800, .len = 8})); /* gone */
    assert_true(x->counters.ip_reassembly_evicted > 1500);
}

/* All sources of one /64 are one. */
static void test_bounds_v6(void **state)
{
    char source[32];

    (void)state;
    for (unsigned i = 1; i < 500; i++) {
        snprintf(source, sizeof source, "2001:db8:1:2::%x", i);
        assert_null(GIVE({.src = source, .v6 = true, .id = i, .len = 800, .more = true}));
    }
    assert_int_equal(test_mbuf_in_use() - x->mbufs_before, BUFFERS / 4);
}

static void test_many_pieces(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++)
        assert_null(GIVE(piece(1, i * 8, 8, true)));
    assert_true(test_mbuf_in_use() - x->mbufs_before <= BUFFERS / 4);
    assert_true(refused() > 0);
}

static void test_disabled(void **state)
{
    static const struct siphash_key key = {1, 2};
    struct net *enabled = x->net;
    struct stack_iface_config c = fix_iface_config(x, FIX_OUTSIDE, "outside", OURS "/24");

    (void)state;
    x->net = net_create(&key, &x->counters, x->now, NULL);
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 0);
    assert_null(GIVE(piece(1, 0, 800, true)));
    assert_int_equal(refused(), 1);
    net_destroy(x->net);
    x->net = enabled;
}

/* Not for us: neither by Ethernet's address nor by IP's. */
static void test_others(void **state)
{
    struct cut c = piece(1, 0, 800, true);
    struct packet p = {.m = build(&c), .iface = FIX_OUTSIDE};

    (void)state;
    rte_pktmbuf_mtod(p.m, uint8_t *)[5] ^= 0x40;
    wire_parse(&p);
    assert_int_equal(net_fragments_input(x->net, &p, 1, x->now), 1);
    assert_int_equal(p.drop, drop_ethernet_address);
    rte_pktmbuf_free(p.m);
    p = (struct packet){.m = build(&c), .iface = FIX_INSIDE};
    memcpy(rte_pktmbuf_mtod(p.m, uint8_t *), fix_mac[FIX_INSIDE], 6);
    wire_parse(&p);
    assert_int_equal(net_fragments_input(x->net, &p, 1, x->now), 1);
    assert_int_equal(p.drop, drop_ip_destination);
    rte_pktmbuf_free(p.m);
}

/* Whose address it is must not be looked for behind the end of a first mbuf of a byte. */
static void test_scattered(void **state)
{
    static const uint16_t after[] = {1};
    struct cut c = piece(1, 0, 800, true);
    struct rte_mbuf *linear = build(&c);
    struct packet p = {.iface = FIX_OUTSIDE};

    (void)state;
    rte_pktmbuf_mtod(linear, uint8_t *)[5] ^= 0x40;
    p.m = test_mbuf_split(rte_pktmbuf_mtod(linear, void *), linear->data_len, after, 1);
    rte_pktmbuf_free(linear);
    wire_parse(&p);
    assert_int_equal(net_fragments_input(x->net, &p, 1, x->now), 1);
    assert_int_equal(p.drop, drop_ethernet_address);
    rte_pktmbuf_free(p.m);
}

/* ---- at random ---- */

/* Bytes that are there, by the plainest means. */
struct naive {
    uint8_t owner[DATA]; /* 0: none; else the number of the fragment */
    uint32_t end, bytes;
    bool dead;
};

enum verdict { WAITS, WHOLE, NOTHING };

static enum verdict naive_give(struct naive *n, const struct cut *c, unsigned number,
                               const struct cut *all)
{
    uint32_t end = c->offset + c->len;
    unsigned first = n->owner[c->offset];

    if (n->dead)
        return NOTHING;
    if (first != 0 && all[first - 1].offset == c->offset && all[first - 1].len == c->len &&
        all[first - 1].more == c->more)
        return NOTHING;
    for (uint32_t i = c->offset; i < end; i++)
        n->dead |= n->owner[i] != 0;
    for (uint32_t i = end; i < DATA && !c->more; i++)
        n->dead |= n->owner[i] != 0;
    n->dead |= n->end != 0 && (end > n->end || (!c->more && end != n->end));
    if (n->dead)
        return NOTHING;
    memset(n->owner + c->offset, (int)number + 1, c->len);
    n->bytes += c->len;
    if (!c->more)
        n->end = end;
    return n->bytes == n->end ? WHOLE : WAITS;
}

static uint32_t below(uint32_t n)
{
    assert(n > 0);
    return (uint32_t)random() % n;
}

/* Cuts a packet in at most 40 pieces; some come twice, some are moved. */
static unsigned cut_at_random(struct cut *out, bool v6, uint32_t id, bool damage)
{
    uint32_t len = 2000 + below(30000), at = 0;
    unsigned count = 0;

    while (at < len) {
        uint32_t step = RTE_MIN((1 + below(180)) * 8, len - at);

        if (count == 39 && step < len - at)
            len = at + step;
        out[count++] = (struct cut){.src = v6 ? PEER6 : PEER,
                                    .v6 = v6,
                                    .id = id,
                                    .offset = at,
                                    .len = step,
                                    .more = at + step < len};
        at += step;
    }
    for (unsigned extra = below(6); extra > 0; extra--) {
        out[count] = out[below(count)];
        if (damage && out[count].more && below(2) != 0)
            out[count].offset += 8 * below(20);
        count++;
    }
    for (unsigned i = count; i > 1; i--) {
        unsigned k = below(i);
        struct cut swap = out[k];

        out[k] = out[i - 1];
        out[i - 1] = swap;
    }
    return count;
}

static void one_at_random(uint32_t id)
{
    static struct naive n;
    struct cut cuts[48];
    bool v6 = id % 2 != 0;
    unsigned count = cut_at_random(cuts, v6, id, id % 3 == 0);

    n = (struct naive){.end = 0};
    for (unsigned i = 0; i < count; i++) {
        enum verdict v = naive_give(&n, &cuts[i], i, cuts);
        struct rte_mbuf *m = give(&cuts[i]);

        if (v == WHOLE) {
            expect_whole(m, n.end, v6);
            n = (struct naive){.end = 0}; /* what comes late begins anew */
        } else {
            assert_null(m);
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    srandom(4711);
    for (uint32_t id = 1; id <= 2000; id++) {
        one_at_random(id);
        fix_advance(x, 70 * CLOCK_SEC);
        assert_int_equal(test_mbuf_in_use(), x->mbufs_before + fix_waiting(x, FIX_OUTSIDE));
        fix_discard(x, FIX_OUTSIDE);
    }
    assert_true(x->counters.ip_reassembled > 1200);
    assert_true(x->counters.ip_reassembly_overlaps > 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fix_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_order),
        TEST(test_tcp),
        TEST(test_impossible),
        TEST(test_overlap_ends_it),
        TEST(test_ends_disagree),
        TEST(test_duplicates),
        TEST(test_ecn),
        TEST(test_time),
        TEST(test_time_is_no_way_past_the_firewall),
        TEST(test_bounds),
        TEST(test_bounds_v6),
        TEST(test_many_pieces),
        TEST(test_disabled),
        TEST(test_others),
        TEST(test_scattered),
        TEST(test_random),
    };

    return cmocka_run_group_tests_name("stack/net/fragment", tests, NULL, NULL);
}
