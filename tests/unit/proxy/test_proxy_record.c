/* Records of sessions, their enumeration, the hooks of limits, rule counters, egress classes. */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"

static struct rig *splice_rig(void)
{
    return rig_create(RIG_REJECT("source: [203.0.113.0/24]") RIG_SPLICE(
        "listener: postgres", "legacy") RIG_TERMINATE("listener: https"));
}

static struct sock *client_number(struct rig *r, unsigned n)
{
    char remote[32];

    snprintf(remote, sizeof remote, "198.51.100.7:%u", 1000 + n);
    return rig_client(r, RIG_POSTGRES_ADDRESS, remote);
}

static void record_of_a_terminated_session(void **state)
{
    struct rig *r = splice_rig();
    struct rig_tls client;
    struct proxy_record *record = &r->hooks.record;
    char text[IP_TEXT_MAX];

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    rig_advance(r, 5 * CLOCK_MS);
    rig_tls_handshake(r, &client);
    rig_advance(r, 5 * CLOCK_MS);
    fake_connected(r->stack->last_connect);
    rig_advance(r, 5 * CLOCK_MS);
    rig_send(r->stack->last_connect, "response");
    rig_settle(r);
    fake_error(client.sock, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(record->id, 1);
    assert_string_equal(record->state, "ended");
    assert_string_equal(record->action, "terminate");
    assert_string_equal(record->listener, "https");
    assert_string_equal(record->backend, "web");
    assert_string_equal(record->sni, "shop.example");
    assert_string_equal(record->reason, "client reset");
    assert_string_equal(ip_endpoint_format(&record->client, text), CLIENT);
    assert_int_equal(record->hello, 5 * CLOCK_MS);
    assert_int_equal(record->handshake, 5 * CLOCK_MS);
    assert_int_equal(record->connect, 10 * CLOCK_MS);
    assert_int_equal(record->first_byte, 15 * CLOCK_MS);
    assert_int_equal(record->ended - record->opened, 15 * CLOCK_MS);
    assert_int_equal(record->from_backend, 8);
    assert_true(record->client_side.used && record->backend_side.used);
    assert_string_equal(ip_endpoint_format(&record->backend_side.remote, text), "10.0.0.11:8080");
    assert_string_equal(record->client_side.tls.certificate, "shop");
    assert_false(record->backend_side.tls.used);
    rig_tls_free(&client);
    rig_destroy(r);
}

static void record_of_a_rejected_session(void **state)
{
    struct rig *r = splice_rig();

    (void)state;
    rig_client(r, RIG_POSTGRES_ADDRESS, "203.0.113.9:1");
    assert_string_equal(r->hooks.record.action, "reject");
    assert_string_equal(r->hooks.record.reason, "rejected by rule");
    assert_false(r->hooks.record.backend_side.used);
    assert_int_equal(r->config.rule_hits[0], 1);
    assert_int_equal(r->config.rule_hits[1], 0);
    client_number(r, 0);
    assert_int_equal(r->config.rule_hits[1], 1);
    rig_destroy(r);
}

static void long_names_are_kept_whole(void **state)
{
    static const char name[] =
        "a-name-that-is-longer-than-what-a-session-holds-by-itself.example.shop.example";
    struct rig *r = rig_create(RIG_SPLICE("sni: \"*.example.shop.example\"", "legacy"));
    uint8_t hello[2048];
    struct sock *k = rig_client(r, RIG_HTTPS_ADDRESS, CLIENT);
    struct proxy_record record;

    (void)state;
    fake_deliver(k, hello, rig_hello(name, TLS1_3_VERSION, hello, sizeof hello));
    rig_settle(r);
    assert_int_equal(r->stack->connects, 1);
    assert_true(proxy_session_find(r->proxy, 1, &record));
    assert_string_equal(record.sni, name);
    assert_string_equal(record.state, "connecting");
    assert_int_equal(record.tries, 1);
    rig_destroy(r);
}

/* Against a list kept by hand, while sessions come and go. */
static void sessions_are_listed_by_number(void **state)
{
    struct rig *r = splice_rig();
    static struct proxy_record got[RIG_SESSIONS];
    struct sock *socks[200] = {NULL};
    bool alive[200] = {false};
    unsigned made = 0, random = 1;

    (void)state;
    for (unsigned step = 0; step < 400 && made < 199; step++) {
        unsigned max, n, next = 0, expected = 0;
        uint64_t after;

        random = random * 1103515245 + 12345;
        if ((random >> 16) % 2 == 0 && proxy_session_count(r->proxy) < RIG_SESSIONS) {
            made++; /* its session's number */
            socks[made] = client_number(r, made);
            alive[made] = true;
        } else if (made > 0 && alive[1 + (random >> 18) % made]) {
            alive[1 + (random >> 18) % made] = false;
            fake_error(socks[1 + (random >> 18) % made], SOCK_RESET);
            rig_settle(r);
        }
        max = (random >> 20) % 9;
        after = (random >> 24) % (made + 2);
        n = proxy_sessions(r->proxy, after, got, max);
        for (unsigned id = (unsigned)after + 1; id <= made && expected < max; id++) {
            if (!alive[id])
                continue;
            assert_int_equal(got[next++].id, id);
            expected++;
        }
        assert_int_equal(n, expected);
        if (made > 0)
            assert_int_equal(proxy_session_find(r->proxy, 1 + step % made, &got[0]),
                             alive[1 + step % made]);
    }
    assert_true(made > 100);
    rig_destroy(r);
}

static void numbers_tell_the_worker(void **state)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS, .worker = 3, .workers = 4};
    struct rig *r = rig_create_with(&settings, RIG_SPLICE("listener: postgres", "legacy"));
    struct proxy_record record;

    (void)state;
    client_number(r, 0);
    assert_int_equal(proxy_sessions(r->proxy, 0, &record, 1), 1);
    assert_int_equal(record.id, (UINT64_C(3) << 48) + 1);
    assert_false(proxy_session_find(r->proxy, 0, &record));
    rig_destroy(r);
}

