/*
 * A round is that of the appliance's workers, with the program in the proxy's place: packets in,
 * then the program's code or its requests and the events for it, then timers, output and packets
 * out. A thread with nothing to do rests as a worker does (base/idle.h), but on its bell, so that a
 * request ends the rest.
 */
#include "app/app_thread.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <rte_common.h>

#include "app/app_internal.h"
#include "base/counter.h"
#include "base/idle.h"
#include "scheduler/scheduler.h"

#define THREAD_BURST      64
#define THREAD_EVENTS     64
#define THREAD_LAST_TURNS 10
#define THREAD_LAST_TIME  CLOCK_SEC

struct thread_port {
    struct io_port *io;
    unsigned thread;
    struct scheduler *scheduler;
};

struct app_thread {
    alignas(64) struct app_thread_config config;
    char name[16];
    pthread_t thread;
    sem_t started;
    int result;
    struct error error;
    atomic_bool stop;
    struct app_bell bell;
    _Atomic(struct app_channel *) channel[APP_CHANNELS_MAX]; /* NULL: free */

    /* The thread's own. */
    bool entered;
    struct rte_mempool *data_pool;
    struct thread_port port[STACK_MAX_IFACES];
    struct stack *stack;
    void *inside; /* its state, once started */
    bool inside_started;
    struct idle idle;
    uint64_t busy; /* ns; as a counter */
};

/* ---- building ---- */

static uint16_t port_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    const struct thread_port *p = ctx;

    return (uint16_t)io_port_transmit(p->io, p->thread, frames, count);
}

static int setup_schedulers(struct app_thread *t, struct error *e)
{
    for (unsigned i = 0; i < t->config.port_count; i++) {
        struct thread_port *p = &t->port[i];
        const struct scheduler_config config = {.send = port_send, .send_ctx = p};

        p->io = t->config.ports[i].io;
        p->thread = t->config.index;
        p->scheduler = scheduler_create(&config, e);
        if (p->scheduler == NULL)
            return -1;
    }
    return 0;
}

/* The same answer from every port: each has as many workers as there are threads. */
static bool owns_flow(void *ctx, const struct ip_endpoint *remote, const struct ip_endpoint *local)
{
    const struct app_thread *t = ctx;

    return io_port_worker_of(t->port[0].io, remote, local) == t->config.index;
}

static int setup_stack(struct app_thread *t, struct error *e)
{
    struct stack_config config = {
        .name = t->name,
        .max_connections = t->config.connections,
        .max_buffers = t->config.buffers,
        .data_pool = t->data_pool,
        .owns_flow = t->config.count > 1 ? owns_flow : NULL,
        .owns_flow_ctx = t,
        .time_wait = t->config.time_wait,
        .tcp = t->config.tcp,
    };

    memcpy(config.secret, t->config.secret, sizeof config.secret);
    t->stack = stack_create(&config, clock_now(), e);
    explicit_bzero(config.secret, sizeof config.secret);
    return t->stack != NULL ? 0 : -1;
}

static int setup_iface(struct app_thread *t, unsigned index, struct error *e)
{
    const struct app_port *p = &t->config.ports[index];
    struct stack_iface_config config = {
        .name = p->name,
        .mtu = p->facts.mtu,
        .offloads = p->facts.offloads,
        .tx_pool = io_port_tx_pool(p->io, t->config.index),
        .egress = scheduler_egress(t->port[index].scheduler),
        .addr_count = p->addr_count,
        .follower = t->config.index > 0,
    };

    memcpy(config.mac, p->facts.mac, sizeof config.mac);
    memcpy(config.addrs, p->addrs, sizeof config.addrs);
    return stack_iface_add(t->stack, &config, e) < 0 ? -1 : 0;
}

static int setup_network(struct app_thread *t, struct error *e)
{
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < t->config.port_count; i++) {
        if (setup_iface(t, i, e) < 0)
            return -1;
    }
    for (unsigned i = 0; i < t->config.route_count; i++) {
        if (stack_route_add(t->stack, &t->config.routes[i], e) < 0)
            return error_prefix(e, "route to %s", ip_prefix_format(&t->config.routes[i].to, text));
    }
    return 0;
}

static int setup_inside(struct app_thread *t, struct error *e)
{
    const struct app_inside *inside = &t->config.inside;

    if (inside->round == NULL)
        return 0;
    if (inside->start(inside->ctx, t->stack, t->config.index, &t->inside, e) < 0)
        return -1;
    t->inside_started = true;
    return 0;
}

