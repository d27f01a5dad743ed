/*
 * DPDK: the environment, ports with a queue for each worker, and the hand-off of packets between
 * workers where a device has fewer queues than workers.
 */
#ifndef STACK_IO_IO_H
#define STACK_IO_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/error.h"
#include "base/ip.h"

struct rte_mbuf;
struct rte_mempool;

/* ---- the environment ---- */

enum io_hugepages { IO_HUGEPAGES_AUTO, IO_HUGEPAGES_REQUIRE, IO_HUGEPAGES_OFF };

struct io_env_config {
    enum io_hugepages hugepages;
    uint64_t memory;        /* bytes that all pools together will need */
    uint64_t reserve;       /* bytes that may be wanted later; without hugepages address space only,
                               with them nothing, as DPDK's memory can grow then */
    const char *const *pci; /* PCI addresses that ports will use; none: the bus is not scanned */
    unsigned pci_count;
    unsigned main_cpu; /* CPU of the calling thread, which never handles packets */
};

/* Starts EAL. Once in a process. The log line says which kind of memory is used and why. */
int io_env_init(const struct io_env_config *config, struct error *e);
void io_env_fini(void);

/* Makes the calling thread a worker: pins it to the CPU, gives it a DPDK lcore id (mempool caches)
 * and places its memory on the NUMA node (-1: the CPU's own) with libnuma. */
int io_worker_enter(unsigned cpu, int numa_node, struct error *e);
void io_worker_leave(void);

/* ---- a worker's own mbufs ---- */

/* mbufs of a data pool (stack_config.data_pool) for a worker whose queues may hold `buffers` of
 * them and that sends through `ports` ports; and the bytes that so many take. */
uint32_t io_data_pool_size(uint32_t buffers, unsigned ports);
uint64_t io_data_pool_bytes(uint32_t mbufs);

/* On the worker's thread, so that the memory is of its NUMA node. Lives until io_env_fini(): a
 * device may refer to its mbufs until it is closed. */
struct rte_mempool *io_data_pool_create(unsigned worker, uint32_t mbufs, struct error *e);

/* ---- ports ---- */

enum io_device {
    IO_DEVICE_KERNEL,
    IO_DEVICE_PCI,
    IO_DEVICE_AF_PACKET,
    IO_DEVICE_TAP,
    IO_DEVICE_VDEV
};

struct io_port_config {
    const char *name; /* the interface's name in the configuration */
    enum io_device kind;
    const char *device;
    unsigned workers;
    uint16_t mtu;        /* 0: the device's own */
    unsigned interfaces; /* that share the port, each with a scheduler; 0: one */
    uint32_t buffers;    /* mbufs a worker that its stack may hold (stack_config.max_buffers) */
    uint8_t rss_key[40]; /* the same for all ports */
    const uint8_t *mac;  /* IO_DEVICE_TAP: the address of the kernel's end; NULL: one of its own */
    bool undivided;      /* what a queue receives stays with the worker that owns it */
};

struct io_port;

/* Bytes that the port's pools and rings will need at most: their sum over all ports, and what the
 * application adds, is io_env_config.memory. May be called before io_env_init(). */
uint64_t io_port_memory(const struct io_port_config *config);

/* Opens, configures and starts a port. For IO_DEVICE_KERNEL: AF_XDP, else AF_PACKET with a warning
 * that says what was refused and why. Logs one line: driver, queues, offloads, NUMA node, MAC. */
struct io_port *io_port_open(const struct io_port_config *config, struct error *e);

/*
 * Ends the device and lets go of the frames that it held or that waited in rings; no worker uses
 * the port any more. Frames of one port may refer to mbufs of another one's pools: where there are
 * several ports, stop them all before the first is closed.
 */
void io_port_stop(struct io_port *p);
void io_port_close(struct io_port *p); /* stops it, too */

struct io_port_facts {
    char driver[32]; /* "net_af_xdp" */
    uint8_t mac[6];
    uint16_t mtu;
    uint16_t queues;   /* receive and transmit queues in use: at most `workers` */
    int numa_node;     /* -1: unknown */
    uint32_t offloads; /* STACK_TX_* (stack/stack.h) */
};

void io_port_facts(const struct io_port *p, struct io_port_facts *out);

/* The pool in whose mbufs a worker builds frames for this port. */
struct rte_mempool *io_port_tx_pool(const struct io_port *p, unsigned worker);

/*
 * Receives up to `max` frames that belong to the worker: from its own queue, and from the rings
 * through which other workers hand over. A worker that owns a queue hands over what belongs to
 * others. ARP goes to every worker. Returns how many.
 */
unsigned io_port_receive(struct io_port *p, unsigned worker, struct rte_mbuf **out, unsigned max);

/*
 * Transmits; returns how many frames the device took (those are its own now). Where there are fewer
 * queues than workers, frames go through a ring to the worker that owns the queue, which sends them
 * when it calls io_port_receive() or io_port_transmit().
 *
 * Where the port lacks STACK_TX_MULTI_SEGMENT frames are linear, and not indirect mbufs either:
 * AF_XDP sends what lies in the mbuf itself. Offload flags come with l2_len, l3_len and l4_len.
 */
unsigned io_port_transmit(struct io_port *p, unsigned worker, struct rte_mbuf **frames,
                          unsigned count);

/* Hands a frame that a worker received, or put together from such, to the worker that its flow
 * belongs to. The first one owns a queue. Takes the mbuf. */
void io_port_pass(struct io_port *p, unsigned from, struct rte_mbuf *m);

/* The worker to which the device and the hand-off deliver a packet of this flow (remote is the
 * wire's source). The same hash as in the device (DPDK's thash library), and the same answer from
 * every port that has as many workers. */
unsigned io_port_worker_of(const struct io_port *p, const struct ip_endpoint *remote,
                           const struct ip_endpoint *local);

#define IO_COUNTERS(X)                                                              \
    X(io_rx_packets, "frames the device received")                                  \
    X(io_rx_bytes, "bytes the device received")                                     \
    X(io_tx_packets, "frames the device sent")                                      \
    X(io_tx_bytes, "bytes the device sent")                                         \
    X(io_rx_missed, "frames the device dropped because the receive queue was full") \
    X(io_rx_errors, "frames the device received with errors")                       \
    X(io_rx_no_mbuf, "frames the device dropped because no mbuf could be had")      \
    X(io_tx_errors, "frames the device failed to send")                             \
    X(io_handoff_sent, "frames handed to another worker")                           \
    X(io_handoff_dropped, "frames dropped because another worker's ring was full")

COUNTER_STRUCT(io_counters, IO_COUNTERS);
extern const struct counter_table io_counter_table;

/* Device-wide figures are reported under worker 0. */
void io_port_counters(const struct io_port *p, unsigned worker, struct io_counters *out);

/* mbufs of the port's pools that are in use now and in all. */
void io_port_pool_usage(const struct io_port *p, unsigned worker, uint32_t *used, uint32_t *size);

/* Link state: false when the cable is out. Costs some system calls: not for the packet path. */
bool io_port_link_up(const struct io_port *p);

#endif
