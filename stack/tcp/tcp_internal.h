/*
 * One stack's TCP, for the files of this folder. What each of them has for the others stands in the
 * header of its name, or of its concern: tcp_input.h, tcp_output.h, tcp_recovery.h, tcp_mtu.h.
 */
#ifndef STACK_TCP_TCP_INTERNAL_H
#define STACK_TCP_TCP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/pool.h"
#include "base/siphash.h"
#include "base/wheel.h"
#include "stack/counters.h"
#include "stack/net/net.h"
#include "stack/stack.h"
#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_turn.h"

struct tcp_cc;

TAILQ_HEAD(tcp_ready, sock);

LIST_HEAD(tcp_listeners, tcp_listener);

struct tcp {
    struct net *net;
    struct stack_counters *counters;
    clock_ns now;
    struct wheel wheel;
    struct tcp_table table;
    struct pool conns, runs, flights, sents;
    struct rte_mempool *data_pool;
    uint32_t held, held_max; /* mbufs in queues */
    struct siphash_key isn_key, port_key, ts_key, cookie_key, challenge_key;
    struct log_limit cookie_log, memory_log;
    bool memory_short; /* and the log says so */
    uint32_t port_counter;
    stack_owns_flow *owns_flow;
    void *owns_flow_ctx;
    clock_ns time_wait;
    const struct tcp_cc *cc;        /* the algorithm of congestion control */
    struct stack_tcp_config config; /* complete: defaults are filled in */
    struct tcp_listeners listeners;
    struct tcp_ready ready;
    struct tcp_conns output, memory_waiters;
    struct tcp_conns time_waiters, orphans; /* oldest first */
    uint32_t orphan_count;
    uint64_t challenge_second; /* that challenges_left is of */
    uint32_t challenges_left;
    struct tcp_conns dead; /* in CLOSED, but not yet closed by their owners: by output_link */
    bool output_fresh;     /* something was put on `output` since the last flush */
    bool starved;          /* the last flush found no mbufs for something */
    TAILQ_HEAD(, tcp_turn) turns;
    struct tcp_turn turn[STACK_MAX_IFACES][EGRESS_CLASSES];
    uint32_t state_count[TCP_TIME_WAIT + 1];
};

static inline uint32_t tcp_ts_now(const struct tcp_conn *c)
{
    return tcp_ts_at(c, c->sock.tcp->now);
}

#define tcp_count(t, name)      COUNTER_INC((t)->counters->name)
#define tcp_count_n(t, name, n) COUNTER_ADD((t)->counters->name, n)

#endif