static void thread_teardown(struct app_thread *t)
{
    if (t->stack != NULL)
        stack_destroy(t->stack);
    for (unsigned i = 0; i < t->config.port_count; i++) {
        if (t->port[i].scheduler != NULL)
            scheduler_destroy(t->port[i].scheduler);
    }
    if (t->entered)
        io_worker_leave();
}

static int thread_setup(struct app_thread *t, struct error *e)
{
    uint32_t mbufs = io_data_pool_size(t->config.buffers, t->config.port_count);

    if (io_worker_enter(t->config.cpu, t->config.numa_node, e) < 0)
        return error_prefix(e, "%s", t->name);
    t->entered = true;
    t->data_pool = io_data_pool_create(t->config.index, mbufs, e);
    if (t->data_pool == NULL || setup_schedulers(t, e) < 0 || setup_stack(t, e) < 0 ||
        setup_network(t, e) < 0 || setup_inside(t, e) < 0) {
        thread_teardown(t);
        return error_prefix(e, "%s", t->name);
    }
    return 0;
}

/* ---- the round ---- */

static unsigned thread_receive(struct app_thread *t, clock_ns now)
{
    struct rte_mbuf *burst[THREAD_BURST];
    unsigned total = 0;

    for (unsigned i = 0; i < t->config.port_count; i++) {
        unsigned n = io_port_receive(t->port[i].io, t->config.index, burst, THREAD_BURST);

        if (n > 0)
            stack_input(t->stack, i, burst, n, now);
        total += n;
    }
    return total;
}

/* Returns how many frames the devices took. */
static uint32_t thread_transmit(struct app_thread *t, clock_ns now)
{
    uint32_t sent = 0;

    for (unsigned i = 0; i < t->config.port_count; i++) {
        uint32_t waiting = scheduler_waiting(t->port[i].scheduler);

        if (waiting > 0)
            sent += waiting - scheduler_flush(t->port[i].scheduler, now);
    }
    return sent;
}

static void serve_events(struct app_thread *t)
{
    struct event event;

    while (event_next(t->stack, &event))
        app_serve_event(&event);
}

static struct app_channel *channel_of(struct app_thread *t, unsigned slot)
{
    return atomic_load_explicit(&t->channel[slot], memory_order_acquire);
}

/* Frees the slot; the program frees the channel as soon as it is told. */
static void forget_channel(struct app_thread *t, unsigned slot, struct app_channel *c)
{
    atomic_store_explicit(&t->channel[slot], NULL, memory_order_relaxed);
    atomic_store_explicit(&c->gone, true, memory_order_release);
}

/* Requests of all channels, and events for them. Returns how many requests there were. */
static uint32_t serve_channels(struct app_thread *t, clock_ns now)
{
    struct app_channel *c;
    uint32_t requests = 0;

    for (unsigned i = 0; i < APP_CHANNELS_MAX; i++) {
        c = channel_of(t, i);
        if (c == NULL)
            continue;
        requests += app_serve_requests(c, now);
    }
    serve_events(t);
    for (unsigned i = 0; i < APP_CHANNELS_MAX; i++) {
        c = channel_of(t, i);
        if (c == NULL)
            continue;
        if (c->linger_until != 0 && c->live == 0)
            forget_channel(t, i, c);
        else
            app_serve_wake(c);
    }
    return requests;
}

static clock_ns run_program(struct app_thread *t, clock_ns now, bool *busy)
{
    if (t->inside_started)
        return t->config.inside.round(t->inside, now);
    *busy |= serve_channels(t, now) > 0;
    return CLOCK_NEVER;
}

static bool thread_pending(struct app_thread *t)
{
    for (unsigned i = 0; i < APP_CHANNELS_MAX; i++) {
        const struct app_channel *c = channel_of(t, i);

        if (c != NULL && app_serve_pending(c))
            return true;
    }
    return false;
}

