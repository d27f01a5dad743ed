#include "tests/unit/support/test_unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ip.h>

#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

/* Parses options that lie in a block of exactly their size. */
static bool parse(const uint8_t *options, size_t len, struct packet_tcp *out)
{
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): guarded even where it is empty */
    uint8_t *exact = calloc(1, len);
    bool ok;

    if (len != 0)
        memcpy(exact, options, len);
    memset(out, 0xa5, sizeof *out);
    ok = wire_tcp_options_parse(exact, len, out);
    free(exact);
    return ok;
}

#define PARSE(out, ...) \
    parse((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__}, out)

static void test_no_options(void **state)
{
    struct packet_tcp o;

    (void)state;
    assert_true(parse(NULL, 0, &o));
    assert_false(o.has_mss || o.has_wscale || o.sack_permitted || o.has_timestamp);
    assert_int_equal(o.sack_count, 0);
    assert_true(PARSE(&o, 1, 1, 1, 1));
    assert_true(PARSE(&o, 0, 2, 99, 99)); /* nothing counts behind the end */
    assert_false(o.has_mss);
}

static void test_impossible_lengths(void **state)
{
    struct packet_tcp o;

    (void)state;
    assert_false(PARSE(&o, 99, 0, 0, 0)); /* 0: a parser that adds it never ends */
    assert_false(PARSE(&o, 99, 1, 0, 0));
    assert_false(PARSE(&o, 99, 5, 0, 0)); /* past the end by one */
    assert_false(PARSE(&o, 99, 255, 0, 0));
    assert_false(PARSE(&o, 1, 1, 1, 99)); /* no length byte */
    assert_false(PARSE(&o, 2));
    assert_true(PARSE(&o, 99, 4, 0, 0)); /* unknown, but well-formed */
    assert_true(PARSE(&o, 99, 2, 1, 1));
}

static void test_known_options_have_one_length(void **state)
{
    static const struct {
        uint8_t kind, right;
    } known[] = {{2, 4}, {3, 3}, {4, 2}, {8, 10}};

    (void)state;
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        for (uint8_t len = 2; len < 20; len++) {
            uint8_t options[20];
            struct packet_tcp o;

            memset(options, 1, sizeof options);
            options[0] = known[i].kind;
            options[1] = len;
            assert_int_equal(parse(options, sizeof options, &o), len == known[i].right);
        }
    }
}

static void test_sack_blocks(void **state)
{
    (void)state;
    for (uint8_t len = 2; len <= 38; len++) {
        uint8_t options[40];
        struct packet_tcp o;
        bool right = len == 10 || len == 18 || len == 26 || len == 34;

        memset(options, 1, sizeof options);
        options[0] = 5;
        options[1] = len;
        test_frame_put32(options + 2, 0x11223344);
        test_frame_put32(options + 6, 0x55667788);
        assert_int_equal(parse(options, sizeof options, &o), right);
        if (right) {
            assert_int_equal(o.sack_count, (len - 2) / 8);
            assert_int_equal(o.sack[0].left, 0x11223344);
            assert_int_equal(o.sack[0].right, 0x55667788);
        }
    }
}

static void test_window_scale_is_at_most_14(void **state)
{
    struct packet_tcp o;

    (void)state;
    assert_true(PARSE(&o, 3, 3, 14, 1));
    assert_int_equal(o.wscale, 14);
    assert_true(PARSE(&o, 3, 3, 255, 1));
    assert_int_equal(o.wscale, 14);
}

/* The usual form has its own way through the parser; any other must lead to the same. */
static void test_timestamp_forms(void **state)
{
    struct packet_tcp usual, other;

    (void)state;
    assert_true(PARSE(&usual, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8));
    assert_true(PARSE(&other, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1));
    assert_true(usual.has_timestamp && other.has_timestamp);
    assert_int_equal(usual.ts_value, 0x01020304);
    assert_int_equal(usual.ts_echo, 0x05060708);
    assert_int_equal(other.ts_value, usual.ts_value);
    assert_int_equal(other.ts_echo, usual.ts_echo);
    assert_false(usual.has_mss || usual.sack_count != 0);
}

