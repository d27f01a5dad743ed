#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "../tls/tls_fixture.h"
#include "base/log.h"
#include "rig_servers.h"

static struct tls_worker *worker;
static struct tls_server *server;
static struct tls_cert_file *certificate;
static SSL_CTX *client_ctx, *server_ctx[RIG_SERVER_STRANGER + 1];
static struct tls_ca_file *authority;
static int log_fd;

/* Set where a sanitizer is linked in; it writes to descriptor 2 by itself. */
extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* The log writes to descriptor 2, which becomes a file in memory; stderr, where cmocka reports,
 * goes where it went before. */
static void log_capture(void)
{
    int report_fd = dup(STDERR_FILENO);

    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(log_fd >= 0 && report_fd >= 0);
    stderr = fdopen(report_fd, "w");
    assert_non_null(stderr);
    setvbuf(stderr, NULL, _IONBF, 0);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
    if (__sanitizer_set_report_fd != NULL)
        __sanitizer_set_report_fd((void *)(intptr_t)report_fd);
    unsetenv("JOURNAL_STREAM");
    log_level_set(LOG_LEVEL_DEBUG);
}

static SSL_CTX *make_server_ctx(const struct fixture_spec *spec, const struct fixture_cert *issuer)
{
    struct fixture_cert c = fixture_cert_make(spec, issuer);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_int_equal(SSL_CTX_use_certificate(ctx, c.x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, c.key), 1);
    fixture_cert_free(&c);
    return ctx;
}

/* Servers of backends, and who vouches for them. */
static void make_servers(void)
{
    static const struct fixture_spec root = {.common_name = "root", .ca = true},
                                     good = {.common_name = "server",
                                             .alt_names = "DNS:server.example,DNS:shop.example,"
                                                          "IP:10.0.0.20"},
                                     other = {.common_name = "other",
                                              .alt_names = "DNS:other.example"},
                                     expired = {.common_name = "expired",
                                                .alt_names = "DNS:server.example",
                                                .from_day = -30,
                                                .to_day = -1};
    struct fixture_cert ca = fixture_cert_make(&root, NULL);

    authority = fixture_ca_file("root", ca.x509);
    server_ctx[RIG_SERVER_GOOD] = make_server_ctx(&good, &ca);
    server_ctx[RIG_SERVER_OTHER_NAME] = make_server_ctx(&other, &ca);
    server_ctx[RIG_SERVER_EXPIRED] = make_server_ctx(&expired, &ca);
    server_ctx[RIG_SERVER_STRANGER] = make_server_ctx(&good, NULL);
    fixture_cert_free(&ca);
}

int rig_group_setup(void **state)
{
    static const struct fixture_spec spec = {
        .common_name = "shop.example",
        .alt_names = "DNS:shop.example,DNS:*.shop.example",
        .key = FIXTURE_P256,
    };

    (void)state;
    log_capture();
    fixture_dir_create();
    worker = fixture_worker();
    certificate = fixture_cert_file("shop", &spec);
    server = fixture_server(worker, &certificate, 1);
    client_ctx = fixture_client_ctx();
    make_servers();
    return 0;
}

int rig_group_teardown(void **state)
{
    (void)state;
    SSL_CTX_free(client_ctx);
    for (unsigned i = 0; i <= RIG_SERVER_STRANGER; i++)
        SSL_CTX_free(server_ctx[i]);
    tls_ca_file_unref(authority);
    tls_server_destroy(server);
    tls_cert_file_unref(certificate);
    tls_worker_destroy(worker);
    fixture_dir_remove();
    return 0;
}

/* ---- configuration ---- */

static void released(struct proxy_snapshot *snapshot)
{
    struct rig_config *c = snapshot->owner;

    assert_int_equal(snapshot->sessions, 0);
    assert_int_equal(c->released, 0);
    c->released++;
}

static const char text_head[] = "interfaces:\n"
                                "  outside: {device: {tap: t0}, addresses: [192.0.2.10/24]}\n"
                                "  inside: {device: {tap: t1}, addresses: [10.0.0.1/24]}\n"
                                "routes:\n"
                                "  - {to: default, via: 192.0.2.1}\n"
                                "certificates:\n"
                                "  shop: {chain: shop.crt, key: shop.key}\n"
                                "backends:\n"
                                "  web: {servers: [\"10.0.0.11:8080\", \"10.0.0.12:8080\", "
                                "\"10.0.0.13:8080\"]}\n"
                                "  legacy: {servers: [\"10.0.0.20:443\"]}\n";

