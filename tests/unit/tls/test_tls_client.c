/*
 * Connections to servers: what is verified, what is said when it does not hold, and resumption.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <string.h>

static struct fixture_cert root, other_root, middle;
static struct tls_ca_file *root_ca, *other_ca;
static struct tls_cert_file *shop, *address, *chained, *lone, *brief, *aliasless;
static struct tls_worker *worker;
static struct tls_server *server; /* certificates in the order below */
enum { SHOP, ADDRESS, CHAINED, LONE, BRIEF, ALIASLESS };

static const struct fixture_spec ca_spec = {.common_name = "Root", .ca = true};

static int set_up(void **state)
{
    const struct fixture_spec other = {.common_name = "Other Root", .ca = true};
    const struct fixture_spec inter = {.common_name = "Middle", .ca = true};

    (void)state;
    fixture_dir_create();
    root = fixture_cert_make(&ca_spec, NULL);
    other_root = fixture_cert_make(&other, NULL);
    middle = fixture_cert_make(&inter, &root);
    root_ca = fixture_ca_file("root", root.x509);
    other_ca = fixture_ca_file("other", other_root.x509);
    shop = fixture_issued_file("shop",
                               &(struct fixture_spec){.common_name = "shop",
                                                      .alt_names = "DNS:shop.example,"
                                                                   "DNS:*.shop.example"},
                               &root);
    address = fixture_issued_file(
        "address", &(struct fixture_spec){.alt_names = "DNS:a.example,IP:10.0.0.11,IP:fd00::b"},
        &root);
    chained = fixture_issued_file(
        "chained", &(struct fixture_spec){.alt_names = "DNS:chained.example"}, &middle);
    lone = fixture_cert_file(
        "lone", &(struct fixture_spec){.common_name = "lone", .alt_names = "DNS:lone.example"});
    brief = fixture_issued_file(
        "brief",
        &(struct fixture_spec){.alt_names = "DNS:brief.example", .from_day = -1, .to_day = 2},
        &root);
    aliasless = fixture_issued_file(
        "aliasless", &(struct fixture_spec){.common_name = "aliasless.example"}, &root);
    worker = fixture_worker();
    server = fixture_server(
        worker, (struct tls_cert_file *[]){shop, address, chained, lone, brief, aliasless}, 6);
    return 0;
}

static int tear_down(void **state)
{
    struct tls_cert_file *files[] = {shop, address, chained, lone, brief, aliasless};

    (void)state;
    tls_server_destroy(server);
    tls_worker_destroy(worker);
    for (int i = 0; i < 6; i++)
        tls_cert_file_unref(files[i]);
    tls_ca_file_unref(root_ca);
    tls_ca_file_unref(other_ca);
    fixture_cert_free(&root);
    fixture_cert_free(&other_root);
    fixture_cert_free(&middle);
    fixture_dir_remove();
    return 0;
}

static struct tls_client_config config_of(struct tls_ca_file *ca)
{
    return (struct tls_client_config){.verify = ca != NULL,
                                      .ca = ca,
                                      .min_version = TLS_VERSION_1_2,
                                      .max_version = TLS_VERSION_1_3};
}

static struct tls_client *client_with(const struct tls_client_config *config)
{
    struct error e = {0};
    struct tls_client *c = tls_client_create(worker, config, &e);

    if (c == NULL)
        fail_msg("%s", e.text);
    return c;
}

static struct tls_client *client_trusting(struct tls_ca_file *ca)
{
    const struct tls_client_config config = config_of(ca);

    return client_with(&config);
}

static struct tls_counters count(void)
{
    return *tls_worker_counters(worker);
}

/* ---- handshakes that succeed ---- */

static void connect_good(struct tls_client *c, int cert, const char *name,
                         struct tls_conn_info *info)
{
    struct fixture_link l;

    fixture_link_open(&l, server, cert, c, name);
    if (!fixture_link_handshake(&l))
        fail_msg("%s", tls_conn_error(l.client));
    fixture_link_exchange(&l);
    tls_conn_info(l.client, info);
    fixture_link_close(&l);
}

