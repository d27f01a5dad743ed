/*
 * A received packet, parsed once: the checked view that the firewall and the layers above work on.
 *
 * wire_parse() (stack/wire) fills it from a frame and vouches for everything in it: every length
 * lies inside the mbuf, checksums are verified, options are well-formed. What it says need not be
 * checked again. All numbers are in host byte order; addresses are in network order inside
 * struct ip_addr as always.
 */
#ifndef STACK_PACKET_H
#define STACK_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "stack/drop.h"

struct rte_mbuf;

/*
 * PACKET_ND is to IPv6 what ARP is to IPv4, without which there is none: neighbour and router
 * discovery (RFC 4861) from a station on the link, and the queries of multicast listener discovery
 * (RFC 3810). PACKET_ICMP is ICMP or ICMPv6, as ip_protocol says.
 */
enum packet_kind { PACKET_ARP, PACKET_ND, PACKET_ICMP, PACKET_TCP, PACKET_OTHER };

/* TCP flags as in the header's 14th byte (RFC 9293, 3.1). */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

struct packet_tcp {
    uint32_t seq, ack;
    uint16_t window; /* unscaled */
    uint16_t urgent;
    uint8_t flags;
    /* Options; those of SYN only are reported wherever they stand, the reader decides. */
    bool has_mss, has_wscale, sack_permitted, has_timestamp;
    uint8_t wscale;
    uint8_t sack_count; /* SACK blocks found, at most 4 */
    uint16_t mss;
    uint32_t ts_value, ts_echo;
    struct {
        uint32_t left, right;
    } sack[4];
};

/* One fragment of a packet (RFC 791; RFC 8200, 4.5). Offsets are from the start of the frame. */
struct packet_fragment {
    uint32_t id;
    uint16_t offset;   /* of its data in the whole packet's, bytes */
    uint16_t data;     /* where its data begins; it ends with the packet */
    uint16_t header;   /* IPv6: the fragment header, 8 bytes; else 0 */
    uint16_t named_at; /* IPv6: the byte that says that a fragment header follows */
    bool more;
};

/*
 * What the firewall attaches to a packet. A connection keeps the label of the segment that began it
 * (with SYN cookies: of the ACK that proved it); sock_label() tells it.
 */
struct packet_label {
    uint16_t limit;       /* firewall_limits: the rule whose limits hold, from 1; 0: none */
    bool cookies;         /* its SYN is answered with a cookie, where the listener sends any */
    uint8_t egress_class; /* scheduler class of the connection's segments; 0: the default class */
};

struct packet {
    struct rte_mbuf *m;   /* data begins at the Ethernet header */
    enum drop_cause drop; /* DROP_NONE while the packet is good; a hook sets it to drop */
    bool reject;          /* dropped by the firewall: the sender is told, by RST or ICMP */
    bool fragment;        /* of IP: PACKET_OTHER, whatever the protocol. Packets are whole when the
                             ingress hook sees them, but for a first fragment whose packet did not
                             come in time: if it passes, its sender is told so */
    bool reassembled;     /* from fragments, here: it may be larger than the interface's MTU */
    uint8_t problem;      /* IPv6: it ends before its transport, in what its sender is to be told by
                             an ICMPv6 parameter problem (RFC 8200, 4): the code, plus one */
    enum packet_kind kind;
    struct packet_label label; /* zero before the firewall */
    uint32_t flow_hash;        /* of TCP: by it the stack finds the connection; the parser has 0 */
    uint8_t iface;             /* index of the interface it came in on */
    uint8_t ip_protocol;
    uint8_t ttl;             /* IPv6: hop limit */
    uint8_t tos;             /* IPv6: traffic class */
    uint16_t l3_offset;      /* of the ARP or IP header, from the start of the frame */
    uint16_t l4_offset;      /* of the TCP or ICMP header, behind options and extension headers */
    uint16_t payload_offset; /* of the TCP payload or the ICMP body after its 8-byte header */
    uint16_t l3_length; /* of the IP packet: bytes from l3_offset on; what follows is padding */
    uint32_t payload_length;      /* bytes of TCP payload, or of ICMP body */
    uint16_t problem_at;          /* of the problem, from l3_offset */
    uint16_t named_at;            /* IPv6: of the byte that names ip_protocol, from l3_offset */
    uint16_t vlan;                /* IEEE 802.1Q; 0: untagged, or tagged with a priority only */
    struct packet_fragment piece; /* where `fragment` is set */
    struct ip_addr src, dst;
    uint16_t sport, dport; /* of TCP and UDP, and of their first fragments; else 0 */
    union {
        struct packet_tcp tcp; /* of first fragments: flags only */
        struct {               /* of first fragments: type and code only */
            uint8_t type, code;
            uint32_t rest; /* bytes 4 to 7 of the header */
        } icmp;
    };
};

#endif
