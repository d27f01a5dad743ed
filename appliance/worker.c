/*
 * Theory of operation: a round reads the clock once and carries every packet that came all the way
 * through: receive burst, firewall and stack, sessions, timers and output, transmit burst. Between
 * two rounds the worker looks into its mailbox and, when there was nothing to do, rests.
 *
 * When it is told to stop, it resets its sessions and keeps turning for a few rounds, so that the
 * last segments leave also through a sibling that owns the device's queue.
 */
#include "appliance/worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "appliance/worker_setup.h"

#define WORKER_BURST      64
#define WORKER_LAST_TURNS 10
#define WORKER_START_TIME (60 * CLOCK_SEC)

COUNTER_TABLE(worker_counter_table, WORKER_COUNTERS);

static void worker_input(struct worker *w, unsigned port, struct rte_mbuf **frames, unsigned count,
                         clock_ns now)
{
    struct capture_lane *lane = w->port[port].capture;

    if (unlikely(lane != NULL))
        capture_received(lane, port, frames, count);
    stack_input(w->stack, port, frames, count, now);
}

/* Each of the interfaces on a device gets its VLAN's frames in their order, the device's owner also
 * those of no interface. */
static void worker_sort(struct worker *w, unsigned device, struct rte_mbuf **burst, unsigned count,
                        clock_ns now)
{
    const struct ports *ports = w->config.ports;
    struct rte_mbuf *own[WORKER_BURST];
    unsigned of[WORKER_BURST];

    for (unsigned i = 0; i < count; i++)
        of[i] = ports_of_vlan(ports, device, stack_frame_vlan(burst[i]));
    for (unsigned port = device; port < ports->count; port++) {
        unsigned n = 0;

        if (ports->port[port].device != device)
            continue;
        for (unsigned i = 0; i < count; i++) {
            if (of[i] == port)
                own[n++] = burst[i];
        }
        if (n > 0)
            worker_input(w, port, own, n, now);
    }
}

static unsigned worker_receive_device(struct worker *w, unsigned device, clock_ns now)
{
    struct rte_mbuf *burst[WORKER_BURST];
    unsigned n = io_port_receive(w->port[device].io, w->config.index, burst, WORKER_BURST);

    if (n > 0 && w->config.ports->port[device].shared)
        worker_sort(w, device, burst, n, now);
    else if (n > 0)
        worker_input(w, device, burst, n, now);
    return n;
}

static unsigned worker_receive(struct worker *w, clock_ns now)
{
    unsigned total = 0;

    for (unsigned i = 0; i < w->config.ports->count; i++) {
        if (w->config.ports->port[i].device == i)
            total += worker_receive_device(w, i, now);
        total += punt_receive(&w->port[i].punt, w->stack, i, now);
    }
    return total;
}

/* Returns how many frames the devices took. A device that takes none, as when its link is down, is
 * no reason to stay awake. Who is first changes from round to round: interfaces on one device would
 * else leave it to the first of them when it is slow. */
static uint32_t worker_transmit(struct worker *w, clock_ns now)
{
    unsigned count = w->config.ports->count;
    unsigned first = (unsigned)(w->counters.worker_rounds % count);
    uint32_t sent = 0;

    for (unsigned k = 0; k < count; k++) {
        unsigned i = first + k < count ? first + k : first + k - count;
        struct scheduler *s = w->port[i].scheduler;
        uint32_t waiting = scheduler_waiting(s);

        punt_flush(&w->port[i].punt);
        if (waiting > 0)
            sent += waiting - scheduler_flush(s, now);
    }
    return sent;
}

/* Returns whether packets came or went. */
static bool worker_round(struct worker *w, clock_ns now, unsigned *received)
{
    uint32_t sent;

    *received = worker_receive(w, now);
    proxy_run(w->proxy, now);
    stack_flush(w->stack, now);
    sent = worker_transmit(w, now);
    COUNTER_INC(w->counters.worker_rounds);
    return *received > 0 || sent > 0;
}

