/*
 * Frames put together byte by byte, independent of the code under test: the headers are written
 * and the checksums summed here in the plainest way.
 *
 *     test_frame_ether(&f, dst, src, 0x0800);
 *     test_frame_ipv4(&f, 6, from, to);
 *     test_frame_tcp(&f, 1000, 443, seq, ack, TCP_ACK);
 *     test_frame_append(&f, "hello", 5);
 *     test_frame_finish(&f);            fills in lengths and checksums
 *
 * Bytes may be changed at will before and after test_frame_finish().
 */
#ifndef TESTS_UNIT_SUPPORT_TEST_FRAME_H
#define TESTS_UNIT_SUPPORT_TEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_FRAME_MAX 9200
#define TEST_L3        14 /* where the IPv4 header begins */
#define TEST_L4        34 /* and what follows it, when it has no options */
#define TEST6_L4       54 /* what follows an IPv6 header */

struct test_frame {
    size_t len;
    uint8_t b[TEST_FRAME_MAX];
};

/* Begins a frame anew. */
void test_frame_ether(struct test_frame *f, const uint8_t dst[6], const uint8_t src[6],
                      uint16_t type);

/* Addresses are text: "192.0.2.1". */
void test_frame_arp(struct test_frame *f, uint16_t operation, const uint8_t sender_mac[6],
                    const char *sender, const uint8_t target_mac[6], const char *target);
void test_frame_ipv4(struct test_frame *f, uint8_t protocol, const char *src, const char *dst);
/* Hop limit 57. Extension headers are appended behind it, 8 bytes or a multiple of them each. */
void test_frame_ipv6(struct test_frame *f, uint8_t next, const char *src, const char *dst);
void test_frame_tcp(struct test_frame *f, uint16_t sport, uint16_t dport, uint32_t seq,
                    uint32_t ack, uint8_t flags);
void test_frame_icmp(struct test_frame *f, uint8_t type, uint8_t code, uint32_t rest);
void test_frame_append(struct test_frame *f, const void *bytes, size_t len);

/* Appends TCP options (the length a multiple of four) and raises the data offset. */
void test_frame_tcp_options(struct test_frame *f, const void *options, size_t len);

/* Sets the IPv4 total length, or the IPv6 payload length, to the end of the frame, then the
 * checksums. */
void test_frame_finish(struct test_frame *f);

/* The checksums alone: of the IPv4 header, and of TCP, ICMP or ICMPv6 over the bytes up to the
 * total length. */
void test_frame_checksums(struct test_frame *f);

uint16_t test_frame_get16(const uint8_t *p);
uint32_t test_frame_get32(const uint8_t *p);
void test_frame_put16(uint8_t *p, uint16_t v);
void test_frame_put32(uint8_t *p, uint32_t v);

/* 0 when the bytes, their checksum included, sum up as they should. */
uint16_t test_frame_sum(const void *bytes, size_t len, uint32_t initial);

/* The sum over TCP's pseudo-header, for `initial`. */
uint32_t test_frame_pseudo(const uint8_t *ipv4_header, uint16_t tcp_length);
uint32_t test_frame_pseudo6(const uint8_t *ipv6_header, uint8_t protocol, uint16_t length);

/* A well-formed IPv4 or IPv6 header, and behind it a well-formed TCP segment or ICMP message? */
bool test_frame_sums_right(const uint8_t *frame, size_t len);

#endif
