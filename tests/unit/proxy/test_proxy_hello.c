/* From accept() to the action of a rule: what the policy makes of a client. */
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"

static uint8_t hello[4096];

static struct rig *splice_rig(void)
{
    return rig_create(RIG_SPLICE("sni: legacy.example", "legacy") RIG_TERMINATE("listener: https")
                          RIG_SPLICE("listener: postgres", "legacy"));
}

static void plain_listener_connects_at_once(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    struct sock *backend = r->stack->last_connect;

    (void)state;
    assert_non_null(backend);
    assert_int_equal(backend->remote.port, 443);
    fake_connected(backend);
    rig_send(backend, "the server speaks first");
    rig_settle(r);
    rig_expect(client, "the server speaks first");
    assert_int_equal(rig_counter(r, sessions_spliced), 1);
    rig_destroy(r);
}

static void hello_in_pieces_reaches_the_backend_untouched(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    size_t len = rig_hello("legacy.example", TLS1_3_VERSION, hello, sizeof hello);
    uint8_t got[sizeof hello];

    (void)state;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(r->stack->connects, 0);
        fake_deliver(client, hello + i, 1);
        rig_settle(r);
    }
    assert_int_equal(r->stack->connects, 1);
    assert_int_equal(client->rx.len, len); /* only looked at */
    rig_send(client, "and more");
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    assert_int_equal(fake_take(r->stack->last_connect, got, len), len);
    assert_memory_equal(got, hello, len);
    rig_expect(r->stack->last_connect, "and more");
    rig_destroy(r);
}

static void splice_rule_without_name_does_not_wait_on_a_tls_listener(void **state)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: https", "legacy"));

    (void)state;
    rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    assert_int_equal(r->stack->connects, 1);
    rig_destroy(r);
}

static struct rig *named_plain_rig(void)
{
    return rig_create(RIG_SPLICE("listener: plain, sni: legacy.example", "legacy")
                          RIG_SPLICE("listener: plain", "web") RIG_TERMINATE("listener: https"));
}

static void plain_listener_waits_for_a_name_where_a_rule_asks(void **state)
{
    struct rig *r = named_plain_rig();
    struct sock *client = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
    size_t len = rig_hello("legacy.example", TLS1_3_VERSION, hello, sizeof hello);

    (void)state;
    assert_int_equal(r->stack->connects, 0);
    fake_deliver(client, hello, len);
    rig_settle(r);
    assert_int_equal(r->stack->connects, 1);
    assert_int_equal(r->stack->last_connect->remote.port, 443);
    rig_destroy(r);
}

static void plain_bytes_fall_through_to_the_rule_without_name(void **state)
{
    struct rig *r = named_plain_rig();
    struct sock *client = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);

    (void)state;
    rig_send(client, "GET / HTTP/1.0\r\n\r\n");
    rig_settle(r);
    assert_int_equal(r->stack->connects, 1);
    assert_int_equal(r->stack->last_connect->remote.port, 8080);
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(rig_counter(r, hello_not_tls), 0);
    rig_destroy(r);
}

static void other_protocol_shares_a_tls_port_by_a_splice_rule(void **state)
{
    struct rig *r = rig_create(RIG_TERMINATE("listener: https, sni: shop.example")
                                   RIG_SPLICE("listener: https", "legacy"));
    struct sock *client;

    (void)state;
    client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    rig_send(client, "SSH-2.0-OpenSSH_9.2\r\n");
    rig_settle(r);
    assert_int_equal(rig_counter(r, sessions_spliced), 1);
    rig_destroy(r);
}

/* Ends a session that only waits for the client to close after our last words. */
static void client_closes(struct rig *r, struct sock *client)
{
    assert_int_equal(client->end, FAKE_HELD);
    assert_true(client->fin_sent);
    fake_deliver_fin(client);
    rig_settle(r);
    assert_int_equal(client->end, FAKE_CLOSED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
}

static struct rig *reject_rig(struct sock **client, const char *listener)
{
    struct rig *r = rig_create(RIG_REJECT("source: [198.51.100.0/24]")
                                   RIG_TERMINATE("listener: https, sni: shop.example"));

    *client = rig_client(r, listener, CLIENT);
    return r;
}

static void rejected_tls_client_gets_an_alert(void **state)
{
    struct sock *client;
    struct rig *r = reject_rig(&client, RIG_HTTPS_ADDRESS);
    size_t len = rig_hello("shop.example", TLS1_3_VERSION, hello, sizeof hello);

    (void)state;
    fake_deliver(client, hello, len);
    rig_settle(r);
    rig_expect_alert(client, TLS_ALERT_ACCESS_DENIED);
    assert_int_equal(rig_counter(r, sessions_rejected), 1);
    client_closes(r, client);
    assert_string_equal(r->hooks.record.sni, "shop.example");
    assert_string_equal(r->hooks.record.action, "reject");
    rig_destroy(r);
}

static void rejected_plain_client_gets_a_reset(void **state)
{
    struct sock *client;
    struct rig *r = reject_rig(&client, RIG_PLAIN_ADDRESS);

    (void)state;
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, sessions_rejected), 1);
    assert_int_equal(rig_counter(r, sessions_closed), 1);
    rig_destroy(r);
}

