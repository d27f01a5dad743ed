/*
 * Ports over net_ring (what is sent comes back on the same queue) and net_null, with several
 * workers all driven by this one thread: who gets which frame, what is dropped and counted, and
 * that every mbuf comes home.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_tcp.h>

#include "stack/io/io_internal.h"
#include "stack/stack.h"

#define DEVICE_ROOM 1024 /* of a ring device, less one */

/* A ring device has the queues that it is made with; ports look it up by name, as a PCI device. */
static struct {
    char name[RTE_DEV_NAME_MAX_LEN];
    struct rte_ring *rings[4];
} device;

static struct io_port_config config_of(enum io_device kind, const char *name, unsigned workers)
{
    struct io_port_config c = {
        .name = "test", .kind = kind, .device = name, .workers = workers, .buffers = 256};

    for (unsigned i = 0; i < sizeof c.rss_key; i++)
        c.rss_key[i] = (uint8_t)(59 * i + 3);
    return c;
}

static struct io_port *open_port(unsigned queues, unsigned workers)
{
    struct io_port_config c = config_of(IO_DEVICE_PCI, device.name, workers);
    struct error e = {.set = false};
    struct io_port *p;
    int id;

    for (unsigned q = 0; q < queues; q++) {
        char name[RTE_RING_NAMESIZE];

        snprintf(name, sizeof name, "loop%u", q);
        device.rings[q] = rte_ring_create(name, DEVICE_ROOM, SOCKET_ID_ANY, 0);
        assert_non_null(device.rings[q]);
    }
    id = rte_eth_from_rings("loop", device.rings, queues, device.rings, queues, 0);
    assert_true(id >= 0);
    assert_int_equal(rte_eth_dev_get_name_by_port((uint16_t)id, device.name), 0);
    p = io_port_open(&c, &e);
    if (p == NULL)
        fail_msg("%s", e.text);
    return p;
}

static void close_port(struct io_port *p)
{
    io_port_close(p);
    rte_eal_hotplug_remove("vdev", device.name);
    for (unsigned q = 0; q < RTE_DIM(device.rings); q++) {
        rte_ring_free(device.rings[q]);
        device.rings[q] = NULL;
    }
}

static struct rte_mbuf *frame(struct io_port *p, unsigned worker, uint16_t type)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(io_port_tx_pool(p, worker));
    struct rte_ether_hdr *eth;

    assert_non_null(m);
    eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 60);
    memset(eth, 0, 60);
    eth->ether_type = rte_cpu_to_be_16(type);
    return m;
}

static struct rte_mbuf *tcp_frame(struct io_port *p, unsigned worker, uint16_t sport)
{
    struct rte_mbuf *m = frame(p, worker, RTE_ETHER_TYPE_IPV4);
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);

    ip->version_ihl = RTE_IPV4_VHL_DEF;
    ip->next_proto_id = IPPROTO_TCP;
    ip->src_addr = rte_cpu_to_be_32(0xc0000209);
    ip->dst_addr = rte_cpu_to_be_32(0xc6336409);
    tcp->src_port = rte_cpu_to_be_16(sport);
    tcp->dst_port = rte_cpu_to_be_16(443);
    return m;
}

static unsigned owner_of(const struct io_port *p, uint16_t sport)
{
    struct ip_endpoint remote = {ip_from_v4(rte_cpu_to_be_32(0xc0000209)), sport};
    struct ip_endpoint local = {ip_from_v4(rte_cpu_to_be_32(0xc6336409)), 443};

    return io_port_worker_of(p, &remote, &local);
}

static struct rte_tcp_hdr *tcp_of(const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *,
                                   RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr));
}

/* Polls all workers until nothing comes any more; returns frames by worker, checking TCP's owner.
 */
static void drain(struct io_port *p, unsigned workers, unsigned *got)
{
    unsigned silent = 0;

    while (silent < 3) {
        unsigned any = 0;

        for (unsigned w = 0; w < workers; w++) {
            struct rte_mbuf *burst[32];
            unsigned n = io_port_receive(p, w, burst, 32);

            assert_in_range(n, 0, 32);
            for (unsigned i = 0; i < n; i++) {
                const struct rte_ether_hdr *eth =
                    rte_pktmbuf_mtod(burst[i], const struct rte_ether_hdr *);

                if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
                    assert_int_equal(owner_of(p, rte_be_to_cpu_16(tcp_of(burst[i])->src_port)), w);
                rte_pktmbuf_free(burst[i]);
            }
            got[w] += n;
            any += n;
        }
        silent = any > 0 ? 0 : silent + 1;
    }
}

