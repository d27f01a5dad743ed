/*
 * The sweep: loss from 0 to 5 %, reordering, duplication, delays from 0 to 200 ms, rates from 1
 * Mb/s to 10 Gb/s, buffers from 4 KB to those that grow by themselves. Each seed draws a cell
 * (sweep_cell.h) and transfers over it, or lets two flows share it. What must hold:
 *
 *  - every byte arrives, and is the right one;
 *  - the receiver never waits longer than chance explains, and the whole takes no longer than the
 *    path allows;
 *  - timeouts stay in proportion to what the link really lost, and what is sent again was lost, or
 *    there is a reason that the sender could not know better (sweep_wire.h);
 *  - two flows share: Jain's index over 0.9;
 *  - connections, buffers and mbufs are all free again.
 *
 *     sim_sweep [--transfers N] [--pairs N] [--first SEED] [--verbose]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/flow.h"
#include "tests/sim/sweep_cell.h"
#include "tests/sim/sweep_wire.h"

#define FLOWS_MAX    2
#define JAIN_MIN     0.9
#define FIRST_FLIGHT 10              /* segments (RFC 6928) */
#define ADDRESSES    (2 * CLOCK_SEC) /* until both hosts have theirs (RFC 4862) */

struct world {
    struct sim *sim;
    struct sweep_cell cell;
    struct sim_host *sender, *receiver;
    struct sweep_wire wire;
    struct sock *listener;
    struct flow out[FLOWS_MAX], in[FLOWS_MAX];
    uint64_t seen[FLOWS_MAX]; /* of in[].received */
    clock_ns seen_at[FLOWS_MAX];
    clock_ns longest;   /* without progress */
    clock_ns second_at; /* the second flow begins */
};

static struct world world;
static bool verbose;

/* ---- the two applications ---- */

static void watch(struct world *w, unsigned i, clock_ns now)
{
    if (w->in[i].finished)
        return;
    if (now - w->seen_at[i] > w->longest)
        w->longest = now - w->seen_at[i];
    if (w->in[i].received == w->seen[i])
        return;
    w->seen[i] = w->in[i].received;
    w->seen_at[i] = now;
}

static void flow_open(struct world *w, unsigned i, clock_ns now)
{
    struct sock_options o = {.send_buffer = w->cell.send_buffer,
                             .user_timeout = 3600 * CLOCK_SEC,
                             .connect_timeout = 3600 * CLOCK_SEC};
    struct ip_endpoint to;
    enum sock_error error;

    ip_endpoint_parse(w->cell.ipv6 ? "[2001:db8::2]:80" : "10.0.0.2:80", &to);
    w->out[i].sock = sock_connect(sim_host_stack(w->sender), &to, &o, &w->out[i], &error);
    if (w->out[i].sock == NULL) {
        fprintf(stderr, "connect: %s\n", sock_error_text(error));
        exit(1);
    }
    w->seen_at[i] = now;
}

static clock_ns sender_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->sender), &e))
        flow_event(e.user, &e, now);
    if (w->cell.flows < 2 || w->out[1].sock != NULL || w->out[1].finished)
        return CLOCK_NEVER;
    if (now < w->second_at)
        return w->second_at;
    flow_open(w, 1, now);
    return now;
}

/* Flows are told apart by the sender's port. */
static void serve(struct world *w, struct sock *k, clock_ns now)
{
    struct ip_endpoint remote, local;

    sock_remote(k, &remote);
    for (unsigned i = 0; i < w->cell.flows; i++) {
        if (w->out[i].sock == NULL)
            continue;
        sock_local(w->out[i].sock, &local);
        if (local.port != remote.port)
            continue;
        w->in[i].sock = k;
        w->in[i].established = true;
        sock_user_set(k, &w->in[i]);
        flow_progress(&w->in[i], now);
        return;
    }
    sock_abort(k);
}

static clock_ns receiver_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;
    struct sock *k;

    while (event_next(sim_host_stack(w->receiver), &e)) {
        if (e.sock == w->listener) {
            while ((k = sock_accept(w->listener)) != NULL)
                serve(w, k, now);
        } else {
            flow_event(e.user, &e, now);
        }
    }
    for (unsigned i = 0; i < w->cell.flows; i++)
        watch(w, i, now);
    return CLOCK_NEVER;
}

