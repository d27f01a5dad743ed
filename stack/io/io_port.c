/*
 * A port: a device, its queues, the pools behind them, and a lane for each worker.
 *
 * Opening may take several tries, from what is best to what surely works: hardware RSS only if it
 * reads back as programmed, else the same device with software steering; AF_XDP, else AF_PACKET. A
 * try that fails is undone completely before the next, as the size of the pools depends on the
 * outcome.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <numa.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_malloc.h>

#include "base/log.h"
#include "stack/io/io_internal.h"
#include "stack/stack.h"

#define IO_PORT_RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

struct io_port_try {
    bool xdp, hw_rss;
};

/* ---- memory ---- */

static uint64_t io_port_plan_bytes(const struct io_port_config *config, bool xdp, unsigned queues,
                                   uint16_t mtu)
{
    struct io_pool_plan plan;

    io_device_plan(io_device_driver(config->kind, xdp), config, queues, mtu, false, &plan);
    return io_pool_bytes(&plan);
}

/* A kernel interface may end up with either driver, which is known only when it is opened (XDP
 * refused, MTU too large for it): the plan that takes more decides. */
uint64_t io_port_memory(const struct io_port_config *config)
{
    uint16_t mtu = config->mtu != 0 ? config->mtu : RTE_ETHER_MTU;
    unsigned queues = config->kind == IO_DEVICE_TAP ? 1 : config->workers;
    uint64_t rings = (uint64_t)config->workers * config->workers * IO_RING_SIZE * sizeof(void *);
    struct io_netdev n;

    if (config->kind == IO_DEVICE_KERNEL && io_netdev_read(config->device, &n, NULL) == 0) {
        unsigned channels = RTE_MIN(config->workers, n.rx_channels);

        mtu = config->mtu != 0 ? config->mtu : (uint16_t)n.mtu;
        return rings + RTE_MAX(io_port_plan_bytes(config, true, channels, mtu),
                               io_port_plan_bytes(config, false, queues, mtu));
    }
    return rings + io_port_plan_bytes(config, true, queues, mtu);
}

static int io_port_alloc(struct io_port *p, struct error *e)
{
    p->queue = calloc(p->queues, sizeof *p->queue);
    p->lane = rte_zmalloc_socket(NULL, p->workers * sizeof *p->lane, RTE_CACHE_LINE_SIZE,
                                 p->device.numa_node);
    p->tx_pools = calloc(p->workers, sizeof(struct rte_mempool *));
    if (p->queue == NULL || p->lane == NULL || p->tx_pools == NULL)
        return error_set(e, "no memory for %u workers", p->workers);
    return 0;
}

/* Without hugepages memory lands where it is first touched, and a pool is touched when it is made.
 */
static struct rte_mempool *io_port_pool(const struct io_port *p, char kind, unsigned index,
                                        uint32_t count, uint16_t data_room, struct error *e)
{
    int node = p->device.numa_node;
    bool place = node >= 0 && numa_available() >= 0 && node <= numa_max_node();
    char name[RTE_MEMPOOL_NAMESIZE];
    struct rte_mempool *mp;

    snprintf(name, sizeof name, "io%u_%cx%u", p->device.ethdev[0], kind, index);
    if (place)
        numa_set_preferred(node);
    mp = io_pool_create(name, count, data_room, node, e);
    if (place)
        numa_set_localalloc();
    return mp;
}

static int io_port_pools(struct io_port *p, const struct io_pool_plan *plan, struct error *e)
{
    struct io_pool_size size;

    io_pool_size(plan, &size);
    for (unsigned q = 0; q < p->queues; q++) {
        p->queue[q].pool = io_port_pool(p, 'r', q, size.rx, size.data_room, e);
        if (p->queue[q].pool == NULL)
            return -1;
    }
    for (unsigned w = 0; w < p->workers; w++) {
        p->lane[w].tx_pool = p->queue[w % p->queues].pool;
        if (size.tx == 0)
            continue;
        p->tx_pools[w] = io_port_pool(p, 't', w, size.tx, size.data_room, e);
        if (p->tx_pools[w] == NULL)
            return -1;
        p->lane[w].tx_pool = p->tx_pools[w];
    }
    return 0;
}

