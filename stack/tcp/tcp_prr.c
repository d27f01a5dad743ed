/*
 * Proportional rate reduction (RFC 6937): on the way from what was in flight to ssthresh, sending
 * is clocked by what arrives, so that neither a pause nor a burst comes of a reduction. When losses
 * have taken more than that away, the slow start reduction bound fills up again, by one segment an
 * acknowledgement more than arrived, as long as no further losses show; after a mark nothing is
 * lost, and nothing to be filled up beyond what arrived.
 */
#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"

void tcp_prr_begin(struct tcp_conn *c, const struct tcp_delivery *d)
{
    struct tcp_flight *f = c->flight;

    f->prr_delivered = f->prr_out = 0;
    f->prr_flight = c->snd_max - c->snd_una + d->acked;
}

static uint32_t proportional(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    uint64_t share = (uint64_t)f->prr_delivered * c->ssthresh;
    uint64_t allowed = (share + f->prr_flight - 1) / f->prr_flight;

    return allowed > f->prr_out ? (uint32_t)(allowed - f->prr_out) : 0;
}

static uint32_t bounded(const struct tcp_conn *c, uint32_t pipe, uint32_t delivered, bool safe)
{
    const struct tcp_flight *f = c->flight;
    uint32_t limit = f->prr_delivered > f->prr_out ? f->prr_delivered - f->prr_out : 0;

    limit = RTE_MAX(limit, delivered);
    if (safe)
        limit += tcp_segment_size(c);
    return RTE_MIN(c->ssthresh - pipe, limit);
}

void tcp_prr_ack(struct tcp_conn *c, const struct tcp_delivery *d, bool safe)
{
    struct tcp_flight *f = c->flight;
    uint32_t pipe = tcp_in_flight(c), send;

    f->prr_delivered += d->delivered;
    send = pipe > c->ssthresh ? proportional(c) : bounded(c, pipe, d->delivered, safe);
    /* The fast retransmit, which a mark has none of; RFC 6582, 3.2, step 3; and when all that was
     * in flight is taken for lost, what was sent again too, nothing else would ever arrive to go on
     * with but a timeout. */
    if ((f->prr_out == 0 && !f->prr_marked) || d->partial || pipe == 0)
        send = RTE_MAX(send, tcp_segment_size(c));
    c->cwnd = pipe + send;
}
