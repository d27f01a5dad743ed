/*
 * How many mbufs a port needs, so that no user of a pool can starve another:
 *
 * - what the device holds: posted receive buffers, and frames handed to it but not yet sent;
 * - what waits between workers: each hand-off ring may be full;
 * - what the stacks may hold (`buffers` each): of one queue's mbufs all workers' stacks together
 *   where frames are steered by software, only one where the device steers;
 * - what the scheduler holds, and a burst in hand;
 * - what sleeps in the mempool's per-thread caches.
 *
 * AF_XDP transmits without a copy only from the pool that its receive queue registered as UMEM, so
 * there the two pools are one, of the sum of both sizes; elsewhere they are apart.
 *
 * A pool is one dense piece of memory. That is not mempool's default, which leaves out what does
 * not fit before the end of a page; but the AF_XDP driver takes count times size as the length of
 * its UMEM, and the kernel drops buffers outside. Without hugepages density also saves two fifths.
 *
 * Free mbufs are on a stack, the last freed first: what is in use at a time stays in the
 * processor's caches and its translations. Mempool's default, a ring, goes round the whole pool,
 * which is as large as the budget of all queues, and finds every mbuf cold. Caches of the threads
 * are in front of it, so that its lock is taken once for several bursts.
 */
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

#include "stack/io/io_internal.h"

#define IO_POOL_CACHE      512
#define IO_POOL_CACHE_MOST (IO_POOL_CACHE * 3 / 2) /* where mempool flushes a cache */
#define IO_POOL_EGRESS     2048 /* what scheduler/ keeps of one interface: both its bands */
#define IO_POOL_ROOM       2048 /* bytes of frame where the MTU does not ask for more */
#define IO_POOL_OVERHEAD   22   /* Ethernet header, one VLAN tag, FCS */

static uint16_t io_pool_room(const struct io_pool_plan *plan)
{
    uint32_t frame = plan->mtu + IO_POOL_OVERHEAD + plan->reserve;

    if (frame < IO_POOL_ROOM)
        frame = IO_POOL_ROOM;
    return (uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_ALIGN_CEIL(frame, RTE_CACHE_LINE_SIZE));
}

/* Transmit side of one worker, without what the device holds. */
static uint32_t io_pool_egress(const struct io_pool_plan *plan)
{
    bool through_ring = plan->queues < plan->workers;

    return plan->interfaces * IO_POOL_EGRESS + 2 * IO_BURST +
           (through_ring ? IO_RING_SIZE + IO_BURST : 0);
}

void io_pool_size(const struct io_pool_plan *plan, struct io_pool_size *out)
{
    uint32_t holders = plan->steering ? plan->workers : 1;
    uint32_t clients = (plan->workers + plan->queues - 1) / plan->queues;

    out->data_room = io_pool_room(plan);
    /* Spliced frames leave in the mbufs they came in, and wait in the other port's device. */
    out->rx = plan->device_rx + plan->device_tx + holders * plan->buffers +
              (plan->workers - 1) * IO_RING_SIZE + plan->workers * (IO_BURST + IO_POOL_CACHE_MOST);
    out->tx = plan->device_tx + io_pool_egress(plan) + 2 * IO_POOL_CACHE_MOST;
    if (plan->shared) {
        out->rx += clients * io_pool_egress(plan);
        out->tx = 0;
    }
}

static uint64_t io_pool_bytes_of(uint32_t count, uint16_t data_room)
{
    uint32_t size =
        rte_mempool_calc_obj_size((uint32_t)sizeof(struct rte_mbuf) + data_room, 0, NULL);

    /* The free list is an array of pointers; as a ring it is rounded up to a power of two. */
    return (uint64_t)count * size + rte_align32pow2(count + 1) * sizeof(void *) +
           RTE_MAX_LCORE * sizeof(struct rte_mempool_cache);
}

uint64_t io_pool_bytes(const struct io_pool_plan *plan)
{
    struct io_pool_size size;
    uint64_t bytes;

    io_pool_size(plan, &size);
    bytes = plan->queues * io_pool_bytes_of(size.rx, size.data_room);
    if (size.tx > 0)
        bytes += plan->workers * io_pool_bytes_of(size.tx, size.data_room);
    return bytes;
}

/* What the platform or the command line asks for goes first: some devices have a pool of their own.
 */
const char *io_pool_ops(void)
{
    const char *best = rte_mbuf_best_mempool_ops();

    return strcmp(best, RTE_MBUF_DEFAULT_MEMPOOL_OPS) == 0 ? "stack" : best;
}

static void io_pool_memzone_free(struct rte_mempool_memhdr *h, void *memzone)
{
    (void)h;
    rte_memzone_free(memzone);
}

/* Gives the pool its memory: one memory zone, objects side by side. */
static int io_pool_populate(struct rte_mempool *mp, const char *name)
{
    size_t bytes = (size_t)mp->size * (mp->header_size + mp->elt_size + mp->trailer_size);
    const struct rte_memzone *zone =
        rte_memzone_reserve_aligned(name, bytes, mp->socket_id, 0, RTE_MEMPOOL_ALIGN);

    if (zone == NULL)
        return -rte_errno;
    return rte_mempool_populate_iova(mp, zone->addr, zone->iova, zone->len, io_pool_memzone_free,
                                     (void *)(uintptr_t)zone);
}

static struct rte_mempool *io_pool_create_dense(const char *name, uint32_t count,
                                                uint16_t data_room, int socket)
{
    struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = data_room};
    struct rte_mempool *mp =
        rte_mempool_create_empty(name, count, (unsigned)sizeof(struct rte_mbuf) + data_room,
                                 IO_POOL_CACHE, sizeof priv, socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
    int populated;

    if (mp == NULL)
        return NULL;
    if (rte_mempool_set_ops_byname(mp, io_pool_ops(), NULL) != 0) {
        rte_mempool_free(mp);
        return NULL;
    }
    rte_pktmbuf_pool_init(mp, &priv);
    populated = io_pool_populate(mp, name);
    if (populated != (int)count) {
        rte_errno = populated < 0 ? -populated : ENOMEM;
        rte_mempool_free(mp);
        return NULL;
    }
    rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
    return mp;
}

struct rte_mempool *io_pool_create(const char *name, uint32_t count, uint16_t data_room,
                                   int numa_node, struct error *e)
{
    int socket = numa_node >= 0 ? numa_node : SOCKET_ID_ANY;
    struct rte_mempool *mp;

    /* With physical addresses a device needs each mbuf inside one page: mempool's own layout. */
    if (rte_eal_iova_mode() == RTE_IOVA_PA)
        mp = rte_pktmbuf_pool_create_by_ops(name, count, IO_POOL_CACHE, 0, data_room, socket,
                                            io_pool_ops());
    else
        mp = io_pool_create_dense(name, count, data_room, socket);
    if (mp == NULL)
        error_set(e, "no memory for a pool of %u buffers of %u bytes: %s", count, data_room,
                  rte_strerror(rte_errno));
    return mp;
}
