/*
 * wire_parse() on good frames, on every way to break one field, and on good frames cut, split and
 * flipped at every place. Frames lie in blocks of exactly their size.
 */
#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

static const uint8_t us[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* MSS 1460, SACK permitted, timestamps 1 and 2, NOP, window scale 7 */
static const uint8_t syn_options[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0,
                                      0, 1, 0,    0,    0, 2, 1, 3,  3, 7};

static struct packet parse_mbuf(struct rte_mbuf *m)
{
    struct packet p;
    enum drop_cause drop;

    memset(&p, 0xa5, sizeof p); /* whatever is not set shows */
    p.m = m;
    p.iface = 3;
    drop = wire_parse(&p);
    assert_int_equal(drop, p.drop);
    assert_ptr_equal(p.m, m);
    assert_int_equal(p.iface, 3);
    rte_pktmbuf_free(m);
    return p;
}

static struct packet parse(const struct test_frame *f)
{
    return parse_mbuf(test_mbuf_exact(f->b, f->len));
}

static enum drop_cause drop_of(const struct test_frame *f)
{
    return parse(f).drop;
}

static struct test_frame good_tcp(const void *payload, size_t len)
{
    struct test_frame f;

    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, 6, "198.51.100.7", "192.0.2.10");
    test_frame_tcp(&f, 40000, 443, 0x01020304, 0x0a0b0c0d, TCP_ACK | TCP_PSH);
    test_frame_append(&f, payload, len);
    test_frame_finish(&f);
    return f;
}

static struct test_frame good_syn(void)
{
    struct test_frame f;

    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, 6, "198.51.100.7", "192.0.2.10");
    test_frame_tcp(&f, 40000, 443, 7, 0, TCP_SYN);
    test_frame_tcp_options(&f, syn_options, sizeof syn_options);
    test_frame_finish(&f);
    return f;
}

static struct test_frame good_echo(void)
{
    struct test_frame f;

    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, 1, "198.51.100.7", "192.0.2.10");
    test_frame_icmp(&f, 8, 0, 0xabcd0001);
    test_frame_append(&f, "ping", 4);
    test_frame_finish(&f);
    return f;
}

static struct test_frame good_arp(void)
{
    struct test_frame f;

    test_frame_ether(&f, everybody, peer, 0x0806);
    test_frame_arp(&f, 1, peer, "192.0.2.1", us, "192.0.2.10");
    return f;
}

/* A TCP segment in an IP header with `len` bytes of options (a multiple of four). */
static struct test_frame with_ip_options(const uint8_t *options, size_t len)
{
    struct test_frame plain = good_tcp("x", 1), f = plain;

    f.len = TEST_L4;
    f.b[TEST_L3] = (uint8_t)(0x40 | (20 + len) / 4);
    test_frame_append(&f, options, len);
    test_frame_append(&f, plain.b + TEST_L4, plain.len - TEST_L4);
    test_frame_finish(&f);
    return f;
}

static void assert_addr(const struct ip_addr *a, const char *text)
{
    char got[IP_TEXT_MAX];

    assert_string_equal(ip_format(a, got), text);
}

/* ---- good frames ---- */

static void test_tcp_segment(void **state)
{
    struct test_frame f = good_tcp("hello", 5);
    struct packet p = parse(&f);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_TCP);
    assert_int_equal(p.ip_protocol, 6);
    assert_int_equal(p.ttl, 57);
    assert_int_equal(p.l3_offset, 14);
    assert_int_equal(p.l4_offset, 34);
    assert_int_equal(p.payload_offset, 54);
    assert_int_equal(p.l3_length, 45);
    assert_int_equal(p.payload_length, 5);
    assert_addr(&p.src, "198.51.100.7");
    assert_addr(&p.dst, "192.0.2.10");
    assert_int_equal(p.sport, 40000);
    assert_int_equal(p.dport, 443);
    assert_int_equal(p.tcp.seq, 0x01020304);
    assert_int_equal(p.tcp.ack, 0x0a0b0c0d);
    assert_int_equal(p.tcp.window, 0x1234);
    assert_int_equal(p.tcp.flags, TCP_ACK | TCP_PSH);
    assert_false(p.tcp.has_mss || p.tcp.has_wscale || p.tcp.sack_permitted || p.tcp.has_timestamp);
    assert_int_equal(p.tcp.sack_count, 0);
}

