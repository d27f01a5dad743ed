/*
 * Frames through wire_parse(), the firewall and net_input(), as the stack runs them.
 *
 * An input is a sequence of records: two control bytes, a length of two bytes, and that many bytes
 * of frame (fewer at the input's end). Control byte 0 is a set of bits, FUZZ_* below; control byte
 * 1 is the offset of the cut when the frame is to come in two segments, and time in units of
 * 100 ms that passes before. Frames lie in heap blocks of exactly their size, so that every read
 * past an end is reported. Each input begins with a fresh struct net: a finding needs its own
 * bytes only.
 */
#include <assert.h>
#include <string.h>

#include "firewall/firewall.h"
#include "stack/net/net.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_mbuf.h"

#undef assert /* in every build */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())

#define FUZZ_IP_GOOD      0x01 /* the driver vouches for the IP checksum */
#define FUZZ_L4_GOOD      0x02 /* and for the transport's */
#define FUZZ_SPLIT        0x04
#define FUZZ_PLAIN        0x08 /* an ordinary mbuf, which an echo reply may reuse */
#define FUZZ_REPAIR       0x10 /* make IPv4's and ICMP's checksums right first */
#define FUZZ_TAKE         0x20 /* the transport keeps the packet */
#define FUZZ_ANSWER       0x40 /* the transport answers it */
#define FUZZ_RULES        0x80 /* the firewall has rules */

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10};
static struct ip_prefix our_prefix;
static struct firewall *filter, *bare;

struct run {
    struct net *net;
    struct stack_counters counters;
    uint8_t control;
    clock_ns now;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A rule of each kind, over a set and every field; what they do is checked by unit tests. */
static struct firewall_ruleset *make_rules(void)
{
    static const struct ip_prefix member = {.addr = {.b = {[10] = 0xff, 0xff, 198, 51}},
                                            .len = 112};
    static const struct firewall_origin in_set = {.set = 0};
    static const struct firewall_ports low = {0, 1023};
    static const uint8_t echo = 8;
    const struct firewall_rule rules[] = {
        {.name = "count", .action = FIREWALL_COUNT, .sources = &in_set, .source_count = 1},
        {.name = "low", .action = FIREWALL_COUNT, .source_ports = &low, .source_port_count = 1},
        {.name = "echo",
         .action = FIREWALL_REJECT,
         .icmp_types = &echo,
         .icmp_type_count = 1,
         .destinations = &in_set,
         .destination_count = 1},
        {.name = "psh",
         .action = FIREWALL_DROP,
         .tcp_flags_set = TCP_PSH,
         .tcp_flags_clear = TCP_URG},
        {.name = "limit",
         .action = FIREWALL_LIMIT,
         .interfaces = 1,
         .ports = &low,
         .port_count = 1,
         .limit = {.connections_per_second = 2, .connection_burst = 2, .prefix4 = 24}},
    };
    struct firewall_set *set = firewall_set_create("member", &member, 1, NULL);
    const struct firewall_ruleset_config config = {.rules = rules,
                                                   .rule_count = sizeof rules / sizeof rules[0],
                                                   .sets = &set,
                                                   .set_count = 1,
                                                   .numa_node = -1};
    struct firewall_ruleset *made = firewall_ruleset_create(&config, NULL);

    assert(made != NULL);
    firewall_set_unref(set);
    return made;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t key[16];
    struct firewall_config config = {.own = &our_prefix.addr, .own_count = 1};

