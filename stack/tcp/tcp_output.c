/*
 * What may be sent now: what was lost, then what is new, within the congestion window and the
 * peer's, with silly-window avoidance and Nagle (RFC 9293, 3.8.6.2.1 and 3.7.4); and the segments
 * that carry no data.
 *
 * snd_max never goes back. What is to be sent again is at the head of a list (tcp_recovery.h), and
 * goes out in frames of the size that is right now, whatever it was the first time.
 */
#include "stack/tcp/tcp_output.h"

#include <rte_common.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_pacing.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/tcp/tcp_timer.h"
#include "stack/tcp/tcp_turn.h"

struct sendable {
    struct tcp_sent *again; /* NULL: it is new */
    uint32_t seq, len;
    bool fin;
};

/* What the congestion window has room for: when nothing is in flight a segment at least, as
 * nothing else would ever make room. */
static uint32_t congestion_room(const struct tcp_conn *c)
{
    uint32_t in_flight = tcp_in_flight(c), segment = tcp_segment_size(c);

    if (in_flight == 0)
        return c->cwnd > segment ? c->cwnd : segment;
    return c->cwnd > in_flight ? c->cwnd - in_flight : 0;
}

static uint32_t window_room(const struct tcp_conn *c)
{
    uint32_t sent = c->snd_max - c->snd_una;

    return c->snd_wnd > sent ? c->snd_wnd - sent : 0;
}

/*
 * What is new. `force`: the persist timer has run out, so that a window too small to be worthwhile
 * is used all the same.
 */
static struct sendable sendable_new(const struct tcp_conn *c, uint32_t cwnd_room, bool force)
{
    uint32_t end = tcp_send_end(c), wnd_room = window_room(c), segment = tcp_segment_size(c);
    uint32_t room = wnd_room < cwnd_room ? wnd_room : cwnd_room, unsent, len;
    struct sendable s = {.seq = c->snd_max};

    if (seq_lt(end, c->snd_max)) /* the FIN has been sent */
        return s;
    unsent = end - c->snd_max;
    len = unsent < room ? unsent : room;
    if (len >= segment) {
        s.len = tcp_segment_payload(c, c->snd_max, len);
    } else if (len < unsent) {
        /* Cut by a window. By the peer's: worth sending when it is half of its largest. */
        if (force || (wnd_room <= cwnd_room && len >= c->max_snd_wnd / 2))
            s.len = len;
        return s;
    } else if (len > 0) {
        if (c->nagle && !force && !c->fin_queued && c->snd_max != c->snd_una)
            return s;
        s.len = len;
    }
    s.fin = c->fin_queued && s.len == unsent && wnd_room > s.len;
    return s;
}

/* What is to be sent again: in the peer's window, unless it is the first. That one goes also when
 * the window was closed over it, as the probe of that window. */
static struct sendable sendable_again(struct tcp_conn *c, struct tcp_sent *r)
{
    uint32_t room = congestion_room(c), segment = tcp_segment_size(c), right, len;
    struct sendable s = {.again = r, .seq = r->seq};

    tcp_sent_gather(c, r, segment);
    len = seq_min(r->end, tcp_send_end(c)) - r->seq;
    right = c->snd_una + c->snd_wnd;
    if (r->seq != c->snd_una && seq_lt(right, r->seq + len))
        len = seq_lt(r->seq, right) ? right - r->seq : 0;
    if (len > segment)
        len = tcp_segment_payload(c, r->seq, RTE_MIN(len, RTE_MAX(room, segment)));
    if (len > room)
        return s;
    s.len = len;
    s.fin = r->seq + len == tcp_send_end(c) && r->seq + len != r->end;
    return s;
}

static struct sendable sendable(struct tcp_conn *c)
{
    struct tcp_sent *lost = tcp_recovery_next(c);

    return lost != NULL ? sendable_again(c, lost) : sendable_new(c, congestion_room(c), false);
}

bool tcp_output_new_possible(const struct tcp_conn *c)
{
    struct sendable s = sendable_new(c, tcp_segment_size(c), false);

    return s.len > 0;
}

