/* IPv6: the header, extension headers and their bounds, what a sender is told, and quotes. */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>

#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

#define PEER     "2001:db8::7"
#define US       "2001:db8::10"
#define HOP      0
#define ROUTING  43
#define FRAGMENT 44
#define NONE     59
#define OPTIONS  60

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

/* A frame to us up to the IPv6 header. */
static struct test_frame begin(uint8_t next)
{
    struct test_frame f;

    test_frame_ether(&f, mac, mac, 0x86dd);
    test_frame_ipv6(&f, next, PEER, US);
    return f;
}

/* Appends an extension header of 8 bytes, six of which are given. */
static void extension(struct test_frame *f, uint8_t next, const char six[6])
{
    uint8_t header[8] = {next, 0};

    memcpy(header + 2, six, 6);
    test_frame_append(f, header, sizeof header);
}

static void segment(struct test_frame *f)
{
    test_frame_tcp(f, 40000, 443, 1, 2, TCP_ACK);
    test_frame_append(f, "hello", 5);
    test_frame_finish(f);
}

static struct packet parse(const struct test_frame *f)
{
    struct packet p = {.m = test_mbuf_exact(f->b, f->len)};

    wire_parse(&p);
    rte_pktmbuf_free(p.m);
    return p;
}

static void expect_drop(const struct test_frame *f, enum drop_cause cause)
{
    assert_int_equal(parse(f).drop, cause);
}

static void expect_problem(const struct test_frame *f, unsigned code, unsigned at)
{
    struct packet p = parse(f);

    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_OTHER);
    assert_int_equal(p.problem, code + 1);
    assert_int_equal(p.problem_at, at);
}

static void test_header(void **state)
{
    struct test_frame f = begin(6);
    struct packet p;

    (void)state;
    f.b[TEST_L3] = 0x6b;
    f.b[TEST_L3 + 1] = 0x9c;
    segment(&f);
    test_frame_append(&f, "padding", 7); /* Ethernet's, which is not the packet's */
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_TCP);
    assert_int_equal(p.tos, 0xb9);
    assert_int_equal(p.ttl, 57);
    assert_int_equal(p.ip_protocol, 6);
    assert_int_equal(p.l4_offset, TEST6_L4);
    assert_int_equal(p.l3_length, 65);
    assert_int_equal(p.payload_length, 5);
    assert_int_equal(p.payload_offset, TEST6_L4 + 20);
    assert_int_equal(p.named_at, 6);
    assert_int_equal(p.src.b[15], 7);
    assert_int_equal(p.dst.b[15], 0x10);
    assert_int_equal(p.dport, 443);
}

static void test_lengths(void **state)
{
    struct test_frame f = begin(6), whole;

    (void)state;
    segment(&f);
    whole = f;
    for (size_t len = 14; len < whole.len; len++) {
        f.len = len;
        assert_true(parse(&f).drop != DROP_NONE);
    }
    f = whole;
    f.b[TEST_L3 + 4] = 1; /* longer than the frame */
    expect_drop(&f, drop_ip_length);
    f = whole;
    f.b[TEST_L3 + 5]--; /* the checksum's last byte is missing */
    expect_drop(&f, drop_tcp_checksum);
    f = whole;
    f.b[TEST_L3] = 0x50;
    expect_drop(&f, drop_ip_version);
}

static void test_checksum_has_the_addresses(void **state)
{
    struct test_frame f = begin(6);

    (void)state;
    segment(&f);
    f.b[TEST_L3 + 8 + 3] ^= 1;
    expect_drop(&f, drop_tcp_checksum);
}

/* Inside, they would be IPv4 addresses. */
static void test_mapped_addresses(void **state)
{
    struct test_frame f;

    (void)state;
    test_frame_ether(&f, mac, mac, 0x86dd);
    test_frame_ipv6(&f, 6, "::ffff:192.0.2.1", US);
    segment(&f);
    expect_drop(&f, drop_ip_martian);
    test_frame_ether(&f, mac, mac, 0x86dd);
    test_frame_ipv6(&f, 6, PEER, "::ffff:192.0.2.1");
    segment(&f);
    expect_drop(&f, drop_ip_martian);
}

