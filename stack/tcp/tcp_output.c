/*
 * Sending. Two questions, kept apart: what may be sent now (windows, silly-window avoidance, Nagle;
 * RFC 9293, 3.8.6.2.1 and 3.7.4) and how a segment is built.
 *
 * Payload stays in the send queue until it is acknowledged. A device with multi-segment transmit
 * gets a header mbuf followed by references to the queue's mbufs; any other gets one linear copy.
 * With segmentation offload one frame carries many segments' worth.
 *
 * After a retransmission timeout snd_nxt goes back to snd_una: the first segment goes out again
 * whatever the windows say (it is also the probe of a window that was closed over it), and the rest
 * follows as they allow. The fast retransmit sends the first unacknowledged segment alone.
 */
#include <string.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "stack/tcp/tcp_internal.h"

#define TCP_REFERENCES_MAX 40 /* mbufs of payload in one frame; devices take at least this many */
#define TCP_TSO_MAX        61440u /* payload of one frame that the device segments */

/* ---- the place of a byte in the send queue ---- */

static void cursor_step(struct tcp_cursor *at)
{
    while (at->m->next != NULL && at->offset == (uint32_t)at->m->data_off + at->m->data_len) {
        at->m = at->m->next;
        at->offset = at->m->data_off;
    }
}

static struct tcp_cursor cursor_at(const struct tcp_conn *c, uint32_t seq)
{
    struct tcp_cursor at = c->cursor;
    uint32_t skip;

    if (at.m != NULL && at.seq == seq) {
        cursor_step(&at);
        return at;
    }
    at.m = c->send_queue.head;
    at.seq = seq;
    skip = seq - c->send_queue_seq;
    while (skip >= at.m->data_len && at.m->next != NULL) {
        skip -= at.m->data_len;
        at.m = at.m->next;
    }
    at.offset = at.m->data_off + skip;
    return at;
}

/* Bytes from the cursor to the end of its mbuf, at most `len`. */
static uint32_t cursor_piece(const struct tcp_cursor *at, uint32_t len)
{
    uint32_t left = (uint32_t)at->m->data_off + at->m->data_len - at->offset;

    return left < len ? left : len;
}

static void cursor_advance(struct tcp_cursor *at, uint32_t n)
{
    at->offset += n;
    at->seq += n;
    cursor_step(at);
}

/* ---- building a segment ---- */

static bool payload_copy(struct rte_mbuf *m, struct tcp_cursor *at, uint32_t len)
{
    uint8_t *out = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);

    if (out == NULL)
        return false;
    while (len > 0) {
        uint32_t n = cursor_piece(at, len);

        rte_memcpy(out, (uint8_t *)at->m->buf_addr + at->offset, n);
        cursor_advance(at, n);
        out += n;
        len -= n;
    }
    return true;
}

static bool payload_reference(const struct tcp_conn *c, struct rte_mbuf *m, struct tcp_cursor *at,
                              uint32_t len)
{
    struct rte_mbuf *last = m;

    while (len > 0) {
        uint32_t n = cursor_piece(at, len);
        struct rte_mbuf *ref = rte_pktmbuf_alloc(c->path.tx_pool);

        if (ref == NULL)
            return false;
        rte_pktmbuf_attach(ref, at->m);
        ref->data_off = (uint16_t)at->offset;
        ref->data_len = (uint16_t)n;
        ref->next = NULL;
        last->next = ref;
        last = ref;
        m->nb_segs++;
        m->pkt_len += n;
        cursor_advance(at, n);
        len -= n;
    }
    return true;
}

/* How many bytes from the cursor a frame of references may carry. */
static uint32_t reference_limit(struct tcp_cursor at, uint32_t len)
{
    uint32_t total = 0;

    for (unsigned refs = 0; refs < TCP_REFERENCES_MAX && total < len; refs++) {
        uint32_t n = cursor_piece(&at, len - total);

        total += n;
        cursor_advance(&at, n);
    }
    return total;
}

static void fill_header(struct tcp_conn *c, struct wire_tcp *h, uint32_t seq, uint8_t flags)
{
    *h = (struct wire_tcp){
        .sport = c->local.port, .dport = c->remote.port, .seq = seq, .flags = flags};
    if ((flags & TCP_ACK) != 0)
        h->ack = c->rcv_nxt;
    if ((flags & TCP_SYN) != 0) {
        bool answer = (flags & TCP_ACK) != 0;

        h->has_mss = true;
        h->mss = (uint16_t)(net_path_payload(&c->path) - WIRE_TCP_LEN);
        h->has_wscale = !answer || c->scaling;
        h->wscale = c->sock.tcp->config.window_scale;
        h->has_timestamp = !answer || c->timestamps;
        h->window = c->syn_window;
    } else {
        h->has_timestamp = c->timestamps;
        h->window = (uint16_t)tcp_window_offer(c);
    }
    if (h->has_timestamp) {
        h->ts_value = tcp_ts_now(c);
        h->ts_echo = (flags & TCP_ACK) != 0 ? c->ts_recent : 0;
    }
}

