/*
 * The stack behind the door, and its clock.
 *
 * Virtual time moves only in door_run() and door_packet_out(), from one deadline of the stack to
 * the next, so that timers run in order and each packet carries the time at which it was sent. A
 * call or a packet takes no time: the stack is flushed until it rests before the caller goes on.
 *
 * The environment is DPDK's without hugepages, devices and files: a script is a process, and must
 * start in a fraction of a second.
 */
#include "tests/packetdrill/door_internal.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/log.h"

#define DOOR_START    (1000000 * CLOCK_SEC) /* not zero: code must not take zero for "never" */
#define DOOR_WARM_UP  (3 * CLOCK_SEC)       /* duplicate address detection takes one (RFC 4862) */
#define DOOR_TX_MBUFS 8191
#define DOOR_RX_MBUFS 511
#define DOOR_RX_ROOM  (RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN + DOOR_PACKET_MAX)

static struct rte_mempool *rx_pool, *tx_pool;

/* EAL pins the thread that starts it; scripts run beside each other, on any CPU. */
static int environment_start(struct error *e)
{
    char *argv[] = {"door", "--no-huge", "--no-pci",       "--no-shconf",       "-m", "64",
                    "-l",   "0",         "--no-telemetry", "--log-level=error", NULL};
    char cpu[16];
    cpu_set_t cpus;
    int first = 0, status;

    sched_getaffinity(0, sizeof cpus, &cpus);
    while (!CPU_ISSET(first, &cpus))
        first++;
    snprintf(cpu, sizeof cpu, "%d", first);
    argv[7] = cpu;
    status = rte_eal_init((int)(sizeof argv / sizeof argv[0]) - 1, argv);
    sched_setaffinity(0, sizeof cpus, &cpus);
    return status < 0 ? error_set(e, "DPDK's environment does not start") : 0;
}

