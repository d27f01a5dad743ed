/*
 * Connections against OpenSSL's own client: handshakes, data, endings, and peers that misbehave.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

static struct tls_cert_file *shop, *wild, *rsa;
static struct tls_worker *worker;
static struct tls_server *server;
static SSL_CTX *client13, *client12, *both[2];

static int set_up(void **state)
{
    struct tls_cert_file *certs[3];

    (void)state;
    fixture_dir_create();
    shop = fixture_cert_file(
        "shop", &(struct fixture_spec){.common_name = "shop", .alt_names = "DNS:shop.example"});
    wild = fixture_cert_file(
        "wild", &(struct fixture_spec){.common_name = "wild", .alt_names = "DNS:*.shop.example"});
    rsa = fixture_cert_file("rsa", &(struct fixture_spec){.common_name = "rsa",
                                                          .alt_names = "DNS:rsa.example",
                                                          .key = FIXTURE_RSA2048});
    worker = tls_worker_create(NULL);
    assert_non_null(worker);
    certs[0] = shop;
    certs[1] = wild;
    certs[2] = rsa;
    server = fixture_server(worker, certs, 3);
    client13 = fixture_client_ctx();
    client12 = fixture_client_ctx();
    SSL_CTX_set_max_proto_version(client12, TLS1_2_VERSION);
    both[0] = client13;
    both[1] = client12;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(client13);
    SSL_CTX_free(client12);
    tls_server_destroy(server);
    tls_worker_destroy(worker);
    tls_cert_file_unref(shop);
    tls_cert_file_unref(wild);
    tls_cert_file_unref(rsa);
    fixture_dir_remove();
    return 0;
}

static struct tls_counters count(void)
{
    return *tls_worker_counters(worker);
}

static void open_pair(struct fixture_pair *p, SSL_CTX *ctx)
{
    fixture_pair_open(p, server, 0, ctx, "shop.example");
}

static void establish(struct fixture_pair *p, SSL_CTX *ctx)
{
    open_pair(p, ctx);
    if (!fixture_pair_handshake(p))
        fail_msg("%s", tls_conn_error(p->server));
    /* The client takes the ticket. */
    assert_int_equal(SSL_read(p->client, (char[1]){0}, 1), -1);
    assert_int_equal(SSL_get_error(p->client, -1), SSL_ERROR_WANT_READ);
}

static enum tls_result read_once(struct fixture_pair *p)
{
    uint8_t buffer[256];
    size_t got;

    return tls_conn_read(p->server, buffer, sizeof buffer, &got);
}

/* ---- handshakes ---- */

static void check_handshake(SSL_CTX *ctx, const char *version, const char *cipher)
{
    struct tls_counters before = count(), after;
    struct fixture_pair p;
    struct tls_conn_info info;

    establish(&p, ctx);
    tls_conn_info(p.server, &info);
    assert_string_equal(info.version, version);
    assert_string_equal(info.cipher, cipher);
    assert_string_equal(info.group, "X25519");
    assert_string_equal(info.certificate, "shop");
    assert_string_equal(info.alpn, "");
    assert_false(info.resumed);
    assert_int_equal(tls_conn_handshake(p.server), TLS_DONE);
    fixture_client_send(&p, "hello", 5);
    fixture_server_expect(&p, "hello");
    fixture_server_send(&p, "world", 5);
    fixture_client_expect(&p, "world");
    fixture_pair_close(&p);
    after = count();
    assert_int_equal(after.tls_handshakes_started, before.tls_handshakes_started + 1);
    assert_int_equal(after.tls_handshakes_completed, before.tls_handshakes_completed + 1);
    assert_int_equal(after.tls_handshakes_failed, before.tls_handshakes_failed);
    assert_int_equal(after.tls_handshakes_resumed, before.tls_handshakes_resumed);
    assert_int_equal(after.tls_bytes_decrypted, before.tls_bytes_decrypted + 5);
    assert_int_equal(after.tls_bytes_encrypted, before.tls_bytes_encrypted + 5);
}

