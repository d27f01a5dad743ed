/* The compiled rules against the naive reference, over random rules and packets. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/firewall/firewall_naive.h"
#include "tests/unit/support/test_mbuf.h"

#define RULES_MAX 60
#define ROUNDS    60
#define BURSTS    40
#define BURST     64

static struct naive_set sets[NAIVE_SETS];
static struct naive_rule lists[RULES_MAX];
static struct firewall_rule rules[RULES_MAX];
static unsigned rule_count;
static bool drop_by_default;

/* What should come of a packet, and what should have been counted by then. */
static struct firewall_hits expected[RULES_MAX + 1];

static void hit(unsigned rule, const struct packet *p)
{
    expected[rule].packets++;
    expected[rule].bytes += p->l3_length;
}

static bool passes_by_default(const struct packet *p)
{
    if (p->kind == PACKET_ICMP && !ip_is_v4(&p->src))
        return p->icmp.type < 128;
    return p->kind == PACKET_ICMP && (p->icmp.type == 3 || p->icmp.type == 11);
}

static struct packet walk(struct packet p)
{
    for (unsigned i = 0; i < rule_count; i++) {
        const struct firewall_rule *r = &rules[i];

        if (!naive_matches(r, sets, &p))
            continue;
        hit(i, &p);
        if (r->action == FIREWALL_COUNT)
            continue;
        if (r->action == FIREWALL_ACCEPT) {
            p.label.egress_class = r->egress_class;
            p.label.cookies = r->syn_cookies;
        } else {
            p.drop = drop_firewall;
            p.reject = r->action == FIREWALL_REJECT;
        }
        return p;
    }
    if (drop_by_default && passes_by_default(&p))
        return p;
    hit(rule_count, &p);
    if (drop_by_default)
        p.drop = drop_firewall;
    return p;
}

static struct firewall *draw_firewall(void)
{
    struct firewall_set *made[NAIVE_SETS];
    struct firewall_ruleset_config config = {
        .rules = rules, .sets = made, .set_count = NAIVE_SETS, .numa_node = -1};
    struct firewall_ruleset *ruleset;
    struct firewall *f;
    struct error e = {0};

    rule_count = config.rule_count = naive_below(RULES_MAX + 1);
    drop_by_default = config.drop_by_default = naive_below(2) == 0;
    memset(expected, 0, sizeof expected);
    for (unsigned s = 0; s < NAIVE_SETS; s++) {
        sets[s].count = naive_below(NAIVE_PREFIXES + 1);
        for (unsigned i = 0; i < sets[s].count; i++)
            sets[s].prefixes[i] = naive_prefix(naive_below(2) == 0);
        made[s] = firewall_set_create("set", sets[s].prefixes, sets[s].count, &e);
        assert_non_null(made[s]);
    }
    for (unsigned i = 0; i < rule_count; i++)
        naive_rule_draw(&lists[i], &rules[i], i);
    ruleset = firewall_ruleset_create(&config, &e);
    if (ruleset == NULL)
        fail_msg("%s", e.text);
    f = firewall_create(&(struct firewall_config){.ruleset = ruleset}, &e);
    assert_non_null(f);
    firewall_ruleset_unref(ruleset); /* the firewall and the ruleset hold theirs */
    for (unsigned s = 0; s < NAIVE_SETS; s++)
        firewall_set_unref(made[s]);
    return f;
}

static void check_packet(const struct packet *seen, const struct packet *wanted, uint64_t seed)
{
    if (seen->drop == wanted->drop && seen->reject == wanted->reject &&
        seen->label.egress_class == wanted->label.egress_class &&
        seen->label.cookies == wanted->label.cookies)
        return;
    fail_msg("seed %llu: drop %d, reject %d, class %u; expected %d, %d, %u",
             (unsigned long long)seed, seen->drop, seen->reject, seen->label.egress_class,
             wanted->drop, wanted->reject, wanted->label.egress_class);
}

static void check_round(uint64_t seed)
{
    struct packet packets[BURST], wanted[BURST];
    struct firewall *f;

    naive_seed(seed);
    f = draw_firewall();
    for (unsigned n = 0; n < BURSTS; n++) {
        unsigned count = 1 + naive_below(BURST);

        for (unsigned i = 0; i < count; i++) {
            packets[i] = naive_packet_draw();
            wanted[i] = walk(packets[i]);
        }
        firewall_ingress(f, packets, count, CLOCK_SEC);
        for (unsigned i = 0; i < count; i++)
            check_packet(&packets[i], &wanted[i], seed);
    }
    for (unsigned i = 0; i <= rule_count; i++) {
        struct firewall_hits seen;

        firewall_rule_hits(f, i, &seen);
        assert_int_equal(seen.packets, expected[i].packets);
        assert_int_equal(seen.bytes, expected[i].bytes);
    }
    firewall_destroy(f);
}

static void test_random(void **state)
{
    uint64_t seed = (uint64_t)time(NULL);

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++)
        check_round(seed * 1000 + i);
}

