/* Round-trip time and retransmission timeout by RFC 6298. */
#include "stack/tcp/tcp_rtt.h"

#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_seq.h"

#define RTT_MIN_AGE 5 /* minutes */

void tcp_rtt_sample(struct tcp_conn *c, clock_ns rtt)
{
    const struct tcp *t = c->sock.tcp;

    if (c->srtt == 0) {
        c->srtt = rtt;
        c->rttvar = rtt / 2;
    } else {
        clock_ns delta = c->srtt > rtt ? c->srtt - rtt : rtt - c->srtt;

        c->rttvar = (3 * c->rttvar + delta) / 4;
        c->srtt = (7 * c->srtt + rtt) / 8;
    }
    if (c->srtt == 0)
        c->srtt = 1; /* zero means "no sample yet" */
    /* (2.3), (2.4): the bound is the variance's, as Linux has it, so that a peer may delay its
     * acknowledgement by as much whatever the path's round trip. */
    c->rto = c->srtt + RTE_MAX(4 * c->rttvar, t->config.rto_min);
    if (c->rto > TCP_RTO_MAX)
        c->rto = TCP_RTO_MAX;
}

/* At least 1: zero means "unknown". */
static uint32_t microseconds(clock_ns rtt)
{
    return (uint32_t)RTE_MAX(RTE_MIN(rtt / CLOCK_US, UINT32_MAX), 1u);
}

/* The least of the last five to ten minutes: paths change. */
static void note_minimum(struct tcp_conn *c, clock_ns rtt)
{
    uint16_t minute = (uint16_t)(c->sock.tcp->now / (60 * CLOCK_SEC));
    uint32_t us = microseconds(rtt);

    if (c->rtt_min == 0)
        c->rtt_min = c->rtt_min_next = us;
    if ((uint16_t)(minute - c->rtt_min_at) >= RTT_MIN_AGE) {
        c->rtt_min = c->rtt_min_next;
        c->rtt_min_next = us;
        c->rtt_min_at = minute;
    }
    c->rtt_min = RTE_MIN(c->rtt_min, us);
    c->rtt_min_next = RTE_MIN(c->rtt_min_next, us);
}

/* RFC 7323, 4.1. Returns false when the echo says nothing. */
static bool from_timestamp(const struct tcp_conn *c, const struct packet *p, clock_ns *rtt)
{
    uint32_t ms = tcp_ts_now(c) - p->tcp.ts_echo;

    if (!c->timestamps || !p->tcp.has_timestamp || ms >= 60000)
        return false; /* a broken echo must not freeze the connection */
    *rtt = (clock_ns)ms * CLOCK_MS;
    return true;
}

bool tcp_rtt_handshake(struct tcp_conn *c, const struct packet *p)
{
    clock_ns rtt = c->sock.tcp->now - c->sent_at;

    if (!c->timing && !from_timestamp(c, p, &rtt))
        return false;
    if (c->timing && rtt > 0)
        note_minimum(c, rtt);
    tcp_rtt_sample(c, rtt);
    return true;
}

/* RFC 6298, 3: one sample in a round trip; by Karn's rule none of what was sent more than once,
 * unless a timestamp tells which of the copies was answered. */
void tcp_rtt_acked(struct tcp_conn *c, const struct packet *p, const struct tcp_delivery *d)
{
    clock_ns rtt = d->retransmitted ? 0 : d->rtt_first;

    if (d->rtt != 0)
        note_minimum(c, d->rtt);
    if (rtt == 0 && (d->acked == 0 || !from_timestamp(c, p, &rtt)))
        return;
    if (seq_lt(c->snd_una, c->rtt_seq))
        return;
    c->rtt_seq = c->snd_max;
    tcp_rtt_sample(c, rtt);
}

/* It stays so until the next sample: were it forgotten with the next acknowledgement, a round trip
 * longer than the RTO would never be measured without timestamps. */
void tcp_rtt_backoff(struct tcp_conn *c)
{
    c->rto = 2 * c->rto < TCP_RTO_MAX ? 2 * c->rto : TCP_RTO_MAX;
    c->rtt_seq = c->snd_una;
}

clock_ns tcp_rtt_persist(const struct tcp_conn *c)
{
    clock_ns longest = RTE_MIN(TCP_RTO_MAX, c->user_timeout * CLOCK_MS / TCP_PERSIST_TRIES);
    clock_ns gap = RTE_MAX(c->rto, TCP_PERSIST_MIN);

    for (unsigned i = 0; i < c->retries && gap < longest; i++)
        gap *= 2;
    return RTE_MIN(gap, RTE_MAX(longest, TCP_PERSIST_MIN));
}
