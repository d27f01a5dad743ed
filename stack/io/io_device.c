/*
 * From a configured device to DPDK ports ("ethdevs").
 *
 * A kernel interface is served through AF_XDP, else through AF_PACKET. Every receive channel must
 * have its AF_XDP socket, since a frame on a channel without one goes to the kernel instead; where
 * there are more channels than workers they are reduced, and if that cannot be, AF_XDP is no way to
 * go. The driver takes several queues in one device only where channels are "combined" ones;
 * elsewhere (veth) each gets a device of its own.
 *
 * With AF_XDP all frames are ours and the kernel's own stack is cut off. With AF_PACKET the kernel
 * sees every frame too: it keeps silent as long as it holds no address there, and would answer our
 * connections with RSTs if it held ours; hence the warning about addresses.
 *
 * What a device notes beside a received frame does not reach an AF_XDP socket: a VLAN's tag that it
 * took out would be lost, and the frame would pass for an untagged one. So it must leave tags in.
 *
 * How the sockets are driven, decided by measurement on a veth: busy_budget=0, because the driver's
 * busy polling makes a recvfrom() of each poll of an empty queue (0.4 us instead of 0.01 us) and
 * saves nothing under load where the kernel copies; force_copy=1 without hugepages, because
 * zero-copy drops buffers that lie across two pages, and there most do. Only a driver with
 * zero-copy and hugepages keeps busy polling: without it the DPDK driver may sleep a second in
 * poll().
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "base/log.h"
#include "stack/io/io_internal.h"

#define IO_DEVICE_ARGS 256

/* AF_XDP: the driver fills 2,048 descriptors and keeps that many completions (its constants). */
#define IO_XDP_FILL        2048
#define IO_XDP_RING        2048
#define IO_XDP_COMPLETION  2048
#define IO_XDP_RESERVE     256  /* XDP_PACKET_HEADROOM, taken from each buffer */
#define IO_XDP_MAX_MTU     3434 /* with it an mbuf and its mempool header fit into one page */

#define IO_PACKET_FRAMES   1024
#define IO_PACKET_OVERHEAD 128 /* TPACKET2's header, sockaddr_ll, alignment, one VLAN tag */
#define IO_PACKET_UNIT     1024

/* Receive and transmit descriptors of a device that lets us choose. */
#define IO_DEVICE_RING 1024

static uint32_t io_device_packet_frame(uint16_t mtu)
{
    return RTE_ALIGN_CEIL((uint32_t)mtu + RTE_ETHER_HDR_LEN + IO_PACKET_OVERHEAD, IO_PACKET_UNIT);
}

void io_device_plan(enum io_driver driver, const struct io_port_config *config, unsigned queues,
                    uint16_t mtu, bool hw_rss, struct io_pool_plan *plan)
{
    *plan = (struct io_pool_plan){.workers = config->workers,
                                  .queues = queues,
                                  .steering = config->workers > 1 && !hw_rss,
                                  .device_rx = IO_DEVICE_RING,
                                  .device_tx = IO_DEVICE_RING,
                                  .interfaces = RTE_MAX(config->interfaces, 1U),
                                  .buffers = config->buffers,
                                  .mtu = mtu};
    if (driver == IO_DRIVER_XDP) {
        plan->shared = true;
        plan->device_rx = IO_XDP_FILL;
        plan->device_tx = IO_XDP_RING + IO_XDP_COMPLETION;
        plan->reserve = IO_XDP_RESERVE;
    } else if (driver == IO_DRIVER_PACKET) {
        /* The driver wants each mbuf to hold a whole ring frame. */
        uint32_t frame = io_device_packet_frame(mtu);

        plan->device_rx = plan->device_tx = 0;
        plan->reserve = (uint16_t)(frame - mtu);
    }
}

uint16_t io_device_ring(enum io_driver driver)
{
    return driver == IO_DRIVER_XDP ? IO_XDP_RING : IO_DEVICE_RING;
}

/* Creates a virtual device and adds its ethdev. */
static int io_device_add_vdev(struct io_device_state *d, const char *name, const char *args,
                              struct error *e)
{
    int err = rte_eal_hotplug_add("vdev", name, args);

