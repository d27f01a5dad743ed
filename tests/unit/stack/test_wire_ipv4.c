/* IPv4 headers that we emit, and the quotes of packets inside ICMP errors. */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>

#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

static const struct ip_addr from = {.b = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 10}};
static const struct ip_addr to = {.b = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 7}};

static void test_header(void **state)
{
    static const uint8_t expected[] = {0x45, 0xb8, 0x05, 0xdc, 0x00, 0x07, 0x40, 0x00, 64, 6};
    uint8_t out[20];

    (void)state;
    wire_ipv4_emit(out, &from, &to, 6, 0xb8, 1500, 7, false);
    assert_memory_equal(out, expected, sizeof expected);
    assert_memory_equal(out + 12, from.b + 12, 4);
    assert_memory_equal(out + 16, to.b + 12, 4);
    assert_int_equal(test_frame_sum(out, 20, 0), 0);
    wire_ipv4_emit(out, &from, &to, 6, 0, 1500, 0, true);
    assert_int_equal(test_frame_get16(out + 10), 0);
}

static void test_arp_round_trip(void **state)
{
    struct wire_arp a = {.operation = 2,
                         .sender_mac = {2, 0, 0, 0, 0, 1},
                         .target_mac = {2, 0, 0, 0, 0, 2},
                         .sender_ip = 0x01020304,
                         .target_ip = 0x05060708};
    struct wire_arp b;
    uint8_t *out = malloc(WIRE_ARP_LEN);

    (void)state;
    wire_arp_emit(&a, out);
    assert_true(wire_arp_parse(out, WIRE_ARP_LEN, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_false(wire_arp_parse(out, WIRE_ARP_LEN - 1, &b));
    out[7] = 3;
    assert_false(wire_arp_parse(out, WIRE_ARP_LEN, &b));
    free(out);
}

/* The first `len` bytes of a packet of ours, in an exact block. */
static bool quote(const struct test_frame *f, size_t len, struct wire_quote *out)
{
    uint8_t *exact = calloc(1, len);
    bool ok;

    if (len != 0)
        memcpy(exact, f->b + TEST_L3, len);
    ok = wire_quote_parse(exact, len, out);
    free(exact);
    return ok;
}

static void test_quote(void **state)
{
    static const uint8_t mac[6] = {2};
    struct test_frame f;
    struct wire_quote q;

    (void)state;
    test_frame_ether(&f, mac, mac, 0x0800);
    test_frame_ipv4(&f, 6, "192.0.2.10", "198.51.100.7");
    test_frame_tcp(&f, 443, 40000, 0x01020304, 0, TCP_ACK);
    test_frame_finish(&f);
    for (size_t len = 0; len < 28; len++)
        assert_false(quote(&f, len, &q));
    assert_true(quote(&f, 28, &q));
    assert_true(ip_equal(&q.src, &from) && ip_equal(&q.dst, &to));
    assert_int_equal(q.protocol, 6);
    assert_int_equal(q.sport, 443);
    assert_int_equal(q.dport, 40000);
    assert_int_equal(q.seq, 0x01020304);

    f.b[TEST_L3 + 9] = 1;
    assert_true(quote(&f, 28, &q));
    assert_int_equal(q.sport, 0);
    assert_int_equal(q.seq, 0);
}

static void test_bad_quotes(void **state)
{
    static const uint8_t mac[6] = {2};
    struct test_frame good, f;
    struct wire_quote q;

    (void)state;
    test_frame_ether(&good, mac, mac, 0x0800);
    test_frame_ipv4(&good, 6, "192.0.2.10", "198.51.100.7");
    test_frame_tcp(&good, 443, 40000, 0x01020304, 0, TCP_ACK);
    f = good;
    f.b[TEST_L3] = 0x65;
    assert_false(quote(&f, 40, &q));
    f.b[TEST_L3] = 0x44;
    assert_false(quote(&f, 40, &q));
    f.b[TEST_L3] = 0x4f; /* the header is all there is */
    assert_false(quote(&f, 40, &q));
    f = good;
    test_frame_put16(f.b + TEST_L3 + 6, 1); /* not the first fragment */
    assert_false(quote(&f, 40, &q));
    test_frame_put16(f.b + TEST_L3 + 6, 0x2000);
    assert_true(quote(&f, 40, &q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_arp_round_trip),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_bad_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
