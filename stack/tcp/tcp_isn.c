#include "stack/tcp/tcp_isn.h"

#include "stack/tcp/tcp_internal.h"

uint32_t tcp_isn(const struct tcp *t, const struct ip_endpoint *local,
                 const struct ip_endpoint *remote)
{
    struct {
        struct ip_addr local, remote;
        uint16_t local_port, remote_port;
    } __attribute__((packed)) id = {local->addr, remote->addr, local->port, remote->port};

    /* RFC 6528, 3: ISN = M + F(connection, secret), M a clock that ticks every 4 microseconds. */
    return (uint32_t)(t->now / (4 * CLOCK_US)) + (uint32_t)siphash(&id, sizeof id, &t->isn_key);
}

uint32_t tcp_ts_offset(const struct tcp *t, const struct ip_addr *local,
                       const struct ip_addr *remote)
{
    struct ip_addr pair[2] = {*local, *remote};

    return (uint32_t)siphash(pair, sizeof pair, &t->ts_key);
}
