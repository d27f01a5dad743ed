/* What only several sections together can be wrong about. */
#include <stdio.h>

#include "tests/unit/policy/policy_fixture.h"

#define REST "listeners: {l: {bind: 10.0.0.1:1}}\npolicy: [{action: reject}]\n"

static const struct policy_case interface_cases[] = {
    {"same kernel interface",
     "interfaces:\n"
     "  a: {device: {kernel: eth1}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {af-packet: eth1}, addresses: [10.0.1.1/24]}\n" REST,
     {"3:7: error: interfaces.b.device: the device is that of interface \"a\" (line 2) already"}},
    {"same PCI address in two forms",
     "interfaces:\n"
     "  a: {device: {pci: \"0000:AF:00.0\"}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {pci: \"af:00.0\"}, addresses: [10.0.1.1/24]}\n" REST,
     {"3:7: error: interfaces.b.device: the device is that of interface \"a\" (line 2) already"}},
    {"same vdev name",
     "interfaces:\n"
     "  a: {device: {vdev: \"net_memif0,id=0\"}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {vdev: \"net_memif0,id=1\"}, addresses: [10.0.1.1/24]}\n"
     "  c: {device: {vdev: net_memif01}, addresses: [10.0.2.1/24]}\n" REST,
     {"3:7: error: interfaces.b.device: the device is that of interface \"a\" (line 2) already"}},
    {"VLANs of one device",
     "interfaces:\n"
     "  a: {device: {kernel: eth1}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {kernel: eth1}, vlan: 7, addresses: [10.0.1.1/24]}\n"
     "  c: {device: {kernel: eth1}, vlan: 4094, addresses: [10.0.2.1/24]}\n"
     "  d: {device: {kernel: eth2}, vlan: 7, addresses: [10.0.3.1/24]}\n" REST,
     {NULL}},
    {"a VLAN twice",
     "interfaces:\n"
     "  a: {device: {kernel: eth1}, vlan: 7, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {kernel: eth1}, vlan: 7, addresses: [10.0.1.1/24]}\n" REST,
     {"3:37: error: interfaces.b.vlan: VLAN 7 of the device is that of interface \"a\" (line 2) "
      "already"}},
    {"a VLAN of a device in another way",
     "interfaces:\n"
     "  a: {device: {kernel: eth1}, vlan: 7, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {af-packet: eth1}, vlan: 8, addresses: [10.0.1.1/24]}\n" REST,
     {"3:7: error: interfaces.b.device: the device is that of interface \"a\" (line 2) already"}},
    {"no VLAN",
     "interfaces:\n"
     "  a: {device: {kernel: eth1}, vlan: 4095, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {kernel: eth2}, vlan: 0, addresses: [10.0.1.1/24]}\n" REST,
     {"2:37: error: interfaces.a.vlan: expected a value from 1 to 4094, found \"4095\"",
      "3:37: error: interfaces.b.vlan: expected a value from 1 to 4094, found \"0\""}},
    {"same name of another kind",
     "interfaces:\n"
     "  a: {device: {vdev: net_tap0}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {tap: net_tap0}, addresses: [10.0.1.1/24]}\n" REST,
     {NULL}},
    {"same address",
     "interfaces:\n"
     "  a: {device: {tap: a}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {tap: b}, addresses: [10.1.0.1/24, 10.0.0.1/32]}\n" REST,
     {"3:50: error: interfaces.b.addresses[1]: the address is that of interface \"a\" (line 2) "
      "already: 10.0.0.1/24"}},
    {"overlapping networks, either way round",
     "interfaces:\n"
     "  a: {device: {tap: a}, addresses: [10.0.0.1/24]}\n"
     "  b: {device: {tap: b}, addresses: [10.0.5.1/16]}\n"
     "  c: {device: {tap: c}, addresses: [10.0.0.9/30]}\n" REST,
     {"3:37: error: interfaces.b.addresses[0]: the network overlaps that of interface \"a\" (line "
      "2): 10.0.0.1/24",
      "4:37: error: interfaces.c.addresses[0]: the network overlaps that of interface \"a\" (line "
      "2): 10.0.0.1/24",
      "4:37: error: interfaces.c.addresses[0]: the network overlaps that of interface \"b\" (line "
      "3): 10.0.5.1/16"}},
    {"neighbouring networks",
     "interfaces:\n"
     "  a: {device: {tap: a}, addresses: [10.0.0.1/25]}\n"
     "  b: {device: {tap: b}, addresses: [10.0.0.129/25]}\n" REST,
     {NULL}},
};

