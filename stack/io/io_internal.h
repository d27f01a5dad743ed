/*
 * What the files of stack/io share. Nothing here is seen outside the folder.
 *
 * Words: a queue is a receive and transmit queue pair of a device, owned by the worker of the same
 * number; a lane is one worker's side of a port, whether it owns a queue or not.
 */
#ifndef STACK_IO_IO_INTERNAL_H
#define STACK_IO_IO_INTERNAL_H

#include <net/if.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "stack/io/io.h"

#define IO_AREA        "io"

#define IO_BURST       64 /* frames a device call moves at most */
#define IO_MAX_WORKERS 64
#define IO_RING_SIZE   1024 /* frames between two workers: 10 ms of a busy worker's share */

/* ---- io_log.c: DPDK's and libxdp's messages ---- */

#define IO_LOG_LINE 512

/* What DPDK and libxdp said while a thread was trying something that may fail: its cause. */
struct io_log_capture {
    char text[IO_LOG_LINE]; /* empty: nothing */
    unsigned weight;
};

int io_log_open(struct error *e);
void io_log_close(void);

/* Once the drivers are loaded: takes over the messages of the libraries that came with them. */
void io_log_hook_libraries(void);

/* Between the two, this thread's messages are kept (the first error wins) instead of warned about.
 */
void io_log_capture_begin(struct io_log_capture *c);
void io_log_capture_end(void);

/* ---- io_netdev.c: interfaces of the kernel ---- */

struct io_netdev {
    char name[IF_NAMESIZE];
    char driver[32]; /* "veth"; empty when unknown */
    unsigned mtu;
    unsigned rx_channels;
    bool combined; /* channels are set as combined ones, else as receive channels */
    bool up;
    int numa_node; /* -1: unknown */
};

/* Reads an interface. When there is none of that name the error lists those that there are. */
int io_netdev_read(const char *name, struct io_netdev *out, struct error *e);
int io_netdev_up(const char *name, struct error *e);
int io_netdev_set_mtu(const char *name, unsigned mtu, struct error *e);
int io_netdev_set_mac(const char *name, const uint8_t mac[6], struct error *e);
int io_netdev_set_channels(const struct io_netdev *d, unsigned count, struct error *e);
bool io_netdev_running(const char *name);

/* Switches merging of received frames (GRO, LRO) off; returns true when it was on. */
bool io_netdev_gro_off(const char *name);
void io_netdev_gro_on(const char *name);

/* Switches off that the device takes VLAN tags out of received frames; true when it did. */
bool io_netdev_vlan_strip_off(const char *name);
void io_netdev_vlan_strip_on(const char *name);

/* Global addresses that the kernel holds on the interface, as text; false when there is none. */
bool io_netdev_addresses(const char *name, char *out, size_t size);

/* ---- io_socket.c: the sockets that a driver opened in the kernel ---- */

#define IO_MAX_SOCKETS 256

struct io_sockets {
    int fd[IO_MAX_SOCKETS];
    unsigned count;
};

/* Descriptors of this process that are sockets of the family. */
void io_socket_list(int family, struct io_sockets *out);
/* Keeps in `now` those that are not in `before`. */
void io_socket_subtract(struct io_sockets *now, const struct io_sockets *before);
void io_socket_intersect(struct io_sockets *now, const struct io_sockets *of);

/* ---- io_xsk.c: what the driver of AF_XDP does not tell ---- */

enum io_xsk_verdict {
    IO_XSK_POSSIBLE,   /* all that was tried works; the cause is another */
    IO_XSK_IMPOSSIBLE, /* the error says what is missing */
    IO_XSK_TAKEN       /* the queue is another's; so would its frames be under AF_PACKET */
};

/* `bytes`: of memory that it should be able to lock. */
enum io_xsk_verdict io_xsk_probe(const char *netdev, unsigned queue, size_t bytes, struct error *e);

/* Fails when another program receives on the interface through AF_XDP. */
int io_xsk_check_free(const char *netdev, unsigned queues, struct error *e);

/* ---- io_pool.c ---- */

