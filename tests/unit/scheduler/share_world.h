/*
 * Workers of one interface over one shaper, on a virtual clock, with sources that offer data as the
 * stack does: no more than there is room for. What goes out is counted by class.
 */
#ifndef TESTS_UNIT_SCHEDULER_SHARE_WORLD_H
#define TESTS_UNIT_SCHEDULER_SHARE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/scheduler.h"

#define SHARE_WORKERS 4
#define SHARE_GREEDY  UINT64_MAX /* demand: whatever there is room for */

struct share_world;

struct share_source {
    uint64_t demand;  /* bits a second of each worker that has it; 0: none */
    uint32_t workers; /* which have it: a bit each */
    bool large;       /* frames that the device segments */
};

struct share_world *share_create(const struct scheduler_shaper_config *config, unsigned workers,
                                 uint64_t seed);
void share_destroy(struct share_world *w);

void share_source(struct share_world *w, unsigned egress_class, struct share_source source);

/* Bits a second that each worker's device takes; 0 (at first): everything at once. */
void share_device(struct share_world *w, uint64_t rate);

/* How late a worker may come after its deadline at most. */
void share_jitter(struct share_world *w, clock_ns jitter);

void share_run(struct share_world *w, clock_ns time);

/* Bytes on the wire since the last share_reset(). */
void share_reset(struct share_world *w);
uint64_t share_sent(const struct share_world *w, unsigned egress_class);

clock_ns share_now(const struct share_world *w);
struct scheduler *share_scheduler(struct share_world *w, unsigned worker);

/* The longest time that a data frame waited in a queue. */
clock_ns share_longest(const struct share_world *w, unsigned egress_class);

/* One frame of `bytes` into a worker's queue, at once. */
void share_offer(struct share_world *w, unsigned worker, unsigned egress_class,
                 enum egress_band band, uint32_t bytes);

/* All workers take another shaper; the former one is destroyed. */
void share_apply(struct share_world *w, const struct scheduler_shaper_config *config);

uint64_t share_random(struct share_world *w, uint64_t n);

#endif
