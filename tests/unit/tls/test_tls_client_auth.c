/*
 * Listeners that ask clients for certificates: who gets in, what those that do not are told, and
 * what a resumed session stands for.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <string.h>

static struct fixture_cert root, other_root;
static struct tls_ca_file *root_ca, *other_ca;
static struct tls_cert_file *shop, *alice, *mallory, *brief, *server_only, *lone;
static struct tls_worker *worker;

static int set_up(void **state)
{
    const struct fixture_spec ca = {.common_name = "Staff", .ca = true};
    const struct fixture_spec other = {.common_name = "Strangers", .ca = true};
    const struct fixture_spec server_key = {.common_name = "server only",
                                            .alt_names = "DNS:s.example",
                                            .extended_key_usage = "serverAuth"};

    (void)state;
    fixture_dir_create();
    root = fixture_cert_make(&ca, NULL);
    other_root = fixture_cert_make(&other, NULL);
    root_ca = fixture_ca_file("root", root.x509);
    other_ca = fixture_ca_file("other", other_root.x509);
    shop = fixture_cert_file("shop", &(struct fixture_spec){.alt_names = "DNS:shop.example"});
    alice = fixture_client_cert(
        "alice", &(struct fixture_spec){.common_name = "alice", .extended_key_usage = "clientAuth"},
        &root);
    mallory = fixture_client_cert("mallory", &(struct fixture_spec){.common_name = "mallory"},
                                  &other_root);
    brief = fixture_client_cert(
        "brief", &(struct fixture_spec){.common_name = "brief", .from_day = -1, .to_day = 2},
        &root);
    lone = fixture_client_cert("lone", &(struct fixture_spec){.common_name = "lone"}, NULL);
    server_only = fixture_issued_file("server-only", &server_key, &root);
    worker = fixture_worker();
    return 0;
}

static int tear_down(void **state)
{
    struct tls_cert_file *files[] = {shop, alice, mallory, brief, server_only, lone};

    (void)state;
    tls_worker_destroy(worker);
    for (int i = 0; i < 6; i++)
        tls_cert_file_unref(files[i]);
    tls_ca_file_unref(root_ca);
    tls_ca_file_unref(other_ca);
    fixture_cert_free(&root);
    fixture_cert_free(&other_root);
    fixture_dir_remove();
    return 0;
}

static struct tls_server *server_with(enum tls_client_auth auth, struct tls_ca_file *ca)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct error e = {0};
    struct tls_server *s;

    config.client_auth = auth;
    config.client_ca = ca;
    s = tls_server_create(worker, &config, &e);
    if (s == NULL)
        fail_msg("%s", e.text);
    return s;
}

static struct tls_client *client_with(struct tls_cert_file *cert, uint16_t version)
{
    const struct tls_client_config config = {.server_name = "shop.example",
                                             .certificate = cert,
                                             .min_version = version,
                                             .max_version = version};
    struct tls_client *c = tls_client_create(worker, &config, NULL);

    assert_non_null(c);
    return c;
}

static struct tls_counters count(void)
{
    return *tls_worker_counters(worker);
}

static bool connect_to(struct tls_server *s, struct tls_client *c, const char *peer)
{
    struct tls_conn_info info;
    struct fixture_link l;

    fixture_link_open(&l, s, 0, c, NULL);
    if (!fixture_link_handshake(&l))
        fail_msg("%s", tls_conn_error(l.server));
    fixture_link_exchange(&l);
    tls_conn_info(l.server, &info);
    assert_string_equal(info.peer, peer);
    assert_int_equal(info.peer_verified, peer[0] != '\0');
    tls_conn_info(l.client, &info);
    assert_string_equal(info.peer, "O=Test"); /* the server's */
    assert_false(info.peer_verified);
    fixture_link_close(&l);
    return info.resumed;
}

