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
#define WIRE_IP_PROTO_UDP  17
#define WIRE_TYPE_IPV4     0x0800
#define WIRE_TYPE_ARP      0x0806
#define WIRE_TYPE_IPV6     0x86dd

/*
 * Parses the frame p->m into *p (everything but m and iface is set here) and returns p->drop:
 * DROP_NONE when the frame is well-formed. Reads only inside the mbuf and does not change it;
 * headers that span segments are read by copy. Verifies the IP and transport checksums unless the
 * driver vouched for them in ol_flags. A priority tag (VLAN 0) is skipped: l3_offset is then 18.
 */
enum drop_cause wire_parse(struct packet *p);

/* As wire_parse() for the options of a TCP header alone: `len` bytes at `options`. Returns false
 * when an option has an impossible length. */
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
 * Sets the TCP checksum of a segment whose data begins at the TCP header: over the whole segment,
 * or, when `offload`, the pseudo-header's sum that hardware expects (with TSO: without the length).
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

#define WIRE_ARP_LEN     28
#define WIRE_ARP_REQUEST 1
#define WIRE_ARP_REPLY   2

/* Returns false when the packet is cut short, is not for Ethernet and IPv4, or is neither a request
 * nor a reply. */
bool wire_arp_parse(const uint8_t *data, size_t len, struct wire_arp *out);
void wire_arp_emit(const struct wire_arp *a, uint8_t *out);

/* ICMP (RFC 792): messages that the stack handles. */
#define WIRE_ICMP_LEN             8
#define WIRE_ICMP_ECHO_REPLY      0
#define WIRE_ICMP_UNREACHABLE     3
#define WIRE_ICMP_ECHO_REQUEST    8
#define WIRE_ICMP_TIME            11

#define WIRE_ICMP_CODE_PROTOCOL   2 /* of unreachable */
#define WIRE_ICMP_CODE_PORT       3
#define WIRE_ICMP_CODE_MTU        4
#define WIRE_ICMP_CODE_PROHIBITED 13

/* Writes the 8 bytes of an ICMP header, checksum zero; `rest` are its bytes 4 to 7. */
void wire_icmp_emit(uint8_t *out, uint8_t type, uint8_t code, uint32_t rest);

/* Sets the checksum of a message whose data begins at the ICMP header; the header is contiguous. */
void wire_icmp_checksum(struct rte_mbuf *m);

/* The quoted packet inside an ICMP error: `len` bytes that begin at its IP header. Ports are those
 * of TCP and UDP, 0 for others. Returns false when header and 8 bytes are not all there, or not of
 * a first fragment. */
struct wire_quote {
    struct ip_addr src, dst;
    uint8_t protocol;
    uint16_t length; /* of the packet, as its header has it */
    uint16_t sport, dport;
    uint32_t seq; /* TCP */
};

bool wire_quote_parse(const uint8_t *data, size_t len, struct wire_quote *out);

/* One's complement sum of `len` bytes and `initial`, in memory's byte order, folded to 16 bits, not
 * inverted (RFC 1071). */
uint16_t wire_sum(const void *data, size_t len, uint32_t initial);

/* The same over `len` bytes of a packet from `offset` on, which must lie inside it. */
uint16_t wire_sum_mbuf(const struct rte_mbuf *m, uint32_t offset, uint32_t len, uint32_t initial);

#endif
