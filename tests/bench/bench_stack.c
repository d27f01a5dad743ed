/*
 * What the packet path costs, from received frames to frames for the device: `make bench
 * BENCH=stack`. One stack with the firewall before it and a scheduler behind it, as in a worker; no
 * device, no kernel.
 *
 *     bench_stack [--batches N] [CASE...]
 *
 * The clients are without state: each frame of the stack says all that is needed to answer it.
 * They work in between; only the stack's rounds are timed. A case is many short batches, of which
 * the least and the lower quartile are printed: what else the machine does in between lengthens
 * some batches and spares others. `valgrind --tool=callgrind --toggle-collect=server_round` counts
 * the instructions of the rounds exactly.
 *
 * The memory device has no checksum offload and takes frames of several mbufs, as net_memif; the
 * linear one takes one mbuf a frame, as net_af_xdp; the offloading one does checksums and
 * segmentation.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include "firewall/firewall.h"
#include "scheduler/scheduler.h"
#include "stack/event.h"
#include "stack/io/io_internal.h"
#include "stack/socket.h"
#include "stack/stack.h"
#include "stack/wire/wire.h"

#define BURST      64 /* as a worker's */
#define FRAMES     8192
#define RX_POOL    32767
#define TX_POOL    98303 /* a kept connection has its last response in it */
#define BUFFERS    90000
#define ROUND      (20 * CLOCK_US)
#define PORT_FIRST 10000
#define PORTS      50000
#define PORT       80
#define NET        0x64400000u /* 100.64.0.0: the clients' */
#define SMALL      64          /* bytes of a request, and of a response */
#define WINDOW     65535       /* of a client, without scale */
#define BULK       (256u << 10)
#define SEGMENT    1448
#define BATCHES    1000
#define TRIES      5 /* of each batch that was interrupted, on average */

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, gateway_mac[6] = {2, 0, 0, 0, 0, 2};

enum kind { CONNECT, REQUEST, DOWNLOAD, UPLOAD };

struct bench_case {
    const char *name, *title, *unit;
    enum kind kind;
    uint32_t offloads;
    bool marks;           /* the device verifies checksums */
    uint32_t connections; /* that are open; CONNECT: that begin together */
};

#define MEMORY STACK_TX_MULTI_SEGMENT
#define OFFLOADING \
    (STACK_TX_MULTI_SEGMENT | STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT)

static const struct bench_case cases[] = {
    {"connect", "64 B on a new connection", "ns each", CONNECT, MEMORY, false, 64},
    {"connect-linear", "the same, linear frames", "ns each", CONNECT, 0, false, 64},
    {"connect-offload", "the same, offloading device", "ns each", CONNECT, OFFLOADING, true, 64},
    {"connect-1k", "the same, 1,024 at a time", "ns each", CONNECT, MEMORY, false, 1024},
    {"request", "64 B request, 64 connections", "ns each", REQUEST, MEMORY, false, 64},
    {"request-10k", "64 B request, 10,000 connections", "ns each", REQUEST, MEMORY, false, 10000},
    {"request-80k", "64 B request, 80,000 connections", "ns each", REQUEST, MEMORY, false, 80000},
    {"download", "download, 8 connections", "ns a KB", DOWNLOAD, MEMORY, false, 8},
    {"download-linear", "the same, linear frames", "ns a KB", DOWNLOAD, 0, false, 8},
    {"download-offload", "the same, offloading device", "ns a KB", DOWNLOAD, OFFLOADING, true, 8},
    {"upload", "upload, 64 connections", "ns a KB", UPLOAD, MEMORY, false, 64},
    {"upload-offload", "the same, offloading device", "ns a KB", UPLOAD, OFFLOADING, true, 64},
};

struct bench {
    const struct bench_case *what;
    struct stack *stack;
    struct scheduler *scheduler;
    struct firewall *firewall;
    struct rte_mempool *rx_pool, *tx_pool;
    struct rte_mbuf *in[FRAMES], *out[FRAMES];
    unsigned in_count, out_count;
    clock_ns now;
    uint64_t ticks;                  /* of the rounds since it was set to 0 */
    uint32_t next;                   /* number of the next connection */
    uint64_t answered, taken, given; /* responses; bytes that clients got, and that we got */
    struct sock **socks;
    uint32_t accepted, closed;
    /* Where each client stands, of REQUEST and UPLOAD. */
    struct client {
        uint32_t seq, ack;
    } * clients;
    uint8_t filler[BULK];
};

