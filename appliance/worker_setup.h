/* Building a worker and taking it down, on its own thread so that memory lands on its NUMA node. */
#ifndef APPLIANCE_WORKER_SETUP_H
#define APPLIANCE_WORKER_SETUP_H

#include "appliance/worker.h"

/* Builds everything, or nothing. */
int worker_setup(struct worker *w, struct error *e);

/* Takes down what is there, in reverse order; all but the data pool, whose mbufs the devices may
 * still refer to. */
void worker_teardown(struct worker *w);

#endif
