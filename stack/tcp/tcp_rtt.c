/* Round-trip time and retransmission timeout by RFC 6298. */
#include "stack/tcp/tcp_internal.h"

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
    /* (2.3) with the wheel's tick as the granularity G */
    c->rto = c->srtt + (4 * c->rttvar > CLOCK_MS ? 4 * c->rttvar : CLOCK_MS);
    if (c->rto < t->config.rto_min)
        c->rto = t->config.rto_min;
    if (c->rto > TCP_RTO_MAX)
        c->rto = TCP_RTO_MAX;
}

/* RFC 6298, 3 (Karn): never from a segment that was sent twice, unless its timestamp tells which
 * one was answered. */
bool tcp_rtt_measure(struct tcp_conn *c, const struct packet *p)
{
    const struct tcp *t = c->sock.tcp;
    uint32_t ms;

    c->rtt_latest = 0;
    if (c->timing && seq_le(c->timed_seq, p->tcp.ack)) {
        c->timing = false;
        c->rtt_latest = t->now - c->timed_at;
        tcp_rtt_sample(c, c->rtt_latest);
        return true;
    }
    if (c->timing || !c->timestamps || !p->tcp.has_timestamp)
        return false;
    ms = tcp_ts_now(c) - p->tcp.ts_echo;
    if (ms >= 60000) /* a broken echo must not freeze the connection */
        return false;
    c->rtt_latest = (clock_ns)ms * CLOCK_MS;
    tcp_rtt_sample(c, c->rtt_latest);
    return true;
}

/* It stays so until the next sample: were it forgotten with the next acknowledgement, a round trip
 * longer than the RTO would never be measured without timestamps. */
void tcp_rtt_backoff(struct tcp_conn *c)
{
    c->rto = 2 * c->rto < TCP_RTO_MAX ? 2 * c->rto : TCP_RTO_MAX;
}

clock_ns tcp_rtt_persist(const struct tcp_conn *c)
{
    clock_ns gap = c->rto > TCP_PERSIST_MIN ? c->rto : TCP_PERSIST_MIN;

    for (unsigned i = 0; i < c->retries && gap < TCP_RTO_MAX; i++)
        gap *= 2;
    return gap < TCP_RTO_MAX ? gap : TCP_RTO_MAX;
}
