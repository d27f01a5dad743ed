/*
 * The whole proxy on a virtual clock: a client's stack and a server's stack on either side of the
 * appliance's, each side IPv4 or IPv6, with real TLS from OpenSSL on both, and links as bad as in
 * sim_tcp. Flows come with TLS or without and go to a server with TLS or without; PROXY headers
 * stand before them, from the client divided anywhere, to the server, both or none; some flows are
 * reset half-way by the client or the server.
 *
 * What must hold: an undisturbed flow arrives byte for byte both ways, the server is told the right
 * client, a disturbed flow never shows a wrong byte nor an orderly end, and afterwards every
 * session, connection, buffer and mbuf is free.
 *
 *     sim_proxy [--seeds N] [--seed S] [--verbose]
 *     sim_proxy --bulk MIB FLOWS [--ipv6]
 *
 * The first sweeps. The second has FLOWS at a time, MIB up and down each, with 1 % of the packets
 * lost and 1 % reordered on every link.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/proxy_world.h"

#define ADDRESSES (2 * CLOCK_SEC) /* until all hosts have theirs (RFC 4862) */

static struct world world;

static clock_ns client_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->client), &e))
        flow_event(e.user, &e, now);
    return proxy_world_progress(w->out, w->flows, now);
}

static bool all_finished(void *ctx)
{
    struct world *w = ctx;

    for (unsigned i = 0; i < w->flows; i++) {
        if (!w->out[i].finished || (w->in[i].sock != NULL && !w->in[i].finished))
            return false;
    }
    return true;
}

static void make_preface(struct world *w, unsigned i)
{
    struct proxy_header_facts facts = {0};

    facts.source = proxy_world_endpoint(w->variant.outside->client, (uint16_t)(1000 + i));
    facts.destination = proxy_world_endpoint(w->variant.outside->proxy, 443);
    w->out[i].preface = w->prefaces[i];
    w->out[i].preface_len = (uint32_t)(i % 2 == 0 ? proxy_header_build_v1(&facts, w->prefaces[i])
                                                  : proxy_header_build_v2(&facts, w->prefaces[i]));
}

static void open_flow(struct world *w, unsigned i, const struct sock_options *o)
{
    struct ip_endpoint to =
        proxy_world_endpoint(w->variant.outside->proxy, w->plain[i] ? 5432 : 443);
    enum sock_error error;

    w->out[i].number = i;
    w->out[i].announce = true;
    if (w->variant.from_client)
        make_preface(w, i);
    w->out[i].sock = sock_connect(sim_host_stack(w->client), &to, o, &w->out[i], &error);
    assert(w->out[i].sock != NULL);
    if (!w->plain[i])
        w->out[i].tls = flow_tls_create(proxy_world_client_ctx(), w->out[i].sock, "shop.example");
}

static bool fail(const struct world *w, uint64_t seed, unsigned flow, const char *what)
{
    const struct flow *f[2] = {&w->out[flow], &w->in[flow]};

    printf("FAIL seed %" PRIu64 " flow %u (%s to %s, %s, server %s%s%s): %s\n", seed, flow,
           w->variant.outside->peer, w->variant.inside->peer,
           w->plain[flow] ? "plain" : "terminated",
           (w->plain[flow] ? w->variant.tcp_secure : w->variant.https_secure) ? "tls" : "plain",
           w->variant.from_client ? ", header from client" : "", w->variant.to_server, what);
    for (unsigned side = 0; side < 2; side++) {
        printf("  %s: sent %" PRIu64 "/%" PRIu64 " received %" PRIu64 "/%" PRIu64
               " mismatch %" PRIu64 " %s%s%s %s\n",
               side == 0 ? "client" : "server", f[side]->sent, f[side]->to_send, f[side]->received,
               f[side]->to_receive, f[side]->mismatch_at,
               f[side]->established ? "established " : "", f[side]->finished ? "finished " : "",
               f[side]->aborted ? "aborted " : "", sock_error_text(f[side]->error));
    }
    return false;
}

static bool check_flow(const struct world *w, uint64_t seed, unsigned i)
{
    const struct flow *out = &w->out[i], *in = &w->in[i];

    if (out->mismatch_at != 0 || in->mismatch_at != 0)
        return fail(w, seed, i, "wrong bytes");
    if (out->abort_at == 0 && in->abort_at == 0) {
        if (!flow_good(out) || !flow_good(in))
            return fail(w, seed, i, "not whole");
        return true;
    }
    /* Whoever was not the one to reset must not take a part for the whole. */
    if (!out->aborted && out->finished && out->error == SOCK_OK && out->received != out->to_receive)
        return fail(w, seed, i, "cut response looks complete to the client");
    if (!in->aborted && in->finished && in->error == SOCK_OK && in->received != in->to_receive)
        return fail(w, seed, i, "cut request looks complete to the server");
    return true;
}

