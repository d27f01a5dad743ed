/* Snapshots: what a reload does to listeners and sessions, when one is released, draining. */
#include <string.h>

#include "rig.h"

#define CLIENT "198.51.100.7:40112"

static const char splice_rules[] =
    RIG_SPLICE("listener: postgres", "legacy") RIG_SPLICE("listener: plain", "web");

static int apply(struct rig *r, struct rig_config *c, struct error *e)
{
    return proxy_apply(r->proxy, &c->snapshot, e);
}

static void listener_that_stays_is_not_touched(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *plain = fake_listener(r->stack, RIG_PLAIN_ADDRESS);
    struct sock *postgres = fake_listener(r->stack, RIG_POSTGRES_ADDRESS);
    struct sock *waiting = fake_client(plain, CLIENT);
    struct rig_config next;

    (void)state;
    rig_config_init(&next,
                    "  renamed: {bind: \"192.0.2.10:80\", backlog: 77, syn-cookies: always}\n"
                    "  new: {bind: \"192.0.2.10:8443\", syn-cookies: off}\n",
                    RIG_SPLICE("listener: renamed", "legacy"));
    assert_int_equal(apply(r, &next, NULL), 0);
    assert_ptr_equal(fake_listener(r->stack, RIG_PLAIN_ADDRESS), plain);
    assert_int_equal(plain->backlog_size, 77);
    assert_int_equal(plain->cookies, SOCK_COOKIES_ALWAYS);
    assert_int_equal(fake_listener(r->stack, "192.0.2.10:8443")->cookies, SOCK_COOKIES_OFF);
    assert_int_equal(postgres->end, FAKE_CLOSED);
    assert_null(fake_listener(r->stack, RIG_HTTPS_ADDRESS));
    assert_non_null(fake_listener(r->stack, "192.0.2.10:8443"));
    /* The backlog outlived the reload; the new rules decide about it. */
    rig_settle(r);
    assert_int_equal(waiting->end, FAKE_HELD);
    assert_int_equal(r->stack->last_connect->remote.port, 443);
    assert_int_equal(next.snapshot.sessions, 1);
    assert_int_equal(r->config.released, 1);
    rig_destroy(r);
    assert_int_equal(next.released, 1);
    rig_config_free(&next);
}

static void connections_in_a_removed_backlog_are_served(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *waiting = fake_client(fake_listener(r->stack, RIG_POSTGRES_ADDRESS), CLIENT);
    struct rig_config next;

    (void)state;
    rig_config_init(&next, RIG_PLAIN, RIG_SPLICE("listener: plain", "web"));
    assert_int_equal(apply(r, &next, NULL), 0);
    assert_int_equal(waiting->end, FAKE_HELD);
    assert_int_equal(r->config.snapshot.sessions, 1);
    assert_int_equal(r->config.released, 0);
    fake_connected(r->stack->last_connect);
    rig_send(waiting, "request");
    rig_settle(r);
    rig_expect(r->stack->last_connect, "request");
    rig_destroy(r);
    rig_config_free(&next);
}

static void failed_apply_changes_nothing(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *plain = fake_listener(r->stack, RIG_PLAIN_ADDRESS);
    struct rig_config next;
    struct error e = {0};

    (void)state;
    rig_config_init(&next,
                    "  good: {bind: \"192.0.2.10:8443\"}\n"
                    "  bad: {bind: \"192.0.2.10:9999\"}\n",
                    RIG_SPLICE("listener: good", "web") RIG_SPLICE("listener: bad", "web"));
    r->stack->listen_fails_port = 9999;
    assert_int_equal(apply(r, &next, &e), -1);
    assert_string_equal(e.text, "listener bad: cannot listen on 192.0.2.10:9999: bad address");
    assert_null(fake_listener(r->stack, "192.0.2.10:8443"));
    assert_ptr_equal(fake_listener(r->stack, RIG_PLAIN_ADDRESS), plain);
    assert_non_null(fake_listener(r->stack, RIG_POSTGRES_ADDRESS));
    rig_settle(r);
    assert_int_equal(next.released, 0); /* it never was the proxy's */
    assert_int_equal(r->config.released, 0);
    rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    assert_int_equal(r->config.snapshot.sessions, 1);
    rig_destroy(r);
    assert_int_equal(next.released, 0);
    rig_config_free(&next);
}

