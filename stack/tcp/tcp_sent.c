#include "stack/tcp/tcp_sent.h"

#include <assert.h>

#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_seq.h"

static uint32_t length(const struct tcp_sent *s)
{
    return s->end - s->seq;
}

/* ---- lists and counts ---- */

/* By the time sent: nearly always the last. */
static void insert_in_flight(struct tcp_flight *f, struct tcp_sent *s)
{
    struct tcp_sent *before = TAILQ_LAST(&f->in_flight, tcp_sents);

    while (before != NULL && before->sent_at > s->sent_at)
        before = TAILQ_PREV(before, tcp_sents, queue);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&f->in_flight, before, s, queue);
    else
        TAILQ_INSERT_HEAD(&f->in_flight, s, queue);
}

/* By sequence number: losses are found in the order of sending, so nearly always the last. */
static void insert_lost(struct tcp_flight *f, struct tcp_sent *s)
{
    struct tcp_sent *before = TAILQ_LAST(&f->lost, tcp_sents);

    while (before != NULL && seq_lt(s->seq, before->seq))
        before = TAILQ_PREV(before, tcp_sents, queue);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&f->lost, before, s, queue);
    else
        TAILQ_INSERT_HEAD(&f->lost, s, queue);
}

static void count(struct tcp_flight *f, const struct tcp_sent *s, bool in)
{
    uint32_t bytes = in ? length(s) : -length(s);

    if (s->state == TCP_SENT_IN_FLIGHT) {
        f->in_flight_bytes += bytes;
    } else if (s->state == TCP_SENT_LOST) {
        f->lost_bytes += bytes;
    } else {
        f->sacked_bytes += bytes;
        f->sacked_segments += in ? s->segments : -s->segments;
    }
}

static void enter(struct tcp_flight *f, struct tcp_sent *s, enum tcp_sent_state state)
{
    s->state = (uint8_t)state;
    count(f, s, true);
    if (state == TCP_SENT_IN_FLIGHT)
        insert_in_flight(f, s);
    else if (state == TCP_SENT_LOST)
        insert_lost(f, s);
}

static void leave(struct tcp_flight *f, struct tcp_sent *s)
{
    count(f, s, false);
    if (s->state == TCP_SENT_IN_FLIGHT)
        TAILQ_REMOVE(&f->in_flight, s, queue);
    else if (s->state == TCP_SENT_LOST)
        TAILQ_REMOVE(&f->lost, s, queue);
}

/* ---- pools ---- */

static struct tcp_flight *flight_get(struct tcp_conn *c)
{
    struct tcp_flight *f = pool_get(&c->sock.tcp->flights);

    assert(f != NULL); /* there is one for each connection */
    TAILQ_INIT(&f->all);
    TAILQ_INIT(&f->in_flight);
    TAILQ_INIT(&f->lost);
    f->rack_fack = f->rack_end = c->snd_una;
    c->flight = f;
    return f;
}

/* More than what is kept for connections that have none? */
static bool plenty(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;

    return t->sents.capacity - t->sents.used > t->conns.capacity &&
           (c->flight == NULL || c->flight->count < TCP_SENT_MAX);
}

static bool newest_extensible(const struct tcp_conn *c)
{
    const struct tcp_sent *last = c->flight != NULL ? TAILQ_LAST(&c->flight->all, tcp_sents) : NULL;

    return last != NULL && last->state == TCP_SENT_IN_FLIGHT && !last->retransmitted;
}

bool tcp_sent_room(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;

    return plenty(c) || newest_extensible(c) || t->sents.used < t->sents.capacity;
}

static void hints_move(struct tcp_flight *f, const struct tcp_sent *from, struct tcp_sent *to)
{
    for (unsigned i = 0; i < TCP_SENT_HINTS; i++) {
        if (f->hint[i] == from)
            f->hint[i] = to;
    }
}

static void release(struct tcp_conn *c, struct tcp_sent *s)
{
    struct tcp_flight *f = c->flight;

    hints_move(f, s, NULL);
    TAILQ_REMOVE(&f->all, s, link);
    f->count--;
    pool_put(&c->sock.tcp->sents, s);
}

void tcp_sent_free(struct tcp_conn *c)
{
    struct tcp_sent *s;

    if (c->flight == NULL)
        return;
    while ((s = TAILQ_FIRST(&c->flight->all)) != NULL)
        release(c, s);
    pool_put(&c->sock.tcp->flights, c->flight);
    c->flight = NULL;
}

