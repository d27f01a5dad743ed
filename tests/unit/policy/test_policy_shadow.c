/*
 * Firewall rules that an earlier one covers: what is found by example, and by random rules that
 * what is said is true, namely that no packet which such a rule matches gets past the one named.
 */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Rules begin in line 14. */
#define RULES(text)                                                                             \
    BASE "sets:\n  a: {prefixes: [10.1.0.0/16, 10.2.0.0/16]}\n  b: {prefixes: [10.1.0.0/17]}\n" \
         "firewall: {rules: [\n" text "  {action: count, source: [a, b]}]}\n"
#define DROP(text)  "  {action: drop, " text "},\n"
#define COUNT(text) "  {action: count, " text "},\n"
#define HIDDEN(rule, by, at)                                                                      \
    ": \"rule " rule "\" can never match: \"rule " by "\" (line " at ") comes first and matches " \
    "all that this one does"
#define SECOND "15:3: warning: firewall.rules[1]" HIDDEN("2", "1", "14")

static const struct policy_case cases[] = {
    {"prefix in a prefix",
     RULES(DROP("source: 10.0.0.0/8, port: 80") DROP("source: 10.9.0.0/16, port: 80")),
     {SECOND}},
    {"prefix beside a prefix",
     RULES(DROP("source: 10.8.0.0/16") DROP("source: 10.9.0.0/16")),
     {NULL}},
    {"prefixes that join",
     RULES(DROP("destination: [10.8.0.0/16, 10.9.0.0/16]") DROP("destination: 10.8.0.0/15")),
     {SECOND}},
    {"source is not destination",
     RULES(DROP("source: 10.8.0.0/16") DROP("destination: 10.8.0.0/16")),
     {NULL}},
    {"any source",
     RULES(DROP("port: 80") DROP("source: 10.9.0.0/16, protocol: tcp, port: 80")),
     {SECOND}},
    {"any source is not covered",
     RULES(DROP("source: 10.9.0.0/16, port: 80") DROP("port: 80")),
     {NULL}},
    {"equal sets",
     RULES(DROP("source: [a, 192.0.2.0/24], port: 1") COUNT("source: a, port: 1")),
     {SECOND}},
    {"prefix in a set",
     RULES(DROP("source: a, port: 1") DROP("source: 10.1.3.0/24, port: 1")),
     {SECOND}},
    {"set in a set", RULES(DROP("source: a, port: 1") DROP("source: b, port: 1")), {SECOND}},
    {"set in a prefix",
     RULES(DROP("source: 10.0.0.0/8, port: 1") DROP("source: [a, b], port: 1")),
     {SECOND}},
    {"set beyond a set", RULES(DROP("source: b, port: 1") DROP("source: a, port: 1")), {NULL}},
    {"one set of two",
     RULES(DROP("source: a, port: 1") DROP("source: [a, 10.3.0.0/16], port: 1")),
     {NULL}},
    {"port in a range", RULES(DROP("port: [1-99, 200]") DROP("port: [80, 200, 5-9]")), {SECOND}},
    {"ranges that join",
     RULES(DROP("source-port: [1-99, 100-200]") DROP("source-port: 50-150")),
     {SECOND}},
    {"range with a gap", RULES(DROP("port: [1-99, 101-200]") DROP("port: 50-150")), {NULL}},
    {"source port and port", RULES(DROP("port: 80") DROP("source-port: 80")), {NULL}},
    {"protocols", RULES(DROP("protocol: [tcp, udp, 50]") DROP("protocol: [50, tcp]")), {SECOND}},
    {"protocol without ports",
     RULES(DROP("protocol: tcp") DROP("protocol: tcp, port: 80")),
     {SECOND}},
    {"ports are of tcp and udp", RULES(DROP("protocol: tcp, port: 80") DROP("port: 80")), {NULL}},
    {"ICMP types", RULES(DROP("icmp-type: [8, 0]") DROP("icmp-type: 8")), {SECOND}},
    {"ICMP and its types", RULES(DROP("icmp-type: 8") DROP("protocol: icmp")), {NULL}},
    {"flags", RULES(DROP("tcp-flags: syn") DROP("tcp-flags: [syn, \"!ack\"]")), {SECOND}},
    {"fewer flags", RULES(DROP("tcp-flags: [syn, \"!ack\"]") DROP("tcp-flags: syn")), {NULL}},
    {"flags and none", RULES(DROP("protocol: tcp") DROP("tcp-flags: \"!syn\"")), {SECOND}},
    {"interfaces",
     RULES(DROP("interface: [inside, outside], port: 1") DROP("interface: inside, port: 1")),
     {SECOND}},
    {"another interface",
     RULES(DROP("interface: outside, port: 1") DROP("interface: inside, port: 1")),
     {NULL}},
    {"what counts does not end the matter", RULES(COUNT("port: 80") DROP("port: 80")), {NULL}},
    {"what accepts, rejects and limits does",
     RULES("  {action: accept, port: 1},\n  {action: reject, port: 2},\n"
           "  {action: limit, limit: {connections: 1}, port: 3},\n" DROP("port: [1, 1-1]")
               DROP("port: 2") COUNT("port: 3")),
     {"17:3: warning: firewall.rules[3]" HIDDEN("4", "1", "14"),
      "18:3: warning: firewall.rules[4]" HIDDEN("5", "2", "15"),
      "19:3: warning: firewall.rules[5]" HIDDEN("6", "3", "16")}},
    {"everything, and names",
     RULES("  {name: all, action: drop},\n  {name: x, action: accept, port: 2},\n"),
     {"15:3: warning: firewall.rules[1]: \"x\" can never match: \"all\" (line 14) comes first and "
      "matches all that this one does",
      "16:3: warning: firewall.rules[2]: \"rule 3\" can never match: \"all\" (line 14) comes first "
      "and matches all that this one does"}},
};

