/* SIGTERM: an orderly end. Listeners close, connections may finish until a deadline, then the rest
 * is cut. */
#ifndef APPLIANCE_DRAIN_H
#define APPLIANCE_DRAIN_H

#include <stdbool.h>

#include "appliance/workers.h"
#include "base/clock.h"

struct drain {
    bool active;
    clock_ns deadline;
};

/* Tells the workers. `limit` is how long connections may take. */
void drain_begin(struct drain *d, struct workers *workers, clock_ns now, clock_ns limit);

/* True when nothing is left to wait for, or the deadline is well over. Logs the outcome then. */
bool drain_done(const struct drain *d, const struct workers *workers, clock_ns now);

#endif
