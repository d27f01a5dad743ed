/*
 * The scoreboard: what the peer reports by SACK blocks (RFC 2018, RFC 2883) is marked in the
 * records of what was sent.
 *
 * Blocks come from outside and are believed only within [snd_una, snd_nxt), duplicates only within
 * the largest window below. They are taken in the order of sequence numbers, as the detection of
 * reordering needs it. What has been marked is one record for each run, so that a block that comes
 * again, with every acknowledgement for a round trip, costs one look.
 *
 * What an acknowledgement may cost is bounded: a record is marked once, and the search for where
 * its blocks begin ends after TCP_SENT_STEPS. A block that was not reached is like one that was
 * lost on the way; it counts when it comes again.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"

static bool inside(struct tcp_range inner, struct tcp_range outer)
{
    return seq_le(outer.left, inner.left) && seq_le(inner.right, outer.right);
}

/* RFC 2883, 4: the first block is below the acknowledgement, or part of the second. */
static bool is_duplicate(const struct packet_tcp *h, const struct tcp_range *blocks)
{
    if (seq_le(blocks[0].right, h->ack))
        return true;
    return h->sack_count > 1 && inside(blocks[0], blocks[1]);
}

/* Is it within [from, snd_max)? Counted from there: compared one with the other, numbers far enough
 * apart are in any order. */
static bool believable(const struct tcp_conn *c, uint32_t from, struct tcp_range b)
{
    uint32_t left = b.left - from, right = b.right - from;

    return left < right && right <= c->snd_max - from;
}

static void take_duplicate(struct tcp_conn *c, struct tcp_range b, struct tcp_delivery *d)
{
    if (!believable(c, c->snd_una - c->max_snd_wnd, b))
        return;
    tcp_count(c->sock.tcp, tcp_dsacks_received);
    d->dsacked = true;
    d->dsack_end = b.right;
    tcp_undo_duplicate(c, b.left, b.right);
}

/* With sack_segments: what of the block are whole segments of the record. */
static struct tcp_range whole_segments(const struct tcp_conn *c, const struct tcp_sent *s,
                                       struct tcp_range b)
{
    uint32_t segment = tcp_segment_size(c);

    if (!c->sock.tcp->config.sack_segments)
        return b;
    if (seq_lt(s->seq, b.left))
        b.left = s->seq + (b.left - s->seq + segment - 1) / segment * segment;
    if (seq_lt(b.right, s->end))
        b.right = s->seq + (b.right - s->seq) / segment * segment;
    return b;
}

/* Marks what of the record lies in the block. Returns the record that follows; NULL: none. */
static struct tcp_sent *mark(struct tcp_conn *c, const struct packet *p, struct tcp_sent *s,
                             struct tcp_range b, struct tcp_delivery *d)
{
    if (s->state == TCP_SENT_SACKED)
        return TAILQ_NEXT(s, link);
    b = whole_segments(c, s, b);
    if (seq_le(b.right, b.left) || seq_le(s->end, b.left))
        return TAILQ_NEXT(s, link);
    if (seq_lt(s->seq, b.left)) {
        bool cut = tcp_sent_cut(c, s, b.left);

        s = TAILQ_NEXT(s, link);
        if (!cut)
            return s;
    }
    if (seq_lt(b.right, s->end) && !tcp_sent_cut(c, s, b.right))
        return NULL;
    tcp_rack_delivered(c, p, s, s->end, d);
    d->sacked = true;
    return TAILQ_NEXT(tcp_sent_sack(c, s), link);
}

static void take_block(struct tcp_conn *c, const struct packet *p, struct tcp_range b,
                       uint32_t *steps, struct tcp_delivery *d)
{
    struct tcp_sent *s;

    if (!believable(c, c->snd_una, b))
        return;
    s = tcp_sent_at(c, b.left, steps);
    if (s == NULL)
        tcp_count(c->sock.tcp, tcp_sacks_put_off);
    while (s != NULL && seq_lt(s->seq, b.right))
        s = mark(c, p, s, b, d);
}

static void sort(struct tcp_range *blocks, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct tcp_range b = blocks[i];
        unsigned k = i;

        for (; k > 0 && seq_lt(b.left, blocks[k - 1].left); k--)
            blocks[k] = blocks[k - 1];
        blocks[k] = b;
    }
}

void tcp_sack_take(struct tcp_conn *c, const struct packet *p, struct tcp_delivery *d)
{
    const struct packet_tcp *h = &p->tcp;
    uint32_t steps = TCP_SENT_STEPS;
    struct tcp_range blocks[4];
    unsigned first = 0;

    if (!c->sack || h->sack_count == 0)
        return;
    for (unsigned i = 0; i < h->sack_count; i++)
        blocks[i] = (struct tcp_range){h->sack[i].left, h->sack[i].right};
    if (is_duplicate(h, blocks)) {
        take_duplicate(c, blocks[0], d);
        first = 1;
    }
    if (c->flight == NULL)
        return;
    sort(blocks + first, h->sack_count - first);
    for (unsigned i = first; i < h->sack_count; i++)
        take_block(c, p, blocks[i], &steps, d);
    tcp_count_n(c->sock.tcp, tcp_sack_steps, TCP_SENT_STEPS - steps);
}
