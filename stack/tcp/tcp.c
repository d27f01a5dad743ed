/*
 * Life of the connection blocks, and the round of one TCP instance.
 *
 * Whatever may have something to send is put on tcp->output by tcp_conn_output(); tcp_flush() looks
 * at each once, after a whole burst was processed, so that one acknowledgement answers all the
 * segments of a connection in the burst. Data goes out in turns (tcp_turn.c); what has to be
 * acknowledged by then, and no data carried it, is acknowledged last.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_sent.h"

/* Distinct keys for distinct purposes, all from the one secret of the configuration. */
static struct siphash_key derive_key(const uint8_t secret[16], const char *purpose)
{
    struct siphash_key master, derived;
    char label[32] = {0};

    memcpy(&master, secret, sizeof master);
    strncpy(label, purpose, sizeof label - 2);
    derived.k0 = siphash(label, sizeof label, &master);
    label[sizeof label - 1] = 1;
    derived.k1 = siphash(label, sizeof label, &master);
    return derived;
}

/* The least with which the field can say so much (RFC 7323, 2.2), but not below the usual. */
static uint8_t window_scale(uint32_t buffer)
{
    uint8_t scale = TCP_WINDOW_SCALE;

    while (scale < TCP_WINDOW_SCALE_MAX && 65535u << scale < buffer)
        scale++;
    return scale;
}

/* What was left to us. */
static struct stack_tcp_config complete(const struct stack_config *config)
{
    struct stack_tcp_config c = config->tcp;

    c.initial_window = c.initial_window != 0 ? c.initial_window : TCP_INITIAL_SEGMENTS;
    c.abc_limit = c.abc_limit != 0 ? c.abc_limit : TCP_ABC_LIMIT;
    c.quick_acks = c.quick_acks != 0 ? c.quick_acks : TCP_QUICK_ACKS;
    c.syn_retries = c.syn_retries != 0 ? c.syn_retries : TCP_SYN_RETRIES;
    c.synack_retries = c.synack_retries != 0 ? c.synack_retries : TCP_SYNACK_RETRIES;
    c.rto_initial = c.rto_initial != 0 ? c.rto_initial : TCP_RTO_INITIAL;
    c.rto_min = c.rto_min != 0 ? c.rto_min : TCP_RTO_MIN;
    c.delayed_ack = c.delayed_ack != 0 ? c.delayed_ack : TCP_DELAYED_ACK;
    c.fin_wait_2 = c.fin_wait_2 != 0 ? c.fin_wait_2 : TCP_FIN_WAIT_2_TIME;
    c.orphans_max = c.orphans_max != 0 ? c.orphans_max : config->max_connections / 8 + 1;
    c.receive_buffer_max = c.receive_buffer_max != 0 ? c.receive_buffer_max : TCP_RECEIVE_BUFFER;
    if (c.window_scale == 0)
        c.window_scale = window_scale(c.receive_buffer_max);
    c.send_buffer_max = c.send_buffer_max != 0 ? c.send_buffer_max : TCP_SEND_BUFFER;
    return c;
}

struct tcp *tcp_create(const struct stack_config *config, struct net *net,
                       struct stack_counters *counters, clock_ns now, struct error *e)
{
    struct siphash_key table_key = derive_key(config->secret, "flow table");
    struct tcp *t = calloc(1, sizeof *t);
    uint32_t runs = config->max_buffers / 4 + 64;

