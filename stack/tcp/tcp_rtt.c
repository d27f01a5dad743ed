/* Round-trip time and retransmission timeout by RFC 6298. */
#include "stack/tcp/tcp_internal.h"

void tcp_rtt_sample(struct tcp_conn *c, clock_ns rtt)
{
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
    if (c->rto < TCP_RTO_MIN)
        c->rto = TCP_RTO_MIN;
    if (c->rto > TCP_RTO_MAX)
        c->rto = TCP_RTO_MAX;
}

clock_ns tcp_rtt_backoff(const struct tcp_conn *c)
{
    clock_ns rto = c->rto;

    for (unsigned i = 0; i < c->retries && rto < TCP_RTO_MAX; i++)
        rto *= 2;
    return rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
}
