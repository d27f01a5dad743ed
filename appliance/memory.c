/*
 * Theory of operation: the stack counts every mbuf that a receive or send queue holds against one
 * budget for each worker (`buffers`). Those mbufs come from the receive pools of the ports and from
 * the worker's data pool, and any of these may have to provide all of them: one port may bring all
 * the traffic, and all of it may be TLS records of our own making. So each pool is as large as the
 * budget, plus what is on the way below the stack (stack/io/io_data.c, stack/io/io_pool.c). Then a
 * full budget closes windows, but a pool is never empty for the device.
 */
#include "appliance/memory.h"

#include <unistd.h>

#include "stack/io/io.h"

#define BUFFERS_MIN 1024 /* below this, not even the device's rings could be filled */

static uint32_t buffers_of(uint64_t bytes)
{
    uint64_t n = bytes / io_data_pool_bytes(1);

    if (n < BUFFERS_MIN)
        return BUFFERS_MIN;
    return n > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)n;
}

uint64_t memory_of_machine(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void memory_plan(const struct policy_limits *limits, unsigned workers, unsigned ports,
                 struct memory_plan *out)
{
    out->connections = limits->connections;
    out->sessions = limits->connections > 1 ? limits->connections / 2 : 1;
    out->buffers = buffers_of(limits->buffer_memory);
    out->data_mbufs = io_data_pool_size(out->buffers, ports);
    out->data_bytes = workers * io_data_pool_bytes(out->data_mbufs);
}
