/*
 * Acknowledgements (RFC 9293, 3.10.7.4, fifth check): what they free, what they say of the round
 * trip and of losses, and the peer's window.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/tcp/tcp_time_wait.h"
#include "stack/tcp/tcp_timer.h"

/* A cursor's mbuf is still in the queue only when the cursor is past the queue's start. */
static void cursor_check(const struct tcp_conn *c, struct tcp_cursor *at)
{
    if (!seq_lt(c->send_queue_seq, at->seq))
        at->m = NULL;
}

/* Frees what was acknowledged. Returns true when our FIN was. */
static bool release_acked(struct tcp_conn *c, uint32_t ack)
{
    uint32_t bytes = ack - c->send_queue_seq;
    bool fin = c->fin_queued && ack == tcp_send_end(c) + 1;

    if (fin)
        bytes--;
    chain_drop(&c->send_queue, bytes);
    c->send_queue_seq += bytes;
    c->bytes_acked += bytes;
    if (c->flight != NULL) {
        cursor_check(c, &c->flight->cursor);
        cursor_check(c, &c->flight->cursor_again);
    }
    tcp_conn_account(c);
    return fin;
}

static void wake_writer(struct tcp_conn *c)
{
    /* Worthwhile room: a third of the buffer, so that a writer is not woken for every segment. */
    if (!c->want_write || tcp_memory_tight(c) ||
        c->send_queue.len > tcp_memory_send_limit(c) / 3 * 2)
        return;
    c->want_write = false;
    tcp_event_raise(&c->sock, EVENT_WRITABLE);
}

/* A peer that has taken its window back, over what was in flight, opens it again. The first of that
 * was sent again as the probe of the window, ever more rarely; now it need not wait. */
static void window_reopened(struct tcp_conn *c)
{
    clock_ns now = c->sock.tcp->now;

    c->retries = 0;
    c->progress_at = tcp_tick_of(now); /* the peer owes us an answer from now on */
    tcp_timer_set(c, TCP_TIMER_RETRANSMIT, now);
}

/*
 * Not from an older segment. What acknowledges something new is none, though it may have an older
 * sequence number, as retransmissions do: the window counts from there, so that without it the
 * window's edge would move by what is acknowledged.
 */
static void update_window(struct tcp_conn *c, const struct packet *p, uint32_t acked)
{
    bool closed = c->snd_wnd == 0;

    if (acked == 0 && !(seq_lt(c->snd_wl1, p->tcp.seq) ||
                        (c->snd_wl1 == p->tcp.seq && seq_le(c->snd_wl2, p->tcp.ack))))
        return;
    c->snd_wnd = tcp_window_of(c, p);
    c->snd_wl1 = seq_max(c->snd_wl1, p->tcp.seq);
    c->snd_wl2 = p->tcp.ack;
    if (c->snd_wnd > c->max_snd_wnd)
        c->max_snd_wnd = c->snd_wnd;
    if (closed && c->snd_wnd > 0 && c->retries > 0 && c->snd_una != c->snd_max)
        window_reopened(c);
}

/* RFC 5681, 2: what makes an acknowledgement a duplicate. */
static bool is_duplicate(const struct tcp_conn *c, const struct packet *p)
{
    return p->tcp.ack == c->snd_una && c->snd_una != c->snd_max && p->payload_length == 0 &&
           (p->tcp.flags & (TCP_SYN | TCP_FIN)) == 0 && tcp_window_of(c, p) == c->snd_wnd;
}

/* RFC 6298, 5.2 and 5.3. */
static void new_data_acked(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    c->retries = 0;
    c->progress_at = tcp_tick_of(t->now);
    if (c->snd_una == c->snd_max)
        tcp_timer_stop(c, TCP_TIMER_RETRANSMIT);
    else
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
    tcp_timer_stop(c, TCP_TIMER_PERSIST); /* output starts it again where it is needed */
    /* RFC 1122, 2.3.2.1: forward progress proves the next hop. */
    net_path_confirm(t->net, &c->path, t->now);
}

static void nothing_acked(struct tcp_conn *c, const struct packet *p)
{
    tcp_recovery_late(c, p);
    if (!tcp_timer_running(c, TCP_TIMER_PERSIST))
        c->retries = 0; /* the answer to a keepalive; window probes grow rare though answered */
}

/* Our FIN is acknowledged. Returns false when the connection has ended. */
static bool fin_acked(struct tcp_conn *c)
{
    switch (c->state) {
    case TCP_FIN_WAIT_1:
        tcp_conn_state(c, TCP_FIN_WAIT_2);
        if (!c->sock.owned)
            tcp_timer_set(c, TCP_TIMER_KEEPALIVE,
                          c->sock.tcp->now + c->sock.tcp->config.fin_wait_2);
        return true;
    case TCP_CLOSING:
        tcp_time_wait_enter(c);
        return true;
    case TCP_LAST_ACK:
        tcp_conn_end(c, SOCK_OK);
        return false;
    default:
        return true;
    }
}

bool tcp_ack(struct tcp_conn *c, struct packet *p, bool *ended)
{
    struct tcp *t = c->sock.tcp;
    uint32_t ack = p->tcp.ack, acked = 0;
    bool fin = false, duplicate = false;

    *ended = false;
    /* RFC 5961, 5.2: outside [SND.UNA - MAX.SND.WND, SND.NXT] it may be an attacker's guess. */
    if (seq_lt(c->snd_max, ack) || seq_lt(ack, c->snd_una - c->max_snd_wnd)) {
        p->drop = drop_tcp_ack;
        tcp_challenge(c);
        return false;
    }
    c->heard_at = tcp_tick_of(t->now);
    if (seq_lt(c->snd_una, ack)) {
        acked = ack - c->snd_una;
        fin = release_acked(c, ack);
        c->snd_una = ack;
    } else {
        duplicate = is_duplicate(c, p);
    }
    if (ack == c->snd_una)
        update_window(c, p, acked);
    if (c->flight != NULL)
        tcp_recovery_ack(c, p, acked, duplicate);
    else
        nothing_acked(c, p);
    if (acked > 0) {
        tcp_mtu_probe_acked(c);
        new_data_acked(c);
        tcp_tlp_schedule(c);
    } else {
        tcp_tlp_stop(c); /* RFC 8985, 7.2: no progress, no later probe */
    }
    wake_writer(c);
    tcp_conn_output(c);
    if (fin && !fin_acked(c)) {
        *ended = true;
        return false;
    }
    return true;
}
