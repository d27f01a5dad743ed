/*
 * Segment arrives (RFC 9293, 3.10.7), with the blind-attack rules of RFC 5961. The checks run in
 * the RFC's order: sequence number, RST, SYN, ACK, text, FIN. There is no sixth, of the URG bit:
 * the pointer is not looked at, and urgent bytes are bytes of the stream like all others (RFC 6093,
 * 6), so that nothing can make us and the other end of a splice count them differently. Segments of
 * one burst are processed one by one; what they make us send goes out in tcp_flush().
 */
#include "stack/tcp/tcp_input.h"

#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_listen.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_reassembly.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/tcp/tcp_time_wait.h"
#include "stack/tcp/tcp_timer.h"

void tcp_input_syn_options(struct tcp_conn *c, const struct packet_tcp *syn)
{
    struct tcp *t = c->sock.tcp;

    c->irs = syn->seq;
    c->rcv_nxt = c->irs + 1;
    c->last_ack_sent = c->rcv_nxt;
    tcp_mtu_init(c, syn->has_mss ? syn->mss : TCP_DEFAULT_MSS);
    c->scaling = syn->has_wscale;
    if (c->scaling) {
        c->snd_wscale = syn->wscale > 14 ? 14 : syn->wscale; /* RFC 7323, 2.3 */
        c->rcv_wscale = t->config.window_scale;
    }
    c->sack = syn->sack_permitted && !t->config.sack_off;
    c->timestamps = syn->has_timestamp && !t->config.timestamps_off;
    c->ts_recent = syn->ts_value;
    c->ts_recent_time = (uint32_t)(t->now / CLOCK_SEC);
    /* The window of a SYN is never scaled (RFC 7323, 2.2). */
    c->snd_wnd = c->max_snd_wnd = syn->window;
    c->snd_wl1 = syn->seq;
    c->snd_wl2 = c->snd_una;
    /* What our own SYN offers, before or after this one. */
    c->rcv_adv = c->rcv_nxt + c->syn_window;
}

void tcp_conn_established(struct tcp_conn *c, const struct packet *p)
{
    struct tcp *t = c->sock.tcp;

    c->snd_una = p->tcp.ack;
    c->snd_max = c->snd_una;
    /* RFC 6298, 5.7: the RTO of a lost SYN says nothing, but that it was too short. */
    if (!c->from_cookie && !tcp_rtt_handshake(c, p) && c->retries > 0)
        c->rto = TCP_RTO_SYN_LOST;
    tcp_mtu_probe_init(c);
    tcp_cc_init(c);
    tcp_recovery_init(c);
    c->retries = 0;
    c->timing = false;
    c->send_syn = false;
    c->progress_at = c->heard_at = c->probed_at = tcp_tick_of(t->now);
    c->sent_at = t->now;
    tcp_timer_stop(c, TCP_TIMER_RETRANSMIT);
    tcp_timer_stop(c, TCP_TIMER_KEEPALIVE);
    if (c->keepalive != 0)
        tcp_timer_set(c, TCP_TIMER_KEEPALIVE, t->now + c->keepalive * CLOCK_MS);
    tcp_conn_state(c, c->fin_queued ? TCP_FIN_WAIT_1 : TCP_ESTABLISHED);
    tcp_reassembly_release(c);
    net_path_confirm(t->net, &c->path, t->now);
    if (c->active) {
        tcp_count(t, tcp_connected);
        tcp_event_raise(&c->sock, EVENT_CONNECTED);
    } else {
        tcp_listener_established(c);
    }
    tcp_conn_output(c);
}

/* ---- synchronized states (3.10.7.4) ---- */

static uint32_t segment_length(const struct packet *p)
{
    return p->payload_length + ((p->tcp.flags & TCP_SYN) != 0) + ((p->tcp.flags & TCP_FIN) != 0);
}

void tcp_unacceptable(struct tcp_conn *c, const struct packet *p)
{
    bool text = p->payload_length > 0 || (p->tcp.flags & TCP_FIN) != 0;

    if (text && (p->tcp.flags & TCP_SYN) == 0 && tcp_synchronized(c)) {
        c->ack_now = true;
        tcp_conn_output(c);
    } else {
        tcp_challenge(c);
    }
}

/*
 * First check: the sequence number. A segment that overlaps the window, its edges included, is let
 * in; what lies outside is trimmed later. That keeps the acknowledgements of segments that do not
 * fit a closed window, as 3.10.7.4 asks, and pure acknowledgements that were overtaken.
 */