static struct bench bench;

static void fail(const char *what)
{
    fprintf(stderr, "bench_stack: %s\n", what);
    exit(1);
}

/* ---- clients ---- */

static struct ip_addr v4(uint32_t host_order)
{
    return ip_from_v4(rte_cpu_to_be_32(host_order));
}

static struct ip_addr client_addr(uint32_t number)
{
    return v4(NET + number / PORTS);
}

static uint16_t client_port(uint32_t number)
{
    return (uint16_t)(PORT_FIRST + number % PORTS);
}

static uint32_t client_number(const struct ip_addr *addr, uint16_t port)
{
    return (rte_be_to_cpu_32(ip_to_v4(addr)) - NET) * PORTS + port - PORT_FIRST;
}

static struct rte_mbuf *frame_new(struct bench *b)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(b->rx_pool);

    if (m == NULL || b->in_count == FRAMES)
        fail("no room for a client's frame");
    b->in[b->in_count++] = m;
    return m;
}

static uint8_t *put(struct rte_mbuf *m, size_t len)
{
    uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);

    if (at == NULL)
        fail("a client's frame is too long");
    return at;
}

/* The checksums are right whoever looks at them. */
static void client_send(struct bench *b, uint32_t number, struct wire_tcp *h, uint32_t payload)
{
    struct ip_addr src = client_addr(number), dst = v4(0x0a000001);
    struct rte_mbuf *m = frame_new(b);
    size_t headers = WIRE_ETHER_LEN + WIRE_IPV4_LEN;
    uint8_t *start = put(m, headers), *tcp;

    h->sport = client_port(number);
    h->dport = PORT;
    h->has_timestamp = true;
    h->ts_value = (uint32_t)(b->now / CLOCK_MS);
    tcp = put(m, wire_tcp_length(h));
    wire_tcp_emit(h, tcp);
    if (payload > 0)
        memset(put(m, payload), 'x', payload);
    wire_ether_emit(start, our_mac, gateway_mac, WIRE_TYPE_IPV4);
    wire_ipv4_emit(start + WIRE_ETHER_LEN, &src, &dst, WIRE_IP_PROTO_TCP, 0,
                   (uint16_t)(m->pkt_len - WIRE_ETHER_LEN), 0, false);
    rte_pktmbuf_adj(m, (uint16_t)headers);
    wire_tcp_checksum(m, &src, &dst, false, false);
    rte_pktmbuf_prepend(m, (uint16_t)headers);
    if (b->what->marks)
        m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static void client_syn(struct bench *b, uint32_t number)
{
    struct wire_tcp h = {.seq = number * 2654435761u,
                         .flags = TCP_SYN,
                         .window = WINDOW,
                         .has_mss = true,
                         .mss = 1460,
                         .has_wscale = true,
                         .wscale = 0, /* what is in flight to all fits the queues */
                         .sack_permitted = true};

    client_send(b, number, &h, 0);
}

/* A request on a kept connection, or a segment of an upload. */
static void client_data(struct bench *b, uint32_t number, uint32_t payload)
{
    struct client *c = &b->clients[number];
    struct wire_tcp h = {
        .seq = c->seq, .ack = c->ack, .flags = TCP_ACK | TCP_PSH, .window = WINDOW};

    client_send(b, number, &h, payload);
    c->seq += payload;
}

/*
 * What a client answers. CONNECT: the request with the acknowledgement of the SYN-ACK, a FIN with
 * that of the response. Bulk: every second segment is acknowledged.
 */
static void client_answer(struct bench *b, const struct packet *p)
{
    uint32_t number = client_number(&p->dst, p->dport), request = 0;
    struct wire_tcp h = {.seq = p->tcp.ack,
                         .ack = p->tcp.seq + p->payload_length,
                         .flags = TCP_ACK,
                         .window = WINDOW,
                         .ts_echo = p->tcp.ts_value};
    bool syn = (p->tcp.flags & TCP_SYN) != 0;

    if ((p->tcp.flags & TCP_RST) != 0)
        fail("a connection was reset");
    if ((p->tcp.flags & (TCP_SYN | TCP_FIN)) != 0)
        h.ack++;
    if (b->what->kind == CONNECT && syn)
        request = SMALL;
    if (b->what->kind == CONNECT && p->payload_length > 0) {
        h.flags |= TCP_FIN;
        b->answered++;
    }
    b->taken += p->payload_length;
    if (b->clients != NULL)
        b->clients[number] = (struct client){h.seq, h.ack};
    if (b->what->kind == REQUEST && !syn) {
        b->answered += p->payload_length > 0;
        return; /* the next request acknowledges it */
    }
    if (b->what->kind == UPLOAD && !syn)
        return;
    if (b->what->kind == DOWNLOAD && p->payload_length == SEGMENT &&
        (p->tcp.flags & TCP_PSH) == 0 && h.ack / SEGMENT % 2 != 0)
        return;
    client_send(b, number, &h, request);
}

static void answer_arp(struct bench *b, const struct rte_mbuf *m)
{
    const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
    struct wire_arp a, reply;
    uint8_t *out;

    if (!wire_arp_parse(at + WIRE_ETHER_LEN, m->data_len - WIRE_ETHER_LEN, &a) ||
        a.operation != WIRE_ARP_REQUEST || a.target_ip != rte_cpu_to_be_32(0x0a000002))
        return;
    reply = (struct wire_arp){
        .operation = WIRE_ARP_REPLY, .sender_ip = a.target_ip, .target_ip = a.sender_ip};
    memcpy(reply.sender_mac, gateway_mac, 6);
    memcpy(reply.target_mac, a.sender_mac, 6);
    out = put(frame_new(b), WIRE_ETHER_LEN + WIRE_ARP_LEN);
    wire_ether_emit(out, our_mac, gateway_mac, WIRE_TYPE_ARP);
    wire_arp_emit(&reply, out + WIRE_ETHER_LEN);
}

/* All that the stack has sent is answered, and freed. */
static void clients_round(struct bench *b)
{
    for (unsigned i = 0; i < b->out_count; i++) {
        struct packet p = {.m = b->out[i]};

        p.m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
        wire_parse(&p);
        if (p.kind == PACKET_ARP)
            answer_arp(b, p.m);
        else if (p.kind == PACKET_TCP && p.drop == DROP_NONE)
            client_answer(b, &p);
        else
            fail("the stack sent a frame that is none");
        rte_pktmbuf_free(p.m);
    }
    b->out_count = 0;
}

/* ---- the server ---- */

static uint16_t device_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    struct bench *b = ctx;

    if (b->out_count + count > FRAMES)
        fail("the stack sends more than there is room for");
    memcpy(&b->out[b->out_count], frames, count * sizeof *frames);
    b->out_count += count;
    return count;
}

