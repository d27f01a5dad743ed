/*
 * A crowd of idle connections on one stack, and a few busy ones among them.
 *
 *     sim_idle [--connections N] [--busy N] [--megabytes N]
 *
 * The clients are a generator without state: each frame of the stack says all that is needed to
 * answer it, so that ten million clients cost no memory of ours. It opens the busy connections and
 * takes a download from them, opens the idle ones, takes the same download again, lets the
 * keepalive time of all pass twice and answers every probe, and at last answers every FIN. At each
 * step all connections must be there, and at the end none, and every mbuf must be free again.
 *
 * Prints what a connection costs: bytes of resident memory, and CPU time to open it; and what the
 * crowd does to the downloads. Where the machine has not memory enough for as many, it takes fewer
 * and says so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "stack/event.h"
#include "stack/socket.h"
#include "stack/stack.h"
#include "stack/wire/wire.h"

#define BURST          64
#define ANSWERS        65536 /* frames on their way to the stack; a power of two */
#define POOL           32767
#define BUFFERS        16384 /* mbufs that the connections' queues may hold */
#define ROOM           4096  /* data frames in a round */
#define ROUND          (20 * CLOCK_US)
#define KEEPALIVE      (600 * CLOCK_SEC)
#define MEMORY_EACH    1024 /* bytes wanted of the machine for each connection */
#define FEWEST         100000
#define PORTS          50000 /* connections from one client address */
#define PORT_FIRST     10000
#define BUSY_NET       0x64400000u /* 100.64.0.0: the busy clients; the idle ones are above it */
#define IDLE_NET       0x64410000u
#define FILLER         0x5a
#define WINDOW         8192       /* what a client offers: all their flights together fit a cache */
#define PROGRESS_LIMIT (1u << 20) /* rounds without any progress */

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, gateway_mac[6] = {2, 0, 0, 0, 0, 2};

struct world {
    struct stack *stack;
    struct rte_mempool *pool;
    struct rte_mbuf *answers[ANSWERS];
    uint32_t head, tail;
    clock_ns now;
    struct sock **socks; /* in order of acceptance: the busy ones first */
    uint32_t accepted, busy, idle, errors;
    uint64_t taken, wrong; /* bytes of payload that the busy clients got */
    bool writing;
    uint8_t filler[65536];
};

static struct world world;