static void test_syn_options(void **state)
{
    struct test_frame f = good_syn();
    struct packet p = parse(&f);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.payload_offset, 34 + 20 + sizeof syn_options);
    assert_int_equal(p.payload_length, 0);
    assert_true(p.tcp.has_mss && p.tcp.has_wscale && p.tcp.sack_permitted && p.tcp.has_timestamp);
    assert_int_equal(p.tcp.mss, 1460);
    assert_int_equal(p.tcp.wscale, 7);
    assert_int_equal(p.tcp.ts_value, 1);
    assert_int_equal(p.tcp.ts_echo, 2);
}

static void test_icmp_echo(void **state)
{
    struct test_frame f = good_echo();
    struct packet p = parse(&f);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_ICMP);
    assert_int_equal(p.icmp.type, 8);
    assert_int_equal(p.icmp.code, 0);
    assert_int_equal(p.icmp.rest, 0xabcd0001);
    assert_int_equal(p.payload_offset, 42);
    assert_int_equal(p.payload_length, 4);
}

static void test_arp(void **state)
{
    struct test_frame f = good_arp();
    struct packet p = parse(&f);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_ARP);
    assert_addr(&p.src, "192.0.2.1");
    assert_addr(&p.dst, "192.0.2.10");
}

static void test_other_protocol(void **state)
{
    struct test_frame f;
    struct packet p;

    (void)state;
    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, 47, "198.51.100.7", "192.0.2.10");
    test_frame_append(&f, "gre", 3);
    test_frame_finish(&f);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_OTHER);
    assert_int_equal(p.ip_protocol, 47);
    assert_int_equal(p.payload_length, 3);
}

/* Ethernet pads short frames to 60 bytes; what follows the IP packet is none of it. */
/* UDP is nothing to the stack, but the firewall has rules for its ports. */
static void test_udp_ports(void **state)
{
    static const uint8_t header[8] = {0x30, 0x39, 0x00, 0x35, 0, 8, 0, 0};
    struct test_frame f;
    struct packet p;

    (void)state;
    for (unsigned len = 0; len <= sizeof header; len++) {
        test_frame_ether(&f, us, peer, 0x0800);
        test_frame_ipv4(&f, 17, "198.51.100.7", "192.0.2.10");
        test_frame_append(&f, header, len);
        test_frame_finish(&f);
        p = parse(&f);
        assert_int_equal(p.drop, DROP_NONE);
        assert_int_equal(p.kind, PACKET_OTHER);
        assert_int_equal(p.sport, len == sizeof header ? 12345 : 0);
        assert_int_equal(p.dport, len == sizeof header ? 53 : 0);
    }
}

static void test_padding_is_ignored(void **state)
{
    struct test_frame f = good_tcp("", 0);
    struct packet p;

    (void)state;
    test_frame_append(&f, "\xde\xad\xbe\xef\xff\xff", 6);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.l3_length, 40);
    assert_int_equal(p.payload_length, 0);
    f = good_arp();
    test_frame_append(
        &f, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 18);
    assert_int_equal(drop_of(&f), DROP_NONE);
}

static void test_harmless_ip_options(void **state)
{
    static const uint8_t options[] = {1, 7, 7, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff};
    struct test_frame f = with_ip_options(options, sizeof options);
    struct packet p = parse(&f);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.l4_offset, 34 + sizeof options);
    assert_int_equal(p.sport, 40000);
    assert_int_equal(p.payload_length, 1);
}

/* ---- one thing wrong ---- */

static void test_ethernet(void **state)
{
    struct test_frame f = good_tcp("x", 1);

    (void)state;
    test_frame_put16(f.b + 12, 0x88cc);
    assert_int_equal(drop_of(&f), drop_ethernet_type);
    test_frame_put16(f.b + 12, 46); /* an 802.3 length */
    assert_int_equal(drop_of(&f), drop_ethernet_type);
}

static struct test_frame tagged(uint16_t tpid, uint16_t tci)
{
    struct test_frame plain = good_tcp("x", 1), f;

    test_frame_ether(&f, us, peer, tpid);
    f.len += 4;
    test_frame_put16(f.b + 14, tci);
    test_frame_put16(f.b + 16, 0x0800);
    test_frame_append(&f, plain.b + 14, plain.len - 14);
    return f;
}

