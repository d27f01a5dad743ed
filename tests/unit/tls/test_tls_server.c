/*
 * Servers: which certificate answers for a name, what a configuration may not say, and how a client
 * that cannot be served is told apart.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <string.h>

static struct tls_cert_file *shop, *wild, *rsa;
static struct tls_worker *worker;

static int set_up(void **state)
{
    (void)state;
    fixture_dir_create();
    shop = fixture_cert_file("shop", &(struct fixture_spec){.alt_names = "DNS:shop.example,"
                                                                         "DNS:www.shop.example"});
    wild = fixture_cert_file("wild", &(struct fixture_spec){.alt_names = "DNS:*.shop.example,"
                                                                         "DNS:www.shop.example,"
                                                                         "DNS:*.b.c.example"});
    rsa = fixture_cert_file(
        "rsa", &(struct fixture_spec){.alt_names = "DNS:rsa.example", .key = FIXTURE_RSA2048});
    worker = tls_worker_create(NULL);
    assert_non_null(worker);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_worker_destroy(worker);
    tls_cert_file_unref(shop);
    tls_cert_file_unref(wild);
    tls_cert_file_unref(rsa);
    fixture_dir_remove();
    return 0;
}

static void test_select(void **state)
{
    struct tls_cert_file *certs[] = {shop, wild, rsa};
    struct tls_server *s = fixture_server(worker, certs, 3);

    (void)state;
    assert_int_equal(tls_server_select(s, "shop.example"), 0);
    assert_int_equal(tls_server_select(s, "www.shop.example"), 0); /* exact; listed first */
    assert_int_equal(tls_server_select(s, "a.shop.example"), 1);
    assert_int_equal(tls_server_select(s, "x.b.c.example"), 1);
    assert_int_equal(tls_server_select(s, "rsa.example"), 2);
    /* One label, neither none nor two; and no accident of the sorted list. */
    assert_int_equal(tls_server_select(s, "b.c.example"), -1);
    assert_int_equal(tls_server_select(s, "a.b.shop.example"), -1);
    assert_int_equal(tls_server_select(s, "xshop.example"), -1);
    assert_int_equal(tls_server_select(s, "example"), -1);
    assert_int_equal(tls_server_select(s, "a"), -1);
    assert_int_equal(tls_server_select(s, "zzz.example"), -1);
    assert_int_equal(tls_server_select(s, NULL), -1);
    tls_server_destroy(s);
}

static void test_default(void **state)
{
    struct tls_cert_file *certs[] = {wild, shop};
    struct tls_server_config config = fixture_server_config(certs, 2);
    struct tls_server *s;

    (void)state;
    config.default_cert = 1;
    s = tls_server_create(worker, &config, NULL);
    assert_int_equal(tls_server_select(s, "www.shop.example"), 0);
    assert_int_equal(tls_server_select(s, "unknown.example"), 1);
    assert_int_equal(tls_server_select(s, NULL), 1);
    tls_server_destroy(s);
}

static void assert_config_refused(const struct tls_server_config *config, const char *why)
{
    struct error e = {0};

    assert_null(tls_server_create(worker, config, &e));
    fixture_assert_contains(e.text, why);
}

static void test_config(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);

    (void)state;
    config.cert_count = 0;
    assert_config_refused(&config, "no certificate");
    config = fixture_server_config(&shop, 1);
    config.default_cert = 1;
    assert_config_refused(&config, "default certificate");
    config = fixture_server_config(&shop, 1);
    config.min_version = 0x0302;
    assert_config_refused(&config, "0x0302 to 0x0304");
    config.min_version = TLS_VERSION_1_3;
    config.max_version = TLS_VERSION_1_2;
    assert_config_refused(&config, "0x0304 to 0x0303");
    config = fixture_server_config(&shop, 1);
    config.alpn_len--;
    assert_config_refused(&config, "ALPN");
    config.alpn = (const uint8_t *)"\0";
    config.alpn_len = 1;
    assert_config_refused(&config, "ALPN");
}

/* ---- refusals ---- */

static struct tls_hello modern_hello(void)
{
    return (struct tls_hello){
        .has_sni = true,
        .sni = "shop.example",
        .legacy_version = 0x0303,
        .versions = {0x0304, 0x0303},
        .version_count = 2,
        .ciphers = {0x1301, 0xc02b, 0xc02f},
        .cipher_count = 3,
        .groups = {0x11ec, 29},
        .group_count = 2,
        .alpn = "\x02h2",
        .alpn_len = 3,
    };
}

static struct tls_server *server_of(uint16_t min, uint16_t max)
{
    static struct tls_cert_file *certs[2];
    struct tls_server_config config;