/* Packets that were dropped before, and ARP, are not looked at nor counted. */
static void test_left_alone(void **state)
{
    const struct firewall_rule all = {.name = "all", .action = FIREWALL_DROP};
    const struct firewall_ruleset_config config = {.rules = &all, .rule_count = 1, .numa_node = -1};
    struct firewall_ruleset *ruleset = firewall_ruleset_create(&config, NULL);
    struct firewall *f = firewall_create(&(struct firewall_config){.ruleset = ruleset}, NULL);
    struct packet p[3] = {naive_packet_draw(), naive_packet_draw(), naive_packet_draw()};
    struct firewall_hits hits;

    (void)state;
    p[0].drop = drop_tcp_checksum;
    p[1].kind = PACKET_ARP;
    firewall_ingress(f, p, 3, 0);
    assert_int_equal(p[0].drop, drop_tcp_checksum);
    assert_int_equal(p[1].drop, DROP_NONE);
    assert_int_equal(p[2].drop, drop_firewall);
    assert_false(p[2].reject);
    firewall_rule_hits(f, 0, &hits);
    assert_int_equal(hits.packets, 1);
    firewall_rule_hits(f, 100000, &hits); /* of a ruleset that others have */
    assert_int_equal(hits.packets, 0);
    assert_int_equal(hits.bytes, 0);
    firewall_destroy(f);
    firewall_ruleset_unref(ruleset);
}

static bool expected_from_port_443(void *ctx, const struct packet *segment)
{
    (void)ctx;
    return segment->sport == 443 && segment->dport == 40000;
}

/* With `default: drop`, what belongs to connections of ours passes. */
static void test_default(void **state)
{
    const struct firewall_ruleset_config config = {.drop_by_default = true, .numa_node = -1};
    struct firewall_ruleset *ruleset = firewall_ruleset_create(&config, NULL);
    struct firewall *f = firewall_create(
        &(struct firewall_config){.ruleset = ruleset, .expected = expected_from_port_443}, NULL);
    struct packet tcp = {.drop = DROP_NONE, .kind = PACKET_TCP, .ip_protocol = 6};
    struct packet icmp = {.drop = DROP_NONE, .kind = PACKET_ICMP, .ip_protocol = 1};
    struct packet p[6];
    struct firewall_hits hits;

    (void)state;
    ip_parse("198.51.100.7", &tcp.src);
    ip_parse("192.0.2.10", &tcp.dst);
    icmp.src = tcp.src;
    icmp.dst = tcp.dst;
    tcp.tcp.flags = TCP_ACK;
    tcp.dport = 40000;
    for (unsigned i = 0; i < 3; i++)
        p[i] = tcp;
    p[0].sport = 443;
    p[1].sport = 444;
    p[2].kind = PACKET_OTHER; /* UDP has no connections of ours */
    p[2].sport = 443;
    p[3] = p[4] = p[5] = icmp;
    p[3].icmp.type = 3;
    p[4].icmp.type = 8;
    p[5].icmp.type = 12;
    firewall_ingress(f, p, 6, 0);
    assert_int_equal(p[0].drop, DROP_NONE);
    assert_int_equal(p[1].drop, drop_firewall);
    assert_int_equal(p[2].drop, drop_firewall);
    assert_int_equal(p[3].drop, DROP_NONE);
    assert_int_equal(p[4].drop, drop_firewall);
    assert_int_equal(p[5].drop, DROP_NONE);
    assert_int_equal(firewall_counters(f)->firewall_dropped, 3);
    firewall_rule_hits(f, 0, &hits);
    assert_int_equal(hits.packets, 3); /* what it lets pass is not its hit */
    firewall_destroy(f);
    firewall_ruleset_unref(ruleset);
}

static void expect_refusal(const struct firewall_ruleset_config *config, const char *text)
{
    struct error e = {0};

    assert_null(firewall_ruleset_create(config, &e));
    if (strstr(e.text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, e.text);
}

/* What would need more than the library should bear is refused with a word about it. */
static void test_refused(void **state)
{
    enum { MANY = 300 };
    static const struct firewall_ports two_ports[] = {{1, 1}, {3, 3}};
    static struct firewall_origin origins[MANY];
    static struct firewall_rule many[MANY];
    const struct firewall_rule product = {.name = "product",
                                          .sources = origins,
                                          .source_count = MANY,
                                          .destinations = origins,
                                          .destination_count = MANY};
    const struct firewall_origin unknown = {.set = 2};
    const struct firewall_rule lost = {.name = "lost", .sources = &unknown, .source_count = 1};

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        origins[i] = (struct firewall_origin){-1, naive_prefix(false)};
        many[i] = (struct firewall_rule){.name = "count", .action = FIREWALL_COUNT};
    }
    expect_refusal(&(struct firewall_ruleset_config){.rules = &product, .rule_count = 1},
                   "rule \"product\": its lists have more than 4096 combinations");
    expect_refusal(&(struct firewall_ruleset_config){.rules = many, .rule_count = MANY},
                   "300 rules that count or log; at most 256");
    expect_refusal(&(struct firewall_ruleset_config){.rules = &lost, .rule_count = 1},
                   "rule \"lost\" refers to a set that is not there");
    many[0].sources = origins;
    many[0].source_count = MANY;
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = many[0];
        many[i].action = FIREWALL_DROP;
        many[i].ports = two_ports;
        many[i].port_count = 2;
    }
    expect_refusal(&(struct firewall_ruleset_config){.rules = many, .rule_count = MANY},
                   "more than 131072 combinations");
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
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
