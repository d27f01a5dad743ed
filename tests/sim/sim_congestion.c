/*
 * Congestion control over a bottleneck, all in one process on a virtual clock:
 *
 *  - long: a path of 1 Gb/s and 100 ms is filled, by buffers that grow by themselves;
 *  - fast: 10 Gb/s at a round trip below 200 us is not slowed by pacing;
 *  - fair: flows of one round trip share, CUBIC's and NewReno's;
 *  - marks: with ECN a queue that marks overflows never;
 *  - lossy: a loss of 1 % over 100 ms is made good without a timeout;
 *  - shallow: pacing gets a window through a queue that a burst would overrun.
 *
 *     sim_congestion [CASE...]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define FLOWS_MAX 4
#define MBIT      UINT64_C(1000000)

struct world {
    struct sim *sim;
    struct sim_host *sender, *receiver;
    struct sock *listener;
    struct sock *out[FLOWS_MAX], *in[FLOWS_MAX];
    uint64_t received[FLOWS_MAX];
    unsigned flows, accepted;
    bool silent; /* no more is written */
};

static struct world world;
static uint8_t payload[65536];
static bool failed;

#define CHECK(condition, ...)           \
    do {                                \
        if (!(condition)) {             \
            printf("%s: ", #condition); \
            printf(__VA_ARGS__);        \
            printf("\n");               \
            failed = true;              \
        }                               \
    } while (0)

/* ---- the two applications: all that the stacks take, all that they bring ---- */

static void fill(struct sock *k)
{
    while (sock_writable(k) > 0 && sock_write(k, payload, sizeof payload) > 0)
        continue;
}

static clock_ns sender_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    (void)now;
    while (event_next(sim_host_stack(w->sender), &e)) {
        CHECK((e.what & EVENT_ERROR) == 0, "%s", sock_error_text(sock_error(e.sock)));
        if (!w->silent && (e.what & (EVENT_CONNECTED | EVENT_WRITABLE)) != 0)
            fill(e.sock);
    }
    return CLOCK_NEVER;
}

static clock_ns receiver_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;
    struct sock *k;

    (void)now;
    while (event_next(sim_host_stack(w->receiver), &e)) {
        uint64_t *received = e.user;

        if (e.sock != w->listener) {
            *received += sock_readable(e.sock);
            sock_skip(e.sock, sock_readable(e.sock));
            continue;
        }
        while ((k = sock_accept(w->listener)) != NULL) {
            w->in[w->accepted] = k;
            sock_user_set(k, &w->received[w->accepted++]);
        }
    }
    return CLOCK_NEVER;
}

/* ---- setting up ---- */

struct bottleneck {
    struct stack_tcp_config tcp;
    uint64_t rate;
    clock_ns rtt;
    uint32_t queue, ecn_mark;
    uint32_t loss; /* of what is sent, in a million */
    uint32_t offloads;
};

static struct sim_host *host(const char *name, const struct bottleneck *b, sim_app *app)
{
    const struct sim_host_config c = {
        .name = name, .max_buffers = 98303, .tcp = b->tcp, .offloads = b->offloads};
    struct sim_host *h = sim_host_add(world.sim, &c);

    sim_host_app(h, app, &world);
    return h;
}

static void flow_open(void)
{
    struct ip_endpoint to;
    enum sock_error error;

    ip_endpoint_parse("10.0.0.2:80", &to);
    world.out[world.flows] = sock_connect(sim_host_stack(world.sender), &to, NULL, NULL, &error);
    CHECK(world.out[world.flows] != NULL, "%s", sock_error_text(error));
    world.flows++;
}

static void begin(const struct bottleneck *b)
{
    const struct sim_path there = {.delay = b->rtt / 2,
                                   .rate = b->rate,
                                   .queue = b->queue,
                                   .ecn_mark = b->ecn_mark,
                                   .loss = b->loss};
    const struct sim_path back = {.delay = b->rtt / 2};
    struct ip_endpoint at;
    enum sock_error error;

    memset(&world, 0, sizeof world);
    world.sim = sim_create(1);
    world.sender = host("sender", b, sender_app);
    world.receiver = host("receiver", b, receiver_app);
    sim_link(world.sim, world.sender, "10.0.0.1/24", world.receiver, "10.0.0.2/24", &there, &back);
    ip_endpoint_parse("10.0.0.2:80", &at);
    world.listener = sock_listen(sim_host_stack(world.receiver), &at, 16, NULL, NULL, &error);
    flow_open();
}