    certs[0] = shop;
    certs[1] = rsa;
    config = fixture_server_config(certs, 2);
    config.min_version = min;
    config.max_version = max;
    return tls_server_create(worker, &config, NULL);
}

static void assert_refusal(uint16_t min, uint16_t max, const struct tls_hello *h, uint8_t alert,
                           const char *text)
{
    struct tls_server *s = server_of(min, max);
    const char *why;
    char out[512];

    why = tls_server_refusal(s, h, out, sizeof out);
    if (text == NULL)
        assert_null(why);
    else
        assert_string_equal(why, text);
    assert_int_equal(tls_server_refusal_alert(s, h), alert);
    tls_server_destroy(s);
}

static void test_refusal_version(void **state)
{
    struct tls_hello h = modern_hello();

    (void)state;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
    assert_refusal(TLS_VERSION_1_3, TLS_VERSION_1_3, &h, 0, NULL);
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_2, &h, 0, NULL);
    h.version_count = 1;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_2, &h, TLS_ALERT_PROTOCOL_VERSION,
                   "client offers only TLS 1.3; this listener accepts only TLS 1.2: set "
                   "tls.max-version to \"1.3\"");
    h.versions[0] = 0x0303;
    assert_refusal(TLS_VERSION_1_3, TLS_VERSION_1_3, &h, TLS_ALERT_PROTOCOL_VERSION,
                   "client offers at most TLS 1.2; this listener accepts only TLS 1.3: update the "
                   "client, or set tls.min-version to \"1.2\"");
    h.versions[0] = 0x0302;
    assert_refusal(
        TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_PROTOCOL_VERSION,
        "client offers at most TLS 1.1; this listener accepts TLS 1.2 to TLS 1.3: update "
        "the client (versions before TLS 1.2 are insecure and cannot be enabled)");
    h.versions[0] = 0x7f1c;
    assert_refusal(
        TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_PROTOCOL_VERSION,
        "client offers no known TLS version; this listener accepts TLS 1.2 to TLS 1.3: "
        "update the client (versions before TLS 1.2 are insecure and cannot be enabled)");
}

static void test_refusal_cipher(void **state)
{
    struct tls_hello h = modern_hello();

    (void)state;
    h.ciphers[0] = 0x002f; /* RSA key exchange */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client offers the cipher suites 0x002f, 0xc02b, 0xc02f, none of which this "
                   "listener accepts "
                   "for TLS 1.3 (AES-GCM or ChaCha20-Poly1305): update the client");
    h.versions[0] = 0x0303;
    h.version_count = 1;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
    h.ciphers[1] = 0x0035;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client offers the cipher suites 0x002f, 0x0035, 0xc02f, none of which this "
                   "listener accepts "
                   "for TLS 1.2 (ECDHE with AES-GCM or ChaCha20-Poly1305, ECDSA certificate): give "
                   "the listener an RSA "
                   "certificate, or update the client");
    strcpy(h.sni, "rsa.example"); /* whose certificate the client can use */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
    strcpy(h.sni, "unknown.example"); /* refused for its name, by others */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
    strcpy(h.sni, "rsa.example");
    h.ciphers[2] = 0xc013; /* ECDHE, but CBC */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client offers the cipher suites 0x002f, 0x0035, 0xc013, none of which this "
                   "listener accepts "
                   "for TLS 1.2 (ECDHE with AES-GCM or ChaCha20-Poly1305, RSA certificate): update "
                   "the client");
    h.truncated = true; /* what is not in the list may have been cut off */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
}

static void test_refusal_group_and_alpn(void **state)
{
    struct tls_hello h = modern_hello();

    (void)state;
    h.group_count = 1;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client offers key exchange in the groups X25519MLKEM768; this listener accepts "
                   "X25519, P-256 and P-384: enable one of them in the client");
    h = modern_hello();
    memcpy(h.alpn, "\x04mqtt", 5);
    h.alpn_len = 5;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_NO_APPLICATION_PROTOCOL,
                   "client offers the application protocols mqtt; this listener accepts h2, "
                   "http/1.1: extend tls.alpn, or configure the client");
    h.alpn_len = 0;
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
}

static void test_refusal_modern(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct tls_hello h = modern_hello();
    struct tls_server *s;
    char out[256];

    (void)state;
    config.profile = TLS_PROFILE_MODERN;
    s = tls_server_create(worker, &config, NULL);
    assert_null(tls_server_refusal(s, &h, out, sizeof out));
    h.versions[0] = 0x0303;
    assert_string_equal(tls_server_refusal(s, &h, out, sizeof out),
                        "client offers at most TLS 1.2; this listener accepts only TLS 1.3: update "
                        "the client, or set tls.profile to intermediate");
    tls_server_destroy(s);
    config.max_version = TLS_VERSION_1_2;
    assert_config_refused(&config, "the profile modern is TLS 1.3 only");
}

