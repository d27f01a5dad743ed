/*
 * Orphans: connections whose user has closed them, and that still have something to send, to have
 * acknowledged, or a FIN to wait for. Each holds a block, and its peer decides for how long. So
 * there may be config.orphans_max of them; beyond that the oldest is reset: it has had the most
 * time to end by itself. Those in TIME_WAIT are none: they give way whenever a block is needed.
 */
#include "stack/tcp/tcp_orphan.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_output.h"

void tcp_orphan_add(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    struct tcp_conn *oldest;

    TAILQ_INSERT_TAIL(&t->orphans, c, queue_link);
    c->in_orphans = true;
    COUNTER_ADD(t->orphan_count, 1);
    if (t->orphan_count <= t->config.orphans_max)
        return;
    oldest = TAILQ_FIRST(&t->orphans);
    tcp_count(t, tcp_orphans_reset);
    tcp_output_reset(oldest);
    tcp_conn_end(oldest, SOCK_OK);
}

void tcp_orphan_remove(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    if (!c->in_orphans)
        return;
    TAILQ_REMOVE(&t->orphans, c, queue_link);
    c->in_orphans = false;
    COUNTER_ADD(t->orphan_count, -1);
}
