/* Health checks on a virtual clock: when they come, what takes a server out and back, reloads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "rig_servers.h"

#define INTERVAL (2 * CLOCK_SEC)
#define TIMEOUT  (1 * CLOCK_SEC)

/* A proxy whose backend "web" (.11 to .13, port 8080) is checked; rise 2, fall 3. */
struct checked {
    struct rig *r;
    struct rig_config config;
    struct policy_backend *web;
    struct proxy_server **servers;
};

static void enable_checks(struct rig_config *c, struct policy_backend **web)
{
    rig_config_init(c, RIG_PLAIN, RIG_SPLICE("listener: plain", "web"));
    for (unsigned i = 0; i < c->policy->backend_count; i++) {
        struct policy_backend *b = &c->policy->backends[i];

        if (strcmp(b->name, "web") != 0)
            continue;
        b->health_check = (struct policy_health_check){
            .enabled = true, .interval = INTERVAL, .timeout = TIMEOUT, .rise = 2, .fall = 3};
        *web = b;
    }
}

static void checked_create(struct checked *c, const struct proxy_config *settings)
{
    c->r = rig_create_with(settings, RIG_SPLICE("listener: plain", "web"));
    enable_checks(&c->config, &c->web);
    assert_int_equal(proxy_apply(c->r->proxy, &c->config.snapshot, NULL), 0);
    c->servers = c->config.snapshot.servers[c->web->index];
}

static void checked_rig(struct checked *c)
{
    const struct proxy_config settings = {.max_sessions = RIG_SESSIONS};

    checked_create(c, &settings);
}

static void checked_destroy(struct checked *c)
{
    rig_destroy(c->r);
    rig_config_free(&c->config);
}

/* The connection of the running check of .octet; NULL: none is running. */
static struct sock *check_of(const struct checked *c, unsigned octet)
{
    struct sock *k, *found = NULL;

    TAILQ_FOREACH (k, &c->r->stack->socks, link) {
        if (!k->listener && k->end == FAKE_HELD && k->state == TCP_SYN_SENT &&
            k->error == SOCK_OK && k->remote.addr.b[15] == octet) {
            assert_null(found);
            found = k;
        }
    }
    return found;
}

enum answer { ACCEPTS, REFUSES, SILENT };

/* Time passes, round by round; checks are answered as they come. Returns how many of .octet. */
static unsigned run(struct checked *c, clock_ns by, unsigned octet, enum answer how)
{
    clock_ns end = c->r->now + by;
    unsigned checks = 0;

    for (; c->r->now < end; c->r->now += 5 * CLOCK_MS) {
        rig_round(c->r);
        for (unsigned i = 11; i <= 13; i++) {
            struct sock *k = check_of(c, i);

            if (k == NULL || (i == octet && how == SILENT))
                continue;
            checks += i == octet;
            if (i == octet && how == REFUSES)
                fake_error(k, SOCK_REFUSED);
            else
                fake_connected(k);
        }
        rig_round(c->r);
    }
    return checks;
}

static void expect_health(const struct checked *c, unsigned octet, enum proxy_health health)
{
    assert_int_equal(atomic_load(&c->servers[octet - 11]->health), health);
}

#define checked_counter(c, name) (proxy_counters((c)->r->proxy)->name)

/* The first checks begin within a tick of the timing wheel. */
static void start(struct checked *c)
{
    rig_advance(c->r, 2 * CLOCK_MS);
}

static void servers_are_checked_at_once_and_begin_as_usable(void **state)
{
    struct checked c;

    (void)state;
    checked_rig(&c);
    for (unsigned i = 11; i <= 13; i++)
        assert_true(proxy_server_usable(c.servers[i - 11], c.r->now));
    start(&c);
    assert_int_equal(c.r->stack->connects, 3);
    for (unsigned i = 11; i <= 13; i++) {
        struct sock *k = check_of(&c, i);

        expect_health(&c, i, PROXY_HEALTH_UNCHECKED);
        fake_connected(k);
        rig_settle(c.r);
        assert_int_equal(k->end, FAKE_ABORTED); /* nothing was to be said */
        expect_health(&c, i, PROXY_HEALTH_UP);
    }
    assert_int_equal(checked_counter(&c, health_checks), 3);
    assert_int_equal(checked_counter(&c, servers_came_up), 0);
    assert_string_equal(rig_log(c.r), ""); /* as it should be: no news */
    checked_destroy(&c);
}