/* ---- the life of a record ---- */

static uint32_t segments_of(const struct tcp_conn *c, uint32_t bytes)
{
    uint32_t segment = tcp_segment_size(c);

    return (bytes + segment - 1) / segment;
}

/* Times are unique, so that the order of sending is that of times. */
static clock_ns send_time(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    clock_ns now = c->sock.tcp->now;

    f->last_sent_at = now > f->last_sent_at ? now : f->last_sent_at + 1;
    return f->last_sent_at;
}

void tcp_sent_new(struct tcp_conn *c, uint32_t seq, uint32_t end)
{
    struct tcp_flight *f = c->flight != NULL ? c->flight : flight_get(c);
    struct tcp_sent *s = NULL;

    if (plenty(c) || !newest_extensible(c))
        s = pool_get(&c->sock.tcp->sents);
    if (s != NULL) {
        s->seq = seq;
        TAILQ_INSERT_TAIL(&f->all, s, link);
        f->count++;
    } else {
        tcp_count(c->sock.tcp, tcp_sents_short);
        s = TAILQ_LAST(&f->all, tcp_sents);
        leave(f, s);
    }
    s->end = end;
    s->segments += segments_of(c, end - seq);
    s->sent_at = send_time(c);
    enter(f, s, TCP_SENT_IN_FLIGHT);
}

void tcp_sent_again(struct tcp_conn *c, struct tcp_sent *s)
{
    leave(c->flight, s);
    s->sent_at = send_time(c);
    s->retransmitted = true;
    enter(c->flight, s, TCP_SENT_IN_FLIGHT);
}

bool tcp_sent_cut(struct tcp_conn *c, struct tcp_sent *s, uint32_t seq)
{
    struct tcp_flight *f = c->flight;
    struct tcp_sent *second = plenty(c) ? pool_get(&c->sock.tcp->sents) : NULL;

    assert(seq_lt(s->seq, seq) && seq_lt(seq, s->end));
    if (second == NULL) {
        tcp_count(c->sock.tcp, tcp_sents_short);
        return false;
    }
    count(f, s, false);
    *second = *s;
    second->seq = s->end = seq;
    s->segments = RTE_MIN(s->segments, segments_of(c, length(s)));
    second->segments = s->segments < second->segments ? second->segments - s->segments : 1;
    count(f, s, true);
    count(f, second, true);
    TAILQ_INSERT_AFTER(&f->all, s, second, link);
    if (s->state == TCP_SENT_IN_FLIGHT)
        TAILQ_INSERT_AFTER(&f->in_flight, s, second, queue);
    else if (s->state == TCP_SENT_LOST)
        TAILQ_INSERT_AFTER(&f->lost, s, second, queue);
    f->count++;
    return true;
}

void tcp_sent_lose(struct tcp_conn *c, struct tcp_sent *s)
{
    leave(c->flight, s);
    c->lost += s->segments;
    enter(c->flight, s, TCP_SENT_LOST);
}

/* Both lists are made anew in one pass, so that it takes no longer the more was retransmitted. */
void tcp_sent_lose_old(struct tcp_conn *c, clock_ns until, bool reneged)
{
    struct tcp_flight *f = c->flight;
    struct tcp_sent *s;

    TAILQ_INIT(&f->lost);
    TAILQ_FOREACH (s, &f->all, link) {
        bool first = s == TAILQ_FIRST(&f->all);

        if (s->state == TCP_SENT_IN_FLIGHT && (first || s->sent_at <= until)) {
            TAILQ_REMOVE(&f->in_flight, s, queue);
            c->lost += s->segments;
        } else if (s->state == TCP_SENT_IN_FLIGHT || (s->state == TCP_SENT_SACKED && !reneged)) {
            continue;
        }
        count(f, s, false);
        s->state = TCP_SENT_LOST;
        count(f, s, true);
        TAILQ_INSERT_TAIL(&f->lost, s, queue);
    }
}

