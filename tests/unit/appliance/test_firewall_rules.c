/* From the policy's firewall to the one that packets meet. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/firewall_rules.h"
#include "tests/unit/support/test_mbuf.h"

#define HEAD                                                                       \
    "interfaces:\n"                                                                \
    "  outside: {device: {kernel: o}, addresses: [192.0.2.10/24], rate: 10Mbit}\n" \
    "  inside: {device: {kernel: i}, addresses: [10.0.0.1/24]}\n"                  \
    "classes: {bulk: {}, fast: {priority: 1}}\n"                                   \
    "backends: {web: {servers: [\"10.0.0.11:80\"]}}\n"                             \
    "listeners: {l: {bind: \"192.0.2.10:80\"}}\n"                                  \
    "policy: [{match: {listener: l}, action: splice, backend: web}]\n"             \
    "sets:\n"                                                                      \
    "  unused: {prefixes: [203.0.113.0/24]}\n"                                     \
    "  bad: {prefixes: [198.51.100.0/24]}\n"                                       \
    "  ours: {prefixes: [10.0.0.0/8]}\n"                                           \
    "firewall:\n"

static const uint8_t key[16];

static struct policy *parse(const char *text)
{
    struct policy_report report = {0};
    struct policy *p = policy_parse(text, strlen(text), "test.yaml", &report);

    for (size_t i = 0; p == NULL && i < report.count; i++)
        print_error("%s\n", report.findings[i].text);
    assert_non_null(p);
    policy_report_free(&report);
    return p;
}

static int open_rules(struct firewall_rules *rules, struct policy *policy)
{
    struct snapshot snapshot = {.policy = policy};
    int result;

    snapshot.classes = classes_create(policy, NULL, 0, NULL);
    assert_non_null(snapshot.classes);
    result = firewall_rules_open(rules, &snapshot, -1, key, NULL);
    classes_free(snapshot.classes);
    return result;
}

static struct packet packet(const char *src, const char *dst, uint8_t iface, uint16_t port)
{
    struct packet p = {.drop = DROP_NONE, .kind = PACKET_TCP, .ip_protocol = 6, .iface = iface};

    assert_int_equal(ip_parse(src, &p.src), 0);
    assert_int_equal(ip_parse(dst, &p.dst), 0);
    p.sport = 1024;
    p.dport = port;
    p.tcp.flags = TCP_SYN;
    return p;
}

static struct packet run(struct firewall *f, struct packet p)
{
    firewall_ingress(f, &p, 1, CLOCK_SEC);
    return p;
}

static void test_translation(void **state)
{
    struct policy *policy =
        parse(HEAD "  default: drop\n"
                   "  rules:\n"
                   "    - {source: bad, action: reject}\n"
                   "    - {interface: inside, destination: ours, action: accept, class: fast}\n"
                   "    - {interface: outside, port: [80, 8000-8100], source-port: 1024-65535, "
                   "tcp-flags: syn,\n"
                   "       action: limit, limit: {connections-per-second: 1, over: reject}}\n");
    struct firewall_rules rules = {0};
    struct firewall *f;
    struct packet p;

    (void)state;
    assert_int_equal(open_rules(&rules, policy), 0);
    f = firewall_create(&(struct firewall_config){.ruleset = rules.current, .limits = rules.limits},
                        NULL);
    assert_non_null(f);
    assert_true(run(f, packet("198.51.100.9", "192.0.2.10", 0, 80)).reject);
    p = run(f, packet("203.0.113.5", "10.0.0.1", 1, 22));
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.label.egress_class, 2); /* the second class; 0 is the default */
    assert_int_equal(run(f, packet("203.0.113.5", "10.0.0.1", 0, 22)).drop, drop_firewall);
    p = run(f, packet("203.0.113.5", "192.0.2.10", 0, 8050));
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_not_equal(p.label.limit, 0);
    p = run(f, packet("203.0.113.5", "192.0.2.10", 0, 8050));
    assert_int_equal(p.drop, drop_firewall);
    assert_true(p.reject);
    firewall_destroy(f);
    firewall_rules_close(&rules);
    policy_free(policy);
}

/* No rules and `default: accept`: nothing for packets to pass through. */
static void test_none(void **state)
{
    struct policy *policy = parse(HEAD "  default: accept\n");
    struct firewall_rules rules = {0};

    (void)state;
    assert_int_equal(open_rules(&rules, policy), 0);
    assert_null(rules.current);
    firewall_rules_close(&rules);
    policy_free(policy);
}

/* Edits without workers: the ruleset is exchanged, errors say what is wrong. */
static void test_edit(void **state)
{
    struct policy *policy = parse(HEAD "  rules: [{source: bad, action: drop}]\n");
    struct firewall_rules rules = {0};
    struct workers none = {0};
    struct ip_prefix p;
    struct sets_outcome out;
    struct error e = {0};
    struct firewall *f;

    (void)state;
    assert_int_equal(ip_prefix_parse("192.0.2.7", &p), 0);
    assert_int_equal(open_rules(&rules, policy), 0);
    assert_int_equal(firewall_rules_edit(&rules, &none, policy, "bad", true, &p, 1, &out, &e), 0);
    assert_int_equal(out.changed, 1);
    f = firewall_create(&(struct firewall_config){.ruleset = rules.current}, NULL);
    assert_int_equal(run(f, packet("192.0.2.7", "192.0.2.10", 0, 80)).drop, drop_firewall);
    assert_int_equal(run(f, packet("192.0.2.8", "192.0.2.10", 0, 80)).drop, DROP_NONE);
    assert_int_equal(firewall_rules_edit(&rules, &none, policy, "bad", true, &p, 1, &out, &e), 0);
    assert_int_equal(out.unchanged, 1);
    /* What no rule refers to is kept for the rules of a reload. */
    assert_int_equal(firewall_rules_edit(&rules, &none, policy, "unused", true, &p, 1, &out, &e),
                     0);
    assert_int_equal(out.changed, 1);
    assert_int_equal(firewall_rules_edit(&rules, &none, policy, "bat", true, &p, 1, &out, &e), -1);
    assert_string_equal(e.text, "there is no set \"bat\"; did you mean \"bad\"?");
    firewall_destroy(f);
    firewall_rules_close(&rules);
    policy_free(policy);
}

/* What the library should not bear is found with the file, before anything is started. */
static void test_check(void **state)
{
    struct policy_report report = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct policy *policy;

    (void)state;
    assert_non_null(out);
    fprintf(out, "%s  rules:\n    - {name: wide, action: drop, source: [10.0.0.0/8", HEAD);
    for (unsigned i = 0; i < 99; i++)
        fprintf(out, ", 172.16.%u.0/24", i * 2);
    fprintf(out, "], destination: [192.0.2.10");
    for (unsigned i = 0; i < 99; i++)
        fprintf(out, ", 192.168.%u.0/24", i * 2);
    fprintf(out, "]}\n");
    fclose(out);
    policy = parse(text);
    firewall_rules_check(policy, &report);
    assert_int_equal(report.errors, 1);
    assert_int_equal(report.findings[0].line, policy->firewall.rules[0].mark.line);
    assert_non_null(
        strstr(report.findings[0].text, "rule \"wide\": its lists have more than 4096"));
    policy_report_free(&report);
    policy_free(policy);
    free(text);
}

static int setup(void **state)
{
    (void)state;
    test_eal_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translation),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
