/* Connecting to servers: turns, retries, giving up. */
#include <string.h>

#include "rig.h"

static struct rig *web_rig(void)
{
    return rig_create(RIG_SPLICE("listener: plain", "web"));
}

static struct sock *client_of(struct rig *r)
{
    return rig_client(r, RIG_PLAIN_ADDRESS, "198.51.100.7:40112");
}

/* The last octet of the server's address that was tried last. */
static unsigned server(const struct rig *r)
{
    return r->stack->last_connect->remote.addr.b[15];
}

static void servers_take_turns(void **state)
{
    struct rig *r = web_rig();

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        client_of(r);
        assert_int_equal(server(r), 11 + i % 3);
    }
    assert_int_equal(rig_counter(r, backend_connects), 9);
    assert_int_equal(rig_counter(r, backend_retries), 0);
    rig_destroy(r);
}

static void refused_connection_goes_to_the_next_server(void **state)
{
    struct rig *r = web_rig();
    struct sock *client, *refused;

    (void)state;
    client_of(r);          /* takes .11 */
    client = client_of(r); /* begins with .12 */
    refused = r->stack->last_connect;
    rig_send(client, "request");
    fake_error(refused, SOCK_REFUSED);
    rig_settle(r);
    assert_int_equal(server(r), 13);
    assert_int_not_equal(refused->end, FAKE_HELD);
    rig_log_expect(r, "web: 10.0.0.12:8080: connection refused; trying the next server (for "
                      "198.51.100.7:40112 -> plain)");
    fake_error(r->stack->last_connect, SOCK_TIMED_OUT);
    rig_settle(r);
    assert_int_equal(server(r), 11);
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "request");
    assert_int_equal(rig_counter(r, backend_connects), 4);
    assert_int_equal(rig_counter(r, backend_connect_failed), 2);
    assert_int_equal(rig_counter(r, backend_retries), 2);
    assert_int_equal(rig_counter(r, backend_unavailable), 0);
    rig_destroy(r);
}

static void each_server_is_tried_once_and_the_log_says_why(void **state)
{
    static const enum sock_error errors[] = {SOCK_REFUSED, SOCK_TIMED_OUT, SOCK_UNREACHABLE};
    struct rig *r = web_rig();
    struct sock *client = client_of(r);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(proxy_session_count(r->proxy), 1);
        fake_error(r->stack->last_connect, errors[i]);
        rig_settle(r);
    }
    assert_int_equal(r->stack->connects, 3);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    assert_int_equal(rig_counter(r, sessions_closed), 1);
    rig_log_expect(r, "web: no server answers: 10.0.0.11:8080: connection refused; "
                      "10.0.0.12:8080: timed out; 10.0.0.13:8080: unreachable");
    rig_destroy(r);
}

static void connections_that_cannot_even_begin_are_failures_too(void **state)
{
    struct rig *r = web_rig();
    struct sock *client;

    (void)state;
    r->stack->connect_fails_port = 8080;
    r->stack->connect_error = SOCK_NO_PORT;
    client = client_of(r);
    assert_int_equal(r->stack->connects, 3);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_log_expect(r, "10.0.0.13:8080: no port");
    rig_destroy(r);
}

static void connection_reset_at_once_is_retried(void **state)
{
    struct rig *r = web_rig();

    (void)state;
    client_of(r);
    fake_connected(r->stack->last_connect);
    fake_error(r->stack->last_connect, SOCK_RESET); /* both in one event: nothing was sent */
    rig_settle(r);
    assert_int_equal(r->stack->connects, 2);
    assert_int_equal(rig_counter(r, backend_retries), 1);
    rig_destroy(r);
}

static void client_reset_gives_the_connect_up(void **state)
{
    struct rig *r = web_rig();
    struct sock *client = client_of(r), *backend = r->stack->last_connect;

    (void)state;
    rig_send(client, "request");
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    assert_int_equal(rig_counter(r, client_resets), 1);
    rig_destroy(r);
}

static void client_may_half_close_before_the_server_answers(void **state)
{
    struct rig *r = web_rig();
    struct sock *client = client_of(r), *backend = r->stack->last_connect;

    (void)state;
    rig_send(client, "request");
    fake_deliver_fin(client);
    rig_settle(r);
    assert_int_equal(backend->end, FAKE_HELD);
    fake_connected(backend);
    rig_settle(r);
    rig_expect(backend, "request");
    assert_true(backend->fin_sent);
    rig_send(backend, "response");
    fake_deliver_fin(backend);
    rig_settle(r);
    rig_expect(client, "response");
    assert_int_equal(client->end, FAKE_CLOSED);
    rig_destroy(r);
}

static void sockets_get_their_options(void **state)
{
    struct rig *r = web_rig();
    struct sock *client = client_of(r);

    (void)state;
    assert_int_equal(r->stack->last_connect->options.connect_timeout, 5 * CLOCK_SEC);
    assert_int_not_equal(r->stack->last_connect->options.keepalive, 0);
    assert_int_not_equal(client->options.keepalive, 0);
    assert_int_equal(fake_listener(r->stack, RIG_PLAIN_ADDRESS)->backlog_size, 4096);
    rig_destroy(r);
}

/* A flood of lines about clients must not hide those about servers. */
static void backend_lines_have_their_own_limit(void **state)
{
    struct rig *r =
        rig_create(RIG_TERMINATE("listener: https") RIG_SPLICE("listener: plain", "web"));

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        rig_send(rig_client(r, RIG_HTTPS_ADDRESS, "198.51.100.9:1"), "no TLS");
        rig_settle(r);
    }
    client_of(r);
    fake_error(r->stack->last_connect, SOCK_REFUSED);
    rig_settle(r);
    rig_log_expect(r, "web: 10.0.0.11:8080: connection refused");
    r->now += 2 * CLOCK_SEC;
    rig_send(rig_client(r, RIG_HTTPS_ADDRESS, "198.51.100.9:1"), "no TLS");
    rig_settle(r);
    rig_log_expect(r, "20 lines of this kind were left out");
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_take_turns),
        cmocka_unit_test(refused_connection_goes_to_the_next_server),
        cmocka_unit_test(each_server_is_tried_once_and_the_log_says_why),
        cmocka_unit_test(connections_that_cannot_even_begin_are_failures_too),
        cmocka_unit_test(connection_reset_at_once_is_retried),
        cmocka_unit_test(client_reset_gives_the_connect_up),
        cmocka_unit_test(client_may_half_close_before_the_server_answers),
        cmocka_unit_test(sockets_get_their_options),
        cmocka_unit_test(backend_lines_have_their_own_limit),
    };

    return cmocka_run_group_tests_name("proxy_backend", tests, rig_group_setup, rig_group_teardown);
}
