/*
 * A flush where there is a shaper: which frames may go, in what order.
 *
 * Control goes first, a class after the other, and may take a class or the rest into debt by a
 * bounded amount; data pays that back by waiting. Then data: classes with tokens of their
 * guarantee, by priority and in turn; then out of the rest by priority and weight
 * (scheduler_shaper.c). What has been found out of tokens once is not asked again in the same
 * flush.
 *
 * Frames are taken out of their queues for a burst; those that the device does not take are put
 * back in front, and their tokens with them.
 */
#include "scheduler/scheduler_internal.h"

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define SHARE_GATE (100 * CLOCK_US) /* to look again whether others have had theirs */

#define BIT(k)     (UINT64_C(1) << (k))

struct share_frame {
    struct scheduler_ring *ring;
    uint8_t egress_class;
    bool control, guaranteed;
    uint32_t bytes;
};

struct share {
    struct scheduler *s;
    struct scheduler_shaper *shaper;
    uint64_t no_ceiling, no_guarantee; /* classes without tokens: a bit each */
    uint64_t entitled, asked_without;  /* to the rest, when these had no tokens; with `asked` */
    bool no_rest, asked;
    uint32_t count;
    struct rte_mbuf *burst[SCHEDULER_BURST];
    struct share_frame frame[SCHEDULER_BURST];
};

uint32_t scheduler_frame_bytes(const struct rte_mbuf *m)
{
    uint32_t bytes = RTE_MAX(m->pkt_len, (uint32_t)(RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN));
    uint32_t header = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);

    if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0 || m->pkt_len <= header)
        return bytes;
    return bytes + (m->pkt_len - header - 1) / m->tso_segsz * header;
}

/* ---- tokens ---- */

static bool drawn(struct scheduler_bucket *b, scheduler_tokens *account)
{
    if (*account <= 0)
        *account += scheduler_bucket_draw(b, b->chunk - *account);
    return *account > 0;
}

static bool ceiling_allows(struct share *f, unsigned k)
{
    struct scheduler_bucket *b = &f->shaper->classes[k].ceiling;

    if (b->rate <= 0)
        return true;
    f->s->drawn |= BIT(k);
    if ((f->no_ceiling & BIT(k)) == 0 && drawn(b, &f->s->queues[k].ceiling))
        return true;
    f->no_ceiling |= BIT(k);
    return false;
}

static bool guarantee_allows(struct share *f, unsigned k)
{
    struct scheduler_bucket *b = &f->shaper->classes[k].guarantee;

    if (b->rate <= 0 || (f->no_guarantee & BIT(k)) != 0)
        return false;
    f->s->drawn |= BIT(k);
    if (drawn(b, &f->s->queues[k].guarantee))
        return true;
    f->no_guarantee |= BIT(k);
    return false;
}

static bool rest_allows(struct share *f)
{
    if (f->shaper->rest.depth == 0)
        return true;
    if (!f->no_rest)
        f->no_rest = !drawn(&f->shaper->rest, &f->s->rest);
    return !f->no_rest;
}

/* Puts everything back into the buckets, debts included. */
static void share_settle(struct scheduler *s)
{
    struct scheduler_shaper *shaper = s->shaper;

    for (; s->drawn != 0; s->drawn &= s->drawn - 1) {
        unsigned k = (unsigned)__builtin_ctzll(s->drawn);
        struct scheduler_queue *q = &s->queues[k];

        atomic_fetch_add_explicit(&shaper->classes[k].guarantee.level, q->guarantee,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&shaper->classes[k].ceiling.level, q->ceiling,
                                  memory_order_relaxed);
        q->guarantee = q->ceiling = 0;
    }
    atomic_fetch_add_explicit(&shaper->rest.level, s->rest, memory_order_relaxed);
    s->rest = 0;
}

/* `sign` is -1 to pay for a frame, 1 to be paid back. */
static void share_pay(struct share *f, const struct share_frame *x, int sign)
{
    struct scheduler_queue *q = &f->s->queues[x->egress_class];
    const struct scheduler_shaper_class *k = &f->shaper->classes[x->egress_class];
    scheduler_tokens tokens = SCHEDULER_TOKENS(x->bytes) * sign;

    f->s->drawn |= BIT(x->egress_class);
    if (k->ceiling.rate > 0)
        q->ceiling += tokens;
    if (x->guaranteed)
        q->guarantee += tokens;
    else if (f->shaper->rest.depth > 0)
        f->s->rest += tokens;
    if (x->guaranteed || x->control)
        return;
    if (sign < 0)
        scheduler_shaper_charge(f->shaper, x->egress_class, x->bytes);
    else
        scheduler_shaper_refund(f->shaper, x->egress_class, x->bytes);
}

