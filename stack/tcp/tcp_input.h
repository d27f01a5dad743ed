/* Segments that arrive: what the files have for each other that check and process them. */
#ifndef STACK_TCP_TCP_INPUT_H
#define STACK_TCP_TCP_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/net/net.h"
#include "stack/packet.h"

struct tcp_conn;

/* ---- tcp_input.c ---- */

void tcp_input(void *ctx, struct packet *p, clock_ns now);
void tcp_input_rejected(void *ctx, struct packet *p, clock_ns now); /* by the firewall */
bool tcp_input_error(void *ctx, const struct net_error *error, clock_ns now);

/* Answers a segment that is not acceptable (RFC 9293, 3.10.7.4). */
void tcp_unacceptable(struct tcp_conn *c, const struct packet *p);

/* What a SYN says: options, first window. */
void tcp_input_syn_options(struct tcp_conn *c, const struct packet_tcp *syn);

/* ---- tcp_ack.c ---- */

/* Processes the acknowledgement of an acceptable segment. Returns false when it must be dropped
 * (p->drop is set) or when the connection has ended with it (*ended). */
bool tcp_ack(struct tcp_conn *c, struct packet *p, bool *ended);

/* ---- tcp_timestamp.c ---- */

/* RFC 7323, 5.3, R1. Returns false when the segment is old: it is answered then. */
bool tcp_timestamp_acceptable(struct tcp_conn *c, struct packet *p);

/* RFC 7323, 4.3 (2). Only after the acknowledgement was found good: a forged timestamp would make
 * all that the peer sends look old. */
void tcp_timestamp_note(struct tcp_conn *c, const struct packet *p);

/* ---- tcp_challenge.c ---- */

/* A challenge ACK (RFC 5961), as far as the limits allow. */
void tcp_challenge(struct tcp_conn *c);

#endif