static void test_vlan(void **state)
{
    struct test_frame f = tagged(0x8100, 0x6005);
    struct rte_mbuf *m;
    struct packet p;

    (void)state;
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.vlan, 5);
    assert_int_equal(p.l3_offset, 18);
    f = tagged(0x88a8, 0);
    assert_int_equal(drop_of(&f), drop_vlan);
    f = tagged(0x8100, 0xe000); /* a priority and no VLAN */
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.vlan, 0);
    assert_int_equal(p.l3_offset, 18);
    assert_int_equal(p.l4_offset, 38);
    assert_int_equal(p.dport, 443);
    f.len = 17;
    assert_int_equal(drop_of(&f), drop_truncated);

    f = good_tcp("x", 1);
    m = test_mbuf_exact(f.b, f.len);
    m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    m->vlan_tci = 0x6005;
    assert_int_equal(wire_ether_vlan(m), 5);
    p = parse_mbuf(m);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.vlan, 5);
    assert_int_equal(p.l3_offset, 14);
}

/* Two tags are dropped, whether the driver took the outer one out or not. */
static void test_stacked_vlans(void **state)
{
    struct test_frame f = tagged(0x8100, 7);
    struct rte_mbuf *m = test_mbuf_exact(f.b, f.len);

    (void)state;
    assert_int_equal(wire_ether_vlan(m), 7);
    m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    m->vlan_tci = 5;
    assert_int_equal(wire_ether_vlan(m), 5);
    assert_int_equal(parse_mbuf(m).drop, drop_vlan);
    test_frame_put16(f.b + 16, 0x8100);
    assert_int_equal(drop_of(&f), drop_vlan);
    test_frame_put16(f.b + 16, 0x88a8);
    assert_int_equal(drop_of(&f), drop_vlan);
}

static void test_ip_header(void **state)
{
    struct test_frame f = good_tcp("x", 1);

    (void)state;
    f.b[14] = 0x65;
    assert_int_equal(drop_of(&f), drop_ip_version);
    f.b[14] = 0x44;
    assert_int_equal(drop_of(&f), drop_ip_header);
    f.b[14] = 0x40;
    assert_int_equal(drop_of(&f), drop_ip_header);
    f.b[14] = 0x4f; /* 60 bytes in a frame that has 41 */
    assert_int_equal(drop_of(&f), drop_truncated);
}

static void test_ip_length(void **state)
{
    struct test_frame f = good_tcp("x", 1);

    (void)state;
    test_frame_put16(f.b + 16, 42); /* one more than the frame has */
    assert_int_equal(drop_of(&f), drop_ip_length);
    test_frame_put16(f.b + 16, 0xffff);
    assert_int_equal(drop_of(&f), drop_ip_length);
    test_frame_put16(f.b + 16, 19);
    assert_int_equal(drop_of(&f), drop_ip_length);
    test_frame_put16(f.b + 16, 0);
    assert_int_equal(drop_of(&f), drop_ip_length);
    test_frame_put16(f.b + 16, 39); /* no room for a TCP header */
    test_frame_checksums(&f);
    assert_int_equal(drop_of(&f), drop_truncated);
}

/* Good, but no transport's. */
static void test_fragments(void **state)
{
    static const uint16_t fields[] = {0x2000 /* more */, 0x0001 /* an offset */, 0x4000 /* DF */};
    struct test_frame f = good_tcp("x", 1);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct packet p = {.iface = 0};

        test_frame_put16(f.b + 20, fields[i]);
        test_frame_checksums(&f);
        p.m = test_mbuf_exact(f.b, f.len);
        assert_int_equal(wire_parse(&p), DROP_NONE);
        assert_int_equal(p.fragment, i < 2);
        assert_int_equal(p.kind, i < 2 ? PACKET_OTHER : PACKET_TCP);
        assert_int_equal(p.ip_protocol, 6);
        assert_int_equal(p.dport != 0, i != 1); /* in a first fragment, too */
        rte_pktmbuf_free(p.m);
    }
}

