/* Which changes a running process can make, and which need a restart. */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>

#define ROUTES     "routes:\n  - {to: default, via: 10.0.0.2}\n  - {to: 172.16.0.0/12, via: 10.0.0.3}\n"
#define RUNNING    "workers: [1, 2]\n" BASE ROUTES
#define RESTART(k) " error: " k ": cannot be changed while running: restart to apply it"

static const struct policy_case cases[] = {
    {"the same", RUNNING, {NULL}},
    {"backends, listeners, rules, timeouts",
     "workers: [1, 2]\n" INTERFACES "backends: {a: {servers: [10.0.0.7:1]}}\n"
     "listeners: {b: {bind: 192.0.2.10:81}}\npolicy: [{action: splice, backend: a}]\n" ROUTES
     "timeouts: {idle: 1s}\n",
     {NULL}},
    {"order of interfaces and routes",
     "workers: [1, 2]\ninterfaces:\n"
     "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24]}\n" BACKENDS PLAIN SPLICE
     "routes:\n  - {to: 172.16.0.0/12, via: 10.0.0.3}\n  - {to: default, via: 10.0.0.2}\n",
     {NULL}},
    {"workers", "workers: [1]\n" BASE ROUTES, {"1:1:" RESTART("workers")}},
    {"workers by default", BASE ROUTES, {RESTART("workers")}},
    {"hugepages", "hugepages: off\n" RUNNING, {"1:12:" RESTART("hugepages")}},
    {"limits",
     RUNNING "limits: {connections: 4096, buffer-memory: 128MiB}\n",
     {"14:23:" RESTART("limits.connections"), "14:44:" RESTART("limits.buffer-memory")}},
    {"TCP", RUNNING "tcp: {ecn: active}\n", {"14:1:" RESTART("tcp")}},
    {"TCP as it is by default",
     RUNNING "tcp: {congestion-control: cubic, syn-retries: 6, pacing: true}\n",
     {NULL}},
    {"an address",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/25]}\n"
     "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n" BACKENDS PLAIN SPLICE ROUTES,
     {"3:3:" RESTART("interfaces.outside")}},
    {"an mtu",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24], mtu: 1400}\n"
     "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n" BACKENDS PLAIN SPLICE ROUTES,
     {"3:3:" RESTART("interfaces.outside")}},
    {"a device",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24]}\n"
     "  inside: {device: {tap: eth2}, addresses: [10.0.0.1/24]}\n" BACKENDS PLAIN SPLICE ROUTES,
     {"4:3:" RESTART("interfaces.inside")}},
    {"a name",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24]}\n"
     "  lan: {device: {kernel: eth2}, addresses: [10.0.0.1/24], mtu: 1500}\n" BACKENDS PLAIN SPLICE
         ROUTES,
     {"4:3:" RESTART("interfaces.lan"), RESTART("interfaces.inside")}},
    {"a gateway",
     "workers: [1, 2]\n" BASE
     "routes:\n  - {to: default, via: 10.0.0.9}\n  - {to: 172.16.0.0/12, via: 10.0.0.3}\n",
     {"12:5:" RESTART("routes")}},
    {"rates, classes, sets, firewall, tickets, session log",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24], rate: 1Gbit}\n"
     "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n" BACKENDS PLAIN
     "policy: [{action: splice, backend: web, class: gold}]\n" ROUTES "classes: {gold: {}}\n"
     "sets: {a: {prefixes: []}}\nfirewall: {default: drop, rules: [{action: drop, source: a}]}\n"
     "tickets: {rotation: 1h}\nsession-log: {file: stderr}\n",
     {NULL}},
    {"a punt",
     "workers: [1, 2]\ninterfaces:\n"
     "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24], punt: {tap: t0}}\n"
     "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n" BACKENDS PLAIN SPLICE ROUTES,
     {"3:3:" RESTART("interfaces.outside")}},
    {"entries of limits",
     RUNNING "firewall: {limit-entries: 1024}\n",
     {"14:27:" RESTART("firewall.limit-entries")}},
    {"control and metrics",
     RUNNING "control: {socket: /run/s}\nmetrics: {listen: 127.0.0.1:9180}\n",
     {"14:19:" RESTART("control"), "15:19:" RESTART("metrics")}},
    {"mode of the socket",
     RUNNING "control: {mode: 0600, socket: /run/s}\n",
     {"14:31:" RESTART("control")}},
    {"a route less",
     "workers: [1, 2]\n" BASE "routes:\n  - {to: default, via: 10.0.0.2}\n",
     {RESTART("routes")}},
};

static bool run(const struct policy *running, const struct policy_case *c)
{
    struct policy_report r = {0};
    struct policy *to = policy_good(c->text);
    int result = policy_reloadable(running, to, &r);
    size_t i = 0;
    bool good = true;

    for (; i < r.count && c->findings[i] != NULL; i++)
        good = good && strcmp(r.findings[i].text + strlen("etc/t.yaml:"), c->findings[i]) == 0;
    good = good && c->findings[i] == NULL && r.count == i && (result == 0) == (i == 0);
    for (i = 0; !good && i < r.count; i++)
        print_error("%s: %s\n", c->name, r.findings[i].text);
    policy_report_free(&r);
    policy_free(to);
    return good;
}

static void test_reloadable(void **state)
{
    struct policy *running = policy_good(RUNNING);
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        failed += !run(running, &cases[i]);
    policy_free(running);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reloadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