/* ---- taking frames ---- */

static void waits_update(struct share *f, unsigned k)
{
    struct scheduler *s = f->s;
    struct scheduler_queue *q = &s->queues[k];
    bool waits = scheduler_ring_used(&q->data) > 0;

    s->control_waits &= ~BIT(k);
    s->data_waits &= ~BIT(k);
    s->control_waits |= scheduler_ring_used(&q->control) > 0 ? BIT(k) : 0;
    s->data_waits |= waits ? BIT(k) : 0;
    if (waits == q->joined)
        return;
    q->joined = waits;
    f->asked = false;
    if (waits)
        scheduler_shaper_join(f->shaper, k);
    else
        scheduler_shaper_leave(f->shaper, k);
}

static void share_take(struct share *f, unsigned k, bool control, bool guaranteed)
{
    struct scheduler_queue *q = &f->s->queues[k];
    struct scheduler_ring *ring = control ? &q->control : &q->data;
    struct rte_mbuf *m = ring->slots[ring->head++ & ring->mask];
    struct share_frame *x = &f->frame[f->count];

    *x = (struct share_frame){.ring = ring,
                              .egress_class = (uint8_t)k,
                              .control = control,
                              .guaranteed = guaranteed,
                              .bytes = scheduler_frame_bytes(m)};
    f->burst[f->count++] = m;
    if (!control)
        q->data_bytes -= x->bytes;
    share_pay(f, x, -1);
    waits_update(f, k);
}

static void share_put_back(struct share *f, uint32_t first)
{
    for (uint32_t i = f->count; i-- > first;) {
        struct share_frame *x = &f->frame[i];

        x->ring->head--;
        if (!x->control)
            f->s->queues[x->egress_class].data_bytes += x->bytes;
        share_pay(f, x, 1);
        waits_update(f, x->egress_class);
    }
}

/* ---- whose turn it is ---- */

static bool in_debt(const struct scheduler_bucket *b, scheduler_tokens account)
{
    return b->depth > 0 && b->rate > 0 &&
           account + atomic_load_explicit(&b->level, memory_order_relaxed) < -b->overdraw;
}

static void share_control(struct share *f)
{
    for (uint64_t waits = f->s->control_waits; waits != 0; waits &= waits - 1) {
        unsigned k = (unsigned)__builtin_ctzll(waits);
        const struct scheduler_queue *q = &f->s->queues[k];

        while (f->count < SCHEDULER_BURST && scheduler_ring_used(&q->control) > 0 &&
               !in_debt(&f->shaper->classes[k].ceiling, q->ceiling)) {
            bool guaranteed = guarantee_allows(f, k);

            if (!guaranteed && in_debt(&f->shaper->rest, f->s->rest))
                break;
            share_take(f, k, true, guaranteed);
        }
    }
}

/* The first by priority, and among equals the one after who was first before. Returns -1 when there
 * is none. */
static int first_guaranteed(struct share *f)
{
    unsigned best_key = UINT32_MAX;
    int best = -1;

    for (uint64_t waits = f->s->data_waits & ~f->no_ceiling & ~f->no_guarantee; waits != 0;
         waits &= waits - 1) {
        unsigned k = (unsigned)__builtin_ctzll(waits);
        unsigned key =
            f->shaper->classes[k].priority * EGRESS_CLASSES + (k - f->s->turn) % EGRESS_CLASSES;

        if (key >= best_key || !ceiling_allows(f, k) || !guarantee_allows(f, k))
            continue;
        best = (int)k;
        best_key = key;
    }
    return best;
}

/* Who is entitled changes when one of ours reaches its ceiling or has nothing left. */
static void share_ask(struct share *f)
{
    if (f->asked && f->asked_without == f->no_ceiling)
        return;
    f->entitled = scheduler_shaper_entitled(f->shaper, f->s->drawn, f->no_ceiling);
    f->asked_without = f->no_ceiling;
    f->asked = true;
}