static uint32_t used_of(const struct io_port *p, unsigned workers)
{
    uint32_t sum = 0;

    for (unsigned w = 0; w < workers; w++) {
        uint32_t used, size;

        io_port_pool_usage(p, w, &used, &size);
        sum += used;
    }
    return sum;
}

static uint64_t counter(const struct io_port *p, unsigned worker, const char *name)
{
    struct io_counters c = {0};

    io_port_counters(p, worker, &c);
    for (size_t i = 0; i < io_counter_table.count; i++) {
        if (strcmp(io_counter_table.desc[i].name, name) == 0)
            return counter_read(&c, i);
    }
    fail_msg("no counter %s", name);
    return 0;
}

static void test_one_worker(void **state)
{
    struct io_port *p = open_port(1, 1);
    struct io_port_facts facts;
    struct rte_mbuf *m = tcp_frame(p, 0, 1), *in;

    (void)state;
    io_port_facts(p, &facts);
    assert_string_equal(facts.driver, "net_ring");
    assert_int_equal(facts.queues, 1);
    assert_int_equal(facts.mtu, 1500);
    assert_int_equal(facts.offloads, STACK_TX_MULTI_SEGMENT);
    assert_true(io_port_link_up(p));
    assert_int_equal(io_port_transmit(p, 0, &m, 1), 1);
    assert_int_equal(io_port_receive(p, 0, &in, 1), 1);
    assert_ptr_equal(in, m);
    rte_pktmbuf_free(in);
    assert_int_equal(io_port_receive(p, 0, &in, 1), 0);
    assert_int_equal(used_of(p, 1), 0);
    close_port(p);
}

/* One queue, three workers: what anyone sends passes through worker 0 and finds its owner. */
static void test_one_queue_three_workers(void **state)
{
    struct io_port *p = open_port(1, 3);
    unsigned got[3] = {0}, want[3] = {0};
    uint64_t handed;

    (void)state;
    for (uint16_t port = 0; port < 600; port++) {
        unsigned from = port % 3;
        struct rte_mbuf *m = tcp_frame(p, from, port);

        want[owner_of(p, port)]++;
        assert_int_equal(io_port_transmit(p, from, &m, 1), 1);
    }
    drain(p, 3, got);
    for (unsigned w = 0; w < 3; w++) {
        assert_in_range(want[w], 150, 250);
        assert_int_equal(got[w], want[w]);
    }
    handed = counter(p, 0, "io_handoff_sent");
    assert_int_equal(handed, want[1] + want[2]);
    assert_int_equal(used_of(p, 3), 0);
    close_port(p);
}

static void test_arp_goes_to_every_worker(void **state)
{
    struct io_port *p = open_port(1, 3);
    struct rte_mbuf *m = frame(p, 1, RTE_ETHER_TYPE_ARP);
    unsigned got[3] = {0};

    (void)state;
    assert_int_equal(io_port_transmit(p, 1, &m, 1), 1);
    drain(p, 3, got);
    for (unsigned w = 0; w < 3; w++)
        assert_int_equal(got[w], 1);
    assert_int_equal(used_of(p, 3), 0);
    close_port(p);
}

/* A worker that does not fetch its frames loses the excess; the others go on. */
static void test_full_inbox_drops_and_counts(void **state)
{
    struct io_port *p = open_port(1, 2);
    unsigned sent = 0, mine = 0, got[2] = {0};
    struct rte_mbuf *burst[IO_BURST];

    (void)state;
    for (uint16_t port = 0; sent < IO_RING_SIZE + 500; port++) {
        struct rte_mbuf *m;
        unsigned n;

        if (owner_of(p, port) == 0)
            continue;
        m = tcp_frame(p, 0, port);
        assert_int_equal(io_port_transmit(p, 0, &m, 1), 1);
        sent++;
        n = io_port_receive(p, 0, burst, IO_BURST);
        rte_pktmbuf_free_bulk(burst, n);
        mine += n;
    }
    assert_int_equal(mine, 0);
    drain(p, 2, got);
    assert_int_equal(got[0], 0);
    assert_int_equal(counter(p, 0, "io_handoff_dropped"), sent - got[1]);
    assert_in_range(got[1], IO_RING_SIZE - 1, IO_RING_SIZE);
    assert_int_equal(used_of(p, 2), 0);
    close_port(p);
}