static void accept_all(struct bench *b, struct sock *listener)
{
    struct sock *k;

    while ((k = sock_accept(listener)) != NULL) {
        if (b->socks != NULL)
            b->socks[b->accepted] = k;
        b->accepted++;
        sock_user_set(k, b);
    }
}

static void readable(struct bench *b, struct sock *k)
{
    uint8_t request[SMALL];

    if (b->what->kind == UPLOAD) {
        b->given += sock_readable(k);
        sock_skip(k, sock_readable(k));
    } else if (sock_readable(k) > 0 && (sock_read(k, request, sizeof request) != sizeof request ||
                                        sock_write(k, b->filler, SMALL) != SMALL)) {
        fail("a request or a response is not whole");
    }
    if (sock_eof(k)) {
        sock_close(k);
        b->closed++;
    }
}

static void handle(struct bench *b, const struct event *e)
{
    if ((e->what & EVENT_ERROR) != 0)
        fail("a connection failed");
    if ((e->what & EVENT_ACCEPT) != 0)
        accept_all(b, e->sock);
    if ((e->what & EVENT_READABLE) != 0)
        readable(b, e->sock);
    if ((e->what & EVENT_WRITABLE) != 0)
        sock_write(e->sock, b->filler, sizeof b->filler);
}

/* One round of a worker, on at most a burst. */
static __attribute__((noinline)) unsigned server_round(struct bench *b, unsigned first)
{
    unsigned count = RTE_MIN(b->in_count - first, (unsigned)BURST);
    struct event e;

    stack_input(b->stack, 0, &b->in[first], count, b->now);
    while (event_next(b->stack, &e))
        handle(b, &e);
    stack_flush(b->stack, b->now);
    scheduler_flush(b->scheduler, b->now);
    return count;
}

