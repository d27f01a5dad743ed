/*
 * Paths that take less than the first link: a transfer over a router whose next link is narrower,
 * from the start or from half-way on, over IPv4 and IPv6. The router says how much it takes, or
 * only that it was too much (IPv4; RFC 1191, 7), or drops in silence, so that the sender has to
 * find out by trying (RFC 4821). Nothing else is ever lost: what is sent again, waited for or too
 * small has the path's MTU for a reason. What must hold:
 *
 *  - every byte arrives, and is the right one;
 *  - where the router speaks: no timeout, and no wait longer than the steps of its answers;
 *  - where it is silent: no wait longer than the timeouts that tell a black hole, and steps down;
 *  - in the end segments are as large as what is known of the path allows;
 *  - connections, buffers and mbufs are all free again.
 *
 *     sim_path_mtu [--seeds N] [--seed S] [--verbose]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/flow.h"

#define RATE        UINT64_C(4000000) /* bits a second */
#define BYTES       5000000           /* ten seconds, in which a search ends */
#define WINDOW      65536             /* less than the queue holds: nothing overflows */
#define QUEUE       300
#define ADDRESSES   (2 * CLOCK_SEC) /* until both hosts have theirs (RFC 4862) */
#define RTO_MIN     (200 * CLOCK_MS)
#define DELAYED_ACK (40 * CLOCK_MS)
#define BLACK_HOLE  3   /* timeouts of a segment before it is held to be too large */
#define PROBE_GAIN  16  /* bytes that are worth a probe */
#define FLOOR       552 /* no path over IPv4 is believed to take less */

struct world {
    struct sim *sim;
    bool ipv6, halfway;
    uint16_t link, path; /* MTUs: of the first link, and of the one behind the router */
    struct sim_path there, back;
    struct sim_host *sender, *receiver;
    struct sock *listener;
    struct flow out, in;
    uint64_t seen;
    clock_ns seen_at, longest; /* without progress */
    uint32_t largest;          /* packet that arrived in the last tenth of the transfer */
};

static struct world world;

static uint32_t pick(struct sim *s, const uint32_t *values, unsigned count)
{
    return values[sim_random(s, count)];
}

#define PICK(s, ...) \
    pick(s, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static const char *kind_name(const struct world *w)
{
    static const char *const names[] = {
        [SIM_MTU_TOLD] = "told", [SIM_MTU_UNTOLD] = "untold", [SIM_MTU_SILENT] = "silent"};

    return names[w->there.mtu_kind];
}

/* ---- the two applications ---- */

static clock_ns sender_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->sender), &e))
        flow_event(e.user, &e, now);
    return CLOCK_NEVER;
}

static void narrow(struct world *w)
{
    w->there.mtu = w->path;
    sim_path_set(w->sender, 0, &w->there);
}

static void watch(struct world *w, clock_ns now)
{
    if (w->in.finished)
        return;
    if (now - w->seen_at > w->longest)
        w->longest = now - w->seen_at;
    if (w->in.received == w->seen)
        return;
    w->seen = w->in.received;
    w->seen_at = now;
    if (w->halfway && w->seen > BYTES / 4 && w->there.mtu == 0)
        narrow(w);
}

static clock_ns receiver_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->receiver), &e)) {
        if (e.sock != w->listener) {
            flow_event(e.user, &e, now);
            continue;
        }
        w->in.sock = sock_accept(w->listener);
        w->in.established = true;
        sock_user_set(w->in.sock, &w->in);
        flow_progress(&w->in, now);
    }
    watch(w, now);
    return CLOCK_NEVER;
}

static void tap(void *ctx, const struct sim_host *from, const uint8_t *frame, uint32_t len,
                bool lost, clock_ns now)
{
    struct world *w = ctx;

    (void)frame;
    (void)now;
    if (from == w->sender && !lost && w->in.received > BYTES / 10 * 9 && len - 14 > w->largest)
        w->largest = len - 14;
}

static bool finished(void *ctx)
{
    const struct world *w = ctx;

    return w->out.finished && w->in.finished;
}

/* ---- setting up ---- */