static bool levels_back(const struct world *w, uint64_t seed)
{
    struct sim_host *const hosts[3] = {w->client, w->proxy_host, w->server};
    const struct proxy_counters *c = proxy_counters(w->proxy);
    struct stack_usage u;

    for (unsigned i = 0; i < 3; i++) {
        stack_usage(sim_host_stack(hosts[i]), &u);
        if (u.connections_used != 0 || u.buffers_used != 0) {
            printf("FAIL seed %" PRIu64 ": host %u keeps %u connections, %u buffers\n", seed, i,
                   u.connections_used, u.buffers_used);
            return false;
        }
    }
    if (proxy_session_count(w->proxy) != 0 || c->sessions_opened != c->sessions_closed) {
        printf("FAIL seed %" PRIu64 ": %u sessions left, %" PRIu64 " opened, %" PRIu64 " closed\n",
               seed, proxy_session_count(w->proxy), c->sessions_opened, c->sessions_closed);
        return false;
    }
    return true;
}

static void build(struct world *w, const struct sim_host_config hosts[3],
                  const struct sim_path paths[4])
{
    const struct proxy_net *out = w->variant.outside, *in = w->variant.inside;

    w->client = sim_host_add(w->sim, &hosts[0]);
    w->proxy_host = sim_host_add(w->sim, &hosts[1]);
    w->server = sim_host_add(w->sim, &hosts[2]);
    sim_link(w->sim, w->client, out->peer_prefix, w->proxy_host, out->proxy_prefix, &paths[0],
             &paths[1]);
    sim_link(w->sim, w->proxy_host, in->proxy_prefix, w->server, in->peer_prefix, &paths[2],
             &paths[3]);
    sim_run(w->sim, NULL, NULL, ADDRESSES);
    proxy_world_start(w);
    proxy_world_server_start(w);
    sim_host_app(w->client, client_app, w);
}

static uint32_t pick(struct sim *s, const uint32_t *values, unsigned count)
{
    return values[sim_random(s, count)];
}