static void check_version(uint16_t version, const char *text)
{
    struct tls_client_config config = config_of(root_ca);
    struct tls_counters before = count();
    struct tls_conn_info info;
    struct tls_client *c;

    config.min_version = config.max_version = version;
    config.alpn = (const uint8_t *)"\x08http/1.1";
    config.alpn_len = 9;
    c = client_with(&config);
    connect_good(c, SHOP, "shop.example", &info);
    assert_string_equal(info.version, text);
    assert_string_equal(info.group, "X25519");
    assert_string_equal(info.alpn, "http/1.1");
    assert_string_equal(info.peer, "CN=shop,O=Test");
    assert_true(info.peer_verified);
    assert_false(info.resumed);
    assert_string_equal(info.certificate, "");
    tls_client_destroy(c);
    assert_int_equal(count().tls_backend_handshakes_completed,
                     before.tls_backend_handshakes_completed + 1);
    assert_int_equal(count().tls_handshakes_completed, before.tls_handshakes_completed + 1);
    assert_int_equal(count().tls_backend_handshakes_failed, before.tls_backend_handshakes_failed);
}

static void test_versions(void **state)
{
    (void)state;
    check_version(TLS_VERSION_1_3, "TLSv1.3");
    check_version(TLS_VERSION_1_2, "TLSv1.2");
}

static void test_names(void **state)
{
    struct tls_client *c = client_trusting(root_ca);
    struct tls_conn_info info;

    (void)state;
    connect_good(c, SHOP, "shop.example", &info);
    connect_good(c, SHOP, "SHOP.example.", &info);
    connect_good(c, SHOP, "www.shop.example", &info);
    connect_good(c, ADDRESS, "10.0.0.11", &info);
    connect_good(c, ADDRESS, "fd00::b", &info);
    tls_client_destroy(c);
}

/* Without a name to verify there is no connection, rather than an unverified one. */
static void test_nameless(void **state)
{
    struct tls_client *c = client_trusting(root_ca);

    (void)state;
    assert_null(tls_conn_create_client(c, NULL, &fixture_transport, NULL));
    assert_null(tls_conn_create_client(c, "", &fixture_transport, NULL));
    tls_client_destroy(c);
}

/* The configuration's name goes before the connection's. */
static void test_configured_name(void **state)
{
    struct tls_client_config config = config_of(root_ca);
    struct tls_conn_info info;
    struct tls_client *c;

    (void)state;
    config.server_name = "shop.example";
    c = client_with(&config);
    connect_good(c, SHOP, "10.0.0.1", &info);
    connect_good(c, SHOP, NULL, &info);
    assert_true(info.peer_verified);
    tls_client_destroy(c);
}

static void test_unverified(void **state)
{
    struct tls_client *c = client_trusting(NULL);
    struct tls_conn_info info;

    (void)state;
    connect_good(c, LONE, "other.example", &info);
    assert_string_equal(info.peer, "CN=lone,O=Test");
    assert_false(info.peer_verified);
    connect_good(c, LONE, NULL, &info);
    tls_client_destroy(c);
}

/* A file with the server's own certificate, or an intermediate's, is as good as the root's. */
static void test_pinned(void **state)
{
    struct tls_ca_file *ca = fixture_ca_file("middle", middle.x509);
    struct tls_client *c = client_trusting(ca);
    char path[FIXTURE_PATH_MAX];
    struct tls_conn_info info;

    (void)state;
    connect_good(c, CHAINED, "chained.example", &info);
    tls_client_destroy(c);
    tls_ca_file_unref(ca);
    ca = tls_ca_file_load(fixture_path("lone.crt", path), NULL);
    c = client_trusting(ca);
    connect_good(c, LONE, "lone.example", &info);
    assert_true(info.peer_verified);
    tls_client_destroy(c);
    tls_ca_file_unref(ca);
}

/* Narrow pipes: every step of the handshake is interrupted. */
static void test_narrow(void **state)
{
    struct tls_client *c = client_trusting(root_ca);
    struct fixture_link l;

    (void)state;
    fixture_link_open(&l, server, SHOP, c, "shop.example");
    l.to_client.read_max = l.to_client.write_max = 1;
    assert_true(fixture_link_handshake(&l));
    fixture_link_close(&l);
    tls_client_destroy(c);
}

/* ---- certificates that are refused ---- */