static int pools_create(struct error *e)
{
    tx_pool = rte_pktmbuf_pool_create("door_tx", DOOR_TX_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    rx_pool = rte_pktmbuf_pool_create("door_rx", DOOR_RX_MBUFS, 0, 0, DOOR_RX_ROOM, 0);
    return tx_pool == NULL || rx_pool == NULL ? error_set(e, "no memory for mbufs") : 0;
}

int door_setup(struct error *e)
{
    log_level_set(LOG_LEVEL_WARN);
    return environment_start(e) < 0 || pools_create(e) < 0 ? -1 : 0;
}

void door_teardown(void)
{
    rte_mempool_free(tx_pool);
    rte_mempool_free(rx_pool);
    rte_eal_cleanup();
}

unsigned door_mbufs_in_use(void)
{
    return rte_mempool_in_use_count(tx_pool) + rte_mempool_in_use_count(rx_pool);
}

static int route_add(struct door *d, unsigned family, struct error *e)
{
    struct stack_route route = {.via = d->config.gateway[family]};

    if (family == 0)
        route.to = (struct ip_prefix){.addr = ip_from_v4(0), .len = 96};
    return stack_route_add(d->stack, &route, e);
}

static int interface_add(struct door *d, struct error *e)
{
    struct stack_iface_config config = {.name = "door",
                                        .mtu = d->config.mtu,
                                        .offloads = door_link_offloads(d),
                                        .tx_pool = d->tx_pool,
                                        .egress = door_link_egress(d)};

    memcpy(config.mac, door_link_mac, sizeof config.mac);
    for (unsigned family = 0; family < 2; family++) {
        if (!ip_is_unspecified(&d->config.local[family].addr))
            config.addrs[config.addr_count++] = d->config.local[family];
    }
    if (stack_iface_add(d->stack, &config, e) < 0)
        return -1;
    for (unsigned family = 0; family < 2; family++) {
        if (!ip_is_unspecified(&d->config.local[family].addr) && route_add(d, family, e) < 0)
            return -1;
    }
    return 0;
}

struct door *door_create(const struct door_config *config, struct error *e)
{
    struct door *d = calloc(1, sizeof *d);
    struct stack_config stack = {.name = "door",
                                 .max_connections = 1024,
                                 .max_buffers = DOOR_TX_MBUFS / 2,
                                 .time_wait = config->time_wait,
                                 .tcp = config->tcp};

    if (d == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    d->config = *config;
    d->now = DOOR_START;
    STAILQ_INIT(&d->sent);
    STAILQ_INIT(&d->answers);
    door_wait_init(d);
    d->tx_pool = tx_pool;
    d->rx_pool = rx_pool;
    stack.data_pool = tx_pool;
    d->stack = stack_create(&stack, d->now, e);
    if (d->stack == NULL || interface_add(d, e) < 0)
        goto fail;
    door_run(d, d->now + DOOR_WARM_UP);
    door_link_drain(d);
    return d;
fail:
    door_destroy(d);
    return NULL;
}

void door_destroy(struct door *d)
{
    if (d == NULL)
        return;
    for (int fd = 0; fd < DOOR_FILES; fd++) {
        if (d->file[fd] != NULL)
            door_close(d, fd);
    }
    stack_destroy(d->stack);
    door_link_drain(d);
    door_wait_fini(d);
    free(d);
}

clock_ns door_now(const struct door *d)
{
    return d->now;
}

static void account(struct door *d)
{
    for (int fd = 0; fd < DOOR_FILES; fd++) {
        if (d->file[fd] != NULL && d->file[fd]->kind == DOOR_SOCKET)
            door_info_account(d, d->file[fd]);
    }
}

void door_settle(struct door *d)
{
    do {
        stack_flush(d->stack, d->now);
        door_file_events(d);
    } while (door_link_answer(d));
    account(d);
    door_wait_wake(d);
}

/* The time of the next thing to do, never before now: a deadline may be earlier than what it
 * announces. */
static clock_ns next_deadline(const struct door *d)
{
    clock_ns stack = stack_deadline(d->stack), sleeper = door_wait_deadline(d);
    clock_ns next = stack < sleeper ? stack : sleeper;

    return next > d->now ? next : d->now + CLOCK_US;
}

void door_run(struct door *d, clock_ns at)
{
    door_settle(d);
    while (next_deadline(d) <= at) {
        d->now = next_deadline(d);
        door_settle(d);
    }
    if (at > d->now)
        d->now = at;
}

int door_packet_in(struct door *d, const void *packet, size_t len)
{
    const uint8_t *bytes = packet;
    bool v6 = len > 0 && bytes[0] >> 4 == 6;
    struct rte_ether_hdr *ether;
    struct rte_mbuf *m;

    if (len == 0 || len > DOOR_PACKET_MAX)
        return -1;
    m = rte_pktmbuf_alloc(d->rx_pool);
    if (m == NULL)
        return -1;
    ether = (struct rte_ether_hdr *)(void *)rte_pktmbuf_append(m, (uint16_t)(sizeof *ether + len));
    assert(ether != NULL); /* the pool's mbufs hold DOOR_PACKET_MAX */
    memcpy(ether->dst_addr.addr_bytes, door_link_mac, sizeof door_link_mac);
    memcpy(ether->src_addr.addr_bytes, door_link_mac, sizeof door_link_mac);
    ether->src_addr.addr_bytes[5] = 2;
    ether->ether_type = rte_cpu_to_be_16(v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
    memcpy(ether + 1, packet, len);
    stack_input(d->stack, 0, &m, 1, d->now);
    door_settle(d);
    return 0;
}

size_t door_packet_out(struct door *d, clock_ns limit, void *out, size_t room, clock_ns *at)
{
    struct door_packet *p;
    size_t len;

    door_settle(d);
    while (STAILQ_EMPTY(&d->sent) && next_deadline(d) <= limit) {
        d->now = next_deadline(d);
        door_settle(d);
    }
    p = STAILQ_FIRST(&d->sent);
    if (p == NULL)
        return 0;
    STAILQ_REMOVE_HEAD(&d->sent, link);
    len = p->len < room ? p->len : room;
    memcpy(out, p->bytes, len);
    *at = p->at;
    free(p);
    return len;
}
