/*
 * Theory of operation: the stack counts every mbuf that a receive or send queue holds against one
 * budget for each worker (`buffers`). Those mbufs come from the receive pools of the ports and from
 * the worker's data pool, and any of these may have to provide all of them: one port may bring all
 * the traffic, and all of it may be TLS records of our own making. So each pool is as large as the
 * budget, plus what is on the way below the stack: frames that wait for a device and frames in its
 * rings. Then a full budget closes windows, but a pool is never empty for the device. The ports
 * size theirs in the same way (stack/io/io_pool.c).
 */
#include "appliance/memory.h"

#include <rte_mbuf.h>
#include <unistd.h>

/* An mbuf with its data room, its mempool header and a cache line lost to alignment. */
#define MBUF_BYTES (sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE + 128)

/* A worker's frames below the stack, for each port: two scheduler queues and two device rings. */
#define FRAMES_BELOW_STACK (4 * 1024)

#define BUFFERS_MIN        1024 /* below this, not even the device's rings could be filled */

static uint32_t buffers_of(uint64_t bytes)
{
    uint64_t n = bytes / MBUF_BYTES;

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
    out->data_mbufs = out->buffers + ports * FRAMES_BELOW_STACK;
    out->data_bytes = (uint64_t)workers * out->data_mbufs * MBUF_BYTES;
}