static void assert_refused(struct tls_ca_file *ca, int cert, const char *name, const char *why,
                           const char *alert)
{
    struct tls_client *c = client_trusting(ca);
    struct tls_counters before = count();
    struct fixture_link l;

    fixture_link_open(&l, server, cert, c, name);
    assert_false(fixture_link_handshake(&l));
    assert_int_equal(l.client_result, TLS_FAILED);
    fixture_assert_contains(tls_conn_error(l.client), "the server's certificate (");
    fixture_assert_contains(tls_conn_error(l.client), why);
    assert_null(strchr(tls_conn_error(l.client), '\n'));
    fixture_assert_contains(tls_conn_error(l.server), alert);
    fixture_link_close(&l);
    tls_client_destroy(c);
    assert_int_equal(count().tls_backend_handshakes_failed,
                     before.tls_backend_handshakes_failed + 1);
    assert_int_equal(count().tls_handshakes_failed, before.tls_handshakes_failed + 1);
}

static void test_wrong_name(void **state)
{
    (void)state;
    assert_refused(root_ca, SHOP, "bank.example",
                   "(CN=shop,O=Test) is refused: it is for shop.example, *.shop.example, not for "
                   "the name bank.example: set tls.server-name",
                   "bad_certificate");
    assert_refused(root_ca, SHOP, "a.b.shop.example", "not for the name a.b.shop.example",
                   "bad_certificate");
    assert_refused(root_ca, SHOP, "10.0.0.11", "not for the address 10.0.0.11", "bad_certificate");
    assert_refused(root_ca, ADDRESS, "10.0.0.12",
                   "it is for a.example, 10.0.0.11, fd00:0:0:0:0:0:0:b, not for the address "
                   "10.0.0.12",
                   "bad_certificate");
}

/* Who signs client certificates for any common name must not by that vouch for servers. */
static void test_common_name_is_no_host_name(void **state)
{
    (void)state;
    assert_refused(root_ca, ALIASLESS, "aliasless.example",
                   "it is for no name, not for the name aliasless.example", "bad_certificate");
}

static void test_untrusted(void **state)
{
    (void)state;
    assert_refused(other_ca, SHOP, "shop.example",
                   "the issuer CN=Root,O=Test is neither in /tmp/sluice-tls-", "unknown_ca");
    assert_refused(root_ca, CHAINED, "chained.example",
                   "nor in the chain that the server sent: name a file with it in tls.ca, or "
                   "complete the server's chain",
                   "unknown_ca");
    assert_refused(root_ca, LONE, "lone.example", "it is self-signed and not in /tmp/",
                   "unknown_ca");
}

static void test_dates(void **state)
{
    (void)state;
    fixture_now = FIXTURE_NOW + 3 * FIXTURE_DAY;
    assert_refused(root_ca, BRIEF, "brief.example",
                   "it expired on 2027-01-17 08:00:00 UTC: renew it", "certificate_expired");
    fixture_now = FIXTURE_NOW - 2 * FIXTURE_DAY;
    assert_refused(root_ca, BRIEF, "brief.example", " is not valid before 2027-01-14 08:00:00 UTC",
                   "bad_certificate");
    fixture_now = FIXTURE_NOW;
}

/* ---- servers that are none ---- */

static void assert_stranger(const void *data, size_t len, bool eof, const char *why)
{
    struct tls_client *c = client_trusting(root_ca);
    uint64_t failed = count().tls_backend_handshakes_failed;
    struct fixture_link l;

    for (size_t read_max = 0; read_max < 2; read_max++) {
        fixture_link_open(&l, NULL, 0, c, "shop.example");
        l.to_client.read_max = read_max;
        fixture_wire_feed(&l.to_client, data, len);
        l.to_client.eof = eof;
        assert_false(fixture_link_handshake(&l));
        fixture_assert_contains(tls_conn_error(l.client), why);
        fixture_link_close(&l);
    }
    tls_client_destroy(c);
    assert_int_equal(count().tls_backend_handshakes_failed, failed + 2);
}

static void test_no_tls(void **state)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n";
    static const char ssh[] = "SSH-2.0-OpenSSH_9.2p1\r\n";

    (void)state;
    assert_stranger(http, sizeof http - 1, false,
                    "the server speaks no TLS: its first bytes are \"HTTP/");
    assert_stranger(ssh, sizeof ssh - 1, true,
                    "the server speaks no TLS: its first bytes are \"SSH-2");
    assert_stranger("\x00\x01\x02\x03\x04\x05", 6, false, "its first bytes are 00 01 02 03 04");
    assert_stranger("220", 3, true, "its first bytes are \"220\"; remove tls from the backend");
    assert_stranger("", 0, true, "server closed the connection upon our ClientHello");
}

