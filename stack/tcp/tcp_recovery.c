/*
 * Fast recovery (RFC 6675 with the detection of RFC 8985; without SACK RFC 6582), recovery after a
 * timeout with F-RTO (RFC 5682), and what both share.
 *
 * Losses are marked in the records of what was sent (tcp_sent.h), and whatever is marked is sent
 * again as cwnd allows, before anything new. So there is one way of sending again, however a loss
 * was found. In flight is what is neither acknowledged, selectively or not, nor lost; what peers
 * without SACK acknowledge by duplicates is not known by place, but counted off as well, which also
 * gives the limited transmit of RFC 3042.
 */
#include "stack/tcp/tcp_recovery.h"

#include <rte_common.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_timer.h"

void tcp_recovery_init(struct tcp_conn *c)
{
    c->recover = c->iss;
    c->rtt_seq = c->snd_una;
}

uint32_t tcp_in_flight(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;

    if (f == NULL)
        return 0;
    return f->in_flight_bytes > f->duplicate_bytes ? f->in_flight_bytes - f->duplicate_bytes : 0;
}

/* ---- what goes out again ---- */

struct tcp_sent *tcp_recovery_next(const struct tcp_conn *c)
{
    if (c->flight == NULL || c->frto_new)
        return NULL;
    return TAILQ_FIRST(&c->flight->lost);
}

void tcp_recovery_retransmitted(struct tcp_conn *c, struct tcp_sent *s, uint32_t len)
{
    if (len < s->end - s->seq)
        tcp_sent_cut(c, s, s->seq + len);
    tcp_sent_again(c, s);
    tcp_undo_retransmitted(c, len);
}

/* The first unacknowledged segment is lost. */
static void lose_head(struct tcp_conn *c)
{
    struct tcp_sent *s = TAILQ_FIRST(&c->flight->all);
    uint32_t segment = tcp_segment_size(c);

    if (s->state != TCP_SENT_IN_FLIGHT)
        return;
    if (s->end - s->seq > segment)
        tcp_sent_cut(c, s, s->seq + segment);
    tcp_sent_lose(c, s);
}

void tcp_recovery_resize(struct tcp_conn *c)
{
    struct tcp_sent *s, *next;

    if (c->flight == NULL)
        return;
    for (s = TAILQ_FIRST(&c->flight->in_flight); s != NULL; s = next) {
        next = TAILQ_NEXT(s, queue);
        if (s->end - s->seq > s->segments * tcp_segment_size(c))
            tcp_sent_lose(c, s);
    }
}

/* ---- phases ---- */

static void enter(struct tcp_conn *c, enum tcp_recovery_phase phase)
{
    c->recovery = (uint8_t)phase;
    c->recover = c->snd_max;
    c->tlp_out = false;
    c->flight->prr_marked = false;
    tcp_tlp_schedule(c); /* not now */
}

static void leave(struct tcp_conn *c, struct tcp_delivery *d)
{
    d->reduced = c->recovery == TCP_RECOVERY_FAST;
    if (d->reduced)
        tcp_cc_reduced(c);
    tcp_rack_recovered(c);
    c->recovery = TCP_RECOVERY_NONE;
    c->flight->duplicate_bytes = 0;
    c->dupacks = 0;
    c->frto = false;
    c->undo_until = c->snd_max;
}

static void enter_fast(struct tcp_conn *c, const struct tcp_delivery *d)
{
    enter(c, TCP_RECOVERY_FAST);
    tcp_count(c->sock.tcp, tcp_fast_retransmits);
    tcp_undo_begin(c);
    tcp_cc_reduce(c, TCP_CC_LOSS);
    tcp_prr_begin(c, d);
}

/* RFC 3168, 6.1.2: the peer has seen a mark. At once, and not in proportion to what arrives, if not
 * told otherwise: the pause drains the queue, which would mark what goes out meanwhile and ask for
 * a second reduction. */
static void marked(struct tcp_conn *c, struct tcp_delivery *d)
{
    d->reduced = true;
    tcp_count(c->sock.tcp, tcp_ecn_reductions);
    tcp_undo_end(c);
    tcp_cc_reduce(c, TCP_CC_ECN);
    c->flight->prr_marked = c->sock.tcp->config.ecn_by_prr && c->snd_una != c->snd_max;
    if (c->flight->prr_marked)
        tcp_prr_begin(c, d);
    else
        tcp_cc_reduced(c);
}