static void draw(struct world *w)
{
    struct sim *s = w->sim;

    w->ipv6 = sim_random(s, 2) != 0;
    w->halfway = sim_random(s, 2) != 0;
    w->link = (uint16_t)PICK(s, 1500, 1500, 9000);
    w->path = w->ipv6 ? (uint16_t)PICK(s, 1280, 1281, 1400, 1480, 1492)
                      : (uint16_t)PICK(s, 576, 1006, 1024, 1280, 1400, 1480, 1492);
    if (w->link == 9000 && sim_random(s, 3) == 0)
        w->path = (uint16_t)PICK(s, 1500, 4352, 8166, 8999);
    w->there = (struct sim_path){
        .delay = PICK(s, 0, 1, 10, 50) * CLOCK_MS,
        .rate = RATE,
        .queue = QUEUE,
        .mtu_kind = PICK(s, SIM_MTU_TOLD, SIM_MTU_SILENT, SIM_MTU_SILENT),
    };
    if (!w->ipv6 && w->there.mtu_kind == SIM_MTU_TOLD && sim_random(s, 2) == 0)
        w->there.mtu_kind = SIM_MTU_UNTOLD;
    w->back = (struct sim_path){.delay = w->there.delay, .rate = RATE, .queue = QUEUE};
    if (!w->halfway)
        w->there.mtu = w->path;
}

static struct sim_host *host(const struct world *w, const char *name)
{
    static const uint32_t offloads[] = {0, STACK_TX_MULTI_SEGMENT,
                                        STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM |
                                            STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT};
    /* the simulator's mbufs have no room for a linear frame of 9,000 bytes */
    unsigned which = w->link > 1500 ? 1 + sim_random(w->sim, 2) : sim_random(w->sim, 3);
    struct sim_host_config c = {.name = name, .mtu = w->link, .offloads = offloads[which]};

    return sim_host_add(w->sim, &c);
}

static void world_set_up(struct world *w)
{
    const struct sock_options listening = {.receive_buffer = WINDOW}, connecting = {0};
    struct ip_endpoint at;
    enum sock_error error;

    draw(w);
    w->sender = host(w, "sender");
    w->receiver = host(w, "receiver");
    sim_link(w->sim, w->sender, w->ipv6 ? "2001:db8::1/64" : "10.0.0.1/24", w->receiver,
             w->ipv6 ? "2001:db8::2/64" : "10.0.0.2/24", &w->there, &w->back);
    sim_tap_set(w->sim, tap, w);
    sim_run(w->sim, NULL, NULL, ADDRESSES);
    ip_endpoint_parse(w->ipv6 ? "[2001:db8::2]:80" : "10.0.0.2:80", &at);
    w->listener = sock_listen(sim_host_stack(w->receiver), &at, 16, &listening, NULL, &error);
    w->out = (struct flow){.random = 1, .send_pattern = 1, .receive_pattern = 2, .to_send = BYTES};
    w->in =
        (struct flow){.random = 2, .send_pattern = 2, .receive_pattern = 1, .to_receive = BYTES};
    w->out.sock = sock_connect(sim_host_stack(w->sender), &at, &connecting, &w->out, &error);
    if (w->listener == NULL || w->out.sock == NULL) {
        fprintf(stderr, "sim_path_mtu: %s\n", sock_error_text(error));
        exit(1);
    }
    w->seen_at = sim_now(w->sim);
    sim_host_app(w->sender, sender_app, w);
    sim_host_app(w->receiver, receiver_app, w);
}

/* ---- what the path allows ---- */

/* With a full window in the queue. */
static clock_ns round_trip(const struct world *w)
{
    return 2 * w->there.delay + DELAYED_ACK + (clock_ns)(WINDOW + w->link) * 8 * CLOCK_SEC / RATE;
}

/* Sizes that are too large until one is small enough: of the router's answers one, or one for each
 * plateau (RFC 1191, 7.1) that is not low enough; of a silent one's 1,500 and what passes nearly
 * everywhere, then what passes everywhere. */
static unsigned steps(const struct world *w)
{
    static const uint16_t plateaus[] = {8166, 4352, 2002, 1492, 1006}, smaller[] = {1500, 1024};
    bool silent = w->there.mtu_kind == SIM_MTU_SILENT;
    const uint16_t *sizes = silent ? smaller : plateaus;
    unsigned count = silent ? 2 : 5, n = 1;

    if (w->there.mtu_kind == SIM_MTU_TOLD)
        return 1;
    for (unsigned i = 0; i < count; i++)
        n += sizes[i] < w->link && sizes[i] > w->path;
    return n;
}

