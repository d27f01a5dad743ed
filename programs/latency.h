/*
 * Latencies in logarithmic buckets, 32 to each power of two: a percentile is at most 3 % off. All
 * zeros is empty.
 */
#ifndef PROGRAMS_LATENCY_H
#define PROGRAMS_LATENCY_H

#include <stdint.h>

#include "base/clock.h"

#define LATENCY_BITS    5
#define LATENCY_BUCKETS ((64 - LATENCY_BITS + 1) << LATENCY_BITS)

struct latency {
    uint64_t count;
    clock_ns max;
    uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, clock_ns value);
void latency_merge(struct latency *to, const struct latency *from);

/* The value that `part` (0 to 1) of all do not exceed; 0 when there are none. */
clock_ns latency_percentile(const struct latency *l, double part);

#endif