    if (t == NULL) {
        error_set(e, "out of memory for TCP");
        return NULL;
    }
    t->net = net;
    t->counters = counters;
    t->now = now;
    t->data_pool = config->data_pool;
    t->held_max = config->max_buffers;
    t->isn_key = derive_key(config->secret, "initial sequence numbers");
    t->port_key = derive_key(config->secret, "source ports");
    t->cookie_key = derive_key(config->secret, "SYN cookies");
    t->ts_key = derive_key(config->secret, "timestamps");
    t->challenge_key = derive_key(config->secret, "challenge ACKs");
    t->owns_flow = config->owns_flow;
    t->owns_flow_ctx = config->owns_flow_ctx;
    t->config = complete(config);
    t->cc = tcp_cc_find(t->config.congestion);
    t->time_wait = config->time_wait != 0 ? config->time_wait : TCP_TIME_WAIT_DEFAULT;
    wheel_init(&t->wheel, now);
    LIST_INIT(&t->listeners);
    TAILQ_INIT(&t->ready);
    TAILQ_INIT(&t->output);
    TAILQ_INIT(&t->memory_waiters);
    TAILQ_INIT(&t->time_waiters);
    TAILQ_INIT(&t->orphans);
    TAILQ_INIT(&t->dead);
    tcp_turn_init(t);
    if (pool_init(&t->conns, sizeof(struct tcp_conn), config->max_connections) < 0 ||
        pool_init(&t->runs, sizeof(struct tcp_run), runs) < 0 ||
        pool_init(&t->flights, sizeof(struct tcp_flight), config->max_connections) < 0 ||
        pool_init(&t->sents, sizeof(struct tcp_sent),
                  config->max_buffers + config->max_connections) < 0 ||
        tcp_table_init(&t->table, config->max_connections, &table_key) < 0) {
        error_set(e, "out of memory for %u connections", config->max_connections);
        tcp_destroy(t);
        return NULL;
    }
    net_handler_set(net, WIRE_IP_PROTO_TCP, tcp_input, tcp_input_error, t);
    net_reject_set(net, WIRE_IP_PROTO_TCP, tcp_input_rejected);
    return t;
}

static void conn_release(struct tcp_conn *c)
{
    chain_free(&c->send_queue);
    chain_free(&c->receive_queue);
    tcp_reassembly_free(c);
}

void tcp_destroy(struct tcp *t)
{
    struct tcp_listener *l;
    struct tcp_conn *c;

    if (t == NULL)
        return;
    while ((l = LIST_FIRST(&t->listeners)) != NULL) {
        LIST_REMOVE(l, link);
        free(l);
    }
    for (uint32_t b = 0; t->table.bucket != NULL && b <= t->table.mask; b++) {
        for (c = t->table.bucket[b]; c != NULL; c = c->hash_next)
            conn_release(c);
    }
    TAILQ_FOREACH (c, &t->dead, output_link)
        conn_release(c);
    tcp_table_fini(&t->table);
    pool_fini(&t->runs);
    pool_fini(&t->flights);
    pool_fini(&t->sents);
    pool_fini(&t->conns);
    free(t);
}

void tcp_now_set(struct tcp *t, clock_ns now)
{
    t->now = now;
}

/* ---- events ---- */

void tcp_event_raise(struct sock *k, uint32_t what)
{
    k->events |= what;
    if (!k->attached || k->ready)
        return;
    TAILQ_INSERT_TAIL(&k->tcp->ready, k, ready_link);
    k->ready = true;
}

bool tcp_event_next(struct tcp *t, struct event *out)
{
    struct sock *k = TAILQ_FIRST(&t->ready);

    if (k == NULL)
        return false;
    TAILQ_REMOVE(&t->ready, k, ready_link);
    k->ready = false;
    *out = (struct event){.sock = k, .user = k->user, .what = k->events};
    k->events = 0;
    return true;
}

static void event_cancel(struct sock *k)
{
    if (k->ready)
        TAILQ_REMOVE(&k->tcp->ready, k, ready_link);
    k->ready = false;
    k->attached = false;
}

/* ---- connection blocks ---- */

static void conn_free(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    event_cancel(&c->sock);
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
                   const struct sock_options *options)
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
    c->syn_window = (uint16_t)RTE_MIN(tcp_receive_limit(c), 65535u);
    c->ts_offset = tcp_ts_offset(t, &local->addr, &remote->addr);
    c->progress_at = c->heard_at = c->challenge_due = tcp_tick_of(t->now);
    c->hash = tcp_table_hash(&t->table, local, remote);
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

