/*
 * A station made of stack/io alone, for the checks in namespaces (tests/scenario/test_io_ports.py):
 * answers ARP and ICMP echo for one address, and TCP SYNs with RST. Each worker checks that the
 * TCP segments it gets are those that io_port_worker_of() says it gets.
 *
 *     io_reflector KIND DEVICE WORKERS ADDRESS [key=value…]
 *
 * KIND is kernel, af-packet, tap or vdev. Keys: sleep (us after an empty round), mtu, hugepages
 * (auto, require, off), buffers. Runs until SIGTERM or SIGINT, then prints a line for each worker
 * and one for the port, as key=value words.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "base/log.h"
#include "stack/io/io.h"
#include "stack/stack.h"

#define BURST 64

struct options {
    struct io_port_config port;
    uint32_t address; /* network byte order */
    unsigned sleep_us;
    enum io_hugepages hugepages;
};

struct station {
    struct io_port *port;
    struct io_port_facts facts;
    const struct options *options;
};

struct worker {
    struct station *station;
    unsigned index;
    pthread_t thread;
    uint64_t arp, echo, tcp, astray, other, unsent, rounds;
};

static atomic_bool stopping;

/* Blocked in all threads from the start, so that no moment is too early for them. */
static sigset_t end_signals;

/* Sends the frame, trying again while the device is full; a station must not lose replies. */
static void send_frame(struct worker *w, struct rte_mbuf *m)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (io_port_transmit(w->station->port, w->index, &m, 1) == 1)
            return;
    }
    w->unsent++;
    rte_pktmbuf_free(m);
}

/* An empty frame with an Ethernet header back to the sender of `in`. */
static struct rte_mbuf *reply_begin(struct worker *w, const struct rte_mbuf *in, unsigned len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(io_port_tx_pool(w->station->port, w->index));
    const struct rte_ether_hdr *from = rte_pktmbuf_mtod(in, const struct rte_ether_hdr *);
    struct rte_ether_hdr *eth;

    if (m == NULL)
        return NULL;
    eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, (uint16_t)len);
    eth->dst_addr = from->src_addr;
    memcpy(&eth->src_addr, w->station->facts.mac, RTE_ETHER_ADDR_LEN);
    eth->ether_type = from->ether_type;
    return m;
}

static void answer_arp(struct worker *w, struct rte_mbuf *in)
{
    const struct rte_arp_hdr *q =
        rte_pktmbuf_mtod_offset(in, const struct rte_arp_hdr *, RTE_ETHER_HDR_LEN);
    struct rte_arp_hdr *a;
    struct rte_mbuf *m;

    w->arp++;
    /* All workers hear the question; one answers. */
    if (w->index != 0 || in->data_len < RTE_ETHER_HDR_LEN + sizeof *q ||
        q->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) ||
        q->arp_data.arp_tip != w->station->options->address)
        return;
    m = reply_begin(w, in, RTE_ETHER_HDR_LEN + sizeof *a);
    if (m == NULL)
        return;
    a = rte_pktmbuf_mtod_offset(m, struct rte_arp_hdr *, RTE_ETHER_HDR_LEN);
    *a = *q;
    a->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
    a->arp_data.arp_tha = q->arp_data.arp_sha;
    a->arp_data.arp_tip = q->arp_data.arp_sip;
    memcpy(&a->arp_data.arp_sha, w->station->facts.mac, RTE_ETHER_ADDR_LEN);
    a->arp_data.arp_sip = q->arp_data.arp_tip;
    send_frame(w, m);
}

static void fill_ipv4(struct worker *w, struct rte_mbuf *m, const struct rte_ipv4_hdr *q,
                      uint16_t total)
{
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);

    *ip = *q;
    ip->version_ihl = RTE_IPV4_VHL_DEF;
    ip->total_length = rte_cpu_to_be_16(total);
    ip->src_addr = q->dst_addr;
    ip->dst_addr = q->src_addr;
    ip->time_to_live = 64;
    ip->hdr_checksum = 0;
    m->l2_len = RTE_ETHER_HDR_LEN;
    m->l3_len = sizeof *ip;
    if (w->station->facts.offloads & STACK_TX_IPV4_CHECKSUM)
        m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
    else
        ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* The request's payload, behind a header of our own: as a second segment where the device sends
 * several, else copied. Takes `in`. */
