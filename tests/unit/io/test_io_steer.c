/*
 * Which worker a frame goes to. Frames lie in buffers of exactly their length, so that a read past
 * the end is seen by AddressSanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/io/io_internal.h"

#define WORKERS 5

static struct io_port port = {.workers = WORKERS};

static unsigned steer_as(const uint8_t *frame, unsigned len, unsigned self, bool hashed)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    struct rte_mbuf m = {.buf_addr = exact, .data_len = (uint16_t)len, .pkt_len = len};
    unsigned worker;

    assert_non_null(exact);
    memcpy(exact, frame, len);
    worker = io_steer(&port.rss, &m, self, hashed);
    free(exact);
    return worker;
}

static unsigned steer(const uint8_t *frame, unsigned len)
{
    return steer_as(frame, len, 0, false);
}

static unsigned owner(const char *remote, const char *local)
{
    struct ip_endpoint r, l;

    assert_int_equal(ip_endpoint_parse(remote, &r), 0);
    assert_int_equal(ip_endpoint_parse(local, &l), 0);
    return io_port_worker_of(&port, &r, &l);
}

/* Appends an IPv4 header; returns the new length. */
static unsigned put_ipv4(uint8_t *f, unsigned at, uint8_t protocol, const uint8_t src[4],
                         const uint8_t dst[4], unsigned options)
{
    memset(f + at, 0, 20 + options);
    f[at] = (uint8_t)(0x40 | (5 + options / 4));
    f[at + 3] = 200;
    f[at + 8] = 64;
    f[at + 9] = protocol;
    memcpy(f + at + 12, src, 4);
    memcpy(f + at + 16, dst, 4);
    return at + 20 + options;
}

static unsigned put_ipv6(uint8_t *f, unsigned at, uint8_t protocol, const char *src,
                         const char *dst)
{
    struct ip_addr a;

    memset(f + at, 0, 40);
    f[at] = 0x60;
    f[at + 6] = protocol;
    assert_int_equal(ip_parse(src, &a), 0);
    memcpy(f + at + 8, a.b, 16);
    assert_int_equal(ip_parse(dst, &a), 0);
    memcpy(f + at + 24, a.b, 16);
    return at + 40;
}

static unsigned put_ports(uint8_t *f, unsigned at, uint16_t sport, uint16_t dport)
{
    memset(f + at, 0, 20);
    f[at] = (uint8_t)(sport >> 8);
    f[at + 1] = (uint8_t)sport;
    f[at + 2] = (uint8_t)(dport >> 8);
    f[at + 3] = (uint8_t)dport;
    return at + 20;
}

static unsigned put_ether(uint8_t *f, uint16_t type)
{
    memset(f, 2, 12);
    f[12] = (uint8_t)(type >> 8);
    f[13] = (uint8_t)type;
    return 14;
}

static const uint8_t client[4] = {192, 0, 2, 77}, us[4] = {198, 51, 100, 1};

static unsigned tcp_frame(uint8_t *f, uint16_t sport, unsigned options)
{
    return put_ports(f, put_ipv4(f, put_ether(f, 0x0800), 6, client, us, options), sport, 443);
}

static unsigned owner_of_port(uint16_t sport)
{
    struct ip_endpoint r = {.port = sport}, l = {.port = 443};

    assert_int_equal(ip_parse("192.0.2.77", &r.addr), 0);
    assert_int_equal(ip_parse("198.51.100.1", &l.addr), 0);
    return io_port_worker_of(&port, &r, &l);
}

static void test_tcp_goes_to_the_flows_worker(void **state)
{
    unsigned seen[WORKERS] = {0};
    uint8_t f[128];

    (void)state;
    for (uint16_t sport = 1024; sport < 1536; sport++) {
        unsigned want = owner_of_port(sport);

        seen[want]++;
        assert_int_equal(steer(f, tcp_frame(f, sport, 0)), want);
        assert_int_equal(steer(f, tcp_frame(f, sport, 40)), want);
    }
    for (unsigned w = 0; w < WORKERS; w++)
        assert_in_range(seen[w], 1, 511);
}

static void test_hashed_tcp_stays(void **state)
{
    uint8_t f[128];

    (void)state;
    for (unsigned self = 0; self < WORKERS; self++)
        assert_int_equal(steer_as(f, tcp_frame(f, 4000, 0), self, true), self);
}

static void test_priority_tag(void **state)
{
    uint8_t f[128], tagged[132];
    unsigned len = tcp_frame(f, 5555, 0);

    (void)state;
    memcpy(tagged, f, 12);
    memcpy(tagged + 12, "\x81\x00\xa0\x00", 4);
    memcpy(tagged + 16, f + 12, len - 12);
    assert_int_equal(steer(tagged, len + 4), owner_of_port(5555));
}