static void fail(const char *what)
{
    fprintf(stderr, "sim_idle: %s\n", what);
    exit(1);
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    uint64_t pages = 0;

    if (f == NULL || fscanf(f, "%*u %" SCNu64, &pages) != 1)
        fail("/proc/self/statm cannot be read");
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t available_bytes(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    uint64_t kib = 0;
    char line[128];

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return kib << 10;
}

/* ---- the clients ---- */

static struct ip_addr v4(uint32_t host_order)
{
    return ip_from_v4(rte_cpu_to_be_32(host_order));
}

static void to_stack(struct world *w, struct rte_mbuf *m)
{
    if (w->head - w->tail == ANSWERS)
        fail("the stack sends more than there is room for answers");
    w->answers[w->head++ % ANSWERS] = m;
}

static uint8_t *frame_begin(struct world *w, struct rte_mbuf **m, uint16_t len, uint16_t type)
{
    uint8_t *b;

    *m = rte_pktmbuf_alloc(w->pool);
    if (*m == NULL)
        fail("no mbuf for a client's frame");
    b = (uint8_t *)rte_pktmbuf_append(*m, len);
    wire_ether_emit(b, our_mac, gateway_mac, type);
    return b + WIRE_ETHER_LEN;
}

static void send_segment(struct world *w, const struct ip_addr *src, const struct ip_addr *dst,
                         const struct wire_tcp *h)
{
    size_t tcp_len = wire_tcp_length(h);
    uint16_t total = (uint16_t)(WIRE_IPV4_LEN + tcp_len);
    struct rte_mbuf *m;
    uint8_t *ip = frame_begin(w, &m, (uint16_t)(WIRE_ETHER_LEN + total), WIRE_TYPE_IPV4);

    wire_ipv4_emit(ip, src, dst, WIRE_IP_PROTO_TCP, 0, total, 0, false);
    wire_tcp_emit(h, ip + WIRE_IPV4_LEN);
    m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    to_stack(w, m);
}

static void send_syn(struct world *w, uint32_t net, uint32_t number)
{
    struct ip_addr src = v4(net + number / PORTS), dst = v4(0x0a000001);
    struct wire_tcp h = {
        .sport = (uint16_t)(PORT_FIRST + number % PORTS),
        .dport = 443,
        .seq = number * 2654435761u,
        .flags = TCP_SYN,
        .window = WINDOW,
        .has_mss = true,
        .mss = 1460,
        .has_wscale = true,
        .wscale = 0,
        .sack_permitted = true,
    };

    send_segment(w, &src, &dst, &h);
}

/* What a client answers to a segment, from the segment alone. Clients send no data, so that the
 * only bare acknowledgements they see are keepalive probes, one below what they expect. */
static void answer_segment(struct world *w, const struct packet *p)
{
    struct wire_tcp h = {
        .sport = p->dport,
        .dport = p->sport,
        .seq = p->tcp.ack,
        .ack = p->tcp.seq + p->payload_length,
        .flags = TCP_ACK,
        .window = WINDOW,
    };

    if ((p->tcp.flags & TCP_RST) != 0)
        fail("a connection was reset");
    if ((p->tcp.flags & (TCP_SYN | TCP_FIN)) != 0 || p->payload_length == 0)
        h.ack++;
    if ((p->tcp.flags & TCP_FIN) != 0)
        h.flags |= TCP_FIN;
    send_segment(w, &p->dst, &p->src, &h);
}

static void take_payload(struct world *w, const struct packet *p)
{
    const uint8_t *b = rte_pktmbuf_mtod(p->m, const uint8_t *) + p->payload_offset;

    w->taken += p->payload_length;
    if (b[0] != FILLER || b[p->payload_length - 1] != FILLER)
        w->wrong++;
}

static void answer_arp(struct world *w, const struct rte_mbuf *m)
{
    const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);
    struct wire_arp a, reply;
    struct rte_mbuf *out;
    uint8_t *arp;

    if (!wire_arp_parse(b + WIRE_ETHER_LEN, m->data_len - WIRE_ETHER_LEN, &a) ||
        a.operation != WIRE_ARP_REQUEST || a.target_ip != rte_cpu_to_be_32(0x0a000002))
        return;
    reply = (struct wire_arp){
        .operation = WIRE_ARP_REPLY, .sender_ip = a.target_ip, .target_ip = a.sender_ip};
    memcpy(reply.sender_mac, gateway_mac, 6);
    memcpy(reply.target_mac, a.sender_mac, 6);
    arp = frame_begin(w, &out, WIRE_ETHER_LEN + WIRE_ARP_LEN, WIRE_TYPE_ARP);
    wire_arp_emit(&reply, arp);
    to_stack(w, out);
}

/* ---- the egress hook: what the stack sends is answered at once ---- */

static void enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct world *w = ctx;
    struct packet p = {.m = m};

    (void)band;
    (void)egress_class;
    m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    p.drop = wire_parse(&p);
    if (p.kind == PACKET_ARP) {
        answer_arp(w, m);
    } else if (p.kind == PACKET_TCP && p.drop == DROP_NONE) {
        if (p.payload_length > 0)
            take_payload(w, &p);
        answer_segment(w, &p);
    }
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    const struct world *w = ctx;

    (void)egress_class;
    return w->head - w->tail < ANSWERS / 2 ? ROOM : 0;
}

/* ---- the server ---- */

static void write_all(struct world *w, struct sock *k)
{
    while (w->writing && sock_write(k, w->filler, sizeof w->filler) > 0)
        ;
}

static void handle(struct world *w, const struct event *e)
{
    struct sock *k;

    if ((e->what & EVENT_ERROR) != 0)
        w->errors++;
    if ((e->what & EVENT_ACCEPT) != 0) {
        while ((k = sock_accept(e->sock)) != NULL) {
            w->socks[w->accepted++] = k;
            sock_user_set(k, w);
        }
    }
    if ((e->what & EVENT_WRITABLE) != 0)
        write_all(w, e->sock);
}

