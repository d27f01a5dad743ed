/*
 * Two stacks and a bad link: every seed draws IPv4 or IPv6, a link (loss, reordering, duplication,
 * corruption, delay, rate), sizes of buffers and frames, offloads, readers and writers of different
 * pace, SYN cookies or none, a flood of SYNs or none, and a number of connections that transfer
 * both ways. All must complete, byte for byte, and afterwards every connection, buffer and mbuf
 * must be free again.
 *
 *     sim_tcp [--seeds N] [--seed S] [--verbose] [--trace]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/flow.h"
#include "tests/unit/support/test_frame.h"

#define MAX_FLOWS      16
#define OPTION_VERBOSE 1
#define OPTION_TRACE   2

struct world {
    struct sim *sim;
    struct sim_host *client, *server;
    struct sock *listener;
    bool ipv6;
    struct flow out[MAX_FLOWS], in[MAX_FLOWS];
    unsigned flows, accepted;
    clock_ns flood_gap; /* between SYNs; 0: none */
    clock_ns flood_at, flood_until;
};

static struct world world;

static uint32_t pick(struct sim *s, const uint32_t *values, unsigned count)
{
    return values[sim_random(s, count)];
}

#define PICK(s, ...) \
    pick(s, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct sim_path random_path(struct sim *s, bool ipv6)
{
    struct sim_path p = {
        .delay = PICK(s, 0, 0, 1, 5, 20, 100) * CLOCK_MS,
        .jitter = PICK(s, 0, 0, 1, 2) * 500 * CLOCK_US,
        .loss = PICK(s, 0, 0, 1000, 10000, 50000),
        .reorder = PICK(s, 0, 0, 10000, 50000),
        .duplicate = PICK(s, 0, 0, 10000),
        .corrupt = PICK(s, 0, 0, 0, 2000),
        .rate = PICK(s, 0, 0, 10, 100, 1000) * UINT64_C(1000000),
        .queue = PICK(s, 30, 100, 1000),
        .mtu = (uint16_t)PICK(s, 0, 0, 0, 0, 1400, 1000, 576),
        .mtu_kind = PICK(s, SIM_MTU_TOLD, SIM_MTU_TOLD, SIM_MTU_UNTOLD, SIM_MTU_SILENT),
    };

    if (ipv6) { /* no link of it takes less than 1,280, and its routers always tell how much */
        p.mtu = p.mtu != 0 && p.mtu < 1280 ? 1280 : p.mtu;
        p.mtu_kind = p.mtu_kind == SIM_MTU_UNTOLD ? SIM_MTU_TOLD : p.mtu_kind;
    }
    return p;
}

static struct sim_host *random_host(struct sim *s, const char *name, bool ipv6)
{
    static const uint32_t all = STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM |
                                STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT;
    struct sim_host_config c = {
        .name = name,
        .offloads = PICK(s, 0, 0, STACK_TX_MULTI_SEGMENT, STACK_TX_TCP_CHECKSUM,
                         STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM, all, all),
        .mtu = (uint16_t)PICK(s, 1500, 1500, 1500, 1500, 576, 1280),
        .max_buffers = PICK(s, 32768, 32768, 256, 1024),
        .tcp.mtu_probing = PICK(s, STACK_MTU_PROBING_BLACK_HOLE, STACK_MTU_PROBING_ALWAYS),
    };

    if (ipv6 && c.mtu < 1280)
        c.mtu = 1280;
    return sim_host_add(s, &c);
}

/* A SYN from any host of the network but the two. */
static clock_ns flood(struct world *w, clock_ns now)
{
    static const uint8_t server_mac[6] = {2, 0, 0, 0, 1, 0}, mac[6] = {2, 0, 0, 0, 9, 9};
    struct test_frame f;
    char from[16];

    if (w->flood_gap == 0 || now > w->flood_until)
        return CLOCK_NEVER;
    if (now < w->flood_at)
        return w->flood_at;
    w->flood_at = now + w->flood_gap;
    snprintf(from, sizeof from, "10.0.0.%u", 3 + sim_random(w->sim, 250));
    test_frame_ether(&f, server_mac, mac, 0x0800);
    test_frame_ipv4(&f, 6, from, "10.0.0.2");
    test_frame_tcp(&f, (uint16_t)(1024 + sim_random(w->sim, 60000)), 80,
                   sim_random(w->sim, UINT32_MAX), 0, TCP_SYN);
    test_frame_finish(&f);
    sim_inject(w->sim, w->server, 0, f.b, (uint32_t)f.len);
    return w->flood_at;
}

static clock_ns client_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    clock_ns next = flood(w, now);
    struct event e;

    while (event_next(sim_host_stack(w->client), &e))
        flow_event(e.user, &e, now);
    for (unsigned i = 0; i < w->flows; i++) {
        clock_ns at = w->out[i].read_again > 0 ? flow_progress(&w->out[i], now) : CLOCK_NEVER;

        next = at < next ? at : next;
    }
    return next;
}

