/*
 * Congestion control: what all algorithms have in common. The initial window (RFC 6928), slow start
 * by bytes (RFC 3465), the state that a reduction without reason is undone to, the restart after a
 * rest (RFC 5681, 4.1).
 */
#include "stack/tcp/tcp_cc.h"

#include "stack/tcp/tcp_internal.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const struct tcp_cc *algorithm(const struct tcp_conn *c)
{
    return c->sock.tcp->cc;
}

const struct tcp_cc *tcp_cc_find(enum stack_congestion which)
{
    (void)which;
    return &tcp_newreno;
}

/* RFC 6928, 2: ten segments, but no more bytes than those of Ethernet are. */
static uint32_t initial_window(const struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c), segments = c->sock.tcp->config.initial_window;

    return min_u32(segments * mss, max_u32(2 * mss, segments * TCP_ETHERNET_MSS));
}

void tcp_cc_init(struct tcp_conn *c)
{
    c->cwnd = initial_window(c);
    /* RFC 6298, 5.7 and RFC 5681, 3.1: a lost SYN says that the path is bad. */
    if (c->retries > 0)
        c->cwnd = tcp_segment_size(c);
    c->ssthresh = UINT32_MAX;
    algorithm(c)->init(c);
}

void tcp_cc_slow_start(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    c->cwnd += min_u32(a->acked, 2 * tcp_segment_size(c)); /* RFC 3465, L = 2 */
}

void tcp_cc_ack(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    algorithm(c)->ack(c, a);
    c->cwnd = min_u32(c->cwnd, TCP_CWND_MAX);
}

void tcp_cc_reduce(struct tcp_conn *c, enum tcp_cc_event event)
{
    /* RFC 5681, 3.1: the first timeout of a segment reduces, further ones change nothing. */
    if (event != TCP_CC_TIMEOUT || c->retries <= 1) {
        c->prior_cwnd = c->cwnd;
        c->prior_ssthresh = c->ssthresh;
        c->ssthresh = algorithm(c)->reduce(c, event);
    }
    if (event == TCP_CC_TIMEOUT)
        c->cwnd = tcp_segment_size(c);
}

void tcp_cc_reduced(struct tcp_conn *c)
{
    c->cwnd = c->ssthresh;
}

void tcp_cc_undo(struct tcp_conn *c)
{
    c->cwnd = max_u32(c->cwnd, c->prior_cwnd);
    c->ssthresh = max_u32(c->ssthresh, c->prior_ssthresh);
    algorithm(c)->undo(c);
}

void tcp_cc_restart(struct tcp_conn *c)
{
    clock_ns idle = c->sock.tcp->now - c->sent_at;

    if (idle <= c->rto)
        return;
    c->cwnd = min_u32(c->cwnd, initial_window(c));
    algorithm(c)->idle(c, idle);
}