    (void)argc;
    (void)argv;
    test_eal_init();
    assert(ip_prefix_parse("192.0.2.10/24", &our_prefix) == 0);
    bare = firewall_create(&config, NULL);
    config.ruleset = make_rules();
    config.limits = firewall_limits_create(256, key, NULL);
    assert(config.limits != NULL);
    filter = firewall_create(&config, NULL);
    assert(filter != NULL && bare != NULL);
    return 0;
}

/* Frames that go out must be whole and right: read them all, then let them go. */
static void egress(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct packet p = {.m = m};

    (void)ctx;
    (void)band;
    (void)egress_class;
    rte_mbuf_sanity_check(m, 1);
    assert(wire_parse(&p) == DROP_NONE);
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return 1;
}

/* What wire_parse() vouches for. */
static void check_packet(const struct packet *p)
{
    uint32_t end = p->l3_offset + (uint32_t)p->l3_length;

    if (p->drop != DROP_NONE)
        return;
    assert(end <= p->m->pkt_len);
    if (p->kind == PACKET_ARP)
        return;
    assert(p->l4_offset >= p->l3_offset + WIRE_IPV4_LEN && p->payload_offset >= p->l4_offset);
    assert(p->payload_offset + p->payload_length == end);
    assert(p->kind != PACKET_TCP || (p->tcp.sack_count <= 4 && p->tcp.wscale <= 14));
}

static void answer(struct run *r, const struct packet *p)
{
    struct wire_tcp h = {.sport = p->dport, .dport = p->sport, .flags = TCP_ACK};
    struct rte_mbuf *m = rte_pktmbuf_alloc(test_mbuf_pool());
    struct net_path path;

    assert(m != NULL);
    if (net_path_find(r->net, &p->src, &path) < 0) {
        rte_pktmbuf_free(m);
        return;
    }
    wire_tcp_emit(&h, (uint8_t *)rte_pktmbuf_append(m, (uint16_t)wire_tcp_length(&h)));
    wire_tcp_checksum(m, &p->dst, &p->src, false, false);
    net_send(r->net, &path, &p->dst, &p->src, WIRE_IP_PROTO_TCP, EGRESS_CONTROL, m, r->now);
    net_path_confirm(r->net, &path, r->now);
}

static void handler(void *ctx, struct packet *p, clock_ns now)
{
    struct run *r = ctx;

    (void)now;
    wire_sum_mbuf(p->m, p->payload_offset, p->payload_length, 0); /* reads every byte */
    if ((r->control & FUZZ_ANSWER) != 0)
        answer(r, p);
    if ((r->control & FUZZ_TAKE) != 0) {
        rte_pktmbuf_free(p->m);
        p->m = NULL;
    }
}

static bool error_handler(void *ctx, const struct net_error *error, clock_ns now)
{
    (void)ctx;
    (void)now;
    return (error->seq & 1) == 0;
}

static void repair(uint8_t *frame, size_t len)
{
    uint8_t *ip = frame + WIRE_ETHER_LEN;
    size_t header, total;
    uint16_t sum;

    if (len < WIRE_ETHER_LEN + WIRE_IPV4_LEN || frame[12] != 0x08 || frame[13] != 0x00)
        return;
    header = (ip[0] & 0x0fu) * 4;
    total = (size_t)ip[2] << 8 | ip[3];
    if (header < WIRE_IPV4_LEN || total < header || total > len - WIRE_ETHER_LEN)
        return;
    memset(ip + 10, 0, 2);
    sum = (uint16_t)~wire_sum(ip, header, 0);
    memcpy(ip + 10, &sum, 2);
    if (ip[9] != WIRE_IP_PROTO_ICMP || total < header + WIRE_ICMP_LEN)
        return;
    memset(ip + header + 2, 0, 2);
    sum = (uint16_t)~wire_sum(ip + header, total - header, 0);
    memcpy(ip + header + 2, &sum, 2);
}

static struct rte_mbuf *frame_mbuf(const uint8_t control[2], const uint8_t *bytes, size_t len)
{
    uint8_t frame[2048];
    uint16_t cut = control[1];
    struct rte_mbuf *m;

    memcpy(frame, bytes, len);
    if ((control[0] & FUZZ_REPAIR) != 0)
        repair(frame, len);
    if ((control[0] & FUZZ_SPLIT) != 0)
        m = test_mbuf_split(frame, len, &cut, 1);
    else if ((control[0] & FUZZ_PLAIN) != 0)
        m = test_mbuf_plain(frame, len);
    else
        m = test_mbuf_exact(frame, len);
    if ((control[0] & FUZZ_IP_GOOD) != 0)
        m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    if ((control[0] & FUZZ_L4_GOOD) != 0)
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    return m;
}

static void run_frame(struct run *r, const uint8_t control[2], const uint8_t *bytes, size_t len)
{
    struct packet p = {.m = frame_mbuf(control, bytes, len)};

    r->control = control[0];
    r->now += control[1] * 100 * CLOCK_MS;
    wire_parse(&p);
    check_packet(&p);
    if (net_fragments_input(r->net, &p, 1, r->now) == 0)
        return;
    firewall_ingress((control[0] & FUZZ_RULES) != 0 ? filter : bare, &p, 1, r->now);
    net_input(r->net, &p, 1, r->now);
    net_timers(r->net, r->now);
    assert(net_deadline(r->net) > r->now);
}

static void run_begin(struct run *r)
{
    static const struct siphash_key key = {1, 2};
    struct stack_iface_config c = {
        .name = "fuzz",
        .mtu = 1500,
        .tx_pool = test_mbuf_pool(),
        .egress = {.enqueue = egress, .room = room},
        .addrs = {our_prefix},
        .addr_count = 1,
    };
    struct stack_route route = {.to = {ip_from_v4(0), 96}};

    *r = (struct run){.now = CLOCK_SEC};
    r->net = net_create(&key, &r->counters, r->now, NULL);
    assert(r->net != NULL);
    memcpy(c.mac, mac, 6);
    assert(net_iface_add(r->net, &c, r->now, NULL) == 0);
    assert(ip_parse("192.0.2.1", &route.via) == 0);
    assert(net_route_add(r->net, &route, NULL) == 0);
    net_handler_set(r->net, WIRE_IP_PROTO_TCP, handler, error_handler, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r;

    run_begin(&r);
    while (size >= 4) {
        size_t len = (size_t)data[2] << 8 | data[3];

        if (len > size - 4)
            len = size - 4;
        if (len > 2048)
            len = 2048;
        run_frame(&r, data, data + 4, len);
        data += 4 + len;
        size -= 4 + len;
    }
    net_destroy(r.net);
    assert(test_mbuf_in_use() == 0);
    return 0;
}