static void test_tls13(void **state)
{
    uint64_t tls13 = count().tls_tls13;

    (void)state;
    check_handshake(client13, "TLSv1.3", "TLS_AES_128_GCM_SHA256");
    assert_int_equal(count().tls_tls13, tls13 + 1);
}

static void test_tls12(void **state)
{
    uint64_t tls12 = count().tls_tls12;

    (void)state;
    check_handshake(client12, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_int_equal(count().tls_tls12, tls12 + 1);
}

/* The client's certificate is the one the name selects. */
static void check_certificate(const char *sni, const char *common_name)
{
    struct fixture_pair p;
    char cn[32];
    X509 *x;

    fixture_pair_open(&p, server, tls_server_select(server, sni), client13, sni);
    assert_true(fixture_pair_handshake(&p));
    x = SSL_get1_peer_certificate(p.client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
    assert_string_equal(cn, common_name);
    assert_int_equal(X509_check_host(x, sni, 0, 0, NULL), 1);
    X509_free(x);
    fixture_pair_close(&p);
}

static void test_certificates(void **state)
{
    (void)state;
    check_certificate("shop.example", "shop");
    check_certificate("www.shop.example", "wild");
    check_certificate("rsa.example", "rsa");
}

/* RFC 6066, 3: server_name is acknowledged, which OpenSSL's client shows in a TLS 1.2 session. */
static void test_name_acknowledged(void **state)
{
    struct fixture_pair p;

    (void)state;
    establish(&p, client12);
    assert_string_equal(SSL_SESSION_get0_hostname(SSL_get_session(p.client)), "shop.example");
    fixture_pair_close(&p);
    fixture_pair_open(&p, server, 0, client12, "unknown.example");
    assert_true(fixture_pair_handshake(&p));
    assert_null(SSL_SESSION_get0_hostname(SSL_get_session(p.client)));
    fixture_pair_close(&p);
}

static void test_chacha_first(void **state)
{
    SSL_CTX *ctx = fixture_client_ctx();
    struct tls_conn_info info;
    struct fixture_pair p;

    (void)state;
    SSL_CTX_set_ciphersuites(ctx, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
    establish(&p, ctx);
    tls_conn_info(p.server, &info);
    assert_string_equal(info.cipher, "TLS_CHACHA20_POLY1305_SHA256");
    fixture_pair_close(&p);
    SSL_CTX_free(ctx);
}

/* A key share of a group we lack: HelloRetryRequest, then X25519. */
static void test_hello_retry(void **state)
{
    SSL_CTX *ctx = fixture_client_ctx();
    struct tls_conn_info info;
    struct fixture_pair p;

    (void)state;
    SSL_CTX_set1_groups_list(ctx, "P-521:X25519");
    establish(&p, ctx);
    tls_conn_info(p.server, &info);
    assert_string_equal(info.group, "X25519");
    fixture_pair_close(&p);
    SSL_CTX_set1_groups_list(ctx, "P-256");
    establish(&p, ctx);
    tls_conn_info(p.server, &info);
    assert_string_equal(info.group, "P-256");
    fixture_pair_close(&p);
    SSL_CTX_free(ctx);
}

static void check_alpn(SSL_CTX *ctx, const char *offer, const char *chosen)
{
    struct tls_conn_info info;
    struct fixture_pair p;

    open_pair(&p, ctx);
    SSL_set_alpn_protos(p.client, (const uint8_t *)offer, (unsigned)strlen(offer));
    assert_true(fixture_pair_handshake(&p));
    tls_conn_info(p.server, &info);
    assert_string_equal(info.alpn, chosen);
    fixture_pair_close(&p);
}

static void test_alpn(void **state)
{
    (void)state;
    check_alpn(client13, "\x08http/1.1\x02h2", "h2"); /* our preference */
    check_alpn(client12, "\x04spdy\x08http/1.1", "http/1.1");
}

/* ---- handshakes that fail ---- */

static void assert_failed(struct fixture_pair *p, const char *why, int client_alert)
{
    uint64_t failed = count().tls_handshakes_failed;

    assert_false(fixture_pair_handshake(p));
    assert_int_equal(p->server_result, TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p->server), why);
    assert_null(strchr(tls_conn_error(p->server), '\n'));
    assert_int_equal(count().tls_handshakes_failed, failed + 1);
    assert_int_equal(tls_conn_handshake(p->server), TLS_FAILED);
    if (client_alert != 0)
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + client_alert);
    assert_int_equal(count().tls_handshakes_failed, failed + 1);
    fixture_pair_close(p);
    assert_int_equal(count().tls_handshakes_failed, failed + 1);
}

static void test_alpn_mismatch(void **state)
{
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client13);
    SSL_set_alpn_protos(p.client, (const uint8_t *)"\x04mqtt", 5);
    assert_failed(&p, "no application protocol (ALPN) in common with the client", 120);
}