static void test_tcp_over_ipv6(void **state)
{
    unsigned want = owner("[2001:db8::77]:4711", "[2001:db8:1::1]:443");
    uint8_t f[128];
    unsigned len = put_ports(
        f, put_ipv6(f, put_ether(f, 0x86dd), 6, "2001:db8::77", "2001:db8:1::1"), 4711, 443);

    (void)state;
    assert_int_equal(steer(f, len), want);
    assert_int_equal(steer_as(f, len, 4, true), 4);
}

/* A TCP segment behind extension headers, each 8 bytes: `kinds` names them. */
static unsigned extended_frame(uint8_t *f, const char *kinds, uint16_t fragment)
{
    unsigned at =
        put_ipv6(f, put_ether(f, 0x86dd), (uint8_t)kinds[0], "2001:db8::77", "2001:db8:1::1");

    for (; *kinds != 6; kinds++) {
        memset(f + at, 0, 8);
        f[at] = (uint8_t)kinds[1];
        if (kinds[0] == 44) {
            f[at + 2] = (uint8_t)(fragment >> 8);
            f[at + 3] = (uint8_t)fragment;
        }
        at += 8;
    }
    return put_ports(f, at, 4711, 443);
}

static void test_tcp_behind_extension_headers(void **state)
{
    static const char *const good[] = {"\x3c\x06", "\x2b\x06", "\x2c\x06", "\x3c\x2c\x3c\x06"};
    unsigned want = owner("[2001:db8::77]:4711", "[2001:db8:1::1]:443");
    uint8_t f[200];
    unsigned len;

    (void)state;
    assert_int_not_equal(want, 0);
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        len = extended_frame(f, good[i], 0);
        assert_int_equal(steer(f, len), want);
        /* The device may have stopped before the ports, or found others. */
        assert_int_equal(steer_as(f, len, (want + 1) % WORKERS, true), want);
        for (unsigned cut = 0; cut < len - 16; cut++)
            assert_int_equal(steer_as(f, cut, 3, false), 0);
    }
    len = extended_frame(f, "\x2c\x06", 0x0006); /* reserved bits */
    assert_int_equal(steer(f, len), want);
    assert_int_equal(steer(f, extended_frame(f, "\x2c\x06", 0x0001)), 0);
    assert_int_equal(steer(f, extended_frame(f, "\x2c\x06", 0x0008)), 0);
    assert_int_equal(steer(f, extended_frame(f, "\x3c\x2c\x06", 0x0100)), 0);
    len = extended_frame(f, "\x3c\x3c\x3c\x3c\x3c\x3c\x3c\x3c\x3c\x06", 0);
    assert_int_equal(steer(f, len), 0);
    len = extended_frame(f, "\x3c\x06", 0);
    f[14 + 40 + 1] = 200; /* beyond the frame */
    assert_int_equal(steer(f, len), 0);
}

/* An error quotes the packet that we sent: source and destination change places. */
static void test_icmp_error_follows_the_quoted_flow(void **state)
{
    static const uint8_t types[] = {3, 4, 11, 12};
    static const uint8_t router[4] = {203, 0, 113, 1};

    (void)state;
    for (unsigned i = 0; i < sizeof types; i++) {
        for (uint16_t port_number = 2000; port_number < 2050; port_number++) {
            uint8_t f[160];
            unsigned at = put_ipv4(f, put_ether(f, 0x0800), 1, router, us, 0);

            memset(f + at, 0, 8);
            f[at] = types[i];
            at = put_ports(f, put_ipv4(f, at + 8, 6, us, client, 4), 443, port_number);
            /* Eight bytes of the TCP header are all that RFC 792 promises. */
            assert_int_equal(steer(f, at - 12), owner_of_port(port_number));
            assert_int_equal(steer_as(f, at, 3, true), owner_of_port(port_number));
        }
    }
}

static void test_icmp6_error_follows_the_quoted_flow(void **state)
{
    unsigned want = owner("[2001:db8::77]:4711", "[2001:db8:1::1]:443");
    uint8_t f[200];
    unsigned at = put_ipv6(f, put_ether(f, 0x86dd), 58, "2001:db8:ffff::1", "2001:db8:1::1");

    (void)state;
    memset(f + at, 0, 8);
    f[at] = 2; /* packet too big */
    at = put_ipv6(f, at + 8, 6, "2001:db8:1::1", "2001:db8::77");
    at = put_ports(f, at, 443, 4711);
    assert_int_equal(steer(f, at), want);
}

