/*
 * One TCP instance: how it begins and ends, and its round.
 *
 * Whatever may have something to send is put on tcp->output by tcp_conn_output(); tcp_flush() looks
 * at each once, after a whole burst was processed, so that one acknowledgement answers all the
 * segments of a connection in the burst. Data goes out in turns (tcp_turn.c); what has to be
 * acknowledged by then, and no data carried it, is acknowledged last.
 */
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_cc.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_input.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_listen.h"
#include "stack/tcp/tcp_memory.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_reassembly.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_turn.h"
#include "stack/wire/wire.h"

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

/* ---- the round ---- */

void tcp_flush(struct tcp *t, clock_ns now)
{
    struct tcp_conns late = TAILQ_HEAD_INITIALIZER(late);
    struct tcp_conn *c;

    t->now = now;
    wheel_advance(&t->wheel, now);
    tcp_memory_round(t);
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