static void one_round(struct world *w)
{
    struct event e;

    for (unsigned bursts = 0; bursts < 16 && w->head != w->tail; bursts++) {
        uint32_t first = w->tail % ANSWERS;
        uint32_t count = RTE_MIN(RTE_MIN(w->head - w->tail, (uint32_t)BURST), ANSWERS - first);

        stack_input(w->stack, 0, &w->answers[first], count, w->now);
        w->tail += count;
    }
    while (event_next(w->stack, &e))
        handle(w, &e);
    stack_flush(w->stack, w->now);
    w->now += ROUND;
}

static uint32_t in_use(const struct world *w)
{
    struct stack_usage usage;

    stack_usage(w->stack, &usage);
    return usage.connections_used;
}

/* ---- the steps ---- */

static void open_all(struct world *w, uint32_t net, uint32_t count)
{
    uint32_t want = w->accepted + count, sent = 0, stuck = 0;

    while (w->accepted < want) {
        uint32_t before = w->accepted;

        for (unsigned i = 0; i < BURST && sent < count; i++)
            send_syn(w, net, sent++);
        one_round(w);
        stuck = w->accepted == before ? stuck + 1 : 0;
        if (stuck > PROGRESS_LIMIT)
            fail("connections do not open");
    }
}

/* CPU seconds for a download of so many bytes over all busy connections. */
static double download(struct world *w, uint64_t bytes)
{
    double before = cpu_seconds();
    uint64_t until = w->taken + bytes;
    uint32_t stuck = 0;

    w->writing = true;
    for (uint32_t i = 0; i < w->busy; i++)
        write_all(w, w->socks[i]);
    while (w->taken < until) {
        uint64_t taken = w->taken;

        one_round(w);
        stuck = w->taken == taken ? stuck + 1 : 0;
        if (stuck > PROGRESS_LIMIT)
            fail("a download stands still");
    }
    w->writing = false;
    return cpu_seconds() - before;
}

/* After a smaller one, by which windows grow (also after a rest) and pages are touched. */
static double measured_download(struct world *w, uint64_t bytes)
{
    download(w, bytes / 4);
    return download(w, bytes);
}

/* Lets virtual time pass, from deadline to deadline. */
static void pass(struct world *w, clock_ns span)
{
    clock_ns end = w->now + span;

    while (w->now < end) {
        clock_ns next = stack_deadline(w->stack);

        if (w->head == w->tail && next > w->now)
            w->now = RTE_MIN(next, end);
        one_round(w);
    }
}

static void close_all(struct world *w)
{
    uint32_t stuck = 0;

    for (uint32_t i = 0; i < w->accepted; i++) {
        sock_close(w->socks[i]);
        if (i % BURST == BURST - 1)
            one_round(w);
    }
    while (in_use(w) > 0) {
        pass(w, 1 * CLOCK_SEC);
        if (++stuck > 300)
            fail("connections do not close");
    }
}

/* ---- from start to end ---- */