static void test_interfaces(void **state)
{
    (void)state;
    POLICY_CASES_RUN(interface_cases);
}

static const struct policy_case reach_cases[] = {
    {"gateways",
     BASE "routes:\n"
          "  - {to: default, via: 172.16.0.1}\n"
          "  - {to: 10.9.0.0/16, via: 10.0.0.1}\n"
          "  - {to: 10.8.0.0/16, via: 10.0.0.255}\n"
          "  - {to: 10.7.0.0/16, via: 10.0.0.254}\n",
     {"11:24: error: routes[0].via: no interface has a network that holds the gateway 172.16.0.1",
      "12:28: error: routes[1].via: the gateway is interface \"inside\" itself",
      "13:28: error: routes[2].via: expected the address of a host, found the broadcast address of "
      "the network"}},
    {"same destination",
     BASE "routes:\n"
          "  - {to: default, via: 10.0.0.2}\n"
          "  - {to: 10.9.0.0/16, via: 10.0.0.3}\n"
          "  - {to: 0.0.0.0/0, via: 10.0.0.3}\n",
     {"13:10: error: routes[2].to: there is a route to this destination already, in line 11"}},
    {"servers",
     INTERFACES PLAIN SPLICE "routes: [{to: 172.16.0.0/12, via: 10.0.0.254}]\n"
                             "backends:\n"
                             "  web:\n"
                             "    servers: [172.16.0.5:80, 172.32.0.5:80, 192.0.2.10:80, "
                             "10.0.0.255:80, 192.0.2.77:80]\n",
     {"11:30: error: backends.web.servers[1]: no interface and no route reaches 172.32.0.5",
      "11:45: error: backends.web.servers[2]: 192.0.2.10 is the address of interface \"outside\": "
      "connections would loop",
      "11:60: error: backends.web.servers[3]: expected the address of a host, found 10.0.0.255, "
      "the "
      "broadcast address of the network"}},
    {"listeners",
     INTERFACES BACKENDS "listeners:\n"
                         "  a: {bind: 192.0.2.11:80}\n"
                         "  b: {bind: 192.0.2.10:80}\n"
                         "  c: {bind: 192.0.2.10:81}\n"
                         "  d: {bind: 10.0.0.1:80}\n"
                         "  e: {bind: 192.0.2.10:80}\n" SPLICE,
     {"7:13: error: listeners.a.bind: no interface has the address 192.0.2.11, expected one of: "
      "192.0.2.10, 10.0.0.1",
      "11:13: error: listeners.e.bind: the listener \"b\" (line 8) has this address and port"}},
    {"nothing is called unreachable while an address is wrong",
     "interfaces:\n  a: {device: {tap: a}, addresses: [10.0.0.1/42]}\n"
     "routes: [{to: default, via: 10.0.0.2}]\n" BACKENDS PLAIN SPLICE,
     {"2:37: error: interfaces.a.addresses[0]: expected an address with its prefix length, such as "
      "192.0.2.10/24 or 2001:db8::10/64, found \"10.0.0.1/42\""}},
};

static void test_reach(void **state)
{
    (void)state;
    POLICY_CASES_RUN(reach_cases);
}