static void worker_sleep(clock_ns duration)
{
    struct timespec ts = {.tv_nsec = (long)duration};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static clock_ns worker_deadline(const struct worker *w)
{
    clock_ns stack = stack_deadline(w->stack), proxy = proxy_deadline(w->proxy);
    clock_ns deadline = RTE_MIN(stack, proxy);

    for (unsigned i = 0; i < w->config.ports->count; i++) {
        clock_ns egress = scheduler_deadline(w->port[i].scheduler);

        deadline = RTE_MIN(deadline, egress);
    }
    return deadline;
}

static void worker_rest(struct worker *w, clock_ns now)
{
    clock_ns duration = idle_sleep(&w->idle, now, worker_deadline(w));

    if (duration == 0)
        return;
    COUNTER_INC(w->counters.worker_sleeps);
    worker_sleep(duration);
}

/* The shapers of all ports, or of none. Going back to those that a scheduler had takes no memory,
 * so that it succeeds. */
static int worker_classes_apply(struct worker *w, const struct classes *next, struct error *e)
{
    for (unsigned i = 0; i < w->config.ports->count; i++) {
        if (scheduler_apply(w->port[i].scheduler, next->shaper[i], e) == 0)
            continue;
        while (i-- > 0)
            scheduler_apply(w->port[i].scheduler, w->classes->shaper[i], NULL);
        return -1;
    }
    w->classes = next;
    return 0;
}

static int worker_apply(struct worker *w, struct worker_snapshot *next, struct error *e)
{
    const struct classes *former = w->classes;

    if (worker_classes_apply(w, next->shared->classes, e) < 0)
        return -1;
    if (proxy_apply(w->proxy, &next->proxy, e) == 0)
        return 0;
    worker_classes_apply(w, former, NULL);
    return -1;
}

static void worker_capture(struct worker *w, const struct mailbox_message *m)
{
    for (unsigned i = 0; i < w->config.ports->count; i++)
        w->port[i].capture = m->only < 0 || m->only == (int)i ? m->lane : NULL;
}

static void worker_message(struct worker *w)
{
    const struct mailbox_message *m = &w->mailbox.message;
    struct error e = {0};
    int result = 0;

    switch (m->kind) {
    case MAILBOX_START:
        break;
    case MAILBOX_APPLY:
        result = worker_apply(w, m->snapshot, &e);
        break;
    case MAILBOX_FIREWALL:
        result = firewall_apply(w->firewall, m->ruleset, &e);
        break;
    case MAILBOX_DRAIN:
        proxy_drain(w->proxy, m->deadline);
        break;
    case MAILBOX_CAPTURE:
        worker_capture(w, m);
        break;
    case MAILBOX_SESSIONS:
        m->sessions->count =
            proxy_sessions(w->proxy, m->sessions->id, m->sessions->record, m->sessions->max);
        break;
    case MAILBOX_SESSION:
        m->sessions->count = proxy_session_find(w->proxy, m->sessions->id, m->sessions->record);
        break;
    }
    error_prefix(&e, "%s", w->name);
    mailbox_acknowledge(&w->mailbox, result, &e);
}

/* A worker polls, so the CPU time of its thread says nothing about work; this does. */
static void worker_account(struct worker *w, clock_ns duration)
{
    COUNTER_INC(w->counters.worker_busy_rounds);
    COUNTER_ADD(w->counters.worker_busy_nanoseconds, duration);
}

static void worker_loop(struct worker *w)
{
    clock_ns now = clock_now();

    /* What the main thread has read of the worker, it has read before it says stop. */
    while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
        unsigned received;
        bool busy = worker_round(w, now, &received);
        clock_ns begun = now;

        if (busy)
            idle_busy(&w->idle, now, received);
        else
            worker_rest(w, now);
        if (mailbox_pending(&w->mailbox))
            worker_message(w);
        now = clock_now();
        if (busy)
            worker_account(w, now - begun);
    }
}

static void worker_wind_down(struct worker *w)
{
    proxy_destroy(w->proxy);
    w->proxy = NULL;
    for (unsigned turn = 0; turn < WORKER_LAST_TURNS; turn++) {
        clock_ns now = clock_now();

        worker_receive(w, now);
        stack_flush(w->stack, now);
        worker_transmit(w, now);
        worker_sleep(CLOCK_MS);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct error e = {0};
    int result;

    pthread_setname_np(pthread_self(), w->name);
    prctl(PR_SET_TIMERSLACK, 1ul); /* the default, 50 us, is longer than the shortest sleep */
    result = worker_setup(w, &e);
    mailbox_acknowledge(&w->mailbox, result, &e);
    if (result < 0)
        return NULL;
    worker_loop(w);
    worker_wind_down(w);
    worker_teardown(w);
    return NULL;
}

int worker_launch(struct worker *w, const struct worker_config *config, struct error *e)
{
    int err;

    memset(w, 0, sizeof *w);
    w->config = *config;
    snprintf(w->name, sizeof w->name, "worker %u", config->index);
    atomic_init(&w->stop, false);
    mailbox_init(&w->mailbox);
    err = pthread_create(&w->thread, NULL, worker_main, w);
    if (err != 0) {
        mailbox_fini(&w->mailbox);
        return error_set(e, "cannot start %s: %s", w->name, strerror(err));
    }
    return 0;
}

int worker_await(struct worker *w, struct error *e)
{
    return mailbox_wait(&w->mailbox, WORKER_START_TIME, e);
}

void worker_stop(struct worker *w)
{
    atomic_store_explicit(&w->stop, true, memory_order_release);
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
    mailbox_fini(&w->mailbox);
}
