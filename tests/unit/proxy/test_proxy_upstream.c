/* Servers to which we speak TLS, and headers for servers: real TLS on both sides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"
#define BULK   (1u << 20)

static struct rig *plain_rig(const char *backend)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: plain", "web") RIG_SPLICE(
        "listener: postgres", "legacy") RIG_TERMINATE("listener: https"));

    rig_backend_tls(r, backend, "server.example");
    return r;
}

/* A client without TLS whose server's handshake is done. */
static struct rig *wrapped_rig(struct sock **client, struct rig_tls *server)
{
    struct rig *r = plain_rig("legacy");

    *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    fake_connected(r->stack->last_connect);
    rig_tls_serve(server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, server));
    return r;
}

/* A client with TLS whose server's handshake is done. */
static struct rig *reencrypted_rig(struct rig_tls *client, struct rig_tls *server)
{
    struct rig *r = plain_rig("web");

    rig_tls_open(client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, client);
    fake_connected(r->stack->last_connect);
    rig_tls_serve(server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, server));
    return r;
}

static void finish(struct rig *r, struct rig_tls *a, struct rig_tls *b)
{
    if (a != NULL)
        rig_tls_free(a);
    if (b != NULL)
        rig_tls_free(b);
    rig_destroy(r);
}

static void expect_text(struct rig_tls *t, const char *text)
{
    char got[256];
    size_t n = rig_tls_read(t, got, sizeof got - 1);

    got[n] = '\0';
    assert_string_equal(got, text);
}

static uint8_t *pattern(size_t len)
{
    uint8_t *p = malloc(len);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 8));
    return p;
}

static void plain_client_reaches_a_tls_server(void **state)
{
    struct rig_tls server;
    struct sock *client;
    struct rig *r = wrapped_rig(&client, &server);

    (void)state;
    rig_send(client, "request");
    rig_settle(r);
    expect_text(&server, "request");
    rig_tls_send(&server, "response", 8);
    rig_settle(r);
    rig_expect(client, "response");
    assert_int_equal(rig_counter(r, bytes_from_clients), 7);
    assert_int_equal(rig_counter(r, bytes_from_backends), 8);
    finish(r, &server, NULL);
}

static void tls_client_reaches_a_tls_server(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    rig_tls_send(&client, "request", 7);
    rig_settle(r);
    expect_text(&server, "request");
    rig_tls_send(&server, "response", 8);
    rig_settle(r);
    expect_text(&client, "response");
    finish(r, &client, &server);
}

static void nothing_of_the_client_goes_before_the_handshake(void **state)
{
    struct rig *r = plain_rig("legacy");
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    struct proxy_record record;
    struct rig_tls server;

    (void)state;
    rig_send(client, "early");
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    assert_int_equal(client->rx.len, 5);
    assert_int_equal(r->stack->last_connect->tx.data[0], 22); /* our ClientHello */
    assert_int_equal(proxy_sessions(r->proxy, 0, &record, 1), 1);
    assert_string_equal(record.state, "connecting");
    rig_tls_serve(&server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, &server));
    expect_text(&server, "early");
    assert_int_equal(proxy_sessions(r->proxy, 0, &record, 1), 1);
    assert_string_equal(record.state, "relay");
    assert_true(record.backend_side.tls.used && record.backend_side.tls.peer_verified);
    assert_string_equal(record.backend_side.tls.version, "TLSv1.3");
    assert_non_null(strstr(record.backend_side.tls.peer, "server"));
    assert_false(record.client_side.tls.used);
    finish(r, &server, NULL);
}

static const char *asked_name(const struct rig_tls *server)
{
    return SSL_get_servername(server->ssl, TLSEXT_NAMETYPE_host_name);
}

static void server_is_asked_for_the_clients_name_where_none_is_configured(void **state)
{
    struct rig *r = rig_create(RIG_TERMINATE("listener: https"));
    struct rig_tls client, server;

    (void)state;
    rig_backend_tls(r, "web", NULL);
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, &client);
    fake_connected(r->stack->last_connect);
    rig_tls_serve(&server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, &server));
    assert_string_equal(asked_name(&server), "shop.example");
    assert_int_equal(rig_counter(r, backend_handshake_failed), 0);
    finish(r, &client, &server);
}

