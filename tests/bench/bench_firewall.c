/*
 * What the firewall costs a packet: `make bench BENCH=firewall`. Prints a line for each case; says
 * nothing about whether that is good.
 *
 * Packets are random and differ from burst to burst, so that the tables' cache misses are paid as
 * in life. The shapes of the 10,000 rules are those that administrators write: blocked networks,
 * services by address and port, both mixed with sets, interfaces and flags.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <netinet/in.h>

#include <rte_eal.h>
#include <rte_malloc.h>

#include "firewall/firewall.h"

#define BURST   32
#define BURSTS  4096
#define ROUNDS  4
#define RULES   10000
#define MILLION 1000000

static uint64_t state = 1;

static uint32_t draw(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 32);
}

static void require(bool ok, const char *what, const struct error *e)
{
    if (ok)
        return;
    fprintf(stderr, "bench_firewall: %s: %s\n", what, e != NULL ? e->text : "");
    exit(1);
}

/* ---- packets ---- */

/* What differs; a struct packet is made of it just before, as the parser would, so that packets are
 * in the cache and tables are not. */
struct sample {
    struct ip_addr src, dst;
    uint16_t dport;
    uint8_t iface;
};

static struct sample samples[BURSTS][BURST];

static uint32_t unicast(void)
{
    uint32_t a;

    do
        a = draw();
    while (a >> 24 == 0 || a >> 24 == 127 || a >> 24 >= 224);
    return a;
}

static struct ip_addr v4(uint32_t host_order)
{
    return ip_from_v4(__builtin_bswap32(host_order));
}

static struct ip_addr random_addr(bool v6)
{
    struct ip_addr a = v4(unicast());

    if (!v6)
        return a;
    for (unsigned i = 0; i < 4; i++)
        a.w[i] = draw();
    a.b[0] = 0x20 | (a.b[0] & 0x0f);
    return a;
}

static void make_samples(bool v6)
{
    for (unsigned i = 0; i < BURSTS * BURST; i++) {
        samples[i / BURST][i % BURST] = (struct sample){
            .src = random_addr(v6),
            .dst = v6 ? random_addr(v6) : v4(0xc0000200 | (draw() & 0xff)),
            .dport = (uint16_t)(draw() % 2000),
            .iface = (uint8_t)(draw() % 2),
        };
    }
}

/* ---- measurement ---- */

static clock_ns run_burst(struct firewall *f, const struct sample *burst)
{
    static struct packet packets[BURST];
    clock_ns begin;

    for (unsigned i = 0; i < BURST; i++) {
        packets[i] = (struct packet){.drop = DROP_NONE,
                                     .kind = PACKET_TCP,
                                     .ip_protocol = IPPROTO_TCP,
                                     .src = burst[i].src,
                                     .dst = burst[i].dst,
                                     .sport = 40000,
                                     .dport = burst[i].dport,
                                     .iface = burst[i].iface,
                                     .l3_length = 1500,
                                     .tcp.flags = TCP_ACK};
    }
    begin = clock_now();
    firewall_ingress(f, packets, BURST, begin);
    return clock_now() - begin;
}