static void checks_come_at_the_interval_and_do_not_bunch(void **state)
{
    struct checked c;
    unsigned checks, together = 0;

    (void)state;
    checked_rig(&c);
    checks = run(&c, 100 * INTERVAL, 12, ACCEPTS);
    assert_in_range(checks, 95, 106);
    assert_in_range(checked_counter(&c, health_checks), 3 * 95, 3 * 106);
    for (unsigned i = 0; i < 200; i++) { /* how often two of three begin within one round */
        unsigned before = c.r->stack->connects;

        run(&c, 5 * CLOCK_MS, 0, ACCEPTS);
        together += c.r->stack->connects > before + 1;
    }
    assert_in_range(together, 0, 2);
    checked_destroy(&c);
}

static unsigned checks_made(const struct checked *c, unsigned octet)
{
    const struct sock *k;
    unsigned n = 0;

    TAILQ_FOREACH (k, &c->r->stack->socks, link)
        n += !k->listener && k->remote.addr.b[15] == octet;
    return n;
}

static void checks_that_began_together_part_at_once(void **state)
{
    struct checked c;
    clock_ns second[14] = {0}, end;

    (void)state;
    checked_rig(&c);
    end = c.r->now + INTERVAL + CLOCK_SEC / 10;
    while (c.r->now < end) {
        run(&c, 5 * CLOCK_MS, 0, ACCEPTS);
        for (unsigned i = 11; i <= 13; i++) {
            if (second[i] == 0 && checks_made(&c, i) == 2)
                second[i] = c.r->now;
        }
    }
    for (unsigned i = 11; i <= 13; i++) {
        clock_ns a = second[i], b = second[i < 13 ? i + 1 : 11];

        assert_true(a != 0 && (a > b ? a - b : b - a) > INTERVAL / 50);
    }
    checked_destroy(&c);
}

static void fall_failures_in_a_row_take_a_server_out(void **state)
{
    struct checked c;
    unsigned checks = 0;

    (void)state;
    checked_rig(&c);
    run(&c, 5 * INTERVAL, 12, ACCEPTS);
    rig_log(c.r);
    while (checks < 2)
        checks += run(&c, 5 * CLOCK_MS, 12, REFUSES);
    run(&c, 2 * INTERVAL, 12, ACCEPTS); /* ends the row */
    checks = 0;
    while (checks < 2)
        checks += run(&c, 5 * CLOCK_MS, 12, REFUSES);
    expect_health(&c, 12, PROXY_HEALTH_UP);
    assert_string_equal(rig_log(c.r), "");
    while (checks < 3)
        checks += run(&c, 5 * CLOCK_MS, 12, REFUSES);
    expect_health(&c, 12, PROXY_HEALTH_DOWN);
    expect_health(&c, 11, PROXY_HEALTH_UP);
    rig_log_expect(c.r, "web: 10.0.0.12:8080 is down: connection refused (3 checks failed); 2 of 3 "
                        "servers left");
    assert_int_equal(checked_counter(&c, servers_went_down), 1);
    assert_int_equal(checked_counter(&c, health_checks_failed), 5);
    assert_int_equal(c.servers[1]->worker[0].counters.server_checks_failed, 5);
    checked_destroy(&c);
}