static bool all_finished(void *ctx)
{
    const struct world *w = ctx;

    for (unsigned i = 0; i < w->cell.flows; i++) {
        if (!w->out[i].finished || !w->in[i].finished)
            return false;
    }
    return true;
}

/* ---- setting up ---- */

static struct sim_host *host(struct sim *s, const char *name)
{
    static const uint32_t offloads[] = {0, STACK_TX_MULTI_SEGMENT,
                                        STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM |
                                            STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT};
    struct sim_host_config c = {.name = name, .offloads = offloads[sim_random(s, 3)]};

    return sim_host_add(s, &c);
}

static void world_set_up(struct world *w)
{
    struct sock_options o = {.receive_buffer = w->cell.receive_buffer};
    const char *from = w->cell.ipv6 ? "2001:db8::1/64" : "10.0.0.1/24";
    const char *to = w->cell.ipv6 ? "2001:db8::2/64" : "10.0.0.2/24";
    struct ip_endpoint at;
    enum sock_error error;

    w->sender = host(w->sim, "sender");
    w->receiver = host(w->sim, "receiver");
    sweep_wire_begin(&w->wire, w->sim, w->sender);
    sim_link(w->sim, w->sender, from, w->receiver, to, &w->cell.there, &w->cell.back);
    ip_endpoint_parse(w->cell.ipv6 ? "[2001:db8::2]:80" : "10.0.0.2:80", &at);
    w->listener = sock_listen(sim_host_stack(w->receiver), &at, 16, &o, NULL, &error);
    if (w->listener == NULL) {
        fprintf(stderr, "listen: %s\n", sock_error_text(error));
        exit(1);
    }
    for (unsigned i = 0; i < w->cell.flows; i++) {
        w->out[i] = (struct flow){.random = sim_random(w->sim, UINT32_MAX),
                                  .send_pattern = i,
                                  .receive_pattern = 16 + i,
                                  .to_send = w->cell.bytes};
        w->in[i] = (struct flow){.random = sim_random(w->sim, UINT32_MAX),
                                 .send_pattern = 16 + i,
                                 .receive_pattern = i,
                                 .to_receive = w->cell.bytes};
    }
    sim_run(w->sim, NULL, NULL, ADDRESSES);
    w->second_at = sim_now(w->sim) + w->cell.warm_up / 8;
    sim_host_app(w->sender, sender_app, w);
    sim_host_app(w->receiver, receiver_app, w);
    flow_open(w, 0, sim_now(w->sim));
}

/* ---- judging ---- */

struct tally {
    uint64_t dropped_there, dropped_back; /* by the link */
    uint64_t late, doubled;               /* by the link, both ways */
    uint64_t timeouts, probes;
    uint64_t outdated;    /* refused by the receiver for their timestamps */
    uint64_t black_holes; /* that the sender took timeouts for */
};

static struct tally tally(const struct world *w)
{
    const struct sim_path_stats *there = sim_path_stats(w->sender, 0),
                                *back = sim_path_stats(w->receiver, 0);
    const struct stack_counters *s = stack_counters(sim_host_stack(w->sender)),
                                *r = stack_counters(sim_host_stack(w->receiver));

    return (struct tally){
        .dropped_there = there->lost + there->overflown,
        .dropped_back = back->lost + back->overflown,
        .late = there->reordered + back->reordered,
        .doubled = there->duplicated + back->duplicated,
        .timeouts = s->tcp_rto_expired + r->tcp_rto_expired,
        .probes = s->tcp_tail_probes + r->tcp_tail_probes,
        .outdated = r->drop_tcp_paws,
        .black_holes = s->mtu_black_holes,
    };
}

