/*
 * What routers advertise: that it is taken, how long it holds, and what no station can do by it to
 * what the others advertise.
 */
#include "tests/unit/stack/test_net_fixture.h"

#include <stdio.h>

#define FAR "2001:db8:ffff::1"

static void expect_path(struct fix *x, const char *dst, const char *src, const char *next_hop)
{
    struct ip_addr to = fix_addr(dst), from = fix_addr(src), hop = fix_addr(next_hop);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    assert_true(ip_equal(&path.src, &from));
    assert_true(ip_equal(&path.next_hop, &hop));
}

static void expect_no_path(struct fix *x, const char *dst)
{
    struct ip_addr to = fix_addr(dst);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), -1);
}

#define PREFIX "2001:db8:50::"

struct advert {
    const char *router, *prefix;
    uint16_t lifetime;
    uint32_t valid, preferred, mtu;
    uint8_t flags;
    uint8_t bits;    /* of the prefix; 0: 64 */
    uint8_t station; /* the last byte of its Ethernet address */
    uint8_t rank;    /* RFC 4191's bits, in their place */
};

/* The third interface, which has no address but listens to routers; frames appear on inside. */
static void listening(struct fix *x, bool listens)
{
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "third", "172.16.0.1/24");

    c.router_advertisements = listens;
    if (!listens) {
        c.addr_count = 2;
        assert_int_equal(ip_prefix_parse("2001:db8:3::1/64", &c.addrs[1]), 0);
    }
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    fix_advance(x, 2 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
}

static void advertise(struct fix *x, const struct advert *a)
{
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 58, a->router, "ff02::1");
    uint8_t ra[8] = {0}, mtu[8] = {5, 1}, mac[8] = {1, 1},
            prefix[32] = {3, 4, a->bits != 0 ? a->bits : 64, a->flags};
    struct ip_addr addr = fix_addr(a->prefix);

    f.b[11] = a->station;
    test_frame_icmp(&f, 134, 0, 64u << 24 | (uint32_t)a->rank << 16 | a->lifetime);
    test_frame_append(&f, ra, sizeof ra);
    memcpy(mac + 2, f.b + 6, 6);
    test_frame_append(&f, mac, sizeof mac);
    test_frame_put32(mtu + 4, a->mtu);
    test_frame_append(&f, mtu, sizeof mtu);
    test_frame_put32(prefix + 4, a->valid);
    test_frame_put32(prefix + 8, a->preferred);
    memcpy(prefix + 16, addr.b, 16);
    test_frame_append(&f, prefix, sizeof prefix);
    fix_nd_finish(&f);
    fix_frame(x, 2, &f);
}

static const struct advert good = {"fe80::42", PREFIX, 1800, 7200 * 2,
                                   3600,       1400,   0xc0, .station = 0x42};

static void test_advertisement(void **state)
{
    struct fix *x = *state;
    struct ip_addr near = fix_addr(PREFIX "7");
    struct net_path path;

    listening(x, true);
    expect_path(x, PREFIX "7", "2001:db8:1::10", "2001:db8:1::1");
    advertise(x, &good);
    expect_no_path(x, PREFIX "7"); /* our address there is tried out first */
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(net_path_find(x->net, &near, &path), 0);
    assert_memory_equal(path.src.b, near.b, 8);
    assert_true(ip_equal(&path.next_hop, &near));
    assert_int_equal(path.mtu, 1400);
    expect_path(x, FAR, "2001:db8:1::10", "2001:db8:1::1"); /* what is configured comes first */
    assert_int_equal(x->counters.nd_router_advertisements, 1);

    fix_advance(x, 3600 * CLOCK_SEC); /* deprecated: still ours, and there is no other */
    assert_int_equal(net_path_find(x->net, &near, &path), 0);
    fix_advance(x, 3 * 3600 * CLOCK_SEC);
    expect_path(x, PREFIX "7", "2001:db8:1::10", "2001:db8:1::1");
    fix_discard(x, FIX_INSIDE);
}

