/*
 * The egress hook of one interface of one worker: frames wait here for the device, control ahead
 * of data, in bounded queues. When the device is slower than the stack, the stack is told that
 * there is no room (back-pressure on our own TCP) instead of frames being dropped.
 *
 * Not here yet: classes, shaping, fairness.
 */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include <stdint.h>

#include "base/counter.h"
#include "base/error.h"
#include "stack/hooks.h"

struct scheduler;
struct rte_mbuf;

/* The device below: takes the first n frames and returns n (as rte_eth_tx_burst()). */
typedef uint16_t scheduler_send(void *ctx, struct rte_mbuf **frames, uint16_t count);

struct scheduler_config {
    uint32_t control_max, data_max; /* frames; 0: 1,024 each */
    scheduler_send *send;
    void *send_ctx;
};

#define SCHEDULER_COUNTERS(X)                                                           \
    X(scheduler_sent, "frames given to the device")                                     \
    X(scheduler_control_dropped, "control frames dropped because their queue was full") \
    X(scheduler_data_dropped, "data frames dropped because their queue was full")       \
    X(scheduler_device_full, "times the device took fewer frames than offered")

COUNTER_STRUCT(scheduler_counters, SCHEDULER_COUNTERS);
extern const struct counter_table scheduler_counter_table;

struct scheduler *scheduler_create(const struct scheduler_config *config, struct error *e);
void scheduler_destroy(struct scheduler *s); /* frees what waits */

/* The stack's side: hand it to stack_iface_add(). */
struct stack_egress scheduler_egress(struct scheduler *s);

/* Offers what waits to the device, in one burst where possible. Returns frames still waiting. */
uint32_t scheduler_flush(struct scheduler *s);

uint32_t scheduler_waiting(const struct scheduler *s);
const struct scheduler_counters *scheduler_counters(const struct scheduler *s);

#endif
