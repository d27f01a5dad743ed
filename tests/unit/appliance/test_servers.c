/* What servers keep over reloads, what commands on them answer, and how they are reported. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/report.h"
#include "appliance/servers.h"
#include "appliance/snapshot.h"

#define NOW (1000 * CLOCK_SEC)

static struct snapshot *attach(struct servers *all, const char *backends)
{
    struct policy_report report = {0};
    struct snapshot *s = calloc(1, sizeof *s);
    struct error e = {0};
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "interfaces:\n"
                       "  inside: {device: {tap: t0}, addresses: [10.0.0.1/24]}\n"
                       "backends:\n%s"
                       "listeners:\n"
                       "  plain: {bind: \"10.0.0.1:80\"}\n"
                       "policy:\n"
                       "  - {action: splice, backend: web}\n",
                       backends);

    assert_non_null(s);
    s->policy = policy_parse(text, (size_t)len, "test.yaml", &report);
    if (s->policy == NULL)
        fail_msg("%s", report.findings[0].text);
    policy_report_free(&report);
    assert_int_equal(servers_attach(all, s, &e), 0);
    return s;
}

static void drop(struct snapshot *s)
{
    servers_detach(s);
    policy_free(s->policy);
    free(s);
}

static void state_outlives_a_reload(void **state)
{
    struct servers all = {.workers = 2};
    struct snapshot *a, *b;
    struct proxy_server *kept;

    (void)state;
    a = attach(&all, "  web: {servers: [\"10.0.0.11:80\", \"10.0.0.12:80\"]}\n"
                     "  api: {servers: [\"10.0.0.11:80\"]}\n");
    kept = a->servers[0][1];
    assert_ptr_not_equal(a->servers[0][0], a->servers[1][0]); /* another backend */
    assert_int_equal((uintptr_t)&kept->worker[1] % 64, 0);
    kept->worker[1].counters.server_resets = 7;
    atomic_store(&kept->drained, true);
    b = attach(&all, "  web: {servers: [\"10.0.0.13:80\", \"10.0.0.12:80\", \"10.0.0.12:81\"]}\n");
    assert_ptr_equal(b->servers[0][1], kept);
    assert_int_equal(kept->references, 2);
    assert_false(atomic_load(&b->servers[0][0]->drained));
    assert_false(atomic_load(&b->servers[0][2]->drained)); /* another port */
    drop(a);
    assert_int_equal(kept->references, 1);
    assert_int_equal(kept->worker[1].counters.server_resets, 7);
    drop(b);
    assert_null(all.tree);
}

static void servers_that_nobody_names_are_forgotten(void **state)
{
    struct servers all = {.workers = 1};
    struct snapshot *a = attach(&all, "  web: {servers: [\"10.0.0.11:80\"]}\n"), *b;

    (void)state;
    atomic_store(&a->servers[0][0]->drained, true);
    drop(a);
    assert_null(all.tree);
    b = attach(&all, "  web: {servers: [\"10.0.0.11:80\"]}\n");
    assert_false(atomic_load(&b->servers[0][0]->drained));
    drop(b);
}