#define PICK(s, ...) \
    pick(s, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct sim_path random_path(struct sim *s)
{
    return (struct sim_path){
        .delay = PICK(s, 0, 0, 1, 10, 50) * CLOCK_MS,
        .jitter = PICK(s, 0, 0, 1) * 500 * CLOCK_US,
        .loss = PICK(s, 0, 0, 1000, 10000, 30000),
        .reorder = PICK(s, 0, 0, 10000, 30000),
        .duplicate = PICK(s, 0, 0, 10000),
        .corrupt = PICK(s, 0, 0, 0, 1000),
        .rate = PICK(s, 0, 0, 0, 10, 1000) * UINT64_C(1000000),
    };
}

static struct flow random_flow(struct sim *s, unsigned i, bool client, uint64_t send,
                               uint64_t receive)
{
    return (struct flow){
        .random = sim_random(s, UINT32_MAX),
        .send_pattern = 2 * i + client,
        .receive_pattern = 2 * i + !client,
        .to_send = send,
        .to_receive = receive,
        .piece = PICK(s, 100, 1460, 4096, 65536, 65536),
        .pause = PICK(s, 0, 0, 0, 20) * CLOCK_MS,
        .abort_at = sim_random(s, 8) == 0 ? 1 + sim_random(s, (uint32_t)(send + receive + 1)) : 0,
    };
}

static struct variant random_variant(struct sim *s)
{
    static const char *const to_server[] = {"", "", ", proxy-protocol: v1", ", proxy-protocol: v2"};

    return (struct variant){.outside = &proxy_world_outside[sim_random(s, PROXY_NET_COUNT)],
                            .inside = &proxy_world_inside[sim_random(s, PROXY_NET_COUNT)],
                            .to_server = to_server[sim_random(s, 4)],
                            .from_client = sim_random(s, 3) == 0,
                            .https_secure = sim_random(s, 2) == 0,
                            .tcp_secure = sim_random(s, 2) == 0};
}

static void build_random(struct world *w)
{
    struct sim *s = w->sim;
    struct sim_path paths[4];
    struct sim_host_config hosts[3] = {{.name = "client"}, {.name = "proxy"}, {.name = "server"}};
    /* A RST may be lost, and is not repeated: who only waits finds out by probes. */
    struct sock_options o = {.user_timeout = 600 * CLOCK_SEC,
                             .connect_timeout = 300 * CLOCK_SEC,
                             .keepalive = 60 * CLOCK_SEC};

    for (unsigned i = 0; i < 4; i++)
        paths[i] = random_path(s);
    hosts[1].offloads = PICK(s, 0, 0, STACK_TX_MULTI_SEGMENT,
                             STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT |
                                 STACK_TX_MULTI_SEGMENT);
    hosts[1].max_buffers = PICK(s, 0, 0, 0, 1024);
    w->variant = random_variant(s);
    build(w, hosts, paths);
    w->flows = 1 + sim_random(s, 12);
    for (unsigned i = 0; i < w->flows; i++) {
        uint64_t up = PICK(s, 0, 1, 500, 20000, 150000), down = PICK(s, 0, 1, 20000, 150000);

        w->plain[i] = sim_random(s, 3) == 0;
        w->out[i] = random_flow(s, i, true, up, down);
        w->in[i] = random_flow(s, i, false, down, up);
        open_flow(w, i, &o);
    }
}

static bool settle(struct world *w, uint64_t seed)
{
    bool good = true;

    for (unsigned i = 0; i < w->flows; i++)
        good = check_flow(w, seed, i) && good;
    sim_run(w->sim, NULL, NULL, 700 * CLOCK_SEC); /* TIME_WAIT, half-closed sessions, orphans */
    return levels_back(w, seed) && good;
}

static void tear_down(struct world *w)
{
    for (unsigned i = 0; i < w->flows; i++) {
        if (w->out[i].tls != NULL)
            flow_tls_destroy(w->out[i].tls);
        if (w->in[i].tls != NULL)
            flow_tls_destroy(w->in[i].tls);
    }
    proxy_world_stop(w);
    sim_destroy(w->sim);
}

static bool run_seed(uint64_t seed, bool verbose)
{
    uint32_t before = sim_mbufs_in_use();
    struct world *w = &world;
    clock_ns start;
    bool good;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(seed);
    build_random(w);
    start = sim_now(w->sim);
    good = sim_run(w->sim, all_finished, w, 4 * 3600 * CLOCK_SEC);
    if (verbose)
        printf("seed %" PRIu64 ": %s to %s, %u flows, %.3f s\n", seed, w->variant.outside->peer,
               w->variant.inside->peer, w->flows, (double)(sim_now(w->sim) - start) / 1e9);
    if (!good)
        printf("FAIL seed %" PRIu64 ": not finished in four hours\n", seed);
    good = settle(w, seed) && good;
    tear_down(w);
    if (good && sim_mbufs_in_use() != before) {
        printf("FAIL seed %" PRIu64 ": mbufs leaked\n", seed);
        good = false;
    }
    return good;
}

static bool run_bulk(uint64_t mib, unsigned flows, unsigned net)
{
    static const struct sim_path bad = {.delay = CLOCK_MS / 2, .loss = 10000, .reorder = 10000};
    const struct sim_path paths[4] = {bad, bad, bad, bad};
    const struct sim_host_config hosts[3] = {
        {.name = "client"}, {.name = "proxy"}, {.name = "server"}};
    struct sock_options o = {.user_timeout = 600 * CLOCK_SEC};
    struct world *w = &world;
    clock_ns start;
    bool good;

    memset(w, 0, sizeof *w);
    w->sim = sim_create(1);
    w->variant = (struct variant){
        .outside = &proxy_world_outside[net], .inside = &proxy_world_inside[net], .to_server = ""};
    build(w, hosts, paths);
    w->flows = flows;
    for (unsigned i = 0; i < flows; i++) {
        w->out[i] = (struct flow){.random = i,
                                  .send_pattern = 2 * i,
                                  .receive_pattern = 2 * i + 1,
                                  .to_send = mib << 20,
                                  .to_receive = mib << 20};
        w->in[i] = (struct flow){.random = i,
                                 .send_pattern = 2 * i + 1,
                                 .receive_pattern = 2 * i,
                                 .to_send = mib << 20,
                                 .to_receive = mib << 20};
        open_flow(w, i, &o);
    }
    start = sim_now(w->sim);
    good = sim_run(w->sim, all_finished, w, 48 * 3600 * CLOCK_SEC);
    printf("sim_proxy: %u flows of %" PRIu64 " MiB each way over IPv%c in %.1f s of virtual time\n",
           flows, mib, net == PROXY_NET_V6 ? '6' : '4', (double)(sim_now(w->sim) - start) / 1e9);
    good = settle(w, 1) && good;
    tear_down(w);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200, first = 1, failed = 0;
    unsigned bulk_mib = 0, bulk_flows = 0, bulk_net = PROXY_NET_V4;
    bool verbose = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            seeds = 1;
        } else if (strcmp(argv[i], "--bulk") == 0 && i + 2 < argc) {
            bulk_mib = (unsigned)strtoul(argv[++i], NULL, 10);
            bulk_flows = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--ipv6") == 0) {
            bulk_net = PROXY_NET_V6;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else {
            fprintf(stderr, "usage: sim_proxy [--seeds N] [--seed S] [--verbose] | --bulk MIB "
                            "FLOWS [--ipv6]\n");
            return 2;
        }
    }
    log_level_set(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    sim_setup();
    proxy_world_setup();
    if (bulk_flows > 0 && bulk_flows <= MAX_FLOWS) {
        failed = !run_bulk(bulk_mib, bulk_flows, bulk_net);
        seeds = 0;
    }
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (!run_seed(seed, verbose) && ++failed >= 3)
            break;
    }
    if (seeds > 0)
        printf("sim_proxy: %" PRIu64 " seeds, %" PRIu64 " failed\n", seeds, failed);
    proxy_world_teardown();
    sim_teardown();
    return failed == 0 ? 0 : 1;
}