static void io_port_free(struct io_port *p)
{
    for (unsigned q = 0; p->queue != NULL && q < p->queues; q++)
        rte_mempool_free(p->queue[q].pool);
    for (unsigned w = 0; p->tx_pools != NULL && w < p->workers; w++)
        rte_mempool_free(p->tx_pools[w]);
    free(p->queue);
    free(p->tx_pools);
    rte_free(p->lane);
}

/* ---- the device ---- */

/*
 * Of net_tap's offloads, all done in software, two are wrong in 22.11: it sums a frame segment by
 * segment and carries an odd byte at a segment's end wrongly into the next, so that TCP checksums
 * hold for linear frames only; and it compares TSO's segment plus Ethernet header with the MTU, so
 * that it refuses a full-sized segment, and for ever.
 */
static uint64_t io_port_tx_offloads(enum io_driver driver, uint64_t capable)
{
    const uint64_t for_tap = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
    const uint64_t for_tso = for_tap | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;

    if (driver == IO_DRIVER_TAP)
        return capable & for_tap;
    if ((capable & for_tso) == for_tso)
        return capable & (for_tso | RTE_ETH_TX_OFFLOAD_TCP_TSO);
    return capable & for_tso;
}

static uint32_t io_port_stack_offloads(uint64_t offloads)
{
    uint32_t out = 0;

    if (offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
        out |= STACK_TX_IPV4_CHECKSUM;
    if (offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
        out |= STACK_TX_TCP_CHECKSUM;
    if (offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
        out |= STACK_TX_TCP_SEGMENT;
    if (offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
        out |= STACK_TX_MULTI_SEGMENT;
    return out;
}

static int io_port_setup_queues(struct io_port *p, uint16_t ethdev, unsigned count,
                                struct io_queue *queues, struct error *e)
{
    uint16_t rx = io_device_ring(p->device.driver), tx = rx;
    int err = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &rx, &tx);

    for (uint16_t q = 0; q < count && err == 0; q++) {
        queues[q].ethdev = ethdev;
        queues[q].queue = q;
        err = rte_eth_rx_queue_setup(ethdev, q, rx, (unsigned)p->device.numa_node, NULL,
                                     queues[q].pool);
        if (err == 0)
            err = rte_eth_tx_queue_setup(ethdev, q, tx, (unsigned)p->device.numa_node, NULL);
    }
    if (err != 0)
        return error_set(e, "its queues cannot be set up (%s)", rte_strerror(-err));
    return 0;
}

static int io_port_configure(struct io_port *p, uint16_t ethdev, unsigned count,
                             const struct rte_eth_dev_info *info, struct error *e)
{
    uint8_t key[IO_RSS_KEY_MAX];
    struct rte_eth_conf conf = {.rxmode.offloads = info->rx_offload_capa & IO_PORT_RX_OFFLOADS,
                                .txmode.offloads =
                                    io_port_tx_offloads(p->device.driver, info->tx_offload_capa)};
    int err;

    /* The drivers on kernel interfaces take the interface's MTU as it is, and reject it here. */
    if (p->device.netdev[0] == '\0')
        conf.rxmode.mtu = p->device.mtu;
    if (p->hw_rss)
        io_rss_conf(info, p->rss_key, key, &conf);
    err = rte_eth_dev_configure(ethdev, (uint16_t)count, (uint16_t)count, &conf);
    if (err != 0)
        return error_set(e, "it cannot be configured (%s)", rte_strerror(-err));
    p->facts.offloads = io_port_stack_offloads(conf.txmode.offloads);
    p->tx_prepare = (conf.txmode.offloads & ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
    return 0;
}

static int io_port_start_ethdev(struct io_port *p, uint16_t ethdev, unsigned count,
                                struct io_queue *queues, struct error *e)
{
    struct rte_eth_dev_info info;
    int err = rte_eth_dev_info_get(ethdev, &info);

    if (err != 0)
        return error_set(e, "the driver tells nothing about it (%s)", rte_strerror(-err));
    if (io_port_configure(p, ethdev, count, &info, e) != 0 ||
        io_port_setup_queues(p, ethdev, count, queues, e) != 0)
        return -1;
    err = rte_eth_dev_start(ethdev);
    if (err != 0)
        return error_set(e, "it does not start (%s)", rte_strerror(-err));
    snprintf(p->facts.driver, sizeof p->facts.driver, "%s", info.driver_name);
    return p->hw_rss ? io_rss_program(&p->rss, ethdev, &info, p->rss_key, e) : 0;
}

static int io_port_start(struct io_port *p, struct error *e)
{
    unsigned each = p->queues / p->device.ethdevs;

    for (unsigned i = 0; i < p->device.ethdevs; i++) {
        if (io_port_start_ethdev(p, p->device.ethdev[i], each, p->queue + i * each, e) != 0)
            return -1;
    }
    for (unsigned q = 0; q < p->queues; q++)
        p->lane[q].own = &p->queue[q];
    return 0;
}

/* A TAP's two ends have the same address by default; a bridge would take our frames for its own. */
static int io_port_tap_mac(const struct io_port *p, const uint8_t *wanted, struct error *e)
{
    uint8_t mac[RTE_ETHER_ADDR_LEN];

    if (p->device.driver != IO_DRIVER_TAP)
        return 0;
    memcpy(mac, wanted != NULL ? wanted : p->facts.mac, sizeof mac);
    if (wanted == NULL)
        mac[5] ^= 1;
    return io_netdev_set_mac(p->device.netdev, mac, e);
}

static int io_port_read_facts(struct io_port *p, struct error *e)
{
    struct rte_ether_addr mac;
    int err = rte_eth_macaddr_get(p->device.ethdev[0], &mac);

    if (err != 0)
        return error_set(e, "its MAC address cannot be read (%s)", rte_strerror(-err));
    memcpy(p->facts.mac, mac.addr_bytes, sizeof p->facts.mac);
    p->facts.mtu = p->device.mtu;
    p->facts.queues = (uint16_t)p->queues;
    p->facts.numa_node = p->device.numa_node;
    return 0;
}

/* ---- opening ---- */

static void io_port_halt(struct io_port *p)
{
    if (p->halted)
        return;
    p->halted = true;
    if (p->lane != NULL)
        io_handoff_destroy(p);
    io_device_close(&p->device);
}

static void io_port_undo(struct io_port *p)
{
    io_port_halt(p);
    io_port_free(p);
    free(p);
}

static bool io_port_device_rss(const struct io_port *p)
{
    struct rte_eth_dev_info info;

    return p->device.ethdevs == 1 && rte_eth_dev_info_get(p->device.ethdev[0], &info) == 0 &&
           io_rss_capable(&info, p->workers, p->queues);
}

static int io_port_build(struct io_port *p, const struct io_port_config *config,
                         const struct io_port_try *how, struct error *e)
{
    struct io_pool_plan plan;
    int result;

    if (io_device_open(&p->device, config, how->xdp, e) != 0)
        return -1;
    p->queues = p->device.queues;
    p->hw_rss = how->hw_rss && io_port_device_rss(p);
    io_device_plan(p->device.driver, config, p->queues, p->device.mtu, p->hw_rss, &plan);
    if (io_port_alloc(p, e) != 0 || io_port_pools(p, &plan, e) != 0)
        return -1;
    result = io_port_start(p, e);
    io_device_find_sockets(&p->device);
    if (result != 0 || io_port_read_facts(p, e) != 0 || io_port_tap_mac(p, config->mac, e) != 0)
        return -1;
    return io_handoff_create(p, e);
}

/* One complete try. The cause of a failure is told with what the driver said about it. */
static struct io_port *io_port_attempt(const struct io_port_config *config, struct io_port_try *how,
                                       struct error *e)
{
    struct io_port *p = calloc(1, sizeof *p);
    struct io_log_capture said;
    struct error cause = {.set = false};
    int result;

    if (p == NULL) {
        error_set(e, "no memory for a port");
        return NULL;
    }
    p->workers = config->workers;
    p->undivided = config->undivided;
    memcpy(p->rss_key, config->rss_key, sizeof p->rss_key);
    io_rss_init(&p->rss, p->rss_key, p->workers);
    io_log_capture_begin(&said);
    result = io_port_build(p, config, how, &cause);
    how->hw_rss = p->hw_rss;
    if (result != 0)
        io_port_undo(p);
    io_log_capture_end();
    if (result == 0)
        return p;
    error_set(e, said.text[0] != '\0' ? "%s: %s" : "%s", cause.text, said.text);
    return NULL;
}

/* Another program that receives through AF_XDP takes every frame before AF_PACKET sees it. */
static bool io_port_leave_xdp(const struct io_port_config *config, struct error *why)
{
    struct error cause = {.set = false};
    enum io_xsk_verdict verdict = io_xsk_probe(config->device, 0, io_port_memory(config), &cause);

    if (verdict != IO_XSK_POSSIBLE)
        *why = cause;
    if (verdict == IO_XSK_TAKEN)
        return false;
    log_warn(IO_AREA, "%s: no AF_XDP on %s, using the slower AF_PACKET: %s", config->name,
             config->device, why->text);
    return true;
}

/* After a failure: is there a lesser way? Says so if the user should know. */
static bool io_port_fall_back(const struct io_port_config *config, struct io_port_try *how,
                              struct error *why)
{
    if (how->xdp) {
        how->xdp = false;
        return io_port_leave_xdp(config, why);
    }
    if (how->hw_rss) {
        log_info(IO_AREA, "%s: flows are spread by software: %s", config->name, why->text);
        how->hw_rss = false;
        return true;
    }
    return false;
}

static void io_port_log(const struct io_port *p, const struct io_port_config *config)
{
    const struct io_port_facts *f = &p->facts;
    char node[16] = "unknown";

    if (f->numa_node >= 0)
        snprintf(node, sizeof node, "%d", f->numa_node);
    log_info(IO_AREA,
             "%s: %s through %s, %u worker%s on %u queue%s%s, MTU %u, MAC " RTE_ETHER_ADDR_PRT_FMT
             ", NUMA node %s, offloads:%s%s%s%s%s",
             config->name, config->device, f->driver, p->workers, p->workers == 1 ? "" : "s",
             p->queues, p->queues == 1 ? "" : "s",
             p->workers == 1 ? ""
             : p->hw_rss     ? " (hardware RSS)"
                             : " (software RSS)",
             f->mtu, f->mac[0], f->mac[1], f->mac[2], f->mac[3], f->mac[4], f->mac[5], node,
             f->offloads == 0 ? " none" : "",
             f->offloads & STACK_TX_IPV4_CHECKSUM ? " ipv4-checksum" : "",
             f->offloads & STACK_TX_TCP_CHECKSUM ? " tcp-checksum" : "",
             f->offloads & STACK_TX_TCP_SEGMENT ? " tcp-segmentation" : "",
             f->offloads & STACK_TX_MULTI_SEGMENT ? " multi-segment" : "");
    io_device_announce(&p->device);
}

static int io_port_check(const struct io_port_config *config, struct error *e)
{
    struct io_netdev n;

    if (config->workers == 0 || config->workers > IO_MAX_WORKERS)
        return error_set(e, "%u workers; there can be 1 to %u", config->workers, IO_MAX_WORKERS);
    if (config->kind == IO_DEVICE_KERNEL || config->kind == IO_DEVICE_AF_PACKET)
        return io_netdev_read(config->device, &n, e);
    return 0;
}

struct io_port *io_port_open(const struct io_port_config *config, struct error *e)
{
    struct io_port_try how = {.xdp = config->kind == IO_DEVICE_KERNEL, .hw_rss = true};
    struct io_port *p = NULL;

    if (io_port_check(config, e) == 0) {
        struct error why;

        do {
            why.set = false;
            p = io_port_attempt(config, &how, &why);
        } while (p == NULL && io_port_fall_back(config, &how, &why));
        if (p == NULL)
            error_set(e, "%s", why.text);
    }
    if (p == NULL)
        error_prefix(e, "interface %s (%s)", config->name, config->device);
    else
        io_port_log(p, config);
    return p;
}

void io_port_stop(struct io_port *p)
{
    struct io_log_capture said; /* drivers complain about what they undo twice */

    io_log_capture_begin(&said);
    io_port_halt(p);
    io_log_capture_end();
}

void io_port_close(struct io_port *p)
{
    if (p == NULL)
        return;
    io_port_stop(p);
    io_port_undo(p);
}

void io_port_facts(const struct io_port *p, struct io_port_facts *out)
{
    *out = p->facts;
}

struct rte_mempool *io_port_tx_pool(const struct io_port *p, unsigned worker)
{
    return p->lane[worker].tx_pool;
}