static void test_neighbour_discovery_goes_to_all(void **state)
{
    uint8_t f[128];
    unsigned at = put_ether(f, 0x0806);

    (void)state;
    memset(f + at, 0, 28);
    assert_int_equal(steer(f, at + 28), IO_STEER_ALL);
    assert_int_equal(steer_as(f, at + 28, 2, true), IO_STEER_ALL);
    for (unsigned type = 128; type < 140; type++) {
        at = put_ipv6(f, put_ether(f, 0x86dd), 58, "fe80::1", "ff02::1:ff00:1");
        memset(f + at, 0, 24);
        f[at] = (uint8_t)type;
        assert_int_equal(steer(f, at + 24), type >= 133 && type <= 137 ? IO_STEER_ALL : 0);
    }
}

static void test_worker_0_gets_the_rest(void **state)
{
    uint8_t f[128];
    unsigned len, at;

    (void)state;
    at = put_ipv4(f, put_ether(f, 0x0800), 1, client, us, 0);
    memset(f + at, 0, 8);
    f[at] = 8; /* echo request */
    assert_int_equal(steer_as(f, at + 8, 3, false), 0);
    len = put_ports(f, put_ipv4(f, put_ether(f, 0x0800), 17, client, us, 0), 53, 53);
    assert_int_equal(steer_as(f, len, 3, true), 0);
    assert_int_equal(steer_as(f, put_ether(f, 0x88cc), 3, false), 0);

    /* Fragments, the first one included: it must meet the others. */
    len = tcp_frame(f, 4000, 0);
    f[20] = 0x20;
    assert_int_equal(steer_as(f, len, 3, true), 0);
    f[20] = 0x00;
    f[21] = 0x01;
    assert_int_equal(steer_as(f, len, 3, false), 0);
    /* "Do not fragment" is none. */
    f[20] = 0x40;
    f[21] = 0x00;
    assert_int_equal(steer(f, len), owner_of_port(4000));
}

static void test_nonsense_headers(void **state)
{
    uint8_t f[128];
    unsigned len = tcp_frame(f, 4001, 0);

    (void)state;
    f[14] = 0x44; /* header length below 20 */
    assert_int_equal(steer_as(f, len, 3, false), 0);
    f[14] = 0x4f; /* beyond the frame */
    assert_int_equal(steer_as(f, len, 3, false), 0);
    f[14] = 0x65; /* not version 4 */
    assert_int_equal(steer_as(f, len, 3, false), 0);
}

/* Every frame cut off at every length. */
static void test_truncated(void **state)
{
    uint8_t f[200];
    unsigned full, at;

    (void)state;
    full = tcp_frame(f, 4002, 8);
    for (unsigned len = 0; len < 14 + 28 + 4; len++)
        assert_int_equal(steer_as(f, len, 3, false), 0);
    assert_int_equal(steer(f, full), owner_of_port(4002));

    at = put_ipv4(f, put_ether(f, 0x0800), 1, client, us, 0);
    memset(f + at, 0, 8);
    f[at] = 3;
    full = put_ports(f, put_ipv4(f, at + 8, 6, us, client, 0), 443, 999);
    for (unsigned len = 0; len < full - 16; len++)
        assert_int_equal(steer_as(f, len, 3, false), 0);

    at = put_ipv6(f, put_ether(f, 0x86dd), 58, "2001:db8::1", "2001:db8::2");
    memset(f + at, 0, 8);
    f[at] = 1;
    at = put_ipv6(f, at + 8, 6, "2001:db8::2", "2001:db8::3");
    full = put_ports(f, at, 443, 999);
    for (unsigned len = 0; len < full - 16; len++)
        assert_int_equal(steer_as(f, len, 3, false), 0);
}

static int set_up(void **state)
{
    uint8_t key[IO_RSS_KEY_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(31 * i + 7);
    io_rss_init(&port.rss, key, WORKERS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_goes_to_the_flows_worker),
        cmocka_unit_test(test_hashed_tcp_stays),
        cmocka_unit_test(test_priority_tag),
        cmocka_unit_test(test_tcp_over_ipv6),
        cmocka_unit_test(test_tcp_behind_extension_headers),
        cmocka_unit_test(test_icmp_error_follows_the_quoted_flow),
        cmocka_unit_test(test_icmp6_error_follows_the_quoted_flow),
        cmocka_unit_test(test_neighbour_discovery_goes_to_all),
        cmocka_unit_test(test_worker_0_gets_the_rest),
        cmocka_unit_test(test_nonsense_headers),
        cmocka_unit_test(test_truncated),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