static void client_without_a_rule_is_rejected(void **state)
{
    struct rig *r = rig_create(RIG_TERMINATE("listener: https, sni: shop.example"));
    struct sock *plain, *named, *unnamed;
    size_t len;

    (void)state;
    plain = rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
    assert_int_equal(plain->end, FAKE_ABORTED);

    named = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    len = rig_hello("other.example", TLS1_3_VERSION, hello, sizeof hello);
    fake_deliver(named, hello, len);
    rig_settle(r);
    rig_expect_alert(named, TLS_ALERT_UNRECOGNIZED_NAME);
    rig_log_expect(r, "no rule matches");

    unnamed = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    len = rig_hello(NULL, TLS1_3_VERSION, hello, sizeof hello);
    fake_deliver(unnamed, hello, len);
    rig_settle(r);
    rig_expect_alert(unnamed, TLS_ALERT_ACCESS_DENIED);
    assert_int_equal(rig_counter(r, sessions_rejected), 3);
    rig_destroy(r);
}

static void unknown_name_is_refused_with_its_alert(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    size_t len = rig_hello("nobody.example", TLS1_3_VERSION, hello, sizeof hello);

    (void)state;
    fake_deliver(client, hello, len);
    rig_settle(r);
    rig_expect_alert(client, TLS_ALERT_UNRECOGNIZED_NAME);
    rig_log_expect(r, "no certificate of the listener is for the name \"nobody.example\"");
    assert_int_equal(rig_counter(r, hello_unknown_name), 1);
    client_closes(r, client);
    rig_destroy(r);
}

static void missing_name_is_refused_without_a_default(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    size_t len = rig_hello(NULL, TLS1_3_VERSION, hello, sizeof hello);

    (void)state;
    fake_deliver(client, hello, len);
    rig_settle(r);
    rig_expect_alert(client, TLS_ALERT_UNRECOGNIZED_NAME);
    rig_log_expect(r, "sends no server name");
    client_closes(r, client);
    rig_destroy(r);
}

static void old_version_is_refused_with_the_reason(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    size_t len = rig_hello("shop.example", TLS1_1_VERSION, hello, sizeof hello);

    (void)state;
    fake_deliver(client, hello, len);
    rig_settle(r);
    rig_expect_alert(client, TLS_ALERT_PROTOCOL_VERSION);
    rig_log_expect(r, "TLS 1.1");
    assert_int_equal(rig_counter(r, hello_refused), 1);
    client_closes(r, client);
    rig_destroy(r);
}

static void plain_http_on_a_tls_port_is_told_so(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    char got[512] = "";
    const char *body;

    (void)state;
    rig_send(client, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    rig_settle(r);
    fake_take(client, got, sizeof got - 1);
    assert_non_null(strstr(got, "HTTP/1.1 400 Bad Request\r\n"));
    body = strstr(got, "\r\n\r\n") + 4;
    assert_non_null(strstr(got, "Content-Length: 58\r\n"));
    assert_int_equal(strlen(body), 58);
    rig_log_expect(r, "198.51.100.7:40112 -> https: plain HTTP request on a TLS port");
    assert_int_equal(rig_counter(r, hello_not_tls), 1);
    client_closes(r, client);
    rig_destroy(r);
}

static void garbage_on_a_tls_port_is_reset(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);

    (void)state;
    rig_send(client, "\x01\x02\x03\x04garbage");
    rig_settle(r);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, hello_not_tls), 1);
    rig_log_expect(r, "on a TLS port");
    rig_destroy(r);
}