    if (err != 0)
        return error_set(e, "the driver refuses (%s)", rte_strerror(-err));
    snprintf(d->vdev[d->ethdevs], sizeof d->vdev[0], "%s", name);
    if (rte_eth_dev_get_port_by_name(name, &d->ethdev[d->ethdevs]) != 0) {
        rte_eal_hotplug_remove("vdev", name);
        return error_set(e, "\"%s\" is not a network device", name);
    }
    d->ethdevs++;
    return 0;
}

static bool io_device_is_virtual(const struct io_netdev *n)
{
    static const char *const copying[] = {"veth", "tun", "bridge", "dummy"};

    for (unsigned i = 0; i < RTE_DIM(copying); i++) {
        if (strcmp(n->driver, copying[i]) == 0)
            return true;
    }
    return false;
}

/* One receive channel for each queue, no more; see above. */
static int io_device_fit_channels(struct io_device_state *d, const struct io_netdev *n,
                                  unsigned workers, struct error *e)
{
    if (n->rx_channels <= workers) {
        d->queues = n->rx_channels;
        return 0;
    }
    d->queues = workers;
    if (io_netdev_set_channels(n, workers, e) != 0)
        return error_prefix(e, "it receives on %u channels and there are %u workers",
                            n->rx_channels, workers);
    d->channels_were = n->rx_channels;
    log_info(IO_AREA, "%s: reduced from %u receive channels to %u, one for each worker", n->name,
             n->rx_channels, workers);
    return 0;
}

static int io_device_open_xdp(struct io_device_state *d, const struct io_netdev *n,
                              unsigned workers, struct error *e)
{
    bool zero_copy = rte_eal_has_hugepages() && !io_device_is_virtual(n);
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned each;

    if (d->mtu > IO_XDP_MAX_MTU)
        return error_set(e, "its MTU of %u is more than AF_XDP carries (%u)", d->mtu,
                         IO_XDP_MAX_MTU);
    d->vlan_strip_was_on = io_netdev_vlan_strip_off(n->name);
    if (io_xsk_check_free(n->name, n->rx_channels, e) != 0 ||
        io_device_fit_channels(d, n, workers, e) != 0)
        return -1;
    /* UMEM is locked memory. A refusal shows itself when the socket is set up. */
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
    each = n->combined ? d->queues : 1;
    for (unsigned q = 0; q < d->queues; q += each) {
        char name[RTE_DEV_NAME_MAX_LEN], args[IO_DEVICE_ARGS];

        snprintf(name, sizeof name, "net_af_xdp_%s_%u", n->name, q);
        snprintf(args, sizeof args, "iface=%s,start_queue=%u,queue_count=%u,%s", n->name, q, each,
                 zero_copy ? "busy_budget=64" : "busy_budget=0,force_copy=1");
        if (io_device_add_vdev(d, name, args, e) != 0)
            return -1;
    }
    return 0;
}

static int io_device_open_packet(struct io_device_state *d, const struct io_netdev *n,
                                 unsigned workers, struct error *e)
{
    uint32_t frame = io_device_packet_frame(d->mtu);
    char name[RTE_DEV_NAME_MAX_LEN], args[IO_DEVICE_ARGS];

    snprintf(name, sizeof name, "net_af_packet_%s", n->name);
    /* Blocks are whole pages and hold whole frames: four frames of a multiple of 1 KiB. */
    snprintf(args, sizeof args,
             "iface=%s,qpairs=%u,qdisc_bypass=1,framesz=%u,blocksz=%u,framecnt=%u", n->name,
             workers, frame, frame * 4, IO_PACKET_FRAMES);
    d->queues = workers;
    return io_device_add_vdev(d, name, args, e);
}

static int io_device_set_mtu(struct io_device_state *d, const struct io_netdev *n, uint16_t wanted,
                             struct error *e)
{
    d->mtu = (uint16_t)RTE_MIN(n->mtu, 9216U);
    if (wanted == 0 || wanted == n->mtu)
        return 0;
    if (io_netdev_set_mtu(n->name, wanted, e) != 0)
        return -1;
    d->mtu_was = n->mtu;
    d->mtu = wanted;
    return 0;
}

