/* Terminated sessions, with real TLS clients: handshake and its budget, records, ends of streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"
#define BULK   (1u << 20)

static struct rig *tls_rig(void)
{
    return rig_create(RIG_TERMINATE("listener: https"));
}

/* A client whose handshake is done and whose server has answered. */
static struct rig *relay_rig(struct rig_tls *client, struct sock **backend)
{
    struct rig *r = tls_rig();

    rig_tls_open(client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, client);
    *backend = r->stack->last_connect;
    assert_non_null(*backend);
    fake_connected(*backend);
    rig_settle(r);
    return r;
}

static void finish(struct rig *r, struct rig_tls *client)
{
    rig_tls_free(client);
    rig_destroy(r);
}

static void expect_text(struct rig_tls *client, const char *text)
{
    char got[256];
    size_t n = rig_tls_read(client, got, sizeof got - 1);

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

static void server_is_not_bothered_before_the_handshake_is_done(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_settle(r);
    assert_true(client.sock->tx.len > 0); /* ServerHello and what follows */
    assert_int_equal(r->stack->connects, 0);
    rig_tls_handshake(r, &client);
    assert_int_equal(r->stack->connects, 1);
    assert_int_equal(rig_counter(r, sessions_terminated), 1);
    finish(r, &client);
}

static void request_and_answer(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_tls_send(&client, "request", 7);
    rig_settle(r);
    rig_expect(backend, "request");
    rig_send(backend, "response");
    rig_settle(r);
    expect_text(&client, "response");
    assert_int_equal(rig_counter(r, bytes_from_clients), 7);
    assert_int_equal(rig_counter(r, bytes_from_backends), 8);
    finish(r, &client);
}

static void request_sent_before_the_server_answers(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, &client);
    rig_tls_send(&client, "early", 5);
    rig_settle(r);
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "early");
    finish(r, &client);
}

