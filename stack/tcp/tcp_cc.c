/*
 * NewReno: slow start and congestion avoidance by RFC 5681 with appropriate byte counting, fast
 * retransmit and fast recovery by RFC 6582, the initial window of RFC 6928.
 */
#include "stack/tcp/tcp_internal.h"

#define CWND_MAX (1u << 30) /* the largest window of the peer */

static uint32_t flight_size(const struct tcp_conn *c)
{
    return c->snd_max - c->snd_una;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void tcp_cc_init(struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c);

    c->cwnd = min_u32(c->sock.tcp->config.initial_window * mss, max_u32(2 * mss, 14600));
    /* RFC 6298, 5.7 and RFC 5681, 3.1: a lost SYN says that the path is bad. */
    if (c->retries > 0)
        c->cwnd = mss;
    c->ssthresh = UINT32_MAX;
    c->recover = c->iss;
}

void tcp_cc_ack(struct tcp_conn *c, uint32_t acked)
{
    uint32_t mss = tcp_segment_size(c);

    c->dupacks = 0;
    /* The window grows only while it is what limits us (RFC 7661's concern): a sender that never
     * fills it would otherwise build up a burst. */
    if (flight_size(c) + acked < c->cwnd / 2)
        return;
    if (c->cwnd < c->ssthresh) {
        c->cwnd += min_u32(acked, 2 * mss); /* RFC 3465, L = 2 */
    } else {
        c->bytes_acked_ca += acked;
        if (c->bytes_acked_ca >= c->cwnd) {
            c->bytes_acked_ca -= c->cwnd;
            c->cwnd += mss;
        }
    }
    c->cwnd = min_u32(c->cwnd, CWND_MAX);
}

void tcp_cc_dupack(struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c);

    if (c->in_recovery) {
        /* RFC 5681, 3.2 step 4: a segment has left the network. */
        c->cwnd = min_u32(c->cwnd + mss, CWND_MAX);
        return;
    }
    if (c->dupacks < UINT8_MAX)
        c->dupacks++;
    /* RFC 6582, 3.2 step 2: duplicates of what was sent before a timeout say nothing new. */
    if (c->dupacks != TCP_DUPACK_THRESHOLD || !seq_lt(c->recover, c->snd_una))
        return;
    c->in_recovery = true;
    c->recover = c->snd_max;
    c->ssthresh = max_u32(flight_size(c) / 2, 2 * mss);
    c->cwnd = c->ssthresh + TCP_DUPACK_THRESHOLD * mss;
    c->resend_head = true;
    c->timing = false;
    tcp_count(c->sock.tcp, tcp_fast_retransmits);
}

void tcp_cc_recovery_ack(struct tcp_conn *c, uint32_t acked)
{
    uint32_t mss = tcp_segment_size(c);

    if (!seq_lt(c->snd_una, c->recover)) { /* full acknowledgement */
        c->in_recovery = false;
        c->dupacks = 0;
        c->bytes_acked_ca = 0;
        c->cwnd = min_u32(c->ssthresh, max_u32(flight_size(c), mss) + mss);
        return;
    }
    /* Partial: the next hole is lost too; deflate by what left, add back one segment. */
    c->cwnd = c->cwnd > acked ? c->cwnd - acked : mss;
    if (acked >= mss)
        c->cwnd += mss;
    c->cwnd = max_u32(c->cwnd, mss);
    c->resend_head = true;
}

void tcp_cc_timeout(struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c);

    /* RFC 5681, 3.1: the first timeout of a segment halves, further ones change nothing. */
    if (c->retries <= 1)
        c->ssthresh = max_u32(flight_size(c) / 2, 2 * mss);
    c->cwnd = mss;
    c->bytes_acked_ca = 0;
    c->in_recovery = false;
    c->dupacks = 0;
    c->recover = c->snd_max;
}

void tcp_cc_idle(struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c);
    uint32_t restart = min_u32(c->sock.tcp->config.initial_window * mss, max_u32(2 * mss, 14600));

    c->cwnd = min_u32(c->cwnd, restart);
}
