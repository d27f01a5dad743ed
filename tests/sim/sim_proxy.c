/*
 * The whole proxy on a virtual clock: a client's stack and a server's stack on either side of the
 * appliance's, with real TLS from OpenSSL on both, and links as bad as in sim_tcp. Flows come with
 * TLS or without and go to a server with TLS or without; PROXY headers stand before them, from the
 * client divided anywhere, to the server, both or none; some flows are reset half-way by the client
 * or the server.
 *
 * What must hold: an undisturbed flow arrives byte for byte both ways, the server is told the right
 * client, a disturbed flow never shows a wrong byte nor an orderly end, and afterwards every
 * session, connection, buffer and mbuf is free.
 *
 *     sim_proxy [--seeds N] [--seed S] [--verbose]   a sweep
 *     sim_proxy --bulk MIB FLOWS                     FLOWS at a time, MIB up and down each, 1 % of
 * the packets lost and 1 % reordered on every link
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/log.h"
#include "policy/policy.h"
#include "proxy/proxy.h"
#include "proxy/proxy_header.h"
#include "tests/sim/flow.h"
#include "tests/sim/flow_tls.h"
#include "tests/unit/proxy/rig_servers.h"
#include "tls/tls.h"

#define MAX_FLOWS 64

/* Filled in: PROXY protocol to the servers, from clients, where the two listeners lead. */
static const char config_text[] =
    "interfaces:\n"
    "  outside: {device: {kernel: outside}, addresses: [192.0.2.1/24]}\n"
    "  inside: {device: {kernel: inside}, addresses: [10.0.0.1/24]}\n"
    "certificates:\n"
    "  shop: {chain: shop.crt, key: shop.key}\n"
    "backends:\n"
    "  web: {servers: [10.0.0.2:8080]%s}\n"
    "  secure: {servers: [10.0.0.2:8443], tls: {server-name: shop.example}%s}\n"
    "listeners:\n"
    "  https: {bind: 192.0.2.1:443, tls: {certificates: [shop]}%s}\n"
    "  tcp: {bind: 192.0.2.1:5432%s}\n"
    "policy:\n"
    "  - {match: {listener: tcp}, action: splice, backend: %s}\n"
    "  - {match: {listener: https}, action: terminate, backend: %s}\n";

/* How sessions are made in one world. */
struct variant {
    const char *to_server;         /* ", proxy-protocol: v1" or the like, or "" */
    bool from_client;              /* the clients are trusted proxies */
    bool https_secure, tcp_secure; /* TLS to the servers */
};

/* A server's end of a connection before it has said which flow it is. */
struct newcomer {
    struct sock *sock;
    struct flow_tls *tls;
    bool header_done;
    struct ip_endpoint source; /* as the PROXY header has it */
    uint8_t number[4];
    uint32_t got;
};

struct world {
    struct sim *sim;
    struct sim_host *client, *proxy_host, *server;
    struct policy *policy;
    struct tls_worker *tls_worker;
    struct tls_server *tls_servers[2];
    struct tls_client *tls_clients[2];
    struct variant variant;
    uint8_t prefaces[MAX_FLOWS][PROXY_HEADER_BUILD_MAX];
    struct proxy_snapshot snapshot;
    struct proxy *proxy;
    bool released;
    struct sock *listener, *secure_listener;
    struct flow out[MAX_FLOWS], in[MAX_FLOWS];
    struct newcomer newcomers[4 * MAX_FLOWS];
    unsigned flows;
    bool plain[MAX_FLOWS];
};

static struct world world;
static struct tls_cert_file *cert;
static struct tls_ca_file *authority;
static SSL_CTX *client_ctx, *server_ctx;

/* ---- a certificate for the run ---- */