static void server_is_known_by_its_address_where_there_is_no_name(void **state)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: postgres", "legacy"));
    struct sock *client;
    struct rig_tls server;

    (void)state;
    rig_backend_tls(r, "legacy", NULL);
    client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    fake_connected(r->stack->last_connect);
    rig_tls_serve(&server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, &server));
    assert_null(asked_name(&server));
    rig_send(client, "request");
    rig_settle(r);
    expect_text(&server, "request");
    finish(r, &server, NULL);
}

/* ---- ends of streams ---- */

static void ends_pass_through_both_tls_legs(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);
    struct sock *client_sock = client.sock, *server_sock = server.sock;

    (void)state;
    rig_tls_send(&client, "request", 7);
    rig_tls_close_notify(&client);
    rig_settle(r);
    expect_text(&server, "request");
    assert_true(server.closed);
    assert_true(server_sock->fin_sent);
    rig_tls_send(&server, "response", 8);
    rig_tls_close_notify(&server);
    rig_settle(r);
    expect_text(&client, "response");
    assert_true(client.closed);
    assert_int_equal(client_sock->end, FAKE_CLOSED);
    assert_int_equal(server_sock->end, FAKE_CLOSED);
    rig_expect_reason(r, "both sides closed");
    assert_true(r->hooks.record.client_side.tls.used && r->hooks.record.backend_side.tls.used);
    finish(r, &client, &server);
}

static void servers_fin_without_close_notify_resets_the_client(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    rig_tls_send(&server, "half a respo", 12);
    fake_deliver_fin(server.sock);
    rig_settle(r);
    assert_false(client.closed);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(server.sock->end, FAKE_ABORTED);
    rig_log_expect(r, "server closed without close_notify");
    finish(r, &client, &server);
}

static void clients_truncation_resets_the_server(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    rig_tls_send(&client, "half an upl", 11);
    fake_deliver_fin(client.sock);
    rig_settle(r);
    expect_text(&server, "");
    assert_false(server.closed);
    assert_int_equal(server.sock->end, FAKE_ABORTED);
    finish(r, &client, &server);
}

static void servers_reset_resets_the_client(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    fake_error(server.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    rig_expect_reason(r, "server reset");
    assert_int_equal(rig_counter(r, backend_resets), 1);
    finish(r, &client, &server);
}

/* What the server sent before it died still arrives, its end of stream with it. */
static void answer_survives_the_servers_death(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    rig_tls_read(&client, (uint8_t[64]){0}, 64); /* tickets */
    fake_room_set(client.sock, 0);
    rig_tls_send(&server, "response", 8);
    rig_tls_close_notify(&server);
    fake_deliver_fin(server.sock);
    rig_settle(r);
    fake_error(server.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_HELD);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    expect_text(&client, "response");
    assert_true(client.closed);
    fake_deliver_fin(client.sock);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_CLOSED);
    finish(r, &client, &server);
}

