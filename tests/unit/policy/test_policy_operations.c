/* Classes and rates, punting, tickets, control, metrics and the session log: values and mistakes.
 */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>

static const char full[] =
    "interfaces:\n"
    "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24], rate: 1Gbit,\n"
    "            punt: {tap: sluice0}}\n"
    "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n"
    "classes:\n"
    "  gold: {rate: 400Mbit, ceiling: 600000kbit, priority: 0, weight: 1000, dscp: EF}\n"
    "  bulk: {rate: 600Mbit}\n"
    "  mark: {dscp: 63}\n" BACKENDS PLAIN "policy:\n"
    "  - {name: a, match: {source: 10.0.0.0/8}, action: splice, backend: web, class: gold}\n"
    "  - {match: {source: 10.0.0.0/7}, action: splice, backend: web, class: bulk}\n"
    "  - {action: splice, backend: web, class: mark}\n"
    "tickets: {secret-file: secret, rotation: 1h}\n"
    "control: {socket: /run/sluice/control, group: netops, mode: \"0600\"}\n"
    "metrics: {listen: 127.0.0.1:9180}\n"
    "session-log: {file: sessions.log, format: json}\n";

static void test_egress(void **state)
{
    struct policy *p = policy_good(full);

    (void)state;
    assert_int_equal(p->interfaces[0].rate, 1000000000);
    assert_string_equal(p->interfaces[0].punt_tap, "sluice0");
    assert_int_equal(p->interfaces[0].punt_mark.line, 3);
    assert_int_equal(p->interfaces[0].punt_mark.column, 25);
    assert_int_equal(p->interfaces[1].rate, 0);
    assert_null(p->interfaces[1].punt_tap);
    assert_int_equal(p->class_count, 3);
    assert_string_equal(p->classes[0].name, "gold");
    assert_int_equal(p->classes[0].rate, 400000000);
    assert_int_equal(p->classes[0].ceiling, 600000000);
    assert_int_equal(p->classes[0].priority, 0);
    assert_int_equal(p->classes[0].weight, 1000);
    assert_int_equal(p->classes[0].dscp, 46);
    assert_int_equal(p->classes[1].priority, 4);
    assert_int_equal(p->classes[1].weight, 100);
    assert_int_equal(p->classes[1].ceiling, 0);
    assert_int_equal(p->classes[1].dscp, -1);
    assert_int_equal(p->classes[1].index, 1);
    assert_int_equal(p->classes[2].dscp, 63);
    assert_ptr_equal(p->rules[1].egress_class, &p->classes[1]);
    assert_string_equal(p->rules[0].name, "a");
    assert_string_equal(p->rules[1].name, "rule 2");
    policy_free(p);
}

static void test_operations(void **state)
{
    struct policy *p = policy_good(full);

    (void)state;
    assert_string_equal(p->tickets.secret_file, "etc/secret");
    assert_int_equal(p->tickets.secret_mark.line, 17);
    assert_int_equal(p->tickets.rotation, 3600 * CLOCK_SEC);
    assert_string_equal(p->control.socket, "/run/sluice/control");
    assert_string_equal(p->control.group, "netops");
    assert_int_equal(p->control.mode, 0600);
    assert_int_equal(p->control.mark.line, 18);
    assert_int_equal(p->metrics.listen.port, 9180);
    assert_int_equal(p->metrics.mark.line, 19);
    assert_string_equal(p->session_log.file, "etc/sessions.log");
    assert_int_equal(p->session_log.format, POLICY_LOG_JSON);
    policy_free(p);
}

static void test_defaults(void **state)
{
    struct policy *p = policy_good(BASE), *q = policy_good(BASE "session-log: {file: stderr}\n");

    (void)state;
    assert_int_equal(p->class_count, 0);
    assert_null(p->rules[0].egress_class);
    assert_null(p->tickets.secret_file);
    assert_int_equal(p->tickets.rotation, 12 * 3600 * CLOCK_SEC);
    assert_null(p->control.socket);
    assert_int_equal(p->control.mode, 0660);
    assert_int_equal(p->metrics.listen.port, 0);
    assert_null(p->session_log.file);
    assert_string_equal(q->session_log.file, "stderr");
    assert_int_equal(q->session_log.format, POLICY_LOG_TEXT);
    policy_free(p);
    policy_free(q);
}