/* The window in which a mark was seen is acknowledged. */
static void marked_end(struct tcp_conn *c, struct tcp_delivery *d)
{
    d->reduced = true;
    c->flight->prr_marked = false;
    tcp_cc_reduced(c);
}

void tcp_recovery_repaired(struct tcp_conn *c)
{
    if (c->recovery != TCP_RECOVERY_NONE)
        return;
    tcp_undo_end(c);
    tcp_cc_reduce(c, TCP_CC_LOSS);
    tcp_cc_reduced(c);
}

/* RFC 6298, 5.4 to 5.6, and RFC 8985, 6.3. */
void tcp_recovery_timeout(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    bool first = c->retries <= 1, fast = c->recovery == TCP_RECOVERY_FAST, reneged;

    if (f == NULL)
        return;
    if (first)
        tcp_undo_begin(c);
    tcp_cc_reduce(c, TCP_CC_TIMEOUT);
    reneged = TAILQ_FIRST(&f->all)->state == TCP_SENT_SACKED;
    enter(c, TCP_RECOVERY_LOSS);
    f->duplicate_bytes = 0;
    c->dupacks = 0;
    tcp_sent_lose_old(c, tcp_rack_timeout(c), reneged);
    tcp_timer_stop(c, TCP_TIMER_LOSS);
    c->frto = !reneged && !(first && fast);
    c->frto_new = false;
}

/* ---- undo ---- */

static void undo(struct tcp_conn *c)
{
    tcp_count(c->sock.tcp, tcp_spurious_undone);
    if (c->spurious < UINT16_MAX)
        c->spurious++;
    tcp_undo_end(c);
    if (c->recovery != TCP_RECOVERY_NONE) {
        c->recovery = TCP_RECOVERY_NONE;
        tcp_sent_lost_none(c);
        tcp_rack_recovered(c);
    }
    c->frto = false;
    c->dupacks = 0;
    if (c->flight != NULL)
        c->flight->duplicate_bytes = 0;
    tcp_cc_undo(c);
}

/* RFC 5682, 3.1, steps 2 and 3. Returns true when the timeout was spurious. */
static bool frto_ack(struct tcp_conn *c, const struct tcp_delivery *d)
{
    c->frto_new = false;
    if (!c->frto)
        return false;
    /* Without SACK a part may be the retransmitted one, the rest have come before. */
    if (d->original && (c->sack || !d->retransmitted))
        return c->undo;
    if (c->recover != c->snd_max) { /* new data was sent, and what comes back is no progress */
        c->frto = !d->sacked && !d->duplicate;
    } else if (d->acked > 0) {
        c->frto = c->frto_new = tcp_output_new_possible(c);
    }
    return false;
}

/* ---- acknowledgements ---- */

/* Releases the records of what is acknowledged. */
static void release(struct tcp_conn *c, const struct packet *p, struct tcp_delivery *d)
{
    struct tcp_sent *s;

    while ((s = TAILQ_FIRST(&c->flight->all)) != NULL && seq_lt(s->seq, c->snd_una)) {
        uint32_t end = seq_lt(s->end, c->snd_una) ? s->end : c->snd_una;

        if (s->state != TCP_SENT_SACKED)
            tcp_rack_delivered(c, p, s, end, d);
        tcp_sent_release(c, end);
    }
}

/* ---- RFC 6582: without SACK ---- */

/* One segment filled the hole, the others were told of by duplicates. After a timeout those were
 * for what was sent since. */
static void newreno_progress(struct tcp_conn *c, struct tcp_delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t segment = tcp_segment_size(c);
    uint32_t known = RTE_MIN(f->duplicate_bytes, d->acked > segment ? d->acked - segment : 0);

    c->dupacks = 0;
    if (c->recovery == TCP_RECOVERY_LOSS) {
        f->duplicate_bytes = 0;
        return;
    }
    f->duplicate_bytes -= known;
    d->delivered -= RTE_MIN(known, d->delivered);
    d->partial = c->recovery == TCP_RECOVERY_FAST;
    if (d->partial)
        lose_head(c); /* the next hole */
}