/* Half a record and a reset: nothing more can come of it, and nothing may wait for it. */
static void half_a_record_of_a_dead_server_is_not_waited_for(void **state)
{
    static const uint8_t start[] = {23, 3, 3, 1, 0, 1, 2, 3};
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    fake_deliver(server.sock, start, sizeof start);
    fake_deliver_fin(server.sock);
    fake_error(server.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    finish(r, &client, &server);
}

static void bad_record_of_a_server_resets_the_client(void **state)
{
    static const uint8_t record[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6,  7, 8,
                                     9,  1, 2, 3, 4,  5, 6, 7, 8, 9, 10, 11};
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    fake_deliver(server.sock, record, sizeof record);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    rig_log_expect(r, "web: TLS failed: ");
    rig_expect_reason(r, "TLS of the server failed");
    finish(r, &client, &server);
}

/* ---- back-pressure ---- */

static void bulk_through_two_narrow_legs(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);
    uint8_t *sent = pattern(BULK), *up = malloc(BULK), *down = malloc(BULK);
    size_t up_at = 0, down_at = 0;

    (void)state;
    fake_room_set(client.sock, 5000);
    fake_room_set(server.sock, 3000);
    rig_tls_send(&client, sent, BULK);
    rig_tls_close_notify(&client);
    rig_tls_send(&server, sent, BULK);
    rig_tls_close_notify(&server);
    rig_settle(r);
    assert_int_equal(server.sock->tx.len, 3000);
    assert_true(client.sock->rx.len > BULK - 2 * 65536); /* waits where it came in */
    for (unsigned i = 0; i < 2000 && (up_at < BULK || down_at < BULK); i++) {
        up_at += rig_tls_read(&server, up + up_at, BULK - up_at);
        down_at += rig_tls_read(&client, down + down_at, BULK - down_at);
        rig_settle(r);
    }
    assert_int_equal(up_at, BULK);
    assert_int_equal(down_at, BULK);
    assert_memory_equal(up, sent, BULK);
    assert_memory_equal(down, sent, BULK);
    expect_text(&server, "");
    expect_text(&client, "");
    assert_true(server.closed && client.closed);
    free(sent);
    free(up);
    free(down);
    finish(r, &client, &server);
}

static void key_updates_of_the_server_are_answered(void **state)
{
    struct rig_tls client, server;
    struct rig *r = reencrypted_rig(&client, &server);

    (void)state;
    fake_room_set(server.sock, 0);
    assert_int_equal(SSL_key_update(server.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    rig_tls_send(&server, "after the update", 16);
    rig_settle(r);
    fake_room_set(server.sock, 65536);
    rig_settle(r);
    expect_text(&client, "after the update");
    rig_tls_send(&client, "with new keys", 13);
    rig_settle(r);
    expect_text(&server, "with new keys");
    finish(r, &client, &server);
}

/* ---- handshakes that fail ---- */

static void refused_certificate(enum rig_server_cert cert, const char *why)
{
    struct rig *r = plain_rig("legacy");
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT), *backend;
    struct rig_tls server;

    rig_send(client, "secret");
    backend = r->stack->last_connect;
    fake_connected(backend);
    rig_tls_serve(&server, backend, cert);
    rig_tls_accept(r, &server);
    expect_text(&server, "");
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(backend->end, FAKE_CLOSED); /* after the alert */
    assert_int_equal(rig_counter(r, backend_handshake_failed), 1);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    rig_log_expect(r, why);
    finish(r, &server, NULL);
}

static void certificates_are_verified(void **state)
{
    (void)state;
    refused_certificate(RIG_SERVER_OTHER_NAME, "other.example");
    refused_certificate(RIG_SERVER_EXPIRED, "expired");
    refused_certificate(RIG_SERVER_STRANGER, "legacy: no server answers: 10.0.0.20:443: TLS "
                                             "handshake: ");
}

static void failed_handshake_goes_to_the_next_server(void **state)
{
    struct rig *r = plain_rig("web");
    struct sock *client = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT), *first = r->stack->last_connect;
    struct rig_tls bad, good;

    (void)state;
    rig_send(client, "request");
    fake_connected(first);
    rig_tls_serve(&bad, first, RIG_SERVER_EXPIRED);
    rig_tls_accept(r, &bad);
    assert_int_equal(r->stack->connects, 2);
    fake_connected(r->stack->last_connect);
    rig_tls_serve(&good, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, &good));
    expect_text(&good, "request");
    assert_int_equal(rig_counter(r, backend_handshake_failed), 1);
    assert_int_equal(rig_counter(r, backend_retries), 1);
    rig_log_expect(r, "web: 10.0.0.11:8080: TLS handshake: ");
    finish(r, &bad, &good);
}