static void client_ends_first_with_close_notify(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_tls_send(&client, "request", 7);
    rig_tls_close_notify(&client);
    rig_settle(r);
    rig_expect(backend, "request");
    assert_true(backend->fin_sent);
    rig_send(backend, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    expect_text(&client, "response");
    assert_true(client.closed);
    assert_int_equal(client.sock->end, FAKE_CLOSED);
    assert_int_equal(backend->end, FAKE_CLOSED);
    assert_string_equal(r->hooks.record.client_side.tls.version, "TLSv1.3");
    finish(r, &client);
}

static void server_ends_first(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(backend, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    expect_text(&client, "response");
    assert_true(client.closed);
    assert_true(client.sock->fin_sent);
    assert_int_equal(backend->end, FAKE_HELD);
    rig_tls_send(&client, "still sending", 13);
    rig_tls_close_notify(&client);
    rig_settle(r);
    rig_expect(backend, "still sending");
    assert_int_equal(client.sock->end, FAKE_CLOSED);
    assert_int_equal(backend->end, FAKE_CLOSED);
    finish(r, &client);
}

static void truncated_request_does_not_look_complete(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_tls_send(&client, "half an upl", 11);
    fake_deliver_fin(client.sock); /* no close_notify */
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_false(backend->fin_sent);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(r->hooks.record.from_client, 11);
    rig_expect_reason(r, "client closed without close_notify");
    finish(r, &client);
}

static void truncated_answer_does_not_look_complete(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(backend, "half a respo");
    rig_settle(r);
    expect_text(&client, "half a respo");
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    expect_text(&client, "");
    assert_false(client.closed);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    finish(r, &client);
}

static void no_server_answers(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_tls_handshake(r, &client);
    for (unsigned i = 0; i < 3; i++) {
        fake_error(r->stack->last_connect, SOCK_REFUSED);
        rig_settle(r);
    }
    expect_text(&client, "");
    assert_false(client.closed);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    finish(r, &client);
}

static void bulk_down_through_a_narrow_client(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(BULK), *got = malloc(BULK);
    size_t at = 0;

    (void)state;
    fake_room_set(client.sock, 5000);
    fake_deliver(backend, sent, BULK);
    fake_deliver_fin(backend);
    rig_settle(r);
    assert_int_equal(client.sock->tx.len, 5000);
    assert_in_range(backend->rx.len, BULK - 16384, BULK); /* at most one record is in work */
    while (at < BULK) {
        size_t n = rig_tls_read(&client, got + at, BULK - at);

        at += n;
        rig_settle(r);
        assert_true(n > 0 || client.sock->tx.len > 0);
    }
    assert_memory_equal(got, sent, BULK);
    expect_text(&client, "");
    assert_true(client.closed);
    free(sent);
    free(got);
    finish(r, &client);
}

static void bulk_up_to_a_narrow_server(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(BULK), *got = malloc(BULK);
    size_t at = 0;

    (void)state;
    fake_room_set(backend, 3000);
    rig_tls_send(&client, sent, BULK);
    rig_tls_close_notify(&client);
    rig_settle(r);
    assert_int_equal(backend->tx.len, 3000);
    assert_true(client.sock->rx.len > BULK - 65536); /* ciphertext waits where it came in */
    while (at < BULK) {
        assert_false(backend->fin_sent && backend->tx.len == 0);
        at += fake_take(backend, got + at, 1 + at % 2999);
        rig_settle(r);
    }
    assert_memory_equal(got, sent, BULK);
    assert_true(backend->fin_sent);
    free(sent);
    free(got);
    finish(r, &client);
}

static void bulk_flow_yields(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(BULK);

    (void)state;
    fake_room_set(client.sock, 2 * BULK);
    fake_deliver(backend, sent, BULK);
    rig_round(r);
    assert_in_range(BULK - backend->rx.len, 1, 2 * 65536);
    assert_true(proxy_deadline(r->proxy) <= r->now);
    rig_settle(r);
    assert_int_equal(backend->rx.len, 0);
    free(sent);
    finish(r, &client);
}

/* The rest of a record waits inside OpenSSL, and no event of the client will come for it. */
static void record_larger_than_the_room_arrives_whole(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(10000), got[10000];
    size_t at = 0;

    (void)state;
    fake_room_set(backend, 1000);
    rig_tls_send(&client, sent, sizeof got);
    for (unsigned i = 0; i < 10; i++) {
        rig_settle(r);
        at += fake_take(backend, got + at, 1000);
    }
    assert_int_equal(at, sizeof got);
    assert_memory_equal(got, sent, sizeof got);
    free(sent);
    finish(r, &client);
}

static void bulk_upload_yields(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(BULK);

    (void)state;
    fake_room_set(backend, 2 * BULK);
    rig_tls_send(&client, sent, BULK);
    rig_round(r);
    assert_in_range(backend->tx.len, 1, 2 * 65536);
    assert_true(proxy_deadline(r->proxy) <= r->now);
    rig_settle(r); /* without another event */
    assert_int_equal(backend->tx.len, BULK);
    assert_memory_equal(backend->tx.data, sent, BULK);
    free(sent);
    finish(r, &client);
}

static void bytes_that_follow_a_blocked_record_are_not_lost(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(client.sock, 0);
    rig_send(backend, "one, ");
    rig_settle(r);
    rig_send(backend, "two");
    rig_settle(r);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    expect_text(&client, "one, two");
    finish(r, &client);
}

static void close_notify_waits_for_room(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(client.sock, 0);
    fake_deliver_fin(backend);
    rig_settle(r);
    assert_false(client.sock->fin_sent);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    assert_true(client.sock->fin_sent);
    expect_text(&client, "");
    assert_true(client.closed);
    finish(r, &client);
}

static void close_notify_still_goes_out_after_the_server_died(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(client.sock, 0);
    rig_send(backend, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    expect_text(&client, "response");
    assert_true(client.closed);
    fake_deliver_fin(client.sock);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_CLOSED);
    finish(r, &client);
}

static void lone_end_of_stream_still_goes_out_after_the_server_died(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(client.sock, 0);
    fake_deliver_fin(backend);
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_HELD);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    expect_text(&client, "");
    assert_true(client.closed);
    finish(r, &client);
}

static void key_update_that_finds_no_room_is_answered_later(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(client.sock, 0);
    assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    rig_tls_send(&client, "after the update", 16);
    rig_settle(r);
    fake_room_set(client.sock, 65536);
    rig_settle(r);
    rig_expect(backend, "after the update");
    rig_send(backend, "with new keys");
    rig_settle(r);
    expect_text(&client, "with new keys");
    finish(r, &client);
}

static void bad_record_is_answered_with_an_alert(void **state)
{
    static const uint8_t record[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6,  7, 8,
                                     9,  1, 2, 3, 4,  5, 6, 7, 8, 9, 10, 11};
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    expect_text(&client, "");
    fake_deliver(client.sock, record, sizeof record);
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_true(client.sock->tx.len > 0); /* the alert */
    assert_true(client.sock->fin_sent);
    rig_log_expect(r, "198.51.100.7:40112 -> https: TLS failed: ");
    fake_deliver_fin(client.sock);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_CLOSED);
    finish(r, &client);
}

