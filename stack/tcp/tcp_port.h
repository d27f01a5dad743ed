/* Source ports of connections that we open. */
#ifndef STACK_TCP_TCP_PORT_H
#define STACK_TCP_TCP_PORT_H

#include <stdbool.h>

#include "base/ip.h"

struct tcp;
struct tcp_conn;

/* A source port for `local`, whose port is filled in (RFC 6056, algorithm 3). *reuse is set when
 * the port belongs to a connection in TIME_WAIT that may be replaced. Returns false when none is
 * free. */
bool tcp_port_pick(struct tcp *t, struct ip_endpoint *local, const struct ip_endpoint *remote,
                   struct tcp_conn **reuse);

#endif
