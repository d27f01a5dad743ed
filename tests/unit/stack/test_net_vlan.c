/* An interface of one VLAN: its frames carry the tag, and the stack behind it sees none. */
#include "tests/unit/stack/test_net_fixture.h"

#include <rte_ether.h>

#include "stack/stack.h"

#define OURS "198.51.100.1"
#define PEER "198.51.100.7"

enum { TAGGED = 2, VLAN = 7 };

static struct fix *x;
static struct rte_mbuf *punted;

static void punt(void *ctx, struct rte_mbuf *m)
{
    (void)ctx;
    assert_null(punted);
    punted = m;
}

static int setup(void **state)
{
    struct stack_iface_config c;

    assert_int_equal(fix_setup(state), 0);
    x = *state;
    c = fix_iface_config(x, FIX_INSIDE, "tagged", OURS "/24");
    c.vlan = VLAN;
    c.punt = punt;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), TAGGED);
    x->egress[FIX_INSIDE].room = 100;
    return 0;
}

static int teardown(void **state)
{
    rte_pktmbuf_free(punted);
    punted = NULL;
    return fix_teardown(state);
}

/* Takes the next frame, asserts its tag and type, and returns it without the tag. */
static struct rte_mbuf *take_tagged(uint16_t type)
{
    struct rte_mbuf *m = fix_take(x, FIX_INSIDE, NULL);
    const uint8_t *frame;

    assert_non_null(m);
    frame = rte_pktmbuf_mtod(m, const uint8_t *);
    assert_int_equal(test_frame_get16(frame + 12), 0x8100);
    assert_int_equal(test_frame_get16(frame + 14), VLAN);
    assert_int_equal(test_frame_get16(frame + 16), type);
    assert_int_equal(rte_vlan_strip(m), 0);
    return m;
}

static struct test_frame tag(const struct test_frame *f, uint16_t vlan)
{
    struct test_frame out = *f;

    memmove(out.b + 16, f->b + 12, f->len - 12);
    test_frame_put16(out.b + 12, 0x8100);
    test_frame_put16(out.b + 14, vlan);
    out.len = f->len + 4;
    return out;
}

static struct test_frame arp_from_peer(uint16_t operation)
{
    static const uint8_t unknown[6];
    struct test_frame f;

    test_frame_ether(&f, operation == WIRE_ARP_REPLY ? fix_mac[FIX_INSIDE] : fix_broadcast,
                     fix_peer, 0x0806);
    test_frame_arp(&f, operation, fix_peer, PEER,
                   operation == WIRE_ARP_REPLY ? fix_mac[FIX_INSIDE] : unknown, OURS);
    return tag(&f, VLAN);
}

static void test_arp(void **state)
{
    struct test_frame f = arp_from_peer(WIRE_ARP_REQUEST);
    struct rte_mbuf *m = take_tagged(0x0806); /* the announcement */

    (void)state;
    rte_pktmbuf_free(m);
    fix_frame(x, TAGGED, &f);
    m = take_tagged(0x0806);
    assert_int_equal(m->pkt_len, 42);
    assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), fix_peer, 6);
    rte_pktmbuf_free(m);
}

static void test_ipv4(void **state)
{
    struct test_frame reply = arp_from_peer(WIRE_ARP_REPLY);
    struct rte_mbuf *m;

    (void)state;
    fix_discard(x, FIX_INSIDE);
    fix_send(x, PEER, 100);
    rte_pktmbuf_free(take_tagged(0x0806)); /* the question */
    fix_frame(x, TAGGED, &reply);
    m = fix_take(x, FIX_INSIDE, NULL);
    assert_non_null(m);
    assert_int_equal(m->l2_len, 18);
    assert_int_equal(m->l3_len, 20);
    assert_int_equal(m->pkt_len, 18 + 20 + 100);
    assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), fix_peer, 6);
    assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *) + 6, fix_mac[FIX_INSIDE], 6);
    assert_int_equal(test_frame_get16(rte_pktmbuf_mtod(m, uint8_t *) + 16), 0x0800);
    assert_true(test_frame_sum(rte_pktmbuf_mtod(m, uint8_t *) + 18, 20, 0) == 0);
    rte_pktmbuf_free(m);
}