static void test_old_client(void **state)
{
    SSL_CTX *ctx = fixture_client_ctx();
    struct fixture_pair p;

    (void)state;
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    open_pair(&p, ctx);
    assert_failed(&p, "no TLS version in common with the client", 70);
    SSL_CTX_free(ctx);
}

static void test_no_shared_cipher(void **state)
{
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client12);
    SSL_set_cipher_list(p.client, "AES128-SHA");
    assert_failed(&p, "no cipher suite in common with the client", 40);
}

static void test_no_shared_group(void **state)
{
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client13);
    SSL_set1_groups_list(p.client, "P-521");
    assert_failed(&p, "no key exchange group in common with the client", 40);
}

static int reject(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static void check_client_alert(SSL_CTX *ctx)
{
    struct fixture_pair p;

    open_pair(&p, ctx);
    SSL_set_verify(p.client, SSL_VERIFY_PEER, NULL);
    assert_failed(
        &p, "client sent alert unknown_ca (48): it does not trust our certificate's issuer", 0);
    open_pair(&p, ctx);
    SSL_set_verify(p.client, SSL_VERIFY_PEER, reject);
    assert_failed(&p, "client sent alert bad_certificate (42): ", 0);
}

static void test_client_alerts(void **state)
{
    (void)state;
    check_client_alert(client13);
    check_client_alert(client12);
}

static void push(struct fixture_pair *p, const void *data, size_t len)
{
    struct fixture_queue *q = &p->wire.up;

    q->data = realloc(q->data, q->len + len + 1);
    assert_non_null(q->data);
    memcpy(q->data + q->len, data, len);
    q->len += len;
    q->size = q->len + 1;
}

static void test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } bad[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18, "plain HTTP request"},
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, "too short"},
        {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, "unexpected message"},
        {"\x16\x03\x01\xff\xff\x01\x00\x00\x00", 9, "record longer than TLS allows"},
        {"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 11, "record of a wrong version"},
    };
    struct fixture_pair p;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        open_pair(&p, client13);
        push(&p, bad[i].bytes, bad[i].len);
        assert_int_equal(tls_conn_handshake(p.server), TLS_FAILED);
        fixture_assert_contains(tls_conn_error(p.server), bad[i].why);
        fixture_pair_close(&p);
    }
}

static void test_eof_in_handshake(void **state)
{
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client13);
    assert_int_equal(tls_conn_handshake(p.server), TLS_WANT_READ);
    p.wire.eof = true;
    assert_int_equal(tls_conn_handshake(p.server), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server),
                            "closed the connection within its ClientHello");
    fixture_pair_close(&p);

    open_pair(&p, client13);
    assert_int_equal(SSL_do_handshake(p.client), -1);
    fixture_pair_pump(&p);
    assert_int_equal(tls_conn_handshake(p.server), TLS_WANT_READ);
    p.wire.eof = true;
    assert_int_equal(tls_conn_handshake(p.server), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server), "during the handshake, without an alert");
    fixture_pair_close(&p);
}