static void end(void)
{
    sim_destroy(world.sim);
    CHECK(sim_mbufs_in_use() == 0, "%u mbufs are gone", sim_mbufs_in_use());
}

/* Bits a second of payload that a flow brings from now on. */
static void measure(clock_ns time, double rate[FLOWS_MAX])
{
    uint64_t before[FLOWS_MAX];

    memcpy(before, world.received, sizeof before);
    sim_run(world.sim, NULL, NULL, time);
    for (unsigned i = 0; i < FLOWS_MAX; i++)
        rate[i] = (double)(world.received[i] - before[i]) * 8e9 / (double)time;
}

static struct sock_info info(unsigned i)
{
    struct sock_info out;

    sock_info(world.out[i], &out);
    return out;
}

static const struct sim_path_stats *wire(void)
{
    return sim_path_stats(world.sender, 0);
}

/* ---- the cases ---- */

static void test_long(void)
{
    const struct bottleneck b = {
        .rate = 1000 * MBIT,
        .rtt = 100 * CLOCK_MS,
        .queue = 8000,
        .tcp = {.receive_buffer_max = 64 << 20, .send_buffer_max = 64 << 20}};
    struct sock_info grown, received;
    double rate[FLOWS_MAX];

    begin(&b);
    sim_run(world.sim, NULL, NULL, 4 * CLOCK_SEC);
    measure(3 * CLOCK_SEC, rate);
    grown = info(0);
    sock_info(world.in[0], &received);
    printf("long: %.0f Mb/s, %" PRIu64 " dropped, window %u, buffers %u and %u\n", rate[0] / 1e6,
           wire()->overflown, grown.cwnd, grown.send_buffer, received.receive_buffer);
    CHECK(rate[0] > 0.9 * (double)b.rate, "%.0f", rate[0]);
    CHECK(grown.send_buffer > 12500000, "%u", grown.send_buffer);
    CHECK(received.receive_buffer > 12500000, "%u", received.receive_buffer);
    /* All comes back to the start with the first byte after a rest. */
    world.silent = true;
    sim_run(world.sim, NULL, NULL, 8 * CLOCK_SEC);
    sock_write(world.out[0], payload, 100);
    sim_run(world.sim, NULL, NULL, CLOCK_SEC);
    sock_info(world.in[0], &received);
    CHECK(info(0).send_buffer == 65536, "%u", info(0).send_buffer);
    CHECK(received.receive_buffer == 65536, "%u", received.receive_buffer);
    end();
}

static void test_fast(void)
{
    struct bottleneck b = {.rate = 10000 * MBIT,
                           .rtt = 150 * CLOCK_US,
                           .queue = 500,
                           .offloads = STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM |
                                       STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT};
    double rate[2];

    for (unsigned off = 0; off < 2; off++) {
        double r[FLOWS_MAX];

        b.tcp.pacing_off = off != 0;
        begin(&b);
        sim_run(world.sim, NULL, NULL, 50 * CLOCK_MS);
        measure(200 * CLOCK_MS, r);
        rate[off] = r[0];
        printf("fast: pacing %s: %.2f Gb/s, %" PRIu64 " dropped\n", off ? "off" : "on", r[0] / 1e9,
               wire()->overflown);
        end();
    }
    CHECK(rate[0] > 0.9 * (double)b.rate, "%.0f", rate[0]);
    CHECK(rate[0] > 0.98 * rate[1], "%.0f and %.0f", rate[0], rate[1]);
}

static void fair(enum stack_congestion congestion)
{
    const struct bottleneck b = {
        .rate = 50 * MBIT, .rtt = 40 * CLOCK_MS, .queue = 170, .tcp.congestion = congestion};
    double rate[FLOWS_MAX], sum, jain;

    begin(&b);
    sim_run(world.sim, NULL, NULL, 3 * CLOCK_SEC);
    flow_open();
    sim_run(world.sim, NULL, NULL, 20 * CLOCK_SEC);
    measure(40 * CLOCK_SEC, rate);
    sum = rate[0] + rate[1];
    jain = sum * sum / (2 * (rate[0] * rate[0] + rate[1] * rate[1]));
    printf("fair: %s: %.1f and %.1f Mb/s: %.3f\n", info(0).congestion, rate[0] / 1e6, rate[1] / 1e6,
           jain);
    CHECK(jain > 0.9, "%.3f", jain);
    CHECK(sum > 0.9 * (double)b.rate, "%.0f", sum);
    end();
}

