/* PROXY headers from trusted peers: taken in any pieces, missing, malformed, not believed. */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define PROXY    "10.9.0.5:31337"
#define STRANGER "198.51.100.7:40112"
#define V1       "PROXY TCP4 203.0.113.9 192.0.2.10 1234 443\r\n"

static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
                         "\xcb\x00\x71\x09\xc0\x00\x02\x0a\x04\xd2\x01\xbb";
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

static struct rig *header_rig(const char *rules)
{
    static struct ip_prefix trusted[1];
    struct rig *r = rig_create(rules);

    assert_int_equal(ip_prefix_parse("10.9.0.0/16", &trusted[0]), 0);
    for (unsigned i = 0; i < r->config.policy->listener_count; i++) {
        r->config.policy->listeners[i].proxy_from = trusted;
        r->config.policy->listeners[i].proxy_from_count = 1;
    }
    return r;
}

static struct rig *splice_rig(void)
{
    return header_rig(RIG_REJECT("source: [203.0.113.66/32]") RIG_SPLICE(
        "listener: postgres", "legacy") RIG_TERMINATE("listener: https"));
}

static void expect_client(struct rig *r, const char *text)
{
    struct proxy_record record;
    char got[IP_TEXT_MAX];

    assert_int_equal(proxy_sessions(r->proxy, 0, &record, 1), 1);
    assert_string_equal(ip_endpoint_format(&record.client, got), text);
}

/* In one piece, in two divided anywhere, and byte by byte, with payload behind it. */
static void split_header(const char *header, size_t len, size_t at, const char *client)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    if (at == len) {
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(r->stack->connects, 0);
            fake_deliver(k, header + i, 1);
            rig_settle(r);
        }
        rig_send(k, "payload");
    } else {
        fake_deliver(k, header, at);
        rig_settle(r);
        assert_int_equal(r->stack->connects, 0);
        fake_deliver(k, header + at, len - at);
        rig_send(k, "payload");
    }
    rig_settle(r);
    assert_int_equal(r->stack->connects, 1);
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "payload");
    expect_client(r, client);
    assert_int_equal(rig_counter(r, proxy_header_accepted), 1);
    rig_destroy(r);
}

static void header_is_taken_in_any_pieces(void **state)
{
    (void)state;
    for (size_t at = 0; at <= strlen(V1); at++)
        split_header(V1, strlen(V1), at, "203.0.113.9:1234");
    for (size_t at = 0; at <= sizeof v2 - 1; at++)
        split_header(v2, sizeof v2 - 1, at, "203.0.113.9:1234");
}

static void header_that_speaks_for_itself_leaves_the_connections_addresses(void **state)
{
    (void)state;
    split_header("PROXY UNKNOWN\r\n", 15, 15, PROXY);
    split_header(v2_local, sizeof v2_local - 1, 3, PROXY);
}

static void server_that_speaks_first_is_reached_behind_a_header(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    (void)state;
    rig_send(k, V1);
    rig_settle(r);
    fake_connected(r->stack->last_connect);
    rig_send(r->stack->last_connect, "greeting");
    rig_settle(r);
    rig_expect(k, "greeting");
    rig_destroy(r);
}

static void policy_and_hooks_see_the_headers_source(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    (void)state;
    assert_int_equal(r->hooks.source.b[15], 5); /* limits of connections are the peer's */
    rig_send(k, "PROXY TCP4 203.0.113.66 192.0.2.10 1234 443\r\n");
    rig_settle(r);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, sessions_rejected), 1);
    rig_expect_reason(r, "rejected by rule");
    rig_destroy(r);
}

static void header_stands_before_tls(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_HTTPS_ADDRESS, PROXY);
    struct rig_tls client;

    (void)state;
    rig_send(k, V1);
    rig_tls_open(&client, k, "shop.example");
    rig_tls_handshake(r, &client);
    assert_int_equal(r->hooks.handshakes, 1);
    assert_int_equal(r->hooks.source.b[15], 9); /* limits of handshakes are the client's */
    fake_connected(r->stack->last_connect);
    rig_tls_send(&client, "request", 7);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "request");
    expect_client(r, "203.0.113.9:1234");
    rig_tls_free(&client);
    rig_destroy(r);
}