static struct policy *parse(const char *listeners, const char *rules)
{
    struct policy_report report = {0};
    struct policy *policy;
    char text[4096];
    int len =
        snprintf(text, sizeof text, "%slisteners:\n%spolicy:\n%s", text_head, listeners, rules);

    assert_in_range(len, 1, sizeof text - 1);
    policy = policy_parse(text, (size_t)len, "test.yaml", &report);
    if (policy == NULL)
        fail_msg("%s", report.findings[0].text);
    policy_report_free(&report);
    return policy;
}

void rig_config_init(struct rig_config *c, const char *listeners, const char *rules)
{
    memset(c, 0, sizeof *c);
    c->policy = parse(listeners, rules);
    for (unsigned i = 0; i < c->policy->listener_count; i++) {
        if (c->policy->listeners[i].tls != NULL)
            c->servers[c->policy->listeners[i].index] = server;
    }
    c->snapshot = (struct proxy_snapshot){
        .policy = c->policy,
        .tls = c->servers,
        .backend_tls = c->clients,
        .servers = rig_servers_create(c->policy, RIG_WORKERS),
        .rule_hits = c->rule_hits,
        .classes = c->classes,
        .released = released,
        .owner = c,
    };
}

void rig_config_free(struct rig_config *c)
{
    for (unsigned i = 0; i < sizeof c->clients / sizeof c->clients[0]; i++) {
        if (c->clients[i] != NULL)
            tls_client_destroy(c->clients[i]);
    }
    rig_servers_free(c->policy, c->snapshot.servers);
    policy_free(c->policy);
    c->policy = NULL;
}

/* ---- hooks ---- */

static bool hook_opened(void *ctx, const struct packet_label *label, const struct ip_addr *source,
                        uint64_t *handle)
{
    struct rig_hooks *h = &((struct rig *)ctx)->hooks;

    h->label = *label;
    h->source = *source;
    if (h->refuse_sessions)
        return false;
    *handle = 1000 + h->opened++;
    h->handles += *handle;
    return true;
}

static void hook_closed(void *ctx, uint64_t handle)
{
    struct rig_hooks *h = &((struct rig *)ctx)->hooks;

    h->closed++;
    h->handles -= handle;
}

static bool hook_handshake(void *ctx, const struct packet_label *label,
                           const struct ip_addr *source, clock_ns now)
{
    struct rig *r = ctx;

    assert_int_equal(now, r->now);
    r->hooks.label = *label;
    r->hooks.source = *source;
    r->hooks.handshakes++;
    return !r->hooks.refuse_handshakes;
}

static void hook_ended(void *ctx, const struct proxy_record *record)
{
    struct rig_hooks *h = &((struct rig *)ctx)->hooks;

    h->ended++;
    h->record = *record;
}

void rig_expect_reason(struct rig *r, const char *part)
{
    if (strstr(r->hooks.record.reason, part) == NULL)
        fail_msg("the session did not end with \"%s\" but: %s", part, r->hooks.record.reason);
}

/* ---- life ---- */

struct rig *rig_create_with(const struct proxy_config *settings, const char *rules)
{
    struct rig *r = calloc(1, sizeof *r);
    struct proxy_config config = *settings;
    struct error e = {0};

    assert_non_null(r);
    r->now = 1000 * CLOCK_SEC;
    r->stack = fake_stack_create(r->now);
    config.stack = r->stack;
    config.name = "worker 0";
    config.hooks = (struct proxy_hooks){.ctx = r,
                                        .opened = hook_opened,
                                        .closed = hook_closed,
                                        .handshake = hook_handshake,
                                        .ended = hook_ended};
    r->proxy = proxy_create(&config, &e);
    assert_non_null(r->proxy);
    rig_config_init(&r->config, RIG_HTTPS RIG_PLAIN RIG_POSTGRES, rules);
    assert_int_equal(proxy_apply(r->proxy, &r->config.snapshot, &e), 0);
    assert_false(e.set);
    rig_log(r); /* what an earlier test left */
    return r;
}

