/*
 * TIME_WAIT: the end that closed first keeps the ports until no segment of the connection can be
 * about (RFC 9293, 3.6.1). A new connection may have them earlier where it can be told from the old
 * one (RFC 6191), whether the peer opens it or we do. A block that is needed elsewhere is taken
 * from the one that has waited longest.
 *
 * No RST ends the wait (RFC 1337): an old duplicate that crosses our ACK would bring one about, and
 * the next connection of these ports would get what is still under way.
 */
#include "stack/tcp/tcp_time_wait.h"

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_orphan.h"
#include "stack/tcp/tcp_reassembly.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_timer.h"

void tcp_time_wait_unowned(struct tcp_conn *c)
{
    TAILQ_INSERT_TAIL(&c->sock.tcp->time_waiters, c, queue_link);
    c->in_time_wait = true;
}

void tcp_time_wait_enter(struct tcp_conn *c)
{
    tcp_timer_stop_all(c);
    tcp_orphan_remove(c);
    chain_free(&c->send_queue);
    tcp_sent_free(c);
    tcp_reassembly_free(c);
    tcp_conn_account(c);
    tcp_conn_state(c, TCP_TIME_WAIT);
    tcp_timer_set(c, TCP_TIMER_RETRANSMIT, c->sock.tcp->now + c->sock.tcp->time_wait);
    if (!c->sock.owned)
        tcp_time_wait_unowned(c);
}

/* RFC 6191, 2. Sequence numbers decide where timestamps are the same or are not there now. */
static bool reopens(const struct tcp_conn *c, const struct packet *p)
{
    if ((p->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
        return false;
    if (!c->timestamps && p->tcp.has_timestamp)
        return true;
    if (c->timestamps && p->tcp.has_timestamp && p->tcp.ts_value != c->ts_recent)
        return seq_lt(c->ts_recent, p->tcp.ts_value);
    return seq_lt(c->rcv_nxt, p->tcp.seq);
}

bool tcp_time_wait_reopened(struct tcp_conn *c, const struct packet *p, uint32_t *iss_min)
{
    if (c->sock.owned || !reopens(c, p))
        return false;
    *iss_min = c->snd_max + TCP_REUSE_ISS_GAP;
    tcp_count(c->sock.tcp, tcp_time_wait_reopened);
    tcp_conn_end(c, SOCK_OK);
    return true;
}

bool tcp_time_wait_replaceable(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;
    clock_ns end = tcp_timer_deadline(c, TCP_TIMER_RETRANSMIT);

    return c->in_time_wait && c->timestamps && end + TCP_TIME_WAIT_REUSE < t->now + t->time_wait;
}

void tcp_time_wait_segment(struct tcp_conn *c, struct packet *p)
{
    struct tcp *t = c->sock.tcp;
    bool fin = (p->tcp.flags & TCP_FIN) != 0;

    if ((p->tcp.flags & TCP_RST) != 0) {
        p->drop = drop_tcp_rst;
        return;
    }
    if ((p->tcp.flags & (TCP_SYN | TCP_ACK)) == 0) {
        p->drop = drop_tcp_flags;
        return;
    }
    /* Their FIN again says that our last ACK was lost: once more, and the wait begins anew. */
    if (fin && p->tcp.seq + p->payload_length + 1 == c->rcv_nxt)
        tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + t->time_wait);
    if (fin || p->payload_length > 0) {
        c->ack_now = true;
        tcp_conn_output(c);
    } else if (p->tcp.seq != c->rcv_nxt || p->tcp.ack != c->snd_max) {
        tcp_challenge(
            c); /* not our last ACK's, nor a duplicate of it: two ends would go on for ever */
    }
    tcp_count(t, tcp_duplicate_segments);
}
