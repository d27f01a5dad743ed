/*
 * Tail loss probe (RFC 8985, 7): what is lost at the end of a flight has nothing sent after it that
 * could tell. So when no acknowledgement has come for two round trips, something new is sent, or
 * the last segment again: the answer shows what is missing, and saves the wait for the
 * retransmission timer and its collapse of cwnd.
 *
 * If the probe repairs the one segment that was lost, nobody would notice a loss; the probe itself
 * keeps watch for that (7.4).
 */
#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_timer.h"

#define TLP_INITIAL   CLOCK_SEC        /* without a round trip to go by */
#define TLP_TICKS     (2 * CLOCK_MS)   /* what timers are exact to */
#define TLP_ACK_DELAY (200 * CLOCK_MS) /* what a peer may wait for a second segment */

/* 7.2: with SACK, in the ordinary course of things, one at a time. */
static bool allowed(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;

    return f != NULL && c->sack && c->recovery == TCP_RECOVERY_NONE && c->retries == 0 &&
           f->in_flight_bytes > 0 && f->sacked_bytes == 0 && f->lost_bytes == 0 && !c->tlp_out;
}

static clock_ns timeout(const struct tcp_conn *c)
{
    clock_ns t;

    if (c->srtt == 0)
        return TLP_INITIAL;
    t = 2 * c->srtt + TLP_TICKS;
    if (c->flight->in_flight_bytes <= tcp_segment_size(c))
        t += TLP_ACK_DELAY;
    return t;
}

void tcp_tlp_stop(struct tcp_conn *c)
{
    if (c->probing && !allowed(c))
        tcp_timer_stop(c, TCP_TIMER_LOSS);
}

void tcp_tlp_schedule(struct tcp_conn *c)
{
    clock_ns at;

    tcp_tlp_stop(c);
    if (!allowed(c))
        return;
    at = RTE_MIN(c->sock.tcp->now + timeout(c), tcp_timer_deadline(c, TCP_TIMER_RETRANSMIT));
    tcp_timer_set(c, TCP_TIMER_LOSS, at);
    c->probing = true;
}

/* 7.3 */
void tcp_tlp_expired(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    uint32_t end = c->snd_max;

    if (!allowed(c))
        return;
    if (tcp_output_tail(c)) {
        tcp_count(t, tcp_tail_probes);
        c->tlp_out = true;
        c->tlp_end = c->snd_max;
        c->tlp_again = c->snd_max == end;
    }
    tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
}

/* 7.4.2 */
void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_delivery *d)
{
    bool arrived, repaired, unreported;

    if (!c->tlp_out || seq_lt(c->snd_una, c->tlp_end))
        return;
    arrived = !c->tlp_again || (d->dsacked && d->dsack_end == c->tlp_end); /* the original too */
    repaired = !arrived && seq_lt(c->tlp_end, c->snd_una);
    unreported = d->duplicate && !d->sacked; /* of a peer that does not report duplicates */
    if (!arrived && !repaired && !unreported)
        return;
    c->tlp_out = false;
    if (repaired)
        tcp_recovery_repaired(c);
}
