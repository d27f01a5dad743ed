/*
 * Worker threads are plain pthreads that DPDK is told about, not EAL's own lcores: so there may be
 * more of them than CPUs (in tests), and EAL needs no list of them at start. The lcore id that
 * registration gives is what mempool caches hang on.
 */
#include <errno.h>
#include <numa.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_lcore.h>

#include "stack/io/io_internal.h"

/* "0-3,8": the CPUs of a set. */
static void io_worker_cpus_format(const cpu_set_t *set, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
        unsigned first = cpu;

        if (!CPU_ISSET(cpu, set))
            continue;
        while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, set))
            cpu++;
        used += (size_t)snprintf(out + used, size - used, first == cpu ? "%s%u" : "%s%u-%u",
                                 used > 0 ? "," : "", first, cpu);
    }
}

static int io_worker_pin(unsigned cpu, struct error *e)
{
    cpu_set_t set, allowed;
    char text[128];
    int err;

    CPU_ZERO(&set);
    if (cpu < CPU_SETSIZE)
        CPU_SET(cpu, &set);
    err = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (err == 0)
        return 0;
    /* Asking for every CPU yields those that there are for us. */
    memset(&allowed, 0xff, sizeof allowed);
    pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
    pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
    io_worker_cpus_format(&allowed, text, sizeof text);
    return error_set(e, "CPU %u is not available to this process (%s); it may use %s", cpu,
                     strerror(err), text);
}

static void io_worker_place_memory(unsigned cpu, int numa_node)
{
    if (numa_available() < 0)
        return;
    if (numa_node < 0)
        numa_node = numa_node_of_cpu((int)cpu);
    if (numa_node >= 0 && numa_node <= numa_max_node())
        numa_set_preferred(numa_node);
}

int io_worker_enter(unsigned cpu, int numa_node, struct error *e)
{
    if (io_worker_pin(cpu, e) != 0)
        return -1;
    io_worker_place_memory(cpu, numa_node);
    if (rte_thread_register() != 0)
        return error_set(e, "DPDK does not take the thread as a worker: %s",
                         rte_strerror(rte_errno));
    return 0;
}

void io_worker_leave(void)
{
    rte_thread_unregister();
    if (numa_available() >= 0)
        numa_set_localalloc();
}