static void answer_echo(struct worker *w, struct rte_mbuf *in, const struct rte_ipv4_hdr *q)
{
    unsigned headers = RTE_ETHER_HDR_LEN + sizeof *q + sizeof(struct rte_icmp_hdr);
    unsigned total = rte_be_to_cpu_16(q->total_length);
    unsigned payload = total - sizeof *q - sizeof(struct rte_icmp_hdr);
    bool chained = (w->station->facts.offloads & STACK_TX_MULTI_SEGMENT) != 0 && payload > 0;
    struct rte_mbuf *m = reply_begin(w, in, chained ? headers : headers + payload);
    struct rte_icmp_hdr *icmp;
    uint32_t sum;

    w->echo++;
    if (m == NULL) {
        rte_pktmbuf_free(in);
        return;
    }
    fill_ipv4(w, m, q, (uint16_t)total);
    memcpy(rte_pktmbuf_mtod_offset(m, char *, RTE_ETHER_HDR_LEN + sizeof *q),
           rte_pktmbuf_mtod_offset(in, char *, RTE_ETHER_HDR_LEN + sizeof *q),
           m->data_len - RTE_ETHER_HDR_LEN - sizeof *q);
    icmp = rte_pktmbuf_mtod_offset(m, struct rte_icmp_hdr *, RTE_ETHER_HDR_LEN + sizeof *q);
    icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
    /* RFC 1624: the checksum changes by the type, from 8 to 0. */
    sum = (uint32_t)rte_be_to_cpu_16(icmp->icmp_cksum) + 0x0800;
    icmp->icmp_cksum = rte_cpu_to_be_16((uint16_t)(sum + (sum >> 16)));
    if (chained) {
        rte_pktmbuf_adj(in, (uint16_t)headers);
        in->data_len = (uint16_t)payload;
        in->pkt_len = payload;
        rte_pktmbuf_chain(m, in);
    } else {
        rte_pktmbuf_free(in);
    }
    send_frame(w, m);
}

static void check_worker(struct worker *w, const struct rte_ipv4_hdr *ip,
                         const struct rte_tcp_hdr *tcp)
{
    struct ip_endpoint remote = {ip_from_v4(ip->src_addr), rte_be_to_cpu_16(tcp->src_port)};
    struct ip_endpoint local = {ip_from_v4(ip->dst_addr), rte_be_to_cpu_16(tcp->dst_port)};

    w->tcp++;
    if (io_port_worker_of(w->station->port, &remote, &local) != w->index)
        w->astray++;
}

static void refuse_tcp(struct worker *w, struct rte_mbuf *in, const struct rte_ipv4_hdr *q)
{
    const struct rte_tcp_hdr *syn = rte_pktmbuf_mtod_offset(
        in, const struct rte_tcp_hdr *, RTE_ETHER_HDR_LEN + rte_ipv4_hdr_len(q));
    struct rte_ipv4_hdr *ip;
    struct rte_tcp_hdr *rst;
    struct rte_mbuf *m;

    check_worker(w, q, syn);
    if ((syn->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) != RTE_TCP_SYN_FLAG)
        return;
    m = reply_begin(w, in, RTE_ETHER_HDR_LEN + sizeof *q + sizeof *rst);
    if (m == NULL)
        return;
    fill_ipv4(w, m, q, sizeof *q + sizeof *rst);
    ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
    rst = (struct rte_tcp_hdr *)(ip + 1);
    memset(rst, 0, sizeof *rst);
    rst->src_port = syn->dst_port;
    rst->dst_port = syn->src_port;
    rst->recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(syn->sent_seq) + 1);
    rst->data_off = sizeof *rst << 2;
    rst->tcp_flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;
    m->l4_len = sizeof *rst;
    if (w->station->facts.offloads & STACK_TX_TCP_CHECKSUM) {
        m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
        rst->cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
    } else {
        rst->cksum = rte_ipv4_udptcp_cksum(ip, rst);
    }
    send_frame(w, m);
}

static void answer_ipv4(struct worker *w, struct rte_mbuf *in)
{
    const struct rte_ipv4_hdr *ip =
        rte_pktmbuf_mtod_offset(in, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
    unsigned len = in->data_len - RTE_ETHER_HDR_LEN;
    const uint8_t *l4 = (const uint8_t *)(ip + 1);
    bool ours = len >= sizeof *ip + 8 && rte_be_to_cpu_16(ip->total_length) <= len &&
                ip->dst_addr == w->station->options->address && rte_ipv4_hdr_len(ip) == sizeof *ip;

    if (ours && ip->next_proto_id == IPPROTO_ICMP && l4[0] == RTE_IP_ICMP_ECHO_REQUEST) {
        answer_echo(w, in, ip);
        return;
    } else if (ours && ip->next_proto_id == IPPROTO_TCP &&
               len >= sizeof *ip + sizeof(struct rte_tcp_hdr)) {
        refuse_tcp(w, in, ip);
    } else {
        w->other++;
    }
    rte_pktmbuf_free(in);
}

static void answer(struct worker *w, struct rte_mbuf *in)
{
    const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in, const struct rte_ether_hdr *);

    if (in->data_len >= RTE_ETHER_HDR_LEN &&
        eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
        answer_ipv4(w, in);
        return;
    }
    if (in->data_len >= RTE_ETHER_HDR_LEN &&
        eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
        answer_arp(w, in);
    else
        w->other++;
    rte_pktmbuf_free(in);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct timespec nap = {0, (long)w->station->options->sleep_us * 1000};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct error e = {.set = false};

    if (io_worker_enter((unsigned)(w->index % (unsigned long)cpus), w->station->facts.numa_node,
                        &e) != 0) {
        log_error("reflector", "%s", e.text);
        exit(1);
    }
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        struct rte_mbuf *frames[BURST];
        unsigned n = io_port_receive(w->station->port, w->index, frames, BURST);

        for (unsigned i = 0; i < n; i++)
            answer(w, frames[i]);
        w->rounds++;
        if (n == 0 && w->station->options->sleep_us > 0)
            nanosleep(&nap, NULL);
    }
    io_worker_leave();
    return NULL;
}