static void thread_rest(struct app_thread *t, clock_ns now, clock_ns program)
{
    clock_ns deadline = RTE_MIN(stack_deadline(t->stack), program), duration;

    for (unsigned i = 0; i < t->config.port_count; i++) {
        clock_ns egress = scheduler_deadline(t->port[i].scheduler);

        deadline = RTE_MIN(deadline, egress);
    }
    duration = idle_sleep(&t->idle, now, deadline);
    if (duration == 0)
        return;
    app_bell_arm(&t->bell);
    if (thread_pending(t))
        app_bell_disarm(&t->bell);
    else
        app_bell_sleep(&t->bell, duration);
}

static void thread_loop(struct app_thread *t)
{
    clock_ns now = clock_now();

    while (!atomic_load_explicit(&t->stop, memory_order_acquire)) {
        clock_ns begun = now, program;
        unsigned received = thread_receive(t, now);
        bool busy = received > 0;

        program = run_program(t, now, &busy);
        stack_flush(t->stack, now);
        busy |= thread_transmit(t, now) > 0;
        if (busy)
            idle_busy(&t->idle, now, received);
        else
            thread_rest(t, now, program);
        now = clock_now();
        if (busy)
            COUNTER_ADD(t->busy, now - begun);
    }
}

/* ---- the end ---- */

/* Connections that have something to send, or to be acknowledged. */
static uint32_t unfinished(const struct app_thread *t)
{
    struct stack_usage usage;

    stack_usage(t->stack, &usage);
    return usage.connections[TCP_FIN_WAIT_1] + usage.connections[TCP_CLOSING] +
           usage.connections[TCP_LAST_ACK];
}

static void thread_wind_down(struct app_thread *t)
{
    clock_ns now = clock_now(), end = now + THREAD_LAST_TIME;

    if (t->inside_started)
        t->config.inside.stop(t->inside);
    for (unsigned turn = 0; turn < THREAD_LAST_TURNS || (unfinished(t) > 0 && now < end); turn++) {
        now = clock_now();
        thread_receive(t, now);
        stack_flush(t->stack, now);
        thread_transmit(t, now);
        app_bell_arm(&t->bell);
        app_bell_sleep(&t->bell, CLOCK_MS);
    }
}

/* ---- life ---- */

static void *thread_main(void *arg)
{
    struct app_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    prctl(PR_SET_TIMERSLACK, 1ul); /* the default, 50 us, is longer than the shortest sleep */
    t->result = thread_setup(t, &t->error);
    sem_post(&t->started);
    if (t->result < 0)
        return NULL;
    thread_loop(t);
    thread_wind_down(t);
    thread_teardown(t);
    return NULL;
}

static void thread_free(struct app_thread *t)
{
    app_bell_close(&t->bell);
    sem_destroy(&t->started);
    free(t);
}

struct app_thread *app_thread_start(const struct app_thread_config *config, struct error *e)
{
    struct app_thread *t = aligned_alloc(alignof(struct app_thread), sizeof *t);
    int err;

    if (t == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->config = *config;
    snprintf(t->name, sizeof t->name, "stack %u", config->index);
    if (app_bell_open(&t->bell, e) < 0) {
        free(t);
        return NULL;
    }
    sem_init(&t->started, 0, 0);
    err = pthread_create(&t->thread, NULL, thread_main, t);
    if (err != 0) {
        error_set(e, "cannot start %s: %s", t->name, strerror(err));
        thread_free(t);
        return NULL;
    }
    while (sem_wait(&t->started) < 0)
        ; /* EINTR */
    if (t->result == 0)
        return t;
    pthread_join(t->thread, NULL);
    error_set(e, "%s", t->error.text);
    thread_free(t);
    return NULL;
}

void app_thread_stop(struct app_thread *t)
{
    atomic_store_explicit(&t->stop, true, memory_order_release);
}

void app_thread_join(struct app_thread *t)
{
    pthread_join(t->thread, NULL);
    thread_free(t);
}

const struct stack *app_thread_stack(const struct app_thread *t)
{
    return t->stack;
}

clock_ns app_thread_busy(const struct app_thread *t)
{
    return counter_read(&t->busy, 0);
}

int app_thread_attach(struct app_thread *t, struct app_channel *c)
{
    if (t->inside_started)
        return -1;
    c->stack = t->stack;
    for (unsigned i = 0; i < APP_CHANNELS_MAX; i++) {
        struct app_channel *none = NULL;

        if (atomic_compare_exchange_strong(&t->channel[i], &none, c))
            return 0;
    }
    return -1;
}

struct app_bell *app_thread_bell(struct app_thread *t)
{
    return &t->bell;
}
