/* Which servers sessions go to when some are down, drained or fail: retries, ejection, trials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_maglev.h"
#include "rig.h"

#define TIME (30 * CLOCK_SEC)

static struct proxy_server *server_at(struct rig *r, unsigned i)
{
    return r->config.snapshot.servers[rig_backend(r, "web")->index][i];
}

/* Three servers, .11 to .13; one is ejected after three failures in a row. */
static struct rig *ejecting_rig(void)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: plain", "web"));

    rig_backend(r, "web")->ejection =
        (struct policy_ejection){.enabled = true, .failures = 3, .time = TIME};
    return r;
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

static struct sock *backend(const struct rig *r)
{
    return r->stack->last_connect;
}

static void refuse(struct rig *r)
{
    fake_error(backend(r), SOCK_REFUSED);
    rig_settle(r);
}

static void answer(struct rig *r)
{
    fake_connected(backend(r));
    rig_settle(r);
    rig_send(backend(r), "answer");
    rig_settle(r);
}

/* Sessions until the server's turn has come; all others answer. Returns the client of that one. */
static struct sock *session_to(struct rig *r, unsigned octet)
{
    for (unsigned i = 0; i < 10; i++) {
        struct sock *client = client_of(r);

        if (server(r) == octet)
            return client;
        answer(r);
        fake_error(client, SOCK_RESET);
        rig_settle(r);
    }
    fail_msg("no session for .%u", octet);
    return NULL;
}

/* Refuses sessions to the server; each then succeeds at the next. */
static void fail_server(struct rig *r, unsigned octet, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct sock *client = session_to(r, octet);

        refuse(r);
        assert_int_not_equal(server(r), octet);
        answer(r);
        fake_error(client, SOCK_RESET);
        rig_settle(r);
    }
}

static bool is_used(struct rig *r, unsigned octet)
{
    bool used = false;

    for (unsigned i = 0; i < 6; i++) {
        struct sock *client = client_of(r);

        used |= server(r) == octet;
        answer(r);
        fake_error(client, SOCK_RESET);
        rig_settle(r);
    }
    return used;
}

static void failures_in_a_row_eject(void **state)
{
    struct rig *r = ejecting_rig();

    (void)state;
    fail_server(r, 12, 2);
    assert_true(is_used(r, 12)); /* which answers, and so ends the row */
    fail_server(r, 12, 2);
    assert_int_equal(rig_counter(r, servers_ejected), 0);
    rig_log(r);
    fail_server(r, 12, 1);
    rig_log_expect(r, "web: 10.0.0.12:8080 is left out for 30 s: connection refused (3 connections "
                      "in a row failed)");
    assert_int_equal(rig_counter(r, servers_ejected), 1);
    assert_false(is_used(r, 12));
    assert_int_equal(server_at(r, 1)->worker[0].counters.server_connect_failed, 5);
    rig_destroy(r);
}

static void one_trial_at_a_time_decides(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *trial;

    (void)state;
    fail_server(r, 12, 3);
    rig_advance(r, TIME + CLOCK_MS);
    trial = session_to(r, 12);
    assert_false(is_used(r, 12)); /* while the trial goes on */
    refuse(r);
    (void)trial;
    rig_destroy(r);

    r = ejecting_rig();
    fail_server(r, 12, 3);
    rig_advance(r, TIME + CLOCK_MS);
    session_to(r, 12);
    rig_log(r);
    refuse(r); /* the trial's */
    rig_log_expect(r, "web: 10.0.0.12:8080 is left out for 30 s more: connection refused");
    answer(r);
    assert_false(is_used(r, 12));
    rig_advance(r, TIME - CLOCK_SEC);
    assert_false(is_used(r, 12));
    rig_advance(r, CLOCK_SEC);
    session_to(r, 12);
    rig_log(r);
    answer(r);
    rig_log_expect(r, "web: 10.0.0.12:8080 answers and is used again");
    assert_true(is_used(r, 12));
    assert_int_equal(server_at(r, 1)->ejected_until, 0);
    assert_int_equal(rig_counter(r, servers_ejected), 1);
    rig_destroy(r);
}

static void trial_that_tells_nothing_leaves_it_to_the_next(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *client;

    (void)state;
    fail_server(r, 12, 3);
    rig_advance(r, TIME + CLOCK_MS);
    client = session_to(r, 12);
    fake_error(client, SOCK_RESET); /* before the server said anything */
    rig_settle(r);
    client = session_to(r, 12);
    answer(r);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_true(is_used(r, 12));
    rig_destroy(r);
}

