/*
 * The appliance between the two networks: a policy is parsed from text as in the product, its
 * snapshot is applied to a proxy on a simulated stack. One certificate serves all: the appliance
 * shows it to clients, the server to the appliance, which trusts it as its own authority.
 */
#include "tests/sim/proxy_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/unit/proxy/rig_servers.h"

const struct proxy_net proxy_world_outside[PROXY_NET_COUNT] = {
    [PROXY_NET_V4] = {.proxy = "192.0.2.1",
                      .proxy_prefix = "192.0.2.1/24",
                      .peer = "192.0.2.2",
                      .peer_prefix = "192.0.2.2/24",
                      .prefix = "192.0.2.0/24",
                      .client = "203.0.113.7"},
    [PROXY_NET_V6] = {.proxy = "[2001:db8:1::1]",
                      .proxy_prefix = "2001:db8:1::1/64",
                      .peer = "[2001:db8:1::2]",
                      .peer_prefix = "2001:db8:1::2/64",
                      .prefix = "2001:db8:1::/64",
                      .client = "[2001:db8:cb::7]"},
};

const struct proxy_net proxy_world_inside[PROXY_NET_COUNT] = {
    [PROXY_NET_V4] = {.proxy = "10.0.0.1",
                      .proxy_prefix = "10.0.0.1/24",
                      .peer = "10.0.0.2",
                      .peer_prefix = "10.0.0.2/24"},
    [PROXY_NET_V6] = {.proxy = "[2001:db8:2::1]",
                      .proxy_prefix = "2001:db8:2::1/64",
                      .peer = "[2001:db8:2::2]",
                      .peer_prefix = "2001:db8:2::2/64"},
};

/* Filled in: addresses, PROXY protocol to the servers, from clients, where the two listeners lead.
 */
static const char config_text[] =
    "interfaces:\n"
    "  outside: {device: {kernel: outside}, addresses: [\"%s\"]}\n"
    "  inside: {device: {kernel: inside}, addresses: [\"%s\"]}\n"
    "certificates:\n"
    "  shop: {chain: shop.crt, key: shop.key}\n"
    "backends:\n"
    "  web: {servers: [\"%s:8080\"]%s}\n"
    "  secure: {servers: [\"%s:8443\"], tls: {server-name: shop.example}%s}\n"
    "listeners:\n"
    "  https: {bind: \"%s:443\", tls: {certificates: [shop]}%s}\n"
    "  tcp: {bind: \"%s:5432\"%s}\n"
    "policy:\n"
    "  - {match: {listener: tcp}, action: splice, backend: %s}\n"
    "  - {match: {listener: https}, action: terminate, backend: %s}\n";

static struct tls_cert_file *cert;
static struct tls_ca_file *authority;
static SSL_CTX *client_ctx, *server_ctx;

/* ---- a certificate for the run ---- */

static X509 *certificate(EVP_PKEY *pkey)
{
    X509 *x = X509_new();
    X509_EXTENSION *san;

    assert(x != NULL);
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
    return x;
}

/* As files, for that is how the appliance takes them. */
static void load(X509 *x, EVP_PKEY *pkey)
{
    char dir[] = "/tmp/sluice-sim-XXXXXX", crt[64], key[64];
    struct error e = {0};
    FILE *f;

    if (mkdtemp(dir) == NULL)
        abort();
    snprintf(crt, sizeof crt, "%s/crt", dir);
    snprintf(key, sizeof key, "%s/key", dir);
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
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    assert(ctx != NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

void proxy_world_setup(void)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = certificate(pkey);

    load(x, pkey);
    client_ctx = context(TLS_client_method());
    server_ctx = context(TLS_server_method());
    SSL_CTX_use_certificate(server_ctx, x);
    SSL_CTX_use_PrivateKey(server_ctx, pkey);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

void proxy_world_teardown(void)
{
    tls_ca_file_unref(authority);
    tls_cert_file_unref(cert);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
}

SSL_CTX *proxy_world_client_ctx(void)
{
    return client_ctx;
}

SSL_CTX *proxy_world_server_ctx(void)
{
    return server_ctx;
}

struct ip_endpoint proxy_world_endpoint(const char *address, uint16_t port)
{
    struct ip_endpoint e = {0};
    char text[64];

    snprintf(text, sizeof text, "%s:%u", address, port);
    if (ip_endpoint_parse(text, &e) < 0)
        abort();
    return e;
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
    const struct proxy_net *out = v->outside, *in = v->inside;
    struct policy_report report = {0};
    char text[2048], from[96] = "";
    int len;

    if (v->from_client)
        snprintf(from, sizeof from, ", proxy-protocol: {from: \"%s\"}", out->prefix);
    len = snprintf(text, sizeof text, config_text, out->proxy_prefix, in->proxy_prefix, in->peer,
                   v->to_server, in->peer, v->to_server, out->proxy, from, out->proxy, from,
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

void proxy_world_start(struct world *w)
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

void proxy_world_stop(struct world *w)
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
