/* What a connection counts from: initial sequence numbers and timestamps. */
#ifndef STACK_TCP_TCP_ISN_H
#define STACK_TCP_TCP_ISN_H

#include <stdint.h>

#include "base/ip.h"

struct tcp;

/* RFC 6528. */
uint32_t tcp_isn(const struct tcp *t, const struct ip_endpoint *local,
                 const struct ip_endpoint *remote);

/* Where a pair of hosts begins its timestamps (RFC 7323, 5.4): the same for every connection
 * between them, so that TIME_WAIT can compare. */
uint32_t tcp_ts_offset(const struct tcp *t, const struct ip_addr *local,
                       const struct ip_addr *remote);

#endif
