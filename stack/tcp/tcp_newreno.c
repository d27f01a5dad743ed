/* NewReno's window (RFC 5681) with appropriate byte counting (RFC 3465). */
#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"

static void newreno_init(struct tcp_conn *c)
{
    c->cc.newreno.acked = 0;
}

/* RFC 5681, 3.1: one segment a window, counted in bytes. */
static void newreno_ack(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    struct tcp_newreno *n = &c->cc.newreno;

    if (c->cwnd < c->ssthresh) {
        tcp_cc_slow_start(c, a);
        return;
    }
    if (!a->window_limited)
        return;
    n->acked += a->acked;
    if (n->acked >= c->cwnd) {
        n->acked -= c->cwnd;
        c->cwnd += tcp_segment_size(c);
    }
}

static uint32_t newreno_reduce(struct tcp_conn *c, enum tcp_cc_event event)
{
    uint32_t half = tcp_cc_window_used(c) / 2, least = 2 * tcp_segment_size(c);

    (void)event;
    c->cc.newreno.acked = 0;
    return half > least ? half : least;
}

static void newreno_undo(struct tcp_conn *c)
{
    c->cc.newreno.acked = 0;
}

static void newreno_idle(struct tcp_conn *c, clock_ns idle)
{
    (void)idle;
    c->cc.newreno.acked = 0;
}

const struct tcp_cc tcp_newreno = {
    .name = "new-reno",
    .init = newreno_init,
    .ack = newreno_ack,
    .reduce = newreno_reduce,
    .undo = newreno_undo,
    .idle = newreno_idle,
};