/* ---- mistakes ---- */

#define OUTSIDE(text)                                                                          \
    "interfaces:\n"                                                                            \
    "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24], " text "}\n"              \
    "  inside: {device: {tap: eth2}, addresses: [10.0.0.1/24], punt: {tap: kern1}}\n" BACKENDS \
        PLAIN SPLICE
#define OUTSIDE_CLASSES(rate, classes)                                                           \
    "interfaces:\n  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24, 10.0.0.1/24], " \
    "rate: " rate "}\n" BACKENDS PLAIN                                                           \
    "policy: [{action: splice, backend: web, class: c}]\nclasses:\n" classes

static const struct policy_case interface_cases[] = {
    {"rates",
     OUTSIDE("rate: 1Gbps"),
     {"2:71: error: interfaces.outside.rate: expected a rate such as 100Mbit or 1Gbit, found "
      "\"1Gbps\""}},
    {"rate, nearly",
     OUTSIDE("rate: 10gbit"),
     {"2:71: error: interfaces.outside.rate: expected a rate such as 100Mbit or 1Gbit, found "
      "\"10gbit\", did you mean \"10Gbit\"?"}},
    {"rate without unit",
     OUTSIDE("rate: 1000000"),
     {"2:71: error: interfaces.outside.rate: expected a rate such as 100Mbit or 1Gbit, found "
      "\"1000000\""}},
    {"rate range",
     OUTSIDE("rate: 2000Gbit"),
     {"2:71: error: interfaces.outside.rate: expected a value from 8kbit to 1000Gbit, found "
      "\"2000Gbit\""}},
    {"rate in bytes",
     OUTSIDE("rate: 100MB"),
     {"2:71: error: interfaces.outside.rate: expected a rate such as 100Mbit or 1Gbit, found "
      "\"100MB\""}},
    {"punt",
     OUTSIDE("punt: sluice0"),
     {"2:71: error: interfaces.outside.punt: expected a mapping such as {tap: sluice0}, found "
      "\"sluice0\""}},
    {"punt without",
     OUTSIDE("punt: {}"),
     {"2:65: error: interfaces.outside.punt: the key \"tap\" is missing: expected the name of a "
      "network interface (at most 15 characters)"}},
    {"punt name",
     OUTSIDE("punt: {tap: sluice0123456789}"),
     {"2:77: error: interfaces.outside.punt.tap: expected the name of a network interface (at most "
      "15 characters), found \"sluice0123456789\""}},
    {"punt to itself",
     OUTSIDE("punt: {tap: eth1}"),
     {"2:77: error: interfaces.outside.punt.tap: \"eth1\" is the device of interface \"outside\" "
      "(line 2)"}},
    {"punt to another",
     OUTSIDE("punt: {tap: eth2}"),
     {"2:77: error: interfaces.outside.punt.tap: \"eth2\" is the device of interface \"inside\" "
      "(line 3)"}},
    {"punt twice",
     OUTSIDE("punt: {tap: kern1}"),
     {"3:71: error: interfaces.inside.punt.tap: interface \"outside\" (line 2) has this TAP "
      "already"}},
    {"loopback", BASE "routes: []\n", {NULL}},
    {"the kernel's loopback",
     "interfaces: {x: {device: {kernel: lo}, addresses: [10.0.0.1/8]}}\n" BACKENDS
     "listeners: {l: {bind: 10.0.0.1:1}}\n" SPLICE,
     {"1:35: error: interfaces.x.device.kernel: \"lo\" is the kernel's loopback interface: no "
      "packet of others comes there"}},
};

static void test_interfaces(void **state)
{
    (void)state;
    POLICY_CASES_RUN(interface_cases);
}

