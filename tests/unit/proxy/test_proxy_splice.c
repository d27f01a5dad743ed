/* The relay without TLS: bytes, half-close, resets, back-pressure, turns. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"

static struct rig *relay_rig(struct sock **client, struct sock **backend)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: postgres", "legacy"));

    *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    *backend = r->stack->last_connect;
    assert_non_null(*backend);
    fake_connected(*backend);
    rig_settle(r);
    return r;
}

static void ended(struct rig *r, struct sock *client, enum fake_end client_end,
                  struct sock *backend, enum fake_end backend_end)
{
    assert_int_equal(proxy_session_count(r->proxy), 0);
    assert_int_equal(rig_counter(r, sessions_closed), rig_counter(r, sessions_opened));
    assert_int_equal(client->end, client_end);
    assert_int_equal(backend->end, backend_end);
}

static void bytes_pass_both_ways(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(client, "request");
    rig_send(backend, "response");
    rig_settle(r);
    rig_expect(backend, "request");
    rig_expect(client, "response");
    assert_int_equal(rig_counter(r, bytes_from_clients), 7);
    assert_int_equal(rig_counter(r, bytes_from_backends), 8);
    rig_destroy(r);
}

static void client_half_closes_first(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(client, "request");
    fake_deliver_fin(client);
    rig_settle(r);
    rig_expect(backend, "request");
    assert_true(backend->fin_sent);
    assert_false(client->fin_sent);
    rig_send(backend, "response");
    rig_settle(r);
    rig_expect(client, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    assert_true(client->fin_sent);
    ended(r, client, FAKE_CLOSED, backend, FAKE_CLOSED);
    assert_int_equal(r->hooks.record.from_client, 7);
    assert_int_equal(r->hooks.record.from_backend, 8);
    rig_expect_reason(r, "both sides closed");
    rig_destroy(r);
}

static void server_half_closes_first(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(backend, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    assert_true(client->fin_sent);
    assert_false(backend->fin_sent);
    rig_send(client, "more");
    fake_deliver_fin(client);
    rig_settle(r);
    rig_expect(backend, "more");
    rig_expect(client, "response");
    ended(r, client, FAKE_CLOSED, backend, FAKE_CLOSED);
    rig_destroy(r);
}

static void fin_waits_behind_bytes_that_do_not_fit(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);
    static char sent[50000], got[50000];

    (void)state;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7);
    fake_room_set(client, 8000);
    fake_deliver(backend, sent, sizeof sent);
    fake_deliver_fin(backend);
    rig_settle(r);
    assert_int_equal(client->tx.len, 8000);
    assert_int_equal(backend->rx.len, sizeof sent - 8000); /* waits where it came in */
    for (size_t at = 0; at < sizeof sent;) {
        assert_false(client->fin_sent && client->tx.len == 0);
        at += fake_take(client, got + at, 1000 + at % 4096);
        rig_settle(r);
    }
    assert_memory_equal(got, sent, sizeof sent);
    assert_true(client->fin_sent);
    rig_destroy(r);
}

static void client_reset_aborts_the_server(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(client, "half a requ");
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    ended(r, client, FAKE_ABORTED, backend, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, client_resets), 1);
    rig_destroy(r);
}

static void client_reset_after_its_end_leaves_the_server_a_whole_request(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(client, "request");
    fake_deliver_fin(client);
    rig_settle(r);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    rig_expect(backend, "request");
    ended(r, client, FAKE_ABORTED, backend, FAKE_CLOSED);
    rig_destroy(r);
}

static void server_reset_aborts_the_client(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(backend, "half a respo");
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    ended(r, client, FAKE_ABORTED, backend, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_resets), 1);
    rig_destroy(r);
}

static void vanished_peers_are_told_apart_in_the_log(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_error(backend, SOCK_TIMED_OUT);
    rig_settle(r);
    ended(r, client, FAKE_ABORTED, backend, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_resets), 0);
    rig_expect_reason(r, "server vanished");
    rig_destroy(r);

    r = relay_rig(&client, &backend);
    fake_error(client, SOCK_TIMED_OUT);
    rig_settle(r);
    assert_int_equal(rig_counter(r, client_resets), 0);
    rig_expect_reason(r, "client vanished");
    rig_destroy(r);
}

/* A refused upload: the server answers, closes, and resets because more comes. */
static void answer_survives_the_reset_that_follows_it(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(client, "an upload that goes on");
    rig_send(backend, "413");
    fake_deliver_fin(backend);
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_send(client, " and on");
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(client->end, FAKE_HELD);
    rig_send(client, " and on");
    rig_settle(r);
    assert_int_equal(client->rx.len, 0); /* read and dropped: no RST */
    rig_expect(client, "413");
    fake_deliver_fin(client);
    rig_settle(r);
    ended(r, client, FAKE_CLOSED, backend, FAKE_ABORTED);
    rig_destroy(r);
}