/* An answer takes a round trip, and so does what is sent after it; timeouts double (RFC 6298). */
static clock_ns stall(const struct world *w)
{
    clock_ns rtt = round_trip(w), rto = 3 * rtt > RTO_MIN ? 3 * rtt : RTO_MIN, total = 2 * rtt;

    if (w->there.mtu_kind != SIM_MTU_SILENT)
        return total + steps(w) * rtt;
    for (unsigned i = 0; i < BLACK_HOLE + steps(w) - 1; i++)
        total += rto << i;
    return total;
}

/* The least that the largest packet is to be in the end. */
static uint32_t size(const struct world *w)
{
    static const uint16_t plateaus[] = {8166, 4352, 2002, 1492, 1006, FLOOR};
    uint32_t path = w->path < w->link ? w->path : w->link;
    unsigned i = 0;

    if (w->there.mtu_kind == SIM_MTU_TOLD)
        return path;
    if (w->there.mtu_kind == SIM_MTU_SILENT)
        return path - PROBE_GAIN;
    while (plateaus[i] > path)
        i++;
    return plateaus[i];
}

/* ---- judging ---- */

static void describe(const struct world *w)
{
    const struct stack_counters *c = stack_counters(sim_host_stack(w->sender));
    const struct sim_path_stats *p = sim_path_stats(w->sender, 0);

    printf("IPv%c, %u -> %u %s%s, %" PRIu64
           " ms: stalled %.3f of %.3f s, largest %u of %u, too big "
           "%" PRIu64 ", timeouts %" PRIu64 ", again %" PRIu64 ", black holes %" PRIu64
           ", probes %" PRIu64 "/%" PRIu64 "\n",
           w->ipv6 ? '6' : '4', w->link, w->path, kind_name(w), w->halfway ? " half-way" : "",
           w->there.delay / CLOCK_MS, (double)w->longest / 1e9, (double)stall(w) / 1e9, w->largest,
           size(w), p->too_big, c->tcp_rto_expired, c->tcp_retransmissions, c->mtu_black_holes,
           c->mtu_probes_lost, c->mtu_probes_sent);
}

static bool fail(const struct world *w, const char *what)
{
    printf("FAIL: %s\n  ", what);
    describe(w);
    return false;
}

static bool all_free(struct world *w)
{
    struct stack_usage a, b;

    sim_run(w->sim, NULL, NULL, 700 * CLOCK_SEC);
    stack_usage(sim_host_stack(w->sender), &a);
    stack_usage(sim_host_stack(w->receiver), &b);
    return a.connections_used == 0 && b.connections_used == 0 && a.buffers_used == 0 &&
           b.buffers_used == 0;
}

static bool judge(struct world *w)
{
    const struct stack_counters *c = stack_counters(sim_host_stack(w->sender));

    if (!flow_good(&w->out) || !flow_good(&w->in))
        return fail(w, "wrong or missing bytes");
    if (w->longest > stall(w))
        return fail(w, "a stall");
    if (w->there.mtu_kind != SIM_MTU_SILENT && c->tcp_rto_expired > 0)
        return fail(w, "a timeout though the router has told");
    if (w->largest < size(w))
        return fail(w, "segments stay small");
    return all_free(w) || fail(w, "connections or buffers left");
}

static bool run_seed(uint64_t seed, bool verbose)
{
    uint32_t before = sim_mbufs_in_use();
    struct world *w = &world;
    bool good;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(seed);
    world_set_up(w);
    sim_run(w->sim, finished, w, 120 * CLOCK_SEC);
    if (verbose) {
        printf("seed %" PRIu64 ": ", seed);
        describe(w);
    }
    good = judge(w);
    sim_destroy(w->sim);
    if (good && sim_mbufs_in_use() != before)
        good = printf("FAIL: mbufs leaked\n") < 0;
    if (!good)
        printf("  seed %" PRIu64 "\n", seed);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 300, first = 1, failed = 0;
    bool verbose = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            seeds = 1;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else {
            fprintf(stderr, "usage: sim_path_mtu [--seeds N] [--seed S] [--verbose]\n");
            return 2;
        }
    }
    log_level_set(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    sim_setup();
    for (uint64_t seed = first; seed < first + seeds; seed++)
        failed += !run_seed(seed, verbose);
    printf("sim_path_mtu: %" PRIu64 " seeds, %" PRIu64 " failed\n", seeds, failed);
    sim_teardown();
    return failed == 0 ? 0 : 1;
}