static void test_extension_headers(void **state)
{
    struct test_frame f = begin(HOP);
    struct packet p;

    (void)state;
    extension(&f, OPTIONS, "\5\2\0\0\1\0");  /* router alert, PadN */
    extension(&f, ROUTING, "\1\4\0\0\0\0");  /* PadN */
    extension(&f, FRAGMENT, "\4\0\0\0\0\0"); /* no segments left */
    extension(&f, OPTIONS, "\0\0\0\0\0\7");  /* the only fragment */
    extension(&f, 6, "\x1e\4abcd");          /* an option that may be skipped */
    segment(&f);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.problem, 0);
    assert_int_equal(p.kind, PACKET_TCP);
    assert_false(p.fragment);
    assert_int_equal(p.l4_offset, TEST6_L4 + 40);
    assert_int_equal(p.named_at, 40 + 32);
    assert_int_equal(p.payload_length, 5);
}

static void test_bounds(void **state)
{
    struct test_frame f = begin(OPTIONS);
    uint8_t large[136] = {6, 16, 0x1e, 132};

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        extension(&f, i < 5 ? OPTIONS : 6, "\1\4\0\0\0\0");
    segment(&f);
    expect_drop(&f, drop_ip_extension);

    f = begin(OPTIONS);
    test_frame_append(&f, large, sizeof large);
    segment(&f);
    expect_drop(&f, drop_ip_extension);

    f = begin(OPTIONS); /* beyond the packet's end */
    large[1] = 1;
    test_frame_append(&f, large, 8);
    test_frame_finish(&f);
    expect_drop(&f, drop_truncated);

    f = begin(OPTIONS);
    test_frame_append(&f, large, 7);
    test_frame_finish(&f);
    expect_drop(&f, drop_truncated);
}

static void test_options(void **state)
{
    struct test_frame f = begin(OPTIONS);
    uint8_t many[24] = {6, 2};
    uint8_t padded[16] = {6, 1, 1, 6, [10] = 0x1e, 4};

    (void)state;
    extension(&f, 6, "\x1e\5abcd"); /* reaches beyond its header */
    segment(&f);
    expect_drop(&f, drop_ip_option);

    f = begin(OPTIONS);
    extension(&f, 6, "\1\3abc\x1e"); /* has no length */
    segment(&f);
    expect_drop(&f, drop_ip_option);

    f = begin(OPTIONS); /* more than eight */
    for (unsigned i = 2; i < sizeof many; i += 2)
        many[i] = 0x1e;
    test_frame_append(&f, many, sizeof many);
    segment(&f);
    expect_drop(&f, drop_ip_option);

    f = begin(OPTIONS); /* padding that aligns nothing (RFC 8504, 5.3) */
    test_frame_append(&f, padded, sizeof padded);
    segment(&f);
    expect_drop(&f, drop_ip_option);
}

/* RFC 8200, 4.2: the option's first two bits. */
static void test_unknown_options(void **state)
{
    struct test_frame f = begin(OPTIONS);

    (void)state;
    extension(&f, 6, "\x5e\4abcd");
    segment(&f);
    expect_drop(&f, drop_ip_option);
    for (unsigned action = 0x80; action <= 0xc0; action += 0x40) {
        f = begin(OPTIONS);
        extension(&f, 6, "\x1e\4abcd");
        segment(&f);
        f.b[TEST6_L4 + 2] = (uint8_t)(0x1e | action);
        expect_problem(&f, WIRE_ICMP6_CODE_OPTION, 42);
        f.b[TEST_L3 + 24] = 0xff; /* sent to a group */
        if (action == 0x80)
            expect_problem(&f, WIRE_ICMP6_CODE_OPTION, 42);
        else
            expect_drop(&f, drop_ip_option);
    }
}

static void test_order(void **state)
{
    struct test_frame f = begin(OPTIONS);

    (void)state;
    extension(&f, HOP, "\1\4\0\0\0\0");
    extension(&f, 6, "\1\4\0\0\0\0");
    segment(&f);
    expect_problem(&f, WIRE_ICMP6_CODE_NEXT, 40);
}

static void test_routing(void **state)
{
    struct test_frame f = begin(ROUTING);

    (void)state;
    extension(&f, 6, "\0\1\0\0\0\0"); /* type 0, RFC 5095 */
    segment(&f);
    expect_problem(&f, WIRE_ICMP6_CODE_FIELD, 42);
    f.b[TEST6_L4 + 2] = 77;
    expect_problem(&f, WIRE_ICMP6_CODE_FIELD, 42);
}