/* A worker without a queue meets back-pressure when the owner does not send, and loses nothing. */
static void test_transmit_ring_pushes_back(void **state)
{
    struct io_port *p = open_port(1, 2);
    unsigned taken = 0, got[2] = {0};
    struct rte_mbuf *m;

    (void)state;
    for (;;) {
        m = tcp_frame(p, 1, (uint16_t)taken);
        if (io_port_transmit(p, 1, &m, 1) == 0)
            break;
        taken++;
    }
    rte_pktmbuf_free(m);
    assert_in_range(taken, IO_RING_SIZE - 1, IO_RING_SIZE);
    drain(p, 2, got);
    assert_int_equal(got[0] + got[1] + counter(p, 0, "io_handoff_dropped"), taken);
    assert_int_equal(used_of(p, 2), 0);
    close_port(p);
}

/* The device is full and takes little by little: a client's frames wait with the owner, each leaves
 * once, and in order. */
static void test_full_device_keeps_clients_frames(void **state)
{
    struct io_port *p = open_port(1, 2);
    uint16_t mine = 0; /* a port of worker 0: its frames come straight back */
    unsigned filled = 0, seen = 0;
    struct rte_mbuf *m, *in[7];

    (void)state;
    while (owner_of(p, mine) != 0)
        mine++;
    for (;;) {
        m = tcp_frame(p, 0, mine);
        if (io_port_transmit(p, 0, &m, 1) == 0)
            break;
        filled++;
    }
    rte_pktmbuf_free(m);
    for (uint32_t i = 0; i < 200; i++) {
        m = tcp_frame(p, 1, mine);
        tcp_of(m)->sent_seq = i + 1;
        assert_int_equal(io_port_transmit(p, 1, &m, 1), 1);
    }
    while (seen < filled + 200) {
        unsigned n = io_port_receive(p, 0, in, 7);

        assert_in_range(n, 1, 7);
        for (unsigned i = 0; i < n; i++, seen++)
            assert_int_equal(tcp_of(in[i])->sent_seq, seen < filled ? 0 : seen - filled + 1);
        rte_pktmbuf_free_bulk(in, n);
    }
    assert_int_equal(io_port_receive(p, 0, in, 7), 0);
    assert_int_equal(used_of(p, 2), 0);
    close_port(p);
}

/* What still waits in rings is freed before its pool: under AddressSanitizer, or never. */
static void test_close_with_frames_under_way(void **state)
{
    struct io_port *p = open_port(1, 3);

    (void)state;
    for (uint16_t port = 0; port < 200; port++) {
        struct rte_mbuf *m = tcp_frame(p, port % 3, port), *in[1];

        assert_int_equal(io_port_transmit(p, port % 3, &m, 1), 1);
        if (io_port_receive(p, 0, in, 1) == 1)
            rte_pktmbuf_free(in[0]);
    }
    assert_true(used_of(p, 3) > 0);
    close_port(p);
}

/* Two queues and three workers: two of them own a queue, and still all is steered by software. */
static void test_two_queues_three_workers(void **state)
{
    struct io_port *p = open_port(2, 3);
    unsigned got[3] = {0}, want[3] = {0};
    struct io_port_facts facts;

    (void)state;
    io_port_facts(p, &facts);
    assert_int_equal(facts.queues, 2);
    for (uint16_t port = 0; port < 600; port++) {
        struct rte_mbuf *m = tcp_frame(p, port % 3, port);

        want[owner_of(p, port)]++;
        assert_int_equal(io_port_transmit(p, port % 3, &m, 1), 1);
    }
    drain(p, 3, got);
    for (unsigned w = 0; w < 3; w++)
        assert_int_equal(got[w], want[w]);
    assert_true(counter(p, 0, "io_handoff_sent") > 0);
    assert_true(counter(p, 1, "io_handoff_sent") > 0);
    assert_int_equal(used_of(p, 3), 0);
    close_port(p);
}