struct rig *rig_create(const char *rules)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS};

    return rig_create_with(&settings, rules);
}

struct policy_backend *rig_backend(struct rig *r, const char *name)
{
    for (unsigned i = 0; i < r->config.policy->backend_count; i++) {
        if (strcmp(r->config.policy->backends[i].name, name) == 0)
            return &r->config.policy->backends[i];
    }
    fail_msg("no backend %s", name);
    return NULL;
}

struct policy_listener *rig_listener(struct rig *r, const char *name)
{
    for (unsigned i = 0; i < r->config.policy->listener_count; i++) {
        if (strcmp(r->config.policy->listeners[i].name, name) == 0)
            return &r->config.policy->listeners[i];
    }
    fail_msg("no listener %s", name);
    return NULL;
}

void rig_destroy(struct rig *r)
{
    const struct proxy_counters *c = proxy_counters(r->proxy);
    uint64_t running = c->sessions_opened - c->sessions_closed;

    assert_int_equal(running, proxy_session_count(r->proxy));
    proxy_destroy(r->proxy);
    assert_int_equal(fake_held(r->stack), 0);
    assert_int_equal(r->hooks.closed, r->hooks.opened);
    assert_int_equal(r->hooks.ended, r->hooks.opened);
    assert_int_equal(r->hooks.handles, 0);
    assert_null(fake_listener(r->stack, RIG_HTTPS_ADDRESS));
    fake_stack_free(r->stack);
    rig_config_free(&r->config);
    free(r);
}

/* ---- time ---- */

void rig_round(struct rig *r)
{
    r->stack->now = r->now;
    proxy_run(r->proxy, r->now);
}

static bool rig_busy(const struct rig *r)
{
    return !TAILQ_EMPTY(&r->stack->ready) || proxy_deadline(r->proxy) <= r->now;
}

void rig_settle(struct rig *r)
{
    unsigned rounds = 0;

    do {
        rig_round(r);
        assert_true(++rounds < 100000);
    } while (rig_busy(r));
}

void rig_advance(struct rig *r, clock_ns by)
{
    clock_ns end = r->now + by;

    rig_settle(r);
    while (r->now < end) {
        clock_ns next = proxy_deadline(r->proxy);

        r->now = next < end ? (next > r->now ? next : r->now + 1) : end;
        rig_round(r);
    }
    rig_settle(r);
}

/* ---- log ---- */

const char *rig_log(struct rig *r)
{
    static char text[65536];
    off_t end = lseek(log_fd, 0, SEEK_END);
    ssize_t n = pread(log_fd, text, sizeof text - 1, 0);

    (void)r;
    assert_true(n >= 0 && end < (off_t)sizeof text);
    text[n] = '\0';
    assert_int_equal(ftruncate(log_fd, 0), 0);
    lseek(log_fd, 0, SEEK_SET);
    return text;
}

void rig_log_expect(struct rig *r, const char *part)
{
    const char *text = rig_log(r);

    if (strstr(text, part) == NULL)
        fail_msg("the log has no \"%s\" but: %s", part, text);
}

/* ---- peers ---- */

struct sock *rig_client(struct rig *r, const char *listener_address, const char *remote)
{
    struct sock *listener = fake_listener(r->stack, listener_address);
    struct sock *k;

    assert_non_null(listener);
    k = fake_client(listener, remote);
    rig_settle(r);
    return k;
}

void rig_send(struct sock *k, const char *text)
{
    fake_deliver(k, text, strlen(text));
}

void rig_expect(struct sock *k, const char *text)
{
    char got[4096];
    size_t n = fake_take(k, got, sizeof got - 1);

    got[n] = '\0';
    assert_string_equal(got, text);
}

void rig_expect_nothing(struct sock *k)
{
    rig_expect(k, "");
}

/* OpenSSL's macro for this casts const away, which clang does not let pass. */
static void set_name(SSL *ssl, const char *name)
{
    assert_int_equal(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                              (void *)(uintptr_t)name),
                     1);
}