static void reset_without_an_answer_is_a_failure(void **state)
{
    struct rig *r = ejecting_rig();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        rig_send(session_to(r, 13), "request");
        fake_connected(backend(r));
        rig_settle(r);
        assert_int_equal(rig_counter(r, servers_ejected), 0);
        fake_error(backend(r), SOCK_RESET);
        rig_settle(r);
    }
    assert_int_equal(rig_counter(r, servers_ejected), 1);
    assert_int_equal(server_at(r, 2)->worker[0].counters.server_resets, 3);
    rig_log_expect(r, "web: 10.0.0.13:8080 is left out for 30 s: connection reset");
    rig_destroy(r);
}

static void other_ends_are_no_failures(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *client;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        session_to(r, 11); /* reset in the middle of an answer */
        answer(r);
        fake_error(backend(r), SOCK_RESET);
        rig_settle(r);
        session_to(r, 12); /* closed in order, without a word */
        fake_connected(backend(r));
        fake_deliver_fin(backend(r));
        rig_settle(r);
        client = session_to(r, 13); /* the client went away */
        fake_connected(backend(r));
        rig_settle(r);
        fake_error(client, SOCK_RESET);
        rig_settle(r);
    }
    assert_int_equal(rig_counter(r, servers_ejected), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(server_at(r, i)->worker[0].failures, 0);
    rig_destroy(r);
}

static void last_server_is_never_ejected(void **state)
{
    struct rig *r = ejecting_rig();

    (void)state;
    atomic_store(&server_at(r, 0)->health, PROXY_HEALTH_DOWN);
    atomic_store(&server_at(r, 1)->drained, true);
    for (unsigned i = 0; i < 6; i++) {
        client_of(r);
        assert_int_equal(server(r), 13);
        refuse(r);
    }
    assert_int_equal(rig_counter(r, servers_ejected), 0);
    rig_log_expect(r, "web: 10.0.0.13:8080 stays in use as the last server, though 3 connections "
                      "in a row failed: connection refused");
    rig_destroy(r);
}

static void ejected_servers_are_better_than_none(void **state)
{
    struct rig *r = ejecting_rig();

    (void)state;
    atomic_store(&server_at(r, 0)->health, PROXY_HEALTH_DOWN);
    atomic_store(&server_at(r, 1)->ejected_until, r->now + TIME);
    atomic_store(&server_at(r, 2)->ejected_until, r->now + TIME / 2);
    for (unsigned i = 0; i < 4; i++) {
        client_of(r);
        assert_int_equal(server(r), 12 + i % 2);
        answer(r);
    }
    rig_destroy(r);
}

static void retries_go_to_ejected_servers_last(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *client;

    (void)state;
    atomic_store(&server_at(r, 1)->ejected_until, r->now - CLOCK_SEC + TIME);
    session_to(r, 11);
    refuse(r);
    assert_int_equal(server(r), 13);
    refuse(r);
    assert_int_equal(server(r), 12); /* left out, but all others failed */
    refuse(r);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    /* One that this session itself got ejected is not tried again. */
    fail_server(r, 13, 1);
    client = session_to(r, 13);
    rig_log(r);
    refuse(r);
    rig_log_expect(r, "10.0.0.13:8080 is left out");
    assert_int_equal(server(r), 11);
    refuse(r);
    assert_int_equal(server(r), 12);
    refuse(r);
    assert_int_equal(client->end, FAKE_ABORTED);
    rig_destroy(r);
}

static void servers_that_are_down_or_drained_are_not_tried(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *client;
    unsigned before;

    (void)state;
    atomic_store(&server_at(r, 0)->health, PROXY_HEALTH_DOWN);
    atomic_store(&server_at(r, 1)->drained, true);
    for (unsigned i = 0; i < 5; i++) {
        client_of(r);
        assert_int_equal(server(r), 13);
        answer(r);
    }
    atomic_store(&server_at(r, 2)->health, PROXY_HEALTH_DOWN);
    before = r->stack->connects;
    client = client_of(r);
    assert_int_equal(r->stack->connects, before);
    assert_int_equal(client->end, FAKE_ABORTED);
    assert_int_equal(rig_counter(r, backend_unavailable), 1);
    rig_log_expect(r, "web: no server can be used: 10.0.0.11:8080: down; 10.0.0.12:8080: drained; "
                      "10.0.0.13:8080: down");
    rig_destroy(r);
}

