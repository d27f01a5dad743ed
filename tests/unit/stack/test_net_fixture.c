#include "tests/unit/stack/test_net_fixture.h"

#include <stdlib.h>

const uint8_t fix_mac[2][6] = {{2, 0, 0, 0, 0, 0x10}, {2, 0, 0, 0, 0, 0x11}};
const uint8_t fix_peer[6] = {2, 0, 0, 0, 0, 0x77};
const uint8_t fix_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct ip_addr fix_addr(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix p;

    assert_int_equal(ip_prefix_parse(text, &p), 0);
    return p;
}

static void egress_enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band,
                           uint8_t egress_class)
{
    (void)egress_class;
    struct fix_egress *e = ctx;

    assert_true(e->count < FIX_SENT_MAX);
    e->sent[e->count++] = (struct fix_sent){m, band};
}

static uint32_t egress_room(void *ctx, uint8_t egress_class)
{
    (void)egress_class;
    return ((struct fix_egress *)ctx)->room;
}

struct stack_iface_config fix_iface_config(struct fix *x, unsigned index, const char *name,
                                           const char *addr)
{
    struct stack_iface_config c = {
        .name = name,
        .mtu = 1500,
        .tx_pool = x->tx_pool,
        .egress = {.ctx = &x->egress[index], .enqueue = egress_enqueue, .room = egress_room},
        .addrs = {prefix(addr)},
        .addr_count = 1,
    };

    memcpy(c.mac, fix_mac[index], 6);
    return c;
}

static void add_iface(struct fix *x, unsigned index, const char *name, const char *addr,
                      const char *addr6, uint32_t offloads)
{
    struct stack_iface_config c = fix_iface_config(x, index, name, addr);

    if (addr6 != NULL)
        c.addrs[c.addr_count++] = prefix(addr6);

    c.offloads = offloads;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), index);
}

static int setup(void **state, uint32_t offloads, bool ipv6)
{
    static const struct siphash_key key = {1, 2};
    struct fix *x = calloc(1, sizeof *x);
    struct stack_route route = {.to = prefix("0.0.0.0/0")};

    x->mbufs_before = test_mbuf_in_use();
    x->now = 5 * CLOCK_SEC; /* younger than most timeouts: none may count from zero */
    x->tx_pool = test_mbuf_pool();
    x->net = net_create(&key, &x->counters, x->now, NULL);
    assert_non_null(x->net);
    add_iface(x, FIX_OUTSIDE, "outside", "192.0.2.10/24", ipv6 ? "2001:db8:1::10/64" : NULL,
              offloads);
    add_iface(x, FIX_INSIDE, "inside", "10.0.0.1/24", ipv6 ? "2001:db8:2::1/64" : NULL, 0);
    route.via = fix_addr("192.0.2.1");
    assert_int_equal(net_route_add(x->net, &route, NULL), 0);
    if (ipv6) {
        route = (struct stack_route){.to = prefix("::/0"), .via = fix_addr("2001:db8:1::1")};
        assert_int_equal(net_route_add(x->net, &route, NULL), 0);
    }
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_OUTSIDE);
    fix_discard(x, FIX_INSIDE);
    memset(&x->counters, 0, sizeof x->counters);
    *state = x;
    return 0;
}

int fix_setup_offloads(void **state, uint32_t offloads)
{
    return setup(state, offloads, false);
}

int fix_setup(void **state)
{
    return setup(state, 0, false);
}

int fix_setup6(void **state)
{
    return setup(state, 0, true);
}

int fix_teardown(void **state)
{
    struct fix *x = *state;
    bool leaked;

    net_destroy(x->net);
    fix_discard(x, FIX_OUTSIDE);
    fix_discard(x, FIX_INSIDE);
    leaked = test_mbuf_in_use() != x->mbufs_before;
    free(x);
    return leaked ? -1 : 0;
}

void fix_input(struct fix *x, unsigned iface, struct rte_mbuf *m)
{
    struct packet p = {.m = m, .iface = (uint8_t)iface};

    wire_parse(&p);
    net_input(x->net, &p, net_fragments_input(x->net, &p, 1, x->now), x->now);
    assert_null(p.m);
}

void fix_frame(struct fix *x, unsigned iface, const struct test_frame *f)
{
    fix_input(x, iface, test_mbuf_exact(f->b, f->len));
}

unsigned fix_waiting(const struct fix *x, unsigned iface)
{
    return x->egress[iface].count - x->egress[iface].taken;
}

struct rte_mbuf *fix_take(struct fix *x, unsigned iface, enum egress_band *band)
{
    struct fix_egress *e = &x->egress[iface];

    if (e->taken == e->count)
        return NULL;
    if (band != NULL)
        *band = e->sent[e->taken].band;
    return e->sent[e->taken++].m;
}

unsigned fix_discard(struct fix *x, unsigned iface)
{
    unsigned n = fix_waiting(x, iface);
    struct rte_mbuf *m;

    while ((m = fix_take(x, iface, NULL)) != NULL)
        rte_pktmbuf_free(m);
    x->egress[iface].count = x->egress[iface].taken = 0;
    return n;
}

void fix_advance(struct fix *x, clock_ns by)
{
    clock_ns end = x->now + by;

    while (net_deadline(x->net) <= end) {
        assert_true(net_deadline(x->net) >= x->now);
        x->now = net_deadline(x->net);
        net_timers(x->net, x->now);
        assert_true(net_deadline(x->net) > x->now); /* or the loop above would spin */
    }
    x->now = end;
}