static void client_reset_with_a_record_half_written(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);
    uint8_t *sent = pattern(BULK);

    (void)state;
    fake_room_set(client.sock, 1000);
    fake_deliver(backend, sent, BULK);
    rig_settle(r);
    fake_error(client.sock, SOCK_RESET);
    fake_deliver(backend, sent, 10); /* both in one round */
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    free(sent);
    finish(r, &client);
}

/* The server's event comes first, and finds the client's socket dead. */
static void write_to_a_dead_client_leaves_the_verdict_to_its_event(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_log(r);
    rig_send(backend, "response");
    fake_error(client.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(rig_counter(r, client_resets), 1);
    rig_expect_reason(r, "client reset");
    finish(r, &client);
}

static void bytes_wait_when_packet_buffers_run_out(void **state)
{
    struct rig_tls client;
    struct sock *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    backend->short_write = true;
    rig_tls_send(&client, "request", 7);
    rig_settle(r);
    fake_room_set(backend, 65536); /* the event that was promised */
    rig_settle(r);
    rig_expect(backend, "request");
    finish(r, &client);
}

static void failed_handshake_says_why(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_settle(r);
    rig_send(client.sock, "not a record at all");
    rig_settle(r);
    assert_true(client.sock->fin_sent);
    rig_log_expect(r, "198.51.100.7:40112 -> https: handshake failed (for shop.example): ");
    assert_int_equal(r->stack->connects, 0);
    rig_settle(r);
    fake_deliver_fin(client.sock);
    rig_settle(r);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    finish(r, &client);
}

static void hello_in_tiny_records_is_taken(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;
    uint8_t hello[4096];
    int len;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    len = BIO_read(SSL_get_wbio(client.ssl), hello, sizeof hello);
    for (int i = 5; i < len; i += 2) {
        const uint8_t header[] = {22, 3, 1, 0, (uint8_t)(i + 1 < len ? 2 : 1)};

        fake_deliver(client.sock, header, sizeof header);
        fake_deliver(client.sock, hello + i, header[4]);
        rig_settle(r);
    }
    rig_tls_handshake(r, &client);
    assert_int_equal(r->stack->connects, 1);
    finish(r, &client);
}

static void client_leaves_in_the_handshake(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_settle(r);
    fake_deliver_fin(client.sock);
    rig_settle(r);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    rig_log_expect(r, "handshake failed (for shop.example): ");
    rig_tls_free(&client);

    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_settle(r);
    fake_error(client.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    assert_int_equal(rig_counter(r, client_resets), 1);
    rig_log_expect(r, "client reset the connection during the handshake");
    finish(r, &client);
}

/* ---- the budget ---- */

#define CROWD 8

static unsigned answered(const struct rig_tls *crowd)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CROWD; i++)
        n += crowd[i].sock->tx.len > 0;
    return n;
}

static void crowd_says_hello(struct rig *r, struct rig_tls *crowd)
{
    char remote[32];

    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(remote, sizeof remote, "198.51.100.9:%u", 1000 + i);
        rig_tls_open(&crowd[i], rig_client(r, RIG_HTTPS_ADDRESS, remote), "shop.example");
        SSL_do_handshake(crowd[i].ssl);
    }
    for (unsigned i = 0; i < CROWD; i++)
        rig_tls_pump(&crowd[i]);
}

static void handshakes_are_budgeted_and_others_go_first(void **state)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS, .handshake_budget = 1};
    struct rig *r = rig_create_with(&settings, RIG_TERMINATE("listener: https")
                                                   RIG_SPLICE("listener: postgres", "legacy"));
    struct rig_tls crowd[CROWD];
    struct sock *plain = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    struct sock *backend = r->stack->last_connect;

    (void)state;
    fake_connected(backend);
    rig_settle(r);
    crowd_says_hello(r, crowd);
    rig_send(plain, "established");
    rig_round(r);
    rig_expect(backend, "established");
    for (unsigned i = 1; i < CROWD; i++) {
        assert_int_equal(answered(crowd), i); /* one step a round, in the order of arrival */
        assert_true(crowd[i - 1].sock->tx.len > 0);
        assert_true(proxy_deadline(r->proxy) <= r->now);
        fake_raise(crowd[CROWD - 1].sock, EVENT_READABLE); /* does not change its place */
        rig_round(r);
    }
    assert_int_equal(answered(crowd), CROWD);
    assert_int_equal(rig_counter(r, handshakes_deferred), CROWD - 1);
    for (unsigned i = 0; i < CROWD; i++) {
        rig_tls_handshake(r, &crowd[i]);
        rig_tls_free(&crowd[i]);
    }
    rig_destroy(r);
}