/* The server takes all frames of the clients, at least one round. */
static void server_rounds(struct bench *b)
{
    unsigned first = 0;

    do {
        uint64_t begin = rte_rdtsc_precise();

        first += server_round(b, first);
        b->ticks += rte_rdtsc_precise() - begin;
        b->now += ROUND;
    } while (first < b->in_count);
    b->in_count = 0;
}

static void both(struct bench *b)
{
    server_rounds(b);
    clients_round(b);
}

static void settle(struct bench *b)
{
    unsigned rounds = 0;

    do {
        both(b);
        if (++rounds > 100000)
            fail("it does not come to an end");
    } while (b->in_count > 0);
}

/* ---- batches: return how many operations they did ---- */

static double batch_connect(struct bench *b)
{
    uint64_t before = b->answered;
    uint32_t closed = b->closed, count = b->what->connections;

    for (uint32_t i = 0; i < count; i++)
        client_syn(b, b->next++ % (1u << 24));
    settle(b);
    if (b->answered - before != count || b->closed - closed != count)
        fail("not every connection got its response");
    return count;
}

static double batch_request(struct bench *b)
{
    uint64_t before = b->answered;

    for (unsigned i = 0; i < BURST; i++) /* in an order that no cache foresees */
        client_data(b, (b->next += 7919) % b->what->connections, SMALL);
    both(b);
    if (b->answered - before != BURST)
        fail("not every request got its response");
    return BURST;
}

static double batch_download(struct bench *b)
{
    uint64_t before = b->taken;

    both(b);
    if (b->taken == before)
        fail("a download stands still");
    return (double)(b->taken - before) * 1e-3;
}

/* Four segments of each of some connections. */
static double batch_upload(struct bench *b)
{
    uint64_t before = b->given;

    for (unsigned i = 0; i < BURST; i++) {
        client_data(b, b->next % b->what->connections, SEGMENT);
        b->next += i % 4 == 3;
    }
    both(b);
    if (b->given - before != (uint64_t)BURST * SEGMENT)
        fail("an upload lacks bytes");
    return (double)(b->given - before) * 1e-3;
}

/* ---- a case ---- */

/* The first alone: the gateway is not known before. */
static void open_all(struct bench *b)
{
    if (b->what->kind == CONNECT) {
        client_syn(b, b->next++);
        settle(b);
        return;
    }
    for (uint32_t i = 0; i < b->what->connections; i++) {
        client_syn(b, i);
        if (i % BURST == 0)
            settle(b);
    }
    settle(b);
    if (b->accepted != b->what->connections)
        fail("connections do not open");
    for (uint32_t i = 0; b->what->kind == DOWNLOAD && i < b->accepted; i++)
        sock_write(b->socks[i], b->filler, sizeof b->filler);
}

static void create(struct bench *b)
{
    struct scheduler_config sched = {.data_max = FRAMES / 2, .send = device_send, .send_ctx = b};
    struct stack_config config = {.name = "bench",
                                  .max_connections = 150000 + b->what->connections,
                                  .max_buffers = BUFFERS,
                                  .data_pool = b->tx_pool,
                                  .secret = "0123456789abcde",
                                  .ingress = firewall_ingress};
    struct stack_iface_config iface = {.name = "eth0",
                                       .mtu = 1500,
                                       .tx_pool = b->tx_pool,
                                       .offloads = b->what->offloads,
                                       .addr_count = 1};
    struct ip_addr own = v4(0x0a000001);
    struct firewall_config fw = {.own = &own, .own_count = 1};
    struct stack_route gateway = {.via = v4(0x0a000002)};
    struct ip_endpoint local = {own, PORT};
    enum sock_error error;
    struct error e = {0};

    memcpy(iface.mac, our_mac, 6);
    b->scheduler = scheduler_create(&sched, &e);
    b->firewall = firewall_create(&fw, &e);
    if (b->scheduler == NULL || b->firewall == NULL)
        fail(e.text);
    iface.egress = scheduler_egress(b->scheduler);
    config.ingress_ctx = b->firewall;
    b->stack = stack_create(&config, b->now, &e);
    if (ip_prefix_parse("10.0.0.1/24", &iface.addrs[0]) < 0 ||
        ip_prefix_parse("0.0.0.0/0", &gateway.to) < 0)
        fail("addresses");
    if (b->stack == NULL || stack_iface_add(b->stack, &iface, &e) < 0 ||
        stack_route_add(b->stack, &gateway, &e) < 0)
        fail(e.text);
    if (sock_listen(b->stack, &local, 65536, NULL, b, &error) == NULL)
        fail(sock_error_text(error));
    if (b->what->kind != CONNECT) {
        b->socks = calloc(b->what->connections, sizeof *b->socks);
        b->clients = calloc(b->what->connections, sizeof *b->clients);
        if (b->socks == NULL || b->clients == NULL)
            fail("out of memory");
    }
}

