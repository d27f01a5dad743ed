/*
 * The counters of one stack (one worker). The first members are the drop causes, in the order of
 * enum drop_cause, so that a cause is an index.
 */
#ifndef STACK_COUNTERS_H
#define STACK_COUNTERS_H

#include "base/counter.h"
#include "stack/drop.h"

#define STACK_COUNTERS(X)                                                                     \
    DROP_CAUSES(X)                                                                            \
    X(rx_packets, "packets received")                                                         \
    X(rx_bytes, "bytes received, Ethernet headers included")                                  \
    X(tx_packets, "packets given to the egress hook")                                         \
    X(tx_bytes, "bytes given to the egress hook, Ethernet headers included")                  \
    X(tx_no_mbuf, "packets not sent because no mbuf could be had")                            \
    X(tx_no_route, "packets not sent because no route leads to the destination")              \
    X(punted, "frames handed on to the kernel")                                               \
    X(injected, "frames of the kernel sent")                                                  \
    X(inject_dropped, "frames of the kernel dropped: the interface had no room for them")     \
    X(rejects, "packets that the firewall rejects and whose sender was told so")              \
    X(rejects_limited, "packets rejected in silence: beyond the limit of answers")            \
    X(ip_fragments, "IP fragments received, of either family")                                \
    X(ip_reassembled, "packets put together from fragments")                                  \
    X(ip_reassembly_timeouts, "packets whose fragments did not all come in time")             \
    X(ip_reassembly_overlaps, "packets dropped because their fragments overlapped")           \
    X(ip_reassembly_evicted, "unfinished packets dropped to make room for others")            \
    X(arp_requests_received, "ARP requests received for an address of ours")                  \
    X(arp_requests_sent, "ARP requests sent")                                                 \
    X(arp_replies_received, "ARP replies received that answered a request of ours")           \
    X(arp_replies_sent, "ARP replies sent")                                                   \
    X(arp_conflicts, "ARP packets in which another station uses an address of ours")          \
    X(arp_failed, "neighbours given up after unanswered requests")                            \
    X(arp_pending_dropped, "packets dropped while they waited for a neighbour")               \
    X(arp_limited, "neighbours not asked for: beyond the limit of questions")                 \
    X(arp_table_full, "neighbours refused because the table was full of entries in use")      \
    X(nd_solicitations_received, "IPv6 neighbour solicitations for an address of ours")       \
    X(nd_solicitations_sent, "IPv6 neighbour solicitations sent")                             \
    X(nd_advertisements_received, "IPv6 neighbour advertisements that answered us")           \
    X(nd_advertisements_sent, "IPv6 neighbour advertisements sent")                           \
    X(nd_conflicts, "IPv6 stations that use, or want, an address of ours")                    \
    X(nd_router_advertisements, "IPv6 router advertisements taken in")                        \
    X(nd_router_refused, "routers, prefixes and withdrawals advertised and not believed")     \
    X(mld_reports_sent, "IPv6 multicast listener reports sent")                               \
    X(icmp_echo_replies_sent, "ICMP echo replies sent")                                       \
    X(icmp_errors_sent, "ICMP errors sent")                                                   \
    X(icmp_errors_received, "ICMP errors received that quote a connection of ours")           \
    X(pmtu_lowered, "paths found to take smaller packets (RFC 1191, RFC 8201)")               \
    X(pmtu_limited, "such news not believed: beyond the limit")                               \
    X(mtu_black_holes, "times that nothing but timeouts told that segments were too large")   \
    X(mtu_probes_sent, "segments that tried whether a path takes larger ones (RFC 4821)")     \
    X(mtu_probes_lost, "of these, those that it did not take")                                \
    X(tcp_segments_received, "TCP segments received, before any check of state")              \
    X(tcp_segments_sent, "TCP segments sent, retransmissions included")                       \
    X(tcp_bytes_received, "TCP payload bytes received in order")                              \
    X(tcp_bytes_sent, "TCP payload bytes sent for the first time")                            \
    X(tcp_syn_data_ignored, "SYN segments whose payload was dropped (the SYN itself counts)") \
    X(tcp_accepted, "connections accepted: handshake completed on a listener")                \
    X(tcp_connects, "connections opened actively")                                            \
    X(tcp_connected, "active opens completed")                                                \
    X(tcp_connect_failed, "active opens refused or timed out")                                \
    X(tcp_closed, "connections that reached CLOSED")                                          \
    X(tcp_resets_received, "connections ended by a RST of the peer")                          \
    X(tcp_resets_sent, "RST segments sent")                                                   \
    X(tcp_timeouts, "connections given up after unanswered retransmissions")                  \
    X(tcp_retransmissions, "segments sent again")                                             \
    X(tcp_ecn_marks, "segments received that a router had marked (RFC 3168)")                 \
    X(tcp_ecn_reductions, "windows reduced because the peer had seen marks")                  \
    X(tcp_fast_retransmits, "fast retransmit episodes entered (RFC 6675, RFC 6582)")          \
    X(tcp_tail_probes, "tail loss probes sent (RFC 8985, 7)")                                 \
    X(tcp_spurious_undone, "recoveries and timeouts found spurious and undone")               \
    X(tcp_sack_steps, "records of what was sent passed on the way to SACK blocks")            \
    X(tcp_sacks_put_off, "SACK blocks too far off for one acknowledgement to reach")          \
    X(tcp_sents_short, "records of what was sent joined or left whole for want of more")      \
    X(tcp_dsacks_received, "duplicate segments reported by the peer (RFC 2883)")              \
    X(tcp_dsacks_sent, "duplicate segments reported to the peer (RFC 2883)")                  \
    X(tcp_rto_expired, "retransmission timeouts (RFC 6298)")                                  \
    X(tcp_duplicate_segments, "segments that brought nothing new")                            \
    X(tcp_out_of_order, "segments received ahead of a gap")                                   \
    X(tcp_out_of_order_dropped, "segments ahead of a gap dropped for want of room")           \
    X(tcp_challenge_acks, "challenge ACKs sent (RFC 5961)")                                   \
    X(tcp_challenge_acks_limited, "challenge ACKs held back by the rate limit")               \
    X(tcp_challenge_budget_exhausted, "challenge ACKs held back: budget of all used up")      \
    X(tcp_urgent, "segments with the URG bit, taken as any others (RFC 6093)")                \
    X(tcp_orphans_reset, "connections without an owner reset: too many of them")              \
    X(tcp_zero_window_probes, "persist probes sent")                                          \
    X(tcp_keepalive_probes, "keepalive probes sent")                                          \
    X(tcp_time_wait_reused, "TIME_WAIT connections recycled for new ones")                    \
    X(tcp_time_wait_reopened, "TIME_WAIT connections opened anew by the peer (RFC 6191)")     \
    X(tcp_no_ports, "active opens refused because no source port was free")                   \
    X(tcp_syn_expired, "half-open connections given up")                                      \
    X(tcp_cookies_sent, "SYNs answered with a cookie (RFC 4987, 3.6)")                        \
    X(tcp_cookies_accepted, "connections made from a cookie that came back")                  \
    X(tcp_cookies_failed, "acknowledgements that fit no cookie while there were any")

COUNTER_STRUCT(stack_counters, STACK_COUNTERS);

extern const struct counter_table stack_counter_table;

#endif