static void newreno_duplicate(struct tcp_conn *c, struct tcp_delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t segment = tcp_segment_size(c);

    if (c->recovery == TCP_RECOVERY_LOSS && c->recover == c->snd_max)
        return; /* of what was sent before the timeout */
    f->duplicate_bytes = RTE_MIN(f->duplicate_bytes + segment, c->snd_max - c->snd_una);
    d->delivered += segment;
    if (c->dupacks < UINT8_MAX)
        c->dupacks++;
    /* 3.2, step 2: duplicates of what was sent before a timeout say nothing new. */
    if (c->dupacks == TCP_DUPACK_THRESHOLD && c->recovery == TCP_RECOVERY_NONE &&
        seq_lt(c->recover, c->snd_una))
        lose_head(c);
}

static void newreno_ack(struct tcp_conn *c, struct tcp_delivery *d)
{
    if (d->acked > 0)
        newreno_progress(c, d);
    else if (d->duplicate)
        newreno_duplicate(c, d);
}

/* ---- what an acknowledgement changes ---- */

static void window_grows(struct tcp_conn *c, const struct tcp_delivery *d)
{
    struct tcp_cc_ack a = {
        .acked = d->delivered,
        .prior_flight = d->prior_flight,
        .rtt = d->rtt,
    };

    if (d->acked == 0 || d->reduced)
        return;
    tcp_cc_progress(c, &a);
    tcp_cc_ack(c, &a);
}

/* What is lost by now, and what that changes. */
static void losses(struct tcp_conn *c, struct tcp_delivery *d)
{
    uint32_t before = c->lost, probe;
    bool found;

    if (c->sack)
        tcp_rack_detect(c);
    else
        newreno_ack(c, d);
    probe = tcp_mtu_probe_lost(c);
    found = c->lost - before > probe;
    if (found && c->recovery == TCP_RECOVERY_NONE)
        enter_fast(c, d);
    if (c->recovery == TCP_RECOVERY_FAST)
        tcp_prr_ack(c, d, d->acked > 0 && !found);
    else if (c->flight->prr_marked)
        tcp_prr_ack(c, d, false);
    else
        window_grows(c, d);
}

/* What remembers a place in the sequence space is not left so far behind that it would lie ahead.
 */
static void keep_near(struct tcp_conn *c)
{
    tcp_ecn_progress(c);
    if (c->recovery == TCP_RECOVERY_NONE && !c->undo && seq_lt(c->recover, c->snd_una))
        c->recover = c->snd_una - 1;
    c->reorder_round_valid = c->reorder_round_valid && seq_lt(c->snd_una, c->reorder_round);
}

void tcp_recovery_ack(struct tcp_conn *c, const struct packet *p, uint32_t acked, bool duplicate)
{
    struct tcp_delivery d = {
        .acked = acked, .prior_flight = tcp_in_flight(c), .duplicate = duplicate};

    release(c, p, &d);
    tcp_sack_take(c, p, &d);
    tcp_rtt_acked(c, p, &d);
    tcp_tlp_ack(c, &d);
    if (d.dsacked)
        tcp_rack_duplicate(c);
    if (tcp_undo_proven(c, p, &d) || (c->recovery == TCP_RECOVERY_LOSS && frto_ack(c, &d)))
        undo(c);
    if (c->recovery != TCP_RECOVERY_NONE && seq_le(c->recover, c->snd_una))
        leave(c, &d);
    else if (c->recovery == TCP_RECOVERY_NONE && seq_lt(c->undo_until, c->snd_una))
        tcp_undo_end(c);
    if (c->flight->prr_marked && !tcp_ecn_window_reduced(c))
        marked_end(c, &d);
    if (c->recovery == TCP_RECOVERY_NONE && tcp_ecn_echoed(c, p))
        marked(c, &d);
    losses(c, &d);
    keep_near(c);
    if (TAILQ_EMPTY(&c->flight->all))
        tcp_sent_free(c);
}

void tcp_recovery_late(struct tcp_conn *c, const struct packet *p)
{
    struct tcp_delivery d = {.duplicate = p->payload_length == 0 && (p->tcp.flags & TCP_FIN) == 0};

    tcp_sack_take(c, p, &d);
    tcp_tlp_ack(c, &d);
    if (d.dsacked)
        tcp_rack_duplicate(c);
    if (tcp_undo_proven(c, p, &d))
        undo(c);
}

void tcp_recovery_reordered(struct tcp_conn *c)
{
    struct tcp_delivery none = {0};

    if (c->flight == NULL)
        return;
    losses(c, &none);
    tcp_conn_output(c);
}