static struct packet parse_fragment(uint8_t protocol, uint16_t field, size_t len)
{
    static const uint8_t datagram[] = {0x30, 0x39, 0x00, 0x35, 0x00, 0x20,
                                       0,    0,    'd',  'a',  't',  'a'};
    struct packet p = {.iface = 0};
    struct test_frame f;

    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, protocol, "192.0.2.10", "198.51.100.7");
    test_frame_append(&f, datagram, len);
    test_frame_put16(f.b + 20, field);
    test_frame_finish(&f);
    p.m = test_mbuf_exact(f.b, f.len);
    wire_parse(&p);
    assert_true(p.fragment);
    assert_int_equal(p.kind, PACKET_OTHER);
    rte_pktmbuf_free(p.m);
    return p;
}

/* What filters decide by is in the first fragment, and there whole (RFC 1858). */
static void test_first_fragments(void **state)
{
    struct packet p = parse_fragment(17, 0x2000, 12);

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.sport, 0x3039);
    assert_int_equal(p.dport, 0x35);
    p = parse_fragment(1, 0x2000, 12);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.icmp.type, 0x30);
    assert_int_equal(p.icmp.code, 0x39);
    assert_int_equal(parse_fragment(17, 0x2000, 7).drop, drop_ip_fragment);
    assert_int_equal(parse_fragment(6, 0x2000, 12).drop, drop_ip_fragment); /* without its flags */
    assert_int_equal(parse_fragment(1, 0x2000, 7).drop, drop_ip_fragment);
    assert_int_equal(parse_fragment(47, 0x2000, 7).drop, DROP_NONE);
    p = parse_fragment(17, 0x0001, 7);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.dport, 0);
    p = parse_fragment(1, 0x2001, 12);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.icmp.type, 0);
}

static void test_ip_options(void **state)
{
    static const uint8_t bad[][4] = {
        {131, 3, 4, 0},  /* loose source route */
        {137, 3, 4, 0},  /* strict source route */
        {1, 1, 131, 3},  /* hidden behind NOPs */
        {7, 0, 0, 0},    /* length 0 */
        {7, 1, 0, 0},    /* length 1 */
        {7, 5, 0, 0},    /* past the end */
        {1, 1, 1, 7},    /* no room for a length */
        {1, 1, 7, 0xff}, /* far past the end */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct test_frame f = with_ip_options(bad[i], sizeof bad[i]);

        assert_int_equal(drop_of(&f), drop_ip_option);
    }
}

static void test_tcp_data_offset(void **state)
{
    struct test_frame f = good_tcp("1234567", 7);

    (void)state;
    for (unsigned words = 0; words < 16; words++) {
        f.b[TEST_L4 + 12] = (uint8_t)(words << 4);
        test_frame_checksums(&f);
        if (words == 5)
            assert_int_equal(drop_of(&f), DROP_NONE);
        else if (words == 6) /* "1234" as options: kind '1', length '2' */
            assert_int_equal(drop_of(&f), drop_tcp_option);
        else
            assert_int_equal(drop_of(&f), drop_tcp_header);
    }
}

static void test_icmp_too_short(void **state)
{
    struct test_frame f = good_echo();

    (void)state;
    f.len = TEST_L4 + 7;
    test_frame_finish(&f);
    assert_int_equal(drop_of(&f), drop_icmp_invalid);
}

static void test_arp_fields(void **state)
{
    static const uint8_t fixed[] = {0, 1, 2, 3, 4, 5, 6, 7}; /* offsets */

    (void)state;
    for (unsigned i = 0; i < sizeof fixed; i++) {
        struct test_frame f = good_arp();

        f.b[TEST_L3 + fixed[i]] ^= 0x10;
        assert_int_equal(drop_of(&f), drop_arp_invalid);
    }
}

/* ---- checksums and the driver's marks ---- */

static void test_marks(void **state)
{
    static const struct {
        uint64_t mark;
        bool ip_broken, tcp_broken;
        enum drop_cause drop;
    } cases[] = {
        {0, true, false, drop_ip_checksum},
        {0, false, true, drop_tcp_checksum},
        {RTE_MBUF_F_RX_IP_CKSUM_GOOD, true, false, DROP_NONE},
        {RTE_MBUF_F_RX_IP_CKSUM_NONE, true, false, DROP_NONE},
        {RTE_MBUF_F_RX_IP_CKSUM_BAD, false, false, drop_ip_checksum},
        {RTE_MBUF_F_RX_L4_CKSUM_GOOD, false, true, DROP_NONE},
        {RTE_MBUF_F_RX_L4_CKSUM_NONE, false, true, DROP_NONE},
        {RTE_MBUF_F_RX_L4_CKSUM_BAD, false, false, drop_tcp_checksum},
        {RTE_MBUF_F_RX_L4_CKSUM_GOOD, true, false, drop_ip_checksum},
        {RTE_MBUF_F_RX_IP_CKSUM_GOOD, false, true, drop_tcp_checksum},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_frame f = good_tcp("x", 1);
        struct rte_mbuf *m;

        f.b[TEST_L3 + 10] ^= cases[i].ip_broken ? 1 : 0;
        f.b[TEST_L4 + 16] ^= cases[i].tcp_broken ? 1 : 0;
        m = test_mbuf_exact(f.b, f.len);
        m->ol_flags |= cases[i].mark;
        assert_int_equal(parse_mbuf(m).drop, cases[i].drop);
    }
}

