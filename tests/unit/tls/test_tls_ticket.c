/*
 * Session tickets: good on every worker and in every SSL_CTX of one secret, for one name only.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <string.h>

static struct tls_cert_file *shop, *renewed, *both_names;
static struct tls_worker *workers[2];
static SSL_CTX *clients[2]; /* TLS 1.3, TLS 1.2 */
static SSL_SESSION *session;
static int sessions;

/* The client's newest session; a TLS 1.3 one comes with its ticket, after the handshake. */
static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    sessions++;
    return 1;
}

static int set_up(void **state)
{
    const struct fixture_spec spec = {.alt_names = "DNS:shop.example"};
    const struct fixture_spec two = {.alt_names = "DNS:shop.example,DNS:other.example"};

    (void)state;
    fixture_dir_create();
    shop = fixture_cert_file("shop", &spec);
    renewed = fixture_cert_file("renewed", &spec);
    both_names = fixture_cert_file("both", &two);
    for (int i = 0; i < 2; i++) {
        workers[i] = tls_worker_create(NULL);
        assert_non_null(workers[i]);
        clients[i] = fixture_client_ctx();
        SSL_CTX_set_session_cache_mode(clients[i],
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(clients[i], keep_session);
    }
    SSL_CTX_set_max_proto_version(clients[1], TLS1_2_VERSION);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_SESSION_free(session);
    for (int i = 0; i < 2; i++) {
        tls_worker_destroy(workers[i]);
        SSL_CTX_free(clients[i]);
    }
    tls_cert_file_unref(shop);
    tls_cert_file_unref(renewed);
    tls_cert_file_unref(both_names);
    fixture_dir_remove();
    return 0;
}

/* One connection with the session offered (or none); keeps the new session; was it resumed? */
static bool connect_to(struct tls_server *s, int cert, SSL_CTX *client, const char *sni,
                       SSL_SESSION *offer)
{
    struct tls_conn_info info;
    struct fixture_pair p;

    fixture_pair_open(&p, s, cert, client, sni);
    if (offer != NULL)
        SSL_set_session(p.client, offer);
    if (!fixture_pair_handshake(&p))
        fail_msg("%s", tls_conn_error(p.server));
    SSL_read(p.client, (char[1]){0}, 1);
    tls_conn_info(p.server, &info);
    assert_int_equal(info.resumed, SSL_session_reused(p.client));
    fixture_server_send(&p, "x", 1);
    fixture_client_expect(&p, "x");
    SSL_shutdown(p.client);
    fixture_pair_close(&p);
    return info.resumed;
}

/* A fresh session from `from` for one name, offered to `to` under another: is it resumed? */
static bool resumes(SSL_CTX *client, struct tls_server *from, int from_cert, const char *from_name,
                    struct tls_server *to, int to_cert, const char *to_name)
{
    SSL_SESSION *offer;
    bool resumed;

    assert_false(connect_to(from, from_cert, client, from_name, NULL));
    assert_non_null(session);
    offer = session;
    session = NULL;
    resumed = connect_to(to, to_cert, client, to_name, offer);
    SSL_SESSION_free(offer);
    return resumed;
}

static void test_other_worker(void **state)
{
    struct tls_server *a = fixture_server(workers[0], &shop, 1);
    struct tls_server *b = fixture_server(workers[1], &shop, 1);
    uint64_t resumed = tls_worker_counters(workers[1])->tls_handshakes_resumed;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(resumes(clients[i], a, 0, "shop.example", a, 0, "shop.example"));
        assert_true(resumes(clients[i], a, 0, "shop.example", b, 0, "shop.example"));
        assert_true(resumes(clients[i], a, 0, "shop.example", b, 0, "SHOP.example"));
        assert_true(resumes(clients[i], a, 0, NULL, b, 0, NULL));
    }
    assert_int_equal(tls_worker_counters(workers[1])->tls_handshakes_resumed, resumed + 6);
    tls_server_destroy(a);
    tls_server_destroy(b);
}

/* A resumed session is renewed, and its renewal can be resumed in turn. */
static void test_again(void **state)
{
    struct tls_server *s = fixture_server(workers[0], &shop, 1);

    (void)state;
    assert_true(resumes(clients[0], s, 0, "shop.example", s, 0, "shop.example"));
    for (int i = 0; i < 3; i++) {
        SSL_SESSION *offer = session;

        session = NULL;
        assert_true(connect_to(s, 0, clients[0], "shop.example", offer));
        assert_non_null(session);
        SSL_SESSION_free(offer);
    }
    tls_server_destroy(s);
}

static void test_other_certificate(void **state)
{
    struct tls_cert_file *certs[] = {renewed, both_names};
    struct tls_server *a = fixture_server(workers[0], &shop, 1);
    struct tls_server *b = fixture_server(workers[1], certs, 2);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(resumes(clients[i], a, 0, "shop.example", b, 0, "shop.example"));
        assert_true(resumes(clients[i], b, 0, "shop.example", b, 1, "shop.example"));
    }
    tls_server_destroy(a);
    tls_server_destroy(b);
}

/* RFC 6066, 3: whoever moves a ticket to another name gets a full handshake with its certificate.
 */
static void test_other_name(void **state)
{
    struct tls_server *s = fixture_server(workers[0], &both_names, 1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_false(resumes(clients[i], s, 0, "shop.example", s, 0, "other.example"));
        assert_false(resumes(clients[i], s, 0, "shop.example", s, 0, NULL));
        assert_false(resumes(clients[i], s, 0, NULL, s, 0, "shop.example"));
    }
    tls_server_destroy(s);
}

static void test_other_secret(void **state)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct tls_server *a = tls_server_create(workers[0], &config, NULL), *b;

    (void)state;
    config.tickets.secret[16] ^= 1; /* the authentication key */
    b = tls_server_create(workers[0], &config, NULL);
    for (int i = 0; i < 2; i++)
        assert_false(resumes(clients[i], a, 0, "shop.example", b, 0, "shop.example"));
    tls_server_destroy(b);
    config.tickets.secret[0] ^= 1; /* the key's name */
    b = tls_server_create(workers[0], &config, NULL);
    for (int i = 0; i < 2; i++)
        assert_false(resumes(clients[i], a, 0, "shop.example", b, 0, "shop.example"));
    tls_server_destroy(b);
    tls_server_destroy(a);
}

static void test_one_ticket(void **state)
{
    struct tls_server *s = fixture_server(workers[0], &shop, 1);

    (void)state;
    sessions = 0;
    assert_false(connect_to(s, 0, clients[0], "shop.example", NULL));
    assert_int_equal(sessions, 1);
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), 7200);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    tls_server_destroy(s);
}

/* The version is the session's: a TLS 1.2 ticket does not open a TLS 1.3 connection. */
static void test_other_version(void **state)
{
    struct tls_server *s = fixture_server(workers[0], &shop, 1);
    SSL_SESSION *offer;

    (void)state;
    assert_false(connect_to(s, 0, clients[1], "shop.example", NULL));
    offer = session;
    session = NULL;
    assert_false(connect_to(s, 0, clients[0], "shop.example", offer));
    SSL_SESSION_free(offer);
    tls_server_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_worker),      cmocka_unit_test(test_again),
        cmocka_unit_test(test_other_certificate), cmocka_unit_test(test_other_name),
        cmocka_unit_test(test_other_secret),      cmocka_unit_test(test_one_ticket),
        cmocka_unit_test(test_other_version),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