static bool fail(const struct world *w, const char *what)
{
    const struct tally t = tally(w);

    printf("FAIL: %s\n  ", what);
    sweep_cell_print(&w->cell);
    printf("  the link dropped %" PRIu64 "/%" PRIu64 ", delayed %" PRIu64 ", doubled %" PRIu64
           "; %" PRIu64 " timeouts, %" PRIu64 " probes, %" PRIu64 " outdated segments; %" PRIu64
           " retransmissions, %" PRIu64 " of them needless\n",
           t.dropped_there, t.dropped_back, t.late, t.doubled, t.timeouts, t.probes, t.outdated,
           w->wire.again, w->wire.needless);
    for (unsigned i = 0; i < w->cell.flows; i++)
        printf("  flow %u: sent %" PRIu64 ", received %" PRIu64 ", mismatch %" PRIu64 ", %s, %s\n",
               i, w->out[i].sent, w->in[i].received, w->in[i].mismatch_at,
               sock_error_text(w->out[i].error), sock_error_text(w->in[i].error));
    return false;
}

/*
 * What may be sent again though it was not lost:
 *
 *  - a tail loss probe (RFC 8985, 7), and the first segment at a timeout (RFC 5682): their answers
 *    are what tells;
 *  - as much as packets were late: one that others overtook passes for lost, or its acknowledgement
 *    comes too late for a timer;
 *  - what the receiver refused: a segment that a later one's timestamp overtook (RFC 7323, 5.3,
 * R1).
 *
 * Jitter reorders all the time. RACK waits for that only from when it has seen it (RFC 8985, 6.2,
 * step 4), at the latest in the first flights; and when of two segments that change places
 * the acknowledgement of the second is lost, the first passes for lost as nothing else tells.
 */
static uint64_t needless_allowed(const struct world *w, const struct tally *t)
{
    uint64_t allowed = t->probes + t->timeouts + t->late + t->outdated;

    return w->cell.there.jitter > 0 ? allowed + FIRST_FLIGHT + t->dropped_back : allowed;
}

static bool judge_retransmissions(const struct world *w)
{
    struct tally t = tally(w);
    uint64_t dropped = t.dropped_there + t.dropped_back;
    uint64_t timeouts = sweep_cell_narrow(&w->cell) ? dropped + t.late : dropped / 4;
    bool cut;

    if (t.timeouts > 2 + timeouts)
        return fail(w, "a storm of timeouts");
    if (w->wire.needless > needless_allowed(w, &t))
        return fail(w, "needless retransmissions");
    /* What is sent again goes in two pieces where a window cuts it, or where the loss of one
     * segment several times over looked like an MTU that is too large (RFC 4821, 7.7). */
    cut = sweep_cell_narrow(&w->cell) || t.black_holes > 0;
    if (w->wire.again > w->wire.needless + (cut ? 2 : 1) * t.dropped_there)
        return fail(w, "more retransmissions than losses");
    return true;
}

static bool all_free(const struct world *w)
{
    struct stack_usage a, b;

    stack_usage(sim_host_stack(w->sender), &a);
    stack_usage(sim_host_stack(w->receiver), &b);
    return a.connections_used == 0 && b.connections_used == 0 && a.buffers_used == 0 &&
           b.buffers_used == 0;
}

static bool run_out(struct world *w)
{
    sim_run(w->sim, NULL, NULL, 700 * CLOCK_SEC);
    return all_free(w) || fail(w, "connections or buffers left");
}

/* ---- one transfer ---- */

static bool transfer(struct world *w, uint64_t seed)
{
    clock_ns start, took, limit;
    bool done;

    w->cell = sweep_cell_transfer(w->sim);
    world_set_up(w);
    limit = sweep_cell_time(&w->cell);
    start = sim_now(w->sim);
    done = sim_run(w->sim, all_finished, w, limit);
    took = sim_now(w->sim) - start;
    if (verbose) {
        struct tally t = tally(w);

        printf("seed %" PRIu64 ": %.3f of %.3f s, stalled %.3f of %.3f s, dropped %" PRIu64
               "/%" PRIu64 ", late %" PRIu64 ", timeouts %" PRIu64 ", retransmissions %" PRIu64
               " (%" PRIu64 " needless), probes %" PRIu64 " | ",
               seed, (double)took / 1e9, (double)limit / 1e9, (double)w->longest / 1e9,
               (double)sweep_cell_stall(&w->cell) / 1e9, t.dropped_there, t.dropped_back, t.late,
               t.timeouts, w->wire.again, w->wire.needless, t.probes);
        sweep_cell_print(&w->cell);
    }
    if (!done)
        return fail(w, "takes longer than the path allows");
    if (!flow_good(&w->out[0]) || !flow_good(&w->in[0]))
        return fail(w, "wrong or missing bytes");
    if (w->longest > sweep_cell_stall(&w->cell))
        return fail(w, "a stall");
    return judge_retransmissions(w) && run_out(w);
}