static void test_fragments(void **state)
{
    struct test_frame f = begin(OPTIONS);
    struct packet p;

    (void)state;
    extension(&f, FRAGMENT, "\1\4\0\0\0\0");
    extension(&f, 17, "\0\1\xde\xad\xbe\xef");
    test_frame_append(&f, "\x12\x34\x00\x35\0\x20\0\0datagram", 16);
    test_frame_finish(&f);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_OTHER);
    assert_true(p.fragment && p.piece.more);
    assert_int_equal(p.piece.offset, 0);
    assert_int_equal(p.piece.id, 0xdeadbeef);
    assert_int_equal(p.piece.header, TEST6_L4 + 8);
    assert_int_equal(p.piece.named_at, TEST6_L4);
    assert_int_equal(p.piece.data, TEST6_L4 + 16);
    assert_int_equal(p.ip_protocol, 17);
    assert_int_equal(p.sport, 0x1234); /* the firewall's rules hold for it */
    assert_int_equal(p.dport, 0x35);

    f.b[TEST6_L4 + 8 + 3] = 0x78; /* the last one */
    p = parse(&f);
    assert_true(p.fragment && !p.piece.more);
    assert_int_equal(p.piece.offset, 0x78);
    assert_int_equal(p.dport, 0);
}

static void test_impossible_fragments(void **state)
{
    struct test_frame f = begin(FRAGMENT);

    (void)state;
    extension(&f, 17, "\0\1\0\0\0\7");
    test_frame_append(&f, "\x12\x34\x00\x35\0\x20\0\0data", 12);
    test_frame_finish(&f);
    expect_problem(&f, WIRE_ICMP6_CODE_FIELD, 4); /* not a multiple of eight */
    f.b[TEST6_L4 + 2] = 0xff;
    f.b[TEST6_L4 + 3] = 0xf8;
    expect_problem(&f, WIRE_ICMP6_CODE_FIELD, 42); /* beyond 65,535 */

    f = begin(FRAGMENT);
    extension(&f, FRAGMENT, "\0\1\0\0\0\7");
    extension(&f, 17, "\0\1\0\0\0\7");
    test_frame_append(&f, "\x12\x34\x00\x35\0\x20\0\0", 8);
    test_frame_finish(&f);
    expect_drop(&f, drop_ip_extension);

    f = begin(FRAGMENT); /* headers that the first one has not all (RFC 7112) */
    extension(&f, OPTIONS, "\0\1\0\0\0\7");
    test_frame_append(&f, "\6\1\1\4\0\0\0\0", 8);
    test_frame_finish(&f);
    expect_drop(&f, drop_truncated);
}

static void test_no_next_header(void **state)
{
    struct test_frame f = begin(NONE);
    struct packet p;

    (void)state;
    test_frame_append(&f, "anything", 8);
    test_frame_finish(&f);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_OTHER);
    assert_int_equal(p.ip_protocol, NONE);
}

/* ---- ICMPv6 ---- */

static void test_icmp(void **state)
{
    struct test_frame f = begin(58);
    struct packet p;

    (void)state;
    test_frame_icmp(&f, 128, 0, 0x00070001);
    test_frame_append(&f, "ping!", 5);
    test_frame_finish(&f);
    p = parse(&f);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.kind, PACKET_ICMP);
    assert_int_equal(p.icmp.type, 128);
    assert_int_equal(p.icmp.rest, 0x00070001);
    assert_int_equal(p.payload_length, 5);
    f.b[TEST_L3 + 24 + 14] ^= 1; /* the pseudo-header counts */
    expect_drop(&f, drop_icmp_invalid);
}

/* What came through a router did not come from a neighbour. */
static void test_discovery_is_from_the_link(void **state)
{
    struct test_frame f;

    (void)state;
    for (uint8_t type = 133; type <= 137; type++) {
        f = begin(58);
        test_frame_icmp(&f, type, 0, 0);
        test_frame_append(&f, (uint8_t[16]){0}, 16);
        test_frame_finish(&f);
        expect_drop(&f, drop_nd_invalid);
        f.b[TEST_L3 + 7] = 254;
        expect_drop(&f, drop_nd_invalid);
        f.b[TEST_L3 + 7] = 255;
        assert_int_equal(parse(&f).drop, DROP_NONE);
        assert_int_equal(parse(&f).kind, PACKET_ND);
        f.b[TEST6_L4 + 1] = 1; /* a code that is not 0 */
        test_frame_checksums(&f);
        expect_drop(&f, drop_nd_invalid);
    }
    f = begin(OPTIONS); /* neighbours use no extension headers; RFC 6980 */
    f.b[TEST_L3 + 7] = 255;
    extension(&f, 58, "\1\4\0\0\0\0");
    test_frame_icmp(&f, 135, 0, 0);
    test_frame_append(&f, (uint8_t[16]){0}, 16);
    test_frame_finish(&f);
    expect_drop(&f, drop_nd_invalid);
}

