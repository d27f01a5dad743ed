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
        "     port: [80, 443, 8000-8999], action: accept, log: true, class: gold,\n"
        "     syn-cookies: true}\n"
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
    assert_int_equal(rule[0].action, POLICY_FIREWALL_ACCEPT);
    assert_true(rule[0].log);
    assert_ptr_equal(rule[0].egress_class, &p->classes[0]);
    assert_true(rule[0].syn_cookies);
    assert_false(rule[1].syn_cookies);
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
    {"neither and both",
     BASE "sets:\n  a: {}\n  b: {prefixes: [], file: x.txt}\n  c:\n",
     {"11:3: error: sets.a: expected one of prefixes and file, found none",
      "12:3: error: sets.b: expected one of prefixes and file, found both",
      "13:3: error: sets.c: expected one of prefixes and file, found none"}},
    {"names",
     BASE "sets: {1a: {prefixes: []}, a.b: {prefixes: []}, b-1_c: {prefixes: []}}\n",
     {"10:8: error: sets.1a: expected a name of at most 64 letters, digits, '-' and '_' that "
      "begins with a letter",
      "10:28: error: sets.a.b: expected a name of at most 64 letters, digits, '-' and '_' that "
      "begins with a letter"}},
    {"prefixes",
     BASE "sets: {a: {prefixes: [10.0.0.0/33, 10.0.0.1/8, x, \"2001:db8::1/32\", \"::/0\"]}}\n",
     {"10:23: error: sets.a.prefixes[0]: expected an address or prefix such as 198.51.100.0/24, "
      "found \"10.0.0.0/33\"",
      "10:36: error: sets.a.prefixes[1]: 10.0.0.1/8 has bits set beyond its length, did you mean "
      "10.0.0.0/8?",
      "10:48: error: sets.a.prefixes[2]: expected an address or prefix such as 198.51.100.0/24, "
      "found \"x\"",
      "10:51: error: sets.a.prefixes[3]: 2001:db8::1/32 has bits set beyond its length, did you "
      "mean 2001:db8::/32?"}},
    {"not a list",
     BASE "sets: {a: {prefixes: 10.0.0.0/8}}\n",
     {"10:22: error: sets.a.prefixes: expected a list of prefixes such as [198.51.100.0/24], found "
      "\"10.0.0.0/8\""}},
    {"unknown key of a set",
     BASE "sets: {a: {prefix: [10.0.0.0/8]}}\n",
     {"10:8: error: sets.a: expected one of prefixes and file, found none",
      "10:12: error: sets.a.prefix: unknown key, did you mean \"prefixes\"?"}},
    {"unused",
     BASE "sets: {a: {prefixes: [10.0.0.0/8]}}\n",
     {"10:8: warning: sets.a: no rule uses this set"}},
    {"no such file",
     BASE "sets: {a: {file: /nonexistent/a.txt}, b: {file: \"\"}}\n",
     {"10:18: error: sets.a.file: the file \"/nonexistent/a.txt\" cannot be opened: No such file "
      "or directory",
      "10:49: error: sets.b.file: expected the path of a file, found \"\""}},
    {"a directory and a device",
     BASE "sets: {a: {file: /etc}, b: {file: /dev/null}}\n",
     {"10:18: error: sets.a.file: the file \"/etc\" cannot be read: it is a directory, expected a "
      "file",
      "10:35: error: sets.b.file: the file \"/dev/null\" cannot be read: it is a device, expected "
      "a file"}},
};

static void test_sets(void **state)
{
    (void)state;
    POLICY_CASES_RUN(set_cases);
}