/* net_null keeps an RSS table and a key, but does not take the key from its configuration. */
static void test_rss_is_read_back(void **state)
{
    struct io_port_config config = config_of(IO_DEVICE_VDEV, "net_null7", 2);
    struct rte_eth_rss_conf rss = {.rss_key = config.rss_key,
                                   .rss_key_len = IO_RSS_KEY_LEN,
                                   .rss_hf =
                                       RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP};
    struct rte_eth_conf conf = {0};
    struct rte_eth_dev_info info;
    uint8_t key[IO_RSS_KEY_MAX];
    struct error e = {.set = false};
    struct io_rss map;
    uint16_t id;

    (void)state;
    assert_int_equal(rte_eal_hotplug_add("vdev", config.device, ""), 0);
    assert_int_equal(rte_eth_dev_get_port_by_name(config.device, &id), 0);
    assert_int_equal(rte_eth_dev_info_get(id, &info), 0);
    io_rss_init(&map, config.rss_key, 2);
    io_rss_conf(&info, config.rss_key, key, &conf);
    assert_int_equal(rte_eth_dev_configure(id, 2, 2, &conf), 0);
    assert_int_equal(io_rss_program(&map, id, &info, config.rss_key, &e), -1);
    assert_string_equal(e.text, "it does not take our RSS key");
    assert_int_equal(rte_eth_dev_rss_hash_update(id, &rss), 0);
    assert_int_equal(io_rss_program(&map, id, &info, config.rss_key, NULL), 0);
    rte_eth_dev_close(id);
    rte_eal_hotplug_remove("vdev", config.device);
}

static void assert_open_fails(struct io_port_config config, const char *part)
{
    struct error e = {.set = false};

    assert_null(io_port_open(&config, &e));
    if (strstr(e.text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", e.text, part);
}

static void test_errors_name_the_cause(void **state)
{
    struct io_port_config config = config_of(IO_DEVICE_VDEV, "net_nonsense0", 1);

    (void)state;
    assert_open_fails(config, "interface test (net_nonsense0): ");
    config.device = "net_null8";
    config.workers = 0;
    assert_open_fails(config, "0 workers");
    config.workers = IO_MAX_WORKERS + 1;
    assert_open_fails(config, "65 workers");
    config.workers = 1;
    config.kind = IO_DEVICE_KERNEL;
    config.device = "no-such-if0";
    assert_open_fails(config, "no interface \"no-such-if0\"; there are: lo");
    config.device = "a-name-that-is-too-long";
    assert_open_fails(config, "no interface \"a-name-that-is-too-long\"");
    config.kind = IO_DEVICE_AF_PACKET;
    config.device = "lo";
    assert_open_fails(config, "\"lo\" is not an Ethernet interface");
    config.kind = IO_DEVICE_PCI;
    config.device = "0000:ff:1f.7";
    assert_open_fails(config, "dpdk-devbind.py -b vfio-pci 0000:ff:1f.7");
    config.kind = IO_DEVICE_TAP;
    config.device = "a-name-that-is-too-long";
    assert_open_fails(config, "longer than 15 characters");
    config.device = "tap0";
    config.mtu = 9000;
    assert_open_fails(config, "no MTU above 1500");
}

/* A port that was closed leaves nothing that keeps it from being opened again. */
static void test_reopen(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        close_port(open_port(2, 3));
}

static int set_up(void **state)
{
    (void)state;
    return io_env_init(
        &(struct io_env_config){.hugepages = IO_HUGEPAGES_OFF, .memory = UINT64_C(256) << 20},
        NULL);
}

static int tear_down(void **state)
{
    (void)state;
    io_env_fini();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_worker),
        cmocka_unit_test(test_one_queue_three_workers),
        cmocka_unit_test(test_arp_goes_to_every_worker),
        cmocka_unit_test(test_full_inbox_drops_and_counts),
        cmocka_unit_test(test_transmit_ring_pushes_back),
        cmocka_unit_test(test_full_device_keeps_clients_frames),
        cmocka_unit_test(test_close_with_frames_under_way),
        cmocka_unit_test(test_two_queues_three_workers),
        cmocka_unit_test(test_rss_is_read_back),
        cmocka_unit_test(test_errors_name_the_cause),
        cmocka_unit_test(test_reopen),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