static void test_listener_queries(void **state)
{
    struct test_frame f;

    (void)state;
    test_frame_ether(&f, mac, mac, 0x86dd);
    test_frame_ipv6(&f, HOP, "fe80::1", "ff02::1");
    extension(&f, 58, "\5\2\0\0\1\0");
    test_frame_icmp(&f, 130, 0, 0);
    test_frame_append(&f, (uint8_t[20]){0}, 20);
    f.b[TEST_L3 + 7] = 1;
    test_frame_finish(&f);
    assert_int_equal(parse(&f).kind, PACKET_ND);
    f.b[TEST_L3 + 7] = 2;
    expect_drop(&f, drop_nd_invalid);
    f.b[TEST_L3 + 7] = 1;
    f.b[TEST_L3 + 8] = 0x20;
    test_frame_checksums(&f);
    expect_drop(&f, drop_nd_invalid);
}

static void test_quotes(void **state)
{
    struct test_frame f = begin(6);
    struct wire_quote q;

    (void)state;
    segment(&f);
    assert_true(wire_quote_parse(f.b + TEST_L3, f.len - TEST_L3, &q));
    assert_int_equal(q.protocol, 6);
    assert_int_equal(q.sport, 40000);
    assert_int_equal(q.seq, 1);
    assert_int_equal(q.dst.b[15], 0x10);
    assert_true(wire_quote_parse(f.b + TEST_L3, 48, &q));
    assert_false(wire_quote_parse(f.b + TEST_L3, 47, &q));
    f.b[TEST_L3] = 0x50;
    assert_false(wire_quote_parse(f.b + TEST_L3, f.len - TEST_L3, &q));
}

/* ---- emission ---- */

static void test_emit(void **state)
{
    static const char want[] = "\x6b\x91\x23\x45\x01\x02\x06\x40";
    struct wire_ipv6 h = {.next_header = 6,
                          .traffic_class = 0xb9,
                          .hop_limit = 64,
                          .flow_label = 0xfff12345,
                          .payload_length = 0x102};
    uint8_t out[WIRE_IPV6_LEN];

    (void)state;
    assert_int_equal(ip_parse(PEER, &h.src), 0);
    assert_int_equal(ip_parse(US, &h.dst), 0);
    wire_ipv6_emit(&h, out);
    assert_memory_equal(out, want, 8);
    assert_memory_equal(out + 8, h.src.b, 16);
    assert_memory_equal(out + 24, h.dst.b, 16);
}

/* Whatever the bytes: no read outside, and what is called good lies inside. */
static void test_random(void **state)
{
    (void)state;
    srandom(6);
    for (unsigned round = 0; round < 200000; round++) {
        static const uint8_t headers[] = {HOP, ROUTING, FRAGMENT, OPTIONS, OPTIONS,
                                          6,   17,      58,       NONE};
        struct test_frame f = begin(headers[(unsigned)random() % sizeof headers]);
        unsigned count = (unsigned)random() % 6;
        struct packet p;

        for (unsigned i = 0; i < count; i++) {
            uint8_t header[24] = {headers[(unsigned)random() % sizeof headers],
                                  (uint8_t)(random() % 3)};

            for (unsigned k = 2; k < sizeof header; k++)
                header[k] = random() % 2 == 0 ? 0 : (uint8_t)(random() % 6);
            test_frame_append(&f, header, (header[1] + 1u) * 8);
        }
        test_frame_append(&f, (uint8_t[64]){[12] = 0x50}, (unsigned)random() % 64);
        test_frame_finish(&f);
        if (random() % 4 == 0)
            f.len = TEST_L3 + (size_t)random() % (f.len - TEST_L3);
        p = parse(&f);
        if (p.drop != DROP_NONE)
            continue;
        assert_true(p.payload_offset + p.payload_length == TEST_L3 + (uint32_t)p.l3_length);
        assert_true((size_t)TEST_L3 + p.l3_length <= f.len);
        assert_true(p.l4_offset - TEST6_L4 <= WIRE_IPV6_EXT_BYTES);
    }
}

static int setup(void **state)
{
    (void)state;
    test_eal_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_checksum_has_the_addresses),
        cmocka_unit_test(test_mapped_addresses),
        cmocka_unit_test(test_extension_headers),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_unknown_options),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_impossible_fragments),
        cmocka_unit_test(test_no_next_header),
        cmocka_unit_test(test_icmp),
        cmocka_unit_test(test_discovery_is_from_the_link),
        cmocka_unit_test(test_listener_queries),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_emit),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