static void test_close_in_handshake(void **state)
{
    struct fixture_pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_pair(&p, both[i]);
        assert_int_equal(SSL_do_handshake(p.client), -1);
        fixture_pair_pump(&p);
        push(&p, "\x15\x03\x03\x00\x02\x01\x00", 7);
        assert_int_equal(tls_conn_handshake(p.server), TLS_FAILED);
        assert_string_equal(tls_conn_error(p.server),
                            "client sent close_notify during the handshake");
        fixture_pair_close(&p);
    }
}

/* A handshake given up by its owner counts as failed, so that begun = completed + failed + running.
 */
static void test_abandoned(void **state)
{
    uint64_t failed = count().tls_handshakes_failed;
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client13);
    assert_int_equal(tls_conn_handshake(p.server), TLS_WANT_READ);
    fixture_pair_close(&p);
    assert_int_equal(count().tls_handshakes_failed, failed + 1);
}

/* ---- narrow transports ---- */

static void test_byte_at_a_time(void **state)
{
    struct fixture_pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_pair(&p, both[i]);
        p.wire.read_max = 1;
        p.wire.write_max = 1;
        assert_true(fixture_pair_handshake(&p));
        fixture_client_send(&p, "drop by drop", 12);
        fixture_server_expect(&p, "drop by drop");
        fixture_server_send(&p, "and back", 8);
        fixture_client_expect(&p, "and back");
        fixture_pair_close(&p);
    }
}

static void test_narrow_handshake(void **state)
{
    struct fixture_pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_pair(&p, both[i]);
        p.wire.room = 50;
        assert_int_equal(SSL_do_handshake(p.client), -1);
        fixture_pair_pump(&p);
        assert_int_equal(tls_conn_handshake(p.server), TLS_WANT_WRITE);
        assert_int_equal(p.wire.down.len, 50);
        assert_true(fixture_pair_handshake(&p));
        fixture_pair_close(&p);
    }
}

/* ---- bulk ---- */

#define BULK 3000000

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static void digest(const uint8_t *data, size_t len, uint8_t out[32])
{
    assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL), 1);
}

static void assert_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint8_t x[32], y[32];

    digest(a, len, x);
    digest(b, len, y);
    assert_memory_equal(x, y, 32);
}

/* The server writes until it wants; the bytes of a repeated write lie elsewhere each time. */
static size_t server_write_some(struct fixture_pair *p, const uint8_t *data, size_t len)
{
    size_t taken, total = 0;

    while (total < len) {
        size_t n = len - total < 40000 ? len - total : 40000;
        uint8_t *moved = malloc(n);
        enum tls_result r;

        memcpy(moved, data + total, n);
        r = tls_conn_write(p->server, moved, n, &taken);
        free(moved);
        assert_true(r == TLS_DONE || r == TLS_WANT_WRITE);
        assert_true((taken > 0) == (r == TLS_DONE));
        total += taken;
        if (r == TLS_WANT_WRITE)
            break;
    }
    return total;
}

static size_t client_read_some(struct fixture_pair *p, uint8_t *out, size_t len)
{
    size_t total = 0, got;

    fixture_pair_pump(p);
    while (total < len && SSL_read_ex(p->client, out + total, len - total, &got) == 1)
        total += got;
    return total;
}

static size_t server_read_some(struct fixture_pair *p, uint8_t *out, size_t len)
{
    size_t total = 0, got;

    while (total < len) {
        size_t n = len - total < 5000 ? len - total : 5000;
        enum tls_result r = tls_conn_read(p->server, out + total, n, &got);

        assert_true(r == TLS_DONE || r == TLS_WANT_READ);
        total += got;
        if (r == TLS_WANT_READ)
            break;
    }
    return total;
}