static void start_env(struct world *w)
{
    char *args[] = {"sim_idle", "--no-huge", "--no-pci",       "--no-shconf",       "-m", "768",
                    "-l",       "0",         "--no-telemetry", "--log-level=error", NULL};

    if (rte_eal_init((int)(sizeof args / sizeof args[0]) - 1, args) < 0)
        fail("EAL does not start");
    w->pool = rte_pktmbuf_pool_create("idle", POOL, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (w->pool == NULL)
        fail("no memory for mbufs");
}

static void create(struct world *w)
{
    struct stack_config config = {.name = "idle",
                                  .max_connections = w->busy + w->idle,
                                  .max_buffers = BUFFERS,
                                  .data_pool = w->pool,
                                  .secret = "0123456789abcde"};
    struct stack_iface_config iface = {.name = "eth0",
                                       .mtu = 1500,
                                       .tx_pool = w->pool,
                                       .egress = {w, enqueue, room, NULL},
                                       .addr_count = 1};
    struct stack_route gateway = {.via = v4(0x0a000002)};
    struct sock_options options = {.keepalive = KEEPALIVE, .cookies = SOCK_COOKIES_OFF};
    struct ip_endpoint local;
    enum sock_error error;
    struct error e;

    /* The reserve for connections to servers, of which there are none here. */
    config.max_connections += config.max_connections / 7 + 64;
    memcpy(iface.mac, our_mac, 6);
    if (ip_prefix_parse("10.0.0.1/24", &iface.addrs[0]) < 0 ||
        ip_prefix_parse("0.0.0.0/0", &gateway.to) < 0 ||
        ip_endpoint_parse("10.0.0.1:443", &local) < 0)
        fail("addresses");
    w->stack = stack_create(&config, w->now, &e);
    if (w->stack == NULL || stack_iface_add(w->stack, &iface, &e) < 0 ||
        stack_route_add(w->stack, &gateway, &e) < 0)
        fail(e.text);
    if (sock_listen(w->stack, &local, 65536, &options, w, &error) == NULL)
        fail(sock_error_text(error));
}

static void expect_all(const struct world *w, const char *when)
{
    struct stack_usage usage;

    stack_usage(w->stack, &usage);
    if (usage.connections[TCP_ESTABLISHED] == w->busy + w->idle && w->errors == 0)
        return;
    fprintf(stderr, "sim_idle: %s: %u of %u connections are established, %u errors\n", when,
            usage.connections[TCP_ESTABLISHED], w->busy + w->idle, w->errors);
    exit(1);
}

static void keep_alive(struct world *w)
{
    uint64_t wanted = 2 * (uint64_t)(w->idle + w->busy), probes;
    double before = cpu_seconds();

    pass(w, 2 * KEEPALIVE + KEEPALIVE / 2);
    probes = stack_counters(w->stack)->tcp_keepalive_probes;
    printf("keepalive probes  %" PRIu64 " sent and answered, %.2f us each\n", probes,
           (cpu_seconds() - before) * 1e6 / (double)probes);
    if (probes < wanted)
        fail("keepalive probes are missing");
    expect_all(w, "after the keepalive times");
}

static void run(struct world *w, uint64_t bytes)
{
    uint64_t megabytes = bytes >> 20, resident;
    double alone, opened, among;

    open_all(w, BUSY_NET, w->busy);
    alone = measured_download(w, bytes);
    resident = resident_bytes();
    opened = cpu_seconds();
    open_all(w, IDLE_NET, w->idle);
    opened = cpu_seconds() - opened;
    resident = resident_bytes() - resident;
    expect_all(w, "when all are open");
    printf("idle connections  %u, %" PRIu64 " bytes of resident memory each, all of the process "
           "%.2f GB, opened in %.2f us each\n",
           w->idle, resident / w->idle, (double)resident_bytes() / 1e9, opened * 1e6 / w->idle);
    among = measured_download(w, bytes);
    printf("download          %" PRIu64 " MB over %u connections: %.0f MB/s alone, %.0f MB/s "
           "among the idle ones\n",
           megabytes, w->busy, (double)megabytes / alone, (double)megabytes / among);
    keep_alive(w);
    close_all(w);
    if (w->errors > 0 || w->wrong > 0)
        fail("wrong bytes came, or connections failed");
    printf("closed            all; %u connections, %u buffers in use\n", in_use(w),
           rte_mempool_in_use_count(w->pool));
    if (rte_mempool_in_use_count(w->pool) != 0)
        fail("mbufs are in use");
}

int main(int argc, char **argv)
{
    uint64_t megabytes = 512, most = available_bytes() / 10 * 8 / MEMORY_EACH;
    struct world *w = &world;

    w->busy = 1000;
    w->idle = 1000000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--connections") == 0)
            w->idle = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--busy") == 0)
            w->busy = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--megabytes") == 0)
            megabytes = strtoull(argv[i + 1], NULL, 10);
        else
            fail("usage: sim_idle [--connections N] [--busy N] [--megabytes N]");
    }
    if (w->idle > most) {
        printf("not enough memory for %u idle connections: %" PRIu64 " instead\n", w->idle, most);
        w->idle = (uint32_t)most;
    }
    if (w->busy == 0 || w->idle < FEWEST)
        fail("too few connections to say anything");
    setvbuf(stdout, NULL, _IOLBF, 0);
    w->now = 1000 * CLOCK_SEC;
    memset(w->filler, FILLER, sizeof w->filler);
    w->socks = calloc(w->busy + w->idle, sizeof(struct sock *));
    if (w->socks == NULL)
        fail("out of memory");
    start_env(w);
    create(w);
    run(w, megabytes << 20);
    stack_destroy(w->stack);
    free(w->socks);
    rte_mempool_free(w->pool);
    rte_eal_cleanup();
    return 0;
}