static const struct policy_case class_cases[] = {
    {"values",
     BASE "classes:\n"
          "  a: {rate: 1kbit, ceiling: fast, priority: 8, weight: 0, dscp: 64}\n"
          "  b: {rate: 2Mbit, ceiling: 1Mbit, weight: 1001, dscp: af21}\n"
          "  c: {rat: 1Mbit, dscp: high, priority: -1}\n"
          "  d: 5Mbit\n",
     {"11:13: error: classes.a.rate: expected a value from 8kbit to 1000Gbit, found \"1kbit\"",
      "11:29: error: classes.a.ceiling: expected a rate such as 100Mbit or 1Gbit, found \"fast\"",
      "11:45: error: classes.a.priority: expected a value from 0 to 7, found \"8\"",
      "11:56: error: classes.a.weight: expected a value from 1 to 1000, found \"0\"",
      "11:65: error: classes.a.dscp: expected a value from 0 to 63, found \"64\"",
      "12:13: error: classes.b.rate: the guaranteed rate is above the class's ceiling",
      "12:44: error: classes.b.weight: expected a value from 1 to 1000, found \"1001\"",
      ("12:56: error: classes.b.dscp: expected a code point such as AF21, EF or CS1, or a number "
       "from 0 to 63, found \"af21\", did you mean \"AF21\"?"),
      "13:7: error: classes.c.rat: unknown key, did you mean \"rate\"?",
      ("13:25: error: classes.c.dscp: expected a code point such as AF21, EF or CS1, or a number "
       "from 0 to 63, found \"high\""),
      "13:41: error: classes.c.priority: expected a number, found \"-1\"",
      "14:6: error: classes.d: expected a mapping such as {rate: 100Mbit}, found \"5Mbit\""}},
    {"unknown class",
     BASE "classes: {gold: {}}\nfirewall: {rules: [{action: accept, class: glod}]}\n",
     {"11:44: error: firewall.rules[0].class: expected the name of a class, found \"glod\", did "
      "you mean \"gold\"?"}},
    {"unused class",
     BASE "classes: {gold: {}}\n",
     {"10:11: warning: classes.gold: no rule uses this class"}},
    {"more than the interface",
     OUTSIDE_CLASSES("1Gbit",
                     "  a: {rate: 600Mbit}\n  b: {rate: 300Mbit}\n  c: {rate: 100001kbit}\n"),
     {"11:13: error: classes.c.rate: the classes' guaranteed rates add up to 1000001kbit, more "
      "than the 1Gbit of interface \"outside\" (line 2)"}},
    {"as much as the interface",
     OUTSIDE_CLASSES("1Gbit", "  c: {rate: 1Gbit, ceiling: 1Gbit}\n"),
     {NULL}},
    {"a ceiling that is never reached",
     OUTSIDE_CLASSES("1Gbit", "  c: {ceiling: 1001Mbit}\n"),
     {"9:16: warning: classes.c.ceiling: the ceiling is above the rate of every interface and "
      "never reached"}},
};

static void test_classes(void **state)
{
    (void)state;
    POLICY_CASES_RUN(class_cases);
}

static void test_too_many_classes(void **state)
{
    static char text[8192];
    struct policy_report r = {0};
    int len = snprintf(text, sizeof text, "%sclasses:\n", BASE);

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "  c%u: {}\n", i);
    assert_null(policy_parse(text, (size_t)len, "t.yaml", &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.findings[0].text,
                        "t.yaml:10:1: error: classes: 64 entries, expected at most 63");
    policy_report_free(&r);
}

#define LONG                                                                                       \
    "/a234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "23456789012345678"