static void rise_checks_in_a_row_bring_it_back(void **state)
{
    struct checked c;
    unsigned checks = 0;

    (void)state;
    checked_rig(&c);
    run(&c, 5 * INTERVAL, 12, REFUSES);
    atomic_store(&c.servers[1]->ejected_until, UINT64_MAX);
    rig_log(c.r);
    while (checks < 1)
        checks += run(&c, 5 * CLOCK_MS, 12, ACCEPTS);
    run(&c, 2 * INTERVAL, 12, REFUSES); /* ends the row */
    for (checks = 0; checks < 1;)
        checks += run(&c, 5 * CLOCK_MS, 12, ACCEPTS);
    expect_health(&c, 12, PROXY_HEALTH_DOWN);
    assert_string_equal(rig_log(c.r), "");
    while (checks < 2)
        checks += run(&c, 5 * CLOCK_MS, 12, ACCEPTS);
    expect_health(&c, 12, PROXY_HEALTH_UP);
    assert_true(proxy_server_usable(c.servers[1], c.r->now));
    rig_log_expect(c.r, "web: 10.0.0.12:8080 is up again; 3 of 3 servers in use");
    assert_int_equal(checked_counter(&c, servers_came_up), 1);
    checked_destroy(&c);
}

static void silence_is_a_failure_after_the_timeout(void **state)
{
    struct checked c;
    struct sock *k;

    (void)state;
    checked_rig(&c);
    start(&c);
    k = check_of(&c, 12);
    run(&c, TIMEOUT - 20 * CLOCK_MS, 12, SILENT);
    assert_int_equal(k->end, FAKE_HELD);
    assert_int_equal(checked_counter(&c, health_checks_failed), 0);
    run(&c, 40 * CLOCK_MS, 12, SILENT);
    assert_int_equal(k->end, FAKE_ABORTED);
    assert_int_equal(checked_counter(&c, health_checks_failed), 1);
    run(&c, 3 * INTERVAL, 12, SILENT);
    rig_log_expect(c.r, "web: 10.0.0.12:8080 is down: no answer within 1000 ms");
    checked_destroy(&c);
}

static void last_server_that_goes_is_an_error(void **state)
{
    struct checked c;

    (void)state;
    checked_rig(&c);
    run(&c, INTERVAL, 0, ACCEPTS);
    atomic_store(&c.servers[0]->drained, true);
    atomic_store(&c.servers[2]->drained, true);
    rig_log(c.r);
    run(&c, 5 * INTERVAL, 12, REFUSES);
    rig_log_expect(c.r, "error backend: web: no server is left; its sessions are refused");
    checked_destroy(&c);
}

static void errors_of_our_own_count_neither_way(void **state)
{
    struct checked c;

    (void)state;
    checked_rig(&c);
    c.r->stack->connect_fails_port = 8080;
    c.r->stack->connect_error = SOCK_NO_PORT;
    run(&c, 10 * INTERVAL, 12, ACCEPTS);
    c.r->stack->connect_error = SOCK_NOT_YET;
    run(&c, 10 * INTERVAL, 12, ACCEPTS);
    assert_int_equal(checked_counter(&c, health_checks), 0);
    assert_int_equal(checked_counter(&c, health_checks_failed), 0);
    c.r->stack->connect_error = SOCK_BAD_ADDRESS;
    run(&c, 10 * INTERVAL, 12, ACCEPTS);
    expect_health(&c, 12, PROXY_HEALTH_DOWN);
    rig_log_expect(c.r, "10.0.0.12:8080 is down: no route");
    checked_destroy(&c);
}

static void servers_with_proxy_protocol_are_told_that_it_is_local(void **state)
{
    static const uint8_t v2[16] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0";
    struct checked c;
    struct sock *k;
    uint8_t got[64];

    (void)state;
    checked_rig(&c);
    c.web->proxy_protocol = POLICY_PROXY_V1;
    start(&c);
    k = check_of(&c, 11);
    fake_connected(k);
    rig_settle(c.r);
    rig_expect(k, "PROXY UNKNOWN\r\n");
    assert_int_equal(k->end, FAKE_CLOSED);
    c.web->proxy_protocol = POLICY_PROXY_V2;
    k = check_of(&c, 12);
    fake_connected(k);
    rig_settle(c.r);
    assert_int_equal(fake_take(k, got, sizeof got), 16);
    assert_memory_equal(got, v2, 16);
    checked_destroy(&c);
}

/* A configuration after the first that shares its servers, as the registry makes it so. */
static void reload(struct checked *c, struct rig_config *next, bool checks)
{
    struct policy_backend *web;

    enable_checks(next, &web);
    web->health_check.enabled = checks;
    rig_servers_free(next->policy, next->snapshot.servers);
    next->snapshot.servers = c->config.snapshot.servers;
    assert_int_equal(proxy_apply(c->r->proxy, &next->snapshot, NULL), 0);
}

