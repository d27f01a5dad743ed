/*
 * A worker's pool for what it builds itself: bytes written to send queues, and indirect mbufs. It
 * is as large as the budget of its queues, which may all hold nothing else, plus what is on the way
 * below the stack: frames that wait for a device and frames in its rings.
 */
#include <stdio.h>

#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "stack/io/io_internal.h"

/* An mbuf with its data room, its mempool header and a cache line lost to alignment. */
#define IO_DATA_MBUF_BYTES (sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE + 128)

/* Frames below the stack, for each port: two scheduler queues and two device rings. */
#define IO_DATA_BELOW_STACK (4 * 1024)

uint32_t io_data_pool_size(uint32_t buffers, unsigned ports)
{
    return buffers + ports * IO_DATA_BELOW_STACK;
}

uint64_t io_data_pool_bytes(uint32_t mbufs)
{
    return (uint64_t)mbufs * IO_DATA_MBUF_BYTES;
}

struct rte_mempool *io_data_pool_create(unsigned worker, uint32_t mbufs, struct error *e)
{
    char name[RTE_MEMPOOL_NAMESIZE];

    snprintf(name, sizeof name, "data_%u", worker);
    return io_pool_create(name, mbufs, RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id(), e);
}
