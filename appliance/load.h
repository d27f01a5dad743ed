/* How busy each worker is: the share of its CPU that its thread used lately, as the kernel counts
 * it. (A worker polls while it has work and sleeps otherwise, so this is the truth.) */
#ifndef APPLIANCE_LOAD_H
#define APPLIANCE_LOAD_H

#include <stdbool.h>

#include "appliance/cpus.h"
#include "appliance/workers.h"
#include "base/clock.h"

struct load_worker {
    clock_ns cpu_time; /* used since the thread began */
    double busy;       /* 0 to 1, between the last two samples */
    uint64_t rounds;   /* when it was last looked at */
};

struct load {
    clock_ns sampled;
    struct load_worker worker[CPUS_WORKERS_MAX];
};

/* Call about once a second. Returns whether every worker has turned since the last sample. */
bool load_sample(struct load *l, const struct workers *workers, clock_ns now);

#endif