static void check_bulk(SSL_CTX *ctx, size_t read_max, size_t write_max, size_t room)
{
    uint8_t *sent = malloc(BULK), *got = calloc(1, BULK), *back = calloc(1, BULK);
    size_t up = 0, down = 0, up_sent = 0, down_sent = 0, n;
    struct fixture_pair p;

    fill(sent, BULK, (uint32_t)(read_max + write_max));
    open_pair(&p, ctx);
    p.wire.read_max = read_max;
    p.wire.write_max = write_max;
    p.wire.room = room;
    assert_true(fixture_pair_handshake(&p));
    while (up < BULK || down < BULK) {
        n = BULK - up_sent < 30000 ? BULK - up_sent : 30000;
        if (n > 0)
            fixture_client_send(&p, sent + up_sent, n);
        up_sent += n;
        up += server_read_some(&p, got + up, BULK - up);
        down_sent += server_write_some(&p, sent + down_sent, BULK - down_sent);
        down += client_read_some(&p, back + down, BULK - down);
    }
    assert_same(sent, got, BULK);
    assert_same(sent, back, BULK);
    fixture_pair_close(&p);
    free(sent);
    free(got);
    free(back);
}

static void test_bulk(void **state)
{
    (void)state;
    check_bulk(client13, 0, 0, 0);
    check_bulk(client13, 1448, 1448, 4000);
    check_bulk(client12, 7, 1000, 20000);
}

static void test_pending(void **state)
{
    uint8_t buffer[1000] = {0};
    struct fixture_pair p;
    size_t got;

    (void)state;
    establish(&p, client13);
    assert_false(tls_conn_pending(p.server));
    fixture_client_send(&p, buffer, sizeof buffer);
    assert_int_equal(tls_conn_read(p.server, buffer, 10, &got), TLS_DONE);
    assert_int_equal(got, 10);
    assert_true(tls_conn_pending(p.server));
    assert_int_equal(tls_conn_read(p.server, buffer, sizeof buffer, &got), TLS_DONE);
    assert_int_equal(got, 990);
    assert_false(tls_conn_pending(p.server));
    assert_int_equal(read_once(&p), TLS_WANT_READ);
    /* Half a record is no reason to call again. */
    fixture_client_send(&p, buffer, sizeof buffer);
    p.wire.up.len -= 100;
    assert_int_equal(read_once(&p), TLS_WANT_READ);
    assert_false(tls_conn_pending(p.server));
    fixture_pair_close(&p);
}

static void test_peek(void **state)
{
    uint8_t data[300], seen[1000];
    struct fixture_pair p;
    size_t got;

    (void)state;
    fill(data, sizeof data, 3);
    establish(&p, client13);
    assert_int_equal(tls_conn_peek(p.server, seen, sizeof seen, &got), TLS_WANT_READ);
    fixture_client_send(&p, data, 200);
    fixture_client_send(&p, data + 200, 100);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tls_conn_peek(p.server, seen, sizeof seen, &got), TLS_DONE);
        assert_int_equal(got, 200); /* of one record */
        assert_memory_equal(seen, data, 200);
    }
    assert_true(tls_conn_pending(p.server));
    assert_int_equal(tls_conn_read(p.server, seen, 150, &got), TLS_DONE);
    assert_int_equal(got, 150);
    assert_int_equal(tls_conn_peek(p.server, seen, sizeof seen, &got), TLS_DONE);
    assert_int_equal(got, 50);
    assert_memory_equal(seen, data + 150, 50);
    assert_int_equal(tls_conn_read(p.server, seen, got, &got), TLS_DONE);
    assert_int_equal(tls_conn_peek(p.server, seen, sizeof seen, &got), TLS_DONE);
    assert_memory_equal(seen, data + 200, 100);
    fixture_pair_close(&p);
}

static void test_write_repeated(void **state)
{
    uint8_t data[20000];
    struct fixture_pair p;
    size_t taken;

    (void)state;
    fill(data, sizeof data, 1);
    establish(&p, client13);
    p.wire.room = 100;
    assert_int_equal(tls_conn_write(p.server, data, 1000, &taken), TLS_WANT_WRITE);
    assert_int_equal(taken, 0);
    /* Nothing else may come between; more bytes may follow the first ones. */
    assert_int_equal(tls_conn_close_notify(p.server), TLS_WANT_WRITE);
    p.wire.room = 0;
    assert_int_equal(tls_conn_write(p.server, data, sizeof data, &taken), TLS_DONE);
    assert_in_range(taken, 1000, sizeof data);
    assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
    fixture_pair_pump(&p);
    fixture_pair_close(&p);
}