/* What the sizes of a port's pools follow from. */
struct io_pool_plan {
    unsigned workers, queues;
    bool steering;       /* any worker may hold what any queue received */
    unsigned interfaces; /* on the port */
    bool shared;         /* frames are transmitted from the receive pool (AF_XDP) */
    uint32_t device_rx;  /* mbufs the device keeps on the receive side */
    uint32_t device_tx;  /* mbufs the device keeps until it has sent them */
    uint32_t buffers;    /* mbufs the stack of one worker may hold */
    uint16_t mtu;
    uint16_t reserve; /* bytes of each mbuf's room that the device takes for itself */
};

struct io_pool_size {
    uint32_t rx, tx; /* mbufs in a queue's receive pool, in a worker's transmit pool (0: shared) */
    uint16_t data_room; /* bytes, headroom included */
};

void io_pool_size(const struct io_pool_plan *plan, struct io_pool_size *out);
uint64_t io_pool_bytes(const struct io_pool_plan *plan);

/* How pools keep their free mbufs: the name of the mempool's operations. */
const char *io_pool_ops(void);

struct rte_mempool *io_pool_create(const char *name, uint32_t count, uint16_t data_room,
                                   int numa_node, struct error *e);

/* ---- io_rss.c: which worker a flow belongs to ---- */

/* Every port maps hashes to workers alike, whatever the size of its device's table. */
#define IO_RSS_BUCKETS 128
#define IO_RSS_KEY_LEN 40
#define IO_RSS_KEY_MAX 64 /* of devices */
#define IO_RSS_TUPLE   36 /* bytes: two IPv6 addresses, two ports */

struct io_rss {
    uint16_t worker[IO_RSS_BUCKETS];
    /* Toeplitz is linear: the hash is the XOR of what each half-byte contributes. 4.5 KiB in all,
     * of which IPv4 touches a third. */
    uint32_t part[2 * IO_RSS_TUPLE][16];
};

void io_rss_init(struct io_rss *r, const uint8_t key[IO_RSS_KEY_LEN], unsigned workers);

/* Hash of `len` bytes laid out as in Microsoft's RSS specification: source address, destination
 * address, source port, destination port, all in network order. */
static inline uint32_t io_rss_hash(const struct io_rss *r, const uint8_t *tuple, unsigned len)
{
    uint32_t hash = 0;

    for (unsigned i = 0; i < len; i++)
        hash ^= r->part[2 * i][tuple[i] >> 4] ^ r->part[2 * i + 1][tuple[i] & 15];
    return hash;
}

static inline unsigned io_rss_worker(const struct io_rss *r, const uint8_t *tuple, unsigned len)
{
    return r->worker[io_rss_hash(r, tuple, len) % IO_RSS_BUCKETS];
}

/* Can the device be told to spread flows as we do? */
bool io_rss_capable(const struct rte_eth_dev_info *info, unsigned workers, unsigned queues);
void io_rss_conf(const struct rte_eth_dev_info *info, const uint8_t key[IO_RSS_KEY_LEN],
                 uint8_t padded_key[IO_RSS_KEY_MAX], struct rte_eth_conf *conf);
/* Writes the table of a started device and reads key and table back. */
int io_rss_program(const struct io_rss *r, uint16_t ethdev, const struct rte_eth_dev_info *info,
                   const uint8_t key[IO_RSS_KEY_LEN], struct error *e);

/* ---- io_steer.c: which worker a frame belongs to ---- */

#define IO_STEER_ALL UINT32_MAX

/* The worker a received frame is for, or IO_STEER_ALL. `hashed`: the device has spread TCP already,
 * so a TCP segment stays with `self`. */
unsigned io_steer(const struct io_rss *r, const struct rte_mbuf *m, unsigned self, bool hashed);

/* ---- io_device.c: from a configured device to DPDK ports ---- */

enum io_driver { IO_DRIVER_XDP, IO_DRIVER_PACKET, IO_DRIVER_TAP, IO_DRIVER_OTHER };