static void make_certificate(void)
{
    char dir[] = "/tmp/sluice-sim-XXXXXX", crt[64], key[64];
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    struct error e = {0};
    X509_EXTENSION *san;
    FILE *f;

    assert(mkdtemp(dir) != NULL && pkey != NULL && x != NULL);
    snprintf(crt, sizeof crt, "%s/crt", dir);
    snprintf(key, sizeof key, "%s/key", dir);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"shop.example", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, pkey);
    san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:shop.example");
    X509_add_ext(x, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(x, pkey, EVP_sha256());
    f = fopen(crt, "w");
    assert(f != NULL);
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(key, "w");
    assert(f != NULL);
    PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    cert = tls_cert_file_load("shop", crt, key, time(NULL), &e);
    authority = cert != NULL ? tls_ca_file_load(crt, &e) : NULL;
    if (authority == NULL) {
        fprintf(stderr, "sim_proxy: %s\n", e.text);
        exit(2);
    }
    unlink(crt);
    unlink(key);
    rmdir(dir);
    server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server_ctx, x);
    SSL_CTX_use_PrivateKey(server_ctx, pkey);
    SSL_CTX_set_mode(server_ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    X509_free(x);
    EVP_PKEY_free(pkey);
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(client_ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* ---- the appliance ---- */

static void released(struct proxy_snapshot *snapshot)
{
    ((struct world *)snapshot->owner)->released = true;
}

static clock_ns proxy_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;

    proxy_run(w->proxy, now);
    return proxy_deadline(w->proxy);
}

static void load_policy(struct world *w)
{
    const struct variant *v = &w->variant;
    const char *from = v->from_client ? ", proxy-protocol: {from: 192.0.2.0/24}" : "";
    struct policy_report report = {0};
    char text[2048];
    int len = snprintf(text, sizeof text, config_text, v->to_server, v->to_server, from, from,
                       v->tcp_secure ? "secure" : "web", v->https_secure ? "secure" : "web");

    w->policy = policy_parse(text, (size_t)len, "sim.yaml", &report);
    for (size_t i = 0; w->policy == NULL && i < report.count; i++)
        fprintf(stderr, "%s\n", report.findings[i].text);
    assert(w->policy != NULL);
    policy_report_free(&report);
}

static void make_tls(struct world *w)
{
    static const uint8_t alpn[] = "\x08http/1.1";
    struct tls_server_config tc = {.certs = &cert,
                                   .cert_count = 1,
                                   .default_cert = 0,
                                   .min_version = TLS_VERSION_1_2,
                                   .max_version = TLS_VERSION_1_3,
                                   .alpn = alpn,
                                   .alpn_len = sizeof alpn - 1};
    struct tls_client_config cc = {.verify = true,
                                   .ca = authority,
                                   .server_name = "shop.example",
                                   .min_version = TLS_VERSION_1_2,
                                   .max_version = TLS_VERSION_1_3};
    struct error e = {0};

    w->tls_worker = tls_worker_create(&e);
    for (unsigned i = 0; i < 2; i++) {
        if (w->policy->listeners[i].tls != NULL)
            w->tls_servers[w->policy->listeners[i].index] =
                tls_server_create(w->tls_worker, &tc, &e);
        if (w->policy->backends[i].tls != NULL)
            w->tls_clients[w->policy->backends[i].index] =
                tls_client_create(w->tls_worker, &cc, &e);
    }
}

static void start_proxy(struct world *w)
{
    struct proxy_config pc = {
        .stack = sim_host_stack(w->proxy_host), .max_sessions = 512, .name = "sim"};
    struct error e = {0};

    load_policy(w);
    make_tls(w);
    w->snapshot = (struct proxy_snapshot){.policy = w->policy,
                                          .tls = w->tls_servers,
                                          .backend_tls = w->tls_clients,
                                          .servers = rig_servers_create(w->policy, 1),
                                          .released = released,
                                          .owner = w};
    w->proxy = proxy_create(&pc, &e);
    if (w->proxy == NULL || proxy_apply(w->proxy, &w->snapshot, &e) < 0) {
        fprintf(stderr, "sim_proxy: %s\n", e.text);
        exit(2);
    }
    sim_host_app(w->proxy_host, proxy_app, w);
}

static void stop_proxy(struct world *w)
{
    proxy_destroy(w->proxy);
    assert(w->released);
    for (unsigned i = 0; i < 2; i++) {
        if (w->tls_servers[i] != NULL)
            tls_server_destroy(w->tls_servers[i]);
        if (w->tls_clients[i] != NULL)
            tls_client_destroy(w->tls_clients[i]);
    }
    tls_worker_destroy(w->tls_worker);
    rig_servers_free(w->policy, w->snapshot.servers);
    policy_free(w->policy);
}

/* ---- client and server ---- */

static clock_ns progress_all(struct flow *flows, unsigned count, clock_ns now)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < count; i++) {
        clock_ns at = flows[i].read_again > 0 ? flow_progress(&flows[i], now) : CLOCK_NEVER;

        next = at < next ? at : next;
    }
    return next;
}