static void test_dead_transport(void **state)
{
    uint64_t errors = count().tls_record_errors;
    struct fixture_pair p;
    size_t taken;

    (void)state;
    establish(&p, client13);
    p.wire.dead = true;
    assert_int_equal(tls_conn_write(p.server, "x", 1, &taken), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server), "lost while writing");
    assert_int_equal(read_once(&p), TLS_FAILED);
    assert_int_equal(tls_conn_close_notify(p.server), TLS_FAILED);
    assert_int_equal(count().tls_record_errors, errors + 1);
    fixture_pair_close(&p);
}

/* ---- endings ---- */

static void test_client_closes_first(void **state)
{
    struct fixture_pair p;
    size_t taken;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, both[i]);
        fixture_client_send(&p, "last", 4);
        assert_int_equal(SSL_shutdown(p.client), 0);
        fixture_server_expect(&p, "last");
        assert_int_equal(read_once(&p), TLS_CLOSED);
        assert_int_equal(read_once(&p), TLS_CLOSED);
        assert_false(tls_conn_truncated(p.server));
        /* Its close_notify does not end our writing (RFC 8446, 6.1). */
        assert_int_equal(tls_conn_write(p.server, "answer", 6, &taken), TLS_DONE);
        assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
        p.wire.eof = true;
        assert_int_equal(read_once(&p), TLS_CLOSED);
        fixture_client_expect(&p, "answer");
        assert_int_equal(SSL_shutdown(p.client), 1);
        fixture_pair_close(&p);
    }
}

static void test_server_closes_first(void **state)
{
    struct fixture_pair p;
    size_t got, taken;
    char buffer[16];

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, both[i]);
        fixture_server_send(&p, "bye", 3);
        assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
        assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
        fixture_client_expect(&p, "bye");
        assert_int_equal(SSL_read_ex(p.client, buffer, sizeof buffer, &got), 0);
        assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
        /* We read on after it. */
        fixture_client_send(&p, "more", 4);
        fixture_server_expect(&p, "more");
        assert_int_equal(read_once(&p), TLS_WANT_READ);
        assert_int_equal(SSL_shutdown(p.client), 1);
        fixture_pair_pump(&p);
        assert_int_equal(read_once(&p), TLS_CLOSED);
        assert_int_equal(tls_conn_write(p.server, "x", 1, &taken), TLS_FAILED);
        fixture_assert_contains(tls_conn_error(p.server), "write after our close_notify");
        fixture_pair_close(&p);
    }
}

static void test_close_notify_stalls(void **state)
{
    struct fixture_pair p;
    char buffer[16];
    size_t got;

    (void)state;
    establish(&p, client13);
    p.wire.room = 10;
    assert_int_equal(tls_conn_close_notify(p.server), TLS_WANT_WRITE);
    assert_int_equal(tls_conn_close_notify(p.server), TLS_WANT_WRITE);
    fixture_client_send(&p, "still here", 10);
    p.wire.room = 0;
    assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
    fixture_pair_pump(&p);
    assert_int_equal(SSL_read_ex(p.client, buffer, sizeof buffer, &got), 0);
    assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
    fixture_server_expect(&p, "still here");
    fixture_pair_close(&p);
}

static void test_close_before_handshake(void **state)
{
    struct fixture_pair p;

    (void)state;
    open_pair(&p, client13);
    assert_int_equal(tls_conn_close_notify(p.server), TLS_DONE);
    assert_int_equal(p.wire.down.len, 0);
    fixture_pair_close(&p);
}

static void assert_truncated(struct fixture_pair *p)
{
    size_t taken;

    p->wire.eof = true;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_once(p), TLS_FAILED);
        assert_true(tls_conn_truncated(p->server));
        assert_string_equal(tls_conn_error(p->server), "stream ended without close_notify");
    }
    /* The client may have half-closed: it gets its answer, and no alert. */
    assert_int_equal(p->wire.down.len, 0);
    assert_int_equal(tls_conn_write(p->server, "answer", 6, &taken), TLS_DONE);
    fixture_client_expect(p, "answer");
    assert_int_equal(tls_conn_close_notify(p->server), TLS_DONE);
    fixture_pair_close(p);
}