static bool sequence_acceptable(const struct tcp_conn *c, const struct packet *p)
{
    uint32_t end = p->tcp.seq + segment_length(p);
    uint32_t right = seq_max(c->rcv_adv, c->rcv_nxt);

    return seq_le(c->last_ack_sent, end) && seq_le(p->tcp.seq, right);
}

/* Second check: RST, by RFC 5961, 3.2; what is at the right edge lies outside (erratum 4845). */
static void reset_received(struct tcp_conn *c, struct packet *p)
{
    struct tcp *t = c->sock.tcp;

    if (p->tcp.seq != c->rcv_nxt) {
        p->drop = drop_tcp_rst;
        if (seq_lt(p->tcp.seq, c->rcv_adv))
            tcp_challenge(c);
        return;
    }
    tcp_count(t, tcp_resets_received);
    if (c->state == TCP_SYN_RECEIVED && c->active)
        tcp_count(t, tcp_connect_failed);
    tcp_conn_end(c, c->state == TCP_SYN_RECEIVED ? SOCK_REFUSED : SOCK_RESET);
}

/* The peer's FIN has been reached: everything before it is in the receive queue. */
static void fin_reached(struct tcp_conn *c)
{
    c->rcv_nxt++;
    c->fin_received = true;
    c->fin_ahead = false;
    c->ack_now = true;
    switch (c->state) {
    case TCP_ESTABLISHED:
        tcp_conn_state(c, TCP_CLOSE_WAIT);
        break;
    case TCP_FIN_WAIT_1: /* our FIN is not acknowledged, or the state were FIN_WAIT_2 */
        tcp_conn_state(c, TCP_CLOSING);
        break;
    case TCP_FIN_WAIT_2:
        tcp_time_wait_enter(c);
        break;
    default:
        break;
    }
    tcp_event_raise(&c->sock, EVENT_READABLE);
}

static bool receives_data(const struct tcp_conn *c)
{
    return c->state == TCP_ESTABLISHED || c->state == TCP_FIN_WAIT_1 || c->state == TCP_FIN_WAIT_2;
}

/* RFC 1122, 4.2.3.2 and RFC 5681, 4.2: every second full segment, or after a short time. */
static void schedule_ack(struct tcp_conn *c, uint32_t payload)
{
    if (c->quick_acks > 0) {
        c->quick_acks--;
        c->ack_now = true;
    }
    if (payload >= tcp_segment_size(c) || payload >= TCP_DEFAULT_MSS)
        c->unacked_segments++;
    if (c->unacked_segments >= 2)
        c->ack_now = true;
    if (!c->ack_now && !tcp_timer_running(c, TCP_TIMER_DELAYED_ACK))
        tcp_timer_set(c, TCP_TIMER_DELAYED_ACK, c->sock.tcp->now + c->sock.tcp->config.delayed_ack);
}

/* Seventh and eighth check: text and FIN. */
static void text_received(struct tcp_conn *c, struct packet *p)
{
    uint32_t payload = p->payload_length;
    uint32_t fin_seq = p->tcp.seq + payload;
    bool fin = (p->tcp.flags & TCP_FIN) != 0;

    if ((p->tcp.flags & TCP_URG) != 0)
        tcp_count(c->sock.tcp, tcp_urgent);
    if (!receives_data(c)) {
        /* After their FIN nothing new can come: a repetition, to be acknowledged again. */
        tcp_count(c->sock.tcp, tcp_duplicate_segments);
        c->ack_now = true;
        return;
    }
    if (fin && seq_le(c->rcv_nxt, fin_seq) && seq_le(fin_seq, c->rcv_adv) && !c->fin_ahead) {
        c->fin_ahead = true;
        c->fin_seq = fin_seq;
    }
    if (payload > 0) {
        tcp_ecn_data_received(c, p);
        tcp_reassembly_add(c, p);
        schedule_ack(c, payload);
    }
    if (fin)
        c->ack_now = true;
    if (c->fin_ahead && c->fin_seq == c->rcv_nxt)
        fin_reached(c);
}

