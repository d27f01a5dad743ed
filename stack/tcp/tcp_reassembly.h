/* What was received: the queue of the reader, and what lies ahead of a gap. */
#ifndef STACK_TCP_TCP_REASSEMBLY_H
#define STACK_TCP_TCP_REASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/packet.h"
#include "stack/tcp/tcp_conn.h"

/* Takes the payload of an acceptable segment that begins at p->tcp.seq; delivers what is in order.
 */
void tcp_reassembly_add(struct tcp_conn *c, struct packet *p);
/* Keeps the payload, which is the next, until tcp_reassembly_release(): the connection does not
 * stand yet. */
void tcp_reassembly_hold(struct tcp_conn *c, struct packet *p);
void tcp_reassembly_release(struct tcp_conn *c);
void tcp_reassembly_free(struct tcp_conn *c);

/* The SACK blocks to send now, at most `max`: a duplicate first (RFC 2883), then runs, the last one
 * extended first (RFC 2018, 4). Returns how many. */
unsigned tcp_reassembly_sack(const struct tcp_conn *c, struct tcp_range *out, unsigned max);

/* A segment that lies whole below what is expected: to be reported. */
void tcp_reassembly_old(struct tcp_conn *c, const struct packet *p);

/* Does a duplicate wait to be reported? */
static inline bool tcp_reassembly_repeated(const struct tcp_conn *c)
{
    return c->duplicate.left != c->duplicate.right;
}

#endif