static void test_advertised_default_router(void **state)
{
    struct ip_addr far = fix_addr(FAR);
    struct advert bye = good;
    struct net_path path;
    struct fix *x;

    fix_setup(state); /* without a default route */
    x = *state;
    listening(x, true);
    advertise(x, &good);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(net_path_find(x->net, &far, &path), 0);
    assert_int_equal(path.iface, 2);
    assert_int_equal(path.next_hop.b[15], 0x42);
    bye.lifetime = 0;
    advertise(x, &bye);
    expect_no_path(x, FAR);
    advertise(x, &good);
    assert_int_equal(net_path_find(x->net, &far, &path), 0);
    fix_advance(x, 1801 * CLOCK_SEC);
    expect_no_path(x, FAR);
    fix_discard(x, FIX_INSIDE);
}

static void test_advertisements_are_not_asked_for(void **state)
{
    struct fix *x = *state;

    listening(x, false);
    advertise(x, &good);
    fix_advance(x, 2 * CLOCK_SEC);
    expect_path(x, PREFIX "7", "2001:db8:1::10", "2001:db8:1::1");
    assert_int_equal(x->counters.nd_router_advertisements, 0);
    fix_discard(x, FIX_INSIDE);
}

static void test_odd_advertisements(void **state)
{
    struct fix *x = *state;
    struct advert a = good;

    listening(x, true);
    a.router = "2001:db8:50::1"; /* not from a link-local address */
    advertise(x, &a);
    assert_int_equal(x->counters.drop_nd_invalid, 1);
    a = good;
    a.mtu = 1279;
    a.prefix = "fe80::";
    advertise(x, &a);
    a.prefix = PREFIX;
    a.valid = 100; /* shorter than preferred: ignored */
    advertise(x, &a);
    fix_advance(x, 2 * CLOCK_SEC);
    expect_path(x, PREFIX "7", "2001:db8:1::10", "2001:db8:1::1");
    a = good;
    a.valid = a.preferred = UINT32_MAX;
    advertise(x, &a);
    fix_advance(x, 2 * CLOCK_SEC);
    a.valid = a.preferred = 1; /* a forgery shortens it to two hours at most */
    advertise(x, &a);
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    advertise(x, &good);
    expect_path(x, "2001:db8:1::7", "2001:db8:1::10", "2001:db8:1::7");
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0); /* no new address was made */
}

/* A prefix that is part of a configured network: its packets stay where they belong. */
static void test_advertised_part_of_a_network(void **state)
{
    struct fix *x = *state;
    struct advert a = good;

    listening(x, true);
    a.prefix = "2001:db8:2:0:8000::"; /* inside's, half of it */
    a.bits = 65;
    advertise(x, &a);
    a.prefix = "2001:db8:2::5";
    a.bits = 128;
    advertise(x, &a);
    expect_path(x, "2001:db8:2::5", "2001:db8:2::1", "2001:db8:2::5");
    expect_path(x, "2001:db8:2:0:8000::7", "2001:db8:2::1", "2001:db8:2:0:8000::7");
}

/* ---- what one station, and many, may make of it ---- */

/* The default router's last byte. The default route of the fixture is not there. */
static unsigned default_router(struct fix *x)
{
    struct ip_addr far = fix_addr(FAR);
    struct net_path path;

    return net_path_find(x->net, &far, &path) < 0 ? 0 : path.next_hop.b[15];
}

static int setup_listening(void **state)
{
    int result = fix_setup(state);

    listening(*state, true);
    return result;
}

/* The i-th router of a liar, or of as many liars. */
static void lie(struct fix *x, unsigned i, uint8_t station)
{
    struct advert a = good;
    char router[IP_TEXT_MAX], prefix[IP_TEXT_MAX];

    snprintf(router, sizeof router, "fe80::66:%x", i + 1);
    snprintf(prefix, sizeof prefix, "2001:db8:%x::", 0x1000 + i);
    a.router = router;
    a.prefix = prefix;
    a.station = station;
    a.lifetime = 9000;
    a.valid = a.preferred = UINT32_MAX;
    advertise(x, &a);
}

static bool on_link(struct fix *x, const char *addr)
{
    struct ip_addr to = fix_addr(addr);
    struct net_path path;

    return net_path_find(x->net, &to, &path) == 0 && ip_equal(&path.next_hop, &to);
}