static void note_new(struct tcp_conn *c, const struct sendable *s)
{
    struct tcp *t = c->sock.tcp;
    uint32_t end = s->seq + s->len + s->fin;

    if (c->snd_una == c->snd_max) {
        c->progress_at = tcp_tick_of(t->now); /* the peer owes us an answer from now on */
        c->retries = 0;                       /* those were keepalives or window probes */
    }
    tcp_sent_new(c, s->seq, end);
    tcp_count_n(t, tcp_bytes_sent, s->len);
    c->snd_max = end;
}

static void note_again(struct tcp_conn *c, const struct sendable *s)
{
    struct tcp *t = c->sock.tcp;

    tcp_count(t, tcp_retransmissions);
    c->retransmissions++;
    tcp_recovery_retransmitted(c, s->again, s->len + s->fin);
    if (s->seq == c->snd_una) /* RFC 6675, 5 (4.3): its answer takes a round trip from now */
        tcp_timer_stop(c, TCP_TIMER_RETRANSMIT);
}

static void note_sent(struct tcp_conn *c, const struct sendable *s)
{
    struct tcp *t = c->sock.tcp;

    if (s->again != NULL)
        note_again(c, s);
    else
        note_new(c, s);
    c->flight->prr_out += s->len;
    c->sent_at = t->now;
    tcp_pacing_sent(c, s->len);
    if (!tcp_timer_running(c, TCP_TIMER_RETRANSMIT))
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
    if (tcp_timer_running(c, TCP_TIMER_PERSIST)) { /* the window has opened */
        tcp_timer_stop(c, TCP_TIMER_PERSIST);
        c->retries = 0;
    }
}

/* PSH ends what is to be sent (RFC 9293, 3.9.1.2); and each frame that the device cuts, so that a
 * receiver that merges segments hands it on whole instead of waiting for more. */
static uint8_t data_flags(const struct tcp_conn *c, uint32_t seq, uint32_t len, bool fin)
{
    uint8_t flags = TCP_ACK;

    if (fin)
        flags |= TCP_FIN;
    if (len > 0 && (seq + len == tcp_send_end(c) || len > tcp_segment_size(c)))
        flags |= TCP_PSH;
    return flags;
}

static bool send_one(struct tcp_conn *c, const struct sendable *s)
{
    if ((s->again == NULL && !tcp_sent_room(c)) ||
        !tcp_segment_send(c, s->seq, s->len, data_flags(c, s->seq, s->len, s->fin)))
        return false;
    note_sent(c, s);
    return true;
}

/* Something that was never sent? */
static bool has_new(const struct tcp_conn *c)
{
    uint32_t end = tcp_send_end(c);

    return seq_lt(c->snd_max, end) || (c->fin_queued && c->snd_max == end);
}

/* Something waits and nothing is in flight that could bring a window update: probe for one. From
 * now on the peer owes us an answer. */
static void persist_begin(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    if (!has_new(c) || c->snd_una != c->snd_max || tcp_timer_running(c, TCP_TIMER_PERSIST))
        return;
    c->retries = 0;
    c->progress_at = tcp_tick_of(t->now);
    tcp_timer_set(c, TCP_TIMER_PERSIST, t->now + tcp_rtt_persist(c));
}

static bool has_unsent(const struct tcp_conn *c)
{
    if (!tcp_synchronized(c) || c->state == TCP_FIN_WAIT_2 || c->state == TCP_TIME_WAIT)
        return false;
    return tcp_recovery_next(c) != NULL || has_new(c);
}

/* One segment of new data, larger than those before it. */
static bool send_mtu_probe(struct tcp_conn *c)
{
    struct sendable s = {.seq = c->snd_max};
    uint16_t mss = c->mss;
    bool sent;

    if (!tcp_mtu_probe_due(c) || !tcp_turn_room(c) || c->credit <= 0 || tcp_pacing_wait(c))
        return false;
    c->mss = tcp_mtu_probe_mss(c);
    s.len = tcp_segment_size(c);
    sent = send_one(c, &s);
    c->mss = mss;
    if (!sent)
        return false;
    tcp_mtu_probe_sent(c, s.seq);
    tcp_turn_charge(c, s.len);
    return true;
}