static void test_fair(void)
{
    fair(STACK_CUBIC);
    fair(STACK_NEWRENO);
}

/* Marks begin when as much waits as is on its way: who reduces proportionally (RFC 6937) meets some
 * twice, and must not be left with less than the path takes. */
static void test_marks(void)
{
    const struct bottleneck b = {.rate = 100 * MBIT,
                                 .rtt = 20 * CLOCK_MS,
                                 .queue = 1000,
                                 .ecn_mark = 160,
                                 .tcp.ecn = STACK_ECN_ACTIVE};
    double rate[FLOWS_MAX];

    begin(&b);
    flow_open();
    sim_run(world.sim, NULL, NULL, 3 * CLOCK_SEC);
    measure(7 * CLOCK_SEC, rate);
    printf("marks: %.1f Mb/s, %" PRIu64 " marked, %" PRIu64 " dropped\n", (rate[0] + rate[1]) / 1e6,
           wire()->marked, wire()->overflown);
    CHECK(rate[0] + rate[1] > 0.9 * (double)b.rate, "%.0f", rate[0] + rate[1]);
    CHECK(wire()->marked > 0, "none");
    CHECK(wire()->overflown == 0, "%" PRIu64, wire()->overflown);
    CHECK(info(0).retransmissions + info(1).retransmissions == 0, "%u and %u",
          info(0).retransmissions, info(1).retransmissions);
    end();
}

/* Losses of retransmissions, too: one in ten thousand segments is lost twice. */
static void test_lossy(void)
{
    const struct bottleneck b = {
        .rate = 100 * MBIT, .rtt = 100 * CLOCK_MS, .queue = 1000, .loss = 10000};
    const struct stack_counters *k;
    double rate[FLOWS_MAX];

    begin(&b);
    measure(300 * CLOCK_SEC, rate);
    k = stack_counters(sim_host_stack(world.sender));
    printf("lossy: %.1f Mb/s, %u segments lost, %" PRIu64 " sent again, %" PRIu64
           " timeouts, %" PRIu64 " probes\n",
           rate[0] / 1e6, info(0).lost, k->tcp_retransmissions, k->tcp_rto_expired,
           k->tcp_tail_probes);
    CHECK(info(0).lost > 100, "%u", info(0).lost);
    CHECK(k->tcp_rto_expired == 0, "%" PRIu64, k->tcp_rto_expired);
    CHECK(info(0).spurious == 0, "%u", info(0).spurious);
    end();
}

/* A window that is open, but rests between writes, is used at once again and again. */
static void test_shallow(void)
{
    struct bottleneck b = {
        .rate = 200 * MBIT, .rtt = 60 * CLOCK_MS, .queue = 60, .tcp.send_buffer_max = 400000};
    uint64_t dropped[2];

    for (unsigned off = 0; off < 2; off++) {
        b.tcp.pacing_off = off != 0;
        begin(&b);
        sim_run(world.sim, NULL, NULL, 2 * CLOCK_SEC);
        world.silent = true;
        sim_run(world.sim, NULL, NULL, 180 * CLOCK_MS);
        dropped[off] = wire()->overflown;
        for (unsigned i = 0; i < 20; i++) {
            for (unsigned n = 0; n < 5; n++)
                sock_write(world.out[0], payload, 60000);
            sim_run(world.sim, NULL, NULL, 180 * CLOCK_MS);
        }
        dropped[off] = wire()->overflown - dropped[off];
        printf("shallow: pacing %s: window %u, %" PRIu64 " dropped\n", off ? "off" : "on",
               info(0).cwnd, dropped[off]);
        end();
    }
    CHECK(dropped[0] == 0 && dropped[1] > 0, "%" PRIu64 " and %" PRIu64, dropped[0], dropped[1]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"long", test_long},   {"fast", test_fast},   {"fair", test_fair},
                 {"marks", test_marks}, {"lossy", test_lossy}, {"shallow", test_shallow}};

    sim_setup();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool wanted = argc < 2;

        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], cases[i].name) == 0;
        if (wanted)
            cases[i].run();
    }
    sim_teardown();
    printf("sim_congestion: %s\n", failed ? "failed" : "good");
    return failed;
}