/* The server learns which flow it serves from the client's port: in the order of connecting. */
static void serve(struct world *w, struct sock *k)
{
    struct ip_endpoint remote, local;

    sock_remote(k, &remote);
    for (unsigned i = 0; i < w->flows; i++) {
        if (w->out[i].sock == NULL)
            continue;
        sock_local(w->out[i].sock, &local);
        if (local.port == remote.port) {
            w->in[i].sock = k;
            w->in[i].established = true;
            sock_user_set(k, &w->in[i]);
            w->accepted++;
            flow_progress(&w->in[i], sim_now(w->sim));
            return;
        }
    }
    sock_abort(k);
}

static clock_ns server_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    clock_ns next = CLOCK_NEVER;
    struct event e;
    struct sock *k;

    while (event_next(sim_host_stack(w->server), &e)) {
        if (e.sock == w->listener) {
            while ((k = sock_accept(w->listener)) != NULL)
                serve(w, k);
        } else {
            flow_event(e.user, &e, now);
        }
    }
    for (unsigned i = 0; i < w->flows; i++) {
        clock_ns at = w->in[i].read_again > 0 ? flow_progress(&w->in[i], now) : CLOCK_NEVER;

        next = at < next ? at : next;
    }
    return next;
}

static bool all_finished(void *ctx)
{
    struct world *w = ctx;

    for (unsigned i = 0; i < w->flows; i++) {
        if (!w->out[i].finished || !w->in[i].finished)
            return false;
    }
    return true;
}

static struct flow random_flow(struct sim *s, uint64_t a, uint64_t b, uint64_t send,
                               uint64_t receive)
{
    return (struct flow){
        .random = sim_random(s, UINT32_MAX),
        .send_pattern = a,
        .receive_pattern = b,
        .to_send = send,
        .to_receive = receive,
        .piece = PICK(s, 1, 100, 1460, 4096, 65536, 65536),
        .pause = PICK(s, 0, 0, 0, 50) * CLOCK_MS,
    };
}

static struct sock_options random_options(struct sim *s)
{
    return (struct sock_options){
        .receive_buffer = PICK(s, 0, 4096, 16384, 65536),
        .send_buffer = PICK(s, 0, 4096, 65536),
        .nagle = sim_random(s, 2) == 0,
        .user_timeout = 600 * CLOCK_SEC, /* a 5 % loss both ways may take its time */
        .connect_timeout = 300 * CLOCK_SEC,
    };
}

