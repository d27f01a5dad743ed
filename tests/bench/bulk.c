/*
 * An end of bulk transfers on our stack, for comparisons with the kernel's TCP on the same path.
 *
 *     bulk [--cpu N] DEVICE ADDRESS/LENGTH send PEER:PORT SECONDS FLOWS
 *     bulk [--cpu N] DEVICE ADDRESS/LENGTH receive PORT SECONDS FLOWS
 *
 * The device is a kernel interface without an address of its own; ours is of either family. SECONDS
 * count from when all flows stand. Prints a line on what each flow is doing each tenth of a second,
 * then what the whole did: "total BYTES SECONDS", of what was acknowledged or received; then the
 * stack's counters.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "base/clock.h"
#include "scheduler/scheduler.h"
#include "stack/event.h"
#include "stack/io/io.h"
#include "stack/socket.h"
#include "stack/stack.h"

#define BURST     64
#define BUFFERS   32768
#define MBUF      3072 /* bytes, generously */
#define FLOWS_MAX 64
#define SAMPLE    (100 * CLOCK_MS)
#define REST      (50 * CLOCK_US)
#define PATIENCE  (20 * CLOCK_SEC) /* for all flows to stand */
#define FAREWELL  (200 * CLOCK_MS) /* in which the resets leave */

struct bulk {
    struct io_port *port;
    struct rte_mempool *pool;
    struct scheduler *scheduler;
    struct stack *stack;
    struct sock *listener;
    struct sock *flow[FLOWS_MAX];
    uint64_t bytes[FLOWS_MAX];
    unsigned wanted, standing;
    bool sending, failed;
    clock_ns duration, start, sample_at;
};

static void bulk_fail(const char *what, const char *why)
{
    fprintf(stderr, "bulk: %s: %s\n", what, why);
    exit(1);
}

/* ---- the application ---- */

static void bulk_fill(struct sock *k)
{
    static const uint8_t data[65536];

    while (sock_write(k, data, sizeof data) == sizeof data)
        ;
}

static void bulk_drain(struct bulk *b, struct sock *k, unsigned flow)
{
    uint32_t n = sock_readable(k);

    b->bytes[flow] += n;
    sock_skip(k, n);
}

static void bulk_accept(struct bulk *b)
{
    struct sock *k;

    while ((k = sock_accept(b->listener)) != NULL) {
        if (b->standing == b->wanted) {
            sock_abort(k);
            continue;
        }
        sock_user_set(k, (void *)(uintptr_t)b->standing);
        b->flow[b->standing++] = k;
    }
}

static void bulk_event(struct bulk *b, const struct event *e)
{
    if (e->sock == b->listener) {
        bulk_accept(b);
        return;
    }
    if ((e->what & EVENT_ERROR) != 0) {
        fprintf(stderr, "bulk: a flow: %s\n", sock_error_text(sock_error(e->sock)));
        b->failed = true;
        return;
    }
    if ((e->what & EVENT_CONNECTED) != 0)
        b->standing++;
    if (b->sending)
        bulk_fill(e->sock);
    else
        bulk_drain(b, e->sock, (unsigned)(uintptr_t)e->user);
}

static void bulk_sample(const struct bulk *b, clock_ns now)
{
    for (unsigned i = 0; i < b->standing; i++) {
        struct sock_info info;

        sock_info(b->flow[i], &info);
        printf("%.1f flow %u bytes %" PRIu64 " cwnd %u ssthresh %u in-flight %u queued %u "
               "srtt %.1f rto %.1f again %u lost %u spurious %u window %u/%u buffers %u/%u "
               "pacing %" PRIu64 "\n",
               (double)(now - b->start) / 1e9, i,
               b->sending ? info.bytes_acked : info.bytes_received, info.cwnd, info.ssthresh,
               info.in_flight, info.send_queue, (double)info.srtt / 1e6, (double)info.rto / 1e6,
               info.retransmissions, info.lost, info.spurious, info.send_window,
               info.receive_window, info.send_buffer, info.receive_buffer, info.pacing_rate);
    }
}

