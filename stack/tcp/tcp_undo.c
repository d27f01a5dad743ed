/*
 * Was it a loss at all? A reduction is undone when all that was sent again since it began turns out
 * to have been sent for nothing:
 *
 * - the peer reports as many bytes as duplicates as were sent again (RFC 2883; RFC 3708), or
 * - what made snd_una move was sent before the first retransmission, as its timestamp says (Eifel,
 *   RFC 3522).
 *
 * The third way, after a timeout, is F-RTO in tcp_recovery.c. Duplicates are reported a round trip
 * after the retransmissions, when the recovery may be over: they count until what was in flight
 * then is acknowledged.
 */
#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_seq.h"

void tcp_undo_begin(struct tcp_conn *c)
{
    c->undo = true;
    c->undo_sent = false;
    c->undo_bytes = 0;
    c->undo_una = c->snd_una;
}

void tcp_undo_end(struct tcp_conn *c)
{
    c->undo = false;
}

void tcp_undo_retransmitted(struct tcp_conn *c, uint32_t bytes)
{
    if (!c->undo_sent)
        c->undo_ts = tcp_ts_now(c);
    c->undo_sent = true;
    c->undo_bytes += bytes;
}

void tcp_undo_duplicate(struct tcp_conn *c, uint32_t left, uint32_t right)
{
    if (seq_lt(left, c->undo_una) || seq_lt(c->recover, right))
        return;
    c->undo_bytes -= RTE_MIN(right - left, c->undo_bytes);
}

/* RFC 3522, 3.2, step 4. */
static bool sent_before(const struct tcp_conn *c, const struct packet *p)
{
    return c->timestamps && p->tcp.has_timestamp && seq_lt(p->tcp.ts_echo, c->undo_ts);
}

bool tcp_undo_proven(const struct tcp_conn *c, const struct packet *p, const struct tcp_delivery *d)
{
    if (!c->undo || !c->undo_sent)
        return false;
    if (d->dsacked && c->undo_bytes == 0)
        return true;
    return c->recovery != TCP_RECOVERY_NONE && d->acked > 0 && sent_before(c, p);
}
