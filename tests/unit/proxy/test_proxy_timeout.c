/* Every deadline of a session, on the virtual clock. */
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"

static struct rig *timeout_rig(void)
{
    return rig_create(RIG_TERMINATE("listener: https") RIG_SPLICE("listener: postgres", "legacy"));
}

static struct rig *relay_rig(struct sock **client, struct sock **backend)
{
    struct rig *r = timeout_rig();

    *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    *backend = r->stack->last_connect;
    fake_connected(*backend);
    rig_settle(r);
    return r;
}

static void hello_has_a_deadline_that_bytes_do_not_move(void **state)
{
    struct rig *r = timeout_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    static const uint8_t start[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0};

    (void)state;
    for (unsigned i = 0; i < sizeof start - 4; i++) {
        assert_int_equal(client->end, FAKE_HELD);
        fake_deliver(client, start + i, 1);
        rig_advance(r, CLOCK_SEC - 10 * CLOCK_MS);
    }
    rig_advance(r, 200 * CLOCK_MS);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, timeout_hello), 1);
    rig_log_expect(r, "no whole ClientHello within 10 s: 10 bytes came");
    rig_destroy(r);
}

static void silent_client_is_not_worth_a_line(void **state)
{
    struct rig *r = timeout_rig();

    (void)state;
    rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    rig_log(r);
    rig_advance(r, 11 * CLOCK_SEC);
    assert_int_equal(rig_counter(r, timeout_hello), 1);
    assert_null(strstr(rig_log(r), " info "));
    rig_destroy(r);
}

static void handshake_has_a_deadline(void **state)
{
    struct rig *r = timeout_rig();
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_advance(r, 8 * CLOCK_SEC);
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_advance(r, 9 * CLOCK_SEC);
    assert_int_equal(client.sock->end, FAKE_HELD); /* its time began with the ClientHello */
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, timeout_handshake), 1);
    assert_int_equal(rig_counter(r, timeout_hello), 0);
    rig_log_expect(r, "TLS handshake not finished within 10 s");
    rig_tls_free(&client);
    rig_destroy(r);
}

static void connecting_is_left_to_the_stack(void **state)
{
    struct rig *r = timeout_rig();
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);

    (void)state;
    assert_int_equal(proxy_deadline(r->proxy), CLOCK_NEVER);
    rig_advance(r, 3600 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_destroy(r);
}

static void idle_session_ends_with_resets(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_advance(r, 299 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, timeout_idle), 1);
    rig_destroy(r);
}

static void bytes_of_either_side_put_the_idle_timeout_off(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_advance(r, 200 * CLOCK_SEC);
    rig_send(client, "x");
    rig_advance(r, 200 * CLOCK_SEC);
    rig_send(backend, "x");
    rig_advance(r, 299 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_destroy(r);
}

/* Bytes that the other side has no room for show that their sender lives. */
static void bytes_that_wait_put_the_idle_timeout_off(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    fake_room_set(backend, 0);
    for (unsigned i = 0; i < 3; i++) {
        rig_advance(r, 200 * CLOCK_SEC);
        rig_send(client, "x");
    }
    rig_advance(r, 299 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    assert_int_equal(client->rx.len, 3);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_destroy(r);
}

static void half_closed_by_the_client(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_advance(r, 250 * CLOCK_SEC);
    rig_send(client, "request");
    fake_deliver_fin(client);
    rig_advance(r, 59 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_send(backend, "x"); /* as long as bytes come, it goes on */
    rig_advance(r, 59 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_ABORTED); /* the answer is not complete */
    assert_int_equal(backend->end, FAKE_CLOSED); /* the request was */
    assert_int_equal(rig_counter(r, timeout_half_closed), 1);
    rig_expect_reason(r, "server silent after the client had finished");
    rig_destroy(r);
}

static void half_closed_by_the_server(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    rig_advance(r, 250 * CLOCK_SEC);
    fake_deliver_fin(backend); /* without a byte: the time counts from here */
    rig_advance(r, 59 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_CLOSED);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, timeout_half_closed), 1);
    assert_int_equal(rig_counter(r, timeout_idle), 0);
    rig_destroy(r);
}

static void lingering_is_bounded(void **state)
{
    struct rig *r = timeout_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);

    (void)state;
    rig_send(client, "GET / HTTP/1.1\r\n\r\n");
    rig_settle(r);
    for (unsigned i = 0; i < 4; i++) {
        rig_advance(r, CLOCK_SEC);
        rig_send(client, "more and more");
        rig_settle(r);
        assert_int_equal(client->end, FAKE_HELD);
        assert_int_equal(client->rx.len, 0);
    }
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(client->end, FAKE_CLOSED);
    rig_destroy(r);
}

static void quiet_proxy_has_no_deadline(void **state)
{
    struct sock *client, *backend;
    struct rig *r = relay_rig(&client, &backend);

    (void)state;
    assert_true(proxy_deadline(r->proxy) > r->now + 100 * CLOCK_SEC);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(proxy_deadline(r->proxy), CLOCK_NEVER);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_has_a_deadline_that_bytes_do_not_move),
        cmocka_unit_test(silent_client_is_not_worth_a_line),
        cmocka_unit_test(handshake_has_a_deadline),
        cmocka_unit_test(connecting_is_left_to_the_stack),
        cmocka_unit_test(idle_session_ends_with_resets),
        cmocka_unit_test(bytes_of_either_side_put_the_idle_timeout_off),
        cmocka_unit_test(bytes_that_wait_put_the_idle_timeout_off),
        cmocka_unit_test(half_closed_by_the_client),
        cmocka_unit_test(half_closed_by_the_server),
        cmocka_unit_test(lingering_is_bounded),
        cmocka_unit_test(quiet_proxy_has_no_deadline),
    };

    return cmocka_run_group_tests_name("proxy_timeout", tests, rig_group_setup, rig_group_teardown);
}
