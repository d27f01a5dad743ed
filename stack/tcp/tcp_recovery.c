/* Fast retransmit and fast recovery by RFC 6582 (NewReno). */
#include "stack/tcp/tcp_recovery.h"

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_internal.h"

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

void tcp_recovery_init(struct tcp_conn *c)
{
    c->recover = c->iss;
}

static void open_ack(struct tcp_conn *c, uint32_t acked)
{
    struct tcp_cc_ack a = {
        .acked = acked,
        .prior_flight = flight_size(c) + acked,
        .rtt = c->rtt_latest,
    };

    c->dupacks = 0;
    tcp_cc_progress(c, &a);
    tcp_cc_ack(c, &a);
}

static void recovery_ack(struct tcp_conn *c, uint32_t acked)
{
    uint32_t mss = tcp_segment_size(c);

    if (!seq_lt(c->snd_una, c->recover)) { /* full acknowledgement */
        c->in_recovery = false;
        c->dupacks = 0;
        tcp_cc_reduced(c);
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

void tcp_recovery_ack(struct tcp_conn *c, uint32_t acked)
{
    if (c->in_recovery)
        recovery_ack(c, acked);
    else
        open_ack(c, acked);
}

void tcp_recovery_dupack(struct tcp_conn *c)
{
    uint32_t mss = tcp_segment_size(c);

    if (c->in_recovery) {
        /* RFC 5681, 3.2 step 4: a segment has left the network. */
        c->cwnd = min_u32(c->cwnd + mss, TCP_CWND_MAX);
        return;
    }
    if (c->dupacks < UINT8_MAX)
        c->dupacks++;
    /* RFC 6582, 3.2 step 2: duplicates of what was sent before a timeout say nothing new. */
    if (c->dupacks != TCP_DUPACK_THRESHOLD || !seq_lt(c->recover, c->snd_una))
        return;
    c->in_recovery = true;
    c->recover = c->snd_max;
    tcp_cc_reduce(c, TCP_CC_LOSS);
    c->cwnd = c->ssthresh + TCP_DUPACK_THRESHOLD * mss;
    c->resend_head = true;
    c->timing = false;
    tcp_count(c->sock.tcp, tcp_fast_retransmits);
}

void tcp_recovery_timeout(struct tcp_conn *c)
{
    tcp_cc_reduce(c, TCP_CC_TIMEOUT);
    c->in_recovery = false;
    c->dupacks = 0;
    c->recover = c->snd_max;
}