/* What a server is told of the client: the common name itself, whatever else the subject says. */
static void expect_common_name(const struct fixture_spec *spec, const char *expected)
{
    struct tls_cert_file *cert = fixture_client_cert("named", spec, &root);
    struct tls_server *s = server_with(TLS_CLIENT_REQUIRED, root_ca);
    struct tls_client *c = client_with(cert, TLS_VERSION_1_3);
    struct fixture_link l;
    char got[32];

    fixture_link_open(&l, s, 0, c, NULL);
    assert_true(fixture_link_handshake(&l));
    tls_conn_common_name(l.server, got, sizeof got);
    assert_string_equal(got, expected);
    fixture_link_close(&l);
    tls_client_destroy(c);
    tls_server_destroy(s);
    tls_cert_file_unref(cert);
}

static void test_common_name(void **state)
{
    (void)state;
    expect_common_name(&(struct fixture_spec){.common_name = "bob"}, "bob");
    expect_common_name(&(struct fixture_spec){.common_name = "J\303\274rgen, O+U"},
                       "J\303\274rgen, O+U");
    expect_common_name(&(struct fixture_spec){.organization = "x,CN=admin"}, "");
    expect_common_name(&(struct fixture_spec){.organization = "x,CN=admin", .common_name = "eve"},
                       "eve");
    expect_common_name(
        &(struct fixture_spec){.common_name = "admin, or rather one who is not and says so"}, "");
}

/* A client whose chain has so many more certificates. */
static bool chain_accepted(const struct fixture_cert *client, unsigned more)
{
    struct tls_server *s = server_with(TLS_CLIENT_REQUIRED, root_ca);
    SSL_CTX *ctx = fixture_client_ctx();
    struct fixture_pair p;
    bool done;

    assert_int_equal(SSL_CTX_use_certificate(ctx, client->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, client->key), 1);
    for (unsigned i = 0; i < more; i++)
        assert_int_equal(SSL_CTX_add1_chain_cert(ctx, root.x509), 1);
    fixture_pair_open(&p, s, 0, ctx, "shop.example");
    done = fixture_pair_handshake(&p);
    if (!done)
        fixture_assert_contains(tls_conn_error(p.server), "excessive");
    fixture_pair_close(&p);
    SSL_CTX_free(ctx);
    tls_server_destroy(s);
    return done;
}

static void test_longest_chain(void **state)
{
    const struct fixture_spec spec = {.common_name = "bob", .extended_key_usage = "clientAuth"};
    struct fixture_cert bob = fixture_cert_make(&spec, &root);
    unsigned len = (unsigned)i2d_X509(root.x509, NULL);

    (void)state;
    assert_true(chain_accepted(&bob, 16000 / len));
    assert_false(chain_accepted(&bob, 32768 / len + 1));
    fixture_cert_free(&bob);
}

static void test_admitted(void **state)
{
    struct tls_server *required = server_with(TLS_CLIENT_REQUIRED, root_ca);
    struct tls_server *optional = server_with(TLS_CLIENT_OPTIONAL, root_ca);
    struct tls_server *none = server_with(TLS_CLIENT_NONE, NULL);
    uint64_t proved = count().tls_client_certificates;

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *with = client_with(alice, v), *without = client_with(NULL, v);

        connect_to(required, with, "CN=alice,O=Test");
        connect_to(optional, with, "CN=alice,O=Test");
        connect_to(optional, without, "");
        connect_to(none, with, "");
        tls_client_destroy(with);
        tls_client_destroy(without);
    }
    assert_int_equal(count().tls_client_certificates, proved + 4);
    tls_server_destroy(required);
    tls_server_destroy(optional);
    tls_server_destroy(none);
}

