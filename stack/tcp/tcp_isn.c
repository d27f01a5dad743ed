#include "stack/tcp/tcp_isn.h"

#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_table.h"

uint32_t tcp_isn(const struct tcp *t, const struct ip_endpoint *local,
                 const struct ip_endpoint *remote)
{
    /* RFC 6528, 3: ISN = M + F(connection, secret), M a clock that ticks every 4 microseconds. */
    return (uint32_t)(t->now / (4 * CLOCK_US)) +
           (uint32_t)tcp_flow_hash(local, remote, &t->isn_key);
}

uint32_t tcp_ts_offset(const struct tcp *t, const struct ip_addr *local,
                       const struct ip_addr *remote)
{
    const struct ip_endpoint here = {.addr = *local}, there = {.addr = *remote};

    return (uint32_t)tcp_flow_hash(&here, &there, &t->ts_key);
}