static uint64_t bulk_total(const struct bulk *b)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < b->standing; i++) {
        struct sock_info info;

        sock_info(b->flow[i], &info);
        total += b->sending ? info.bytes_acked : b->bytes[i];
    }
    return total;
}

static void bulk_counters(const struct bulk *b)
{
    for (size_t i = 0; i < stack_counter_table.count; i++) {
        uint64_t value = counter_read(stack_counters(b->stack), i);

        if (value != 0)
            printf("%s %" PRIu64 "\n", stack_counter_table.desc[i].name, value);
    }
}

/* ---- a worker's loop ---- */

static uint16_t bulk_send(void *ctx, struct rte_mbuf **frames, uint16_t count)
{
    const struct bulk *b = ctx;

    return (uint16_t)io_port_transmit(b->port, 0, frames, count);
}

static bool bulk_round(struct bulk *b, clock_ns now)
{
    struct rte_mbuf *burst[BURST];
    unsigned received = io_port_receive(b->port, 0, burst, BURST);
    uint32_t waiting, left;
    struct event e;

    if (received > 0)
        stack_input(b->stack, 0, burst, received, now);
    while (event_next(b->stack, &e))
        bulk_event(b, &e);
    stack_flush(b->stack, now);
    waiting = scheduler_waiting(b->scheduler);
    left = scheduler_flush(b->scheduler, now);
    return received > 0 || left < waiting;
}

static void bulk_rest(const struct bulk *b, clock_ns now)
{
    clock_ns deadline = stack_deadline(b->stack);
    clock_ns wait = deadline > now + REST ? REST : deadline > now ? deadline - now : 0;
    struct timespec t = {.tv_nsec = (long)wait};

    if (wait > 0)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* Returns false when the time is over, or has not begun in time. */
static bool bulk_goes_on(struct bulk *b, clock_ns began, clock_ns now)
{
    if (b->failed)
        return false;
    if (b->standing < b->wanted) {
        b->failed = now - began > PATIENCE;
        return !b->failed;
    }
    if (b->start == 0) {
        b->start = b->sample_at = now;
        printf("standing\n");
    }
    if (now >= b->sample_at) {
        bulk_sample(b, now);
        b->sample_at += SAMPLE;
    }
    return now - b->start < b->duration;
}

/* An IPv6 address is nobody's before it has been tried out (RFC 4862, 5.4). */
static void bulk_settle(struct bulk *b)
{
    struct stack_usage usage;

    do {
        clock_ns now = clock_now();

        if (!bulk_round(b, now))
            bulk_rest(b, now);
        stack_usage(b->stack, &usage);
    } while (usage.addresses_tentative > 0);
}

static void bulk_run(struct bulk *b)
{
    clock_ns began = clock_now(), now = began, end;

    while (bulk_goes_on(b, began, now)) {
        if (!bulk_round(b, now))
            bulk_rest(b, now);
        now = clock_now();
    }
    printf("total %" PRIu64 " %.6f\n", bulk_total(b),
           b->start > 0 ? (double)(now - b->start) / 1e9 : 0.0);
    bulk_counters(b);
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        if (b->flow[i] != NULL)
            sock_abort(b->flow[i]);
    }
    for (end = now + FAREWELL; now < end; now = clock_now()) {
        if (!bulk_round(b, now))
            bulk_rest(b, now);
    }
}

/* ---- set-up ---- */

static void bulk_open_device(struct bulk *b, const char *device, unsigned cpu)
{
    struct io_port_config port = {.name = device,
                                  .kind = IO_DEVICE_KERNEL,
                                  .device = device,
                                  .workers = 1,
                                  .buffers = BUFFERS};
    struct io_env_config env = {.main_cpu = cpu};
    struct error e = {0};

    env.memory = io_port_memory(&port) + (uint64_t)2 * BUFFERS * MBUF;
    if (io_env_init(&env, &e) < 0 || (b->port = io_port_open(&port, &e)) == NULL)
        bulk_fail(device, e.text);
    b->pool = rte_pktmbuf_pool_create("data", 2 * BUFFERS - 1, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                      SOCKET_ID_ANY);
    if (b->pool == NULL)
        bulk_fail("packet buffers", rte_strerror(rte_errno));
}

