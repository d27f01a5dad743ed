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
        .egress = {&x->egress[index], egress_enqueue, egress_room},
        .addrs = {prefix(addr)},
        .addr_count = 1,
    };

    memcpy(c.mac, fix_mac[index], 6);
    return c;
}

static void add_iface(struct fix *x, unsigned index, const char *name, const char *addr,
                      uint32_t offloads)
{
    struct stack_iface_config c = fix_iface_config(x, index, name, addr);

    c.offloads = offloads;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), index);
}

int fix_setup_offloads(void **state, uint32_t offloads)
{
    static const struct siphash_key key = {1, 2};
    struct fix *x = calloc(1, sizeof *x);
    struct stack_route route = {prefix("0.0.0.0/0"), {.q = {0}}};

    x->mbufs_before = test_mbuf_in_use();
    x->now = 5 * CLOCK_SEC; /* younger than most timeouts: none may count from zero */
    x->tx_pool = test_mbuf_pool();
    x->net = net_create(&key, &x->counters, x->now, NULL);
    assert_non_null(x->net);
    add_iface(x, FIX_OUTSIDE, "outside", "192.0.2.10/24", offloads);
    add_iface(x, FIX_INSIDE, "inside", "10.0.0.1/24", 0);
    route.via = fix_addr("192.0.2.1");
    assert_int_equal(net_route_add(x->net, &route, NULL), 0);
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_OUTSIDE);
    fix_discard(x, FIX_INSIDE);
    memset(&x->counters, 0, sizeof x->counters);
    *state = x;
    return 0;
}

int fix_setup(void **state)
{
    return fix_setup_offloads(state, 0);
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
    net_input(x->net, &p, 1, x->now);
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
