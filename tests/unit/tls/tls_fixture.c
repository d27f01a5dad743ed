#include "tests/unit/tls/tls_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

/* ---- certificates ---- */

time_t fixture_now = FIXTURE_NOW;

static char dir[] = "/tmp/sluice-tls-XXXXXX";

static EVP_PKEY *make_key(enum fixture_key kind)
{
    switch (kind) {
    case FIXTURE_P256:
        return EVP_EC_gen("P-256");
    case FIXTURE_P384:
        return EVP_EC_gen("P-384");
    case FIXTURE_SECP256K1:
        return EVP_EC_gen("secp256k1");
    case FIXTURE_RSA2048:
        return EVP_RSA_gen(2048);
    case FIXTURE_RSA1024:
        return EVP_RSA_gen(1024);
    case FIXTURE_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    return NULL;
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    assert_int_equal(X509_add_ext(x, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void set_subject(X509 *x, const struct fixture_spec *spec)
{
    const char *organization = spec->organization != NULL ? spec->organization : "Test";
    X509_NAME *name = X509_get_subject_name(x);

    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)organization, -1, -1, 0);
    if (spec->common_name != NULL)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)spec->common_name,
                                   -1, -1, 0);
}

struct fixture_cert fixture_cert_make(const struct fixture_spec *spec,
                                      const struct fixture_cert *issuer)
{
    static long serial = 1;
    bool dated = spec->from_day != 0 || spec->to_day != 0;
    struct fixture_cert c = {X509_new(), make_key(spec->key)};
    EVP_PKEY *signer = issuer != NULL ? issuer->key : c.key;

    assert_non_null(c.x509);
    assert_non_null(c.key);
    X509_set_version(c.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial++);
    ASN1_TIME_set(X509_getm_notBefore(c.x509),
                  FIXTURE_NOW + (time_t)FIXTURE_DAY * (dated ? spec->from_day : -1));
    ASN1_TIME_set(X509_getm_notAfter(c.x509),
                  FIXTURE_NOW + (time_t)FIXTURE_DAY * (dated ? spec->to_day : 90));
    set_subject(c.x509, spec);
    X509_set_issuer_name(c.x509, X509_get_subject_name(issuer != NULL ? issuer->x509 : c.x509));
    X509_set_pubkey(c.x509, c.key);
    if (spec->alt_names != NULL)
        add_extension(c.x509, NID_subject_alt_name, spec->alt_names);
    if (spec->ca)
        add_extension(c.x509, NID_basic_constraints, "critical,CA:TRUE");
    if (spec->must_staple)
        add_extension(c.x509, NID_tlsfeature, "status_request");
    if (spec->key_usage != NULL)
        add_extension(c.x509, NID_key_usage, spec->key_usage);
    if (spec->extended_key_usage != NULL)
        add_extension(c.x509, NID_ext_key_usage, spec->extended_key_usage);
    assert_true(X509_sign(c.x509, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256()) >
                0);
    return c;
}

void fixture_cert_free(struct fixture_cert *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
}

void fixture_dir_create(void)
{
    assert_non_null(mkdtemp(dir));
}