static int compare(const void *a, const void *b)
{
    const clock_ns *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The median burst: what else the machine does in between does not count. The clock itself is taken
 * off. */
static double measure(struct firewall *f)
{
    static clock_ns times[ROUNDS * BURSTS], empty[BURSTS];
    const size_t middle = ROUNDS * BURSTS / 2, no_work = BURSTS / 2;

    for (unsigned i = 0; i < ROUNDS * BURSTS; i++)
        times[i] = run_burst(f, samples[i % BURSTS]);
    for (unsigned i = 0; i < BURSTS; i++) {
        clock_ns begin = clock_now();

        empty[i] = clock_now() - begin;
    }
    qsort(times, ROUNDS * BURSTS, sizeof times[0], compare);
    qsort(empty, BURSTS, sizeof empty[0], compare);
    return (double)(times[middle] - empty[no_work]) / BURST;
}

static size_t dpdk_memory(void)
{
    struct rte_malloc_socket_stats stats = {0};

    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

static void measure_ruleset(const char *title, const struct firewall_ruleset_config *c)
{
    struct error e = {0};
    size_t memory = dpdk_memory();
    clock_ns begin = clock_now();
    struct firewall_ruleset *r = firewall_ruleset_create(c, &e);
    clock_ns took = clock_now() - begin;
    struct firewall_config config = {.ruleset = r};
    struct firewall *f;

    require(r != NULL, title, &e);
    f = firewall_create(&config, &e);
    require(f != NULL, title, &e);
    printf("  %-58s %7.1f ns  (compiled in %4" PRIu64 " ms, %3zu MiB)\n", title, measure(f),
           took / CLOCK_MS, (dpdk_memory() - memory) >> 20);
    fflush(stdout);
    firewall_destroy(f);
    firewall_ruleset_unref(r);
}

/* ---- rules ---- */

static struct firewall_rule rules[RULES];
static struct firewall_origin sources[RULES], destinations[RULES];
static struct firewall_ports ports[RULES];
static char names[RULES][16];
static const uint8_t tcp = IPPROTO_TCP;

static void rule_begin(unsigned i)
{
    snprintf(names[i], sizeof names[i], "rule %u", i);
    rules[i] = (struct firewall_rule){.name = names[i], .action = FIREWALL_DROP};
}

static void rule_source(unsigned i, bool v6)
{
    unsigned len = v6 ? 32 + draw() % 33 : 16 + draw() % 17;

    sources[i] = (struct firewall_origin){-1, {random_addr(v6), (uint8_t)(v6 ? len : 96 + len)}};
    sources[i].prefix.addr = ip_prefix_network(&sources[i].prefix).addr;
    rules[i].sources = &sources[i];
    rules[i].source_count = 1;
}

static void rule_destination(unsigned i)
{
    destinations[i] = (struct firewall_origin){-1, {v4(0xc0000200 | (draw() & 0xff)), 128}};
    rules[i].destinations = &destinations[i];
    rules[i].destination_count = 1;
}

static void rule_port(unsigned i)
{
    uint16_t first = (uint16_t)(draw() % 2000);

    ports[i] = (struct firewall_ports){first, (uint16_t)(first + (draw() % 4 == 0 ? 100 : 0))};
    rules[i].ports = &ports[i];
    rules[i].port_count = 1;
    rules[i].protocols = &tcp;
    rules[i].protocol_count = 1;
}

static void rules_blocked(bool v6)
{
    for (unsigned i = 0; i < RULES; i++) {
        rule_begin(i);
        rule_source(i, v6);
    }
}

static void rules_services(void)
{
    for (unsigned i = 0; i < RULES; i++) {
        rule_begin(i);
        rule_destination(i);
        rule_port(i);
        if (i % 2 == 0)
            rule_source(i, false);
    }
}

static const struct firewall_origin set_origin = {.set = 0};

static void rules_mixed(void)
{
    for (unsigned i = 0; i < RULES; i++) {
        rule_begin(i);
        if (i % 3 != 0)
            rule_source(i, false);
        if (i % 3 != 1)
            rule_port(i);
        if (i % 3 == 0)
            rule_destination(i);
        if (i % 1000 == 0) {
            rules[i].sources = &set_origin;
            rules[i].source_count = 1;
        }
        if (i % 500 == 0)
            rules[i].interfaces = 2;
        if (i % 700 == 0)
            rules[i].tcp_flags_set = TCP_SYN;
    }
}

/* ---- sets ---- */

static struct firewall_set *make_set(unsigned count, bool v6)
{
    struct ip_prefix *prefixes = calloc(count, sizeof *prefixes);
    struct firewall_set *s;
    struct error e = {0};

    require(prefixes != NULL, "memory", NULL);
    for (unsigned i = 0; i < count; i++) {
        uint8_t len = (uint8_t)(v6 ? 32 + draw() % 33 : 96 + 18 + draw() % 15);

        prefixes[i] = (struct ip_prefix){random_addr(v6), len};
        prefixes[i] = ip_prefix_network(&prefixes[i]);
    }
    s = firewall_set_create("bench", prefixes, count, &e);
    require(s != NULL, "set", &e);
    free(prefixes);
    return s;
}

static void bench_set(unsigned count, bool v6)
{
    clock_ns begin = clock_now();
    struct firewall_set *s = make_set(count, v6);
    struct firewall_ruleset_config config = {
        .rules = rules, .rule_count = 1, .sets = &s, .set_count = 1, .numa_node = -1};
    char title[64];

    snprintf(title, sizeof title, "a set of %u %s prefixes (made in %u ms)", count,
             v6 ? "IPv6" : "IPv4", (unsigned)((clock_now() - begin) / CLOCK_MS));
    rule_begin(0);
    rules[0].sources = &set_origin;
    rules[0].source_count = 1;
    measure_ruleset(title, &config);
    firewall_set_unref(s);
}

static void bench_rules(const char *title, unsigned count, struct firewall_set *set)
{
    struct firewall_ruleset_config config = {.rules = rules,
                                             .rule_count = count,
                                             .sets = &set,
                                             .set_count = set != NULL ? 1 : 0,
                                             .numa_node = -1};

    measure_ruleset(title, &config);
}

static void bench_none(void)
{
    struct error e = {0};
    struct firewall *f = firewall_create(&(struct firewall_config){0}, &e);

    require(f != NULL, "firewall_create", &e);
    printf("  %-58s %7.1f ns\n", "no rules", measure(f));
    firewall_destroy(f);
}

static void start_env(void)
{
    static char words[][20] = {
        "bench", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
        "-m",    "1024",      "-l",       "0",           "--log-level=error"};
    char *args[sizeof words / sizeof words[0]];

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        args[i] = words[i];
    require(rte_eal_init(sizeof words / sizeof words[0], args) >= 0, "EAL", NULL);
}

int main(void)
{
    struct firewall_set *set;

    start_env();
    make_samples(false);
    printf("firewall: time a packet, bursts of %d\n", BURST);
    bench_none();
    rules_blocked(false);
    bench_rules("1 rule: a source", 1, NULL);
    bench_rules("10,000 rules: sources", RULES, NULL);
    rules_services();
    bench_rules("10,000 rules: destination and port, half with a source", RULES, NULL);
    set = make_set(10000, false);
    rules_mixed();
    bench_rules("10,000 rules: mixed, with a set, interfaces and flags", RULES, set);
    firewall_set_unref(set);
    bench_set(100, false);
    bench_set(MILLION, false);
    make_samples(true);
    rules_blocked(true);
    bench_rules("10,000 IPv6 rules: sources", RULES, NULL);
    bench_set(MILLION, true);
    rte_eal_cleanup();
    return 0;
}