/* In SYN_RECEIVED the acknowledgement must be that of our SYN (fifth check). */
static bool completes_handshake(struct tcp_conn *c, struct packet *p)
{
    if (p->tcp.ack != c->iss + 1) {
        p->drop = drop_tcp_ack;
        tcp_reply_reset(c->sock.tcp, p);
        return false;
    }
    tcp_conn_established(c, p);
    c->snd_wl1 = p->tcp.seq;
    c->snd_wl2 = p->tcp.ack;
    c->snd_wnd = tcp_window_of(c, p);
    if (c->snd_wnd > c->max_snd_wnd)
        c->max_snd_wnd = c->snd_wnd;
    return true;
}

/* Checks one to four. Returns false when the segment is done with. */
static bool admit(struct tcp_conn *c, struct packet *p)
{
    if (c->state == TCP_SYN_RECEIVED && (p->tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
        p->tcp.seq == c->irs) {
        c->send_syn = true; /* their SYN again: our answer was lost */
        tcp_count(c->sock.tcp, tcp_duplicate_segments);
        tcp_conn_output(c);
        return false;
    }
    if (!tcp_timestamp_acceptable(c, p))
        return false;
    if (!sequence_acceptable(c, p)) {
        p->drop = drop_tcp_out_of_window;
        if ((p->tcp.flags & TCP_RST) != 0)
            return false;
        tcp_reassembly_old(c, p);
        tcp_unacceptable(c, p);
        return false;
    }
    if ((p->tcp.flags & TCP_RST) != 0) {
        reset_received(c, p);
        return false;
    }
    if ((p->tcp.flags & TCP_SYN) != 0) {
        if (c->state != TCP_SYN_RECEIVED || !c->active || (p->tcp.flags & TCP_ACK) == 0) {
            p->drop = drop_tcp_syn;
            tcp_challenge(c);
            return false;
        }
        /* Simultaneous open. What a SYN carries is not taken here either: it comes again. */
        p->payload_length = 0;
        p->tcp.flags &= (uint8_t)~TCP_FIN;
    }
    if ((p->tcp.flags & TCP_ACK) == 0) {
        p->drop = drop_tcp_flags;
        return false;
    }
    return true;
}

static void synchronized(struct tcp_conn *c, struct packet *p)
{
    struct tcp *t = c->sock.tcp;
    bool ended;

    if (!admit(c, p))
        return;
    if (c->state == TCP_SYN_RECEIVED) {
        if (!completes_handshake(c, p))
            return;
    } else if (!tcp_ack(c, p, &ended)) {
        return;
    }
    tcp_timestamp_note(c, p);
    if (c->state == TCP_TIME_WAIT) /* CLOSING was acknowledged */
        return;
    if (p->payload_length > 0 && tcp_orphaned(c) &&
        seq_lt(c->rcv_nxt, p->tcp.seq + p->payload_length)) {
        /* RFC 1122, 4.2.2.13: data that nobody will read is refused aloud, as it is where there is
         * no connection: with the number that the peer expects for sure (RFC 5961, 3.2), though
         * our FIN may be lost. */
        p->drop = drop_tcp_closed;
        tcp_reply_reset(t, p);
        tcp_conn_end(c, SOCK_OK);
        return;
    }
    if (p->payload_length > 0 || (p->tcp.flags & TCP_FIN) != 0) {
        c->heard_at = tcp_tick_of(t->now);
        text_received(c, p);
        tcp_conn_output(c);
    }
}

/* ---- SYN_SENT (3.10.7.3) ---- */

/*
 * The peer knows an older connection of these ports, as after a restart of ours; our RST ends it
 * (RFC 9293, 3.5.2). The SYN need not wait a whole second to follow. Once: the ACK may be forged.
 */
static void syn_sent_stale(struct tcp_conn *c, const struct packet *p)
{
    struct tcp *t = c->sock.tcp;

    tcp_reply_reset(t, p);
    if (c->retries == 0 && tcp_timer_deadline(c, TCP_TIMER_RETRANSMIT) > t->now + TCP_SYN_AGAIN)
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + TCP_SYN_AGAIN);
}

