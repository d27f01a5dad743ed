/*
 * Between the files of wire: loads and stores of big-endian numbers, and what the parsers of one
 * layer hand to the next.
 */
#ifndef STACK_WIRE_WIRE_INTERNAL_H
#define STACK_WIRE_WIRE_INTERNAL_H

#include <arpa/inet.h>
#include <string.h>

#include "stack/wire/wire.h"

/* Ethernet with one tag, IPv6 with the most extension headers, and TCP with all its options; IPv4's
 * options are fewer. */
#define WIRE_HEADERS_MAX \
    (WIRE_ETHER_LEN + WIRE_VLAN_LEN + WIRE_IPV6_LEN + WIRE_IPV6_EXT_BYTES + WIRE_TCP_MAX)

/* UDP's header, ICMP's, and of TCP's the ports and the sequence number: what an ICMP error quotes
 * at least (RFC 792). */
#define WIRE_TRANSPORT_MIN 8

/* A frame under examination. */
struct wire_frame {
    const struct rte_mbuf *m;
    const uint8_t *head; /* its first WIRE_HEADERS_MAX bytes, or all of it; contiguous */
    uint32_t len;
};

static inline uint16_t wire_load16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return ntohs(v);
}

static inline uint32_t wire_load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return ntohl(v);
}

/* An IPv4 address as it stands, in network byte order. */
static inline uint32_t wire_load_addr(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline void wire_store16(uint8_t *p, uint16_t v)
{
    v = htons(v);
    memcpy(p, &v, sizeof v);
}

static inline void wire_store32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof v);
}

static inline struct ip_addr wire_load_addr6(const uint8_t *p)
{
    struct ip_addr a;

    memcpy(a.b, p, sizeof a.b);
    return a;
}

/* A checksum is stored as it was summed: in memory's byte order (RFC 1071, 2 (B)). */
static inline void wire_store_sum(uint8_t *p, uint16_t sum)
{
    memcpy(p, &sum, sizeof sum);
}

/* The sum of the pseudo-header that TCP and UDP protect (RFC 9293, 3.1; RFC 8200, 8.1). */
uint16_t wire_pseudo_sum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t protocol,
                         uint32_t length);

/* Each parses the header at its offset in p->l3_offset or p->l4_offset and sets what it says. */
enum drop_cause wire_arp_input(struct packet *p, const struct wire_frame *f);
enum drop_cause wire_ipv4_input(struct packet *p, const struct wire_frame *f);
enum drop_cause wire_ipv6_input(struct packet *p, const struct wire_frame *f);
enum drop_cause wire_icmp6_input(struct packet *p, const struct wire_frame *f);
enum drop_cause wire_icmp_input(struct packet *p, const struct wire_frame *f);

enum drop_cause wire_tcp_input(struct packet *p, const struct wire_frame *f);

/* What is behind the IP header, by ip_protocol; of a fragment what it shows of that. */
enum drop_cause wire_transport_input(struct packet *p, const struct wire_frame *f);

/* Takes ICMP's header, which both families have alike, off the payload. */
void wire_icmp_header(struct packet *p, const uint8_t *h);

#endif
