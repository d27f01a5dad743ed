/*
 * Certificate files: what is taken, and for each thing refused that the message names it.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/pem.h>

static struct fixture_cert root, leaf, other;

static const struct fixture_spec leaf_spec = {
    .common_name = "ignored.example",
    .alt_names = "DNS:Shop.Example,DNS:*.shop.example,DNS:shop.example,IP:192.0.2.1",
    .key = FIXTURE_P256,
};

static int set_up(void **state)
{
    const struct fixture_spec root_spec = {
        .common_name = "Test Root", .key = FIXTURE_P256, .ca = true};
    const struct fixture_spec other_spec = {.common_name = "other.example", .key = FIXTURE_P256};

    (void)state;
    fixture_dir_create();
    root = fixture_cert_make(&root_spec, NULL);
    leaf = fixture_cert_make(&leaf_spec, &root);
    other = fixture_cert_make(&other_spec, NULL);
    fixture_write_chain("leaf.crt", (X509 *[]){leaf.x509, root.x509}, 2);
    fixture_write_key("leaf.key", leaf.key, NULL);
    fixture_write_key("other.key", other.key, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_cert_free(&root);
    fixture_cert_free(&leaf);
    fixture_cert_free(&other);
    fixture_dir_remove();
    return 0;
}

static struct tls_cert_file *load(const char *chain, const char *key, time_t now, struct error *e)
{
    char a[FIXTURE_PATH_MAX], b[FIXTURE_PATH_MAX];

    *e = (struct error){0};
    return tls_cert_file_load("shop", fixture_path(chain, a), fixture_path(key, b), now, e);
}

static void assert_refused_at(const char *chain, const char *key, time_t now, const char *file,
                              const char *why)
{
    char path[FIXTURE_PATH_MAX];
    struct error e;

    assert_null(load(chain, key, now, &e));
    assert_true(e.set);
    assert_memory_equal(e.text, "certificate shop: ", 18);
    fixture_assert_contains(e.text, fixture_path(file, path));
    fixture_assert_contains(e.text, why);
}

static void assert_refused(const char *chain, const char *key, const char *file, const char *why)
{
    assert_refused_at(chain, key, FIXTURE_NOW, file, why);
}

/* A certificate by itself, made, written and loaded. */
static struct tls_cert_file *load_made(const struct fixture_spec *spec, struct error *e)
{
    struct fixture_cert c = fixture_cert_make(spec, NULL);

    fixture_write_chain("made.crt", &c.x509, 1);
    fixture_write_key("made.key", c.key, NULL);
    fixture_cert_free(&c);
    return load("made.crt", "made.key", FIXTURE_NOW, e);
}

static void test_good(void **state)
{
    struct error e;
    struct tls_cert_file *f = load("leaf.crt", "leaf.key", FIXTURE_NOW, &e);

    (void)state;
    assert_non_null(f);
    assert_false(e.set);
    assert_string_equal(tls_cert_file_name(f), "shop");
    assert_int_equal(tls_cert_file_expiry(f), FIXTURE_NOW + 90 * FIXTURE_DAY);
    assert_string_equal(tls_cert_file_dns(f, 0), "shop.example");
    assert_string_equal(tls_cert_file_dns(f, 1), "*.shop.example");
    assert_null(tls_cert_file_dns(f, 2));
    assert_ptr_equal(tls_cert_file_ref(f), f);
    tls_cert_file_unref(f);
    assert_string_equal(tls_cert_file_name(f), "shop");
    tls_cert_file_unref(f);
}

static void test_key_kinds(void **state)
{
    static const enum fixture_key good[] = {FIXTURE_P256, FIXTURE_P384, FIXTURE_RSA2048,
                                            FIXTURE_ED25519};
    struct fixture_spec spec = {.common_name = "a.example"};
    struct tls_cert_file *f;
    struct error e;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        spec.key = good[i];
        f = load_made(&spec, &e);
        assert_non_null(f);
        assert_string_equal(tls_cert_file_dns(f, 0), "a.example");
        tls_cert_file_unref(f);
    }
    spec.key = FIXTURE_RSA1024;
    assert_null(load_made(&spec, &e));
    fixture_assert_contains(e.text, "made.key: RSA key of 1024 bits, at least 2048 are needed");
    spec.key = FIXTURE_SECP256K1;
    assert_null(load_made(&spec, &e));
    fixture_assert_contains(e.text, "an ECDSA key on curve secp256k1 cannot be used");
}