/* Ahead of data goes what carries none; but a FIN must not overtake the data before it. */
static enum egress_band band_of(const struct tcp_conn *c, uint32_t payload, uint8_t flags)
{
    if (payload > 0 || ((flags & TCP_FIN) != 0 && c->snd_una != c->snd_nxt))
        return EGRESS_DATA;
    return EGRESS_CONTROL;
}

/* Checksum, offload marks, and off it goes. */
static void transmit(struct tcp_conn *c, struct rte_mbuf *m, size_t header, uint32_t payload,
                     uint8_t flags)
{
    struct tcp *t = c->sock.tcp;
    bool tso = payload > tcp_segment_size(c);
    bool offload = (c->path.offloads & (STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT)) != 0;

    if (offload) {
        m->l4_len = (uint8_t)header;
        m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    }
    if (tso) {
        m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
        m->tso_segsz = (uint16_t)tcp_segment_size(c);
    }
    wire_tcp_checksum(m, &c->local.addr, &c->remote.addr, offload, tso);
    tcp_count(t, tcp_segments_sent);
    net_send(t->net, &c->path, &c->local.addr, &c->remote.addr, WIRE_IP_PROTO_TCP,
             band_of(c, payload, flags), m, t->now);
}

/* What every segment with an ACK settles. */
static void acknowledged(struct tcp_conn *c)
{
    c->last_ack_sent = c->rcv_nxt;
    c->ack_now = false;
    c->unacked_segments = 0;
    tcp_timer_stop(c, TCP_TIMER_DELAYED_ACK);
}

/*
 * Builds and sends one frame with `len` payload bytes from `seq` on. Returns false when no mbuf
 * could be had; nothing has changed then.
 */
static bool emit(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(c->path.tx_pool);
    bool references = (c->path.offloads & STACK_TX_MULTI_SEGMENT) != 0;
    uint8_t header[WIRE_TCP_MAX];
    struct tcp_cursor at = {0};
    struct wire_tcp h;
    size_t header_len;
    uint8_t *room;

    if (m == NULL)
        goto no_mbuf;
    if (len > 0) {
        at = cursor_at(c, seq);
        references = references && reference_limit(at, len) == len;
    }
    fill_header(c, &h, seq, flags);
    header_len = wire_tcp_emit(&h, header);
    room = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)header_len);
    if (room == NULL)
        goto no_mbuf;
    memcpy(room, header, header_len);
    if (len > 0) {
        if (!(references ? payload_reference(c, m, &at, len) : payload_copy(m, &at, len)))
            goto no_mbuf;
        c->cursor = at;
    }
    if ((flags & TCP_ACK) != 0)
        acknowledged(c);
    transmit(c, m, header_len, len, flags);
    return true;
no_mbuf:
    tcp_count(c->sock.tcp, tx_no_mbuf);
    rte_pktmbuf_free(m);
    return false;
}

/* ---- what may be sent ---- */

/* A whole number of segments that one frame may carry. */
static uint32_t frame_payload(const struct tcp_conn *c, uint32_t len)
{
    const uint32_t wanted = STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT;
    uint32_t segment = tcp_segment_size(c);

    if (len <= segment)
        return len;
    if ((c->path.offloads & wanted) != wanted)
        return segment;
    len = RTE_MIN(len, RTE_MIN(tcp_turn_frame_max(c), TCP_TSO_MAX));
    if (len <= segment)
        return segment;
    len = reference_limit(cursor_at(c, c->snd_nxt), len);
    return len > segment ? len - len % segment : segment;
}

/* The congestion window, with RFC 3042's two segments for the first duplicates. */
static uint32_t congestion_window(const struct tcp_conn *c)
{
    uint32_t limited = c->in_recovery || c->dupacks >= TCP_DUPACK_THRESHOLD ? 0 : c->dupacks;

    return c->cwnd + limited * tcp_segment_size(c);
}

struct sendable {
    uint32_t len;
    bool fin;
};

/*
 * What may go out at snd_nxt. `force`: the persist timer has run out, so that a window too small
 * to be worthwhile is used all the same.
 */