/* The first by priority, and among equals who had least of the rest. */
static int first_entitled(struct share *f)
{
    unsigned best_priority = SCHEDULER_PRIORITIES;
    uint64_t best_time = 0;
    int best = -1;

    share_ask(f);
    for (uint64_t waits = f->s->data_waits & ~f->no_ceiling & f->entitled; waits != 0;
         waits &= waits - 1) {
        unsigned k = (unsigned)__builtin_ctzll(waits);
        const struct scheduler_shaper_class *c = &f->shaper->classes[k];
        uint64_t time = atomic_load_explicit(&c->virtual_time, memory_order_relaxed);

        if (c->priority > best_priority ||
            (c->priority == best_priority && !scheduler_virtual_before(time, best_time)) ||
            !ceiling_allows(f, k))
            continue;
        best = (int)k;
        best_priority = c->priority;
        best_time = time;
    }
    return best;
}

static int first_of_rest(struct share *f)
{
    int k;

    do {
        k = first_entitled(f);
    } while (k < 0 && f->asked_without != f->no_ceiling);
    return k >= 0 && rest_allows(f) ? k : -1;
}

static void share_data(struct share *f)
{
    while (f->count < SCHEDULER_BURST) {
        int k = first_guaranteed(f);
        bool guaranteed = k >= 0;

        if (guaranteed)
            f->s->turn = (unsigned)k + 1;
        else if (f->no_rest || (k = first_of_rest(f)) < 0)
            return;
        share_take(f, (unsigned)k, false, guaranteed);
    }
}

/* ---- the flush ---- */

static void share_count(struct share *f, uint32_t sent)
{
    for (uint32_t i = 0; i < sent; i++) {
        struct scheduler_queue *q = &f->s->queues[f->frame[i].egress_class];

        COUNTER_INC(q->counters.class_frames);
        COUNTER_ADD(q->counters.class_bytes, f->frame[i].bytes);
        q->held = false;
    }
    COUNTER_ADD(f->s->counters.scheduler_sent, sent);
    COUNTER_ADD(f->s->waiting, -sent);
}

/* Returns whether there may be another burst. */
static bool share_burst(struct share *f, clock_ns now)
{
    struct scheduler *s = f->s;
    uint32_t sent;

    f->count = 0;
    share_control(f);
    share_data(f);
    if (f->count == 0)
        return false;
    sent = s->send(s->send_ctx, f->burst, (uint16_t)f->count);
    share_count(f, sent);
    scheduler_stall(s, f->count, sent, now);
    share_put_back(f, sent);
    return sent == f->count;
}

/* When the class can go on, given that it could not now. */
static clock_ns class_time(const struct share *f, unsigned k, clock_ns now)
{
    const struct scheduler_shaper_class *c = &f->shaper->classes[k];
    bool control = (f->s->control_waits & BIT(k)) != 0;
    clock_ns at = now, guarantee = CLOCK_NEVER, rest;

    if (c->ceiling.rate > 0)
        at = scheduler_bucket_time(&c->ceiling, control ? -c->ceiling.overdraw : 0, now);
    if (c->guarantee.rate > 0)
        guarantee = scheduler_bucket_time(&c->guarantee, 0, now);
    rest = scheduler_shaper_rest_time(f->shaper, control ? -f->shaper->rest.overdraw : 0, now);
    if (!control && f->asked && (f->entitled & BIT(k)) == 0)
        rest = RTE_MAX(rest, now + SHARE_GATE);
    return RTE_MAX(at, RTE_MIN(guarantee, rest));
}

static clock_ns share_deadline(const struct share *f, clock_ns now)
{
    struct scheduler *s = f->s;
    clock_ns next = CLOCK_NEVER;

    if (s->waiting == 0)
        return CLOCK_NEVER;
    if (s->stalled_since != 0)
        return scheduler_stall_time(s, now);
    for (uint64_t waits = s->control_waits | s->data_waits; waits != 0; waits &= waits - 1) {
        unsigned k = (unsigned)__builtin_ctzll(waits);
        struct scheduler_queue *q = &s->queues[k];

        next = RTE_MIN(next, class_time(f, k, now));
        if (!q->held)
            COUNTER_INC(q->counters.class_held);
        q->held = true;
    }
    return next;
}

void scheduler_share_flush(struct scheduler *s, clock_ns now)
{
    struct share f;

    if (s->waiting == 0 || (!s->fresh && now < s->deadline))
        return;
    f.s = s;
    f.shaper = s->shaper;
    f.no_ceiling = f.no_guarantee = 0;
    f.no_rest = f.asked = false;
    s->fresh = false;
    scheduler_shaper_refill(s->shaper, now);
    for (uint64_t waits = s->data_waits; waits != 0; waits &= waits - 1)
        waits_update(&f, (unsigned)__builtin_ctzll(waits));
    while (share_burst(&f, now))
        ;
    share_settle(s);
    s->deadline = share_deadline(&f, now);
}