void fixture_dir_remove(void)
{
    char path[FIXTURE_PATH_MAX];
    struct dirent *entry;
    DIR *d = opendir(dir);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.')
            unlink(fixture_path(entry->d_name, path));
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

const char *fixture_path(const char *file, char out[FIXTURE_PATH_MAX])
{
    snprintf(out, FIXTURE_PATH_MAX, "%s/%s", dir, file);
    return out;
}

void fixture_write(const char *file, const void *data, size_t len)
{
    char path[FIXTURE_PATH_MAX];
    FILE *f = fopen(fixture_path(file, path), "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

static void write_bio(const char *file, BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    fixture_write(file, data, (size_t)len);
    BIO_free(bio);
}

void fixture_write_chain(const char *file, X509 *const *certs, unsigned count)
{
    BIO *bio = BIO_new(BIO_s_mem());

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(PEM_write_bio_X509(bio, certs[i]), 1);
    write_bio(file, bio);
}

void fixture_write_key(const char *file, EVP_PKEY *key, const char *passphrase)
{
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_128_cbc() : NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    char secret[64] = "";

    if (passphrase != NULL)
        snprintf(secret, sizeof secret, "%s", passphrase);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, cipher, NULL, 0, NULL,
                                              passphrase != NULL ? secret : NULL),
                     1);
    write_bio(file, bio);
}

struct tls_cert_file *fixture_cert_file(const char *name, const struct fixture_spec *spec)
{
    return fixture_issued_file(name, spec, NULL);
}

struct tls_ca_file *fixture_ca_file(const char *name, X509 *x)
{
    char file[64], path[FIXTURE_PATH_MAX];
    struct tls_ca_file *ca;
    struct error e = {0};

    snprintf(file, sizeof file, "%s.pem", name);
    fixture_write_chain(file, &x, 1);
    ca = tls_ca_file_load(fixture_path(file, path), &e);
    if (ca == NULL)
        fail_msg("%s", e.text);
    return ca;
}

typedef struct tls_cert_file *cert_loader(const char *, const char *, const char *, time_t,
                                          struct error *);

static struct tls_cert_file *make_and_load(const char *name, const struct fixture_spec *spec,
                                           const struct fixture_cert *issuer, cert_loader *load)
{
    char chain[FIXTURE_PATH_MAX], key[FIXTURE_PATH_MAX], file[64];
    struct fixture_cert c = fixture_cert_make(spec, issuer);
    struct tls_cert_file *f;
    struct error e = {0};

    snprintf(file, sizeof file, "%s.crt", name);
    fixture_write_chain(file, &c.x509, 1);
    fixture_path(file, chain);
    snprintf(file, sizeof file, "%s.key", name);
    fixture_write_key(file, c.key, NULL);
    fixture_path(file, key);
    fixture_cert_free(&c);
    f = load(name, chain, key, fixture_now, &e);
    if (f == NULL)
        fail_msg("%s", e.text);
    return f;
}

struct tls_cert_file *fixture_issued_file(const char *name, const struct fixture_spec *spec,
                                          const struct fixture_cert *issuer)
{
    return make_and_load(name, spec, issuer, tls_cert_file_load);
}

struct tls_cert_file *fixture_client_cert(const char *name, const struct fixture_spec *spec,
                                          const struct fixture_cert *issuer)
{
    return make_and_load(name, spec, issuer, tls_cert_file_load_client);
}

/* ---- queues ---- */

static void queue_put(struct fixture_queue *q, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (q->len + len > q->size) {
        q->size = (q->len + len) * 2;
        q->data = realloc(q->data, q->size);
        assert_non_null(q->data);
    }
    memcpy(q->data + q->len, data, len);
    q->len += len;
}

static size_t queue_take(struct fixture_queue *q, void *out, size_t len)
{
    size_t n = len < q->len ? len : q->len;

    if (n > 0) {
        memcpy(out, q->data, n);
        memmove(q->data, q->data + n, q->len - n);
        q->len -= n;
    }
    return n;
}

static ssize_t wire_read(void *ctx, void *out, size_t len)
{
    struct fixture_wire *w = ctx;
    size_t n;

    if (w->read_max > 0 && len > w->read_max)
        len = w->read_max;
    n = queue_take(&w->up, out, len);
    if (n == 0 && w->eof)
        return -1;
    return (ssize_t)n;
}

static ssize_t wire_write(void *ctx, const void *data, size_t len)
{
    struct fixture_wire *w = ctx;

    if (w->dead)
        return -1;
    if (w->write_max > 0 && len > w->write_max)
        len = w->write_max;
    if (w->room > 0 && len > w->room - w->down.len)
        len = w->room - w->down.len;
    queue_put(&w->down, data, len);
    return (ssize_t)len;
}

const struct tls_transport fixture_transport = {wire_read, wire_write};

/* ---- pairs ---- */

SSL_CTX *fixture_client_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    assert_non_null(ctx);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    return ctx;
}

