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

void test_frame_finish(struct test_frame *f)
{
    test_frame_put16(f->b + TEST_L3 + 2, (uint16_t)(f->len - TEST_L3));
    test_frame_checksums(f);
}

/* Where the checksum of the payload lies from its start, or -1. */
static int checksum_offset(uint8_t protocol)
{
    return protocol == 6 ? 16 : protocol == 1 ? 2 : -1;
}

void test_frame_checksums(struct test_frame *f)
{
    uint8_t *ip = f->b + TEST_L3;
    size_t header = (ip[0] & 0x0fu) * 4;
    uint16_t len = (uint16_t)(test_frame_get16(ip + 2) - header);
    uint32_t pseudo = ip[9] == 6 ? test_frame_pseudo(ip, len) : 0;
    int at = checksum_offset(ip[9]);

    test_frame_put16(ip + 10, 0);
    test_frame_put16(ip + 10, test_frame_sum(ip, header, 0));
    if (at < 0 || len < at + 2)
        return;
    test_frame_put16(ip + header + at, 0);
    test_frame_put16(ip + header + at, test_frame_sum(ip + header, len, pseudo));
}

bool test_frame_sums_right(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + TEST_L3;
    size_t header = (ip[0] & 0x0fu) * 4;
    size_t total = test_frame_get16(ip + 2);
    uint16_t payload = (uint16_t)(total - header);

    if (len < TEST_L3 + 20 || ip[0] >> 4 != 4 || total < header || total > len - TEST_L3)
        return false;
    return test_frame_sum(ip, header, 0) == 0 &&
           test_frame_sum(ip + header, payload, ip[9] == 6 ? test_frame_pseudo(ip, payload) : 0) ==
               0;
}