static void forget(struct rig_config *next)
{
    next->snapshot.servers = rig_servers_create(next->policy, 1);
    rig_config_free(next);
}

static void reload_keeps_counts_timers_and_running_checks(void **state)
{
    struct checked c;
    static struct rig_config next[21];
    struct sock *k;
    unsigned checks = 0;

    (void)state;
    checked_rig(&c);
    while (checks < 2)
        checks += run(&c, 5 * CLOCK_MS, 12, REFUSES);
    while (check_of(&c, 12) == NULL)
        run(&c, 5 * CLOCK_MS, 12, SILENT);
    k = check_of(&c, 12);
    reload(&c, &next[0], true);
    assert_ptr_equal(check_of(&c, 12), k); /* goes on */
    fake_error(k, SOCK_REFUSED);
    rig_settle(c.r);
    expect_health(&c, 12, PROXY_HEALTH_DOWN); /* the third */
    checks = c.r->stack->connects;
    for (unsigned i = 1; i < 21; i++) { /* reloads make no additional checks */
        reload(&c, &next[i], true);
        start(&c);
        assert_int_equal(next[i - 1].released, 1);
    }
    assert_in_range(c.r->stack->connects, checks, checks + 1);
    rig_destroy(c.r);
    for (unsigned i = 0; i < 21; i++)
        forget(&next[i]);
    rig_config_free(&c.config);
}

static void checks_end_with_their_configuration(void **state)
{
    struct checked c;
    struct rig_config next;
    unsigned connects;

    (void)state;
    checked_rig(&c);
    start(&c);
    assert_int_equal(fake_held(c.r->stack), 3);
    reload(&c, &next, false);
    assert_int_equal(fake_held(c.r->stack), 0);
    connects = c.r->stack->connects;
    run(&c, 10 * INTERVAL, 12, ACCEPTS);
    assert_int_equal(c.r->stack->connects, connects);
    rig_destroy(c.r);
    forget(&next);
    rig_config_free(&c.config);
}

static void draining_ends_checks(void **state)
{
    struct checked c;

    (void)state;
    checked_rig(&c);
    start(&c);
    proxy_drain(c.r->proxy, c.r->now + CLOCK_SEC);
    assert_int_equal(fake_held(c.r->stack), 0);
    run(&c, 2 * INTERVAL, 12, ACCEPTS);
    assert_int_equal(checked_counter(&c, health_checks), 3);
    checked_destroy(&c);
}

static void workers_share_the_servers_out(void **state)
{
    unsigned checked[14] = {0};

    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        const struct proxy_config settings = {
            .max_sessions = RIG_SESSIONS, .worker = w, .workers = 2};
        struct checked c;

        checked_create(&c, &settings);
        start(&c);
        for (unsigned i = 11; i <= 13; i++)
            checked[i] += check_of(&c, i) != NULL;
        checked_destroy(&c);
    }
    for (unsigned i = 11; i <= 13; i++)
        assert_int_equal(checked[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_checked_at_once_and_begin_as_usable),
        cmocka_unit_test(checks_come_at_the_interval_and_do_not_bunch),
        cmocka_unit_test(checks_that_began_together_part_at_once),
        cmocka_unit_test(fall_failures_in_a_row_take_a_server_out),
        cmocka_unit_test(rise_checks_in_a_row_bring_it_back),
        cmocka_unit_test(silence_is_a_failure_after_the_timeout),
        cmocka_unit_test(last_server_that_goes_is_an_error),
        cmocka_unit_test(errors_of_our_own_count_neither_way),
        cmocka_unit_test(servers_with_proxy_protocol_are_told_that_it_is_local),
        cmocka_unit_test(reload_keeps_counts_timers_and_running_checks),
        cmocka_unit_test(checks_end_with_their_configuration),
        cmocka_unit_test(draining_ends_checks),
        cmocka_unit_test(workers_share_the_servers_out),
    };

    return cmocka_run_group_tests_name("proxy_health", tests, rig_group_setup, rig_group_teardown);
}