static void offer_signatures(struct tls_hello *h, const uint16_t *list, unsigned count)
{
    memcpy(h->signatures, list, count * sizeof *list);
    h->signature_count = count;
}

static void test_refusal_signature(void **state)
{
    static const uint16_t rsa_only[] = {0x0804, 0x0401, 0x0201}, ecdsa_only[] = {0x0403, 0x0203};
    static const uint16_t old[] = {0x0201, 0x0203, 0x7777}, other_curve[] = {0x0503};
    struct tls_hello h = modern_hello();

    (void)state;
    offer_signatures(&h, rsa_only, 3);
    assert_refusal(
        TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
        "client accepts the signatures rsa_pss_rsae_sha256, rsa_pkcs1_sha256, rsa_pkcs1_sha1, none "
        "of which the certificate's ECDSA P-256 key can make in TLS 1.3: give the listener a "
        "certificate with an RSA key, or update the client");
    strcpy(h.sni, "rsa.example");
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, 0, NULL);
    offer_signatures(&h, rsa_only + 1, 2); /* TLS 1.3 has no PKCS #1 v1.5 */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client accepts the signatures rsa_pkcs1_sha256, rsa_pkcs1_sha1, none of which "
                   "the certificate's RSA key can make in TLS 1.3: update the client");
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_2, &h, 0, NULL);
    offer_signatures(&h, ecdsa_only, 2);
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client accepts the signatures ecdsa_secp256r1_sha256, ecdsa_sha1, none of "
                   "which the certificate's RSA key can make in TLS 1.3: give the listener a "
                   "certificate with an ECDSA P-256 key, or update the client");
    h = modern_hello();
    offer_signatures(&h, old, 3);
    assert_refusal(
        TLS_VERSION_1_2, TLS_VERSION_1_2, &h, TLS_ALERT_HANDSHAKE_FAILURE,
        "client accepts the signatures rsa_pkcs1_sha1, ecdsa_sha1, 0x7777, none of "
        "which the certificate's ECDSA P-256 key can make in TLS 1.2: update the client");
    offer_signatures(&h, other_curve, 1); /* TLS 1.2 does not mean the curve */
    assert_refusal(TLS_VERSION_1_2, TLS_VERSION_1_2, &h, 0, NULL);
    assert_refusal(TLS_VERSION_1_3, TLS_VERSION_1_3, &h, TLS_ALERT_HANDSHAKE_FAILURE,
                   "client accepts the signatures ecdsa_secp384r1_sha384, none of which the "
                   "certificate's ECDSA P-256 key can make in TLS 1.3: give the listener a "
                   "certificate with an ECDSA P-384 key, or update the client");
}

static void test_alert_record(void **state)
{
    uint8_t record[TLS_ALERT_RECORD_LEN];

    (void)state;
    assert_int_equal(tls_alert_record(TLS_ALERT_UNRECOGNIZED_NAME, record), 7);
    assert_memory_equal(record, "\x15\x03\x03\x00\x02\x02\x70", 7);
}

/* Neither NULL for "no SNI" nor a missing server leaks; many certificates in one server work. */
static void test_many_certificates(void **state)
{
    enum { COUNT = 60 };
    struct tls_cert_file *certs[COUNT];
    struct tls_server *s;
    char name[32], dns[64];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "n%02d", i);
        snprintf(dns, sizeof dns, "DNS:n%02d.example,DNS:*.n%02d.example", i, i);
        certs[i] = fixture_cert_file(name, &(struct fixture_spec){.alt_names = dns});
    }
    s = fixture_server(worker, certs, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "n%02d.example", i);
        assert_int_equal(tls_server_select(s, name), i);
        snprintf(name, sizeof name, "x.n%02d.example", i);
        assert_int_equal(tls_server_select(s, name), i);
        tls_cert_file_unref(certs[i]);
    }
    tls_server_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),         cmocka_unit_test(test_default),
        cmocka_unit_test(test_config),         cmocka_unit_test(test_refusal_version),
        cmocka_unit_test(test_refusal_cipher), cmocka_unit_test(test_refusal_group_and_alpn),
        cmocka_unit_test(test_refusal_modern), cmocka_unit_test(test_refusal_signature),
        cmocka_unit_test(test_alert_record),   cmocka_unit_test(test_many_certificates),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
