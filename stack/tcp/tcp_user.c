/*
 * The user calls of TCP (RFC 9293, 3.9.1) as stack/socket.h has them: SEND, RECEIVE, CLOSE, ABORT
 * and STATUS. OPEN is in tcp_listen.c and tcp_connect.c.
 */
#include <assert.h>

#include "stack/tcp/tcp_buffer.h"
#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_listen.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_pacing.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_window.h"

const char *tcp_state_name(enum tcp_state state)
{
    static const char *const names[] = {
        [TCP_CLOSED] = "CLOSED",           [TCP_LISTEN] = "LISTEN",
        [TCP_SYN_SENT] = "SYN_SENT",       [TCP_SYN_RECEIVED] = "SYN_RECEIVED",
        [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
        [TCP_FIN_WAIT_2] = "FIN_WAIT_2",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
        [TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST_ACK",
        [TCP_TIME_WAIT] = "TIME_WAIT",
    };

    return names[state];
}

const char *sock_error_text(enum sock_error error)
{
    static const char *const texts[] = {
        [SOCK_OK] = "no error",
        [SOCK_REFUSED] = "connection refused",
        [SOCK_RESET] = "connection reset by peer",
        [SOCK_TIMED_OUT] = "connection timed out",
        [SOCK_UNREACHABLE] = "destination unreachable",
        [SOCK_NO_MEMORY] = "connection pool exhausted",
        [SOCK_NO_PORT] = "no source port free",
        [SOCK_IN_USE] = "address in use",
        [SOCK_BAD_ADDRESS] = "not an address of ours, or no route to it",
        [SOCK_NOT_YET] = "no address of ours there yet",
    };

    return texts[error];
}

void sock_user_set(struct sock *k, void *user)
{
    k->user = user;
    k->attached = true;
    if (k->events != 0)
        tcp_event_raise(k, 0);
}

void *sock_user(const struct sock *k)
{
    return k->user;
}

struct packet_label sock_label(const struct sock *k)
{
    return k->kind == SOCK_LISTENER ? (struct packet_label){0} : tcp_conn_of(k)->label;
}

void sock_class_set(struct sock *k, uint8_t egress_class, uint8_t dscp)
{
    assert(k->kind == SOCK_CONNECTION);
    tcp_conn_class(tcp_conn_of(k), egress_class, dscp);
}

void sock_local(const struct sock *k, struct ip_endpoint *out)
{
    *out = k->kind == SOCK_LISTENER ? tcp_listener_of(k)->local : tcp_conn_of(k)->local;
}

void sock_remote(const struct sock *k, struct ip_endpoint *out)
{
    *out = k->kind == SOCK_LISTENER ? (struct ip_endpoint){0} : tcp_conn_of(k)->remote;
}

enum tcp_state sock_state(const struct sock *k)
{
    return k->kind == SOCK_LISTENER ? TCP_LISTEN : (enum tcp_state)tcp_conn_of(k)->state;
}

enum sock_error sock_error(const struct sock *k)
{
    return k->kind == SOCK_LISTENER ? SOCK_OK : (enum sock_error)tcp_conn_of(k)->error;
}

uint32_t sock_readable(const struct sock *k)
{
    return tcp_conn_of(k)->receive_queue.len;
}

bool sock_eof(const struct sock *k)
{
    const struct tcp_conn *c = tcp_conn_of(k);

    return c->fin_received && c->receive_queue.len == 0;
}

static void consumed(struct tcp_conn *c, uint32_t bytes)
{
    tcp_conn_account(c);
    tcp_buffer_read(c, bytes);
    tcp_window_opened(c);
}

uint32_t sock_read(struct sock *k, void *out, uint32_t len)
{
    struct tcp_conn *c = tcp_conn_of(k);
    uint32_t n = chain_read(&c->receive_queue, out, len);

    consumed(c, n);
    return n;
}

uint32_t sock_peek(const struct sock *k, uint32_t offset, void *out, uint32_t len)
{
    return chain_peek(&tcp_conn_of(k)->receive_queue, offset, out, len);
}

void sock_skip(struct sock *k, uint32_t len)
{
    struct tcp_conn *c = tcp_conn_of(k);

    chain_drop(&c->receive_queue, len);
    consumed(c, len);
}

static bool can_write(const struct tcp_conn *c)
{
    return !c->fin_queued && (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT ||
                              c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED);
}

/* What a queue below `limit` may still take. */
static uint32_t send_room(const struct tcp_conn *c, uint32_t limit)
{
    return can_write(c) && c->send_queue.len < limit ? limit - c->send_queue.len : 0;
}

/* The writer is to be told when there is worthwhile room again: in its own queue, or, `for_memory`,
 * in the budget of all connections. */
static void want_room(struct tcp_conn *c, bool for_memory)
{
    c->want_write = true;
    if (for_memory)
        tcp_memory_wait(c);
}

uint32_t sock_writable(struct sock *k)
{
    struct tcp_conn *c = tcp_conn_of(k);
    uint32_t room = send_room(c, tcp_memory_send_limit(c));
    bool tight = tcp_memory_tight(c);

    if (can_write(c) && (room == 0 || tight))
        want_room(c, tight);
    c->promised = tight ? 0 : room;
    return c->promised;
}

/* After bytes were queued. A nearly full queue counts as a wish for room, whether more was offered
 * or not: who asks sock_writable() first never offers too much. */
static void queued(struct tcp_conn *c, uint32_t bytes, bool for_memory)
{
    tcp_conn_account(c);
    if (bytes > 0)
        tcp_conn_output(c);
    if (for_memory || c->send_queue.len > tcp_memory_send_limit(c) / 3 * 2)
        want_room(c, for_memory);
}

/* The share of a connection moves with every packet, its own included. What sock_writable() told
 * last is taken all the same: a writer may have decrypted that much by now. */
static uint32_t write_room(const struct tcp_conn *c)
{
    uint32_t room = tcp_memory_tight(c) ? 0 : send_room(c, tcp_memory_send_limit(c));

    return room > c->promised ? room : c->promised;
}

uint32_t sock_write(struct sock *k, const void *data, uint32_t len)
{
    struct tcp_conn *c = tcp_conn_of(k);
    uint32_t room, n, done;

    if (!can_write(c))
        return 0;
    room = write_room(c);
    n = len < room ? len : room;
    done = chain_append_bytes(&c->send_queue, c->sock.tcp->data_pool, data, n);
    c->promised -= done < c->promised ? done : c->promised;
    queued(c, done, done < n || tcp_memory_tight(c));
    return done;
}

uint32_t sock_splice(struct sock *from, struct sock *to, uint32_t max)
{
    struct tcp_conn *a = tcp_conn_of(from), *b = tcp_conn_of(to);
    uint32_t room = send_room(b, tcp_memory_send_limit(b)), n = max < room ? max : room, moved;

    if (!can_write(b) || a->receive_queue.len == 0)
        return 0;
    if (room == 0)
        want_room(b, false);
    moved = chain_move_segments(&b->send_queue, &a->receive_queue, n);
    queued(b, moved, false);
    consumed(a, moved);
    return moved;
}

uint32_t sock_unacknowledged(const struct sock *k)
{
    return tcp_conn_of(k)->send_queue.len;
}

void sock_shutdown(struct sock *k)
{
    struct tcp_conn *c = tcp_conn_of(k);

    if (c->fin_queued || c->state == TCP_CLOSED)
        return;
    c->fin_queued = true;
    c->want_write = false;
    if (c->state == TCP_ESTABLISHED)
        tcp_conn_state(c, TCP_FIN_WAIT_1);
    else if (c->state == TCP_CLOSE_WAIT)
        tcp_conn_state(c, TCP_LAST_ACK);
    tcp_conn_output(c);
}

void sock_close(struct sock *k)
{
    struct tcp_conn *c = tcp_conn_of(k);

    if (k->kind == SOCK_LISTENER) {
        tcp_listener_close(tcp_listener_of(k));
        return;
    }
    if (c->receive_queue.len > 0 || c->state == TCP_SYN_SENT) {
        sock_abort(k);
        return;
    }
    sock_shutdown(k);
    tcp_conn_disown(c);
}

void sock_abort(struct sock *k)
{
    struct tcp_conn *c = tcp_conn_of(k);

    if (k->kind == SOCK_LISTENER) {
        tcp_listener_close(tcp_listener_of(k));
        return;
    }
    if (c->state != TCP_TIME_WAIT) {
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_OK);
    }
    tcp_conn_disown(c);
}

void sock_info(const struct sock *k, struct sock_info *out)
{
    const struct tcp_conn *c = tcp_conn_of(k);

    *out = (struct sock_info){
        .state = (enum tcp_state)c->state,
        .srtt = c->srtt,
        .rttvar = c->rttvar,
        .rto = c->rto,
        .mss = tcp_segment_size(c),
        .cwnd = c->cwnd,
        .ssthresh = c->ssthresh,
        .send_window = c->snd_wnd,
        .receive_window = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0,
        .bytes_received = c->bytes_received,
        .bytes_acked = c->bytes_acked,
        .retransmissions = c->retransmissions,
        .send_queue = c->send_queue.len,
        .receive_queue = c->receive_queue.len,
        .out_of_order = c->run_bytes,
        .send_buffer = c->buffers.send,
        .receive_buffer = c->buffers.receive,
        .congestion = c->sock.tcp->cc->name,
        .rtt_min = tcp_rtt_min(c),
        .in_flight = tcp_in_flight(c),
        .lost = c->lost,
        .spurious = c->spurious,
        .reordering = c->reordering,
        .sack = c->sack,
        .ecn = c->ecn,
        .pacing_rate = tcp_pacing_rate(c),
        .timestamps = c->timestamps,
        .path_mtu = c->path.mtu,
    };
}