size_t rig_hello(const char *sni, int max_version, uint8_t *out, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    int n;

    /* Versions before 1.2 need weak signatures to be offered at all. */
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"), 1);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (sni != NULL)
        set_name(ssl, sni);
    SSL_connect(ssl);
    n = BIO_read(SSL_get_wbio(ssl), out, (int)size);
    assert_true(n > 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return (size_t)n;
}

void rig_expect_alert(struct sock *k, uint8_t alert)
{
    uint8_t got[16];

    assert_int_equal(fake_take(k, got, sizeof got), TLS_ALERT_RECORD_LEN);
    assert_int_equal(got[0], 21); /* alert */
    assert_int_equal(got[5], 2);  /* fatal */
    assert_int_equal(got[6], alert);
}

/* ---- TLS clients and servers ---- */

void rig_tls_open(struct rig_tls *t, struct sock *k, const char *sni)
{
    *t = (struct rig_tls){.sock = k, .ssl = SSL_new(client_ctx)};
    assert_non_null(t->ssl);
    SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(t->ssl), -1);
    if (sni != NULL)
        set_name(t->ssl, sni);
    SSL_set_connect_state(t->ssl);
}

void rig_backend_tls(struct rig *r, const char *backend, const char *server_name)
{
    static const struct policy_backend_tls unnamed = {.verify = true},
                                           named = {.verify = true,
                                                    .server_name = "server.example"};
    const struct tls_client_config config = {.verify = true,
                                             .ca = authority,
                                             .server_name = server_name,
                                             .min_version = TLS_VERSION_1_2,
                                             .max_version = TLS_VERSION_1_3};
    struct policy_backend *b = rig_backend(r, backend);
    struct error e = {0};

    b->tls = server_name != NULL ? &named : &unnamed;
    r->config.clients[b->index] = tls_client_create(worker, &config, &e);
    assert_non_null(r->config.clients[b->index]);
}

void rig_tls_serve(struct rig_tls *t, struct sock *k, enum rig_server_cert cert)
{
    *t = (struct rig_tls){.sock = k, .ssl = SSL_new(server_ctx[cert])};
    assert_non_null(t->ssl);
    SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(t->ssl), -1);
    SSL_set_accept_state(t->ssl);
}

bool rig_tls_accept(struct rig *r, struct rig_tls *t)
{
    for (unsigned i = 0; i < 20 && !SSL_is_init_finished(t->ssl); i++) {
        rig_tls_pump(t);
        SSL_do_handshake(t->ssl);
        rig_tls_pump(t);
        rig_settle(r);
    }
    ERR_clear_error();
    return SSL_is_init_finished(t->ssl) == 1;
}

void rig_tls_free(struct rig_tls *t)
{
    SSL_free(t->ssl);
    t->ssl = NULL;
}

void rig_tls_pump(struct rig_tls *t)
{
    uint8_t chunk[4096];
    int n;
    size_t got;

    while ((n = BIO_read(SSL_get_wbio(t->ssl), chunk, sizeof chunk)) > 0) {
        if (!t->sock->fin_received) /* what OpenSSL still says after the FIN is lost */
            fake_deliver(t->sock, chunk, (size_t)n);
    }
    while ((got = fake_take(t->sock, chunk, sizeof chunk)) > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(t->ssl), chunk, (int)got), (int)got);
}

void rig_tls_handshake(struct rig *r, struct rig_tls *t)
{
    for (unsigned i = 0; i < 20 && !SSL_is_init_finished(t->ssl); i++) {
        SSL_do_handshake(t->ssl);
        rig_tls_pump(t);
        rig_settle(r);
        rig_tls_pump(t);
    }
    ERR_clear_error();
    assert_true(SSL_is_init_finished(t->ssl));
    rig_tls_pump(t);
    rig_settle(r);
}

void rig_tls_send(struct rig_tls *t, const void *data, size_t len)
{
    size_t written = 0;

    if (len > 0)
        assert_int_equal(SSL_write_ex(t->ssl, data, len, &written), 1);
    assert_int_equal(written, len);
    rig_tls_pump(t);
}

size_t rig_tls_read(struct rig_tls *t, void *out, size_t size)
{
    size_t total = 0, n;

    rig_tls_pump(t);
    while (total < size && SSL_read_ex(t->ssl, (uint8_t *)out + total, size - total, &n) == 1)
        total += n;
    if ((SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
        t->closed = true;
    ERR_clear_error();
    return total;
}

void rig_tls_close_notify(struct rig_tls *t)
{
    SSL_shutdown(t->ssl);
    rig_tls_pump(t);
    ERR_clear_error();
}
