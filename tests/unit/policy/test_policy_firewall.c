/* Sets of prefixes and firewall rules: every key, every mistake, and what is made of them. */
#include "tests/unit/policy/policy_fixture.h"

/* Rules begin in line 12, the keys of the first one in column 8. */
#define FIREWALL(text)                                                                            \
    BASE "sets: {good: {prefixes: [198.51.100.0/24]}}\nfirewall: {default: drop, rules: [\n" text \
         "]}\n"
#define USE        "{action: count, source: good}"
#define RULE(text) FIREWALL("  {" text "},\n" USE)

/* ---- values ---- */

static void test_values(void **state)
{
    struct policy *p = policy_good(
        BASE
        "classes: {gold: {}}\n"
        "sets:\n"
        "  bad: {prefixes: [203.0.113.0/24, 198.51.100.7, \"2001:db8::/32\", 198.51.100.7/32]}\n"
        "  empty: {prefixes: []}\n"
        "firewall:\n"
        "  limit-entries: 2048\n"
        "  rules:\n"
        "  - {name: web, interface: [outside, inside], source: [bad, 10.0.0.0/8, empty],\n"
        "     destination: 192.0.2.10, protocol: [udp, tcp], source-port: 1024-65535,\n"
        "     port: [80, 443, 8000-8999], action: drop, log: true, class: gold}\n"
        "  - {action: log, icmp-type: [echo-request, 13]}\n"
        "  - {action: reject, tcp-flags: [syn, \"!ack\", \"!rst\"]}\n"
        "  - {action: count, port: 53}\n"
        "  - {action: limit, protocol: [132, tcp],\n"
        "     limit: {connections: 10, connections-per-second: 5, handshakes-per-second: 7,\n"
        "             handshake-burst: 9, prefix-v4: 24, over: reject}}\n");
    const struct policy_firewall_rule *rule = p->firewall.rules;

    (void)state;
    assert_false(p->firewall.drop_by_default);
    assert_int_equal(p->firewall.limit_entries, 2048);
    assert_int_equal(p->firewall.rule_count, 5);
    assert_int_equal(p->set_count, 2);
    assert_int_equal(p->sets[0].prefix_count, 3); /* canonical: sorted, none twice */
    assert_int_equal(p->sets[0].prefixes[0].len, 128);
    assert_false(ip_is_v4(&p->sets[0].prefixes[2].addr));
    assert_int_equal(p->sets[1].prefix_count, 0);
    assert_null(p->sets[0].file);

    assert_string_equal(rule[0].name, "web");
    assert_int_equal(rule[0].interface_count, 2);
    assert_ptr_equal(rule[0].interfaces[1], &p->interfaces[1]);
    assert_int_equal(rule[0].source_count, 3);
    assert_ptr_equal(rule[0].sources[0].set, &p->sets[0]);
    assert_null(rule[0].sources[1].set);
    assert_int_equal(rule[0].sources[1].prefix.len, 96 + 8);
    assert_int_equal(rule[0].destination_count, 1);
    assert_int_equal(rule[0].protocol_count, 2);
    assert_int_equal(rule[0].protocols[0], 17);
    assert_int_equal(rule[0].source_ports[0].first, 1024);
    assert_int_equal(rule[0].source_ports[0].last, 65535);
    assert_int_equal(rule[0].port_count, 3);
    assert_int_equal(rule[0].ports[1].last, 443);
    assert_int_equal(rule[0].ports[2].first, 8000);
    assert_int_equal(rule[0].action, POLICY_FIREWALL_DROP);
    assert_true(rule[0].log);
    assert_ptr_equal(rule[0].egress_class, &p->classes[0]);
    assert_int_equal(rule[0].mark.line, 17);

    assert_string_equal(rule[1].name, "rule 2");
    assert_int_equal(rule[1].index, 1);
    assert_int_equal(rule[1].icmp_types[0], 8);
    assert_int_equal(rule[1].icmp_types[1], 13);
    assert_int_equal(rule[1].protocol_count, 1); /* icmp-type means icmp */
    assert_int_equal(rule[1].protocols[0], 1);
    assert_false(rule[1].log);

    assert_int_equal(rule[2].tcp_flags_set, 0x02);
    assert_int_equal(rule[2].tcp_flags_clear, 0x14);
    assert_int_equal(rule[2].protocol_count, 1); /* tcp-flags mean tcp */
    assert_int_equal(rule[2].protocols[0], 6);

    assert_int_equal(rule[3].protocol_count, 2); /* ports mean tcp and udp */
    assert_int_equal(rule[3].protocols[0], 6);
    assert_int_equal(rule[3].protocols[1], 17);

    assert_int_equal(rule[4].protocols[0], 132);
    assert_int_equal(rule[4].limit.connections, 10);
    assert_int_equal(rule[4].limit.connections_per_second, 5);
    assert_int_equal(rule[4].limit.connection_burst, 5);
    assert_int_equal(rule[4].limit.handshakes_per_second, 7);
    assert_int_equal(rule[4].limit.handshake_burst, 9);
    assert_int_equal(rule[4].limit.prefix4, 24);
    assert_int_equal(rule[4].limit.prefix6, 64);
    assert_true(rule[4].limit.reject);
    policy_free(p);
}