static const struct policy_case firewall_cases[] = {
    {"empty", BASE "firewall: {}\n", {NULL}},
    {"no rules", BASE "firewall: {rules: []}\n", {NULL}},
    {"not a mapping",
     BASE "firewall: [accept]\n",
     {"10:1: error: firewall: expected a mapping with the keys default and rules, found a list"}},
    {"default",
     BASE "firewall: {default: deny}\n",
     {"10:21: error: firewall.default: expected accept or drop, found \"deny\""}},
    {"default, nearly",
     BASE "firewall: {default: acept, limit-entries: 10}\n",
     {"10:21: error: firewall.default: expected accept or drop, found \"acept\", did you mean "
      "\"accept\"?",
      "10:43: error: firewall.limit-entries: expected a value from 1024 to 16777216, found "
      "\"10\""}},
    {"rules",
     BASE "firewall: {rules: {action: drop}}\n",
     {"10:12: error: firewall.rules: expected a list of rules such as [{action: drop, source: "
      "203.0.113.0/24}], found a mapping"}},
    {"no action",
     RULE("source: 10.0.0.0/8"),
     {"12:3: error: firewall.rules[0]: the key \"action\" is missing: expected accept, drop, "
      "reject, limit, count or log"}},
    {"action",
     RULE("action: deny"),
     {"12:12: error: firewall.rules[0].action: expected accept, drop, reject, limit, count or log, "
      "found \"deny\""}},
    {"action, nearly",
     RULE("action: aceppt, limit: {}"),
     {"12:12: error: firewall.rules[0].action: expected accept, drop, reject, limit, count or log, "
      "found \"aceppt\", did you mean \"accept\"?",
      "12:20: error: firewall.rules[0].limit: expected connections, connections-per-second or "
      "handshakes-per-second, found none"}},
    {"unknown key",
     RULE("action: drop, sources: 10.0.0.0/8"),
     {"12:18: error: firewall.rules[0].sources: unknown key, did you mean \"source\"?"}},
    {"name",
     RULE("action: count, name: \"my rule\""),
     {"12:25: error: firewall.rules[0].name: expected a name of at most 64 letters, digits, '-', "
      "'_' and '.' that begins with a letter or digit, found \"my rule\""}},
    {"name twice",
     RULE("action: count, name: a}, {action: count, name: a, port: 1"),
     {"12:51: error: firewall.rules[1].name: the rule in line 12 has this name"}},
    {"interface",
     RULE("action: drop, interface: [outsid, inside, inside]"),
     {"12:30: error: firewall.rules[0].interface[0]: expected the name of an interface, found "
      "\"outsid\", did you mean \"outside\"?",
      "12:46: error: firewall.rules[0].interface[2]: listed twice"}},
    {"no interface",
     RULE("action: drop, interface: []"),
     {"12:18: error: firewall.rules[0].interface: expected the name of an interface, or a list of "
      "them, found an empty one: leave the key out to match any"}},
    {"origins",
     RULE("action: drop, source: [god, 10.0.0.1/8, \"2001:db8::/32\", 1], destination: any"),
     {"12:27: error: firewall.rules[0].source[0]: expected an address, a prefix such as "
      "198.51.100.0/24, or the name of a set, found \"god\", did you mean \"good\"?",
      "12:32: error: firewall.rules[0].source[1]: 10.0.0.1/8 has bits set beyond its length, did "
      "you mean 10.0.0.0/8?",
      "12:61: error: firewall.rules[0].source[3]: expected an address, a prefix such as "
      "198.51.100.0/24, or the name of a set, found \"1\"",
      "12:78: error: firewall.rules[0].destination: leave the key out to match any address"}},
    {"no origin",
     RULE("action: drop, source: [], destination: "),
     {"12:18: error: firewall.rules[0].source: expected a prefix such as 198.51.100.0/24, the name "
      "of a set, or a list of them, found an empty one: leave the key out to match any address",
      "12:30: error: firewall.rules[0].destination: expected a prefix such as 198.51.100.0/24, the "
      "name of a set, or a list of them, found nothing: leave the key out to match any address"}},
    {"protocol",
     RULE("action: drop, protocol: [tpc, 256, icmp6, tcp, tcp]"),
     {"12:29: error: firewall.rules[0].protocol[0]: expected tcp, udp, icmp, icmpv6, or the number "
      "of an IP "
      "protocol, found \"tpc\", did you mean \"tcp\"?",
      "12:34: error: firewall.rules[0].protocol[1]: expected a value from 0 to 255, found \"256\"",
      "12:39: error: firewall.rules[0].protocol[2]: expected tcp, udp, icmp, icmpv6, or the number "
      "of an IP "
      "protocol, found \"icmp6\", did you mean \"icmp\"?",
      "12:51: error: firewall.rules[0].protocol[4]: listed twice"}},
    {"ports",
     RULE("action: drop, port: [65536, 9-8, http, 1-, -1, 1-2-3], source-port: \" 1\""),
     {"12:25: error: firewall.rules[0].port[0]: expected a port from 0 to 65535, or a range such "
      "as 8000-8999, found \"65536\"",
      "12:32: error: firewall.rules[0].port[1]: the range ends before it begins, did you mean "
      "\"8-9\"?",
      "12:37: error: firewall.rules[0].port[2]: expected a port from 0 to 65535, or a range such "
      "as 8000-8999, found \"http\"",
      "12:43: error: firewall.rules[0].port[3]: expected a port from 0 to 65535, or a range such "
      "as 8000-8999, found \"1-\"",
      "12:47: error: firewall.rules[0].port[4]: expected a port from 0 to 65535, or a range such "
      "as 8000-8999, found \"-1\"",
      "12:51: error: firewall.rules[0].port[5]: expected a port from 0 to 65535, or a range such "
      "as 8000-8999, found \"1-2-3\"",
      "12:72: error: firewall.rules[0].source-port: expected a port from 0 to 65535, or a range "
      "such as 8000-8999, found \" 1\""}},
    {"port twice",
     RULE("action: drop, port: [80, 80]"),
     {"12:29: error: firewall.rules[0].port[1]: listed twice"}},
    {"icmpv6 by name",
     RULE("action: drop, protocol: icmpv6, icmp-type: [128, echo-request]"),
     {"12:53: error: firewall.rules[0].icmp-type[1]: \"echo-request\" is a type of ICMP: write the "
      "number of ICMPv6's, such as 128 for an echo request"}},
    {"icmp types",
     RULE("action: drop, icmp-type: [echo, 256, echo-requst]"),
     {"12:30: error: firewall.rules[0].icmp-type[0]: expected a type of ICMP such as echo-request, "
      "or its number, found \"echo\", did you mean \"echo-reply\"?",
      "12:36: error: firewall.rules[0].icmp-type[1]: expected a value from 0 to 255, found \"256\"",
      "12:41: error: firewall.rules[0].icmp-type[2]: expected a type of ICMP such as echo-request, "
      "or its number, found \"echo-requst\", did you mean \"echo-request\"?"}},
    {"flags",
     RULE("action: drop, tcp-flags: [sny, \"!\", syn, \"!syn\", ack]"),
     {"12:30: error: firewall.rules[0].tcp-flags[0]: expected a TCP flag such as syn or \"!ack\", "
      "found \"sny\", did you mean \"syn\"?",
      "12:35: error: firewall.rules[0].tcp-flags[1]: expected a TCP flag such as syn or \"!ack\", "
      "found \"!\"",
      "12:45: error: firewall.rules[0].tcp-flags[3]: the flag syn cannot be set and not set"}},
    {"no flags",
     RULE("action: drop, tcp-flags: []"),
     {"12:18: error: firewall.rules[0].tcp-flags: expected a list of TCP flags such as [syn, "
      "\"!ack\"], found an empty one: leave the key out to match any flags"}},
    {"flag with a tag",
     RULE("action: drop, tcp-flags: [syn, !ack ]"),
     {"12:35: error: tags (!name) are not supported: a text that begins with \"!\" needs quotation "
      "marks"}},
    {"log",
     RULE("action: drop, log: yes"),
     {"12:23: error: firewall.rules[0].log: expected true or false, found \"yes\""}},
    {"class of what is refused",
     FIREWALL("{action: drop, class: c}, " USE) "classes: {c: {}}\n",
     {"12:23: error: firewall.rules[0].class: no connection begins with a packet that is refused: "
      "expected no class"}},
    {"cookies of what is refused",
     RULE("action: drop, syn-cookies: true"),
     {"12:31: error: firewall.rules[0].syn-cookies: only a rule with the action accept or limit "
      "can "
      "ask for cookies, found drop"}},
    {"cookies of what goes on",
     RULE("action: count, syn-cookies: true"),
     {"12:32: error: firewall.rules[0].syn-cookies: only a rule with the action accept or limit "
      "can "
      "ask for cookies, found count"}},
    {"cookies by name",
     RULE("action: accept, syn-cookies: always"),
     {"12:33: error: firewall.rules[0].syn-cookies: expected true or false, found \"always\""}},
    {"class",
     RULE("action: accept, class: gold"),
     {"12:27: error: firewall.rules[0].class: expected the name of a class, found \"gold\"; there "
      "is none"}},
};

