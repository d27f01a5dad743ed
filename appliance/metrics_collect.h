/* All metrics of the daemon, in Prometheus' text format. */
#ifndef APPLIANCE_METRICS_COLLECT_H
#define APPLIANCE_METRICS_COLLECT_H

#include <stdio.h>

#include "appliance/command/command.h"

/* Reads everything where it is; on the main thread. */
void metrics_collect(const struct command_context *c, FILE *out);

/* Counters that are no worker's. */
void metrics_collect_table(FILE *out, const struct counter_table *table, const void *counters);

#endif