static void test_truncation(void **state)
{
    uint64_t errors = count().tls_record_errors;
    struct fixture_pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, both[i]);
        fixture_client_send(&p, "whole", 5);
        fixture_server_expect(&p, "whole");
        assert_truncated(&p);
        establish(&p, both[i]);
        fixture_client_send(&p, "half a record", 13);
        p.wire.up.len -= 5;
        assert_truncated(&p);
    }
    assert_int_equal(count().tls_record_errors, errors);
}

/* ---- peers that misbehave afterwards ---- */

static void test_damaged_record(void **state)
{
    uint64_t errors = count().tls_record_errors;
    struct fixture_pair p;
    size_t taken;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, both[i]);
        fixture_client_send(&p, "payload", 7);
        p.wire.up.data[p.wire.up.len - 1] ^= 1;
        assert_int_equal(read_once(&p), TLS_FAILED);
        assert_string_equal(tls_conn_error(p.server),
                            "record that fails authentication: damaged or forged");
        assert_false(tls_conn_truncated(p.server));
        assert_int_equal(tls_conn_write(p.server, "x", 1, &taken), TLS_FAILED);
        fixture_pair_pump(&p);
        assert_int_equal(SSL_read(p.client, (char[1]){0}, 1), 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                         SSL_AD_REASON_OFFSET + SSL_AD_BAD_RECORD_MAC);
        fixture_pair_close(&p);
    }
    assert_int_equal(count().tls_record_errors, errors + 2);
}

static void test_renegotiation(void **state)
{
    struct fixture_pair p;

    (void)state;
    establish(&p, client12);
    assert_int_equal(SSL_renegotiate(p.client), 1);
    assert_int_equal(SSL_do_handshake(p.client), -1);
    fixture_pair_pump(&p);
    assert_int_equal(read_once(&p), TLS_WANT_READ);
    fixture_pair_pump(&p);
    ERR_clear_error();
    assert_int_equal(SSL_do_handshake(p.client), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    fixture_pair_pump(&p);
    assert_int_equal(read_once(&p), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server), "client sent alert");
    fixture_pair_close(&p);
}

static void client_updates_key(struct fixture_pair *p, int kind)
{
    assert_int_equal(SSL_key_update(p->client, kind), 1);
    assert_int_equal(SSL_do_handshake(p->client), 1);
    fixture_pair_pump(p);
}

static void test_key_update(void **state)
{
    struct fixture_pair p;

    (void)state;
    establish(&p, client13);
    for (int i = 0; i < 3; i++) {
        client_updates_key(&p, SSL_KEY_UPDATE_REQUESTED);
        assert_int_equal(read_once(&p), TLS_WANT_READ);
        fixture_client_send(&p, "new key", 7);
        fixture_server_expect(&p, "new key");
        fixture_server_send(&p, "ours too", 8);
        fixture_client_expect(&p, "ours too");
    }
    fixture_pair_close(&p);
}

/* Each costs us a key derivation and brings nothing: they end before they can keep a core busy. */
static void test_key_update_flood(void **state)
{
    struct fixture_pair p;

    (void)state;
    establish(&p, client13);
    for (int i = 0; i < 60; i++)
        client_updates_key(&p, SSL_KEY_UPDATE_NOT_REQUESTED);
    fixture_client_send(&p, "data", 4);
    fixture_server_expect(&p, "data"); /* few enough, and data in between */
    for (int i = 0; i < 1000; i++)
        client_updates_key(&p, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(read_once(&p), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server), "too many records without data");
    assert_true(p.wire.up.len > 900 * 20);
    fixture_pair_close(&p);
}

