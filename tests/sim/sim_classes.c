/*
 * Egress classes on the virtual clock: a host sends to another one as fast as its classes allow.
 * What the wire carries is measured by class (each marks its packets with its number), what arrives
 * by connection. Checked over links with and without loss, with and without segmentation offload:
 * a ceiling and a guaranteed rate within 2 %, and fairness between the connections of a class.
 *
 *     sim_classes [--verbose]
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/scheduler.h"
#include "tests/sim/flow.h"

#define MBIT      UINT64_C(1000000)
#define PORT      1000 /* plus the class */
#define CLASSES   4
#define FLOWS_MAX 64
#define WARM_UP   (1 * CLOCK_SEC)
#define MEASURED  (4 * CLOCK_SEC)
#define TSO \
    (STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT)

struct world {
    struct sim *sim;
    struct sim_host *client, *server;
    struct sock *listener[CLASSES];
    struct flow out[FLOWS_MAX], in[FLOWS_MAX]; /* the client's ends, the server's */
    unsigned flows;
    uint8_t class_of[FLOWS_MAX];
    uint64_t before[FLOWS_MAX]; /* received during the warm-up */
    uint64_t wire[64];          /* bytes by DSCP */
};

static struct world world;
static bool verbose, failed;

static clock_ns client_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->client), &e))
        flow_event(e.user, &e, now);
    return CLOCK_NEVER;
}

static void serve(struct world *w, struct sock *k, unsigned egress_class)
{
    struct ip_endpoint remote, local;

    sock_remote(k, &remote);
    for (unsigned i = 0; i < w->flows; i++) {
        sock_local(w->out[i].sock, &local);
        if (local.port != remote.port)
            continue;
        w->in[i].sock = k;
        w->in[i].established = true;
        sock_class_set(k, (uint8_t)egress_class, (uint8_t)egress_class);
        sock_user_set(k, &w->in[i]);
        flow_progress(&w->in[i], sim_now(w->sim));
        return;
    }
}

static clock_ns server_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->server), &e)) {
        struct sock *k;
        bool listens = false;

        for (unsigned c = 0; c < CLASSES; c++) {
            while (e.sock == w->listener[c] && (k = sock_accept(e.sock)) != NULL)
                serve(w, k, c);
            listens |= e.sock == w->listener[c];
        }
        if (!listens)
            flow_event(e.user, &e, now);
    }
    return CLOCK_NEVER;
}

static void tap(void *ctx, const struct sim_host *from, const uint8_t *frame, uint32_t len,
                bool lost, clock_ns now)
{
    struct world *w = ctx;

    (void)lost;
    (void)now;
    if (from == w->server && frame[12] == 8 && frame[13] == 0)
        w->wire[frame[15] >> 2] += len < 60 ? 60 : len;
}

static struct ip_endpoint endpoint(const char *addr, uint16_t port)
{
    struct ip_endpoint e = {.port = port};
    int parsed = ip_parse(addr, &e.addr);

    assert(parsed == 0);
    (void)parsed;
    return e;
}

static void begin(uint32_t offloads, uint32_t loss)
{
    const struct sim_host_config client = {.name = "client", .max_connections = 256},
                                 server = {.name = "server",
                                           .max_connections = 256,
                                           .offloads = offloads};
    const struct sim_path path = {.delay = 2 * CLOCK_MS, .loss = loss, .rate = 1000 * MBIT};
    struct world *w = &world;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(7);
    w->client = sim_host_add(w->sim, &client);
    w->server = sim_host_add(w->sim, &server);
    sim_link(w->sim, w->client, "10.0.0.1/24", w->server, "10.0.0.2/24", &path, &path);
    sim_host_app(w->client, client_app, w);
    sim_host_app(w->server, server_app, w);
    sim_tap_set(w->sim, tap, w);
    for (unsigned c = 0; c < CLASSES; c++) {
        struct ip_endpoint at = endpoint("10.0.0.2", (uint16_t)(PORT + c));
        enum sock_error error;

        w->listener[c] =
            sock_listen(sim_host_stack(w->server), &at, 256, NULL, w->listener, &error);
        assert(w->listener[c] != NULL);
    }
}

static void connections(unsigned egress_class, unsigned count)
{
    struct ip_endpoint to = endpoint("10.0.0.2", (uint16_t)(PORT + egress_class));
    struct world *w = &world;
    enum sock_error error;

    for (; count > 0; count--) {
        unsigned i = w->flows++;

        assert(i < FLOWS_MAX);
        w->class_of[i] = (uint8_t)egress_class;
        w->out[i] = (struct flow){.random = i, .receive_pattern = i, .to_receive = UINT64_MAX};
        w->in[i] = (struct flow){.random = i, .send_pattern = i, .to_send = UINT64_MAX};
        w->out[i].sock = sock_connect(sim_host_stack(w->client), &to, NULL, &w->out[i], &error);
        assert(w->out[i].sock != NULL);
    }
}

