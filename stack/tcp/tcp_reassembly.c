/*
 * Reassembly. In-order payload goes to the receive queue as it came, mbufs and all. What lies
 * ahead of a gap waits in a list of runs, sorted, disjoint and merged where they touch, so that
 * its length is the number of gaps. Each byte is kept once; of copies that differ, which the RFC
 * leaves open, either may be the one.
 *
 * What waits is reported by SACK blocks, what came twice by a block of its own (DSACK): the sender
 * learns that it sent too much. Runs are also on a list by when they were extended last, from which
 * the blocks are taken: so each change is reported as soon and as often as RFC 2018, 4 asks.
 *
 * What is refused here the sender has to send again, so there may be as many gaps as an overshoot
 * of slow start tears open: every other segment or two of a window is lost then. Segments come next
 * to the last one, to the first gap or behind everything, and are looked for from whichever is
 * nearest; who makes gaps to be searched has a walk over half of them at most.
 */
#include "stack/tcp/tcp_reassembly.h"

#include <assert.h>
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_seq.h"

/* Takes the packet's payload from `skip` on, `len` bytes of it, as a chain. */
static struct chain take_payload(struct packet *p, uint32_t skip, uint32_t len)
{
    struct chain payload = {0};
    struct rte_mbuf *m = p->m;

    p->m = NULL;
    if (m->nb_segs == 1) {
        m->data_off = (uint16_t)(m->data_off + p->payload_offset + skip);
        m->data_len = (uint16_t)len;
        m->pkt_len = len;
        chain_append_packet(&payload, m);
    } else {
        chain_append_packet(&payload, m);
        chain_drop(&payload, p->payload_offset + skip);
        chain_truncate(&payload, len);
    }
    return payload;
}

/* Appends to a queue, copying a single small segment into the tail's room. */
static void append(struct chain *to, struct chain *from)
{
    struct rte_mbuf *m = from->head;

    if (from->segs == 1) {
        memset(from, 0, sizeof *from);
        chain_append_packet(to, m);
    } else {
        chain_append_chain(to, from);
    }
}

static uint32_t run_end(const struct tcp_run *r)
{
    return r->seq + r->chain.len;
}

/* ---- the list; the first run's `prev` is the last one ---- */

/* The first if `r` is NULL. */
static struct tcp_run *run_next(const struct tcp_conn *c, const struct tcp_run *r)
{
    return r != NULL ? r->next : c->runs;
}

static void run_link(struct tcp_conn *c, struct tcp_run *before, struct tcp_run *r)
{
    struct tcp_run *next = run_next(c, before), *last = c->runs != NULL ? c->runs->prev : r;

    r->next = next;
    r->prev = before != NULL ? before : last;
    if (before != NULL)
        before->next = r;
    else
        c->runs = r;
    assert(c->runs != NULL);
    if (next != NULL)
        next->prev = r;
    else
        c->runs->prev = r;
    LIST_INSERT_HEAD(&c->recent_runs, r, recent);
    c->run_count++;
}

static void run_unlink(struct tcp_conn *c, struct tcp_run *r)
{
    struct tcp_run *next = r->next;

    if (next != NULL)
        next->prev = r->prev;
    else
        c->runs->prev = r->prev;
    if (r == c->runs)
        c->runs = next;
    else
        r->prev->next = next;
    LIST_REMOVE(r, recent);
    c->run_count--;
}

static void run_remove(struct tcp_conn *c, struct tcp_run *r)
{
    run_unlink(c, r);
    c->run_segs -= r->chain.segs;
    c->run_bytes -= r->chain.len;
    chain_free(&r->chain);
    pool_put(&c->sock.tcp->runs, r);
}

/* For another gap: half of what all connections have left of them, and no more than a bound. */
static bool run_room(const struct tcp_conn *c)
{
    const struct pool *runs = &c->sock.tcp->runs;

    return c->run_count < TCP_OUT_OF_ORDER_MAX &&
           (c->run_count < TCP_SHARE_MIN || c->run_count < (runs->capacity - runs->used) / 2);
}

static void run_touch(struct tcp_conn *c, struct tcp_run *r)
{
    LIST_REMOVE(r, recent);
    LIST_INSERT_HEAD(&c->recent_runs, r, recent);
}

unsigned tcp_reassembly_sack(const struct tcp_conn *c, struct tcp_range *out, unsigned max)
{
    const struct tcp_run *r;
    unsigned n = 0;

    if (n < max && tcp_reassembly_repeated(c))
        out[n++] = c->duplicate;
    LIST_FOREACH (r, &c->recent_runs, recent) {
        if (n == max)
            break;
        out[n++] = (struct tcp_range){r->seq, run_end(r)};
    }
    return n;
}

