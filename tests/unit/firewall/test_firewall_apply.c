/* A worker's firewall over its life: counters and labels across rulesets, connections, log lines.
 */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "firewall/firewall_internal.h"
#include "tests/unit/support/test_mbuf.h"

static const uint8_t key[16] = "limits for tests";
static const char *const interfaces[] = {"outside", "inside"};

static struct packet tcp(const char *from, uint8_t flags)
{
    struct packet p = {.drop = DROP_NONE, .kind = PACKET_TCP, .ip_protocol = 6, .l3_length = 60};

    assert_int_equal(ip_parse(from, &p.src), 0);
    assert_int_equal(ip_parse("192.0.2.10", &p.dst), 0);
    p.sport = 40000;
    p.dport = 443;
    p.tcp.flags = flags;
    return p;
}

static struct firewall_ruleset *compile(const struct firewall_rule *rules, unsigned count)
{
    const struct firewall_ruleset_config config = {
        .rules = rules, .rule_count = count, .numa_node = -1};
    struct error e = {0};
    struct firewall_ruleset *r = firewall_ruleset_create(&config, &e);

    if (r == NULL)
        fail_msg("%s", e.text);
    return r;
}

/* Gives the ruleset up to the firewall. */
static void apply(struct firewall *f, struct firewall_ruleset *r)
{
    assert_int_equal(firewall_apply(f, r, NULL), 0);
    firewall_ruleset_unref(r);
}

static struct firewall *make(struct firewall_ruleset *r, struct firewall_limits *l)
{
    const struct firewall_config config = {.ruleset = r,
                                           .limits = l,
                                           .interfaces = interfaces,
                                           .interface_count = 2,
                                           .name = "worker 0"};
    struct firewall *f = firewall_create(&config, NULL);

    assert_non_null(f);
    firewall_ruleset_unref(r);
    return f;
}

static struct packet run(struct firewall *f, struct packet p, clock_ns now)
{
    firewall_ingress(f, &p, 1, now);
    return p;
}

static unsigned packets_of(const struct firewall *f, unsigned rule)
{
    struct firewall_hits hits;

    firewall_rule_hits(f, rule, &hits);
    return (unsigned)hits.packets;
}

/* Rules are recognized by name, wherever they have moved; the default has no name. */
static void test_counters_carry(void **state)
{
    const struct firewall_origin ten = {-1, {.addr = {.b = {[10] = 0xff, 0xff, 10}}, .len = 104}};
    const struct firewall_rule count = {.name = "seen", .action = FIREWALL_COUNT};
    const struct firewall_rule drop = {
        .name = "ten", .action = FIREWALL_DROP, .sources = &ten, .source_count = 1};
    const struct firewall_rule other = {.name = "other", .action = FIREWALL_COUNT};
    struct firewall *f = make(compile((struct firewall_rule[]){count, drop}, 2), NULL);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(run(f, tcp("10.1.2.3", TCP_ACK), 0).drop, drop_firewall);
    assert_int_equal(run(f, tcp("11.1.2.3", TCP_ACK), 0).drop, DROP_NONE);
    assert_int_equal(packets_of(f, 0), 4);
    assert_int_equal(packets_of(f, 1), 3);
    assert_int_equal(packets_of(f, 2), 1);
    apply(f, compile((struct firewall_rule[]){drop, other, count}, 3));
    assert_int_equal(packets_of(f, 0), 3);
    assert_int_equal(packets_of(f, 1), 0);
    assert_int_equal(packets_of(f, 2), 4);
    assert_int_equal(packets_of(f, 3), 1);
    run(f, tcp("10.1.2.3", TCP_ACK), 0);
    assert_int_equal(packets_of(f, 0), 4);
    assert_int_equal(packets_of(f, 2), 4); /* it comes after the drop now */
    apply(f, compile(NULL, 0));
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_ACK), 0).drop, DROP_NONE);
    assert_int_equal(packets_of(f, 0), 2);
    assert_int_equal(firewall_apply(f, NULL, NULL), 0);
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_ACK), 0).drop, DROP_NONE);
    firewall_destroy(f);
}