static void answer_still_queued_at_the_reset_is_delivered_whole(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);
    static char sent[30000], got[30000];

    (void)state;
    memset(sent, 'x', sizeof sent);
    fake_room_set(client, 4000);
    fake_deliver(backend, sent, sizeof sent);
    fake_deliver_fin(backend);
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    for (size_t at = 0; at < sizeof sent;) {
        assert_int_equal(client->end, FAKE_HELD);
        at += fake_take(client, got + at, 4000);
        rig_settle(r);
    }
    assert_memory_equal(got, sent, sizeof sent);
    assert_true(client->fin_sent);
    fake_deliver_fin(client);
    rig_settle(r);
    ended(r, client, FAKE_CLOSED, backend, FAKE_ABORTED);
    rig_destroy(r);
}

static void client_reset_while_lingering_ends(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_send(backend, "413");
    fake_deliver_fin(backend);
    rig_settle(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(client->end, FAKE_HELD);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    rig_destroy(r);
}

static void slow_server_holds_the_client_back(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);
    static char sent[20000];
    char got[3000];

    (void)state;
    fake_room_set(backend, 5000);
    fake_deliver(client, sent, sizeof sent);
    rig_settle(r);
    assert_int_equal(backend->tx.len, 5000);
    assert_int_equal(client->rx.len, 15000);
    assert_int_equal(fake_take(backend, got, 3000), 3000);
    rig_settle(r);
    assert_int_equal(backend->tx.len, 5000);
    assert_int_equal(client->rx.len, 12000);
    rig_destroy(r);
}

static void bulk_flow_yields_to_the_others(void **state)
{
    struct sock *client, *backend, *other, *other_backend;
    struct rig *r = relay_rig(&client, &backend);
    size_t size = 1 << 20, before;
    char *bulk = calloc(1, size);

    (void)state;
    other = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.8:1");
    other_backend = r->stack->last_connect;
    fake_connected(other_backend);
    rig_settle(r);

    fake_room_set(client, 1 << 21);
    fake_deliver(backend, bulk, size);
    rig_round(r);
    assert_in_range(client->tx.len, 1, 2 * 65536);
    assert_true(proxy_deadline(r->proxy) <= r->now); /* more to do, at once */
    before = client->tx.len;
    rig_send(other, "small");
    rig_send(backend, "more"); /* its event does not give the bulk flow a second turn */
    rig_round(r);
    rig_expect(other_backend, "small");
    assert_in_range(client->tx.len - before, 1, 2 * 65536);
    rig_settle(r);
    assert_int_equal(client->tx.len, size + 4);
    assert_true(proxy_deadline(r->proxy) > r->now);
    free(bulk);
    rig_destroy(r);
}

static void session_in_the_ready_queue_may_end(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);
    size_t size = 1 << 20;
    char *bulk = calloc(1, size);

    (void)state;
    fake_room_set(client, 1 << 21);
    fake_deliver(backend, bulk, size);
    rig_round(r);
    fake_error(client, SOCK_RESET);
    rig_round(r);
    ended(r, client, FAKE_ABORTED, backend, FAKE_ABORTED);
    rig_settle(r);
    free(bulk);
    rig_destroy(r);
}

static void server_reset_in_the_ready_queue_ends_after_its_turn(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);
    size_t size = 1 << 20;
    char *bulk = calloc(1, size);

    (void)state;
    fake_room_set(client, 1 << 21);
    fake_deliver(backend, bulk, size);
    rig_round(r);
    fake_error(backend, SOCK_RESET);
    rig_settle(r);
    ended(r, client, FAKE_ABORTED, backend, FAKE_ABORTED);
    free(bulk);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(client_half_closes_first),
        cmocka_unit_test(server_half_closes_first),
        cmocka_unit_test(fin_waits_behind_bytes_that_do_not_fit),
        cmocka_unit_test(client_reset_aborts_the_server),
        cmocka_unit_test(client_reset_after_its_end_leaves_the_server_a_whole_request),
        cmocka_unit_test(server_reset_aborts_the_client),
        cmocka_unit_test(vanished_peers_are_told_apart_in_the_log),
        cmocka_unit_test(answer_survives_the_reset_that_follows_it),
        cmocka_unit_test(answer_still_queued_at_the_reset_is_delivered_whole),
        cmocka_unit_test(client_reset_while_lingering_ends),
        cmocka_unit_test(slow_server_holds_the_client_back),
        cmocka_unit_test(bulk_flow_yields_to_the_others),
        cmocka_unit_test(session_in_the_ready_queue_may_end),
        cmocka_unit_test(server_reset_in_the_ready_queue_ends_after_its_turn),
    };

    return cmocka_run_group_tests_name("proxy_splice", tests, rig_group_setup, rig_group_teardown);
}
