/*
 * Why a received packet was dropped. Each cause is a counter of the same name (stack/counters.h).
 */
#ifndef STACK_DROP_H
#define STACK_DROP_H

#define DROP_CAUSES(X)                                                                         \
    X(drop_truncated, "frame shorter than its headers say")                                    \
    X(drop_ethernet_type, "Ethernet type that is not served")                                  \
    X(drop_ethernet_address, "unicast frame for another station")                              \
    X(drop_vlan, "frame of a VLAN that no interface has, or with several tags")                \
    X(drop_arp_invalid, "ARP packet malformed or not for Ethernet and IPv4")                   \
    X(drop_ip_version, "IP version field does not match the Ethernet type")                    \
    X(drop_ip_header, "IP header length impossible")                                           \
    X(drop_ip_length, "IP total length larger than the frame or smaller than the header")      \
    X(drop_ip_checksum, "IP header checksum wrong")                                            \
    X(drop_ip_option, "IP source-route option, malformed or forbidden options")                \
    X(drop_ip_extension, "IPv6 extension headers out of order, too many or too long")          \
    X(drop_ip_fragment, "IP fragment refused, or of a packet that was never whole")            \
    X(drop_ip_martian, "source or destination address that cannot be on a wire")               \
    X(drop_ip_spoofed, "source address is one of our own")                                     \
    X(drop_ip_destination, "IP destination is not ours")                                       \
    X(drop_ip_protocol, "IP protocol that is not served")                                      \
    X(drop_nd_invalid, "IPv6 neighbour discovery malformed, or not from the link")             \
    X(drop_icmp_invalid, "ICMP message truncated or with a wrong checksum")                    \
    X(drop_icmp_type, "ICMP message of a type that is not served")                             \
    X(drop_icmp_unmatched, "ICMP error that quotes no connection of ours")                     \
    X(drop_icmp_limited, "ICMP request beyond the reply limit")                                \
    X(drop_tcp_header, "TCP data offset impossible")                                           \
    X(drop_tcp_checksum, "TCP checksum wrong")                                                 \
    X(drop_tcp_option, "TCP option of impossible length")                                      \
    X(drop_tcp_flags, "TCP flag combination impossible")                                       \
    X(drop_tcp_no_port, "TCP segment to a port with no listener and no connection")            \
    X(drop_tcp_no_connection, "TCP segment to a listener's port, of no connection and no SYN") \
    X(drop_tcp_out_of_window, "TCP segment outside the receive window")                        \
    X(drop_tcp_paws, "TCP segment with an old timestamp (RFC 7323)")                           \
    X(drop_tcp_ack, "TCP acknowledgement of what was never sent")                              \
    X(drop_tcp_syn, "SYN on a connection that is synchronized already (RFC 5961)")             \
    X(drop_tcp_rst, "RST with a sequence number that is not exact (RFC 5961)")                 \
    X(drop_tcp_backlog, "SYN refused: the listener's backlog is full")                         \
    X(drop_tcp_no_memory, "TCP segment refused: connection pool or buffer budget exhausted")   \
    X(drop_tcp_closed, "TCP data for a connection that no longer reads")                       \
    X(drop_firewall, "dropped by a firewall rule")                                             \
    X(drop_handoff, "hand-off ring of the owning worker full")

#define DROP_ENUM_(name, help) name,

enum drop_cause { DROP_CAUSES(DROP_ENUM_) DROP_NONE };

#endif