/* Marks speak of TCP and UDP; an ICMP message is summed whatever they say. */
static void test_icmp_ignores_marks(void **state)
{
    struct test_frame f = good_echo();
    struct rte_mbuf *m;

    (void)state;
    f.b[f.len - 1] ^= 1;
    m = test_mbuf_exact(f.b, f.len);
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    assert_int_equal(parse_mbuf(m).drop, drop_icmp_invalid);
}

/* ---- everywhere ---- */

typedef void frame_check(const struct test_frame *f);

static void for_all_good(frame_check *check)
{
    static const uint8_t nops[] = {1, 1, 1, 1};
    struct test_frame all[] = {good_tcp("hello", 5), good_syn(), good_echo(), good_arp(),
                               with_ip_options(nops, sizeof nops)};

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        check(&all[i]);
}

static void check_cut(const struct test_frame *f)
{
    struct test_frame cut = *f;

    for (cut.len = 0; cut.len < f->len; cut.len++)
        assert_int_not_equal(drop_of(&cut), DROP_NONE);
}

static void test_cut_at_every_length(void **state)
{
    (void)state;
    for_all_good(check_cut);
}

/* Every single bit behind the Ethernet addresses is covered by a check, but for ARP's addresses. */
static void check_flips(const struct test_frame *f)
{
    size_t end = test_frame_get16(f->b + 12) == 0x0806 ? TEST_L3 + 8 : f->len;

    for (size_t bit = 12 * 8; bit < end * 8; bit++) {
        struct test_frame flipped = *f;

        flipped.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (test_frame_get16(flipped.b + TEST_L3 + 6) == 2 && bit / 8 == TEST_L3 + 7)
            continue; /* the flip that made a reply of a request */
        assert_int_not_equal(drop_of(&flipped), DROP_NONE);
    }
}

static void test_every_bit_flipped(void **state)
{
    (void)state;
    for_all_good(check_flips);
}

/* Split anywhere, a frame says the same. */
static void check_split(const struct test_frame *f)
{
    struct packet whole = parse(f);

    for (uint16_t a = 0; a < f->len; a++) {
        uint16_t cut[] = {a, (uint16_t)(a + 1), (uint16_t)(a + 21)};
        struct packet p = parse_mbuf(test_mbuf_split(f->b, f->len, cut, 3));

        whole.m = p.m;
        assert_memory_equal(&p, &whole, sizeof p);
    }
}

static void test_split_everywhere(void **state)
{
    unsigned before = test_mbuf_in_use();

    (void)state;
    for_all_good(check_split);
    assert_int_equal(test_mbuf_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_segment),        cmocka_unit_test(test_syn_options),
        cmocka_unit_test(test_icmp_echo),          cmocka_unit_test(test_arp),
        cmocka_unit_test(test_other_protocol),     cmocka_unit_test(test_udp_ports),
        cmocka_unit_test(test_padding_is_ignored), cmocka_unit_test(test_harmless_ip_options),
        cmocka_unit_test(test_ethernet),           cmocka_unit_test(test_vlan),
        cmocka_unit_test(test_stacked_vlans),      cmocka_unit_test(test_ip_header),
        cmocka_unit_test(test_ip_length),          cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_first_fragments),    cmocka_unit_test(test_ip_options),
        cmocka_unit_test(test_tcp_data_offset),    cmocka_unit_test(test_icmp_too_short),
        cmocka_unit_test(test_arp_fields),         cmocka_unit_test(test_marks),
        cmocka_unit_test(test_icmp_ignores_marks), cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_every_bit_flipped),  cmocka_unit_test(test_split_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