static void test_cases(void **state)
{
    (void)state;
    POLICY_CASES_RUN(cases);
}

/* ---- random rules and packets ---- */

struct packet {
    unsigned interface;
    struct ip_addr source, destination;
    uint8_t protocol, icmp_type, flags;
    uint16_t source_port, port;
};

static uint32_t random_state;

static unsigned pick(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % below;
}

static int random_origin(char *out, size_t size, const char *key)
{
    unsigned len = 27 + pick(6);

    switch (pick(4)) {
    case 0:
        return 0;
    case 1:
        return snprintf(out, size, ", %s: [a, 10.0.0.%u]", key, pick(64));
    default:
        return snprintf(out, size, ", %s: 10.0.0.%u/%u", key, pick(64) & (0xffu << (32 - len)),
                        len);
    }
}

static int random_ports(char *out, size_t size, const char *key)
{
    unsigned first = pick(4);

    if (pick(2))
        return 0;
    return snprintf(out, size, ", %s: [%u-%u, %u]", key, first, first + pick(3), 5 + pick(2));
}

static int random_rule(char *out, size_t size)
{
    static const char *const actions[] = {"accept", "drop", "reject", "count"};
    static const char *const parts[] = {"", ", protocol: tcp", ", protocol: udp",
                                        ", protocol: [tcp, udp]"};
    static const char *const flags[] = {", tcp-flags: syn", ", tcp-flags: [syn, \"!ack\"]",
                                        ", tcp-flags: \"!ack\"",
                                        ", tcp-flags: [\"!ack\", \"!syn\"]"};
    int len = snprintf(out, size, "  {action: %s", actions[pick(4)]);

    if (pick(4) == 0)
        len += snprintf(out + len, size - (size_t)len, ", interface: inside");
    len += random_origin(out + len, size - (size_t)len, "source");
    len += random_origin(out + len, size - (size_t)len, "destination");
    if (pick(6) == 0) {
        len += snprintf(out + len, size - (size_t)len, ", icmp-type: %u", pick(2));
    } else if (pick(4) == 0) {
        len += snprintf(out + len, size - (size_t)len, "%s", flags[pick(4)]);
    } else {
        len += snprintf(out + len, size - (size_t)len, "%s", parts[pick(4)]);
        len += random_ports(out + len, size - (size_t)len, "port");
        len += random_ports(out + len, size - (size_t)len, "source-port");
    }
    return len + snprintf(out + len, size - (size_t)len, "},\n");
}

static struct policy *random_policy(struct policy_report *r)
{
    static char text[16384];
    int len = snprintf(text, sizeof text, "%s",
                       BASE "sets: {a: {prefixes: [10.0.0.0/30, 10.0.0.32/28]}}\n"
                            "firewall: {rules: [\n");
    struct policy *p;

    for (unsigned i = 0; i < 30; i++)
        len += random_rule(text + len, sizeof text - (size_t)len);
    len += snprintf(text + len, sizeof text - (size_t)len, "]}\n");
    p = policy_parse(text, (size_t)len, "t.yaml", r);
    if (p == NULL)
        print_error("%s\n%s", r->findings[0].text, text);
    assert_non_null(p);
    return p;
}

