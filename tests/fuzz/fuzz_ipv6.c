/*
 * IPv6 extension chains through wire_parse() and net_input().
 *
 * An input is a control byte (FUZZ6_* below), the header's first next header, the hop limit, and
 * the bytes behind the header. The rest of the header is right: what is sought is in the chain.
 * Frames lie in heap blocks of exactly their size, so that every read past an end is reported.
 */
#include <assert.h>
#include <string.h>

#include "stack/net/net.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

#undef assert /* in every build */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())

#define FUZZ6_SPLIT       0x01 /* in two segments, cut at the hop limit's number of bytes */
#define FUZZ6_REPAIR      0x02 /* the transport's checksum is right */
#define FUZZ6_GROUP       0x04 /* sent to all nodes */
#define FUZZ6_CUT         0x08 /* the payload length is the half of what is there */
#define FUZZ6_PADDED      0x10 /* Ethernet padding behind it */

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10};
static const uint8_t group_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static struct net *net;
static struct stack_counters counters;
static clock_ns now = CLOCK_SEC;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes out is whole and right. */
static void egress(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct packet p = {.m = m};

    (void)ctx;
    (void)band;
    (void)egress_class;
    rte_mbuf_sanity_check(m, 1);
    assert(wire_parse(&p) == DROP_NONE && p.problem == 0);
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct siphash_key key = {1, 2};
    struct stack_iface_config c = {
        .name = "fuzz", .mtu = 1500, .egress = {.enqueue = egress, .room = room}, .addr_count = 1};

    (void)argc;
    (void)argv;
    test_eal_init();
    c.tx_pool = test_mbuf_pool();
    memcpy(c.mac, mac, 6);
    assert(ip_prefix_parse("2001:db8::10/64", &c.addrs[0]) == 0);
    net = net_create(&key, &counters, now, NULL);
    assert(net != NULL && net_iface_add(net, &c, now, NULL) == 0);
    for (unsigned i = 0; i < 50; i++) {
        now += 100 * CLOCK_MS;
        net_timers(net, now);
    }
    return 0;
}

static void build(struct test_frame *f, const uint8_t *data, size_t size)
{
    const uint8_t *to = (data[0] & FUZZ6_GROUP) != 0 ? group_mac : mac;
    size_t len = size < 2003 ? size - 3 : 2000;

    test_frame_ether(f, to, to, WIRE_TYPE_IPV6);
    f->b[6] = 2;
    test_frame_ipv6(f, data[1], "2001:db8::7", to == mac ? "2001:db8::10" : "ff02::1");
    f->b[TEST_L3 + 7] = data[2];
    test_frame_append(f, data + 3, len);
    test_frame_put16(f->b + TEST_L3 + 4, (uint16_t)((data[0] & FUZZ6_CUT) != 0 ? len / 2 : len));
    if ((data[0] & FUZZ6_REPAIR) != 0)
        test_frame_checksums(f);
    if ((data[0] & FUZZ6_PADDED) != 0)
        test_frame_append(f, "padding", 7);
}

/* What wire_parse() vouches for. */
static void check(const struct packet *p)
{
    uint32_t end = p->l3_offset + (uint32_t)p->l3_length;

    assert(p->drop <= DROP_NONE);
    if (p->drop != DROP_NONE)
        return;
    assert(end <= p->m->pkt_len);
    assert(p->payload_offset >= p->l4_offset && p->payload_offset + p->payload_length == end);
    assert(p->l4_offset <= p->l3_offset + WIRE_IPV6_LEN + WIRE_IPV6_EXT_BYTES);
    assert(p->named_at < p->l3_length && p->problem_at < p->l3_length);
    assert(p->problem == 0 || p->kind == PACKET_OTHER);
    if (p->fragment && p->problem == 0)
        assert(p->piece.data <= end && p->piece.header + 8u == p->piece.data &&
               p->piece.named_at < p->piece.header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_frame f;
    struct packet p = {0};
    uint16_t cut;

    if (size < 3)
        return 0;
    build(&f, data, size);
    cut = data[2];
    p.m = (data[0] & FUZZ6_SPLIT) != 0 ? test_mbuf_split(f.b, f.len, &cut, 1)
                                       : test_mbuf_exact(f.b, f.len);
    now += CLOCK_MS;
    wire_parse(&p);
    check(&p);
    net_input(net, &p, net_fragments_input(net, &p, 1, now), now);
    net_timers(net, now);
    assert(net_deadline(net) > now);
    return 0;
}
