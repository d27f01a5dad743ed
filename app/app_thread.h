/*
 * A stack thread: one stack on one CPU, its ports' queues, and the program's code inside it or the
 * channels to it. For app.c.
 */
#ifndef APP_APP_THREAD_H
#define APP_APP_THREAD_H

#include "app/app.h"

struct app_thread;

/* A port that all threads share. */
struct app_port {
    struct io_port *io;
    struct io_port_facts facts;
    char name[32];
    struct ip_prefix addrs[STACK_IFACE_ADDRS];
    unsigned addr_count;
};

/* All of it outlives the thread. */
struct app_thread_config {
    unsigned index, count, cpu;
    int numa_node;
    const struct app_port *ports;
    unsigned port_count;
    const struct stack_route *routes;
    unsigned route_count;
    uint32_t connections, buffers;
    clock_ns time_wait;
    struct stack_tcp_config tcp;
    const uint8_t *secret; /* stack_config.secret */
    struct app_inside inside;
};

/* Starts the thread and waits until its stack is there; NULL with the cause. */
struct app_thread *app_thread_start(const struct app_thread_config *config, struct error *e);

/* Tells it to end; app_thread_join() waits for that and frees it. */
void app_thread_stop(struct app_thread *t);
void app_thread_join(struct app_thread *t);

const struct stack *app_thread_stack(const struct app_thread *t);
clock_ns app_thread_busy(const struct app_thread *t); /* see app_busy() */

#endif