/* A random walk over configurations against a count of who names what. */
static void references_are_right_in_any_order(void **state)
{
    struct servers all = {.workers = 1};
    struct snapshot *living[4] = {0};
    unsigned named[4][8] = {0}, random = 1;

    (void)state;
    for (unsigned step = 0; step < 400; step++) {
        unsigned at = (random = random * 1103515245 + 12345) >> 16 & 3, set = random >> 20 & 255;
        char text[512] = "  web: {servers: [\"10.0.0.99:80\"";

        if (living[at] != NULL) {
            drop(living[at]);
            memset(named[at], 0, sizeof named[at]);
            living[at] = NULL;
            continue;
        }
        for (unsigned i = 0; i < 8; i++) {
            named[at][i] = set >> i & 1;
            if (named[at][i] != 0)
                snprintf(text + strlen(text), sizeof text - strlen(text), ", \"10.0.0.%u:80\"",
                         50 + i);
        }
        snprintf(text + strlen(text), sizeof text - strlen(text), "]}\n");
        living[at] = attach(&all, text);
        for (unsigned k = 1; k < living[at]->policy->backends[0].server_count; k++) {
            const struct proxy_server *s = living[at]->servers[0][k];
            unsigned i = s->endpoint.addr.b[15] - 50u;

            assert_int_equal(s->references, named[0][i] + named[1][i] + named[2][i] + named[3][i]);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        if (living[i] != NULL)
            drop(living[i]);
    }
    assert_null(all.tree);
}

static void unchecked_servers_do_not_stay_down(void **state)
{
    struct servers all = {.workers = 1};
    struct snapshot *s = attach(&all, "  web: {servers: [\"10.0.0.11:80\"]}\n"
                                      "  api: {servers: [\"10.0.0.11:80\"]}\n");

    (void)state;
    s->policy->backends[1].health_check.enabled = true;
    atomic_store(&s->servers[0][0]->health, PROXY_HEALTH_DOWN);
    atomic_store(&s->servers[1][0]->health, PROXY_HEALTH_DOWN);
    servers_settle(&all, s);
    assert_int_equal(s->servers[0][0]->health, PROXY_HEALTH_UNCHECKED);
    assert_int_equal(s->servers[1][0]->health, PROXY_HEALTH_DOWN);
    s->policy->backends[1].health_check.enabled = false;
    servers_settle(&all, s);
    assert_int_equal(s->servers[1][0]->health, PROXY_HEALTH_UNCHECKED);
    drop(s);
}

static void expect_state(const struct snapshot *s, enum servers_state expected)
{
    struct servers_view view;

    servers_view(s, 0, 0, NOW, &view);
    assert_string_equal(servers_state_name(view.state), servers_state_name(expected));
}

static void view_adds_up_and_names_the_state(void **state)
{
    struct servers all = {.workers = 2};
    struct snapshot *s = attach(&all, "  web: {servers: [\"10.0.0.11:80\"]}\n");
    struct proxy_server *server = s->servers[0][0];
    struct servers_view view;

    (void)state;
    server->worker[0].connections = 3;
    server->worker[1].connections = 4;
    server->worker[0].counters.server_bytes_sent = 10;
    server->worker[1].counters.server_bytes_sent = 1;
    servers_view(s, 0, 0, NOW, &view);
    assert_int_equal(view.connections, 7);
    assert_int_equal(view.counters.server_bytes_sent, 11);
    assert_string_equal(view.backend, "web");
    expect_state(s, SERVERS_UNCHECKED);
    atomic_store(&server->health, PROXY_HEALTH_UP);
    expect_state(s, SERVERS_UP);
    atomic_store(&server->ejected_until, NOW);
    expect_state(s, SERVERS_UP);
    atomic_store(&server->ejected_until, NOW + 5);
    expect_state(s, SERVERS_EJECTED);
    servers_view(s, 0, 0, NOW, &view);
    assert_int_equal(view.ejected_for, 5);
    atomic_store(&server->health, PROXY_HEALTH_DOWN);
    expect_state(s, SERVERS_DOWN);
    atomic_store(&server->drained, true);
    expect_state(s, SERVERS_DRAINED);
    drop(s);
}

static void expect_refused(const struct snapshot *s, const char *backend, const char *server,
                           const char *why)
{
    struct error e = {0};

    assert_int_equal(servers_drain(s, backend, server, &e), -1);
    assert_string_equal(e.text, why);
}

static void commands_say_what_is_wrong(void **state)
{
    struct servers all = {.workers = 1};
    struct snapshot *s = attach(&all, "  web: {servers: [\"10.0.0.11:80\", \"10.0.0.12:80\"]}\n");

    (void)state;
    expect_refused(s, "wbe", "10.0.0.11:80", "there is no backend \"wbe\"; did you mean \"web\"?");
    expect_refused(s, "database", "10.0.0.11:80", "there is no backend \"database\"");
    expect_refused(s, "web", "10.0.0.11",
                   "\"10.0.0.11\" is no server; expected an address and a port, such as "
                   "10.0.0.11:80");
    expect_refused(s, "web", "10.0.0.11:81",
                   "backend \"web\" has no server 10.0.0.11:81; it has 10.0.0.11:80, "
                   "10.0.0.12:80");
    expect_refused(s, "", "", "there is no backend \"\"");
    drop(s);
}

static void commands_drain_and_enable(void **state)
{
    struct servers all = {.workers = 1};
    struct snapshot *s = attach(&all, "  web: {servers: [\"10.0.0.11:80\", \"10.0.0.12:80\"]}\n");
    struct error e = {0};

    (void)state;
    assert_int_equal(servers_drain(s, "web", "10.0.0.12:80", &e), 0);
    assert_int_equal(servers_drain(s, "web", "10.0.0.12:80", &e), 0);
    assert_false(proxy_server_usable(s->servers[0][1], NOW));
    assert_true(proxy_server_usable(s->servers[0][0], NOW));
    atomic_store(&s->servers[0][1]->ejected_until, NOW + 1);
    assert_int_equal(servers_enable(s, "web", "10.0.0.12:80", &e), 0);
    assert_true(proxy_server_usable(s->servers[0][1], NOW));
    assert_false(e.set);
    drop(s);
}

static void report_has_a_line_for_each_state_and_figure(void **state)
{
    struct servers all = {.workers = 2};
    struct snapshot *s = attach(&all, "  web: {servers: [\"10.0.0.11:80\"]}\n");
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    s->servers[0][0]->worker[1].connections = 2;
    s->servers[0][0]->worker[0].counters.server_sessions_opened = 9;
    report_servers(out, s, NOW);
    fclose(out);
    assert_non_null(strstr(text, "server web 10.0.0.11:80 unchecked\n"));
    assert_non_null(strstr(text, "worker 0 web.10.0.0.11:80.server_sessions_opened 9\n"));
    assert_non_null(strstr(text, "worker 0 web.10.0.0.11:80.server_connections 0\n"));
    assert_non_null(strstr(text, "worker 1 web.10.0.0.11:80.server_connections 2\n"));
    free(text);
    drop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_outlives_a_reload),
        cmocka_unit_test(servers_that_nobody_names_are_forgotten),
        cmocka_unit_test(references_are_right_in_any_order),
        cmocka_unit_test(unchecked_servers_do_not_stay_down),
        cmocka_unit_test(view_adds_up_and_names_the_state),
        cmocka_unit_test(commands_say_what_is_wrong),
        cmocka_unit_test(commands_drain_and_enable),
        cmocka_unit_test(report_has_a_line_for_each_state_and_figure),
    };

    return cmocka_run_group_tests_name("servers", tests, NULL, NULL);
}