static void broken_hello_is_refused_on_any_listener(void **state)
{
    static const char *const addresses[] = {RIG_HTTPS_ADDRESS, RIG_PLAIN_ADDRESS};
    struct rig *r = named_plain_rig();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct sock *client = rig_client(r, addresses[i], CLIENT);
        size_t len = rig_hello("shop.example", TLS1_3_VERSION, hello, sizeof hello);

        hello[9 + 2 + 32] = 0xff; /* session id longer than its 32 bytes */
        fake_deliver(client, hello, len);
        rig_settle(r);
        rig_expect_alert(client, TLS_ALERT_DECODE_ERROR);
        client_closes(r, client);
    }
    assert_int_equal(rig_counter(r, hello_malformed), 2);
    assert_int_equal(r->stack->connects, 0);
    rig_destroy(r);
}

static void oversized_hello_is_refused(void **state)
{
    /* A handshake message of 64 KB announced in the first record. */
    static const uint8_t announced[] = {22, 3, 1, 0x20, 0x00, 1, 0x00, 0xff, 0xff, 3, 3};
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);

    (void)state;
    fake_deliver(client, announced, sizeof announced);
    rig_settle(r);
    rig_expect_alert(client, TLS_ALERT_DECODE_ERROR);
    assert_int_equal(rig_counter(r, hello_too_large), 1);
    rig_log_expect(r, "oversized ClientHello");
    client_closes(r, client);
    rig_destroy(r);
}

static void client_that_closes_in_its_hello_ends(void **state)
{
    struct rig *r = splice_rig();
    struct sock *silent = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), *half;
    size_t len = rig_hello("shop.example", TLS1_3_VERSION, hello, sizeof hello);

    (void)state;
    rig_log(r);
    fake_deliver_fin(silent);
    rig_settle(r);
    assert_int_equal(silent->end, FAKE_ABORTED);
    assert_null(strstr(rig_log(r), " info ")); /* a port probe */

    half = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    fake_deliver(half, hello, len - 1);
    fake_deliver_fin(half);
    rig_settle(r);
    assert_int_equal(half->end, FAKE_ABORTED);
    rig_log_expect(r, "closed in its ClientHello");
    rig_destroy(r);
}

static void reset_in_the_hello_ends(void **state)
{
    struct rig *r = splice_rig();
    struct sock *client = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);

    (void)state;
    fake_deliver(client, "\x16\x03\x01", 3);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(rig_counter(r, client_resets), 1);
    assert_int_equal(rig_counter(r, sessions_closed), 1);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_destroy(r);
}

static void clients_beyond_the_session_pool_are_refused(void **state)
{
    const struct proxy_config settings = {.max_sessions = 2};
    struct rig *r = rig_create_with(&settings, RIG_SPLICE("listener: postgres", "legacy"));
    struct sock *first, *third;

    (void)state;
    first = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.1:1");
    rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.1:2");
    third = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.1:3");
    assert_int_equal(third->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, sessions_refused), 1);
    assert_int_equal(rig_counter(r, sessions_opened), 2);
    rig_log_expect(r, "198.51.100.1:3 -> postgres: refused by worker 0: all sessions");
    fake_error(first, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.1:4")->end, FAKE_HELD);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_listener_connects_at_once),
        cmocka_unit_test(hello_in_pieces_reaches_the_backend_untouched),
        cmocka_unit_test(splice_rule_without_name_does_not_wait_on_a_tls_listener),
        cmocka_unit_test(plain_listener_waits_for_a_name_where_a_rule_asks),
        cmocka_unit_test(plain_bytes_fall_through_to_the_rule_without_name),
        cmocka_unit_test(other_protocol_shares_a_tls_port_by_a_splice_rule),
        cmocka_unit_test(rejected_tls_client_gets_an_alert),
        cmocka_unit_test(rejected_plain_client_gets_a_reset),
        cmocka_unit_test(client_without_a_rule_is_rejected),
        cmocka_unit_test(unknown_name_is_refused_with_its_alert),
        cmocka_unit_test(missing_name_is_refused_without_a_default),
        cmocka_unit_test(old_version_is_refused_with_the_reason),
        cmocka_unit_test(plain_http_on_a_tls_port_is_told_so),
        cmocka_unit_test(garbage_on_a_tls_port_is_reset),
        cmocka_unit_test(broken_hello_is_refused_on_any_listener),
        cmocka_unit_test(oversized_hello_is_refused),
        cmocka_unit_test(client_that_closes_in_its_hello_ends),
        cmocka_unit_test(reset_in_the_hello_ends),
        cmocka_unit_test(clients_beyond_the_session_pool_are_refused),
    };

    return cmocka_run_group_tests_name("proxy_hello", tests, rig_group_setup, rig_group_teardown);
}