static void set_server_name(SSL *client, const char *sni)
{
    char name[TLS_HELLO_NAME_MAX + 1]; /* the setter takes it without const */

    snprintf(name, sizeof name, "%s", sni);
    SSL_set_tlsext_host_name(client, name);
}

void fixture_pair_open(struct fixture_pair *p, struct tls_server *s, int cert, SSL_CTX *ctx,
                       const char *sni)
{
    memset(p, 0, sizeof *p);
    p->client = SSL_new(ctx);
    assert_non_null(p->client);
    SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p->client);
    if (sni != NULL)
        set_server_name(p->client, sni);
    p->server = tls_conn_create(s, cert, &fixture_transport, &p->wire);
    assert_non_null(p->server);
}

void fixture_pair_close(struct fixture_pair *p)
{
    tls_conn_destroy(p->server);
    SSL_free(p->client);
    free(p->wire.up.data);
    free(p->wire.down.data);
    ERR_clear_error();
}

void fixture_pair_pump(struct fixture_pair *p)
{
    uint8_t buffer[4096];
    size_t n;
    int len;

    while ((len = BIO_read(SSL_get_wbio(p->client), buffer, sizeof buffer)) > 0)
        queue_put(&p->wire.up, buffer, (size_t)len);
    while ((n = queue_take(&p->wire.down, buffer, sizeof buffer)) > 0)
        BIO_write(SSL_get_rbio(p->client), buffer, (int)n);
}

static bool client_step(struct fixture_pair *p)
{
    int ret;

    ERR_clear_error();
    ret = SSL_do_handshake(p->client);
    p->client_error = SSL_get_error(p->client, ret);
    return ret == 1;
}

bool fixture_pair_handshake(struct fixture_pair *p)
{
    for (unsigned i = 0; i < 200000; i++) {
        bool client = client_step(p);

        fixture_pair_pump(p);
        p->server_result = tls_conn_handshake(p->server);
        fixture_pair_pump(p);
        if (p->server_result == TLS_FAILED) {
            client_step(p);
            return false;
        }
        if (!client && p->client_error == SSL_ERROR_SSL) {
            fixture_pair_pump(p);
            p->server_result = tls_conn_handshake(p->server);
            return false;
        }
        if (client && p->server_result == TLS_DONE)
            return true;
    }
    fail_msg("the handshake does not end");
    return false;
}

void fixture_client_send(struct fixture_pair *p, const void *data, size_t len)
{
    assert_int_equal(SSL_write(p->client, data, (int)len), (int)len);
    fixture_pair_pump(p);
}

void fixture_server_send(struct fixture_pair *p, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    while (len > 0) {
        size_t taken;
        enum tls_result r = tls_conn_write(p->server, bytes, len, &taken);

        assert_true(r == TLS_DONE || r == TLS_WANT_WRITE);
        bytes += taken;
        len -= taken;
        fixture_pair_pump(p);
    }
}

void fixture_client_expect(struct fixture_pair *p, const char *text)
{
    char buffer[256] = "";

    fixture_pair_pump(p);
    assert_int_equal(SSL_read(p->client, buffer, sizeof buffer - 1), (int)strlen(text));
    assert_string_equal(buffer, text);
}

void fixture_server_expect(struct fixture_pair *p, const char *text)
{
    char buffer[256] = "";
    size_t got;

    fixture_pair_pump(p);
    assert_int_equal(tls_conn_read(p->server, buffer, sizeof buffer - 1, &got), TLS_DONE);
    assert_string_equal(buffer, text);
}

/* ---- our client with our server ---- */

void fixture_wire_feed(struct fixture_wire *w, const void *data, size_t len)
{
    queue_put(&w->up, data, len);
}