/* A weak certificate further up is found by OpenSSL's own rules. */
static void test_weak_issuer(void **state)
{
    const struct fixture_spec weak = {
        .common_name = "Weak Root", .key = FIXTURE_RSA1024, .ca = true};
    struct fixture_cert issuer = fixture_cert_make(&weak, NULL);
    struct fixture_cert c = fixture_cert_make(&leaf_spec, &issuer);

    (void)state;
    fixture_write_chain("weak.crt", (X509 *[]){c.x509, issuer.x509}, 2);
    fixture_write_key("weak.key", c.key, NULL);
    assert_refused("weak.crt", "weak.key", "weak.crt",
                   "the key of a certificate in the chain is too small");
    fixture_cert_free(&issuer);
    fixture_cert_free(&c);
}

static void test_files(void **state)
{
    char big[1024 * 1024 + 1] = "";
    char path[FIXTURE_PATH_MAX];

    (void)state;
    assert_refused("none.crt", "leaf.key", "none.crt", "No such file or directory");
    assert_refused("leaf.crt", "none.key", "none.key", "No such file or directory");
    assert_refused(".", "leaf.key", "", "not a regular file");
    fixture_write("empty", "", 0);
    assert_refused("empty", "leaf.key", "empty", "no certificate (-----BEGIN CERTIFICATE-----)");
    assert_refused("leaf.crt", "empty", "empty", "no private key");
    assert_refused("leaf.crt", "leaf.crt", "leaf.crt", "no private key");
    assert_refused("leaf.key", "leaf.key", "leaf.key", "no certificate");
    fixture_write("big", big, sizeof big);
    assert_refused("big", "leaf.key", "big", "larger than 1 MiB");
    assert_int_equal(mkfifo(fixture_path("fifo", path), 0600), 0);
    assert_refused("fifo", "leaf.key", "fifo", "not a regular file");
}

static void test_damage(void **state)
{
    static const char bad[] = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";
    static const char bad_key[] =
        "-----BEGIN PRIVATE KEY-----\nMIIBAAAA\n-----END PRIVATE KEY-----\n";
    uint8_t *der = NULL;
    int len = i2d_X509(leaf.x509, &der);

    (void)state;
    fixture_write("bad.crt", bad, sizeof bad - 1);
    assert_refused("bad.crt", "leaf.key", "bad.crt", "certificate 1 in");
    fixture_write("bad.key", bad_key, sizeof bad_key - 1);
    assert_refused("leaf.crt", "bad.key", "bad.key", "cannot be parsed");
    fixture_write("der.crt", der, (size_t)len);
    assert_refused("der.crt", "leaf.key", "der.crt", "in DER form");
    OPENSSL_free(der);
}

static void test_encrypted_key(void **state)
{
    (void)state;
    fixture_write_key("secret.key", leaf.key, "correct horse");
    assert_refused("leaf.crt", "secret.key", "secret.key", "is encrypted: store it decrypted");
}

static void test_key_mismatch(void **state)
{
    (void)state;
    assert_refused("leaf.crt", "other.key", "other.key", "does not belong to the certificate");
    assert_refused("leaf.crt", "other.key", "leaf.crt", "CN=ignored.example,O=Test");
}

static void test_order(void **state)
{
    struct tls_cert_file *f;
    struct error e;

    (void)state;
    fixture_write_chain("reversed.crt", (X509 *[]){root.x509, leaf.x509}, 2);
    assert_refused("reversed.crt", "leaf.key", "reversed.crt",
                   "is number 2 in the file and has to be the first");
    fixture_write_chain("stray.crt", (X509 *[]){leaf.x509, other.x509, root.x509}, 3);
    assert_refused("stray.crt", "leaf.key", "stray.crt",
                   "the second certificate (CN=other.example,O=Test) did not issue the first");
    fixture_write_chain("cross.crt", (X509 *[]){leaf.x509, root.x509, other.x509}, 3);
    f = load("cross.crt", "leaf.key", FIXTURE_NOW, &e);
    assert_non_null(f);
    tls_cert_file_unref(f);
}