static clock_ns client_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->client), &e))
        flow_event(e.user, &e, now);
    return progress_all(w->out, w->flows, now);
}

static bool is_flow(const struct world *w, const void *user)
{
    return (const char *)user >= (const char *)w->in &&
           (const char *)user < (const char *)(w->in + MAX_FLOWS);
}

/* Returns true when the header, if there is to be one, has been read. */
static bool newcomer_header(struct world *w, struct newcomer *n)
{
    struct proxy_header header;
    uint8_t data[PROXY_HEADER_MAX];
    uint32_t len;

    if (n->header_done || w->variant.to_server[0] == '\0')
        return true;
    len = sock_peek(n->sock, 0, data, sizeof data);
    switch (proxy_header_parse(data, len, &header)) {
    case PROXY_HEADER_OK:
        break;
    case PROXY_HEADER_MORE:
        return false;
    default:
        printf("FAIL: the server got no PROXY header but %u bytes of something\n", len);
        exit(1);
    }
    sock_skip(n->sock, (uint32_t)header.length);
    n->source = header.source;
    return n->header_done = true;
}

static void newcomer_number(struct newcomer *n)
{
    uint8_t *at = n->number + n->got;

    if (n->tls == NULL)
        n->got += sock_read(n->sock, at, 4 - n->got);
    else if (flow_tls_progress(n->tls))
        n->got += flow_tls_read(n->tls, at, 4 - n->got);
}

/* Each client is to be told apart by its header. */
static bool right_source(const struct world *w, const struct newcomer *n, uint32_t number)
{
    struct ip_endpoint client;

    if (w->variant.to_server[0] == '\0')
        return true;
    if (w->variant.from_client)
        return n->source.port == 1000 + number && n->source.addr.b[12] == 203;
    ip_endpoint_parse("192.0.2.2:1", &client);
    return ip_equal(&n->source.addr, &client.addr);
}

static void newcomer_end(struct newcomer *n)
{
    if (n->tls != NULL)
        flow_tls_destroy(n->tls);
    sock_abort(n->sock);
    *n = (struct newcomer){0};
}

static void newcomer_join(struct world *w, struct newcomer *n, uint32_t number, clock_ns now)
{
    struct flow *f = &w->in[number];

    if (!right_source(w, n, number)) {
        printf("FAIL: the server was told a wrong client of flow %u\n", number);
        exit(1);
    }
    f->sock = n->sock;
    f->tls = n->tls;
    f->established = true;
    sock_user_set(n->sock, f);
    *n = (struct newcomer){0};
    flow_progress(f, now);
}

static void newcomer_event(struct world *w, struct newcomer *n, const struct event *e, clock_ns now)
{
    uint32_t number;

    if ((e->what & EVENT_ERROR) == 0) {
        if (newcomer_header(w, n))
            newcomer_number(n);
        if (n->got < 4 && !sock_eof(n->sock))
            return;
    }
    memcpy(&number, n->number, 4);
    if (n->got == 4 && number < w->flows && w->in[number].sock == NULL && !w->in[number].finished)
        newcomer_join(w, n, number, now);
    else
        newcomer_end(n);
}

static void accept_all(struct world *w, struct sock *listener)
{
    struct sock *k;

    while ((k = sock_accept(listener)) != NULL) {
        unsigned i = 0;

        while (w->newcomers[i].sock != NULL)
            i++;
        assert(i < 4 * MAX_FLOWS);
        w->newcomers[i] = (struct newcomer){.sock = k};
        if (listener == w->secure_listener)
            w->newcomers[i].tls = flow_tls_create(server_ctx, k, NULL);
        sock_user_set(k, &w->newcomers[i]);
    }
}

