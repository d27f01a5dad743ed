/* Life of the connection blocks: tcp_conn.h says who owns them. */
#include "stack/tcp/tcp_conn.h"

#include <assert.h>

#include <rte_common.h>

#include "stack/tcp/tcp_buffer.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_isn.h"
#include "stack/tcp/tcp_listen.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_orphan.h"
#include "stack/tcp/tcp_reassembly.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_tick.h"
#include "stack/tcp/tcp_time_wait.h"
#include "stack/tcp/tcp_timer.h"
#include "stack/tcp/tcp_turn.h"

static void conn_free(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    tcp_event_cancel(&c->sock);
    chain_free(&c->receive_queue);
    tcp_conn_account(c);
    COUNTER_ADD(t->state_count[c->state], -1);
    pool_put(&t->conns, c);
}

struct tcp_conn *tcp_conn_create(struct tcp *t, uint32_t reserve)
{
    struct tcp_conn *c;

    if (t->conns.capacity - t->conns.used <= reserve) {
        c = TAILQ_FIRST(&t->time_waiters);
        if (c == NULL)
            return NULL;
        tcp_count(t, tcp_time_wait_reused);
        tcp_conn_end(c, SOCK_OK);
    }
    c = pool_get(&t->conns);
    if (c == NULL)
        return NULL;
    c->sock.tcp = t;
    c->sock.kind = SOCK_CONNECTION;
    c->state = TCP_CLOSED;
    COUNTER_ADD(t->state_count[TCP_CLOSED], 1);
    tcp_timer_init(c);
    return c;
}

/* Rounded up, and as far as timers go. */
static uint32_t milliseconds(clock_ns time)
{
    return (uint32_t)((RTE_MIN(time, TCP_TICK_FAR) + CLOCK_MS - 1) / CLOCK_MS);
}

void tcp_conn_bind(struct tcp_conn *c, const struct ip_endpoint *local,
                   const struct ip_endpoint *remote, const struct net_path *path,
                   const struct sock_options *options, uint32_t hash)
{
    struct tcp *t = c->sock.tcp;

    c->local = *local;
    c->remote = *remote;
    c->path = *path;
    net_path_label(t->net, &c->path, local, remote);
    tcp_conn_class(c, options->egress_class, options->dscp);
    tcp_buffer_init(c, options);
    c->keepalive = milliseconds(options->keepalive);
    c->user_timeout = milliseconds(options->user_timeout);
    if (c->user_timeout == 0)
        c->user_timeout = 120 * CLOCK_SEC / CLOCK_MS;
    c->nagle = options->nagle;
    c->quick_acks = t->config.quick_acks;
    c->rto = t->config.rto_initial;
    c->mss = c->peer_mss = TCP_DEFAULT_MSS;
    c->mss_max = options->mss != 0 ? options->mss : UINT16_MAX;
    c->path_generation = net_pmtu_generation(t->net);
    c->syn_window = (uint16_t)RTE_MIN(tcp_memory_receive_limit(c), 65535u);
    c->ts_offset = tcp_ts_offset(t, &local->addr, &remote->addr);
    c->progress_at = c->heard_at = c->challenge_due = tcp_tick_of(t->now);
    c->hash = hash;
    tcp_table_insert(&t->table, c);
}

void tcp_conn_class(struct tcp_conn *c, uint8_t egress_class, uint8_t dscp)
{
    assert(egress_class < EGRESS_CLASSES && dscp < 64);
    if (egress_class != c->path.egress_class)
        tcp_turn_move(c, egress_class);
    c->path.dscp = dscp;
}

void tcp_conn_state(struct tcp_conn *c, enum tcp_state state)
{
    struct tcp *t = c->sock.tcp;

    COUNTER_ADD(t->state_count[c->state], -1);
    COUNTER_ADD(t->state_count[state], 1);
    c->state = (uint8_t)state;
}

void tcp_conn_account(struct tcp_conn *c)
{
    uint32_t held = c->send_queue.segs + c->receive_queue.segs + c->run_segs;

    COUNTER_ADD(c->sock.tcp->held, held - c->held);
    c->held = held;
}

void tcp_conn_output(struct tcp_conn *c)
{
    if (c->output_pending || c->state == TCP_CLOSED)
        return;
    TAILQ_INSERT_TAIL(&c->sock.tcp->output, c, output_link);
    c->output_pending = true;
    c->sock.tcp->output_fresh = true;
}

static void leave_lists(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    tcp_turn_leave(c);
    if (c->output_pending)
        TAILQ_REMOVE(&t->output, c, output_link);
    tcp_memory_wait_end(c);
    if (c->in_time_wait)
        TAILQ_REMOVE(&t->time_waiters, c, queue_link);
    c->output_pending = false;
    c->in_time_wait = false;
    tcp_orphan_remove(c);
    tcp_listener_forget(c);
}

void tcp_conn_end(struct tcp_conn *c, enum sock_error error)
{
    struct tcp *t = c->sock.tcp;

    if (c->state == TCP_CLOSED)
        return;
    tcp_table_remove(&t->table, c);
    leave_lists(c);
    tcp_timer_stop_all(c);
    chain_free(&c->send_queue);
    tcp_sent_free(c);
    tcp_reassembly_free(c);
    /* What came may still be read after an orderly end, and after an error when a FIN had said that
     * it was all. Anything else would look complete though it may not be. */
    if (error != SOCK_OK && !c->fin_received)
        chain_free(&c->receive_queue);
    tcp_conn_account(c);
    tcp_conn_state(c, TCP_CLOSED);
    tcp_count(t, tcp_closed);
    c->error = (uint8_t)error;
    if (!c->sock.owned) {
        conn_free(c);
        return;
    }
    TAILQ_INSERT_TAIL(&t->dead, c, output_link);
    if (error != SOCK_OK)
        tcp_event_raise(&c->sock, EVENT_ERROR);
}

void tcp_conn_disown(struct tcp_conn *c)
{
    tcp_event_cancel(&c->sock);
    tcp_memory_wait_end(c);
    c->sock.owned = false;
    if (c->state == TCP_CLOSED) {
        TAILQ_REMOVE(&c->sock.tcp->dead, c, output_link);
        conn_free(c);
        return;
    }
    chain_free(&c->receive_queue);
    tcp_reassembly_free(c);
    tcp_conn_account(c);
    if (c->state == TCP_TIME_WAIT) {
        tcp_time_wait_unowned(c);
        return;
    }
    if (c->state == TCP_FIN_WAIT_2)
        tcp_timer_set(c, TCP_TIMER_KEEPALIVE, c->sock.tcp->now + c->sock.tcp->config.fin_wait_2);
    tcp_orphan_add(c);
}