static void measure(void)
{
    struct world *w = &world;

    sim_run(w->sim, NULL, NULL, WARM_UP);
    memset(w->wire, 0, sizeof w->wire);
    for (unsigned i = 0; i < w->flows; i++)
        w->before[i] = w->out[i].received;
    sim_run(w->sim, NULL, NULL, MEASURED);
    for (unsigned i = 0; i < w->flows; i++) {
        if (w->out[i].mismatch_at != 0 || w->out[i].finished) {
            printf("FAIL connection %u: wrong byte or end\n", i);
            failed = true;
        }
    }
}

static void end(void)
{
    sim_destroy(world.sim);
    if (sim_mbufs_in_use() != 0) {
        printf("FAIL %u mbufs are missing\n", sim_mbufs_in_use());
        failed = true;
    }
}

/* Mbit/s on the wire. */
static double rate(unsigned egress_class)
{
    return (double)world.wire[egress_class] * 8e3 / (double)MEASURED;
}

static void expect(const char *what, double seen, double low, double high)
{
    bool good = seen >= low && seen <= high;

    if (verbose || !good)
        printf("%s %s: %.3f, expected %.3f to %.3f\n", good ? "ok  " : "FAIL", what, seen, low,
               high);
    failed |= !good;
}

/* Jain's index of what the connections of a class received. */
static double fairness(unsigned egress_class)
{
    const struct world *w = &world;
    double sum = 0, squares = 0, count = 0;

    for (unsigned i = 0; i < w->flows; i++) {
        double x = (double)(w->out[i].received - w->before[i]);

        if (w->class_of[i] != egress_class)
            continue;
        sum += x;
        squares += x * x;
        count++;
    }
    return sum * sum / (count * squares);
}

/* ---- what is promised ---- */

static void ceiling(uint32_t offloads, uint32_t loss)
{
    const struct scheduler_shaper_config config = {
        .class_count = 3,
        .classes = {{.weight = 1},
                    {.ceiling = 40 * MBIT, .weight = 1},
                    {.ceiling = 2 * MBIT, .weight = 1}},
    };

    begin(offloads, loss);
    sim_shape(world.server, 0, &config);
    connections(1, 8);
    connections(2, 3);
    measure();
    expect("a ceiling of 40 Mbit/s", rate(1), 39.2, 40.8);
    expect("a ceiling of 2 Mbit/s", rate(2), 1.96, 2.04);
    end();
}

/* Many connections of a class that goes first, against few of one that goes last. */
static void guarantee(uint32_t offloads, uint32_t loss)
{
    const struct scheduler_shaper_config config = {
        .rate = 100 * MBIT,
        .class_count = 3,
        .classes = {{.weight = 1, .priority = 4},
                    {.rate = 30 * MBIT, .weight = 1, .priority = 7},
                    {.weight = 1, .priority = 0}},
    };

    begin(offloads, loss);
    sim_shape(world.server, 0, &config);
    connections(1, 6);
    connections(2, 20);
    measure();
    expect("a guarantee of 30 Mbit/s", rate(1), 29.4, 30.6);
    expect("the other 70 Mbit/s", rate(2), 68.6, 71.4);
    expect("an interface of 100 Mbit/s", rate(0) + rate(1) + rate(2), 98, 100.5);
    end();
}

static void weights(uint32_t offloads)
{
    const struct scheduler_shaper_config config = {
        .rate = 80 * MBIT,
        .class_count = 4,
        .classes = {{.weight = 1, .priority = 4},
                    {.weight = 300, .priority = 2},
                    {.weight = 100, .priority = 2},
                    {.weight = 100, .priority = 3}},
    };

    begin(offloads, 0);
    sim_shape(world.server, 0, &config);
    connections(1, 4);
    connections(2, 4);
    connections(3, 4);
    measure();
    expect("weight 3 of 4", rate(1), 58.2, 61.2);
    expect("weight 1 of 4", rate(2), 19.4, 20.6);
    expect("the priority after them", rate(3), 0, 0.5);
    end();
}

static void fair(uint32_t offloads, uint32_t loss, unsigned count, double least)
{
    const struct scheduler_shaper_config config = {
        .class_count = 2,
        .classes = {{.weight = 1}, {.ceiling = 50 * MBIT, .weight = 1}},
    };
    char what[64];

    begin(offloads, loss);
    sim_shape(world.server, 0, &config);
    connections(1, count);
    measure();
    snprintf(what, sizeof what, "fairness of %u connections%s%s", count,
             offloads != 0 ? ", offload" : "", loss != 0 ? ", loss" : "");
    expect(what, fairness(1), least, 1.0001);
    end();
}

int main(int argc, char **argv)
{
    static const uint32_t offloads[] = {0, TSO};

    verbose = argc > 1 && strcmp(argv[1], "--verbose") == 0;
    sim_setup();
    for (unsigned i = 0; i < 2; i++) {
        ceiling(offloads[i], 0);
        ceiling(offloads[i], 1000);
        guarantee(offloads[i], 0);
        guarantee(offloads[i], 1000);
        weights(offloads[i]);
        fair(offloads[i], 0, 2, 0.99);
        fair(offloads[i], 0, 50, 0.99);
        fair(offloads[i], 500, 2, 0.95);
        fair(offloads[i], 500, 50, 0.95);
    }
    printf("sim_classes: %s\n", failed ? "failed" : "all promises kept");
    sim_teardown();
    return failed ? 1 : 0;
}