/* ---- emit ---- */

/* A header with the options of a bit mask. */
static struct wire_tcp header(unsigned mask, uint8_t sacks)
{
    struct wire_tcp h = {
        .sport = 443,
        .dport = 40000,
        .seq = 0xfffffff0,
        .ack = 0x12345678,
        .window = 0xabcd,
        .urgent = 3,
        .flags = TCP_ACK | TCP_SYN,
        .has_mss = (mask & 1) != 0,
        .has_wscale = (mask & 2) != 0,
        .sack_permitted = (mask & 4) != 0,
        .has_timestamp = (mask & 8) != 0,
        .wscale = 7,
        .sack_count = sacks,
        .mss = 1460,
        .ts_value = 0xdeadbeef,
        .ts_echo = 0xcafebabe,
    };

    for (unsigned i = 0; i < sacks; i++) {
        h.sack[i].left = 1000 * i;
        h.sack[i].right = 1000 * i + 500;
    }
    return h;
}

static void assert_same_options(const struct wire_tcp *h, const struct packet_tcp *o)
{
    assert_int_equal(o->has_mss, h->has_mss);
    assert_int_equal(o->has_wscale, h->has_wscale);
    assert_int_equal(o->sack_permitted, h->sack_permitted);
    assert_int_equal(o->has_timestamp, h->has_timestamp);
    assert_int_equal(o->sack_count, h->sack_count);
    if (h->has_mss)
        assert_int_equal(o->mss, h->mss);
    if (h->has_wscale)
        assert_int_equal(o->wscale, h->wscale);
    if (h->has_timestamp) {
        assert_int_equal(o->ts_value, h->ts_value);
        assert_int_equal(o->ts_echo, h->ts_echo);
    }
    for (unsigned i = 0; i < h->sack_count; i++) {
        assert_int_equal(o->sack[i].left, h->sack[i].left);
        assert_int_equal(o->sack[i].right, h->sack[i].right);
    }
}

static void test_what_is_emitted_parses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16 * 5; i++) {
        struct wire_tcp h = header(i % 16, (uint8_t)(i / 16));
        size_t len = wire_tcp_length(&h);
        struct packet_tcp o;
        uint8_t *out;

        if (len > WIRE_TCP_MAX)
            continue;
        out = malloc(len);
        assert_int_equal(len % 4, 0);
        assert_int_equal(wire_tcp_emit(&h, out), len);
        assert_int_equal(out[12] >> 4, len / 4);
        assert_true(parse(out + 20, len - 20, &o));
        assert_same_options(&h, &o);
        free(out);
    }
}

static void test_lengths(void **state)
{
    struct wire_tcp h = header(0, 0);

    (void)state;
    assert_int_equal(wire_tcp_length(&h), 20);
    h = header(8, 0);
    assert_int_equal(wire_tcp_length(&h), 32);
    h = header(15, 0);
    assert_int_equal(wire_tcp_length(&h), 40);
    h = header(8, 3);
    assert_int_equal(wire_tcp_length(&h), 60);
    h = header(0, 4);
    assert_int_equal(wire_tcp_length(&h), 56);
}

/* RFC 7323, appendix A: what a receiver's fast path looks for. */
static void test_timestamps_alone_have_the_usual_form(void **state)
{
    static const uint8_t usual[] = {1, 1, 8, 10, 0xde, 0xad, 0xbe, 0xef, 0xca, 0xfe, 0xba, 0xbe};
    struct wire_tcp h = header(8, 0);
    uint8_t out[WIRE_TCP_MAX];

    (void)state;
    wire_tcp_emit(&h, out);
    assert_memory_equal(out + 20, usual, sizeof usual);
}

/* The order in which Linux has them, each ending on a multiple of four. */
static void test_layout_of_a_syn(void **state)
{
    static const uint8_t all[] = {2,    4,    5,    180,  4,    2,    8, 10, 0xde, 0xad,
                                  0xbe, 0xef, 0xca, 0xfe, 0xba, 0xbe, 1, 3,  3,    7};
    static const uint8_t no_timestamps[] = {2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7};
    struct wire_tcp h = header(15, 0);
    uint8_t out[WIRE_TCP_MAX];

    (void)state;
    assert_int_equal(wire_tcp_emit(&h, out), 20 + sizeof all);
    assert_memory_equal(out + 20, all, sizeof all);
    h = header(7, 0);
    assert_int_equal(wire_tcp_emit(&h, out), 20 + sizeof no_timestamps);
    assert_memory_equal(out + 20, no_timestamps, sizeof no_timestamps);
}

