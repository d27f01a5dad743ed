/*
 * What may be sent now: windows, silly-window avoidance, Nagle (RFC 9293, 3.8.6.2.1 and 3.7.4), and
 * the segments that carry no data.
 *
 * After a retransmission timeout snd_nxt goes back to snd_una: the first segment goes out again
 * whatever the windows say (it is also the probe of a window that was closed over it), and the rest
 * follows as they allow. The fast retransmit sends the first unacknowledged segment alone.
 */
#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_pacing.h"

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
        s.len = tcp_segment_payload(c, c->snd_nxt, len);
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
    tcp_pacing_sent(c, len);
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

static bool send_one(struct tcp_conn *c, struct sendable s)
{
    uint32_t seq = c->snd_nxt;

    if (!tcp_segment_send(c, seq, s.len, data_flags(c, seq, s.len, s.fin)))
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
    if (!tcp_segment_send(c, c->snd_una, len, data_flags(c, c->snd_una, len, fin)))
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
    if (!has_unsent(c))
        return TCP_DATA_DONE;
    tcp_mtu_refresh(c);
    if (c->snd_una == c->snd_max)
        tcp_cc_restart(c);
    for (;;) {
        bool again = c->resend_head;
        struct sendable s = {.len = tcp_segment_size(c)};

        if (!again)
            s = sendable(c, false);
        if (s.len == 0 && !s.fin)
            break;
        if (!tcp_turn_room(c))
            return TCP_DATA_BLOCKED;
        if (!again && tcp_pacing_wait(c))
            return TCP_DATA_DONE;
        if (c->credit <= 0)
            return TCP_DATA_SPENT;
        if (!(again ? resend_head(c) : send_one(c, s)))
            return TCP_DATA_NO_MBUF;
        tcp_turn_charge(c, s.len);
    }
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