static void destroy(struct bench *b)
{
    clients_round(b);
    for (unsigned i = 0; i < b->in_count; i++)
        rte_pktmbuf_free(b->in[i]);
    b->in_count = 0;
    stack_destroy(b->stack);
    scheduler_destroy(b->scheduler);
    firewall_destroy(b->firewall);
    free(b->socks);
    free(b->clients);
    if (rte_mempool_in_use_count(b->rx_pool) + rte_mempool_in_use_count(b->tx_pool) != 0)
        fail("mbufs are in use");
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double (*const batch_of[])(struct bench *) = {
    [CONNECT] = batch_connect,
    [REQUEST] = batch_request,
    [DOWNLOAD] = batch_download,
    [UPLOAD] = batch_upload,
};

static long preemptions(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/* The time of an operation of one more batch. False when others had the processor in between. */
static bool undisturbed(struct bench *b, double *time)
{
    long before = preemptions();
    double operations;

    b->ticks = 0;
    operations = batch_of[b->what->kind](b);
    *time = (double)b->ticks * 1e9 / (double)rte_get_tsc_hz() / operations;
    return preemptions() == before;
}

static void measure(struct bench *b, const struct bench_case *what, unsigned batches)
{
    double *times = calloc(batches, sizeof *times);
    unsigned good = 0;
    struct rte_mempool *rx = b->rx_pool, *tx = b->tx_pool;

    *b = (struct bench){.what = what, .rx_pool = rx, .tx_pool = tx, .now = 1000 * CLOCK_SEC};
    create(b);
    open_all(b);
    if (what->kind == CONNECT)
        batches = RTE_MAX(1u, batches * BURST / what->connections);
    for (unsigned i = 0; i < batches / 10 + 1; i++)
        batch_of[what->kind](b);
    for (unsigned tries = 0; good < batches && tries < TRIES * batches; tries++)
        good += undisturbed(b, &times[good]);
    if (good == 0)
        fail("no batch ran without interruption");
    qsort(times, good, sizeof *times, compare);
    printf("  %-16s %-38s %8.1f  %8.1f %s\n", what->name, what->title, times[0], times[good / 4],
           what->unit);
    fflush(stdout);
    free(times);
    destroy(b);
}

static void start_env(struct bench *b)
{
    char *args[] = {"bench", "--no-huge", "--no-pci",       "--no-shconf",       "-m", "768",
                    "-l",    "0",         "--no-telemetry", "--log-level=error", NULL};
    struct error e = {0};

    if (rte_eal_init((int)(sizeof args / sizeof args[0]) - 1, args) < 0)
        fail("EAL does not start");
    b->rx_pool = io_pool_create("rx", RX_POOL, RTE_MBUF_DEFAULT_BUF_SIZE, -1, &e);
    b->tx_pool = io_pool_create("tx", TX_POOL, RTE_MBUF_DEFAULT_BUF_SIZE, -1, &e);
    if (b->rx_pool == NULL || b->tx_pool == NULL)
        fail(e.text);
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc == 0;
}

int main(int argc, char **argv)
{
    unsigned batches = BATCHES;

    argc--;
    argv++;
    if (argc >= 2 && strcmp(argv[0], "--batches") == 0) {
        batches = (unsigned)strtoul(argv[1], NULL, 10);
        argc -= 2;
        argv += 2;
    }
    if (batches == 0)
        fail("usage: bench_stack [--batches N] [CASE...]");
    start_env(&bench);
    printf("packet path: time of the stack's rounds; the least batch, and the lower quartile\n");
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (wanted(cases[i].name, argc, argv))
            measure(&bench, &cases[i], batches);
    }
    rte_mempool_free(bench.rx_pool);
    rte_mempool_free(bench.tx_pool);
    rte_eal_cleanup();
    return 0;
}