static void line_of_a_client_behind_a_proxy_names_both(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_HTTPS_ADDRESS, PROXY);

    (void)state;
    rig_send(k, V1 "GET / HTTP/1.1\r\n\r\n");
    rig_settle(r);
    rig_log_expect(r, "203.0.113.9:1234 via 10.9.0.5:31337 -> https: plain HTTP request");
    rig_destroy(r);
}

static void missing_header_is_a_reset(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    (void)state;
    rig_send(k, "no header");
    rig_settle(r);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_int_equal(r->stack->connects, 0);
    assert_int_equal(rig_counter(r, proxy_header_missing), 1);
    rig_log_expect(r, "10.9.0.5:31337 -> postgres: no PROXY header");
    rig_destroy(r);
}

static void malformed_header_is_a_reset(void **state)
{
    static const char *const bad[] = {
        "PROXY TCP4 203.0.113.9 192.0.2.10 1234\r\n",
        "PROXY TCP4 203.0.113.999 192.0.2.10 1234 443\r\n",
        "PROXY TCP9 203.0.113.9 192.0.2.10 1234 443\r\n",
        "\r\n\r\n",
    };
    struct rig *r = splice_rig();

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

        rig_send(k, bad[i]);
        fake_deliver_fin(k);
        rig_settle(r);
        assert_int_equal(k->end, FAKE_ABORTED);
        assert_int_equal(rig_counter(r, proxy_header_malformed), i + 1);
        rig_log_expect(r, "10.9.0.5:31337 -> postgres: malformed PROXY header: ");
    }
    assert_int_equal(r->stack->connects, 0);
    rig_destroy(r);
}

static void silent_end_is_no_line(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    (void)state;
    fake_deliver_fin(k);
    rig_settle(r);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_string_equal(rig_log(r), "");
    rig_destroy(r);
}

static void header_has_a_deadline(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, PROXY);

    (void)state;
    rig_send(k, "PROXY TCP4");
    rig_advance(r, 9 * CLOCK_SEC);
    assert_int_equal(k->end, FAKE_HELD);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, proxy_header_timeout), 1);
    rig_log_expect(r, "no whole PROXY header within 10 s: 10 bytes came");
    rig_destroy(r);
}

/* Anybody could say anything: to others the header is payload. */
static void header_of_a_stranger_is_payload(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k = rig_client(r, RIG_POSTGRES_ADDRESS, STRANGER), *tls;

    (void)state;
    rig_send(k, V1);
    rig_settle(r);
    fake_connected(r->stack->last_connect);
    rig_settle(r);
    rig_expect(r->stack->last_connect, V1);
    expect_client(r, STRANGER);

    tls = rig_client(r, RIG_HTTPS_ADDRESS, STRANGER);
    rig_send(tls, V1);
    rig_settle(r);
    assert_int_equal(tls->end, FAKE_ABORTED);
    rig_log_expect(r, "198.51.100.7:40112 -> https: PROXY protocol header on a TLS port");
    assert_int_equal(rig_counter(r, proxy_header_accepted), 0);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_taken_in_any_pieces),
        cmocka_unit_test(header_that_speaks_for_itself_leaves_the_connections_addresses),
        cmocka_unit_test(server_that_speaks_first_is_reached_behind_a_header),
        cmocka_unit_test(policy_and_hooks_see_the_headers_source),
        cmocka_unit_test(header_stands_before_tls),
        cmocka_unit_test(line_of_a_client_behind_a_proxy_names_both),
        cmocka_unit_test(missing_header_is_a_reset),
        cmocka_unit_test(malformed_header_is_a_reset),
        cmocka_unit_test(silent_end_is_no_line),
        cmocka_unit_test(header_has_a_deadline),
        cmocka_unit_test(header_of_a_stranger_is_payload),
    };

    return cmocka_run_group_tests_name("proxy_client_header", tests, rig_group_setup,
                                       rig_group_teardown);
}