static void test_header_fields(void **state)
{
    static const uint8_t expected[] = {0x01, 0xbb, 0x9c, 0x40, 0xff, 0xff, 0xff, 0xf0, 0x12, 0x34,
                                       0x56, 0x78, 0x50, 0x12, 0xab, 0xcd, 0,    0,    0,    3};
    struct wire_tcp h = header(0, 0);
    uint8_t out[WIRE_TCP_MAX];

    (void)state;
    wire_tcp_emit(&h, out);
    assert_memory_equal(out, expected, sizeof expected);
}

/* ---- checksum ---- */

static const struct ip_addr from = {.b = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 10}};
static const struct ip_addr to = {.b = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 7}};

static struct rte_mbuf *segment(size_t payload, const uint16_t *cut, unsigned cuts)
{
    struct wire_tcp h = header(8, 0);
    uint8_t bytes[2000];
    size_t len = wire_tcp_emit(&h, bytes);

    for (size_t i = 0; i < payload; i++)
        bytes[len++] = (uint8_t)(i * 7);
    return test_mbuf_split(bytes, len, cut, cuts);
}

/* The IP header to which the segment belongs. */
static void ip_header(uint8_t *ip, uint32_t tcp_length)
{
    wire_ipv4_emit(ip, &from, &to, 6, 0, (uint16_t)(20 + tcp_length), 0, false);
}

static void test_checksum_in_software(void **state)
{
    (void)state;
    for (size_t payload = 0; payload < 1400; payload += 77) {
        uint16_t cut[] = {32, 33, 700};
        struct rte_mbuf *m = segment(payload, cut, 3);
        uint8_t ip[20], bytes[2000];
        uint32_t len = m->pkt_len;

        ip_header(ip, len);
        wire_tcp_checksum(m, &from, &to, false, false);
        memcpy(bytes, rte_pktmbuf_mtod(m, void *), m->data_len);
        for (uint32_t at = 0; at < len; at++)
            bytes[at] = *(const uint8_t *)rte_pktmbuf_read(m, at, 1, &bytes[at]);
        assert_int_equal(test_frame_sum(bytes, len, test_frame_pseudo(ip, (uint16_t)len)), 0);
        rte_pktmbuf_free(m);
    }
}

/* What DPDK asks of a driver's user: the pseudo-header's sum, without the length for TSO. */
static void test_checksum_for_hardware(void **state)
{
    (void)state;
    for (unsigned tso = 0; tso < 2; tso++) {
        struct rte_mbuf *m = segment(100, NULL, 0);
        uint8_t ip[20];
        uint16_t sum;

        ip_header(ip, m->pkt_len);
        wire_tcp_checksum(m, &from, &to, true, tso != 0);
        memcpy(&sum, rte_pktmbuf_mtod_offset(m, uint8_t *, 16), 2);
        assert_int_equal(sum, rte_ipv4_phdr_cksum((struct rte_ipv4_hdr *)ip,
                                                  tso != 0 ? RTE_MBUF_F_TX_TCP_SEG : 0));
        rte_pktmbuf_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_options),
        cmocka_unit_test(test_impossible_lengths),
        cmocka_unit_test(test_known_options_have_one_length),
        cmocka_unit_test(test_sack_blocks),
        cmocka_unit_test(test_window_scale_is_at_most_14),
        cmocka_unit_test(test_timestamp_forms),
        cmocka_unit_test(test_what_is_emitted_parses),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_timestamps_alone_have_the_usual_form),
        cmocka_unit_test(test_layout_of_a_syn),
        cmocka_unit_test(test_header_fields),
        cmocka_unit_test(test_checksum_in_software),
        cmocka_unit_test(test_checksum_for_hardware),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
