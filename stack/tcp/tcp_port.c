/*
 * Source ports by RFC 6056, algorithm 3: a keyed hash of the destination gives the start of the
 * search, a counter moves it on, so that ports are hard to guess and reused as late as possible.
 * A port is taken only when the replies reach this worker. When nearly all are in use, one search
 * does not look at all of them, which would take milliseconds for each connection refused: the next
 * one goes on where it ended.
 */
#include "stack/tcp/tcp_port.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_time_wait.h"

bool tcp_port_pick(struct tcp *t, struct ip_endpoint *local, const struct ip_endpoint *remote,
                   struct tcp_conn **reuse)
{
    struct {
        struct ip_addr local, remote;
        uint16_t remote_port;
    } __attribute__((packed)) id = {local->addr, remote->addr, remote->port};
    const uint32_t range = TCP_PORT_MAX - TCP_PORT_MIN + 1;
    uint32_t offset = (uint32_t)siphash(&id, sizeof id, &t->port_key), in_use = 0;

    *reuse = NULL;
    for (uint32_t tries = 0; tries < range && in_use < TCP_PORT_TRIES; tries++) {
        struct tcp_conn *c;

        local->port = (uint16_t)(TCP_PORT_MIN + (offset + t->port_counter++) % range);
        if (t->owns_flow != NULL && !t->owns_flow(t->owns_flow_ctx, remote, local))
            continue;
        c = tcp_table_find(&t->table, tcp_table_hash(&t->table, local, remote), local, remote);
        if (c == NULL)
            return true;
        if (tcp_time_wait_replaceable(c)) {
            *reuse = c;
            return true;
        }
        in_use++;
    }
    tcp_count(t, tcp_no_ports);
    return false;
}
