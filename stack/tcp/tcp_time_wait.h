/* TIME_WAIT: how long, and who may end it. */
#ifndef STACK_TCP_TCP_TIME_WAIT_H
#define STACK_TCP_TCP_TIME_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/packet.h"

struct tcp_conn;

void tcp_time_wait_enter(struct tcp_conn *c);
void tcp_time_wait_unowned(struct tcp_conn *c); /* its block may be taken from now on */
void tcp_time_wait_segment(struct tcp_conn *c, struct packet *p);

/* May this SYN open the connection anew? Then the old one is gone, and the new one's initial
 * sequence number is to be no less than *iss_min. */
bool tcp_time_wait_reopened(struct tcp_conn *c, const struct packet *p, uint32_t *iss_min);

/* May a new connection of ours to the same peer take its place (RFC 6191)? When timestamps let the
 * peer tell the two apart, and ours have moved on. */
bool tcp_time_wait_replaceable(const struct tcp_conn *c);

#endif