static void test_firewall(void **state)
{
    (void)state;
    POLICY_CASES_RUN(firewall_cases);
}

static const struct policy_case together_cases[] = {
    {"ports of icmp",
     RULE("action: drop, protocol: icmp, port: 80"),
     {"12:28: error: firewall.rules[0].protocol: expected tcp or udp, found \"icmp\": the rule has "
      "port"}},
    {"ports of one of two",
     RULE("action: drop, protocol: [tcp, 50], source-port: 80"),
     {"12:34: error: firewall.rules[0].protocol[1]: expected tcp or udp, found \"50\": the rule "
      "has source-port"}},
    {"a wrong protocol is reported once",
     RULE("action: drop, protocol: xyz, port: 80"),
     {"12:28: error: firewall.rules[0].protocol: expected tcp, udp, icmp, icmpv6, or the number of "
      "an IP "
      "protocol, found \"xyz\""}},
    {"protocol 0",
     RULE("action: drop, protocol: 0, port: 80"),
     {"12:28: error: firewall.rules[0].protocol: expected tcp or udp, found \"0\": the rule has "
      "port"}},
    {"ICMP type of tcp",
     RULE("action: drop, protocol: tcp, icmp-type: 8"),
     {"12:28: error: firewall.rules[0].protocol: expected icmp or icmpv6, found \"tcp\": the rule "
      "has "
      "icmp-type"}},
    {"flags of udp",
     RULE("action: drop, protocol: [udp, tcp], tcp-flags: syn"),
     {"12:29: error: firewall.rules[0].protocol[0]: expected tcp, found \"udp\": the rule has "
      "tcp-flags"}},
    {"ports and ICMP type",
     RULE("action: drop, port: 80, icmp-type: 8"),
     {"12:39: error: firewall.rules[0].icmp-type: no packet has both port and icmp-type"}},
    {"ports and flags are TCP", RULE("action: drop, port: 80, tcp-flags: syn"), {NULL}},
    {"number of tcp", RULE("action: drop, protocol: 6, port: 80, tcp-flags: syn"), {NULL}},
};

