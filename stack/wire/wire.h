/*
 * Bytes on the wire: parsing into checked values and emitting from them. No state, no clock.
 * Ethernet II, ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792), IPv6 with its extension headers (RFC
 * 8200), ICMPv6 (RFC 4443), TCP (RFC 9293, options of RFC 7323 and RFC 2018). Neighbour discovery
 * has a header of its own, wire_nd.h.
 */
#ifndef STACK_WIRE_WIRE_H
#define STACK_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "stack/packet.h"

struct rte_mbuf;

#define WIRE_ETHER_LEN      14
#define WIRE_VLAN_LEN       4  /* of an IEEE 802.1Q tag, between the addresses and the type */
#define WIRE_IPV4_LEN       20 /* as we emit it: without options */
#define WIRE_IPV6_LEN       40
#define WIRE_TCP_LEN        20 /* without options */
#define WIRE_TCP_MAX        60 /* with the most options */
#define WIRE_IP_PROTO_ICMP  1
#define WIRE_IP_PROTO_TCP   6
#define WIRE_IP_PROTO_UDP   17
#define WIRE_IP_PROTO_ICMP6 58
#define WIRE_IP_PROTO_NONE  59 /* IPv6: nothing follows */
#define WIRE_TYPE_IPV4      0x0800
#define WIRE_TYPE_ARP       0x0806
#define WIRE_TYPE_IPV6      0x86dd
#define WIRE_TYPE_VLAN      0x8100

/*
 * Parses the frame p->m into *p (everything but m and iface is set here) and returns p->drop:
 * DROP_NONE when the frame is well-formed. Reads only inside the mbuf and does not change it;
 * headers that span segments are read by copy. Verifies the IP and transport checksums unless the
 * driver vouched for them in ol_flags. A tag in the frame is skipped, so that l3_offset is 18; one
 * that the driver took out is read from the mbuf. Several tags are dropped.
 * Of IPv6 extension headers (RFC 8200, 4), WIRE_IPV6_EXT_COUNT and WIRE_IPV6_EXT_BYTES at most are
 * read; a packet with more is dropped.
 */
#define WIRE_IPV6_EXT_COUNT 5
#define WIRE_IPV6_EXT_BYTES 128

enum drop_cause wire_parse(struct packet *p);

/* The VLAN of a frame that was not parsed yet, as wire_parse() finds it; 0 where that finds none.
 */
uint16_t wire_ether_vlan(const struct rte_mbuf *m);

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

/* An IPv6 header to emit (RFC 8200, 3). */
struct wire_ipv6 {
    struct ip_addr src, dst;
    uint8_t next_header, traffic_class, hop_limit;
    uint32_t flow_label;     /* 20 bits (RFC 6437) */
    uint16_t payload_length; /* of everything behind this header */
};

void wire_ipv6_emit(const struct wire_ipv6 *h, uint8_t *out);

/* Makes a chain of a packet's fragments, of which the first has all its headers and the others only
 * data, the frame of the whole packet with these ECN bits. `first`: what wire_parse() said of the
 * first. */
void wire_fragment_whole(struct rte_mbuf *m, const struct packet *first, uint8_t ecn);

void wire_ether_emit(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t type);

/* The same with a tag of VLAN 1 to 4094 and no priority: WIRE_ETHER_LEN + WIRE_VLAN_LEN bytes. */
void wire_ether_emit_tagged(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t vlan,
                            uint16_t type);

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

/* ICMPv6 (RFC 4443). */
#define WIRE_ICMP6_UNREACHABLE     1
#define WIRE_ICMP6_TOO_BIG         2
#define WIRE_ICMP6_TIME            3
#define WIRE_ICMP6_PROBLEM         4
#define WIRE_ICMP6_INFORMATIONAL   128 /* types from here on are no errors */
#define WIRE_ICMP6_ECHO_REQUEST    128
#define WIRE_ICMP6_ECHO_REPLY      129

#define WIRE_ICMP6_CODE_PROHIBITED 1 /* of unreachable */
#define WIRE_ICMP6_CODE_PORT       4
#define WIRE_ICMP6_CODE_FIELD      0 /* of a parameter problem: erroneous header field */
#define WIRE_ICMP6_CODE_NEXT       1 /* next header that is not known */
#define WIRE_ICMP6_CODE_OPTION     2 /* option that is not known */

/* As wire_icmp_checksum(), which ICMPv6 sums with the pseudo-header. */
void wire_icmp6_checksum(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst);

/* The quoted packet inside an ICMP or ICMPv6 error: `len` bytes that begin at its IP header. Ports
 * are those of TCP and UDP, 0 for others. Returns false when header and 8 bytes are not all there,
 * or not of a first fragment, or behind extension headers, which we do not send. */
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