static const struct policy_case unused_cases[] = {
    {"unused",
     INTERFACES "backends:\n"
                "  web: {servers: [10.0.0.11:8080]}\n"
                "  old: {servers: [10.0.0.12:8080]}\n"
                "certificates:\n"
                "  shop: {chain: a, key: b}\n" PLAIN SPLICE,
     {"6:3: warning: backends.old: no rule uses this backend",
      "8:3: warning: certificates.shop: neither a listener nor a backend uses this certificate"}},
    {"nothing is called unused while there are errors",
     INTERFACES BACKENDS CERTIFICATES PLAIN "policy: [{action: splice, backend: wb}]\n",
     {"11:36: error: policy[0].backend: expected the name of a backend, found \"wb\", did you mean "
      "\"web\"?"}},
};

static void test_unused(void **state)
{
    (void)state;
    POLICY_CASES_RUN(unused_cases);
}

/* Two listeners, with and without TLS; rules begin in line 13. */
#define RULES(text)                                                            \
    INTERFACES BACKENDS CERTIFICATES                                           \
        "listeners:\n"                                                         \
        "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n" \
        "  plain: {bind: 192.0.2.10:80}\n"                                     \
        "policy:\n" text "  - {action: splice, backend: web}\n"
#define HIDDEN(rule, by, line)                                                                    \
    "\"rule " rule "\" can never match: \"rule " by "\" (line " line ") comes first and matches " \
    "all that this one does"

