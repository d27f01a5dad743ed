/*
 * What the device counts, beside what the lanes count themselves. Called now and then from a thread
 * that is not a worker, while workers run.
 *
 * Two corrections to the drivers' figures. net_af_xdp counts a frame that it had no room for as an
 * error though it is offered again, so what we saw refused is taken off; and neither it nor
 * net_af_packet reports what the kernel dropped because our ring was full, so the sockets are
 * asked.
 */
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include "stack/io/io_internal.h"

COUNTER_TABLE(io_counter_table, IO_COUNTERS);

static uint64_t io_counters_xdp_full(int fd)
{
    struct xdp_statistics s = {0};
    socklen_t len = sizeof s;

    return getsockopt(fd, SOL_XDP, XDP_STATISTICS, &s, &len) == 0 ? s.rx_ring_full : 0;
}

/* Reading resets the kernel's figure. */
static uint64_t io_counters_packet_full(int fd)
{
    struct tpacket_stats s = {0};
    socklen_t len = sizeof s;

    return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0 ? s.tp_drops : 0;
}

static uint64_t io_counters_ring_full(const struct io_port *p)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < p->device.sockets.count; i++) {
        int fd = p->device.sockets.fd[i];

        if (p->device.driver == IO_DRIVER_XDP)
            sum += io_counters_xdp_full(fd);
        else
            __atomic_add_fetch(&p->lane->packet_drops, io_counters_packet_full(fd),
                               __ATOMIC_RELAXED);
    }
    return sum + __atomic_load_n(&p->lane->packet_drops, __ATOMIC_RELAXED);
}

static uint64_t io_counters_refused(const struct io_port *p)
{
    uint64_t sum = 0;

    if (p->device.driver != IO_DRIVER_XDP)
        return 0;
    for (unsigned w = 0; w < p->workers; w++)
        sum += __atomic_load_n(&p->lane[w].tx_refused, __ATOMIC_RELAXED);
    return sum;
}

static void io_counters_device(const struct io_port *p, struct io_counters *out)
{
    uint64_t errors = 0, refused = io_counters_refused(p);

    for (unsigned i = 0; i < p->device.ethdevs; i++) {
        struct rte_eth_stats s;

        if (rte_eth_stats_get(p->device.ethdev[i], &s) != 0)
            continue;
        out->io_rx_packets += s.ipackets;
        out->io_rx_bytes += s.ibytes;
        out->io_tx_packets += s.opackets;
        out->io_tx_bytes += s.obytes;
        out->io_rx_missed += s.imissed;
        out->io_rx_errors += s.ierrors;
        out->io_rx_no_mbuf += s.rx_nombuf;
        errors += s.oerrors;
    }
    out->io_rx_missed += io_counters_ring_full(p);
    out->io_tx_errors += errors > refused ? errors - refused : 0;
}

void io_port_counters(const struct io_port *p, unsigned worker, struct io_counters *out)
{
    const uint64_t *own = (const uint64_t *)&p->lane[worker].counters;
    uint64_t *to = (uint64_t *)out;

    for (size_t i = 0; i < io_counter_table.count; i++)
        to[i] = counter_read(own, i);
    if (worker == 0)
        io_counters_device(p, out);
}

static void io_counters_pool(const struct rte_mempool *mp, uint32_t *used, uint32_t *size)
{
    *used += rte_mempool_in_use_count(mp);
    *size += mp->size;
}

void io_port_pool_usage(const struct io_port *p, unsigned worker, uint32_t *used, uint32_t *size)
{
    const struct io_lane *lane = &p->lane[worker];

    *used = *size = 0;
    if (lane->own != NULL)
        io_counters_pool(lane->own->pool, used, size);
    if (p->tx_pools != NULL && p->tx_pools[worker] != NULL)
        io_counters_pool(p->tx_pools[worker], used, size);
}

bool io_port_link_up(const struct io_port *p)
{
    struct rte_eth_link link;

    /* The drivers on kernel interfaces say "up" whatever the interface does. */
    if (p->device.netdev[0] != '\0')
        return io_netdev_running(p->device.netdev);
    return rte_eth_link_get_nowait(p->device.ethdev[0], &link) == 0 &&
           link.link_status == RTE_ETH_LINK_UP;
}