/* A peer that stops within a handshake message: OpenSSL then reads before it writes anything. */
static void test_half_message(void **state)
{
    char name[TLS_HELLO_NAME_MAX];
    struct fixture_pair p;
    size_t taken;

    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t i = 50; i < 250; i += 50)
        name[i] = '.';
    name[250] = '\0';
    fixture_pair_open(&p, server, 0, client12, name);
    SSL_set_cipher_list(p.client, "ALL:@SECLEVEL=0"); /* long enough for two records of 512 */
    SSL_set_max_send_fragment(p.client, 512);
    assert_true(fixture_pair_handshake(&p));
    SSL_renegotiate(p.client);
    SSL_do_handshake(p.client);
    fixture_pair_pump(&p);
    assert_in_range(p.wire.up.len, 5 + 512 + 5 + 16, 900);
    p.wire.up.len = 5 + 8 + 512 + 16; /* the first of two records */
    assert_int_equal(read_once(&p), TLS_WANT_READ);
    assert_int_equal(tls_conn_write(p.server, "x", 1, &taken), TLS_WANT_READ);
    assert_int_equal(tls_conn_close_notify(p.server), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(p.server), "a handshake message is unfinished");
    fixture_pair_close(&p);
}

static void test_plaintext_record(void **state)
{
    struct fixture_pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        establish(&p, both[i]);
        push(&p, "\x15\x03\x03\x00\x02\x02\x28", 7);
        assert_int_equal(read_once(&p), TLS_FAILED);
        fixture_assert_contains(tls_conn_error(p.server), "record");
        fixture_pair_close(&p);
    }
}

/* ---- life ---- */

static void test_server_destroyed_first(void **state)
{
    struct tls_server *s = fixture_server(worker, &rsa, 1);
    struct tls_conn_info info;
    struct fixture_pair p;

    (void)state;
    fixture_pair_open(&p, s, 0, client13, "rsa.example");
    tls_server_destroy(s);
    assert_true(fixture_pair_handshake(&p));
    tls_conn_info(p.server, &info);
    assert_string_equal(info.certificate, "rsa");
    fixture_client_send(&p, "alive", 5);
    fixture_server_expect(&p, "alive");
    fixture_pair_close(&p);
}

static void test_version_limits(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct tls_server *s;
    struct tls_conn_info info;
    struct fixture_pair p;

    (void)state;
    config.max_version = TLS_VERSION_1_2;
    s = tls_server_create(worker, &config, NULL);
    fixture_pair_open(&p, s, 0, client13, "shop.example");
    assert_true(fixture_pair_handshake(&p));
    tls_conn_info(p.server, &info);
    assert_string_equal(info.version, "TLSv1.2");
    fixture_pair_close(&p);
    tls_server_destroy(s);

    config.min_version = config.max_version = TLS_VERSION_1_3;
    s = tls_server_create(worker, &config, NULL);
    fixture_pair_open(&p, s, 0, client12, "shop.example");
    assert_failed(&p, "no TLS version in common with the client", 70);
    tls_server_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls13),
        cmocka_unit_test(test_tls12),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_name_acknowledged),
        cmocka_unit_test(test_chacha_first),
        cmocka_unit_test(test_hello_retry),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_alpn_mismatch),
        cmocka_unit_test(test_old_client),
        cmocka_unit_test(test_no_shared_cipher),
        cmocka_unit_test(test_no_shared_group),
        cmocka_unit_test(test_client_alerts),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_eof_in_handshake),
        cmocka_unit_test(test_close_in_handshake),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_byte_at_a_time),
        cmocka_unit_test(test_narrow_handshake),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_write_repeated),
        cmocka_unit_test(test_dead_transport),
        cmocka_unit_test(test_client_closes_first),
        cmocka_unit_test(test_server_closes_first),
        cmocka_unit_test(test_close_notify_stalls),
        cmocka_unit_test(test_close_before_handshake),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_renegotiation),
        cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_key_update_flood),
        cmocka_unit_test(test_half_message),
        cmocka_unit_test(test_plaintext_record),
        cmocka_unit_test(test_server_destroyed_first),
        cmocka_unit_test(test_version_limits),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