static void test_damaged(void **state)
{
    (void)state;
    assert_stranger("\x16\x03\x03\x00\x04\x02\x00", 7, true,
                    "server closed the connection upon our ClientHello");
    assert_stranger("\x15\x03\x03\x00\x02\x02\x28", 7, false,
                    "server sent alert handshake_failure (40)");
    assert_stranger("\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9, false,
                    "malformed handshake message");
}

static void test_old_server(void **state)
{
    struct tls_client_config config = config_of(root_ca);
    struct tls_server_config old = fixture_server_config(&shop, 1);
    struct tls_server *s;
    struct tls_client *c;
    struct fixture_link l;

    (void)state;
    old.max_version = TLS_VERSION_1_2;
    config.min_version = TLS_VERSION_1_3;
    s = tls_server_create(worker, &old, NULL);
    c = client_with(&config);
    fixture_link_open(&l, s, 0, c, "shop.example");
    assert_false(fixture_link_handshake(&l));
    fixture_assert_contains(tls_conn_error(l.client), "server sent alert protocol_version (70)");
    fixture_link_close(&l);
    tls_client_destroy(c);
    tls_server_destroy(s);
}

/* ---- resumption ---- */

static bool resumes(struct tls_client *c, int cert, const char *name)
{
    uint64_t resumed = count().tls_backend_handshakes_resumed;
    struct tls_conn_info info;

    connect_good(c, cert, name, &info);
    assert_int_equal(count().tls_backend_handshakes_resumed, resumed + info.resumed);
    assert_true(info.peer_verified);
    return info.resumed;
}

/* The connections end without close_notify, which must not end their sessions. */
static void test_resumption(void **state)
{
    struct tls_client_config config = config_of(root_ca);

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *c;

        config.max_version = v;
        c = client_with(&config);
        assert_false(resumes(c, SHOP, "shop.example"));
        assert_true(resumes(c, SHOP, "shop.example"));
        assert_true(resumes(c, SHOP, "shop.example"));
        assert_false(resumes(c, SHOP, "www.shop.example"));
        assert_true(resumes(c, SHOP, "shop.example"));
        assert_true(resumes(c, SHOP, "www.shop.example"));
        tls_client_destroy(c);
    }
}

/* Tickets are renewed as the server's keys go by: a day is all that one session lasts. */
static void test_renewal(void **state)
{
    struct tls_client_config config = config_of(root_ca);

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_server_config hourly = fixture_server_config(&shop, 1);
        struct tls_server *daily = server;
        struct tls_client *c;

        hourly.tickets.rotation = 3600;
        server = tls_server_create(worker, &hourly, NULL);
        config.max_version = v;
        c = client_with(&config);
        assert_false(resumes(c, SHOP, "shop.example"));
        for (int i = 0; i < 5; i++) {
            fixture_now += 3600;
            assert_true(resumes(c, SHOP, "shop.example"));
        }
        fixture_now = FIXTURE_NOW;
        tls_client_destroy(c);
        tls_server_destroy(server);
        server = daily;
    }
}

/* A session does not outlive the certificate that it stands for. */
static void test_session_of_expired(void **state)
{
    struct tls_client_config config = config_of(root_ca);

    (void)state;
    for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
        struct tls_client *c;
        struct fixture_link l;

        config.max_version = v;
        c = client_with(&config);
        fixture_now = FIXTURE_NOW + 2 * FIXTURE_DAY - 60;
        assert_false(resumes(c, BRIEF, "brief.example"));
        assert_true(resumes(c, BRIEF, "brief.example"));
        fixture_now += 120;
        fixture_link_open(&l, server, BRIEF, c, "brief.example");
        assert_false(fixture_link_handshake(&l));
        fixture_assert_contains(tls_conn_error(l.client), "it expired on ");
        fixture_link_close(&l);
        fixture_now = FIXTURE_NOW;
        tls_client_destroy(c);
    }
}

/* A session is of one configuration: another one's trust is not taken over. */
static void test_sessions_apart(void **state)
{
    struct tls_client *a = client_trusting(root_ca), *b = client_trusting(root_ca);

    (void)state;
    assert_false(resumes(a, SHOP, "shop.example"));
    assert_false(resumes(b, SHOP, "shop.example"));
    tls_client_destroy(a);
    tls_client_destroy(b);
}