/* An edit of a set is a ruleset with the same rules. */
static void test_with_set(void **state)
{
    struct ip_prefix prefix;
    struct firewall_set *empty = firewall_set_create("bad", NULL, 0, NULL), *full;
    const struct firewall_origin bad = {.set = 0};
    const struct firewall_rule drop = {
        .name = "bad", .action = FIREWALL_DROP, .sources = &bad, .source_count = 1};
    const struct firewall_ruleset_config config = {
        .rules = &drop, .rule_count = 1, .sets = &empty, .set_count = 1, .numa_node = -1};
    struct firewall_ruleset *r = firewall_ruleset_create(&config, NULL), *edited;
    struct firewall *f;

    (void)state;
    assert_int_equal(ip_prefix_parse("10.0.0.0/8", &prefix), 0);
    full = firewall_set_create("bad", &prefix, 1, NULL);
    edited = firewall_ruleset_with_set(r, 0, full, NULL);
    assert_non_null(edited);
    firewall_set_unref(full);
    firewall_set_unref(empty);
    f = make(r, NULL);
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).drop, DROP_NONE);
    apply(f, edited);
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).drop, drop_firewall);
    assert_int_equal(run(f, tcp("11.1.2.3", TCP_SYN), 0).drop, DROP_NONE);
    assert_int_equal(packets_of(f, 0), 1);
    firewall_destroy(f);
}

static const struct firewall_rule limit_two = {
    .name = "two",
    .action = FIREWALL_LIMIT,
    .egress_class = 3,
    .syn_cookies = true,
    .limit = {.connections = 2,
              .connections_per_second = 4,
              .connection_burst = 4,
              .handshakes_per_second = 1,
              .handshake_burst = 1,
              .prefix4 = 32,
              .prefix6 = 64,
              .reject = true},
};

/* From the SYN to the end of the connection, over a reload that moves the rule. */
static void test_connection(void **state)
{
    const struct firewall_rule first = {.name = "first", .action = FIREWALL_COUNT};
    struct firewall_limits *l = firewall_limits_create(1024, key, NULL);
    struct firewall *f = make(compile(&limit_two, 1), l);
    const struct firewall_counters *c = firewall_counters(f);
    struct packet p = run(f, tcp("10.1.2.3", TCP_SYN), 0);
    struct packet_label label = p.label;
    uint64_t a, b, none;

    (void)state;
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_not_equal(label.limit, 0);
    assert_int_equal(label.egress_class, 3);
    assert_true(label.cookies);
    assert_true(firewall_connection_opened(f, &label, &p.src, &a));
    assert_true(firewall_connection_opened(f, &label, &p.src, &b));
    assert_false(firewall_connection_opened(f, &label, &p.src, &none));
    assert_int_equal(c->firewall_limited_connections, 1);
    p = run(f, tcp("10.1.2.3", TCP_SYN), 0);
    assert_int_equal(p.drop, drop_firewall);
    assert_true(p.reject);
    assert_int_equal(c->firewall_limited_connections, 2);
    /* Segments of connections that stand pass, and so does everybody else's SYN. */
    p = run(f, tcp("10.1.2.3", TCP_ACK), 0);
    assert_int_equal(p.drop, DROP_NONE);
    assert_int_equal(p.label.limit, label.limit);
    assert_int_equal(run(f, tcp("10.1.2.4", TCP_SYN), 0).drop, DROP_NONE);

    apply(f, compile((struct firewall_rule[]){first, limit_two}, 2));
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).drop, drop_firewall);
    assert_true(firewall_handshake_allowed(f, &label, &p.src, 0));
    assert_false(firewall_handshake_allowed(f, &label, &p.src, 0));
    assert_int_equal(c->firewall_limited_handshakes, 1);
    firewall_connection_closed(f, a);
    for (unsigned i = 0; i < 3; i++) /* one of the burst of four is gone */
        assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).drop, DROP_NONE);
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).drop, drop_firewall);
    assert_int_equal(c->firewall_limited_rate, 1);
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), CLOCK_SEC / 4).drop, DROP_NONE);

    /* The rule goes: its label means nothing any more, and its connection ends in peace. */
    apply(f, compile(&first, 1));
    assert_true(firewall_connection_opened(f, &label, &p.src, &none));
    assert_int_equal(none, 0);
    assert_true(firewall_handshake_allowed(f, &label, &p.src, 0));
    firewall_connection_closed(f, none);
    firewall_connection_closed(f, b);
    firewall_destroy(f);
    firewall_limits_destroy(l);
}