/* What the two ends say: the client learns of it with TLS 1.3 only after its own last message. */
static void assert_refused(struct tls_server *s, struct tls_cert_file *cert, uint16_t version,
                           const char *why, const char *alert)
{
    struct tls_client *c = client_with(cert, version);
    struct tls_counters before = count();
    struct fixture_link l;
    uint8_t byte;
    size_t got;

    fixture_link_open(&l, s, 0, c, NULL);
    assert_false(fixture_link_handshake(&l));
    assert_int_equal(l.server_result, TLS_FAILED);
    fixture_assert_contains(tls_conn_error(l.server), why);
    if (l.client_result == TLS_DONE)
        assert_int_equal(tls_conn_read(l.client, &byte, 1, &got), TLS_FAILED);
    fixture_assert_contains(tls_conn_error(l.client), alert);
    fixture_link_close(&l);
    tls_client_destroy(c);
    assert_int_equal(count().tls_client_certificates_refused,
                     before.tls_client_certificates_refused + 1);
    assert_int_equal(count().tls_handshakes_failed, before.tls_handshakes_failed + 1);
}

static void test_lacking(void **state)
{
    static const char why[] = "the client showed no certificate, and the listener requires one: "
                              "give the client one of an authority in tls.client-auth.ca";
    struct tls_server *s = server_with(TLS_CLIENT_REQUIRED, root_ca);

    (void)state;
    assert_refused(s, NULL, TLS_VERSION_1_3, why, "server sent alert certificate_required (116)");
    assert_refused(s, NULL, TLS_VERSION_1_2, why, "server sent alert handshake_failure (40)");
    tls_server_destroy(s);
}

static void test_refused(void **state)
{
    struct tls_server *required = server_with(TLS_CLIENT_REQUIRED, root_ca);
    struct tls_server *optional = server_with(TLS_CLIENT_OPTIONAL, root_ca);

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        for (int i = 0; i < 2; i++) {
            struct tls_server *s = i == 0 ? required : optional;

            assert_refused(s, mallory, v,
                           "the client's certificate (CN=mallory,O=Test) is refused: the issuer "
                           "CN=Strangers,O=Test is neither in /tmp/",
                           "unknown_ca (48)");
            assert_refused(s, lone, v, "it is self-signed and not in ", "unknown_ca (48)");
            assert_refused(s, server_only, v, "it is not meant for a TLS client",
                           "unsupported_certificate (43)");
            fixture_now = FIXTURE_NOW + 3 * FIXTURE_DAY;
            assert_refused(s, brief, v, "it expired on 2027-01-17 08:00:00 UTC: renew it",
                           "certificate_expired (45)");
            fixture_now = FIXTURE_NOW;
        }
    }
    tls_server_destroy(required);
    tls_server_destroy(optional);
}

/* RFC 8446, 4.2.4: the client is told who may have signed. */
static void test_authorities_sent(void **state)
{
    struct tls_server *s = server_with(TLS_CLIENT_OPTIONAL, root_ca);
    SSL_CTX *ctx = fixture_client_ctx();
    struct fixture_pair p;

    (void)state;
    fixture_pair_open(&p, s, 0, ctx, "shop.example");
    assert_true(fixture_pair_handshake(&p));
    assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(p.client)), 1);
    assert_int_equal(X509_NAME_cmp(sk_X509_NAME_value(SSL_get0_peer_CA_list(p.client), 0),
                                   X509_get_subject_name(root.x509)),
                     0);
    fixture_pair_close(&p);
    SSL_CTX_free(ctx);
    tls_server_destroy(s);
}

/* ---- resumption ---- */

static void test_resumed_identity(void **state)
{
    struct tls_server *s = server_with(TLS_CLIENT_REQUIRED, root_ca);
    uint64_t proved = count().tls_client_certificates;

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *c = client_with(alice, v);

        assert_false(connect_to(s, c, "CN=alice,O=Test"));
        assert_true(connect_to(s, c, "CN=alice,O=Test"));
        assert_true(connect_to(s, c, "CN=alice,O=Test"));
        tls_client_destroy(c);
    }
    assert_int_equal(count().tls_client_certificates, proved + 2);
    tls_server_destroy(s);
}

