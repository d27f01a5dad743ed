/*
 * Session tickets: good on every worker and in every SSL_CTX of one secret, for one name only, and
 * for as long as their keys.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
        workers[i] = fixture_worker();
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
    /* OpenSSL's client does not tell of a TLS 1.2 session that was resumed and renewed. */
    if (session == NULL)
        session = SSL_get1_session(p.client);
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

/* ---- keys and time ---- */

#define ROTATION 3600

static struct tls_server *server_of(int worker, uint8_t secret)
{
    struct tls_server_config config = fixture_server_config(&shop, 1);
    struct tls_server *s;

    memset(config.tickets.secret, secret, sizeof config.tickets.secret);
    config.tickets.rotation = ROTATION;
    s = tls_server_create(workers[worker], &config, NULL);
    assert_non_null(s);
    return s;
}

/* A ticket that `a` made at `made`, shown to `b` at `shown` (seconds from an epoch's start). */
static bool opens(SSL_CTX *client, struct tls_server *a, time_t made, struct tls_server *b,
                  time_t shown)
{
    time_t start = FIXTURE_NOW / ROTATION * ROTATION;
    SSL_SESSION *offer;
    bool resumed;

    fixture_now = start + made;
    assert_false(connect_to(a, 0, client, "shop.example", NULL));
    offer = session;
    session = NULL;
    fixture_now = start + shown;
    resumed = connect_to(b, 0, client, "shop.example", offer);
    SSL_SESSION_free(offer);
    fixture_now = FIXTURE_NOW;
    return resumed;
}

/* Two machines with one secret: the same epoch's key, the former's, and the next one's. */
static void test_epochs(void **state)
{
    struct tls_server *a = server_of(0, 1), *b = server_of(1, 1), *other = server_of(1, 2);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(opens(clients[i], a, 0, b, ROTATION - 1));
        assert_true(opens(clients[i], a, 0, b, ROTATION));
        assert_true(opens(clients[i], a, 0, b, 2 * ROTATION - 1));
        assert_false(opens(clients[i], a, 0, b, 2 * ROTATION));
        assert_true(opens(clients[i], a, ROTATION, b, ROTATION - 1));
        assert_true(opens(clients[i], a, ROTATION, b, 0));
        assert_false(opens(clients[i], a, ROTATION, b, -1));
        assert_false(opens(clients[i], a, 0, other, 0));
    }
    tls_server_destroy(a);
    tls_server_destroy(b);
    tls_server_destroy(other);
}

/* A ticket opened with the former key is replaced by one of the current key. */
static void test_renewed(void **state)
{
    struct tls_server *s = server_of(0, 1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture_now = FIXTURE_NOW;
        assert_false(connect_to(s, 0, clients[i], "shop.example", NULL));
        for (int epoch = 0; epoch < 5; epoch++) {
            SSL_SESSION *offer = session;

            session = NULL;
            fixture_now += ROTATION;
            assert_true(connect_to(s, 0, clients[i], "shop.example", offer));
            assert_non_null(session);
            SSL_SESSION_free(offer);
        }
    }
    fixture_now = FIXTURE_NOW;
    tls_server_destroy(s);
}

/* However often it is renewed, a session ends a day after its full handshake. */
static void test_chain_ends(void **state)
{
    struct tls_server *s = server_of(0, 1);
    unsigned resumptions;

    (void)state;
    for (int i = 0; i < 2; i++) {
        bool resumed = connect_to(s, 0, clients[i], "shop.example", NULL);

        assert_false(resumed);
        for (resumptions = 0; resumptions < 30; resumptions++) {
            SSL_SESSION *offer = session;

            session = NULL;
            fixture_now += ROTATION;
            resumed = connect_to(s, 0, clients[i], "shop.example", offer);
            SSL_SESSION_free(offer);
            if (!resumed)
                break;
        }
        assert_int_equal(resumptions, 24);
        fixture_now = FIXTURE_NOW;
    }
    tls_server_destroy(s);
}

/* The key of a ticket lasts as long as the ticket. */
static void test_short_rotation(void **state)
{
    struct tls_server *s = server_of(0, 1);

    (void)state;
    assert_false(connect_to(s, 0, clients[0], "shop.example", NULL));
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), ROTATION);
    tls_server_destroy(s);
}

/* ---- the secret's file ---- */

static int load_secret(const char *file, mode_t mode, uint8_t *out, struct error *e)
{
    char path[FIXTURE_PATH_MAX];

    chmod(fixture_path(file, path), mode);
    *e = (struct error){0};
    return tls_ticket_secret_load(path, out, e);
}

static void test_secret_file(void **state)
{
    uint8_t a[TLS_TICKET_SECRET_LEN], b[TLS_TICKET_SECRET_LEN], bytes[4096];
    struct error e;

    (void)state;
    memset(bytes, 7, sizeof bytes);
    fixture_write("one", bytes, 32);
    fixture_write("same", bytes, 32);
    fixture_write("longer", bytes, 33);
    fixture_write("longest", bytes, sizeof bytes);
    assert_int_equal(load_secret("one", 0600, a, &e), 0);
    assert_int_equal(load_secret("same", 0400, b, &e), 0);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(load_secret("longer", 0600, b, &e), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(load_secret("longest", 0600, b, &e), 0);
    /* All of it depends on the file. */
    assert_memory_not_equal(a, bytes, 32);
    assert_memory_not_equal(a + 40, b + 40, 40);
}

static void assert_secret_refused(const char *file, mode_t mode, const char *why)
{
    uint8_t out[TLS_TICKET_SECRET_LEN];
    struct error e;

    assert_int_equal(load_secret(file, mode, out, &e), -1);
    fixture_assert_contains(e.text, file);
    fixture_assert_contains(e.text, why);
}

static void test_secret_file_refused(void **state)
{
    static const uint8_t bytes[4097];
    char path[FIXTURE_PATH_MAX];

    (void)state;
    fixture_write("secret", bytes, 80);
    fixture_write("short", bytes, 31);
    fixture_write("empty", bytes, 0);
    fixture_write("long", bytes, 4097);
    assert_int_equal(mkfifo(fixture_path("fifo", path), 0600), 0);
    assert_secret_refused("short", 0600, "has 31 bytes; a ticket secret has 32 to 4096");
    assert_secret_refused("empty", 0600, "has 0 bytes");
    assert_secret_refused("long", 0600, "has 4097 bytes");
    assert_secret_refused("secret", 0640, "can be read by others (mode 0640): chmod 600 it");
    assert_secret_refused("secret", 0604, "can be read by others (mode 0604)");
    assert_secret_refused("fifo", 0600, "not a regular file");
    assert_secret_refused("missing", 0600, "No such file");
    assert_secret_refused(".", 0700, "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_worker),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_other_certificate),
        cmocka_unit_test(test_other_name),
        cmocka_unit_test(test_other_secret),
        cmocka_unit_test(test_one_ticket),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_renewed),
        cmocka_unit_test(test_chain_ends),
        cmocka_unit_test(test_short_rotation),
        cmocka_unit_test(test_secret_file),
        cmocka_unit_test(test_secret_file_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