/* The stack behind the interface gets frames without the tag, and its frames go out with it. */
static void test_punt(void **state)
{
    static const uint8_t udp[] = "\x30\x39\x00\x35\x00\x0c\x00\x00"
                                 "data";
    struct test_frame f, tagged;
    struct rte_mbuf *m;

    (void)state;
    fix_discard(x, FIX_INSIDE);
    test_frame_ether(&f, fix_mac[FIX_INSIDE], fix_peer, 0x0800);
    test_frame_ipv4(&f, 17, PEER, "198.51.100.2");
    test_frame_append(&f, udp, 12);
    test_frame_finish(&f);
    tagged = tag(&f, VLAN);
    fix_frame(x, TAGGED, &tagged);
    assert_non_null(punted);
    assert_int_equal(punted->pkt_len, f.len);
    assert_memory_equal(rte_pktmbuf_mtod(punted, uint8_t *), f.b, f.len);

    net_inject(x->net, TAGGED, test_mbuf_plain(f.b, f.len));
    m = take_tagged(0x0800);
    assert_int_equal(m->pkt_len, f.len);
    assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), f.b, f.len);
    rte_pktmbuf_free(m);
}

/* A driver that takes tags out notes them beside the frame. */
static void test_punt_stripped(void **state)
{
    static const uint8_t broadcast_other[] = "something else";
    struct test_frame f;
    struct rte_mbuf *m;

    (void)state;
    test_frame_ether(&f, fix_mac[FIX_INSIDE], fix_peer, 0x88b5);
    test_frame_append(&f, broadcast_other, sizeof broadcast_other);
    m = test_mbuf_exact(f.b, f.len);
    m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    m->vlan_tci = VLAN;
    fix_input(x, TAGGED, m);
    assert_non_null(punted);
    assert_memory_equal(rte_pktmbuf_mtod(punted, uint8_t *), f.b, f.len);
}

/* A frame whose room for the tag is used up is dropped, not sent into another VLAN. */
static void test_inject_no_room(void **state)
{
    struct test_frame f;
    struct rte_mbuf *m;

    (void)state;
    fix_discard(x, FIX_INSIDE);
    test_frame_ether(&f, fix_peer, fix_mac[FIX_INSIDE], 0x88b5);
    m = test_mbuf_plain(f.b, f.len);
    rte_pktmbuf_prepend(m, rte_pktmbuf_headroom(m));
    net_inject(x->net, TAGGED, m);
    assert_int_equal(x->counters.inject_dropped, 1);
    assert_null(fix_take(x, FIX_INSIDE, NULL));
}

static void test_range(void **state)
{
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "beyond", "203.0.113.1/24");

    (void)state;
    c.vlan = 4095;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), -1);
}

static void count(void *ctx, struct packet *packets, unsigned n, clock_ns now)
{
    (void)now;
    for (unsigned i = 0; i < n; i++)
        *(unsigned *)ctx += packets[i].drop == DROP_NONE;
}

static void nowhere(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    (void)ctx;
    (void)band;
    (void)egress_class;
    rte_pktmbuf_free(m);
}

static uint32_t no_room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return 0;
}

/* What a whole stack takes for an interface's: frames of its VLAN and no others. */
static void test_whole_stack(void **state)
{
    unsigned good = 0;
    struct stack_config config = {.max_connections = 8,
                                  .max_buffers = 64,
                                  .data_pool = test_mbuf_pool(),
                                  .ingress = count,
                                  .ingress_ctx = &good};
    struct stack *s = stack_create(&config, x->now, NULL);
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "untagged", "192.0.2.1/24");
    struct test_frame tagged = arp_from_peer(WIRE_ARP_REQUEST), plain = tagged;
    const struct test_frame *frames[2] = {&plain, &tagged};

    (void)state;
    assert_non_null(s);
    c.egress = (struct stack_egress){NULL, nowhere, no_room, NULL};
    assert_int_equal(stack_iface_add(s, &c, NULL), 0);
    c.addrs[0].addr = fix_addr(OURS);
    c.vlan = VLAN;
    assert_int_equal(stack_iface_add(s, &c, NULL), 1);
    test_frame_put16(plain.b + 14, 0x4000); /* a priority only */
    for (unsigned iface = 0; iface < 2; iface++) {
        for (unsigned i = 0; i < 2; i++) {
            struct rte_mbuf *m = test_mbuf_exact(frames[i]->b, frames[i]->len);

            good = 0;
            stack_input(s, iface, &m, 1, x->now);
            assert_int_equal(good, iface == i);
        }
    }
    assert_int_equal(stack_counters(s)->drop_vlan, 2);
    stack_destroy(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_arp),           TEST(test_ipv4),  TEST(test_punt),
        TEST(test_punt_stripped), TEST(test_range), TEST(test_inject_no_room),
        TEST(test_whole_stack),
    };

    return cmocka_run_group_tests_name("stack/net/vlan", tests, NULL, NULL);
}
