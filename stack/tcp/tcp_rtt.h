/* The round trip, and the retransmission timeout (RFC 6298). */
#ifndef STACK_TCP_TCP_RTT_H
#define STACK_TCP_TCP_RTT_H

#include <stdbool.h>

#include "base/clock.h"
#include "stack/packet.h"
#include "stack/tcp/tcp_conn.h"

struct tcp_delivery;

void tcp_rtt_sample(struct tcp_conn *c, clock_ns rtt);

/* Takes a sample from the acknowledgement of our SYN. Returns false when it gives none. */
bool tcp_rtt_handshake(struct tcp_conn *c, const struct packet *p);

/* The same from one of data. */
void tcp_rtt_acked(struct tcp_conn *c, const struct packet *p, const struct tcp_delivery *d);

void tcp_rtt_backoff(struct tcp_conn *c);           /* a timeout: RFC 6298, 5.5 */
clock_ns tcp_rtt_persist(const struct tcp_conn *c); /* the time to the next window probe */

/* The least of the last five to ten minutes; 0: unknown. */
static inline clock_ns tcp_rtt_min(const struct tcp_conn *c)
{
    return c->rtt_min * CLOCK_US;
}

#endif