static void syn_sent(struct tcp_conn *c, struct packet *p)
{
    struct tcp *t = c->sock.tcp;
    bool ack = (p->tcp.flags & TCP_ACK) != 0;

    if (ack && p->tcp.ack != c->iss + 1) {
        p->drop = drop_tcp_ack;
        if ((p->tcp.flags & TCP_RST) == 0)
            syn_sent_stale(c, p);
        return;
    }
    if ((p->tcp.flags & TCP_RST) != 0) {
        if (!ack) {
            p->drop = drop_tcp_rst;
            return;
        }
        tcp_count(t, tcp_resets_received);
        tcp_count(t, tcp_connect_failed);
        tcp_conn_end(c, SOCK_REFUSED);
        return;
    }
    if ((p->tcp.flags & TCP_SYN) == 0) {
        p->drop = drop_tcp_flags;
        return;
    }
    tcp_input_syn_options(c, &p->tcp);
    tcp_ecn_syn_received(c, p);
    p->tcp.seq++; /* what follows the SYN */
    if (ack) {
        tcp_conn_established(c, p);
        c->ack_now = true;
        text_received(c, p);
    } else {
        /* Simultaneous open: answer their SYN, wait for the ACK of ours. */
        tcp_conn_state(c, TCP_SYN_RECEIVED);
        c->send_syn = true;
        tcp_reassembly_hold(c, p);
    }
    tcp_conn_output(c);
}

/* ---- any segment ---- */

static bool takes_connections(const struct tcp_listener *l)
{
    return l != NULL && !l->refusing;
}

/* Could it be the one that a SYN cookie waits for? */
static bool answers_cookie(const struct packet *p)
{
    return (p->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK;
}

bool tcp_expects(const struct tcp *t, const struct packet *p)
{
    const struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};
    const struct tcp_listener *l;

    if (tcp_table_find(&t->table, tcp_table_hash(&t->table, &local, &remote), &local, &remote) !=
        NULL)
        return true;
    l = answers_cookie(p) ? tcp_listener_find(t, &local) : NULL;
    return takes_connections(l) && tcp_listener_promised(l, p);
}

static void time_wait(struct tcp_conn *c, struct packet *p)
{
    struct tcp_listener *l = tcp_listener_find(c->sock.tcp, &c->local);
    uint32_t iss_min;

    if (takes_connections(l) && tcp_time_wait_reopened(c, p, &iss_min))
        tcp_listener_segment(l, p, iss_min);
    else
        tcp_time_wait_segment(c, p);
}

void tcp_input(void *ctx, struct packet *p, clock_ns now)
{
    struct tcp *t = ctx;
    struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};
    struct tcp_listener *l;
    struct tcp_conn *c;

    t->now = now;
    tcp_count(t, tcp_segments_received);
    c = tcp_table_find(&t->table, p->flow_hash, &local, &remote);
    if (c != NULL) {
        if (c->state == TCP_SYN_SENT)
            syn_sent(c, p);
        else if (c->state == TCP_TIME_WAIT)
            time_wait(c, p);
        else
            synchronized(c, p);
        return;
    }
    l = tcp_listener_find(t, &local);
    if (takes_connections(l) && (p->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
        tcp_listener_segment(l, p, 0);
        return;
    }
    if (takes_connections(l) && answers_cookie(p) && (c = tcp_listener_cookie(l, p)) != NULL) {
        synchronized(c, p);
        return;
    }
    if (p->drop != DROP_NONE)
        return;
    p->drop = l != NULL ? drop_tcp_no_connection : drop_tcp_no_port;
    if (takes_connections(l) && (p->tcp.flags & TCP_ACK) == 0) /* 3.10.7.2, fourth */
        return;
    if (l == NULL && net_punts(t->net, p->iface))
        return;
    if ((p->tcp.flags & TCP_RST) == 0)
        tcp_reply_reset(t, p);
}

void tcp_input_rejected(void *ctx, struct packet *p, clock_ns now)
{
    struct tcp *t = ctx;

    t->now = now;
    if ((p->tcp.flags & TCP_RST) == 0)
        tcp_reply_reset(t, p);
}

/* ICMP errors are hints that anybody can forge: the quoted sequence number must be one in flight,
 * and an established connection is never ended by one (RFC 5927). */
bool tcp_input_error(void *ctx, const struct net_error *error, clock_ns now)
{
    struct tcp *t = ctx;
    struct tcp_conn *c;

    t->now = now;
    c = tcp_table_find(&t->table, tcp_table_hash(&t->table, &error->local, &error->remote),
                       &error->local, &error->remote);
    if (c == NULL || seq_lt(error->seq, c->snd_una) || !seq_lt(error->seq, c->snd_max))
        return false;
    if (error->kind == NET_ERROR_MTU) {
        tcp_mtu_error(c, error);
    } else if (c->state == TCP_SYN_SENT && error->kind != NET_ERROR_TIME) {
        tcp_count(t, tcp_connect_failed);
        tcp_conn_end(c, SOCK_UNREACHABLE);
    }
    return true;
}
