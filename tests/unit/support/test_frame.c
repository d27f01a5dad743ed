#include "tests/unit/support/test_frame.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

uint16_t test_frame_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t test_frame_get32(const uint8_t *p)
{
    return (uint32_t)test_frame_get16(p) << 16 | test_frame_get16(p + 2);
}

void test_frame_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void test_frame_put32(uint8_t *p, uint32_t v)
{
    test_frame_put16(p, (uint16_t)(v >> 16));
    test_frame_put16(p + 2, (uint16_t)v);
}

uint16_t test_frame_sum(const void *bytes, size_t len, uint32_t initial)
{
    const uint8_t *p = bytes;
    uint32_t sum = initial;

    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint32_t test_frame_pseudo(const uint8_t *ipv4_header, uint16_t tcp_length)
{
    uint32_t sum = ipv4_header[9] + (uint32_t)tcp_length;

    for (unsigned i = 12; i < 20; i += 2)
        sum += test_frame_get16(ipv4_header + i);
    return sum;
}

uint32_t test_frame_pseudo6(const uint8_t *ipv6_header, uint8_t protocol, uint16_t length)
{
    uint32_t sum = protocol + (uint32_t)length;

    for (unsigned i = 8; i < 40; i += 2)
        sum += test_frame_get16(ipv6_header + i);
    return sum;
}

void test_frame_append(struct test_frame *f, const void *bytes, size_t len)
{
    if (f->len + len > sizeof f->b)
        abort();
    memcpy(f->b + f->len, bytes, len);
    f->len += len;
}

static uint8_t *frame_room(struct test_frame *f, size_t len)
{
    uint8_t *p = f->b + f->len;

    if (f->len + len > sizeof f->b)
        abort();
    memset(p, 0, len);
    f->len += len;
    return p;
}

static void put_addr(uint8_t *p, const char *text)
{
    if (inet_pton(AF_INET, text, p) != 1)
        abort();
}

void test_frame_ether(struct test_frame *f, const uint8_t dst[6], const uint8_t src[6],
                      uint16_t type)
{
    f->len = 14;
    memcpy(f->b, dst, 6);
    memcpy(f->b + 6, src, 6);
    test_frame_put16(f->b + 12, type);
}

void test_frame_arp(struct test_frame *f, uint16_t operation, const uint8_t sender_mac[6],
                    const char *sender, const uint8_t target_mac[6], const char *target)
{
    static const uint8_t fixed[6] = {0, 1, 8, 0, 6, 4};
    uint8_t *p = frame_room(f, 28);

    memcpy(p, fixed, sizeof fixed);
    test_frame_put16(p + 6, operation);
    memcpy(p + 8, sender_mac, 6);
    put_addr(p + 14, sender);
    memcpy(p + 18, target_mac, 6);
    put_addr(p + 24, target);
}

void test_frame_ipv4(struct test_frame *f, uint8_t protocol, const char *src, const char *dst)
{
    uint8_t *p = frame_room(f, 20);

    p[0] = 0x45;
    p[8] = 57;
    p[9] = protocol;
    put_addr(p + 12, src);
    put_addr(p + 16, dst);
}

void test_frame_ipv6(struct test_frame *f, uint8_t next, const char *src, const char *dst)
{
    uint8_t *p = frame_room(f, 40);

    p[0] = 0x60;
    p[6] = next;
    p[7] = 57;
    if (inet_pton(AF_INET6, src, p + 8) != 1 || inet_pton(AF_INET6, dst, p + 24) != 1)
        abort();
}

void test_frame_tcp(struct test_frame *f, uint16_t sport, uint16_t dport, uint32_t seq,
                    uint32_t ack, uint8_t flags)
{
    uint8_t *p = frame_room(f, 20);

    test_frame_put16(p, sport);
    test_frame_put16(p + 2, dport);
    test_frame_put32(p + 4, seq);
    test_frame_put32(p + 8, ack);
    p[12] = 0x50;
    p[13] = flags;
    test_frame_put16(p + 14, 0x1234);
}

void test_frame_tcp_options(struct test_frame *f, const void *options, size_t len)
{
    f->b[f->len - 20 + 12] = (uint8_t)((20 + len) / 4 << 4);
    test_frame_append(f, options, len);
}

void test_frame_icmp(struct test_frame *f, uint8_t type, uint8_t code, uint32_t rest)
{
    uint8_t *p = frame_room(f, 8);

    p[0] = type;
    p[1] = code;
    test_frame_put32(p + 4, rest);
}

static bool is_ipv6(const uint8_t *ip)
{
    return ip[0] >> 4 == 6;
}

void test_frame_finish(struct test_frame *f)
{
    uint8_t *ip = f->b + TEST_L3;

    if (is_ipv6(ip))
        test_frame_put16(ip + 4, (uint16_t)(f->len - TEST_L3 - 40));
    else
        test_frame_put16(ip + 2, (uint16_t)(f->len - TEST_L3));
    test_frame_checksums(f);
}

/* Where the checksum of the payload lies from its start, or -1. */
static int checksum_offset(uint8_t protocol)
{
    return protocol == 6 ? 16 : protocol == 1 || protocol == 58 ? 2 : -1;
}

/* What lies behind an IP header: protocol, place and length. */
struct transport {
    uint8_t protocol;
    size_t at; /* from the IP header */
    uint16_t len;
    uint32_t pseudo;
};

static struct transport transport_of(const uint8_t *ip)
{
    struct transport t;

    if (!is_ipv6(ip)) {
        t.protocol = ip[9];
        t.at = (ip[0] & 0x0fu) * 4;
        t.len = (uint16_t)(test_frame_get16(ip + 2) - t.at);
        t.pseudo = t.protocol == 6 ? test_frame_pseudo(ip, t.len) : 0;
        return t;
    }
    t.protocol = ip[6];
    t.len = test_frame_get16(ip + 4);
    t.at = 40;
    while ((t.protocol == 0 || t.protocol == 43 || t.protocol == 44 || t.protocol == 60) &&
           t.len >= 8) {
        size_t size = t.protocol == 44 ? 8 : (ip[t.at + 1] + 1u) * 8;

        if (size > t.len)
            break;
        t.protocol = ip[t.at];
        t.at += size;
        t.len = (uint16_t)(t.len - size);
    }
    t.pseudo = test_frame_pseudo6(ip, t.protocol, t.len);
    return t;
}

void test_frame_checksums(struct test_frame *f)
{
    uint8_t *ip = f->b + TEST_L3;
    struct transport t = transport_of(ip);
    int at = checksum_offset(t.protocol);

    if (!is_ipv6(ip)) {
        test_frame_put16(ip + 10, 0);
        test_frame_put16(ip + 10, test_frame_sum(ip, t.at, 0));
    }
    if (at < 0 || t.len < at + 2)
        return;
    test_frame_put16(ip + t.at + at, 0);
    test_frame_put16(ip + t.at + at, test_frame_sum(ip + t.at, t.len, t.pseudo));
}

bool test_frame_sums_right(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + TEST_L3;
    struct transport t;

    if (len < TEST_L3 + 20 || (is_ipv6(ip) && len < TEST6_L4))
        return false;
    t = transport_of(ip);
    if (t.at + t.len > len - TEST_L3 ||
        (!is_ipv6(ip) && (ip[0] >> 4 != 4 || test_frame_sum(ip, t.at, 0) != 0)))
        return false;
    return checksum_offset(t.protocol) < 0 || test_frame_sum(ip + t.at, t.len, t.pseudo) == 0;
}