/* A session of one listener is worth nothing on another that asks for something else. */
static void test_not_carried_over(void **state)
{
    struct tls_server *none = server_with(TLS_CLIENT_NONE, NULL);
    struct tls_server *optional = server_with(TLS_CLIENT_OPTIONAL, root_ca);
    struct tls_server *required = server_with(TLS_CLIENT_REQUIRED, root_ca);
    struct tls_server *same = server_with(TLS_CLIENT_REQUIRED, root_ca);
    struct tls_server *others = server_with(TLS_CLIENT_OPTIONAL, other_ca);

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *c = client_with(alice, v);

        assert_false(connect_to(none, c, ""));
        assert_false(connect_to(optional, c, "CN=alice,O=Test"));
        assert_false(connect_to(required, c, "CN=alice,O=Test"));
        assert_true(connect_to(same, c, "CN=alice,O=Test"));
        tls_client_destroy(c);
        c = client_with(NULL, v);
        assert_false(connect_to(optional, c, ""));
        assert_false(connect_to(others, c, ""));
        tls_client_destroy(c);
    }
    tls_server_destroy(none);
    tls_server_destroy(optional);
    tls_server_destroy(required);
    tls_server_destroy(same);
    tls_server_destroy(others);
}

/* A certificate that has run out does not live on in tickets. */
static void test_expired_since(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct tls_server *s;

    (void)state;
    config.client_auth = TLS_CLIENT_REQUIRED;
    config.client_ca = root_ca;
    config.tickets.rotation = 10 * FIXTURE_DAY; /* one epoch, whatever the time */
    s = tls_server_create(worker, &config, NULL);
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *c = client_with(brief, v);
        struct fixture_link l;

        fixture_now = FIXTURE_NOW + 2 * FIXTURE_DAY - 60;
        assert_false(connect_to(s, c, "CN=brief,O=Test"));
        assert_true(connect_to(s, c, "CN=brief,O=Test"));
        fixture_now += 120;
        fixture_link_open(&l, s, 0, c, NULL);
        assert_false(fixture_link_handshake(&l));
        fixture_assert_contains(tls_conn_error(l.server), "it expired on ");
        fixture_link_close(&l);
        tls_client_destroy(c);
    }
    fixture_now = FIXTURE_NOW;
    tls_server_destroy(s);
}

static void test_config(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct error e = {0};

    (void)state;
    config.client_auth = TLS_CLIENT_OPTIONAL;
    assert_null(tls_server_create(worker, &config, &e));
    fixture_assert_contains(e.text, "no authorities are given");
}

/* Certificates of clients need no DNS name, but the right usage. */
static void test_client_certificates(void **state)
{
    char chain[FIXTURE_PATH_MAX], key[FIXTURE_PATH_MAX];
    struct error e = {0};

    (void)state;
    assert_null(tls_cert_file_load_client("s", fixture_path("server-only.crt", chain),
                                          fixture_path("server-only.key", key), FIXTURE_NOW, &e));
    fixture_assert_contains(e.text, "lacks clientAuth: no certificate for a client");
    e = (struct error){0};
    assert_null(tls_cert_file_load("a", fixture_path("alice.crt", chain),
                                   fixture_path("alice.key", key), FIXTURE_NOW, &e));
    fixture_assert_contains(e.text, "lacks serverAuth: no certificate for a server");
    assert_string_equal(tls_cert_file_subject(alice), "CN=alice,O=Test");
    assert_string_equal(tls_cert_file_issuer(alice), "CN=Staff,O=Test");
    assert_null(tls_cert_file_dns(alice, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admitted),
        cmocka_unit_test(test_common_name),
        cmocka_unit_test(test_longest_chain),
        cmocka_unit_test(test_lacking),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_authorities_sent),
        cmocka_unit_test(test_resumed_identity),
        cmocka_unit_test(test_not_carried_over),
        cmocka_unit_test(test_expired_since),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_client_certificates),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