/* The session that was used longest ago gives way. */
static void test_sessions_bounded(void **state)
{
    struct tls_client *c = client_trusting(root_ca);
    char name[64];

    (void)state;
    assert_false(resumes(c, SHOP, "first.shop.example"));
    assert_false(resumes(c, SHOP, "second.shop.example"));
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "n%d.shop.example", i);
        assert_false(resumes(c, SHOP, name));
    }
    assert_true(resumes(c, SHOP, "first.shop.example"));
    assert_false(resumes(c, SHOP, "one-more.shop.example"));
    assert_true(resumes(c, SHOP, "first.shop.example"));
    assert_false(resumes(c, SHOP, "second.shop.example"));
    tls_client_destroy(c);
}

/* A connection whose handshake fails takes the session that it offered with it. */
static void test_session_dropped(void **state)
{
    struct tls_client *c = client_trusting(root_ca);
    struct fixture_link l;

    (void)state;
    assert_false(resumes(c, SHOP, "shop.example"));
    fixture_link_open(&l, NULL, 0, c, "shop.example");
    fixture_wire_feed(&l.to_client, "\x15\x03\x03\x00\x02\x02\x28", 7);
    assert_false(fixture_link_handshake(&l));
    fixture_link_close(&l);
    assert_false(resumes(c, SHOP, "shop.example"));
    tls_client_destroy(c);
}

/* Connections outlive their client. */
static void test_destroyed_before(void **state)
{
    struct tls_client *c = client_trusting(root_ca);
    struct fixture_link l;

    (void)state;
    fixture_link_open(&l, server, SHOP, c, "shop.example");
    tls_client_destroy(c);
    assert_true(fixture_link_handshake(&l));
    fixture_link_exchange(&l);
    fixture_link_close(&l);
}

/* ---- configuration ---- */

static void assert_config_error(const struct tls_client_config *config, const char *why)
{
    struct error e = {0};

    assert_null(tls_client_create(worker, config, &e));
    fixture_assert_contains(e.text, why);
}

static void test_config(void **state)
{
    struct tls_client_config config = config_of(root_ca);

    (void)state;
    config.server_name = "not a name";
    assert_config_error(&config, "\"not a name\" is neither a host name nor an address");
    config = config_of(root_ca);
    config.min_version = 0x0302;
    assert_config_error(&config, "1.2 and 1.3 are supported");
    config = config_of(root_ca);
    config.alpn = (const uint8_t *)"\x05h2";
    config.alpn_len = 3;
    assert_config_error(&config, "malformed list of ALPN names");
    config = config_of(NULL);
    config.verify = true;
    assert_config_error(&config, "no certificate authorities");
}

static void assert_ca_error(const char *file, const char *why)
{
    char path[FIXTURE_PATH_MAX];
    struct error e = {0};

    assert_null(tls_ca_file_load(fixture_path(file, path), &e));
    fixture_assert_contains(e.text, why);
    fixture_assert_contains(e.text, file);
}

static void test_ca_files(void **state)
{
    struct tls_ca_file *system = tls_ca_file_load(NULL, NULL);

    (void)state;
    assert_non_null(system);
    tls_client_destroy(client_trusting(system));
    tls_ca_file_unref(system);
    fixture_write("empty.pem", "", 0);
    fixture_write("text.pem", "nothing here\n", 13);
    fixture_write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                  60);
    assert_ca_error("missing.pem", "No such file");
    assert_ca_error("empty.pem", "no certificate (-----BEGIN CERTIFICATE-----) in");
    assert_ca_error("text.pem", "no certificate (-----BEGIN CERTIFICATE-----) in");
    assert_ca_error("broken.pem", "certificate 1 in ");
    assert_ca_error(".", "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_configured_name),
        cmocka_unit_test(test_unverified),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_common_name_is_no_host_name),
        cmocka_unit_test(test_untrusted),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_old_server),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_session_of_expired),
        cmocka_unit_test(test_sessions_apart),
        cmocka_unit_test(test_sessions_bounded),
        cmocka_unit_test(test_session_dropped),
        cmocka_unit_test(test_destroyed_before),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_ca_files),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