static void snapshot_is_released_with_its_last_session(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *first = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.7:1");
    struct sock *second = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.7:2");
    struct rig_config next;

    (void)state;
    rig_config_init(&next, RIG_HTTPS RIG_PLAIN RIG_POSTGRES, splice_rules);
    assert_int_equal(apply(r, &next, NULL), 0);
    assert_int_equal(r->config.released, 0);
    rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.7:3");
    assert_int_equal(r->config.snapshot.sessions, 2);
    assert_int_equal(next.snapshot.sessions, 1);
    fake_error(first, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(r->config.released, 0);
    fake_error(second, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(r->config.released, 1);
    assert_int_equal(next.released, 0);
    rig_destroy(r);
    assert_int_equal(next.released, 1);
    rig_config_free(&next);
}

static void session_retries_on_the_servers_of_its_own_snapshot(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct rig_config next;

    (void)state;
    rig_client(r, RIG_PLAIN_ADDRESS, CLIENT);
    rig_config_init(&next, RIG_PLAIN, RIG_SPLICE("listener: plain", "legacy"));
    assert_int_equal(apply(r, &next, NULL), 0);
    fake_error(r->stack->last_connect, SOCK_REFUSED);
    rig_settle(r);
    assert_int_equal(r->stack->last_connect->remote.port, 8080);
    rig_destroy(r);
    rig_config_free(&next);
}

static void destroy_resets_and_releases(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *client = rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    struct sock *backend = r->stack->last_connect;
    struct proxy *p = r->proxy;
    const struct proxy_config settings = {.stack = r->stack, .max_sessions = 1};

    (void)state;
    fake_connected(backend);
    rig_settle(r);
    proxy_destroy(p);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(backend->end, FAKE_ABORTED);
    assert_int_equal(r->config.released, 1);
    r->proxy = proxy_create(&settings, NULL);
    rig_destroy(r);
}

static void drain_stops_accepting_and_cuts_at_the_deadline(void **state)
{
    struct rig *r = rig_create(splice_rules);
    struct sock *done = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.7:1"), *late;
    struct sock *stays = rig_client(r, RIG_POSTGRES_ADDRESS, "198.51.100.7:2");
    struct error e = {0};

    (void)state;
    late = fake_client(fake_listener(r->stack, RIG_POSTGRES_ADDRESS), "198.51.100.7:3");
    proxy_drain(r->proxy, r->now + 30 * CLOCK_SEC);
    assert_true(fake_listener(r->stack, RIG_POSTGRES_ADDRESS)->refusing);
    assert_true(fake_listener(r->stack, RIG_PLAIN_ADDRESS)->refusing);
    assert_int_equal(late->end, FAKE_HELD); /* it was connected already */
    assert_int_equal(proxy_session_count(r->proxy), 3);
    assert_int_equal(apply(r, &r->config, &e), -1);
    assert_non_null(strstr(e.text, "stopping"));
    fake_error(done, SOCK_RESET);
    rig_advance(r, 29 * CLOCK_SEC);
    assert_int_equal(stays->end, FAKE_HELD);
    assert_true(proxy_deadline(r->proxy) <= r->now + 1010 * CLOCK_MS);
    rig_advance(r, 2 * CLOCK_SEC);
    assert_int_equal(stays->end, FAKE_ABORTED);
    assert_int_equal(late->end, FAKE_ABORTED);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    assert_int_equal(rig_counter(r, timeout_drain), 2);
    assert_int_equal(r->config.released, 0); /* still current */
    rig_destroy(r);
}

static void second_drain_may_bring_the_deadline_nearer(void **state)
{
    struct rig *r = rig_create(splice_rules);

    (void)state;
    rig_client(r, RIG_POSTGRES_ADDRESS, CLIENT);
    proxy_drain(r->proxy, r->now + 30 * CLOCK_SEC);
    proxy_drain(r->proxy, r->now);
    rig_advance(r, 3 * CLOCK_MS);
    assert_int_equal(proxy_session_count(r->proxy), 0);
    rig_destroy(r);
}

static void handshake_that_is_under_way_may_finish_in_a_drain(void **state)
{
    struct rig *r = rig_create(RIG_TERMINATE("listener: https"));
    struct rig_tls client;

    (void)state;
    rig_tls_open(&client, rig_client(r, RIG_HTTPS_ADDRESS, CLIENT), "shop.example");
    proxy_drain(r->proxy, r->now + 30 * CLOCK_SEC);
    rig_tls_handshake(r, &client);
    fake_connected(r->stack->last_connect);
    rig_tls_send(&client, "request", 7);
    rig_settle(r);
    rig_expect(r->stack->last_connect, "request");
    rig_tls_free(&client);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_that_stays_is_not_touched),
        cmocka_unit_test(connections_in_a_removed_backlog_are_served),
        cmocka_unit_test(failed_apply_changes_nothing),
        cmocka_unit_test(snapshot_is_released_with_its_last_session),
        cmocka_unit_test(session_retries_on_the_servers_of_its_own_snapshot),
        cmocka_unit_test(destroy_resets_and_releases),
        cmocka_unit_test(drain_stops_accepting_and_cuts_at_the_deadline),
        cmocka_unit_test(second_drain_may_bring_the_deadline_nearer),
        cmocka_unit_test(handshake_that_is_under_way_may_finish_in_a_drain),
    };

    return cmocka_run_group_tests_name("proxy_apply", tests, rig_group_setup, rig_group_teardown);
}