/* Half-open handshakes are bounded: who has owed its answer longest makes room. */
static void oldest_half_open_handshake_gives_way(void **state)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS, .max_handshakes = CROWD};
    struct rig *r = rig_create_with(&settings, RIG_TERMINATE("listener: https"));
    struct rig_tls crowd[CROWD], late;

    (void)state;
    crowd_says_hello(r, crowd);
    rig_settle(r);
    assert_int_equal(answered(crowd), CROWD);
    rig_tls_open(&late, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(late.ssl);
    rig_tls_pump(&late);
    rig_settle(r);
    assert_int_equal(rig_counter(r, handshakes_evicted), 1);
    rig_log_expect(r, "more than 8 are unfinished");
    assert_int_equal(crowd[0].sock->end, FAKE_ABORTED);
    assert_int_equal(crowd[1].sock->end, FAKE_HELD);
    rig_tls_handshake(r, &late);
    for (unsigned i = 0; i < CROWD; i++)
        rig_tls_free(&crowd[i]);
    rig_tls_free(&late);
    rig_destroy(r);
}

/* When all wait for us and none for its client, the newest is refused, with an alert. */
static void handshakes_that_wait_for_us_are_not_evicted(void **state)
{
    const struct proxy_config settings = {
        .max_sessions = RIG_SESSIONS, .max_handshakes = 2, .handshake_budget = 1};
    struct rig *r = rig_create_with(&settings, RIG_TERMINATE("listener: https"));
    struct rig_tls crowd[CROWD];

    (void)state;
    crowd_says_hello(r, crowd);
    rig_round(r);
    assert_int_equal(rig_counter(r, handshakes_refused), CROWD - 2);
    rig_log_expect(r, "TLS handshake refused: 2 are at work already");
    assert_int_equal(rig_counter(r, handshakes_evicted), 0);
    rig_settle(r);
    rig_tls_handshake(r, &crowd[0]);
    rig_tls_handshake(r, &crowd[1]);
    for (unsigned i = 0; i < CROWD; i++)
        rig_tls_free(&crowd[i]);
    rig_destroy(r);
}

static void default_budget_runs_a_few_steps_a_round(void **state)
{
    struct rig *r = tls_rig();
    struct rig_tls crowd[CROWD];

    (void)state;
    crowd_says_hello(r, crowd);
    rig_round(r);
    assert_in_range(answered(crowd), 2, CROWD - 1);
    for (unsigned i = 0; i < CROWD; i++)
        fake_error(crowd[i].sock, SOCK_RESET); /* the queued ones leave the queue */
    rig_settle(r);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    for (unsigned i = 0; i < CROWD; i++)
        rig_tls_free(&crowd[i]);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_is_not_bothered_before_the_handshake_is_done),
        cmocka_unit_test(request_and_answer),
        cmocka_unit_test(request_sent_before_the_server_answers),
        cmocka_unit_test(client_ends_first_with_close_notify),
        cmocka_unit_test(server_ends_first),
        cmocka_unit_test(truncated_request_does_not_look_complete),
        cmocka_unit_test(truncated_answer_does_not_look_complete),
        cmocka_unit_test(no_server_answers),
        cmocka_unit_test(bulk_down_through_a_narrow_client),
        cmocka_unit_test(bulk_up_to_a_narrow_server),
        cmocka_unit_test(bulk_flow_yields),
        cmocka_unit_test(record_larger_than_the_room_arrives_whole),
        cmocka_unit_test(bulk_upload_yields),
        cmocka_unit_test(bytes_that_follow_a_blocked_record_are_not_lost),
        cmocka_unit_test(close_notify_waits_for_room),
        cmocka_unit_test(close_notify_still_goes_out_after_the_server_died),
        cmocka_unit_test(lone_end_of_stream_still_goes_out_after_the_server_died),
        cmocka_unit_test(key_update_that_finds_no_room_is_answered_later),
        cmocka_unit_test(bad_record_is_answered_with_an_alert),
        cmocka_unit_test(client_reset_with_a_record_half_written),
        cmocka_unit_test(write_to_a_dead_client_leaves_the_verdict_to_its_event),
        cmocka_unit_test(bytes_wait_when_packet_buffers_run_out),
        cmocka_unit_test(failed_handshake_says_why),
        cmocka_unit_test(hello_in_tiny_records_is_taken),
        cmocka_unit_test(client_leaves_in_the_handshake),
        cmocka_unit_test(handshakes_are_budgeted_and_others_go_first),
        cmocka_unit_test(oldest_half_open_handshake_gives_way),
        cmocka_unit_test(handshakes_that_wait_for_us_are_not_evicted),
        cmocka_unit_test(default_budget_runs_a_few_steps_a_round),
    };

    return cmocka_run_group_tests_name("proxy_tls", tests, rig_group_setup, rig_group_teardown);
}
