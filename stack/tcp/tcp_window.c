/*
 * The receive window (RFC 9293, 3.8.6) follows the free part of the receive buffer, never takes
 * back what was offered, and moves only in worthwhile steps.
 */
#include "stack/tcp/tcp_window.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_seq.h"

/* How far the window could be opened beyond what is offered already. */
static uint32_t window_gain(const struct tcp_conn *c, uint32_t *offered)
{
    uint32_t limit = tcp_memory_receive_limit(c), queued = c->receive_queue.len;
    uint32_t space = limit > queued ? limit - queued : 0;
    uint32_t largest = 65535u << c->rcv_wscale; /* that the field can say */

    if (space > largest)
        space = largest;
    *offered = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    return space > *offered ? space - *offered : 0;
}

static uint32_t worthwhile_step(const struct tcp_conn *c)
{
    uint32_t half = c->buffers.receive / 2;

    return c->mss < half ? c->mss : half;
}

uint32_t tcp_window_offer(struct tcp_conn *c)
{
    unsigned scale = c->rcv_wscale;
    uint32_t unit = 1u << scale, offered, gain = window_gain(c, &offered), window = offered, field;

    if (gain >= worthwhile_step(c))
        window += gain;
    /* Rounded up: rounding down would take back bytes that were offered. But not past the buffer,
     * or every small segment would gain some, and nothing stop a peer whose bytes nobody reads. RFC
     * 7323, 2.4 allows to take back less than a unit. */
    field = (window + unit - 1) >> scale;
    if (c->receive_queue.len + (field << scale) >= c->buffers.receive + unit)
        field = window >> scale;
    if (field > 65535)
        field = 65535;
    c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + (field << scale));
    return field;
}

/* An update for every segment read would be waste, as long as the peer has room: acknowledgements
 * tell of it as well. It is due for a quarter of the buffer, for two segments when little is left,
 * for one when the peer is stuck. */
static bool update_due(const struct tcp_conn *c)
{
    uint32_t offered, gain = window_gain(c, &offered), step = worthwhile_step(c);

    if (offered < c->mss)
        return gain >= step;
    return gain >= 2 * step &&
           (gain >= c->buffers.receive / 4 || offered <= c->buffers.receive / 8);
}

void tcp_window_opened(struct tcp_conn *c)
{
    if (tcp_synchronized(c) && !c->fin_received && update_due(c)) {
        c->ack_now = true;
        tcp_conn_output(c);
    }
}
