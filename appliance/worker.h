/*
 * A worker: one thread on one CPU with a whole stack, proxy and TLS context of its own, which runs
 * every packet to completion and shares nothing with its siblings but immutable snapshots.
 *
 * The main thread talks to it through its mailbox and the `stop` flag, and may read its counters
 * and gauges at any time between worker_await() and worker_join().
 */
#ifndef APPLIANCE_WORKER_H
#define APPLIANCE_WORKER_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "appliance/capture/capture.h"
#include "appliance/mailbox.h"
#include "appliance/memory.h"
#include "appliance/ports.h"
#include "appliance/punt.h"
#include "appliance/secrets.h"
#include "appliance/session_log/session_log.h"
#include "appliance/worker_snapshot.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/idle.h"
#include "firewall/firewall.h"
#include "proxy/proxy.h"
#include "scheduler/scheduler.h"
#include "stack/stack.h"
#include "tls/tls.h"

#define WORKER_COUNTERS(X)                                        \
    X(worker_rounds, "rounds of the loop")                        \
    X(worker_busy_rounds, "rounds in which packets came or went") \
    X(worker_busy_nanoseconds, "time that these rounds took")     \
    X(worker_sleeps, "times the worker slept for want of work")

COUNTER_STRUCT(worker_counters, WORKER_COUNTERS);
extern const struct counter_table worker_counter_table;

/* All of it outlives the worker, save where noted. */
struct worker_config {
    unsigned index, cpu;
    int numa_node; /* -1: the CPU's own */
    unsigned worker_count;
    const struct ports *ports;
    struct snapshot *snapshot; /* the first one; read while the worker is built */
    const struct memory_plan *memory;
    const struct secrets *secrets;
    struct session_log *session_log;
    struct firewall_ruleset *ruleset; /* the first one, as the snapshot; NULL: none */
    struct firewall_limits *limits;   /* of all workers */
};

/* The way out through one port: what its scheduler sends to. */
struct worker_port {
    struct io_port *io;
    unsigned worker;
    struct scheduler *scheduler;
    struct punt punt;
    unsigned index;               /* of the interface */
    struct capture_lane *capture; /* where its frames are copied to; NULL: nowhere */
};

/* Aligned so that two workers' counters never share a cache line. */
struct worker {
    alignas(64) struct worker_config config;
    char name[16]; /* "worker 0" */
    pthread_t thread;

    struct mailbox mailbox;
    atomic_bool stop;

    /* The worker thread's own; built by worker_setup.c. */
    bool entered;
    struct rte_mempool *data_pool;
    struct tls_worker *tls;
    struct firewall *firewall;
    struct worker_port port[STACK_MAX_IFACES];
    const struct classes *classes; /* whose shapers the ports' schedulers have */
    struct stack *stack;
    struct proxy *proxy;
    struct worker_snapshots snapshots;
    struct idle idle;
    struct worker_counters counters;
};

/* Starts the thread, which builds the worker and then runs its loop. Returns 0 or -1. */
int worker_launch(struct worker *w, const struct worker_config *config, struct error *e);

/* Waits until it is built: 0, or -1 with the cause; then it has to be joined. */
int worker_await(struct worker *w, struct error *e);

/* Tells it to end its sessions and leave; returns at once. */
void worker_stop(struct worker *w);
void worker_join(struct worker *w);

#endif