/* Each duplicate is reported once (RFC 2883, 4): that of a segment must not take the place of one
 * that still waits for its acknowledgement, unless they join. */
static void report_duplicate(struct tcp_conn *c, uint32_t seq)
{
    bool repeats = seq_lt(seq, c->rcv_nxt) || c->runs != NULL;

    if (repeats && tcp_reassembly_repeated(c) && seq != c->duplicate.right)
        tcp_output_ack(c);
}

/* Of what a segment repeats, the first is reported. */
static void note_duplicate(struct tcp_conn *c, uint32_t left, uint32_t right)
{
    if (!c->sack || !seq_lt(left, right))
        return;
    if (!tcp_reassembly_repeated(c))
        c->duplicate = (struct tcp_range){left, right};
    else if (left == c->duplicate.right)
        c->duplicate.right = right;
}

void tcp_reassembly_old(struct tcp_conn *c, const struct packet *p)
{
    uint32_t end = p->tcp.seq + p->payload_length;

    if (seq_le(end, c->rcv_nxt) && p->payload_length > 0) {
        report_duplicate(c, p->tcp.seq);
        note_duplicate(c, p->tcp.seq, end);
    }
}

void tcp_reassembly_free(struct tcp_conn *c)
{
    while (c->runs != NULL)
        run_remove(c, c->runs);
}

static void deliver(struct tcp_conn *c, struct chain *payload)
{
    uint32_t len = payload->len;

    append(&c->receive_queue, payload);
    c->rcv_nxt += len;
    c->bytes_received += len;
    tcp_count_n(c->sock.tcp, tcp_bytes_received, len);
    tcp_event_raise(&c->sock, EVENT_READABLE);
}

/* Moves the runs that the receive queue has reached. */
static void deliver_runs(struct tcp_conn *c)
{
    while (c->runs != NULL && seq_le(c->runs->seq, c->rcv_nxt)) {
        struct tcp_run *r = c->runs;
        uint32_t old = c->rcv_nxt - r->seq;

        c->run_segs -= r->chain.segs;
        c->run_bytes -= r->chain.len;
        note_duplicate(c, r->seq, r->seq + RTE_MIN(old, r->chain.len));
        chain_drop(&r->chain, old);
        if (r->chain.len > 0)
            deliver(c, &r->chain);
        c->run_segs += r->chain.segs; /* empty by now: run_remove() counts it */
        c->run_bytes += r->chain.len;
        run_remove(c, c->runs);
    }
}

/* Appends to the run in front when the new bytes touch it, else makes a run of their own. */
static bool run_insert(struct tcp_conn *c, struct tcp_run *before, uint32_t seq,
                       struct chain *payload)
{
    struct tcp_run *r = before;
    uint32_t segs;

    if (r == NULL || run_end(r) != seq) {
        r = run_room(c) ? pool_get(&c->sock.tcp->runs) : NULL;
        if (r == NULL)
            return false;
        r->seq = seq;
        run_link(c, before, r);
    }
    segs = r->chain.segs;
    c->run_bytes += payload->len;
    append(&r->chain, payload);
    c->run_segs += r->chain.segs - segs;
    return true;
}

/* Joins a run with the one behind it when they touch. */
static void run_merge(struct tcp_conn *c, struct tcp_run *r)
{
    struct tcp_run *next = r->next;

    if (next == NULL || run_end(r) != next->seq)
        return;
    c->run_segs -= r->chain.segs + next->chain.segs;
    append(&r->chain, &next->chain);
    c->run_segs += r->chain.segs;
    run_unlink(c, next);
    pool_put(&c->sock.tcp->runs, next);
}

static uint32_t distance(const struct tcp_run *r, uint32_t seq)
{
    return seq_lt(seq, r->seq) ? r->seq - seq : seq - r->seq;
}

/* The run that begins at or before `seq`, the last such; NULL: there is none. */
static struct tcp_run *run_before(const struct tcp_conn *c, uint32_t seq)
{
    struct tcp_run *first = c->runs, *near = LIST_FIRST(&c->recent_runs);