static void test_defaults(void **state)
{
    struct policy *none = policy_good(BASE);
    struct policy *p = policy_good(FIREWALL(USE ", {action: limit, limit: {connections: 1}}"));
    const struct policy_firewall_limit *limit = &p->firewall.rules[1].limit;

    (void)state;
    assert_false(none->firewall.drop_by_default);
    assert_int_equal(none->firewall.limit_entries, 65536);
    assert_int_equal(none->firewall.rule_count, 0);
    assert_true(p->firewall.drop_by_default);
    assert_int_equal(p->firewall.rules[1].protocol_count, 0);
    assert_int_equal(limit->connection_burst, 0);
    assert_int_equal(limit->prefix4, 32);
    assert_int_equal(limit->prefix6, 64);
    assert_false(limit->reject);
    policy_free(none);
    policy_free(p);
}

/* ---- mistakes ---- */

static const struct policy_case set_cases[] = {
    {"neither and both", BASE "sets:\n  a: {}\n  b: {prefixes: [], file: x.txt}\n  c:\n", {""}},
    {"names",
     BASE "sets: {1a: {prefixes: []}, a.b: {prefixes: []}, b-1_c: {prefixes: []}}\n",
     {""}},
    {"prefixes",
     BASE "sets: {a: {prefixes: [10.0.0.0/33, 10.0.0.1/8, x, \"2001:db8::1/32\", \"::/0\"]}}\n",
     {""}},
    {"not a list", BASE "sets: {a: {prefixes: 10.0.0.0/8}}\n", {""}},
    {"unknown key", BASE "sets: {a: {prefix: [10.0.0.0/8]}}\n", {""}},
    {"unused", BASE "sets: {a: {prefixes: [10.0.0.0/8]}}\n", {""}},
    {"no such file", BASE "sets: {a: {file: /nonexistent/a.txt}, b: {file: \"\"}}\n", {""}},
    {"a directory and a device", BASE "sets: {a: {file: /etc}, b: {file: /dev/null}}\n", {""}},
};

static void test_sets(void **state)
{
    (void)state;
    POLICY_CASES_RUN(set_cases);
}

