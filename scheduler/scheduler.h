/*
 * The egress hook of one interface of one worker: frames wait here for the device, control ahead
 * of data, in bounded queues. When the device is slower than the stack, or a class has reached its
 * ceiling, the stack is told that there is no room (back-pressure on our own TCP) instead of frames
 * being dropped.
 *
 * Classes share an interface: each gets its guaranteed rate first; what is left goes by priority,
 * within a priority by weight, up to the ceilings. Rates count Ethernet frames without preamble and
 * FCS, over all workers: the token buckets of an interface are one struct scheduler_shaper of
 * atomic words, from which each worker draws for some hundred microseconds at a time. Within a
 * class the stack serves its connections in turn. Without classes and rate there is no shaper and
 * none of this is done.
 */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/error.h"
#include "stack/hooks.h"

struct scheduler;
struct rte_mbuf;

/* The device below: takes the first n frames and returns n (as rte_eth_tx_burst()). */
typedef uint16_t scheduler_send(void *ctx, struct rte_mbuf **frames, uint16_t count);

/* ---- rates of one interface, shared by its workers ---- */

struct scheduler_class {
    uint64_t rate;    /* guaranteed, bits a second; 0: none */
    uint64_t ceiling; /* bits a second; 0: no bound */
    uint8_t priority; /* 0 (first) to 7 */
    uint16_t weight;  /* 1 to 1000 */
};

struct scheduler_shaper_config {
    uint64_t rate; /* of the interface, bits a second; 0: as the device takes */
    struct scheduler_class classes[EGRESS_CLASSES]; /* [0] is the default class */
    unsigned class_count;                           /* at least 1 */
};

struct scheduler_shaper;

struct scheduler_shaper *scheduler_shaper_create(const struct scheduler_shaper_config *config,
                                                 clock_ns now, struct error *e);
void scheduler_shaper_destroy(struct scheduler_shaper *s);

/* ---- one worker ---- */

struct scheduler_config {
    uint32_t control_max, data_max;  /* frames; 0: 1,024 each; data_max holds for each class */
    struct scheduler_shaper *shaper; /* outlives the scheduler; NULL: no classes */
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

#define SCHEDULER_CLASS_COUNTERS(X)                            \
    X(class_frames, "frames of the class given to the device") \
    X(class_bytes, "bytes of the class given to the device")   \
    X(class_held, "times frames of the class waited for its ceiling or the interface's rate")

COUNTER_STRUCT(scheduler_class_counters, SCHEDULER_CLASS_COUNTERS);
extern const struct counter_table scheduler_class_counter_table;

struct scheduler *scheduler_create(const struct scheduler_config *config, struct error *e);
void scheduler_destroy(struct scheduler *s); /* frees what waits */

/* Exchanges the shaper (on the worker's thread); what waits stays, frames of classes that are gone
 * move to class 0. `shaper` may be NULL. Returns 0 or -1; nothing has changed then. */
int scheduler_apply(struct scheduler *s, struct scheduler_shaper *shaper, struct error *e);

/* The stack's side: hand it to stack_iface_add(). */
struct stack_egress scheduler_egress(struct scheduler *s);

/* Offers what waits and may go to the device, in one burst where possible. Returns frames
 * still waiting. */
uint32_t scheduler_flush(struct scheduler *s, clock_ns now);

/* When the next flush is worth calling, after the last one left something waiting for tokens or for
 * the device; CLOCK_NEVER where nothing waits. */
clock_ns scheduler_deadline(const struct scheduler *s);

uint32_t scheduler_waiting(const struct scheduler *s);

/* Frames of a class that wait; may be read by another thread. */
uint32_t scheduler_class_waiting(const struct scheduler *s, unsigned egress_class);
const struct scheduler_counters *scheduler_counters(const struct scheduler *s);
const struct scheduler_class_counters *scheduler_class_counters(const struct scheduler *s,
                                                                unsigned egress_class);

#endif