/* ---- two flows ---- */

static void cut(struct flow *f)
{
    if (f->sock != NULL)
        sock_abort(f->sock);
    f->sock = NULL;
    f->finished = true;
}

static bool fair(struct world *w, uint64_t seed)
{
    double a, b, jain;

    w->cell = sweep_cell_fair(w->sim);
    w->cell.bytes = UINT64_MAX;
    world_set_up(w);
    sim_run(w->sim, NULL, NULL, w->cell.warm_up);
    a = (double)w->in[0].received;
    b = (double)w->in[1].received;
    sim_run(w->sim, NULL, NULL, w->cell.measured);
    a = (double)w->in[0].received - a;
    b = (double)w->in[1].received - b;
    jain = (a + b) * (a + b) / (2 * (a * a + b * b));
    if (verbose) {
        struct tally t = tally(w);

        printf("seed %" PRIu64 ": Jain %.3f, %.0f %% of the link in %.1f s, dropped %" PRIu64
               ", timeouts %" PRIu64 ", needless %" PRIu64 " | ",
               seed, jain,
               (a + b) * 8 / ((double)w->cell.there.rate * (double)w->cell.measured / 1e9) * 100,
               (double)w->cell.measured / 1e9, t.dropped_there, t.timeouts, w->wire.needless);
        sweep_cell_print(&w->cell);
    }
    if (!(jain > JAIN_MIN))
        return fail(w, "the flows do not share");
    if (w->in[0].mismatch_at != 0 || w->in[1].mismatch_at != 0)
        return fail(w, "wrong bytes");
    for (unsigned i = 0; i < 2; i++) {
        cut(&w->out[i]);
        cut(&w->in[i]);
    }
    return judge_retransmissions(w) && run_out(w);
}

static bool run_seed(bool (*run)(struct world *w, uint64_t seed), uint64_t seed)
{
    uint32_t before = sim_mbufs_in_use();
    struct world *w = &world;
    bool good;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(seed);
    good = run(w, seed);
    if (!good)
        printf("  seed %" PRIu64 "\n", seed);
    sweep_wire_end(&w->wire);
    sim_destroy(w->sim);
    if (good && sim_mbufs_in_use() != before) {
        printf("FAIL seed %" PRIu64 ": mbufs leaked\n", seed);
        good = false;
    }
    return good;
}

static uint64_t run_seeds(bool (*run)(struct world *w, uint64_t seed), uint64_t first,
                          uint64_t count)
{
    uint64_t failed = 0;

    for (uint64_t seed = first; seed < first + count; seed++) {
        if (!run_seed(run, seed))
            failed++;
    }
    return failed;
}

int main(int argc, char **argv)
{
    uint64_t transfers = 1500, pairs = 60, first = 1, failed;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
            continue;
        }
        if (value != NULL && strcmp(argv[i], "--transfers") == 0) {
            transfers = strtoull(value, NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--pairs") == 0) {
            pairs = strtoull(value, NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--first") == 0) {
            first = strtoull(value, NULL, 10);
        } else {
            fprintf(stderr, "usage: sim_sweep [--transfers N] [--pairs N] [--first SEED] "
                            "[--verbose]\n");
            return 2;
        }
        i++;
    }
    log_level_set(LOG_LEVEL_ERROR);
    sim_setup();
    failed = run_seeds(transfer, first, transfers) + run_seeds(fair, first, pairs);
    printf("sim_sweep: %" PRIu64 " transfers, %" PRIu64 " pairs of flows, %" PRIu64 " failed\n",
           transfers, pairs, failed);
    sim_teardown();
    return failed == 0 ? 0 : 1;
}