static const struct policy_case firewall_cases[] = {
    {"empty", BASE "firewall: {}\n", {NULL}},
    {"no rules", BASE "firewall: {rules: []}\n", {NULL}},
    {"not a mapping", BASE "firewall: [accept]\n", {""}},
    {"default", BASE "firewall: {default: deny}\n", {""}},
    {"default, nearly", BASE "firewall: {default: acept, limit-entries: 10}\n", {""}},
    {"rules", BASE "firewall: {rules: {action: drop}}\n", {""}},
    {"no action", RULE("source: 10.0.0.0/8"), {""}},
    {"action", RULE("action: deny"), {""}},
    {"action, nearly", RULE("action: aceppt, limit: {}"), {""}},
    {"unknown key", RULE("action: drop, sources: 10.0.0.0/8"), {""}},
    {"name", RULE("action: count, name: \"my rule\""), {""}},
    {"name twice", RULE("action: count, name: a}, {action: count, name: a, port: 1"), {""}},
    {"interface", RULE("action: drop, interface: [outsid, inside, inside]"), {""}},
    {"no interface", RULE("action: drop, interface: []"), {""}},
    {"origins",
     RULE("action: drop, source: [god, 10.0.0.1/8, \"2001:db8::/32\", 1], destination: any"),
     {""}},
    {"no origin", RULE("action: drop, source: [], destination: "), {""}},
    {"protocol", RULE("action: drop, protocol: [tpc, 256, icmp6, tcp, tcp]"), {""}},
    {"ports",
     RULE("action: drop, port: [65536, 9-8, http, 1-, -1, 1-2-3], source-port: \" 1\""),
     {""}},
    {"port twice", RULE("action: drop, port: [80, 80]"), {""}},
    {"icmp types", RULE("action: drop, icmp-type: [echo, 256, echo-requst]"), {""}},
    {"flags", RULE("action: drop, tcp-flags: [sny, \"!\", syn, \"!syn\", ack]"), {""}},
    {"no flags", RULE("action: drop, tcp-flags: []"), {""}},
    {"flag with a tag", RULE("action: drop, tcp-flags: [syn, !ack ]"), {""}},
    {"log", RULE("action: drop, log: yes"), {""}},
    {"class", RULE("action: drop, class: gold"), {""}},
};

static void test_firewall(void **state)
{
    (void)state;
    POLICY_CASES_RUN(firewall_cases);
}

static const struct policy_case together_cases[] = {
    {"ports of icmp", RULE("action: drop, protocol: icmp, port: 80"), {""}},
    {"ports of one of two", RULE("action: drop, protocol: [tcp, 50], source-port: 80"), {""}},
    {"a wrong protocol is reported once", RULE("action: drop, protocol: xyz, port: 80"), {""}},
    {"protocol 0", RULE("action: drop, protocol: 0, port: 80"), {""}},
    {"ICMP type of tcp", RULE("action: drop, protocol: tcp, icmp-type: 8"), {""}},
    {"flags of udp", RULE("action: drop, protocol: [udp, tcp], tcp-flags: syn"), {""}},
    {"ports and ICMP type", RULE("action: drop, port: 80, icmp-type: 8"), {""}},
    {"ports and flags are TCP", RULE("action: drop, port: 80, tcp-flags: syn"), {NULL}},
    {"number of tcp", RULE("action: drop, protocol: 6, port: 80, tcp-flags: syn"), {NULL}},
};

static void test_together(void **state)
{
    (void)state;
    POLICY_CASES_RUN(together_cases);
}

static const struct policy_case limit_cases[] = {
    {"missing", RULE("action: limit"), {""}},
    {"forbidden", RULE("action: drop, limit: {connections: 5}"), {""}},
    {"empty", RULE("action: limit, limit: {}"), {""}},
    {"nothing but a prefix", RULE("action: limit, limit: {prefix-v4: 24}"), {""}},
    {"not a mapping", RULE("action: limit, limit: 5"), {""}},
    {"numbers",
     RULE("action: limit, limit: {connections: 0, connections-per-second: 1.5, prefix-v4: 33, "
          "prefix-v6: 129, over: accept}"),
     {""}},
    {"bursts alone",
     RULE("action: limit, limit: {connections: 5, connection-burst: 2, handshake-burst: 1}"),
     {""}},
    {"unknown key", RULE("action: limit, limit: {conections: 5}"), {""}},
};

static void test_limits(void **state)
{
    (void)state;
    POLICY_CASES_RUN(limit_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sets),     cmocka_unit_test(test_firewall),
        cmocka_unit_test(test_together), cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