static const struct policy_case rule_cases[] = {
    {"after a rule for everything",
     RULES("  - {action: reject}\n"),
     {"14:5: warning: policy[1]: " HIDDEN("2", "1", "13")}},
    {"everything covered by parts",
     RULES("  - {match: {listener: https}, action: terminate, backend: web}\n"
           "  - {match: {listener: plain}, action: splice, backend: web}\n"),
     {"15:5: warning: policy[2]: " HIDDEN("3", "2", "14")}},
    {"same listener",
     RULES("  - {match: {listener: plain}, action: splice, backend: web}\n"
           "  - {match: {listener: plain, sni: a.b}, action: reject}\n"),
     {"14:5: warning: policy[1]: " HIDDEN("2", "1", "13")}},
    {"names",
     RULES("  - {match: {sni: [a.b, \"*.c\"]}, action: reject}\n"
           "  - {match: {sni: A.B.}, action: reject}\n"
           "  - {match: {sni: [x.c, a.b]}, action: reject}\n"
           "  - {match: {sni: \"*.c\"}, action: reject}\n"
           "  - {match: {sni: [c, x.y.c, \"*.b\"]}, action: reject}\n"
           "  - {match: {sni: [x.y.c, a.b]}, action: reject}\n"
           "  - {match: {sni: \"*.a.b\"}, action: reject}\n"),
     {"14:5: warning: policy[1]: " HIDDEN("2", "1", "13"),
      "15:5: warning: policy[2]: " HIDDEN("3", "1", "13"),
      "16:5: warning: policy[3]: " HIDDEN("4", "1", "13"),
      "18:5: warning: policy[5]: " HIDDEN("6", "5", "17")}},
    {"names on a plain listener are another matter",
     RULES("  - {match: {sni: a.b}, action: reject}\n"
           "  - {match: {sni: a.b, listener: plain}, action: reject}\n"
           "  - {match: {sni: a.b, listener: https}, action: reject}\n"),
     {"15:5: warning: policy[2]: " HIDDEN("3", "1", "13")}},
    {"sources",
     RULES("  - {match: {source: [10.0.0.0/9, 10.128.0.0/9, 192.0.2.1]}, action: reject}\n"
           "  - {match: {source: 10.0.0.0/8}, action: reject}\n"
           "  - {match: {source: [192.0.2.1, 10.5.0.0/16], sni: a.b}, action: reject}\n"
           "  - {match: {source: [192.0.2.0/31]}, action: reject}\n"
           "  - {match: {source: 10.0.0.0/7}, action: reject}\n"),
     {"14:5: warning: policy[1]: " HIDDEN("2", "1", "13"),
      "15:5: warning: policy[2]: " HIDDEN("3", "1", "13")}},
    {"protocols and versions",
     RULES("  - {name: old, match: {alpn: [h2, x]}, action: reject}\n"
           "  - {name: new, match: {alpn: h2, sni: a.b}, action: reject}\n"
           "  - {match: {tls-version: [1.2, 1.3]}, action: reject}\n"
           "  - {match: {tls-version: 1.3, source: 10.0.0.0/8}, action: reject}\n"
           "  - {match: {alpn: [x, y]}, action: reject}\n"
           "  - {match: {sni: a.b}, action: reject}\n"),
     {"14:5: warning: policy[1]: \"new\" can never match: \"old\" (line 13) comes first and "
      "matches "
      "all that this one does",
      "16:5: warning: policy[3]: " HIDDEN("4", "3", "15")}},
    {"a name does not cover a source",
     RULES("  - {match: {source: 10.0.0.0/8, sni: a.b}, action: reject}\n"
           "  - {match: {source: 10.0.0.0/8}, action: reject}\n"
           "  - {match: {sni: a.b}, action: reject}\n"),
     {NULL}},
    {"no listener with TLS",
     INTERFACES BACKENDS PLAIN "policy:\n"
                               "  - {match: {sni: a.b}, action: reject}\n"
                               "  - {action: splice, backend: web}\n",
     {"9:5: warning: policy[0]: \"rule 1\" can never match: a rule with sni, alpn or tls-version "
      "that names no listener applies to listeners with tls, and there is none"}},
    {"listener without a rule",
     INTERFACES BACKENDS CERTIFICATES
     "listeners:\n"
     "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n"
     "  plain: {bind: 192.0.2.10:80}\n"
     "policy:\n"
     "  - {match: {sni: a.b}, action: terminate, backend: web}\n",
     {"11:3: warning: listeners.plain: no rule applies to this listener: every connection is "
      "rejected"}},
    {"terminate on any listener",
     RULES("  - {action: terminate, backend: web}\n"),
     {"13:14: error: policy[0].action: the rule applies to the listener \"plain\" (line 11) too, "
      "which has no tls to terminate: expected match with a listener",
      "14:5: warning: policy[1]: " HIDDEN("2", "1", "13")}},
    {"terminate where plain TCP does not come",
     INTERFACES BACKENDS CERTIFICATES
     "listeners:\n"
     "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n"
     "  plain: {bind: 192.0.2.10:80}\n"
     "policy:\n"
     "  - {match: {listener: plain}, action: splice, backend: web}\n"
     "  - {action: terminate, backend: web}\n",
     {NULL}},
};

static void test_rules(void **state)
{
    (void)state;
    POLICY_CASES_RUN(rule_cases);
}

/* Many names and sources: the search for covering rules gives up rather than take minutes. */
static void test_bounded_search(void **state)
{
    static const char rule[] = "  - {match: {source: 10.%u.%u.0/24}, action: reject}\n";
    static char text[16384 * sizeof rule + 1024];
    struct policy_report r = {0};
    struct policy *p;
    size_t len = (size_t)snprintf(text, sizeof text, "%s", INTERFACES BACKENDS PLAIN "policy:\n");

    (void)state;
    for (unsigned i = 0; i < 16383; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, rule, i >> 8, i & 255);
    len += (size_t)snprintf(text + len, sizeof text - len, "  - {action: splice, backend: web}\n");
    p = policy_parse(text, len, "t.yaml", &r);
    assert_non_null(p);
    assert_int_equal(r.count, 0);
    assert_int_equal(p->rule_count, 16384);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interfaces),     cmocka_unit_test(test_reach),
        cmocka_unit_test(test_unused),         cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bounded_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