static clock_ns server_app(void *ctx, clock_ns now)
{
    struct world *w = ctx;
    struct event e;

    while (event_next(sim_host_stack(w->server), &e)) {
        if (e.sock == w->listener || e.sock == w->secure_listener)
            accept_all(w, e.sock);
        else if (is_flow(w, e.user))
            flow_event(e.user, &e, now);
        else
            newcomer_event(w, e.user, &e, now);
    }
    return progress_all(w->in, w->flows, now);
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

    ip_endpoint_parse("203.0.113.7:1", &facts.source);
    facts.source.port = (uint16_t)(1000 + i);
    ip_endpoint_parse("192.0.2.1:443", &facts.destination);
    w->out[i].preface = w->prefaces[i];
    w->out[i].preface_len = (uint32_t)(i % 2 == 0 ? proxy_header_build_v1(&facts, w->prefaces[i])
                                                  : proxy_header_build_v2(&facts, w->prefaces[i]));
}

static void open_flow(struct world *w, unsigned i, const struct sock_options *o)
{
    const char *at = w->plain[i] ? "192.0.2.1:5432" : "192.0.2.1:443";
    struct ip_endpoint to;
    enum sock_error error;

    ip_endpoint_parse(at, &to);
    w->out[i].number = i;
    w->out[i].announce = true;
    if (w->variant.from_client)
        make_preface(w, i);
    w->out[i].sock = sock_connect(sim_host_stack(w->client), &to, o, &w->out[i], &error);
    assert(w->out[i].sock != NULL);
    if (!w->plain[i])
        w->out[i].tls = flow_tls_create(client_ctx, w->out[i].sock, "shop.example");
}

static bool fail(const struct world *w, uint64_t seed, unsigned flow, const char *what)
{
    const struct flow *f[2] = {&w->out[flow], &w->in[flow]};

    printf("FAIL seed %" PRIu64 " flow %u (%s, server %s%s%s): %s\n", seed, flow,
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
    struct ip_endpoint at;
    enum sock_error error;

    w->client = sim_host_add(w->sim, &hosts[0]);
    w->proxy_host = sim_host_add(w->sim, &hosts[1]);
    w->server = sim_host_add(w->sim, &hosts[2]);
    sim_link(w->sim, w->client, "192.0.2.2/24", w->proxy_host, "192.0.2.1/24", &paths[0],
             &paths[1]);
    sim_link(w->sim, w->proxy_host, "10.0.0.1/24", w->server, "10.0.0.2/24", &paths[2], &paths[3]);
    ip_endpoint_parse("10.0.0.2:8080", &at);
    w->listener = sock_listen(sim_host_stack(w->server), &at, 256, NULL, NULL, &error);
    at.port = 8443;
    w->secure_listener = sock_listen(sim_host_stack(w->server), &at, 256, NULL, NULL, &error);
    assert(w->listener != NULL && w->secure_listener != NULL);
    start_proxy(w);
    sim_host_app(w->client, client_app, w);
    sim_host_app(w->server, server_app, w);
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

    return (struct variant){.to_server = to_server[sim_random(s, 4)],
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
    stop_proxy(w);
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
        printf("seed %" PRIu64 ": %u flows, %.3f s\n", seed, w->flows,
               (double)(sim_now(w->sim) - start) / 1e9);
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

static bool run_bulk(uint64_t mib, unsigned flows)
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
    w->variant = (struct variant){.to_server = ""};
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
    printf("sim_proxy: %u flows of %" PRIu64 " MiB each way in %.1f s of virtual time\n", flows,
           mib, (double)(sim_now(w->sim) - start) / 1e9);
    good = settle(w, 1) && good;
    tear_down(w);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200, first = 1, failed = 0;
    unsigned bulk_mib = 0, bulk_flows = 0;
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
        } else if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else {
            fprintf(stderr,
                    "usage: sim_proxy [--seeds N] [--seed S] [--verbose] | --bulk MIB FLOWS\n");
            return 2;
        }
    }
    log_level_set(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    sim_setup();
    make_certificate();
    if (bulk_flows > 0 && bulk_flows <= MAX_FLOWS) {
        failed = !run_bulk(bulk_mib, bulk_flows);
        seeds = 0;
    }
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (!run_seed(seed, verbose) && ++failed >= 3)
            break;
    }
    if (seeds > 0)
        printf("sim_proxy: %" PRIu64 " seeds, %" PRIu64 " failed\n", seeds, failed);
    tls_ca_file_unref(authority);
    tls_cert_file_unref(cert);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    sim_teardown();
    return failed == 0 ? 0 : 1;
}
