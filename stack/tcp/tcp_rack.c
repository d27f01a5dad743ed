/*
 * RACK (RFC 8985): a segment is lost when one that was sent sufficiently later has arrived. Time
 * tells what counting duplicates cannot: losses of retransmissions and of the last segments of a
 * flight, and mere reordering. The records in flight are in a list by the time sent, so detection
 * looks at those that are lost and one more.
 *
 * How much later is the reordering window: none until reordering was seen, then a quarter of the
 * least round trip, and one more for each round trip that brings a DSACK, as what it reports was
 * sent again too early.
 */
#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_timer.h"

#define REORDERING_PERSIST 16 /* recoveries until the window is small again */

static clock_ns since(const struct tcp_conn *c, clock_ns then)
{
    clock_ns now = c->sock.tcp->now;

    return then < now ? now - then : 1;
}

/* RACK_sent_after() of 6.2, step 2. */
static bool sent_after(clock_ns time_a, uint32_t end_a, clock_ns time_b, uint32_t end_b)
{
    return time_a > time_b || (time_a == time_b && seq_lt(end_b, end_a));
}

/* Step 3: what was sent once arrives after what was sent later. */
static void detect_reordering(struct tcp_conn *c, const struct tcp_sent *s, uint32_t end)
{
    struct tcp_flight *f = c->flight;
    uint32_t distance;

    if (!seq_lt(end, f->rack_fack)) {
        f->rack_fack = end;
        return;
    }
    if (s->retransmitted)
        return;
    c->reordering_seen = true;
    distance = (f->rack_fack - s->seq) / tcp_segment_size(c);
    if (distance > c->reordering)
        c->reordering = (uint16_t)RTE_MIN(distance, UINT16_MAX);
}

/* Step 2: the answer may be to an earlier transmission. */
static bool ambiguous(const struct tcp_conn *c, const struct packet *p, const struct tcp_sent *s,
                      clock_ns rtt)
{
    if (!s->retransmitted)
        return false;
    if (c->timestamps && p->tcp.has_timestamp && seq_lt(p->tcp.ts_echo, tcp_ts_at(c, s->sent_at)))
        return true;
    return rtt < tcp_rtt_min(c);
}

void tcp_rack_delivered(struct tcp_conn *c, const struct packet *p, const struct tcp_sent *s,
                        uint32_t end, struct tcp_delivery *d)
{
    struct tcp_flight *f = c->flight;
    clock_ns rtt = since(c, s->sent_at);
    bool last = sent_after(s->sent_at, end, f->rack_sent_at, f->rack_end);

    d->delivered += end - s->seq;
    detect_reordering(c, s, end);
    if (s->retransmitted) {
        d->retransmitted = true;
    } else {
        d->rtt = rtt;
        if (d->rtt_first == 0)
            d->rtt_first = rtt;
        if (seq_le(end, c->recover))
            d->original = true;
    }
    if (ambiguous(c, p, s, rtt))
        return;
    if (last || c->sock.tcp->config.rack_by_number)
        f->rack_rtt = rtt;
    if (last) {
        f->rack_sent_at = s->sent_at;
        f->rack_end = end;
    }
}

/* ---- step 4: the reordering window ---- */

void tcp_rack_duplicate(struct tcp_conn *c)
{
    if (c->reorder_round_valid && seq_lt(c->snd_una, c->reorder_round))
        return; /* once a round trip */
    c->reorder_round_valid = true;
    c->reorder_round = c->snd_max;
    if (c->reorder_quarters < UINT8_MAX)
        c->reorder_quarters++;
    c->reorder_persist = REORDERING_PERSIST;
}

void tcp_rack_recovered(struct tcp_conn *c)
{
    if (c->reorder_persist > 0 && --c->reorder_persist == 0)
        c->reorder_quarters = 0;
}

static clock_ns reordering_window(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    clock_ns window;

    if (!c->reordering_seen &&
        (c->recovery != TCP_RECOVERY_NONE || f->sacked_segments >= TCP_DUPACK_THRESHOLD))
        return 0;
    window = tcp_rtt_min(c) / 4 * (c->reorder_quarters + 1u);
    return RTE_MIN(window, c->srtt);
}

/* ---- step 5 ---- */

static void wait(struct tcp_conn *c, clock_ns until)
{
    tcp_timer_set(c, TCP_TIMER_LOSS, until);
    c->probing = false;
}

static void wait_no_more(struct tcp_conn *c)
{
    if (!c->probing)
        tcp_timer_stop(c, TCP_TIMER_LOSS);
}

void tcp_rack_detect(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    clock_ns now = c->sock.tcp->now, window = reordering_window(c), due;
    struct tcp_sent *s;

    wait_no_more(c);
    while ((s = TAILQ_FIRST(&f->in_flight)) != NULL &&
           sent_after(f->rack_sent_at, f->rack_end, s->sent_at, s->end)) {
        due = s->sent_at + f->rack_rtt + window;
        if (due > now) {
            wait(c, due);
            return;
        }
        tcp_sent_lose(c, s);
    }
}

clock_ns tcp_rack_timeout(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    clock_ns rtt = f->rack_rtt != 0 ? f->rack_rtt : c->srtt, span = rtt + reordering_window(c);
    clock_ns now = c->sock.tcp->now;

    return c->sack && span < now ? now - span : now;
}