static void memory_wait_end(struct tcp_conn *c)
{
    if (c->memory_waiting)
        TAILQ_REMOVE(&c->sock.tcp->memory_waiters, c, memory_link);
    c->memory_waiting = false;
}

static void leave_lists(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    tcp_turn_leave(c);
    if (c->output_pending)
        TAILQ_REMOVE(&t->output, c, output_link);
    memory_wait_end(c);
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
    event_cancel(&c->sock);
    memory_wait_end(c);
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

/* ---- the round ---- */

/* Writers that found the buffer budget exhausted are told when an eighth of it is free again. */
static void wake_memory_waiters(struct tcp *t)
{
    struct tcp_conn *c;

    if (t->held > t->held_max - t->held_max / 8)
        return;
    while ((c = TAILQ_FIRST(&t->memory_waiters)) != NULL) {
        memory_wait_end(c);
        if (c->want_write) {
            c->want_write = false;
            tcp_event_raise(&c->sock, EVENT_WRITABLE);
        }
    }
}

/* Says so once when queues have shrunk to their least, and when there is room again. */
static void watch_memory(struct tcp *t)
{
    uint32_t suppressed;

    if (!t->memory_short && t->held > t->held_max / 4 * 3 &&
        log_limit_pass(&t->memory_log, t->now, &suppressed)) {
        t->memory_short = true;
        log_warn("tcp",
                 "packet buffers run short: %u of %u are in use, windows are closing; more come "
                 "with limits.buffer-memory",
                 t->held, t->held_max);
    } else if (t->memory_short && t->held < t->held_max / 2) {
        t->memory_short = false;
        log_info("tcp", "packet buffers suffice again: %u of %u are in use", t->held, t->held_max);
    }
}

void tcp_flush(struct tcp *t, clock_ns now)
{
    struct tcp_conns late = TAILQ_HEAD_INITIALIZER(late);
    struct tcp_conn *c;

    t->now = now;
    wheel_advance(&t->wheel, now);
    if (!TAILQ_EMPTY(&t->memory_waiters))
        wake_memory_waiters(t);
    watch_memory(t);
    while ((c = TAILQ_FIRST(&t->output)) != NULL) {
        TAILQ_REMOVE(&t->output, c, output_link);
        c->output_pending = !tcp_output(c);
        if (c->output_pending)
            TAILQ_INSERT_TAIL(&late, c, output_link);
    }
    t->starved = !TAILQ_EMPTY(&t->turns) && !tcp_turn_flush(t);
    while ((c = TAILQ_FIRST(&late)) != NULL) {
        TAILQ_REMOVE(&late, c, output_link);
        c->output_pending = !tcp_output_bare(c);
        if (c->output_pending)
            TAILQ_INSERT_TAIL(&t->output, c, output_link);
    }
    t->output_fresh = false;
}

clock_ns tcp_deadline(const struct tcp *t)
{
    clock_ns next = wheel_next(&t->wheel);

    if (!TAILQ_EMPTY(&t->ready) || t->output_fresh)
        return t->now;
    /* Nothing tells when there are mbufs again, so look soon. */
    if (t->starved || !TAILQ_EMPTY(&t->output))
        return RTE_MIN(next, t->now + TCP_STARVED_RETRY);
    return tcp_turn_possible(t) ? t->now : next;
}

void tcp_usage(const struct tcp *t, struct stack_usage *out)
{
    for (unsigned s = 0; s <= TCP_TIME_WAIT; s++)
        out->connections[s] = __atomic_load_n(&t->state_count[s], __ATOMIC_RELAXED);
    out->connections_used = __atomic_load_n(&t->conns.used, __ATOMIC_RELAXED);
    out->connections_max = t->conns.capacity;
    out->orphans = __atomic_load_n(&t->orphan_count, __ATOMIC_RELAXED);
    out->buffers_used = __atomic_load_n(&t->held, __ATOMIC_RELAXED);
    out->buffers_max = t->held_max;
}