static void test_together(void **state)
{
    (void)state;
    POLICY_CASES_RUN(together_cases);
}

static const struct policy_case limit_cases[] = {
    {"missing",
     RULE("action: limit"),
     {"12:12: error: firewall.rules[0].action: to limit, the rule needs the key \"limit\""}},
    {"forbidden",
     RULE("action: drop, limit: {connections: 5}"),
     {"12:18: error: firewall.rules[0].limit: only a rule with the action limit has one, found "
      "drop"}},
    {"empty limit",
     RULE("action: limit, limit: {}"),
     {"12:19: error: firewall.rules[0].limit: expected connections, connections-per-second or "
      "handshakes-per-second, found none"}},
    {"nothing but a prefix",
     RULE("action: limit, limit: {prefix-v4: 24}"),
     {"12:19: error: firewall.rules[0].limit: expected connections, connections-per-second or "
      "handshakes-per-second, found none"}},
    {"limit that is no mapping",
     RULE("action: limit, limit: 5"),
     {"12:26: error: firewall.rules[0].limit: expected a mapping such as {connections: 100}, found "
      "\"5\""}},
    {"numbers",
     RULE("action: limit, limit: {connections: 0, connections-per-second: 1.5, prefix-v4: 33, "
          "prefix-v6: 129, over: accept}"),
     {"12:40: error: firewall.rules[0].limit.connections: expected a value from 1 to 1000000000, "
      "found \"0\"",
      "12:67: error: firewall.rules[0].limit.connections-per-second: expected a number, found "
      "\"1.5\"",
      "12:83: error: firewall.rules[0].limit.prefix-v4: expected a value from 1 to 32, found "
      "\"33\"",
      "12:98: error: firewall.rules[0].limit.prefix-v6: expected a value from 1 to 128, found "
      "\"129\"",
      "12:109: error: firewall.rules[0].limit.over: expected drop or reject, found \"accept\""}},
    {"bursts alone",
     RULE("action: limit, limit: {connections: 5, connection-burst: 2, handshake-burst: 1}"),
     {"12:61: error: firewall.rules[0].limit.connection-burst: a burst needs the key "
      "\"connections-per-second\"",
      "12:81: error: firewall.rules[0].limit.handshake-burst: a burst needs the key "
      "\"handshakes-per-second\""}},
    {"unknown key of a limit",
     RULE("action: limit, limit: {conections: 5}"),
     {"12:19: error: firewall.rules[0].limit: expected connections, connections-per-second or "
      "handshakes-per-second, found none",
      "12:27: error: firewall.rules[0].limit.conections: unknown key, did you mean "
      "\"connections\"?"}},
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