static void open_flows(struct world *w)
{
    struct sim *s = w->sim;
    struct ip_endpoint to;
    enum sock_error error;

    ip_endpoint_parse(w->ipv6 ? "[2001:db8::2]:80" : "10.0.0.2:80", &to);
    for (unsigned i = 0; i < w->flows; i++) {
        struct sock_options o = random_options(s);
        uint64_t size = PICK(s, 0, 1, 1000, 20000, 200000), back = PICK(s, 0, 1, 5000, 200000);

        if (size > 20000 && w->flows > 6)
            size /= 10;
        w->out[i] = random_flow(s, 2 * i, 2 * i + 1, size, back);
        w->in[i] = random_flow(s, 2 * i + 1, 2 * i, back, size);
        if (w->out[i].piece < 100 || w->in[i].piece < 100) /* a byte at a time: less of it */
            w->out[i].to_send = w->in[i].to_receive = size % 3000;
        w->out[i].sock = sock_connect(sim_host_stack(w->client), &to, &o, &w->out[i], &error);
        if (w->out[i].sock == NULL) {
            fprintf(stderr, "connect: %s\n", sock_error_text(error));
            exit(1);
        }
    }
}

static bool report(const struct world *w, uint64_t seed, const char *what)
{
    struct stack_usage u;

    printf("FAIL seed %" PRIu64 ": %s\n", seed, what);
    for (unsigned i = 0; i < w->flows; i++) {
        for (unsigned side = 0; side < 2; side++) {
            const struct flow *f = side == 0 ? &w->out[i] : &w->in[i];

            if (flow_good(f))
                continue;
            printf("  flow %u %s: sent %" PRIu64 "/%" PRIu64 " received %" PRIu64 "/%" PRIu64
                   " %s%s, mismatch %" PRIu64 ", %s, state %s\n",
                   i, side == 0 ? "client" : "server", f->sent, f->to_send, f->received,
                   f->to_receive, f->established ? "established" : "not established",
                   f->finished ? " finished" : "", f->mismatch_at, sock_error_text(f->error),
                   f->sock != NULL ? tcp_state_name(sock_state(f->sock)) : "-");
        }
    }
    for (unsigned h = 0; h < 2; h++) {
        stack_usage(sim_host_stack(h == 0 ? w->client : w->server), &u);
        printf("  %s: %u connections, %u buffers\n", h == 0 ? "client" : "server",
               u.connections_used, u.buffers_used);
    }
    return false;
}

static bool all_free(const struct world *w)
{
    struct stack_usage a, b;

    stack_usage(sim_host_stack(w->client), &a);
    stack_usage(sim_host_stack(w->server), &b);
    return a.connections_used == 0 && b.connections_used == 0 && a.buffers_used == 0 &&
           b.buffers_used == 0;
}

/* --trace: one line a frame, as tcpdump would have it. */
static void trace(void *ctx, const struct sim_host *from, const uint8_t *frame, uint32_t len,
                  bool lost, clock_ns now)
{
    const struct world *w = ctx;
    bool v6 = frame[12] == 0x86;
    const uint8_t *tcp = frame + (v6 ? 54 : 34);
    int length = v6 ? frame[18] << 8 | frame[19] : (frame[16] << 8 | frame[17]) - 20;

    if (len < (v6 ? 74 : 54) || frame[v6 ? 20 : 23] != 6)
        return;
    printf("%.6f %s %u > %u flags %02x seq %u ack %u win %u len %u%s\n", (double)now / 1e9,
           from == w->client ? "client" : "server", tcp[0] << 8 | tcp[1], tcp[2] << 8 | tcp[3],
           tcp[13], (unsigned)tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7],
           (unsigned)tcp[8] << 24 | tcp[9] << 16 | tcp[10] << 8 | tcp[11], tcp[14] << 8 | tcp[15],
           length - (tcp[12] >> 4) * 4, lost ? " lost" : "");
}