static bool origin_matches(const struct policy_origin *origins, unsigned count,
                           const struct ip_addr *addr)
{
    for (unsigned i = 0; i < count; i++) {
        const struct policy_set *set = origins[i].set;

        if (set == NULL && ip_in_prefix(addr, &origins[i].prefix))
            return true;
        for (unsigned j = 0; set != NULL && j < set->prefix_count; j++)
            if (ip_in_prefix(addr, &set->prefixes[j]))
                return true;
    }
    return count == 0;
}

static bool port_matches(const struct policy_port_range *ranges, unsigned count, uint16_t port)
{
    for (unsigned i = 0; i < count; i++)
        if (port >= ranges[i].first && port <= ranges[i].last)
            return true;
    return count == 0;
}

static bool byte_matches(const uint8_t *bytes, unsigned count, uint8_t byte)
{
    return count == 0 || memchr(bytes, byte, count) != NULL;
}

static bool matches(const struct policy *p, const struct policy_firewall_rule *r,
                    const struct packet *k)
{
    bool interface = r->interface_count == 0;

    for (unsigned i = 0; i < r->interface_count; i++)
        interface = interface || r->interfaces[i] == &p->interfaces[k->interface];
    return interface && origin_matches(r->sources, r->source_count, &k->source) &&
           origin_matches(r->destinations, r->destination_count, &k->destination) &&
           byte_matches(r->protocols, r->protocol_count, k->protocol) &&
           byte_matches(r->icmp_types, r->icmp_type_count, k->icmp_type) &&
           port_matches(r->source_ports, r->source_port_count, k->source_port) &&
           port_matches(r->ports, r->port_count, k->port) &&
           (k->flags & r->tcp_flags_set) == r->tcp_flags_set &&
           (k->flags & r->tcp_flags_clear) == 0;
}

static struct ip_addr random_addr(void)
{
    struct ip_addr addr = ip_from_v4(0);

    addr.b[12] = 10;
    addr.b[15] = (uint8_t)pick(64);
    return addr;
}

static struct packet random_packet(void)
{
    static const uint8_t protocols[] = {1, 6, 6, 17};
    struct packet k = {
        .interface = pick(2),
        .source = random_addr(),
        .destination = random_addr(),
        .protocol = protocols[pick(4)],
        .icmp_type = (uint8_t)pick(2),
        .flags = (uint8_t)(pick(2) * 0x02 + pick(2) * 0x10),
        .source_port = (uint16_t)pick(8),
        .port = (uint16_t)pick(8),
    };

    return k;
}

/* A finding's "rule N" and 'by "rule M"'. */
static void read_finding(const char *text, unsigned *rule, unsigned *by)
{
    const char *at = strstr(text, "\"rule ");

    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"rule %u\" can never match: \"rule %u\"", rule, by), 2);
}

static void check_findings(const struct policy *p, const struct policy_report *r)
{
    for (unsigned i = 0; i < 2000; i++) {
        const struct packet k = random_packet();

        for (size_t f = 0; f < r->count; f++) {
            unsigned rule, by;

            if (strstr(r->findings[f].text, "can never match") == NULL)
                continue;
            read_finding(r->findings[f].text, &rule, &by);
            assert_true(by < rule);
            assert_int_not_equal(p->firewall.rules[by - 1].action, POLICY_FIREWALL_COUNT);
            if (matches(p, &p->firewall.rules[rule - 1], &k))
                assert_true(matches(p, &p->firewall.rules[by - 1], &k));
        }
    }
}

static void test_random(void **state)
{
    size_t found = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct policy_report r = {0};
        struct policy *p;

        random_state = seed;
        p = random_policy(&r);
        check_findings(p, &r);
        found += r.count;
        policy_free(p);
        policy_report_free(&r);
    }
    assert_true(found > 100);
}

/* Ten thousand rules: all are held against each other, and the cover is found. */
static void test_many(void **state)
{
    static const char rule[] = "  {action: drop, source: 10.%u.%u.0/24, port: [80, 443]},\n";
    static char text[10000 * (sizeof rule + 4) + 2048];
    struct policy_report r = {0};
    struct policy *p;
    int len = snprintf(text, sizeof text, "%s", BASE "firewall: {rules: [\n");

    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, rule, i >> 8, i & 255);
    len += snprintf(text + len, sizeof text - (size_t)len,
                    "  {action: accept, source: 10.38.3.9, protocol: tcp, port: 443}]}\n");
    p = policy_parse(text, (size_t)len, "t.yaml", &r);
    assert_non_null(p);
    assert_int_equal(r.count, 1);
    assert_non_null(strstr(r.findings[0].text, "\"rule 10001\" can never match: \"rule 9732\""));
    policy_free(p);
    policy_report_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