void io_device_announce(const struct io_device_state *d)
{
    char list[256];

    /* Its peer leaves checksums and segmentation to a device that is none, and no driver tells. */
    if (d->veth)
        log_info(IO_AREA,
                 "%s is a veth: its other end must compute checksums, segment by itself "
                 "and write VLAN tags into the frame (ethtool -K PEER tx off tso off gso off "
                 "txvlan off)",
                 d->netdev);

    if ((d->driver != IO_DRIVER_XDP && d->driver != IO_DRIVER_PACKET) ||
        !io_netdev_addresses(d->netdev, list, sizeof list))
        return;
    if (d->driver == IO_DRIVER_XDP)
        log_warn(IO_AREA, "%s: the kernel's own addresses there cannot be reached meanwhile: %s",
                 d->netdev, list);
    else
        log_warn(IO_AREA,
                 "%s: the kernel has addresses there and answers too (RST to connections to them): "
                 "%s",
                 d->netdev, list);
}

static int io_device_open_netdev(struct io_device_state *d, const struct io_port_config *config,
                                 struct error *e)
{
    bool xdp = d->driver == IO_DRIVER_XDP;
    struct io_netdev n;

    if (io_netdev_read(config->device, &n, e) != 0 || io_device_set_mtu(d, &n, config->mtu, e) != 0)
        return -1;
    snprintf(d->netdev, sizeof d->netdev, "%s", n.name);
    d->numa_node = n.numa_node;
    d->veth = strcmp(n.driver, "veth") == 0;
    if (!n.up) {
        if (io_netdev_up(n.name, e) != 0)
            return -1;
        log_info(IO_AREA, "%s was down; brought up", n.name);
    }
    if ((xdp ? io_device_open_xdp : io_device_open_packet)(d, &n, config->workers, e) != 0)
        return -1;
    /* Frames merged by the kernel are larger than the MTU and would arrive cut off. On a veth XDP
     * comes before merging, and switching GRO there restarts its NAPI threads. */
    if (!xdp || !d->veth)
        d->gro_was_on = io_netdev_gro_off(n.name);
    return 0;
}

/* A TAP that is there already is taken over; another interface of that name is in the way. */
static int io_device_check_tap_name(const char *name, struct error *e)
{
    struct io_netdev n;

    if (strlen(name) >= IF_NAMESIZE)
        return error_set(e, "the name \"%s\" is longer than %u characters", name, IF_NAMESIZE - 1);
    if (if_nametoindex(name) != 0 &&
        (io_netdev_read(name, &n, NULL) != 0 || strcmp(n.driver, "tun") != 0))
        return error_set(e, "there is an interface \"%s\" already, and it is not a TAP", name);
    return 0;
}

static int io_device_open_tap(struct io_device_state *d, const struct io_port_config *config,
                              struct error *e)
{
    char name[RTE_DEV_NAME_MAX_LEN], args[IO_DEVICE_ARGS];
    struct sigaction sa;