void fixture_link_open(struct fixture_link *l, struct tls_server *s, int cert, struct tls_client *c,
                       const char *name)
{
    memset(l, 0, sizeof *l);
    if (s != NULL) {
        l->server = tls_conn_create(s, cert, &fixture_transport, &l->to_server);
        assert_non_null(l->server);
    }
    l->client = tls_conn_create_client(c, name, &fixture_transport, &l->to_client);
    assert_non_null(l->client);
}

void fixture_link_close(struct fixture_link *l)
{
    struct fixture_wire *wires[] = {&l->to_server, &l->to_client};

    tls_conn_destroy(l->client);
    tls_conn_destroy(l->server);
    for (int i = 0; i < 2; i++) {
        free(wires[i]->up.data);
        free(wires[i]->down.data);
    }
}

static void move(struct fixture_queue *from, struct fixture_queue *to)
{
    if (from->len > 0)
        queue_put(to, from->data, from->len);
    from->len = 0;
}

void fixture_link_pump(struct fixture_link *l)
{
    move(&l->to_server.down, &l->to_client.up);
    move(&l->to_client.down, &l->to_server.up);
}

/* Post-handshake messages, with no data behind them. */
static void take_tickets(struct fixture_link *l)
{
    uint8_t byte;
    size_t got;

    assert_int_equal(tls_conn_read(l->client, &byte, 1, &got), TLS_WANT_READ);
}

bool fixture_link_handshake(struct fixture_link *l)
{
    for (unsigned i = 0; i < 200000; i++) {
        l->client_result = tls_conn_handshake(l->client);
        fixture_link_pump(l);
        if (l->server != NULL)
            l->server_result = tls_conn_handshake(l->server);
        fixture_link_pump(l);
        if (l->server_result == TLS_FAILED || l->client_result == TLS_FAILED) {
            l->client_result = tls_conn_handshake(l->client);
            if (l->server != NULL)
                l->server_result = tls_conn_handshake(l->server);
            return false;
        }
        if (l->client_result == TLS_DONE && l->server_result == TLS_DONE) {
            take_tickets(l);
            return true;
        }
    }
    fail_msg("the handshake does not end");
    return false;
}

static void send_text(struct fixture_link *l, struct tls_conn *from, struct tls_conn *to,
                      const char *text)
{
    char buffer[64] = "";
    size_t n;

    assert_int_equal(tls_conn_write(from, text, strlen(text), &n), TLS_DONE);
    fixture_link_pump(l);
    assert_int_equal(tls_conn_read(to, buffer, sizeof buffer - 1, &n), TLS_DONE);
    assert_string_equal(buffer, text);
}

void fixture_link_exchange(struct fixture_link *l)
{
    send_text(l, l->client, l->server, "a question");
    send_text(l, l->server, l->client, "its answer");
}

/* ---- servers ---- */

static time_t fixture_clock(void)
{
    return fixture_now;
}

struct tls_worker *fixture_worker(void)
{
    struct tls_worker *w = tls_worker_create(NULL);

    assert_non_null(w);
    tls_worker_set_clock(w, fixture_clock);
    return w;
}

const uint8_t fixture_alpn[12] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

struct tls_server_config fixture_server_config(struct tls_cert_file *const *certs, unsigned count)
{
    struct tls_server_config config = {.certs = certs,
                                       .cert_count = count,
                                       .default_cert = -1,
                                       .min_version = TLS_VERSION_1_2,
                                       .max_version = TLS_VERSION_1_3,
                                       .alpn = fixture_alpn,
                                       .alpn_len = sizeof fixture_alpn};

    for (unsigned i = 0; i < TLS_TICKET_SECRET_LEN; i++)
        config.tickets.secret[i] = (uint8_t)(i * 7 + 1);
    return config;
}

struct tls_server *fixture_server(struct tls_worker *w, struct tls_cert_file *const *certs,
                                  unsigned count)
{
    struct tls_server_config config = fixture_server_config(certs, count);
    struct error e = {0};
    struct tls_server *s = tls_server_create(w, &config, &e);

    if (s == NULL)
        fail_msg("%s", e.text);
    return s;
}

void fixture_assert_contains(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", text != NULL ? text : "(null)", part);
}
