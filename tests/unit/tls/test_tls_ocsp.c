/*
 * OCSP responses: what is taken from a file, what is refused and why, and who gets it stapled.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <string.h>

#include <openssl/ocsp.h>

static struct fixture_cert root, other_root, leaf, responder, stranger;
static struct tls_cert_file *shop, *lone;
static struct tls_worker *worker;

static int set_up(void **state)
{
    const struct fixture_spec ca = {.common_name = "Root", .ca = true};
    const struct fixture_spec ocsp = {.common_name = "Responder",
                                      .extended_key_usage = "OCSPSigning"};
    char chain[FIXTURE_PATH_MAX], key[FIXTURE_PATH_MAX];

    (void)state;
    fixture_dir_create();
    root = fixture_cert_make(&ca, NULL);
    other_root = fixture_cert_make(&ca, NULL);
    responder = fixture_cert_make(&ocsp, &root);
    stranger = fixture_cert_make(&ocsp, &other_root);
    leaf = fixture_cert_make(
        &(struct fixture_spec){.common_name = "shop", .alt_names = "DNS:shop.example"}, &root);
    fixture_write_chain("shop.crt", (X509 *[]){leaf.x509, root.x509}, 2);
    fixture_write_chain("lone.crt", &leaf.x509, 1);
    fixture_write_key("shop.key", leaf.key, NULL);
    fixture_path("shop.key", key);
    shop = tls_cert_file_load("shop", fixture_path("shop.crt", chain), key, FIXTURE_NOW, NULL);
    lone = tls_cert_file_load("lone", fixture_path("lone.crt", chain), key, FIXTURE_NOW, NULL);
    assert_non_null(shop);
    assert_non_null(lone);
    worker = fixture_worker();
    return 0;
}

static int tear_down(void **state)
{
    struct fixture_cert *certs[] = {&root, &other_root, &leaf, &responder, &stranger};

    (void)state;
    tls_worker_destroy(worker);
    tls_cert_file_unref(shop);
    tls_cert_file_unref(lone);
    for (int i = 0; i < 5; i++)
        fixture_cert_free(certs[i]);
    fixture_dir_remove();
    return 0;
}

/* ---- making responses ---- */

struct response {
    X509 *about, *issuer;
    const struct fixture_cert *signer;
    int status;
    int from_hour, to_hour; /* from FIXTURE_NOW; both 0: an hour ago to seven days on */
    bool endless;
};

static const struct response good = {.status = V_OCSP_CERTSTATUS_GOOD};

static ASN1_TIME *hour(int hours)
{
    return ASN1_TIME_set(NULL, FIXTURE_NOW + hours * 3600);
}

static void write_response(const char *file, struct response spec)
{
    bool dated = spec.from_hour != 0 || spec.to_hour != 0;
    const struct fixture_cert *signer = spec.signer != NULL ? spec.signer : &root;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), spec.about != NULL ? spec.about : leaf.x509,
                                      spec.issuer != NULL ? spec.issuer : root.x509);
    ASN1_TIME *from = hour(dated ? spec.from_hour : -1), *to = hour(dated ? spec.to_hour : 168);
    ASN1_TIME *revoked = hour(-48);
    OCSP_RESPONSE *r;
    uint8_t *der = NULL;
    int len;

    assert_non_null(OCSP_basic_add1_status(
        basic, id, spec.status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
        spec.status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, from, spec.endless ? NULL : to));
    assert_int_equal(OCSP_basic_sign(basic, signer->x509, signer->key, EVP_sha256(), NULL,
                                     signer == &root ? OCSP_NOCERTS : 0),
                     1);
    r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    len = i2d_OCSP_RESPONSE(r, &der);
    assert_true(len > 0);
    fixture_write(file, der, (size_t)len);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    ASN1_TIME_free(revoked);
}

static struct tls_cert_file *load(struct tls_cert_file *f, const char *file)
{
    char path[FIXTURE_PATH_MAX];
    struct error e = {0};
    struct tls_cert_file *with =
        tls_cert_file_with_ocsp(f, fixture_path(file, path), fixture_now, &e);

    if (with == NULL)
        fail_msg("%s", e.text);
    return with;
}

/* ---- files ---- */

static void test_taken(void **state)
{
    struct response by_responder = good;
    struct tls_cert_file *with;

    (void)state;
    write_response("good.der", good);
    with = load(shop, "good.der");
    assert_int_equal(tls_cert_file_ocsp_expiry(with), FIXTURE_NOW + 168 * 3600);
    assert_int_equal(tls_cert_file_ocsp_expiry(shop), 0);
    assert_string_equal(tls_cert_file_name(with), "shop");
    assert_string_equal(tls_cert_file_dns(with, 0), "shop.example");
    assert_string_equal(tls_cert_file_subject(with), "CN=shop,O=Test");
    tls_cert_file_unref(with);
    by_responder.signer = &responder;
    write_response("responder.der", by_responder);
    tls_cert_file_unref(load(shop, "responder.der"));
}

/* One that is over is no reason to refuse a configuration. */
static void test_over(void **state)
{
    struct response over = good;
    struct tls_cert_file *with;

    (void)state;
    over.from_hour = -24;
    over.to_hour = -1;
    write_response("over.der", over);
    with = load(shop, "over.der");
    assert_int_equal(tls_cert_file_ocsp_expiry(with), FIXTURE_NOW - 3600);
    tls_cert_file_unref(with);
}

