/* Which CPUs the process may use, and which of them its threads get. */
#ifndef APPLIANCE_CPUS_H
#define APPLIANCE_CPUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CPUS_MAX         1024
#define CPUS_WORKERS_MAX 64 /* threads that handle packets */

/* CPU numbers, for the machine's CPUs in ascending order, for workers in the order of the file. */
struct cpus {
    unsigned count;
    unsigned id[CPUS_MAX];
};

/* The CPUs that are online and in the process's affinity mask: ask before EAL pins the caller. */
int cpus_available(struct cpus *out, struct error *e);

bool cpus_contain(const struct cpus *c, unsigned cpu);

/* The workers when the file names none: all but the first; the first where it is the only one. */
void cpus_default_workers(const struct cpus *available, struct cpus *out);

/* Where the main thread runs: on a CPU that is no worker's, if there is one. */
unsigned cpus_main(const struct cpus *available, const struct cpus *workers);

/* "0-3,8". Returns out. */
const char *cpus_format(const struct cpus *c, char *out, size_t size);

#endif
