#include "appliance/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

int cpus_available(struct cpus *out, struct error *e)
{
    cpu_set_t set;

    out->count = 0;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return error_set(e, "cannot read the CPU affinity: %s", strerror(errno));
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && cpu < CPUS_MAX; cpu++) {
        if (CPU_ISSET(cpu, &set))
            out->id[out->count++] = cpu;
    }
    return 0;
}

bool cpus_contain(const struct cpus *c, unsigned cpu)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->id[i] == cpu)
            return true;
    }
    return false;
}

void cpus_default_workers(const struct cpus *available, struct cpus *out)
{
    unsigned first = available->count > 1 ? 1 : 0;

    out->count = 0;
    for (unsigned i = first; i < available->count && out->count < CPUS_WORKERS_MAX; i++)
        out->id[out->count++] = available->id[i];
}

unsigned cpus_main(const struct cpus *available, const struct cpus *workers)
{
    for (unsigned i = 0; i < available->count; i++) {
        if (!cpus_contain(workers, available->id[i]))
            return available->id[i];
    }
    return available->count > 0 ? available->id[0] : 0;
}

const char *cpus_format(const struct cpus *c, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0, last; i < c->count && used < size; i = last + 1) {
        int n;

        last = i;
        while (last + 1 < c->count && c->id[last + 1] == c->id[last] + 1)
            last++;
        n = snprintf(out + used, size - used, "%s%u", i > 0 ? "," : "", c->id[i]);
        used += (size_t)n;
        if (last > i && used < size) {
            n = snprintf(out + used, size - used, "-%u", c->id[last]);
            used += (size_t)n;
        }
    }
    return out;
}