/* ---- limits ---- */

static void limit_of_connections_refuses(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k;

    (void)state;
    r->stack->label.limit = 7;
    r->hooks.refuse_sessions = true;
    k = client_number(r, 0);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_int_equal(r->hooks.label.limit, 7);
    assert_int_equal(r->hooks.source.b[15], 7);
    assert_int_equal(rig_counter(r, sessions_limited), 1);
    assert_int_equal(rig_counter(r, sessions_opened), 0);
    assert_int_equal(r->hooks.closed, 0);
    rig_log_expect(r, "over the firewall's limit of connections");
    r->hooks.refuse_sessions = false;
    assert_int_equal(client_number(r, 1)->end, FAKE_HELD);
    rig_destroy(r);
}

static void limit_of_handshakes_refuses_before_any_work(void **state)
{
    struct rig *r = splice_rig();
    struct rig_tls client;

    (void)state;
    r->hooks.refuse_handshakes = true;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    SSL_do_handshake(client.ssl);
    rig_tls_pump(&client);
    rig_settle(r);
    assert_int_equal(client.sock->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, handshakes_limited), 1);
    assert_int_equal(rig_counter(r, sessions_terminated), 0);
    rig_log_expect(r, "limit of handshakes");
    rig_tls_free(&client);
    rig_destroy(r);
}

/* ---- egress classes ---- */

static void classes(struct rig *r, const struct policy_class *of_rule)
{
    static struct policy_class two[2] = {{.name = "bulk", .dscp = 10, .index = 0},
                                         {.name = "voice", .dscp = -1, .index = 1}};

    r->config.policy->classes = two;
    r->config.policy->class_count = 2;
    r->config.classes[0] = 5;
    r->config.classes[1] = 9;
    for (unsigned i = 0; i < r->config.policy->rule_count; i++)
        r->config.policy->rules[i].egress_class = of_rule != NULL ? &two[of_rule->index] : NULL;
}

static void expect_class(const struct sock *k, unsigned egress_class, unsigned dscp)
{
    assert_int_equal(k->egress_class, egress_class);
    assert_int_equal(k->dscp, dscp);
}

static void class_of_the_rule_holds_both_ways(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k;

    (void)state;
    classes(r, &(struct policy_class){.index = 0});
    r->stack->label.egress_class = 9; /* the rule's goes first */
    k = client_number(r, 0);
    expect_class(k, 5, 10);
    expect_class(r->stack->last_connect, 5, 10);
    fake_error(k, SOCK_RESET);
    rig_settle(r);
    assert_string_equal(r->hooks.record.egress_class, "bulk");
    rig_destroy(r);
}

static void class_of_the_firewall_holds_without_one_of_the_rule(void **state)
{
    struct rig *r = splice_rig();
    struct sock *k;

    (void)state;
    classes(r, NULL);
    r->stack->label.egress_class = 5;
    k = client_number(r, 0);
    expect_class(k, 5, 10);
    expect_class(r->stack->last_connect, 5, 10);
    r->stack->label.egress_class = 0;
    k = client_number(r, 1);
    expect_class(k, 0, 0);
    assert_false(k->class_set);
    expect_class(r->stack->last_connect, 0, 0);
    r->stack->label.egress_class = 33; /* of a configuration that is no more */
    k = client_number(r, 2);
    assert_false(k->class_set);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_of_a_terminated_session),
        cmocka_unit_test(record_of_a_rejected_session),
        cmocka_unit_test(long_names_are_kept_whole),
        cmocka_unit_test(sessions_are_listed_by_number),
        cmocka_unit_test(numbers_tell_the_worker),
        cmocka_unit_test(limit_of_connections_refuses),
        cmocka_unit_test(limit_of_handshakes_refuses_before_any_work),
        cmocka_unit_test(class_of_the_rule_holds_both_ways),
        cmocka_unit_test(class_of_the_firewall_holds_without_one_of_the_rule),
    };

    return cmocka_run_group_tests_name("proxy_record", tests, rig_group_setup, rig_group_teardown);
}