static struct sendable sendable(const struct tcp_conn *c, bool force)
{
    uint32_t end = tcp_send_end(c), sent = c->snd_nxt - c->snd_una, cwnd = congestion_window(c);
    uint32_t window = c->snd_wnd < cwnd ? c->snd_wnd : cwnd;
    uint32_t room = window > sent ? window - sent : 0;
    uint32_t segment = tcp_segment_size(c), unsent, len;
    bool again = seq_lt(c->snd_nxt, c->snd_max); /* sent before: the peer had room for it once */
    struct sendable s = {0};

    if (seq_lt(end, c->snd_nxt)) /* the FIN has been sent */
        return s;
    unsent = end - c->snd_nxt;
    len = unsent < room ? unsent : room;
    if (len >= segment) {
        s.len = frame_payload(c, len);
    } else if (len < unsent) {
        /* Cut by a window. By the peer's: worth sending when it is half of its largest. */
        if (force || again || (c->snd_wnd <= cwnd && len >= c->max_snd_wnd / 2))
            s.len = len;
        return s;
    } else if (len > 0) {
        if (c->nagle && !force && !again && !c->fin_queued && c->snd_nxt != c->snd_una)
            return s;
        s.len = len;
    }
    s.fin = c->fin_queued && s.len == unsent && c->snd_wnd > sent + s.len;
    return s;
}

static void note_sent(struct tcp_conn *c, uint32_t seq, uint32_t len, bool fin)
{
    struct tcp *t = c->sock.tcp;
    uint32_t end = seq + len + fin;

    if (seq_lt(seq, c->snd_max)) {
        tcp_count(t, tcp_retransmissions);
        c->retransmissions++;
        c->timing = false; /* Karn */
    } else if (!c->timing) {
        c->timing = true;
        c->timed_seq = end;
        c->timed_at = t->now;
    }
    if (c->snd_una == c->snd_max)
        c->progress_at = t->now; /* the peer owes us an answer from now on */
    if (seq_lt(c->snd_max, end)) {
        uint32_t fresh = end - seq_max(c->snd_max, seq);

        tcp_count_n(t, tcp_bytes_sent, fresh - fin);
        c->snd_max = end;
    }
    c->sent_at = t->now;
    if (!tcp_timer_running(c, TCP_TIMER_RETRANSMIT))
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
    if (tcp_timer_running(c, TCP_TIMER_PERSIST)) { /* the window has opened */
        tcp_timer_stop(c, TCP_TIMER_PERSIST);
        c->retries = 0;
    }
}

static uint8_t data_flags(const struct tcp_conn *c, uint32_t seq, uint32_t len, bool fin)
{
    uint8_t flags = TCP_ACK;

    if (fin)
        flags |= TCP_FIN;
    if (len > 0 && seq + len == tcp_send_end(c))
        flags |= TCP_PSH;
    return flags;
}

static bool send_one(struct tcp_conn *c, struct sendable s)
{
    uint32_t seq = c->snd_nxt;

    if (!emit(c, seq, s.len, data_flags(c, seq, s.len, s.fin)))
        return false;
    c->snd_nxt = seq + s.len + s.fin;
    note_sent(c, seq, s.len, s.fin);
    return true;
}

/* The first unacknowledged segment again (RFC 5681, 3.2; RFC 6582, 3.2). */
static bool resend_head(struct tcp_conn *c)
{
    bool fin = seq_lt(tcp_send_end(c), c->snd_max); /* it has been sent, too */
    uint32_t left = c->snd_max - c->snd_una - fin, segment = tcp_segment_size(c);
    uint32_t len = left < segment ? left : segment;

    if (c->snd_una == c->snd_max) {
        c->resend_head = false;
        return true;
    }
    fin = fin && len == left;
    if (!emit(c, c->snd_una, len, data_flags(c, c->snd_una, len, fin)))
        return false;
    note_sent(c, c->snd_una, len, fin);
    c->snd_nxt = seq_max(c->snd_nxt, c->snd_una + len + fin); /* after a timeout it went back */
    c->resend_head = false;
    return true;
}

/* Something waits and nothing is in flight that could bring a window update: probe for one. From
 * now on the peer owes us an answer. */
static void persist_begin(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    bool waiting =
        seq_lt(c->snd_nxt, tcp_send_end(c)) || (c->fin_queued && c->snd_nxt == tcp_send_end(c));

    if (!waiting || c->snd_una != c->snd_max || tcp_timer_running(c, TCP_TIMER_PERSIST))
        return;
    c->retries = 0;
    c->progress_at = t->now;
    tcp_timer_set(c, TCP_TIMER_PERSIST, t->now + tcp_rtt_persist(c));
}

/* Something that was never sent, or must be sent again? */
static bool has_unsent(const struct tcp_conn *c)
{
    uint32_t end = tcp_send_end(c);

    if (!tcp_synchronized(c) || c->state == TCP_FIN_WAIT_2 || c->state == TCP_TIME_WAIT)
        return false;
    return c->resend_head || seq_lt(c->snd_nxt, end) || (c->fin_queued && c->snd_nxt == end);
}