/* Sessions whose servers all show certificates for another name. */
static unsigned ejections_by_wrong_names(const char *server_name, const char *asked)
{
    struct rig *r = rig_create(RIG_TERMINATE("listener: https"));
    struct rig_tls client, server;
    unsigned ejected;

    rig_backend(r, "web")->ejection =
        (struct policy_ejection){.enabled = true, .failures = 1, .time = 30 * CLOCK_SEC};
    rig_backend_tls(r, "web", server_name);
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), asked);
    rig_tls_handshake(r, &client);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(r->stack->connects, i);
        fake_connected(r->stack->last_connect);
        rig_tls_serve(&server, r->stack->last_connect, RIG_SERVER_OTHER_NAME);
        rig_tls_accept(r, &server);
        rig_tls_free(&server);
    }
    assert_int_equal(rig_counter(r, backend_handshake_failed), 3);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    ejected = (unsigned)rig_counter(r, servers_ejected);
    finish(r, &client, NULL);
    return ejected;
}

static void names_that_clients_choose_eject_no_server(void **state)
{
    (void)state;
    assert_int_equal(ejections_by_wrong_names("server.example", "shop.example"), 2);
    assert_int_equal(ejections_by_wrong_names(NULL, "nobody.shop.example"), 0);
}

static void server_without_tls_is_a_failed_one(void **state)
{
    struct rig *r = plain_rig("legacy");
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);

    (void)state;
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_send(r->stack->last_connect, "220 mail.example ESMTP\r\n");
    rig_settle(r);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_log_expect(r, "220 mail.example");
    rig_destroy(r);
}

static void server_that_dies_in_its_handshake_is_a_failed_one(void **state)
{
    struct rig *r = plain_rig("web");
    struct sock *client = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);

    (void)state;
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    fake_error(r->stack->last_connect, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(r->stack->connects, 2);
    rig_log_expect(r, "10.0.0.11:8080: TLS handshake: connection reset; trying the next server");
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    fake_deliver_fin(r->stack->last_connect);
    rig_settle(r);
    assert_int_equal(r->stack->connects, 3);
    assert_int_equal(rig_counter(r, backend_handshake_failed), 2);
    assert_int_equal(client->end, FAKE_HELD);
    rig_destroy(r);
}

/* Between the bytes that queued it and its turn. */
static void server_that_dies_before_its_turn_is_a_failed_one(void **state)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS, .handshake_budget = 1};
    struct rig *r = rig_create_with(&settings, RIG_SPLICE("listener: plain", "web"));
    struct sock *backends[3];

    (void)state;
    rig_backend_tls(r, "web", "server.example");
    for (unsigned i = 0; i < 3; i++) {
        rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
        backends[i] = r->stack->last_connect;
    }
    for (unsigned i = 0; i < 3; i++)
        fake_connected(backends[i]);
    rig_round(r); /* one of the three has its turn */
    for (unsigned i = 0; i < 3; i++)
        fake_error(backends[i], SOCK_RESET);
    rig_settle(r);
    assert_int_equal(rig_counter(r, backend_handshake_failed), 3);
    assert_int_equal(r->stack->connects, 6);
    assert_int_equal(proxy_session_count(r->proxy), 3);
    rig_destroy(r);
}

static void servers_handshake_has_a_deadline(void **state)
{
    struct rig *r = plain_rig("legacy");
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);

    (void)state;
    fake_connected(r->stack->last_connect);
    rig_advance(r, 9 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_timeout_handshake), 1);
    rig_log_expect(r, "TLS handshake: not finished in time");
    rig_destroy(r);
}

static void client_reset_gives_the_handshake_up(void **state)
{
    struct rig *r = plain_rig("legacy");
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);

    (void)state;
    fake_connected(r->stack->last_connect);
    rig_round(r);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(r->stack->last_connect->end, FAKE_ABORTED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    rig_destroy(r);
}

/* ---- headers for servers ---- */

static void server_gets_the_clients_address(void **state)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: plain", "web"));
    struct sock *client;

    (void)state;
    rig_backend(r, "web")->proxy_protocol = POLICY_PROXY_V1;
    client = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
    rig_send(client, "request");
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "PROXY TCP4 198.51.100.7 192.0.2.10 40112 80\r\nrequest");
    assert_int_equal(rig_counter(r, bytes_from_clients), 7);
    rig_destroy(r);
}

