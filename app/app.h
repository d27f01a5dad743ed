/*
 * A program's own TCP/IP: ports, and stack threads that each run one stack (stack/stack.h) on a CPU
 * of its own. Flows are spread over the threads as over the appliance's workers (stack/io/io.h); a
 * connection stays on its thread for life.
 *
 * The program's code runs in one of two places:
 *
 *   inside    in the stack's thread, to completion: `app_inside` is called once a round and uses
 *             sockets directly (stack/socket.h, stack/event.h). No queue, no copy beyond the one
 *             of sock_read(); but what it takes of the CPU, the stack does not have, and while it
 *             computes or waits no packet moves.
 *   beside    in threads of the program's own, each with a channel (app/app_channel.h) to one
 *             stack thread: descriptors (app/app_socket.h), epoll-like readiness
 *             (app/app_epoll.h), or calls that wait (app/app_block.h). Such code may take its time.
 *
 * One struct app in a process: EAL can be started once.
 */
#ifndef APP_APP_H
#define APP_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/io/io.h"
#include "stack/stack.h"

#define APP_THREADS_MAX 32

struct app;

struct app_interface {
    const char *name; /* in log lines */
    enum io_device kind;
    const char *device;                        /* as io_port_config.device */
    uint16_t mtu;                              /* 0: the device's own */
    struct ip_prefix addrs[STACK_IFACE_ADDRS]; /* with the host's part */
    unsigned addr_count;
};

/*
 * Code inside the stack's thread. start() is called on each stack thread once its stack is there;
 * it returns 0 with its state for this thread in *state, or -1 with the cause, which fails
 * app_start(). round() is called after the packets of a round were taken and before what it wrote
 * is sent; it takes the events, and returns when it is to be called again at the latest though
 * nothing comes (CLOCK_NEVER: no need), or a time that has passed when it is not done and wants the
 * next round at once. stop() is called on the same thread at the end; sockets that it leaves open
 * are gone with the stack.
 */
struct app_inside {
    void *ctx;
    int (*start)(void *ctx, struct stack *s, unsigned thread, void **state, struct error *e);
    clock_ns (*round)(void *state, clock_ns now);
    void (*stop)(void *state);
};

/* Zero means the default named in the comment. Everything is copied. */
struct app_config {
    const struct app_interface *interfaces;
    unsigned interface_count; /* at most STACK_MAX_IFACES */
    const struct stack_route *routes;
    unsigned route_count;
    const unsigned *cpus; /* one stack thread on each */
    unsigned cpu_count;   /* 1 to APP_THREADS_MAX */
    unsigned main_cpu;    /* of EAL's own threads, which do no packets */
    enum io_hugepages hugepages;
    uint32_t connections; /* a thread, in any state; 16,384 */
    uint32_t buffers;     /* mbufs that the queues of a thread may hold; 32,768 */
    clock_ns link_wait;   /* how long app_start() waits for links that are down; then it goes on */
    clock_ns time_wait;   /* as stack_config.time_wait */
    struct stack_tcp_config tcp;
    struct app_inside inside; /* all zeros: the program's code runs beside */
};

/* Starts everything, or nothing: NULL with the cause in *e. */
struct app *app_start(const struct app_config *config, struct error *e);

/* Ends it. All channels are detached before. Connections that have bytes or a FIN to send are given
 * a second for it. */
void app_stop(struct app *a);

unsigned app_thread_count(const struct app *a);

/* False while the link of an interface is down; asked of the device. */
bool app_links_up(const struct app *a);

/* Of one stack thread; may be read by any thread. */
const struct stack_counters *app_counters(const struct app *a, unsigned thread);
void app_usage(const struct app *a, unsigned thread, struct stack_usage *out);

/* The time that a stack thread has spent in rounds in which packets came or went. The thread polls,
 * so that its CPU time says nothing about work. */
clock_ns app_busy(const struct app *a, unsigned thread);

#endif