/* An issuer of the right name whose key did not make the signature. */
static void test_false_issuer(void **state)
{
    const struct fixture_spec spec = {.common_name = "Test Root", .key = FIXTURE_P256, .ca = true};
    struct fixture_cert impostor = fixture_cert_make(&spec, NULL);

    (void)state;
    fixture_write_chain("false.crt", (X509 *[]){leaf.x509, impostor.x509}, 2);
    assert_refused("false.crt", "leaf.key", "false.crt", "did not issue the first");
    fixture_cert_free(&impostor);
}

static void test_dates(void **state)
{
    struct tls_cert_file *f;
    struct error e;

    (void)state;
    assert_refused_at("leaf.crt", "leaf.key", FIXTURE_NOW + 90 * FIXTURE_DAY + 1, "leaf.crt",
                      "expired on 2027-04-15 08:00:00 UTC (it is 2027-04-15 08:00:01 UTC)");
    assert_refused_at("leaf.crt", "leaf.key", FIXTURE_NOW - FIXTURE_DAY - 1, "leaf.crt",
                      "is not valid before 2027-01-14 08:00:00 UTC");
    f = load("leaf.crt", "leaf.key", FIXTURE_NOW + 90 * FIXTURE_DAY, &e);
    assert_non_null(f);
    tls_cert_file_unref(f);
}

static void test_usage(void **state)
{
    struct fixture_spec spec = {.common_name = "a.example", .extended_key_usage = "clientAuth"};
    struct tls_cert_file *f;
    struct error e;

    (void)state;
    assert_null(load_made(&spec, &e));
    fixture_assert_contains(e.text, "made.crt: its extendedKeyUsage lacks serverAuth");
    spec.extended_key_usage = "clientAuth,serverAuth";
    spec.key_usage = "critical,keyEncipherment";
    assert_null(load_made(&spec, &e));
    fixture_assert_contains(e.text, "made.crt: its keyUsage lacks digitalSignature");
    spec.key_usage = "critical,keyEncipherment,digitalSignature";
    f = load_made(&spec, &e);
    assert_non_null(f);
    tls_cert_file_unref(f);
}

static void test_names(void **state)
{
    static const struct fixture_spec bad[] = {
        {.common_name = NULL},
        {.common_name = "Acme Web Server"},
        {.common_name = "a.example", .alt_names = "DNS:bad name"},
        {.common_name = NULL, .alt_names = "IP:192.0.2.1"},
        {.common_name = NULL, .alt_names = "DNS:*,DNS:a.*.example,DNS:f*.example,DNS:*."},
    };
    struct fixture_spec spec = {.common_name = "b.example", .alt_names = "IP:192.0.2.1"};
    struct tls_cert_file *f;
    struct error e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(load_made(&bad[i], &e));
        fixture_assert_contains(e.text, "made.crt: has no DNS name");
    }
    /* RFC 6125, 6.4.4: the common name counts where no DNS name is given otherwise. */
    f = load_made(&spec, &e);
    assert_string_equal(tls_cert_file_dns(f, 0), "b.example");
    tls_cert_file_unref(f);
    spec.alt_names = "DNS:bad name,DNS:good.example";
    f = load_made(&spec, &e);
    assert_string_equal(tls_cert_file_dns(f, 0), "good.example");
    assert_null(tls_cert_file_dns(f, 1));
    tls_cert_file_unref(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_key_kinds),
        cmocka_unit_test(test_weak_issuer),  cmocka_unit_test(test_files),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_encrypted_key),
        cmocka_unit_test(test_key_mismatch), cmocka_unit_test(test_order),
        cmocka_unit_test(test_false_issuer), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_usage),        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