static void header_to_the_server_precedes_its_tls_and_tells_of_the_clients(void **state)
{
    struct rig *r = plain_rig("web");
    struct rig_tls client, server;
    uint8_t header[256];
    size_t len;

    (void)state;
    rig_backend(r, "web")->proxy_protocol = POLICY_PROXY_V2;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, &client);
    fake_connected(r->stack->last_connect);
    rig_round(r);
    assert_true(r->stack->last_connect->tx.len > 16);
    len = 16 +
          (size_t)(r->stack->last_connect->tx.data[14] << 8 | r->stack->last_connect->tx.data[15]);
    assert_in_range(len, 28, sizeof header);
    assert_int_equal(fake_take(r->stack->last_connect, header, len), len);
    assert_memory_equal(header, "\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
    assert_memory_equal(header + 16, "\xc6\x33\x64\x07\xc0\x00\x02\x0a\x9c\xb0\x01\xbb", 12);
    assert_non_null(memmem(header, len, "shop.example", 12));
    assert_non_null(memmem(header, len, "TLSv1.3", 7));
    rig_tls_serve(&server, r->stack->last_connect, RIG_SERVER_GOOD);
    assert_true(rig_tls_accept(r, &server));
    finish(r, &client, &server);
}

static void each_server_that_is_tried_gets_its_header(void **state)
{
    struct rig *r = plain_rig("web");

    (void)state;
    rig_backend(r, "web")->proxy_protocol = POLICY_PROXY_V1;
    rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
    for (unsigned i = 0; i < 3; i++) {
        struct sock *backend = r->stack->last_connect;
        char got[64] = "";

        fake_connected(backend);
        rig_settle(r);
        fake_take(backend, got, 6);
        assert_string_equal(got, "PROXY ");
        fake_error(backend, SOCK_RESET);
        rig_settle(r);
    }
    assert_int_equal(proxy_session_count(r->proxy), 0);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_client_reaches_a_tls_server),
        cmocka_unit_test(tls_client_reaches_a_tls_server),
        cmocka_unit_test(nothing_of_the_client_goes_before_the_handshake),
        cmocka_unit_test(server_is_asked_for_the_clients_name_where_none_is_configured),
        cmocka_unit_test(server_is_known_by_its_address_where_there_is_no_name),
        cmocka_unit_test(ends_pass_through_both_tls_legs),
        cmocka_unit_test(servers_fin_without_close_notify_resets_the_client),
        cmocka_unit_test(clients_truncation_resets_the_server),
        cmocka_unit_test(servers_reset_resets_the_client),
        cmocka_unit_test(answer_survives_the_servers_death),
        cmocka_unit_test(half_a_record_of_a_dead_server_is_not_waited_for),
        cmocka_unit_test(bad_record_of_a_server_resets_the_client),
        cmocka_unit_test(bulk_through_two_narrow_legs),
        cmocka_unit_test(key_updates_of_the_server_are_answered),
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(failed_handshake_goes_to_the_next_server),
        cmocka_unit_test(names_that_clients_choose_eject_no_server),
        cmocka_unit_test(server_without_tls_is_a_failed_one),
        cmocka_unit_test(server_that_dies_in_its_handshake_is_a_failed_one),
        cmocka_unit_test(server_that_dies_before_its_turn_is_a_failed_one),
        cmocka_unit_test(servers_handshake_has_a_deadline),
        cmocka_unit_test(client_reset_gives_the_handshake_up),
        cmocka_unit_test(server_gets_the_clients_address),
        cmocka_unit_test(header_to_the_server_precedes_its_tls_and_tells_of_the_clients),
        cmocka_unit_test(each_server_that_is_tried_gets_its_header),
    };

    return cmocka_run_group_tests_name("proxy_upstream", tests, rig_group_setup,
                                       rig_group_teardown);
}