static void assert_refused(struct tls_cert_file *f, const char *file, const char *why)
{
    char path[FIXTURE_PATH_MAX];
    struct error e = {0};

    assert_null(tls_cert_file_with_ocsp(f, fixture_path(file, path), FIXTURE_NOW, &e));
    fixture_assert_contains(e.text, file);
    fixture_assert_contains(e.text, why);
}

static void assert_spec_refused(struct response spec, const char *why)
{
    write_response("bad.der", spec);
    assert_refused(shop, "bad.der", why);
}

static void test_refused(void **state)
{
    struct response r = good;

    (void)state;
    r.about = responder.x509;
    assert_spec_refused(r, "is about another certificate than CN=shop,O=Test");
    r = good;
    r.issuer = stranger.x509; /* the serial number fits, the issuer does not */
    assert_spec_refused(r, "is about another certificate than CN=shop,O=Test");
    r = good;
    r.signer = &stranger;
    assert_spec_refused(r, "is signed neither by the certificate's issuer CN=Root,O=Test");
    r.signer = &leaf; /* of the issuer's, but no responder */
    assert_spec_refused(r, "is signed neither by the certificate's issuer CN=Root,O=Test");
    r = good;
    r.status = V_OCSP_CERTSTATUS_REVOKED;
    assert_spec_refused(r, "the certificate was revoked on 2027-01-13 08:00:00 UTC: replace it");
    r.status = V_OCSP_CERTSTATUS_UNKNOWN;
    assert_spec_refused(r, "the responder does not know the certificate");
    r = good;
    r.endless = true;
    assert_spec_refused(r, "has no nextUpdate");
    r = good;
    r.from_hour = 1;
    r.to_hour = 24;
    assert_spec_refused(r, "is not valid before 2027-01-15 09:00:00 UTC");
}

/* Nobody here can check the signature, but the serial number tells. */
static void test_without_issuer(void **state)
{
    struct response r = good;

    (void)state;
    write_response("good.der", good);
    tls_cert_file_unref(load(lone, "good.der"));
    r.about = responder.x509;
    write_response("bad.der", r);
    assert_refused(lone, "bad.der", "is about another certificate");
}

static void test_no_response(void **state)
{
    uint8_t data[4096];
    char path[FIXTURE_PATH_MAX];
    size_t len;
    FILE *f;

    (void)state;
    assert_refused(shop, "missing.der", "No such file");
    fixture_write("empty.der", "", 0);
    assert_refused(shop, "empty.der", "is no OCSP response in DER form");
    fixture_write("pem.der", "-----BEGIN OCSP RESPONSE-----\n", 30);
    assert_refused(shop, "pem.der", "is in PEM form");
    fixture_write("later.der", "\x30\x03\x0a\x01\x03", 5); /* tryLater */
    assert_refused(shop, "later.der", "the responder answered \"trylater\"");
    write_response("good.der", good);
    f = fopen(fixture_path("good.der", path), "r");
    len = fread(data, 1, sizeof data, f);
    fclose(f);
    for (size_t cut = 0; cut < len; cut += 7) {
        fixture_write("cut.der", data, cut);
        assert_refused(shop, "cut.der", "is no OCSP response in DER form");
    }
    fixture_write("more.der", data, len + 1);
    assert_refused(shop, "more.der", "is no OCSP response in DER form");
    data[len - 1] ^= 1; /* of the signature */
    fixture_write("forged.der", data, len);
    assert_refused(shop, "forged.der", "is signed neither by");
}

static void test_must_staple(void **state)
{
    const struct fixture_spec spec = {.alt_names = "DNS:must.example", .must_staple = true};
    struct tls_cert_file *must = fixture_cert_file("must", &spec);

    (void)state;
    assert_true(tls_cert_file_must_staple(must));
    assert_false(tls_cert_file_must_staple(shop));
    tls_cert_file_unref(must);
}

/* ---- stapling ---- */

static bool stapled(struct tls_server *s, uint16_t version, bool asked)
{
    SSL_CTX *ctx = fixture_client_ctx();
    struct tls_conn_info info;
    struct fixture_pair p;
    const uint8_t *der;
    long len;

    SSL_CTX_set_max_proto_version(ctx, version);
    if (asked)
        SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
    fixture_pair_open(&p, s, 0, ctx, "shop.example");
    assert_true(fixture_pair_handshake(&p));
    len = SSL_get_tlsext_status_ocsp_resp(p.client, &der);
    tls_conn_info(p.server, &info);
    assert_int_equal(info.ocsp_stapled, len > 0);
    fixture_pair_close(&p);
    SSL_CTX_free(ctx);
    return len > 0;
}

static void test_stapled(void **state)
{
    uint64_t before = tls_worker_counters(worker)->tls_ocsp_stapled;
    struct tls_cert_file *with;
    struct tls_server *s, *plain = fixture_server(worker, &shop, 1);

    (void)state;
    write_response("good.der", good);
    with = load(shop, "good.der");
    s = fixture_server(worker, &with, 1);
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        assert_true(stapled(s, v, true));
        assert_false(stapled(s, v, false));
        assert_false(stapled(plain, v, true));
        fixture_now = FIXTURE_NOW + 168 * 3600 + 1;
        assert_false(stapled(s, v, true));
        fixture_now = FIXTURE_NOW;
    }
    assert_int_equal(tls_worker_counters(worker)->tls_ocsp_stapled, before + 2);
    tls_server_destroy(s);
    tls_server_destroy(plain);
    tls_cert_file_unref(with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),       cmocka_unit_test(test_over),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_without_issuer),
        cmocka_unit_test(test_no_response), cmocka_unit_test(test_must_staple),
        cmocka_unit_test(test_stapled),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