enum tcp_data tcp_output_data(struct tcp_conn *c)
{
    bool fresh;

    if (!has_unsent(c))
        return TCP_DATA_DONE;
    tcp_mtu_refresh(c);
    if (c->snd_una == c->snd_max)
        tcp_cc_restart(c);
    fresh = send_mtu_probe(c);
    for (;;) {
        struct sendable s = sendable(c);

        if (s.len == 0 && !s.fin)
            break;
        if (!tcp_turn_room(c))
            return TCP_DATA_BLOCKED;
        if (s.again == NULL && tcp_pacing_wait(c))
            return TCP_DATA_DONE;
        if (c->credit <= 0)
            return TCP_DATA_SPENT;
        if (!send_one(c, &s))
            return TCP_DATA_NO_MBUF;
        tcp_turn_charge(c, s.len);
        fresh |= s.again == NULL;
    }
    if (fresh)
        tcp_tlp_schedule(c);
    tcp_cc_sent(c);
    persist_begin(c);
    return TCP_DATA_DONE;
}

static void send_syn(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    uint8_t flags = c->state == TCP_SYN_RECEIVED ? TCP_SYN | TCP_ACK : TCP_SYN;

    if (!tcp_segment_send(c, c->iss, 0, flags | tcp_ecn_syn_flags(c)))
        return; /* the timer tries again */
    c->send_syn = false;
    if (c->snd_max != c->iss) {
        tcp_count(t, tcp_retransmissions);
        c->retransmissions++;
    }
    c->timing = c->snd_max == c->iss; /* Karn */
    c->sent_at = t->now;
    c->snd_max = c->iss + 1;
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
    return !c->ack_now || !tcp_synchronized(c) || tcp_segment_send(c, bare_seq(c), 0, TCP_ACK);
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
    tcp_segment_send(c, bare_seq(c), 0, TCP_RST | TCP_ACK);
}

void tcp_output_ack(struct tcp_conn *c)
{
    tcp_segment_send(c, bare_seq(c), 0, TCP_ACK);
}

void tcp_output_probe(struct tcp_conn *c)
{
    /* One below what the peer has acknowledged: unacceptable to it, so it answers. */
    tcp_segment_send(c, c->snd_una - 1, 0, TCP_ACK);
    c->probed_at = tcp_tick_of(c->sock.tcp->now);
}

/* The last segment of what was sent: as a record of its own, where there is one for it. */
static struct sendable tail(struct tcp_conn *c)
{
    struct tcp_sent *last = TAILQ_LAST(&c->flight->all, tcp_sents);
    bool fin = seq_lt(tcp_send_end(c), last->end);
    uint32_t most = tcp_segment_size(c) + fin;

    if (last->end - last->seq > most && tcp_sent_cut(c, last, last->end - most))
        last = TAILQ_NEXT(last, link);
    return (struct sendable){.again = last,
                             .seq = last->seq,
                             .len = RTE_MIN(last->end - last->seq - fin, tcp_segment_size(c)),
                             .fin = fin && last->end - last->seq <= most};
}

bool tcp_output_tail(struct tcp_conn *c)
{
    struct sendable s = sendable_new(c, tcp_segment_size(c), false);

    if (net_room(c->sock.tcp->net, c->path.iface, c->path.egress_class) == 0)
        return false;
    if (s.len == 0 && !s.fin)
        s = tail(c);
    return send_one(c, &s);
}

void tcp_output_now(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    struct sendable s = sendable_new(c, congestion_room(c), true);

    if (s.len == 0 && !s.fin) {
        tcp_count(t, tcp_zero_window_probes);
        tcp_output_probe(c);
    } else if (net_room(t->net, c->path.iface, c->path.egress_class) > 0) {
        send_one(c, &s);
    }
    if (c->snd_una == c->snd_max) /* else the retransmission timer goes on with it */
        tcp_timer_set(c, TCP_TIMER_PERSIST, t->now + tcp_rtt_persist(c));
}