static void drained_server_keeps_its_sessions(void **state)
{
    struct rig *r = ejecting_rig();
    struct sock *client = session_to(r, 12), *k = backend(r);

    (void)state;
    fake_connected(k);
    rig_settle(r);
    atomic_store(&server_at(r, 1)->drained, true);
    assert_false(is_used(r, 12));
    rig_send(client, "request");
    rig_settle(r);
    rig_expect(k, "request");
    rig_send(k, "response");
    rig_settle(r);
    rig_expect(client, "response");
    assert_int_equal(server_at(r, 1)->worker[0].connections, 1);
    rig_destroy(r);
}

/* Our own want of ports says nothing about the server. */
static void failures_of_our_own_do_not_eject(void **state)
{
    struct rig *r = ejecting_rig();

    (void)state;
    r->stack->connect_fails_port = 8080;
    r->stack->connect_error = SOCK_NO_PORT;
    for (unsigned i = 0; i < 10; i++)
        client_of(r);
    assert_int_equal(rig_counter(r, servers_ejected), 0);
    assert_int_equal(server_at(r, 0)->worker[0].connections, 0);
    rig_destroy(r);
}

static void each_server_counts_its_connections(void **state)
{
    struct rig *r = ejecting_rig();
    const struct proxy_server_worker *w = &server_at(r, 0)->worker[0];
    struct sock *client = client_of(r);

    (void)state;
    assert_int_equal(server(r), 11);
    assert_int_equal(w->connections, 1);
    assert_int_equal(w->counters.server_sessions_opened, 0);
    rig_send(client, "request");
    fake_connected(backend(r));
    rig_settle(r);
    rig_send(backend(r), "the answer");
    rig_settle(r);
    assert_int_equal(w->counters.server_sessions_opened, 1);
    assert_int_equal(w->counters.server_bytes_sent, 7);
    assert_int_equal(w->counters.server_bytes_received, 10);
    fake_error(client, SOCK_RESET);
    rig_settle(r);
    assert_int_equal(w->connections, 0);
    assert_int_equal(w->counters.server_sessions_closed, 1);
    assert_int_equal(w->counters.server_resets, 0);
    rig_destroy(r);
}

static void source_hash_goes_by_the_clients_address(void **state)
{
    struct rig *r = rig_create(RIG_SPLICE("listener: plain", "web"));
    const unsigned web = rig_backend(r, "web")->index;
    struct rig_config next;
    unsigned chosen[8];

    (void)state;
    rig_config_init(&next, RIG_PLAIN, RIG_SPLICE("listener: plain", "web"));
    next.policy->backends[web].balance = POLICY_SOURCE_HASH;
    next.snapshot.maglev = calloc(next.policy->backend_count, sizeof *next.snapshot.maglev);
    next.snapshot.maglev[web] = proxy_maglev_create(&next.policy->backends[web], NULL);
    assert_int_equal(proxy_apply(r->proxy, &next.snapshot, NULL), 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 8; i++) {
            char remote[32];

            snprintf(remote, sizeof remote, "198.51.100.%u:%u", 40 + i, 1000 + round);
            rig_client(r, RIG_PLAIN_ADDRESS, remote);
            if (round == 0)
                chosen[i] = server(r);
            assert_int_equal(server(r), chosen[i]);
        }
    }
    rig_destroy(r);
    proxy_maglev_free(next.snapshot.maglev[web]);
    free(next.snapshot.maglev);
    rig_config_free(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_eject),
        cmocka_unit_test(one_trial_at_a_time_decides),
        cmocka_unit_test(trial_that_tells_nothing_leaves_it_to_the_next),
        cmocka_unit_test(reset_without_an_answer_is_a_failure),
        cmocka_unit_test(other_ends_are_no_failures),
        cmocka_unit_test(last_server_is_never_ejected),
        cmocka_unit_test(ejected_servers_are_better_than_none),
        cmocka_unit_test(retries_go_to_ejected_servers_last),
        cmocka_unit_test(servers_that_are_down_or_drained_are_not_tried),
        cmocka_unit_test(drained_server_keeps_its_sessions),
        cmocka_unit_test(failures_of_our_own_do_not_eject),
        cmocka_unit_test(each_server_counts_its_connections),
        cmocka_unit_test(source_hash_goes_by_the_clients_address),
    };

    return cmocka_run_group_tests_name("proxy_ejection", tests, rig_group_setup,
                                       rig_group_teardown);
}