static bool run_world(struct world *w, uint64_t seed, unsigned options)
{
    struct sim_path there, back;
    struct sock_options o;
    struct ip_endpoint at;
    enum sock_error error;
    clock_ns start;
    bool good;

    if ((options & OPTION_TRACE) != 0)
        sim_tap_set(w->sim, trace, w);
    w->ipv6 = sim_random(w->sim, 2) == 0;
    w->client = random_host(w->sim, "client", w->ipv6);
    w->server = random_host(w->sim, "server", w->ipv6);
    there = random_path(w->sim, w->ipv6);
    back = random_path(w->sim, w->ipv6);
    sim_link(w->sim, w->client, w->ipv6 ? "2001:db8::1/64" : "10.0.0.1/24", w->server,
             w->ipv6 ? "2001:db8::2/64" : "10.0.0.2/24", &there, &back);
    if (w->ipv6) /* duplicate address detection */
        sim_run(w->sim, NULL, NULL, 3 * CLOCK_SEC);
    o = random_options(w->sim);
    o.cookies = (enum sock_cookies)sim_random(w->sim, 3);
    ip_endpoint_parse(w->ipv6 ? "[2001:db8::2]:80" : "10.0.0.2:80", &at);
    w->listener = sock_listen(sim_host_stack(w->server), &at, 64, &o, NULL, &error);
    if (w->listener == NULL)
        return report(w, seed, sock_error_text(error));
    w->flows = 1 + sim_random(w->sim, MAX_FLOWS);
    sim_host_app(w->client, client_app, w);
    sim_host_app(w->server, server_app, w);
    open_flows(w);
    start = sim_now(w->sim);
    /* Without cookies a flood shuts distant clients out; its frames are of IPv4. */
    if (o.cookies != SOCK_COOKIES_OFF && !w->ipv6)
        w->flood_gap = PICK(w->sim, 0, 0, 1, 3) * CLOCK_MS;
    w->flood_until = start + 5 * CLOCK_SEC;
    good = sim_run(w->sim, all_finished, w, 4 * 3600 * CLOCK_SEC);
    if ((options & OPTION_VERBOSE) != 0) {
        const struct stack_counters *c = stack_counters(sim_host_stack(w->client));

        printf("seed %" PRIu64 ": %s, %u flows, %.3f s, %" PRIu64 " sent, %" PRIu64
               " retransmitted, %" PRIu64 " timeouts, %" PRIu64 " fast\n",
               seed, w->ipv6 ? "IPv6" : "IPv4", w->flows, (double)(sim_now(w->sim) - start) / 1e9,
               c->tcp_segments_sent, c->tcp_retransmissions, c->tcp_rto_expired,
               c->tcp_fast_retransmits);
    }
    if (!good)
        return report(w, seed, "not finished in four hours");
    for (unsigned i = 0; i < w->flows; i++) {
        if (!flow_good(&w->out[i]) || !flow_good(&w->in[i]))
            return report(w, seed, "wrong or missing bytes");
    }
    /* TIME_WAIT and the last retransmissions run out. */
    sim_run(w->sim, NULL, NULL, 700 * CLOCK_SEC);
    if (!all_free(w))
        return report(w, seed, "connections or buffers left");
    return true;
}

static bool run_seed(uint64_t seed, unsigned options)
{
    uint32_t before = sim_mbufs_in_use();
    struct world *w = &world;
    bool good;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(seed);
    good = run_world(w, seed, options);
    sim_destroy(w->sim);
    if (good && sim_mbufs_in_use() != before) {
        printf("FAIL seed %" PRIu64 ": mbufs leaked\n", seed);
        good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 300, first = 1, failed = 0;
    unsigned options = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            seeds = 1;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options |= OPTION_VERBOSE;
        } else if (strcmp(argv[i], "--trace") == 0) {
            options |= OPTION_TRACE;
        } else {
            fprintf(stderr, "usage: sim_tcp [--seeds N] [--seed S] [--verbose] [--trace]\n");
            return 2;
        }
    }
    log_level_set(LOG_LEVEL_ERROR);
    sim_setup();
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (!run_seed(seed, options) && ++failed >= 3)
            break;
    }
    printf("sim_tcp: %" PRIu64 " seeds, %" PRIu64 " failed\n", seeds, failed);
    sim_teardown();
    return failed == 0 ? 0 : 1;
}