/* The oldest by far: looked at from the last on, each goes in front. */
void tcp_sent_lost_none(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    struct tcp_sent *s, *behind;

    while ((s = TAILQ_LAST(&f->lost, tcp_sents)) != NULL) {
        leave(f, s);
        s->state = TCP_SENT_IN_FLIGHT;
        count(f, s, true);
        behind = TAILQ_FIRST(&f->in_flight);
        while (behind != NULL && behind->sent_at < s->sent_at)
            behind = TAILQ_NEXT(behind, queue);
        if (behind != NULL)
            TAILQ_INSERT_BEFORE(behind, s, queue);
        else
            TAILQ_INSERT_TAIL(&f->in_flight, s, queue);
    }
}

/* `a` takes in its neighbour behind. */
static void join(struct tcp_conn *c, struct tcp_sent *a, struct tcp_sent *b)
{
    a->end = b->end;
    a->segments += b->segments;
    hints_move(c->flight, b, a);
    release(c, b);
}

void tcp_sent_gather(struct tcp_conn *c, struct tcp_sent *s, uint32_t bytes)
{
    struct tcp_sent *next = TAILQ_NEXT(s, link);

    while (length(s) < bytes && next != NULL && next->state == TCP_SENT_LOST) {
        TAILQ_REMOVE(&c->flight->lost, next, queue);
        s->retransmitted |= next->retransmitted;
        join(c, s, next);
        next = TAILQ_NEXT(s, link);
    }
}

struct tcp_sent *tcp_sent_sack(struct tcp_conn *c, struct tcp_sent *s)
{
    struct tcp_sent *before = TAILQ_PREV(s, tcp_sents, link), *next = TAILQ_NEXT(s, link);

    leave(c->flight, s);
    enter(c->flight, s, TCP_SENT_SACKED);
    if (before != NULL && before->state == TCP_SENT_SACKED) {
        join(c, before, s);
        s = before;
    }
    if (next != NULL && next->state == TCP_SENT_SACKED)
        join(c, s, next);
    return s;
}

void tcp_sent_release(struct tcp_conn *c, uint32_t end)
{
    struct tcp_flight *f = c->flight;
    struct tcp_sent *s = TAILQ_FIRST(&f->all);
    uint32_t segments;

    if (end == s->end) {
        leave(f, s);
        release(c, s);
        return;
    }
    count(f, s, false);
    segments = segments_of(c, end - s->seq);
    s->seq = end;
    s->segments = segments < s->segments ? s->segments - segments : 1;
    count(f, s, true);
}

/* ---- searches ---- */

static bool holds(const struct tcp_sent *s, uint32_t seq)
{
    return seq_le(s->seq, seq) && seq_lt(seq, s->end);
}

/* Bytes between: a run that has become one record is as near at its end as at its start. */
static uint32_t distance(const struct tcp_sent *s, uint32_t seq)
{
    if (seq_lt(seq, s->seq))
        return s->seq - seq;
    return seq_lt(seq, s->end) ? 0 : seq - s->end + 1;
}

/* The hint to search from, which goes along: the nearest, or one made at the nearer end, in place
 * of that which was made the longest time ago. */
static struct tcp_sent **hint_for(struct tcp_flight *f, uint32_t seq)
{
    struct tcp_sent *end = TAILQ_FIRST(&f->all), *last = TAILQ_LAST(&f->all, tcp_sents);
    struct tcp_sent **hint = NULL;

    if (distance(last, seq) < distance(end, seq))
        end = last;
    for (unsigned i = 0; i < TCP_SENT_HINTS; i++) {
        struct tcp_sent **h = &f->hint[i];

        if (*h != NULL && (hint == NULL || distance(*h, seq) < distance(*hint, seq)))
            hint = h;
    }
    if (hint == NULL || distance(end, seq) < distance(*hint, seq)) {
        hint = &f->hint[f->hint_oldest++ % TCP_SENT_HINTS];
        *hint = end;
    }
    return hint;
}

/* Each step leads nearer, so that what takes several searches comes to its end. */
struct tcp_sent *tcp_sent_at(struct tcp_conn *c, uint32_t seq, uint32_t *steps)
{
    struct tcp_sent **hint = hint_for(c->flight, seq), *s = *hint;

    for (; *steps > 0 && !holds(s, seq); (*steps)--)
        s = seq_lt(seq, s->seq) ? TAILQ_PREV(s, tcp_sents, link) : TAILQ_NEXT(s, link);
    *hint = s;
    return holds(s, seq) ? s : NULL;
}