    if (first == NULL || seq_lt(seq, first->seq))
        return NULL;
    if (distance(first, seq) < distance(near, seq))
        near = first;
    if (distance(first->prev, seq) < distance(near, seq))
        near = first->prev;
    while (seq_lt(seq, near->seq))
        near = near->prev;
    while (near->next != NULL && seq_le(near->next->seq, seq))
        near = near->next;
    return near;
}

/* Queues [seq, end) ahead of a gap. */
static void add_ahead(struct tcp_conn *c, struct packet *p, uint32_t skip, uint32_t seq,
                      uint32_t end)
{
    struct tcp_run *before = run_before(c, seq), *next = run_next(c, before);
    struct chain payload;

    if (before != NULL && seq_lt(seq, run_end(before))) {
        uint32_t known = run_end(before) - seq < end - seq ? run_end(before) - seq : end - seq;

        note_duplicate(c, seq, seq + known);
        run_touch(c, before);
        skip += known;
        seq += known;
    }
    /* Runs that the new bytes cover whole give way; one that they reach into cuts their end. */
    while (next != NULL && seq_lt(seq, end) && seq_le(run_end(next), end)) {
        note_duplicate(c, next->seq, run_end(next));
        run_remove(c, next);
        next = run_next(c, before);
    }
    if (next != NULL && seq_lt(next->seq, end)) {
        note_duplicate(c, next->seq, end);
        end = next->seq;
    }
    if (!seq_lt(seq, end)) {
        tcp_count(c->sock.tcp, tcp_duplicate_segments);
        return;
    }
    payload = take_payload(p, skip, end - seq);
    if (!run_insert(c, before, seq, &payload)) {
        chain_free(&payload);
        tcp_count(c->sock.tcp, tcp_out_of_order_dropped);
        return;
    }
    if (before != NULL && run_end(before) == end) {
        run_touch(c, before);
        run_merge(c, before);
    } else {
        run_merge(c, run_next(c, before));
    }
}

void tcp_reassembly_hold(struct tcp_conn *c, struct packet *p)
{
    uint32_t seq = p->tcp.seq, end = seq + p->payload_length;

    if (seq_lt(c->rcv_adv, end))
        end = c->rcv_adv;
    if (seq_lt(seq, end) && tcp_memory_room(c, false))
        add_ahead(c, p, 0, seq, end);
    tcp_conn_account(c);
}

void tcp_reassembly_release(struct tcp_conn *c)
{
    if (c->runs == NULL)
        return;
    deliver_runs(c);
    tcp_conn_account(c);
    c->ack_now = true;
}

/* RFC 5681, 4.2: a duplicate for each segment ahead of a gap, for the peer counts them. That of an
 * earlier segment of the same burst may still be waiting. */
static void acknowledge_gap(struct tcp_conn *c)
{
    if (c->ack_now)
        tcp_output_ack(c);
    c->ack_now = true;
}

void tcp_reassembly_add(struct tcp_conn *c, struct packet *p)
{
    struct tcp *t = c->sock.tcp;
    uint32_t seq = p->tcp.seq, end = seq + p->payload_length, skip = 0;
    bool in_order;

    report_duplicate(c, seq);
    if (seq_lt(seq, c->rcv_nxt)) {
        note_duplicate(c, seq, seq_lt(end, c->rcv_nxt) ? end : c->rcv_nxt);
        skip = c->rcv_nxt - seq;
        seq = c->rcv_nxt;
    }
    if (seq_lt(c->rcv_adv, end))
        end = c->rcv_adv;
    if (c->fin_ahead && seq_lt(c->fin_seq, end))
        end = c->fin_seq;
    if (!seq_lt(seq, end)) {
        tcp_count(t, tcp_duplicate_segments);
        c->ack_now = true;
        return;
    }
    in_order = seq == c->rcv_nxt;
    if (!in_order)
        acknowledge_gap(c);
    if (!tcp_memory_room(c, in_order)) {
        p->drop = drop_tcp_no_memory;
        c->ack_now = true;
        return;
    }
    if (in_order) {
        struct chain payload = take_payload(p, skip, end - seq);

        /* RFC 5681, 4.2: a segment that fills a gap is acknowledged at once. */
        if (c->runs != NULL || skip != 0)
            c->ack_now = true;
        deliver(c, &payload);
        deliver_runs(c);
        /* A FIN in front of bytes that came before it was false: forget it. */
        if (c->fin_ahead && seq_lt(c->fin_seq, c->rcv_nxt))
            c->fin_ahead = false;
    } else {
        tcp_count(t, tcp_out_of_order);
        add_ahead(c, p, skip, seq, end);
    }
    tcp_conn_account(c);
}