static void report(const struct station *s, const struct worker *workers)
{
    struct timespec cpu;

    for (unsigned i = 0; i < s->options->port.workers; i++) {
        const struct worker *w = &workers[i];
        struct io_counters c = {0};
        uint32_t used, size;

        io_port_counters(s->port, i, &c);
        io_port_pool_usage(s->port, i, &used, &size);
        printf("worker=%u arp=%" PRIu64 " echo=%" PRIu64 " tcp=%" PRIu64 " astray=%" PRIu64
               " other=%" PRIu64 " unsent=%" PRIu64 " rounds=%" PRIu64 " used=%u size=%u",
               i, w->arp, w->echo, w->tcp, w->astray, w->other, w->unsent, w->rounds, used, size);
        for (size_t k = 0; k < io_counter_table.count; k++)
            printf(" %s=%" PRIu64, io_counter_table.desc[k].name, counter_read(&c, k));
        printf("\n");
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("driver=%s queues=%u mtu=%u offloads=%u link=%d cpu_ms=%ld\n", s->facts.driver,
           s->facts.queues, s->facts.mtu, s->facts.offloads, io_port_link_up(s->port),
           (long)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000);
}

static int run(const struct options *o)
{
    struct worker *workers = calloc(o->port.workers, sizeof *workers);
    struct station s = {.options = o};
    struct error e = {.set = false};
    int signo;

    s.port = io_port_open(&o->port, &e);
    if (s.port == NULL || workers == NULL) {
        fprintf(stderr, "%s\n", e.text);
        free(workers);
        return 1;
    }
    io_port_facts(s.port, &s.facts);
    for (unsigned i = 0; i < o->port.workers; i++) {
        workers[i] = (struct worker){.station = &s, .index = i};
        pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
    }
    printf("ready driver=%s\n", s.facts.driver);
    fflush(stdout);
    sigwait(&end_signals, &signo);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < o->port.workers; i++)
        pthread_join(workers[i].thread, NULL);
    report(&s, workers);
    io_port_close(s.port);
    free(workers);
    return 0;
}

static int parse_kind(const char *text, enum io_device *out)
{
    static const char *const names[] = {[IO_DEVICE_KERNEL] = "kernel",
                                        [IO_DEVICE_PCI] = "pci",
                                        [IO_DEVICE_AF_PACKET] = "af-packet",
                                        [IO_DEVICE_TAP] = "tap",
                                        [IO_DEVICE_VDEV] = "vdev"};

    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum io_device)i;
            return 0;
        }
    }
    return -1;
}

static int parse(int argc, char **argv, struct options *o)
{
    struct ip_addr a;
    char huge[16] = "auto";

    *o = (struct options){.port = {.name = "test", .buffers = 4096}};
    for (unsigned i = 0; i < sizeof o->port.rss_key; i++)
        o->port.rss_key[i] = (uint8_t)(17 * i + 5);
    if (argc < 5 || parse_kind(argv[1], &o->port.kind) != 0 || ip_parse(argv[4], &a) != 0)
        return -1;
    o->port.device = argv[2];
    o->port.workers = (unsigned)atoi(argv[3]);
    o->address = ip_to_v4(&a);
    for (int i = 5; i < argc; i++) {
        if (sscanf(argv[i], "sleep=%u", &o->sleep_us) != 1 &&
            sscanf(argv[i], "mtu=%hu", &o->port.mtu) != 1 &&
            sscanf(argv[i], "buffers=%u", &o->port.buffers) != 1 &&
            sscanf(argv[i], "hugepages=%15s", huge) != 1)
            return -1;
    }
    o->hugepages = strcmp(huge, "off") == 0       ? IO_HUGEPAGES_OFF
                   : strcmp(huge, "require") == 0 ? IO_HUGEPAGES_REQUIRE
                                                  : IO_HUGEPAGES_AUTO;
    return 0;
}

int main(int argc, char **argv)
{
    struct error e = {.set = false};
    struct options o;
    int result;

    if (parse(argc, argv, &o) != 0) {
        fprintf(stderr, "usage: io_reflector KIND DEVICE WORKERS ADDRESS [key=value...]\n");
        return 2;
    }
    if (getenv("SLUICE_LOG") != NULL)
        log_level_set(LOG_LEVEL_DEBUG);
    sigemptyset(&end_signals);
    sigaddset(&end_signals, SIGTERM);
    sigaddset(&end_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end_signals, NULL);
    if (io_env_init(
            &(struct io_env_config){.hugepages = o.hugepages, .memory = io_port_memory(&o.port)},
            &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    result = run(&o);
    io_env_fini();
    return result;
}