static void test_one_station_leaves_room(void **state)
{
    struct fix *x = *state;
    struct advert high = good;

    for (unsigned i = 0; i < 200; i++)
        lie(x, i, 0x66);
    assert_true(x->counters.nd_router_refused > 0);
    high.rank = 0x08;
    advertise(x, &high);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(default_router(x), 0x42);
    assert_true(on_link(x, PREFIX "7"));
    fix_discard(x, FIX_INSIDE);
}

/* A station whose address changes is one router still. */
static void test_a_station_is_one_router(void **state)
{
    struct fix *x = *state;
    struct advert anew = good, bye;

    advertise(x, &good);
    anew.router = "fe80::43";
    advertise(x, &anew);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(default_router(x), 0x43);
    bye = anew;
    bye.lifetime = 0;
    advertise(x, &bye);
    assert_int_equal(default_router(x), 0);
    fix_discard(x, FIX_INSIDE);
}

/* Those who came first stay; who comes late gets a place when another has fallen silent. */
static void test_many_stations_do_not_displace(void **state)
{
    struct fix *x = *state;
    struct advert high = good, late = good;

    high.rank = 0x08;
    advertise(x, &high);
    for (unsigned i = 0; i < 100; i++)
        lie(x, i, (uint8_t)(0x80 + i));
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(default_router(x), 0x42);
    assert_true(on_link(x, PREFIX "7"));

    late.router = "fe80::44";
    late.prefix = "2001:db8:60::";
    late.station = 0x44;
    late.rank = 0x08;
    high.lifetime = 0;
    for (unsigned i = 0; i < 5; i++) { /* the liars say nothing for an hour and a half */
        advertise(x, &late);
        assert_false(on_link(x, "2001:db8:60::7"));
        fix_advance(x, 1080 * CLOCK_SEC);
        fix_discard(x, FIX_INSIDE);
    }
    advertise(x, &late);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_true(on_link(x, "2001:db8:60::7"));
    advertise(x, &high);
    assert_int_equal(default_router(x), 0x44);
    fix_discard(x, FIX_INSIDE);
}

/* But for one that has been silent for longer than a router may be, which another has replaced. */
static void test_the_owner_is_gone(void **state)
{
    struct fix *x = *state;
    struct advert a = good;

    a.valid = a.preferred = UINT32_MAX;
    advertise(x, &a);
    a.station = 0x43;
    a.lifetime = 9000;
    a.valid = a.preferred = 1000;
    advertise(x, &a);
    fix_advance(x, 5400 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(default_router(x), 0x42); /* the address is a router's, whoever it is */
    assert_true(on_link(x, PREFIX "7"));
    a.lifetime = 0;
    a.valid = a.preferred = 0;
    advertise(x, &a);
    assert_int_equal(default_router(x), 0);
    assert_false(on_link(x, PREFIX "7"));
    assert_int_equal(x->counters.nd_router_refused, 0);
    fix_discard(x, FIX_INSIDE);
}

/* Nobody ends what another station advertises. */
static void test_forged_withdrawal(void **state)
{
    struct fix *x = *state;
    struct advert bye = good;

    advertise(x, &good);
    fix_advance(x, 2 * CLOCK_SEC);
    bye.lifetime = 0;
    bye.valid = bye.preferred = 0;
    bye.station = 0x66;
    advertise(x, &bye);
    assert_int_equal(default_router(x), 0x42);
    assert_true(on_link(x, PREFIX "7"));
    assert_int_equal(x->counters.nd_router_refused, 2);
    bye.station = 0x42;
    advertise(x, &bye);
    assert_int_equal(default_router(x), 0);
    assert_false(on_link(x, PREFIX "7"));
    fix_discard(x, FIX_INSIDE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup6, fix_teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_listening, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_advertisement),
        cmocka_unit_test_teardown(test_advertised_default_router, fix_teardown),
        TEST(test_advertisements_are_not_asked_for),
        TEST(test_advertised_part_of_a_network),
        TEST(test_odd_advertisements),
        BARE(test_one_station_leaves_room),
        BARE(test_a_station_is_one_router),
        BARE(test_many_stations_do_not_displace),
        BARE(test_forged_withdrawal),
        BARE(test_the_owner_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