void fix_arp(struct fix *x, unsigned iface, uint16_t operation, const uint8_t sender_mac[6],
             const char *sender, const char *target)
{
    static const uint8_t unknown[6];
    bool reply = operation == WIRE_ARP_REPLY;
    struct test_frame f;

    test_frame_ether(&f, reply ? fix_mac[iface] : fix_broadcast, sender_mac, 0x0806);
    test_frame_arp(&f, operation, sender_mac, sender, reply ? fix_mac[iface] : unknown, target);
    fix_frame(x, iface, &f);
}

void fix_send(struct fix *x, const char *dst, size_t len)
{
    struct ip_addr to = fix_addr(dst);
    struct rte_mbuf *m = rte_pktmbuf_alloc(x->tx_pool);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    memset(rte_pktmbuf_append(m, (uint16_t)len), 'x', len);
    net_send(x->net, &path, &path.src, &to, WIRE_IP_PROTO_TCP, EGRESS_DATA, m, x->now);
}

struct wire_arp fix_take_arp(struct fix *x, unsigned iface, uint16_t operation, const char *sender,
                             const char *target)
{
    enum egress_band band;
    struct rte_mbuf *m = fix_take(x, iface, &band);
    struct ip_addr s = fix_addr(sender), t = fix_addr(target);
    struct wire_arp arp;
    const uint8_t *frame;

    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(m->pkt_len, 42);
    assert_int_equal(band, EGRESS_CONTROL);
    assert_int_equal(test_frame_get16(frame + 12), 0x0806);
    assert_memory_equal(frame + 6, fix_mac[iface], 6);
    assert_true(wire_arp_parse(frame + 14, 28, &arp));
    assert_int_equal(arp.operation, operation);
    assert_int_equal(arp.sender_ip, ip_to_v4(&s));
    assert_int_equal(arp.target_ip, ip_to_v4(&t));
    assert_memory_equal(arp.sender_mac, fix_mac[iface], 6);
    memcpy(arp.target_mac, frame, 6); /* where the frame went */
    rte_pktmbuf_free(m);
    return arp;
}

void fix_nd_finish(struct test_frame *f)
{
    f->b[TEST_L3 + 7] = 255;
    test_frame_finish(f);
}

/* The group's Ethernet address (RFC 2464, 7), or the interface's. */
static void ether_to(const struct fix *x, unsigned iface, const char *dst, uint8_t mac[6])
{
    struct ip_addr a = fix_addr(dst);
    const uint8_t group[6] = {0x33, 0x33, a.b[12], a.b[13], a.b[14], a.b[15]};

    (void)x;
    memcpy(mac, a.b[0] == 0xff ? group : fix_mac[iface], 6);
}

struct test_frame fix_ipv6(struct fix *x, unsigned iface, uint8_t next, const char *src,
                           const char *dst)
{
    struct test_frame f;
    uint8_t mac[6];

    ether_to(x, iface, dst, mac);
    test_frame_ether(&f, mac, fix_peer, 0x86dd);
    test_frame_ipv6(&f, next, src, dst);
    return f;
}

struct test_frame fix_nd(struct fix *x, unsigned iface, const struct fix_nd *nd)
{
    struct test_frame f = fix_ipv6(x, iface, 58, nd->src, nd->dst);
    uint8_t option[8] = {nd->type == 135 ? 1 : 2, 1};
    struct ip_addr target = fix_addr(nd->target);

    test_frame_icmp(&f, nd->type, 0, (uint32_t)nd->flags << 24);
    test_frame_append(&f, target.b, 16);
    if (nd->mac != NULL) {
        memcpy(f.b + 6, nd->mac, 6);
        memcpy(option + 2, nd->mac, 6);
        test_frame_append(&f, option, sizeof option);
    }
    fix_nd_finish(&f);
    return f;
}

struct fix_sent6 fix_take6(struct fix *x, unsigned iface, uint8_t icmp_type)
{
    struct fix_sent6 s = {0};
    struct rte_mbuf *m = fix_take(x, iface, NULL);
    const uint8_t *frame;

    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(test_frame_get16(frame + 12), 0x86dd);
    if (frame[TEST_L3 + 6] != 6) /* fix_send()'s segments are none */
        assert_true(test_frame_sums_right(frame, m->pkt_len));
    memcpy(s.mac, frame, 6);
    s.hop_limit = frame[TEST_L3 + 7];
    memcpy(s.src.b, frame + TEST_L3 + 8, 16);
    memcpy(s.dst.b, frame + TEST_L3 + 24, 16);
    s.len = m->pkt_len - TEST6_L4;
    memcpy(s.payload, frame + TEST6_L4, RTE_MIN(s.len, sizeof s.payload));
    if (icmp_type != 0)
        assert_int_equal(s.payload[0], icmp_type);
    rte_pktmbuf_free(m);
    return s;
}

void fix_take_ipv4_to(struct fix *x, unsigned iface, const uint8_t mac[6])
{
    struct rte_mbuf *m = fix_take(x, iface, NULL);
    const uint8_t *frame;

    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(test_frame_get16(frame + 12), 0x0800);
    assert_memory_equal(frame, mac, 6);
    assert_memory_equal(frame + 6, fix_mac[iface], 6);
    rte_pktmbuf_free(m);
}