static void bulk_open_stack(struct bulk *b, const char *device, const char *address)
{
    struct stack_config config = {.name = "stack",
                                  .max_connections = 2 * FLOWS_MAX,
                                  .max_buffers = BUFFERS,
                                  .data_pool = b->pool};
    struct scheduler_config scheduler = {.send = bulk_send, .send_ctx = b};
    struct stack_iface_config iface = {.name = device, .addr_count = 1};
    struct io_port_facts facts;
    struct error e = {0};

    b->scheduler = scheduler_create(&scheduler, &e);
    b->stack = stack_create(&config, clock_now(), &e);
    if (b->scheduler == NULL || b->stack == NULL)
        bulk_fail("stack", e.text);
    io_port_facts(b->port, &facts);
    memcpy(iface.mac, facts.mac, sizeof iface.mac);
    iface.mtu = facts.mtu;
    iface.offloads = facts.offloads;
    iface.tx_pool = io_port_tx_pool(b->port, 0);
    iface.egress = scheduler_egress(b->scheduler);
    if (ip_prefix_parse(address, &iface.addrs[0]) < 0)
        bulk_fail(address, "is no address with a prefix length");
    if (stack_iface_add(b->stack, &iface, &e) < 0)
        bulk_fail(device, e.text);
}

static void bulk_open_flows(struct bulk *b, const char *peer)
{
    enum sock_error error;
    struct ip_endpoint to;

    if (ip_endpoint_parse(peer, &to) < 0)
        bulk_fail(peer, "is no address with a port");
    for (unsigned i = 0; i < b->wanted; i++) {
        b->flow[i] = sock_connect(b->stack, &to, NULL, NULL, &error);
        if (b->flow[i] == NULL)
            bulk_fail(peer, sock_error_text(error));
    }
}

static void bulk_listen(struct bulk *b, const char *port)
{
    struct ip_endpoint at = {.port = (uint16_t)strtoul(port, NULL, 10)};
    enum sock_error error;

    b->listener = sock_listen(b->stack, &at, FLOWS_MAX, NULL, NULL, &error);
    if (b->listener == NULL)
        bulk_fail(port, sock_error_text(error));
    printf("listening\n");
}

static void bulk_close(struct bulk *b)
{
    if (b->listener != NULL)
        sock_close(b->listener);
    stack_destroy(b->stack);
    scheduler_destroy(b->scheduler);
    io_port_close(b->port);
    rte_mempool_free(b->pool);
    io_env_fini();
}

int main(int argc, char **argv)
{
    static struct bulk b;
    unsigned cpu = 0;

    if (argc > 2 && strcmp(argv[1], "--cpu") == 0) {
        cpu = (unsigned)strtoul(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    if (argc != 7 || strtoul(argv[6], NULL, 10) > FLOWS_MAX) {
        fprintf(stderr, "usage: bulk [--cpu N] DEVICE ADDRESS/LENGTH send PEER:PORT SECONDS FLOWS\n"
                        "       bulk [--cpu N] DEVICE ADDRESS/LENGTH receive PORT SECONDS FLOWS\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_TIMERSLACK, 1ul);
    b.sending = strcmp(argv[3], "send") == 0;
    b.duration = (clock_ns)(strtod(argv[5], NULL) * 1e9);
    b.wanted = (unsigned)strtoul(argv[6], NULL, 10);
    bulk_open_device(&b, argv[1], cpu);
    bulk_open_stack(&b, argv[1], argv[2]);
    bulk_settle(&b);
    if (b.sending)
        bulk_open_flows(&b, argv[4]);
    else
        bulk_listen(&b, argv[4]);
    bulk_run(&b);
    bulk_close(&b);
    return b.failed ? 1 : 0;
}