enum tcp_data tcp_output_data(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    if (!has_unsent(c))
        return TCP_DATA_DONE;
    if (c->snd_una == c->snd_max && t->now - c->sent_at > c->rto)
        tcp_cc_idle(c);
    for (;;) {
        bool again = c->resend_head;
        struct sendable s = {.len = tcp_segment_size(c)};

        if (!again)
            s = sendable(c, false);
        if (s.len == 0 && !s.fin)
            break;
        if (!tcp_turn_room(c))
            return TCP_DATA_BLOCKED;
        if (c->credit <= 0)
            return TCP_DATA_SPENT;
        if (!(again ? resend_head(c) : send_one(c, s)))
            return TCP_DATA_NO_MBUF;
        tcp_turn_charge(c, s.len);
    }
    persist_begin(c);
    return TCP_DATA_DONE;
}

static void send_syn(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    bool answer = c->state == TCP_SYN_RECEIVED;

    if (!emit(c, c->iss, 0, answer ? TCP_SYN | TCP_ACK : TCP_SYN))
        return; /* the timer tries again */
    c->send_syn = false;
    if (c->snd_max != c->iss) {
        tcp_count(t, tcp_retransmissions);
        c->retransmissions++;
    }
    c->timing = c->snd_max == c->iss; /* Karn */
    c->timed_at = t->now;
    c->timed_seq = c->iss + 1;
    c->snd_nxt = c->snd_max = c->iss + 1;
    if (!tcp_timer_running(c, TCP_TIMER_RETRANSMIT))
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
}

/*
 * The sequence number for a segment without payload: behind all that was sent, but inside the
 * peer's window. Outside it would be unacceptable, and the acknowledgement that it carries lost
 * with it: below, when the peer had what we send again after a timeout; above, when it closed its
 * window over what is in flight.
 */
static uint32_t bare_seq(const struct tcp_conn *c)
{
    uint32_t right = c->snd_una + c->snd_wnd;

    return seq_lt(right, c->snd_max) ? right : c->snd_max;
}

bool tcp_output_bare(struct tcp_conn *c)
{
    if (c->send_syn) {
        send_syn(c);
        /* Without an mbuf for the very first one there is no timer either. */
        return !c->send_syn || tcp_timer_running(c, TCP_TIMER_RETRANSMIT);
    }
    return !c->ack_now || !tcp_synchronized(c) || emit(c, bare_seq(c), 0, TCP_ACK);
}

bool tcp_output(struct tcp_conn *c)
{
    if (!c->send_syn && has_unsent(c)) {
        tcp_turn_take(c);
        if (c->turn_waiting && c->ack_now)
            return false;
    }
    return tcp_output_bare(c);
}

/* ---- single segments ---- */

void tcp_output_reset(struct tcp_conn *c)
{
    if (!tcp_synchronized(c) && c->state != TCP_SYN_RECEIVED)
        return;
    tcp_count(c->sock.tcp, tcp_resets_sent);
    /* Beyond what the peer has acknowledged a RST must still be exact for RFC 5961: after all data.
     */
    emit(c, bare_seq(c), 0, TCP_RST | TCP_ACK);
}

void tcp_output_ack(struct tcp_conn *c)
{
    emit(c, bare_seq(c), 0, TCP_ACK);
}

void tcp_output_challenge(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    /* Limited for each connection: a limit shared by all can be measured from outside and tells
     * whether a guess was right (CVE-2016-5696). */
    if (c->challenge_at != 0 && t->now - c->challenge_at < TCP_CHALLENGE_GAP) {
        tcp_count(t, tcp_challenge_acks_limited);
        return;
    }
    c->challenge_at = t->now;
    tcp_count(t, tcp_challenge_acks);
    tcp_output_ack(c);
}

void tcp_output_probe(struct tcp_conn *c)
{
    /* One below what the peer has acknowledged: unacceptable to it, so it answers. */
    emit(c, c->snd_una - 1, 0, TCP_ACK);
    c->probed_at = c->sock.tcp->now;
}

void tcp_output_now(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    struct sendable s = sendable(c, true);

    if (s.len == 0 && !s.fin) {
        tcp_count(t, tcp_zero_window_probes);
        tcp_output_probe(c);
    } else if (net_room(t->net, c->path.iface, c->path.egress_class) > 0) {
        send_one(c, s);
    }
    if (c->snd_una == c->snd_max) /* else the retransmission timer goes on with it */
        tcp_timer_set(c, TCP_TIMER_PERSIST, t->now + tcp_rtt_persist(c));
}
