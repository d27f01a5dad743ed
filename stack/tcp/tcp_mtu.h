/* The size of segments: what the path and the peer take. */
#ifndef STACK_TCP_TCP_MTU_H
#define STACK_TCP_TCP_MTU_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/net/net.h"

struct tcp_conn;

/* ---- tcp_mtu.c ---- */

/* The peer takes segments of this size. */
void tcp_mtu_init(struct tcp_conn *c, uint16_t peer_mss);

/* What we offer to take, in a SYN; mss_max: the owner's bound, or 0. */
uint16_t tcp_mtu_offer(const struct net_path *path, uint16_t mss_max);

/* The path takes packets of `mtu` bytes from now on: what is in flight and larger goes out again,
 * and is no sign of congestion. */
void tcp_mtu_changed(struct tcp_conn *c, uint16_t mtu);

/* The same from the next segment on; what is in flight stays as it is. */
void tcp_mtu_set(struct tcp_conn *c, uint16_t mtu);

/* Looks whether more, or less, has become known of the path. */
void tcp_mtu_refresh(struct tcp_conn *c);

/* A router says that a segment in flight was too large. */
void tcp_mtu_error(struct tcp_conn *c, const struct net_error *error);

/* ---- tcp_mtu_probe.c (RFC 4821) ---- */

/* The connection stands. */
void tcp_mtu_probe_init(struct tcp_conn *c);

/* Should the next segment be a probe? Then it is to be one of this size. */
bool tcp_mtu_probe_due(const struct tcp_conn *c);
uint16_t tcp_mtu_probe_mss(const struct tcp_conn *c);

void tcp_mtu_probe_sent(struct tcp_conn *c, uint32_t seq);
void tcp_mtu_probe_acked(struct tcp_conn *c); /* snd_una has moved */

/* Of the segments that were found lost, how many were a probe: they say nothing of congestion. */
uint32_t tcp_mtu_probe_lost(struct tcp_conn *c);

/* The retransmission timer has run out: are full segments too large for the path? */
void tcp_mtu_probe_timeout(struct tcp_conn *c);

/* The path was said to take no more. */
void tcp_mtu_probe_bound(struct tcp_conn *c, uint16_t mtu);

#endif