/* A label that is out of use is not given to another rule at once. */
static void test_labels(void **state)
{
    struct firewall_rule other = limit_two;
    struct firewall_limits *l = firewall_limits_create(64, key, NULL);
    struct firewall *f = make(compile(&limit_two, 1), l);
    uint16_t former = run(f, tcp("10.1.2.3", TCP_SYN), 0).label.limit, label;

    (void)state;
    other.name = "other";
    apply(f, compile(&other, 1));
    label = run(f, tcp("10.1.2.3", TCP_SYN), 0).label.limit;
    assert_int_not_equal(label, former);
    other.action = FIREWALL_ACCEPT;
    apply(f, compile(&other, 1));
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).label.limit, 0);
    other.action = FIREWALL_LIMIT;
    f->last_label = UINT16_MAX; /* 0 means none: the next one is 1 */
    apply(f, compile(&other, 1));
    assert_int_equal(run(f, tcp("10.1.2.3", TCP_SYN), 0).label.limit, 1);
    firewall_destroy(f);
    firewall_limits_destroy(l);
}

/* ---- log lines ---- */

/* What `packets` make the firewall write on standard error. */
static void captured(struct firewall *f, const struct packet *packets, unsigned count, clock_ns now,
                     char *out, size_t size)
{
    int saved = dup(STDERR_FILENO), pipes[2];
    ssize_t n;

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    for (unsigned i = 0; i < count; i++)
        run(f, packets[i], now);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(pipes[1]);
    close(saved);
    n = read(pipes[0], out, size - 1);
    assert_true(n >= 0);
    out[n] = '\0';
    close(pipes[0]);
}

static void expect_line(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("\"%s\" is missing in:\n%s", line, text);
}

static void test_log(void **state)
{
    static const uint8_t icmp = 1;
    const struct firewall_rule rules[] = {
        {.name = "pings", .action = FIREWALL_LOG, .protocols = &icmp, .protocol_count = 1},
        {.name = "the rest", .action = FIREWALL_DROP, .log = true},
    };
    struct firewall *f = make(compile(rules, 2), NULL);
    struct packet p[2] = {tcp("10.1.2.3", TCP_SYN | TCP_ACK), tcp("10.1.2.4", 0)}, many[30];
    unsigned lines = 0;
    char text[8192];

    (void)state;
    p[1].kind = PACKET_ICMP;
    p[1].ip_protocol = icmp;
    p[1].icmp.type = 8;
    p[1].iface = 1;
    captured(f, p, 2, CLOCK_SEC, text, sizeof text);
    expect_line(text, "firewall: worker 0: rule \"the rest\": drop: TCP 10.1.2.3:40000 > "
                      "192.0.2.10:443 SYN,ACK, 60 bytes, on outside\n");
    expect_line(text, "rule \"pings\": log: ICMP 10.1.2.4 > 192.0.2.10 type 8 code 0, 60 bytes, on "
                      "inside\n");
    for (unsigned i = 0; i < 30; i++)
        many[i] = p[0];
    captured(f, many, 30, 10 * CLOCK_SEC, text, sizeof text);
    for (const char *c = text; (c = strchr(c, '\n')) != NULL; c++)
        lines++;
    assert_int_equal(lines, LOG_LIMIT_PER_SECOND);
    captured(f, many, 1, 20 * CLOCK_SEC, text, sizeof text);
    expect_line(text, "on outside (20 lines held back)\n");
    firewall_destroy(f);
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
        cmocka_unit_test(test_counters_carry),
        cmocka_unit_test(test_with_set),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_log),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
