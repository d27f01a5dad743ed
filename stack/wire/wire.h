/*
 * Bytes on the wire: parsing into checked values and emitting from them. No state, no clock.
 * Ethernet II, ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792), TCP (RFC 9293, options of RFC 7323
 * and RFC 2018).
 */
#ifndef STACK_WIRE_WIRE_H
#define STACK_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "stack/packet.h"

struct rte_mbuf;

#define WIRE_ETHER_LEN     14
#define WIRE_IPV4_LEN      20 /* as we emit it: without options */
#define WIRE_TCP_LEN       20 /* without options */
#define WIRE_TCP_MAX       60 /* with the most options */
#define WIRE_IP_PROTO_ICMP 1
#define WIRE_IP_PROTO_TCP  6

/*
 * Parses the frame p->m into *p (everything but m and iface is set here) and returns p->drop:
 * DROP_NONE when the frame is well-formed. Reads only inside the mbuf; a frame in several segments
 * has its headers made contiguous or is read by copy. Verifies the IP and transport checksums
 * unless the driver vouched for them in ol_flags.
 */
enum drop_cause wire_parse(struct packet *p);

/* As wire_parse() for the options of a TCP header alone: `len` bytes at `options`. Returns false when an
 * option has an impossible length. */
bool wire_tcp_options_parse(const uint8_t *options, size_t len, struct packet_tcp *out);

/* A TCP header to emit. */
struct wire_tcp {
    uint16_t sport, dport;
    uint32_t seq, ack;
    uint16_t window;
    uint16_t urgent;
    uint8_t flags;
    bool has_mss, has_wscale, sack_permitted, has_timestamp;
    uint8_t wscale;
    uint8_t sack_count;
    uint16_t mss;
    uint32_t ts_value, ts_echo;
    struct {
        uint32_t left, right;
    } sack[4];
};

/* The header's length with its options, a multiple of 4. */
size_t wire_tcp_length(const struct wire_tcp *h);

/* Writes header and options (padded with NOP), checksum zero. Returns the length. */
size_t wire_tcp_emit(const struct wire_tcp *h, uint8_t *out);

/*
 * Sets the TCP checksum of a segment whose data begins at the TCP header: over the whole segment, or,
 * when `offload`, the pseudo-header's sum that hardware expects (with TSO: without the length).
 */
void wire_tcp_checksum(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst,
                       bool offload, bool tso);

/* Writes an IPv4 header of 20 bytes; its checksum is computed unless `offload`. DF is set. */
void wire_ipv4_emit(uint8_t *out, const struct ip_addr *src, const struct ip_addr *dst,
                    uint8_t protocol, uint8_t tos, uint16_t total_length, uint16_t id,
                    bool offload);

void wire_ether_emit(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t type);

/* ARP for Ethernet and IPv4: 28 bytes. */
struct wire_arp {
    uint16_t operation; /* 1 request, 2 reply */
    uint8_t sender_mac[6], target_mac[6];
    uint32_t sender_ip, target_ip; /* network byte order */
};

#define WIRE_ARP_LEN 28
bool wire_arp_parse(const uint8_t *data, size_t len, struct wire_arp *out);
void wire_arp_emit(const struct wire_arp *a, uint8_t *out);

/* The quoted packet inside an ICMP error: `len` bytes that begin at its IP header. */
struct wire_quote {
    struct ip_addr src, dst;
    uint8_t protocol;
    uint16_t sport, dport;
    uint32_t seq; /* TCP */
};

bool wire_quote_parse(const uint8_t *data, size_t len, struct wire_quote *out);

/* One's complement sum of `len` bytes, folded to 16 bits, not inverted (RFC 1071). */
uint16_t wire_sum(const void *data, size_t len, uint32_t initial);

#endif