struct io_device_state {
    enum io_driver driver;
    char netdev[IF_NAMESIZE]; /* the kernel's interface behind it; empty: none */
    uint16_t ethdev[IO_MAX_WORKERS];
    char vdev[IO_MAX_WORKERS]
             [RTE_DEV_NAME_MAX_LEN]; /* that we created; empty: not ours to remove */
    unsigned ethdevs;                /* one with `queues` queues, or `queues` with one each */
    unsigned queues;
    uint16_t mtu;
    int numa_node;
    bool veth;
    bool gro_was_on;        /* to be put back */
    bool vlan_strip_was_on; /* likewise */
    unsigned channels_were; /* likewise; 0: unchanged */
    unsigned mtu_was;       /* likewise; 0: unchanged */
    struct io_sockets sockets_before, sockets;
};

enum io_driver io_device_driver(enum io_device kind, bool allow_xdp);

/* Looks the device up, or creates it, with at most config->workers queues. For a kernel interface
 * `allow_xdp` says whether through AF_XDP or AF_PACKET. After a failure, too, io_device_close(). */
int io_device_open(struct io_device_state *d, const struct io_port_config *config, bool allow_xdp,
                   struct error *e);
/* Once queues are set up: finds the driver's sockets. */
void io_device_find_sockets(struct io_device_state *d);
/* Warns of addresses that the kernel holds on the interface, and what becomes of them. */
void io_device_announce(const struct io_device_state *d);
/* Stops and removes the ethdevs and puts the interface's settings back. */
void io_device_close(struct io_device_state *d);

/* What the sizes of pools follow from, for a device with so many queues. */
void io_device_plan(enum io_driver driver, const struct io_port_config *config, unsigned queues,
                    uint16_t mtu, bool hw_rss, struct io_pool_plan *plan);
uint16_t io_device_ring(enum io_driver driver);

/* ---- the port ---- */

struct io_queue {
    uint16_t ethdev, queue;
    struct rte_mempool *pool;
};

struct io_lane {
    struct io_counters counters;
    struct io_queue *own;     /* NULL: frames go out through another worker's queue */
    struct rte_ring *tx_ring; /* then: to that worker */
    struct rte_mempool *tx_pool;
    struct rte_ring **inbox;   /* from each queue's owner (NULL for oneself); `queues` of them */
    struct rte_ring **outbox;  /* owner: to each worker; `workers` of them */
    struct rte_ring **clients; /* owner: transmit rings of the workers without a queue */
    unsigned client_count;
    struct rte_mbuf *pending[IO_BURST]; /* clients' frames that the device had no room for */
    unsigned pending_count;
    uint64_t tx_refused;   /* frames the device did not take, offered again later */
    uint64_t packet_drops; /* of the port, in lane 0: summed up from AF_PACKET's sockets */
} __rte_cache_aligned;

struct io_port {
    bool undivided;
    unsigned workers, queues;
    bool hw_rss;     /* the device spreads TCP flows over the workers by itself */
    bool tx_prepare; /* transmit offloads are on: the driver wants to see frames beforehand */
    bool halted;     /* the device is gone, pools remain */
    struct io_queue *queue;
    struct io_lane *lane;
    struct rte_ring **rings; /* all of them, to free */
    unsigned ring_count;
    struct rte_mempool **tx_pools;
    struct io_device_state device;
    struct io_port_facts facts;
    uint8_t rss_key[IO_RSS_KEY_LEN];
    struct io_rss rss;
};

/* ---- io_handoff.c: frames between workers ---- */

int io_handoff_create(struct io_port *p, struct error *e);
void io_handoff_destroy(struct io_port *p);

/* Gives frames received by `from` to whom they belong; returns those that are its own, in `out`. */
unsigned io_handoff_spread(struct io_port *p, unsigned from, struct rte_mbuf **frames,
                           unsigned count, struct rte_mbuf **out);
unsigned io_handoff_collect(struct io_port *p, unsigned worker, struct rte_mbuf **out,
                            unsigned max);

/* ---- io_burst.c ---- */

/* Offers frames to the lane's own queue. Returns how many are taken. */
unsigned io_burst_send(const struct io_port *p, struct io_lane *lane, struct rte_mbuf **frames,
                       unsigned count);

#endif
