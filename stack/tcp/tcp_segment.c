/*
 * How a segment is built, and handed to the internet layer.
 *
 * Payload stays in the send queue until it is acknowledged. A device with multi-segment transmit
 * gets a header mbuf followed by references to the queue's mbufs; any other gets one linear copy,
 * and so does what is shorter than a reference is worth.
 * With segmentation offload one frame carries many segments' worth.
 */
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_pacing.h"
#include "stack/tcp/tcp_reassembly.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_timer.h"
#include "stack/tcp/tcp_turn.h"
#include "stack/tcp/tcp_window.h"
#include "stack/wire/wire.h"

#define TCP_REFERENCES_MAX 40  /* mbufs of payload in one frame; devices take at least this many */
#define TCP_COPY_MAX       512 /* payload of a frame that is copied all the same */
#define TCP_OPTIONS_MAX    40
#define TCP_TSO_MAX        61440u /* payload of one frame that the device segments */

/* ---- the place of a byte in the send queue ---- */

static void cursor_step(struct tcp_cursor *at)
{
    while (at->m->next != NULL && at->offset == (uint32_t)at->m->data_off + at->m->data_len) {
        at->m = at->m->next;
        at->offset = at->m->data_off;
    }
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

/* From the place where sending went on last, that of what was sent again last, or the start:
 * whichever is before it. New data and retransmissions each go upwards, so the way is short. */
static struct tcp_cursor cursor_at(const struct tcp_conn *c, uint32_t seq)
{
    const struct tcp_flight *f = c->flight;
    struct tcp_cursor at = f != NULL ? f->cursor : (struct tcp_cursor){0};

    if (f != NULL && (at.m == NULL || seq_lt(seq, at.seq)))
        at = f->cursor_again;
    if (at.m == NULL || seq_lt(seq, at.seq))
        at = (struct tcp_cursor){c->send_queue.head, c->send_queue.head->data_off,
                                 c->send_queue_seq};
    while (at.seq != seq)
        cursor_advance(&at, cursor_piece(&at, seq - at.seq));
    cursor_step(&at);
    return at;
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

/* SACK blocks, as many as find room beside the timestamps and the payload (RFC 2018, 3). */
static void fill_sack(const struct tcp_conn *c, struct wire_tcp *h, uint32_t payload)
{
    uint32_t used = payload + tcp_option_length(c), room = c->mss > used ? c->mss - used : 0;
    struct tcp_range blocks[4];

    room = RTE_MIN(room, TCP_OPTIONS_MAX - tcp_option_length(c));
    h->sack_count = (uint8_t)tcp_reassembly_sack(c, blocks, room >= 4 ? (room - 4) / 8 : 0);
    for (unsigned i = 0; i < h->sack_count; i++) {
        h->sack[i].left = blocks[i].left;
        h->sack[i].right = blocks[i].right;
    }
}

static void fill_header(struct tcp_conn *c, struct wire_tcp *h, uint32_t seq, uint32_t payload,
                        uint8_t flags)
{
    *h = (struct wire_tcp){
        .sport = c->local.port, .dport = c->remote.port, .seq = seq, .flags = flags};
    if ((flags & TCP_ACK) != 0)
        h->ack = c->rcv_nxt;
    if ((flags & TCP_SYN) != 0) {
        bool answer = (flags & TCP_ACK) != 0;

        h->has_mss = true;
        h->mss = tcp_mtu_offer(&c->path, c->mss_max);
        h->has_wscale = !answer || c->scaling;
        h->wscale = c->sock.tcp->config.window_scale;
        h->has_timestamp = answer ? c->timestamps : !c->sock.tcp->config.timestamps_off;
        h->sack_permitted = answer ? c->sack : !c->sock.tcp->config.sack_off;
        h->window = c->syn_window;
    } else {
        h->has_timestamp = c->timestamps;
        h->window = (uint16_t)tcp_window_offer(c);
        if (c->sack && (flags & TCP_RST) == 0)
            fill_sack(c, h, payload);
    }
    if (h->has_timestamp) {
        h->ts_value = tcp_ts_now(c);
        h->ts_echo = (flags & TCP_ACK) != 0 ? c->ts_recent : 0;
    }
}

/* Ahead of data goes what carries none; but a FIN must not overtake the data before it. */
static enum egress_band band_of(const struct tcp_conn *c, uint32_t payload, uint8_t flags)
{
    if (payload > 0 || ((flags & TCP_FIN) != 0 && c->snd_una != c->snd_max))
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

/* What every segment with an ACK settles. SACK blocks that are due and found no room beside the
 * payload go in a segment of their own. */
static void acknowledged(struct tcp_conn *c, bool blocks)
{
    bool untold = c->sack && !blocks && (c->runs != NULL || tcp_reassembly_repeated(c));

    c->last_ack_sent = c->rcv_nxt;
    c->ack_now = c->ack_now && untold;
    if (blocks && tcp_reassembly_repeated(c)) {
        tcp_count(c->sock.tcp, tcp_dsacks_sent);
        c->duplicate.right = c->duplicate.left;
    }
    c->unacked_segments = 0;
    tcp_timer_stop(c, TCP_TIMER_DELAYED_ACK);
}

bool tcp_segment_send(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(c->path.tx_pool);
    bool references = (c->path.offloads & STACK_TX_MULTI_SEGMENT) != 0 && len > TCP_COPY_MAX;
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
    flags = tcp_ecn_mark(c, seq, len, flags);
    fill_header(c, &h, seq, len, flags);
    header_len = wire_tcp_emit(&h, header);
    room = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)header_len);
    if (room == NULL)
        goto no_mbuf;
    memcpy(room, header, header_len);
    if (len > 0) {
        if (!(references ? payload_reference(c, m, &at, len) : payload_copy(m, &at, len)))
            goto no_mbuf;
        if (c->flight != NULL)
            *(seq == c->snd_max ? &c->flight->cursor : &c->flight->cursor_again) = at;
    }
    if ((flags & TCP_ACK) != 0)
        acknowledged(c, h.sack_count > 0);
    tcp_ecn_sent(c, flags);
    transmit(c, m, header_len, len, flags);
    return true;
no_mbuf:
    tcp_count(c->sock.tcp, tx_no_mbuf);
    rte_pktmbuf_free(m);
    return false;
}

uint32_t tcp_segment_payload(const struct tcp_conn *c, uint32_t seq, uint32_t len)
{
    const uint32_t wanted = STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT;
    uint32_t segment = tcp_segment_size(c);

    if (len <= segment)
        return len;
    /* What tells of a reduction is a segment of its own: devices differ in what they make of CWR.
     */
    if ((c->path.offloads & wanted) != wanted || c->ecn_cwr)
        return segment;
    len = RTE_MIN(len, RTE_MIN(tcp_turn_frame_max(c), TCP_TSO_MAX));
    len = RTE_MIN(len, tcp_pacing_frame_max(c));
    len = RTE_MIN(len, c->cwnd / 2); /* one frame's acknowledgement is not the whole clock */
    if (len <= segment)
        return segment;
    len = reference_limit(cursor_at(c, seq), len);
    return len > segment ? len - len % segment : segment;
}