static const struct policy_case operation_cases[] = {
    {"tickets",
     BASE "tickets: {secret-file: dir/, rotation: 59s, key: x}\n",
     {"10:24: error: tickets.secret-file: expected the path of a file, found \"dir/\"",
      "10:40: error: tickets.rotation: expected a value from 1m to 7d, found \"59s\"",
      "10:45: error: tickets.key: unknown key, expected one of: secret-file, rotation"}},
    {"a class and a rule of a name that is taken",
     BASE "classes: {default: {}}\nfirewall: {rules: [{name: default, action: drop}]}\n",
     {"10:11: error: classes.default: \"default\" is the class of everything without one: choose "
      "another name",
      "11:27: error: firewall.rules[0].name: \"default\" is what no rule decides on: choose "
      "another "
      "name"}},
    {"session log on standard output",
     BASE "session-log: {file: stdout}\n",
     {"10:21: error: session-log.file: expected a path or stderr, found \"stdout\": nothing is "
      "written there (a file of that name is \"./stdout\")"}},
    {"keys of the mapping inside",
     BASE
     "firewall: {rules: [{action: limit, connections: 3, limit: {handshakes-per-second: 1}}]}\n",
     {"10:36: error: firewall.rules[0].connections: unknown key here; it belongs into \"limit\""}},
    {"control without socket",
     BASE "control: {}\n",
     {"10:1: error: control: the key \"socket\" is missing: expected the path of a file"}},
    {"control",
     BASE "control: {socket: " LONG ", group: \"net ops\", mode: \"0662\"}\n",
     {"10:19: error: control.socket: the path of a socket of 109 bytes, expected at most 107",
      "10:137: error: control.group: expected the name of a group of users, found \"net ops\"",
      "10:154: error: control.mode: expected a mode that does not let all users write, found "
      "\"0662\": who may write to the socket controls the appliance"}},
    {"modes",
     BASE "control: {socket: /s, mode: 0680}\n",
     {"10:29: error: control.mode: expected permissions in octal such as \"0660\", found "
      "\"0680\""}},
    {"symbolic mode",
     BASE "control: {socket: /s, mode: rw-rw----}\n",
     {"10:29: error: control.mode: expected permissions in octal such as \"0660\", found "
      "\"rw-rw----\""}},
    {"setuid",
     BASE "control: {socket: /s, mode: \"4660\"}\n",
     {"10:29: error: control.mode: expected permissions in octal such as \"0660\", found "
      "\"4660\""}},
    {"short mode", BASE "control: {socket: /s, mode: 600}\n", {NULL}},
    {"metrics without an address",
     BASE "metrics: {}\n",
     {"10:1: error: metrics: the key \"listen\" is missing: expected a loopback address and a port "
      "from 1 to 65535, such as 127.0.0.1:9180"}},
    {"metrics for others",
     BASE "metrics: {listen: 192.0.2.10:9180}\n",
     {"10:19: error: metrics.listen: expected a loopback address such as 127.0.0.1, found "
      "192.0.2.10: it is served without TLS and password, to this machine only"}},
    {"metrics for all",
     BASE "metrics: {listen: 0.0.0.0:9180}\n",
     {"10:19: error: metrics.listen: expected a loopback address such as 127.0.0.1, found 0.0.0.0: "
      "it is served without TLS and password, to this machine only"}},
    {"metrics port",
     BASE "metrics: {listen: 127.0.0.1}\n",
     {"10:19: error: metrics.listen: expected a loopback address and a port from 1 to 65535, such "
      "as 127.0.0.1:9180, found \"127.0.0.1\""}},
    {"metrics over IPv6 for others",
     BASE "metrics: {listen: \"[2001:db8::1]:9180\"}\n",
     {"10:19: error: metrics.listen: expected a loopback address such as 127.0.0.1, found "
      "2001:db8::1: it is served without TLS and password, to this machine only"}},
    {"metrics by name",
     BASE "metrics: {listen: localhost:9180}\n",
     {"10:19: error: metrics.listen: expected a loopback address and a port from 1 to 65535, such "
      "as 127.0.0.1:9180, found \"localhost:9180\""}},
    {"session log",
     BASE "session-log: {format: xml}\n",
     {"10:1: error: session-log: the key \"file\" is missing: expected the path of a file, or "
      "stderr",
      "10:23: error: session-log.format: expected text or json, found \"xml\""}},
    {"session log file",
     BASE "session-log: {file: logs/, format: jsn}\n",
     {"10:21: error: session-log.file: expected the path of a file, or stderr, found \"logs/\"",
      "10:36: error: session-log.format: expected text or json, found \"jsn\", did you mean "
      "\"json\"?"}},
};

static void test_operation_mistakes(void **state)
{
    (void)state;
    POLICY_CASES_RUN(operation_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_too_many_classes),
        cmocka_unit_test(test_operation_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