    if (io_device_check_tap_name(config->device, e) != 0)
        return -1;
    if (config->mtu > RTE_ETHER_MTU)
        return error_set(e, "the TAP driver carries no MTU above %u", RTE_ETHER_MTU);
    /* The driver is told of frames by a real-time signal; when their queue overflows the kernel
     * sends SIGIO in its place, whose default is to end the process. */
    if (sigaction(SIGIO, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
        signal(SIGIO, SIG_IGN);
    snprintf(name, sizeof name, "net_tap_%s", config->device);
    snprintf(args, sizeof args, "iface=%s", config->device);
    snprintf(d->netdev, sizeof d->netdev, "%s", config->device);
    d->mtu = config->mtu != 0 ? config->mtu : RTE_ETHER_MTU;
    d->queues = 1;
    return io_device_add_vdev(d, name, args, e);
}

static int io_device_read_queues(struct io_device_state *d, const struct io_port_config *config,
                                 struct error *e)
{
    struct rte_eth_dev_info info;
    unsigned most;
    int err = rte_eth_dev_info_get(d->ethdev[0], &info);

    if (err == 0 && config->mtu == 0)
        err = rte_eth_dev_get_mtu(d->ethdev[0], &d->mtu);
    if (err != 0)
        return error_set(e, "the driver tells nothing about it (%s)", rte_strerror(-err));
    if (config->mtu != 0)
        d->mtu = config->mtu;
    most = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
    d->queues = RTE_MAX(1U, RTE_MIN(config->workers, most));
    d->numa_node = rte_eth_dev_socket_id(d->ethdev[0]);
    return 0;
}

static int io_device_open_pci(struct io_device_state *d, const struct io_port_config *config,
                              struct error *e)
{
    uint16_t id;

    if (rte_eth_dev_get_port_by_name(config->device, &id) != 0)
        return error_set(e,
                         "no DPDK driver took the PCI device; is it there (lspci), and bound to "
                         "vfio-pci (dpdk-devbind.py -b vfio-pci %s)?",
                         config->device);
    d->ethdev[d->ethdevs] = id;
    d->vdev[d->ethdevs++][0] = '\0';
    return io_device_read_queues(d, config, e);
}

static int io_device_open_vdev(struct io_device_state *d, const struct io_port_config *config,
                               struct error *e)
{
    size_t len = strcspn(config->device, ",");
    const char *args = config->device[len] == ',' ? config->device + len + 1 : "";
    char name[RTE_DEV_NAME_MAX_LEN];

    if (len >= sizeof name)
        return error_set(e, "the device's name is longer than %zu characters", sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", (int)len, config->device);
    if (io_device_add_vdev(d, name, args, e) != 0)
        return -1;
    return io_device_read_queues(d, config, e);
}

static int io_device_family(enum io_driver driver)
{
    return driver == IO_DRIVER_XDP ? AF_XDP : AF_PACKET;
}

int io_device_open(struct io_device_state *d, const struct io_port_config *config, bool allow_xdp,
                   struct error *e)
{
    memset(d, 0, sizeof *d);
    d->numa_node = -1;
    d->driver = io_device_driver(config->kind, allow_xdp);
    io_socket_list(io_device_family(d->driver), &d->sockets_before);
    switch (config->kind) {
    case IO_DEVICE_KERNEL:
    case IO_DEVICE_AF_PACKET:
        return io_device_open_netdev(d, config, e);
    case IO_DEVICE_TAP:
        return io_device_open_tap(d, config, e);
    case IO_DEVICE_PCI:
        return io_device_open_pci(d, config, e);
    case IO_DEVICE_VDEV:
        return io_device_open_vdev(d, config, e);
    }
    return error_set(e, "unknown kind of device");
}

enum io_driver io_device_driver(enum io_device kind, bool allow_xdp)
{
    switch (kind) {
    case IO_DEVICE_KERNEL:
        return allow_xdp ? IO_DRIVER_XDP : IO_DRIVER_PACKET;
    case IO_DEVICE_AF_PACKET:
        return IO_DRIVER_PACKET;
    case IO_DEVICE_TAP:
        return IO_DRIVER_TAP;
    default:
        return IO_DRIVER_OTHER;
    }
}

void io_device_find_sockets(struct io_device_state *d)
{
    if (d->driver != IO_DRIVER_XDP && d->driver != IO_DRIVER_PACKET)
        return;
    io_socket_list(io_device_family(d->driver), &d->sockets);
    io_socket_subtract(&d->sockets, &d->sockets_before);
}

/* DPDK 22.11.11 leaves an AF_XDP socket open when it closes the device: the queue stays taken and
 * the kernel goes on holding the pool's memory. */
static void io_device_close_leftovers(const struct io_device_state *d)
{
    struct io_sockets open_still;

    io_socket_list(AF_XDP, &open_still);
    io_socket_intersect(&open_still, &d->sockets);
    for (unsigned i = 0; i < open_still.count; i++)
        close(open_still.fd[i]);
}

static void io_device_restore(const struct io_device_state *d)
{
    struct io_netdev n;

    if (d->gro_was_on)
        io_netdev_gro_on(d->netdev);
    if (d->vlan_strip_was_on)
        io_netdev_vlan_strip_on(d->netdev);
    if (d->mtu_was > 0)
        io_netdev_set_mtu(d->netdev, d->mtu_was, NULL);
    if (d->channels_were > 0 && io_netdev_read(d->netdev, &n, NULL) == 0)
        io_netdev_set_channels(&n, d->channels_were, NULL);
}

void io_device_close(struct io_device_state *d)
{
    for (unsigned i = 0; i < d->ethdevs; i++) {
        rte_eth_dev_stop(d->ethdev[i]);
        rte_eth_dev_close(d->ethdev[i]);
        if (d->vdev[i][0] != '\0')
            rte_eal_hotplug_remove("vdev", d->vdev[i]);
    }
    if (d->driver == IO_DRIVER_XDP)
        io_device_close_leftovers(d);
    io_device_restore(d);
    d->ethdevs = 0;
}
