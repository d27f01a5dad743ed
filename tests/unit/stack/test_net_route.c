/* Interfaces, routes and paths: what is refused, and which way a packet goes. */
#include "tests/unit/stack/test_net_fixture.h"

static int route(struct fix *x, const char *to, const char *via, struct error *e)
{
    struct stack_route r = {.via = fix_addr(via)};

    assert_int_equal(ip_prefix_parse(to, &r.to), 0);
    return net_route_add(x->net, &r, e);
}

static void assert_path(struct fix *x, const char *dst, unsigned iface, const char *src,
                        const char *next_hop)
{
    struct ip_addr to = fix_addr(dst), from = fix_addr(src), hop = fix_addr(next_hop);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    assert_int_equal(path.iface, iface);
    assert_int_equal(path.mtu, 1500);
    assert_ptr_equal(path.tx_pool, x->tx_pool);
    assert_true(ip_equal(&path.src, &from));
    assert_true(ip_equal(&path.next_hop, &hop));
}

static void assert_no_path(struct fix *x, const char *dst)
{
    struct ip_addr to = fix_addr(dst);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), -1);
}

static void test_paths(void **state)
{
    struct fix *x = *state;

    assert_path(x, "192.0.2.77", FIX_OUTSIDE, "192.0.2.10", "192.0.2.77");
    assert_path(x, "10.0.0.2", FIX_INSIDE, "10.0.0.1", "10.0.0.2");
    assert_path(x, "198.51.100.7", FIX_OUTSIDE, "192.0.2.10", "192.0.2.1");
}

static void test_longest_prefix_wins(void **state)
{
    struct fix *x = *state;

    assert_int_equal(route(x, "172.16.0.0/12", "10.0.0.2", NULL), 0);
    assert_int_equal(route(x, "172.16.5.9/32", "192.0.2.3", NULL), 0);
    assert_int_equal(route(x, "172.16.5.77/24", "10.0.0.3", NULL), 0); /* the host's part goes */
    assert_path(x, "172.17.0.1", FIX_INSIDE, "10.0.0.1", "10.0.0.2");
    assert_path(x, "172.16.5.8", FIX_INSIDE, "10.0.0.1", "10.0.0.3");
    assert_path(x, "172.16.5.9", FIX_OUTSIDE, "192.0.2.10", "192.0.2.3");
    assert_path(x, "172.32.0.1", FIX_OUTSIDE, "192.0.2.10", "192.0.2.1");
}

static void test_no_path(void **state)
{
    struct fix *x = *state;

    assert_no_path(x, "192.0.2.10"); /* ourselves */
    assert_no_path(x, "10.0.0.1");
    assert_no_path(x, "192.0.2.255"); /* broadcast */
    assert_no_path(x, "192.0.2.0");
    assert_no_path(x, "255.255.255.255");
    assert_no_path(x, "224.0.0.1");
    assert_no_path(x, "127.0.0.1");
    assert_no_path(x, "0.0.0.0");
    assert_no_path(x, "2001:db8::1");
}

static void test_source_is_on_the_next_hops_network(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "two", "172.16.1.1/24");

    c.addr_count = 2;
    assert_int_equal(ip_prefix_parse("172.16.2.1/24", &c.addrs[1]), 0);
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    assert_int_equal(route(x, "10.9.0.0/16", "172.16.2.9", NULL), 0);
    assert_path(x, "172.16.1.5", 2, "172.16.1.1", "172.16.1.5");
    assert_path(x, "172.16.2.5", 2, "172.16.2.1", "172.16.2.5");
    assert_path(x, "10.9.1.1", 2, "172.16.2.1", "172.16.2.9");
}

/* RFC 3021: a /31 has two hosts and no broadcast. */
static void test_point_to_point_network(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "p2p", "172.16.9.0/31");

    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    assert_path(x, "172.16.9.1", 2, "172.16.9.0", "172.16.9.1");
}

static void test_bad_routes(void **state)
{
    struct fix *x = *state;
    struct error e = {0};

    assert_int_equal(route(x, "172.16.0.0/12", "198.51.100.1", &e), -1); /* not direct */
    assert_string_equal(e.text,
                        "route to 172.16.0.0/12: 198.51.100.1 is not a host on an interface's "
                        "network");
    assert_int_equal(route(x, "172.16.0.0/12", "10.0.0.1", NULL), -1);   /* ourselves */
    assert_int_equal(route(x, "172.16.0.0/12", "10.0.0.255", NULL), -1); /* broadcast */
    assert_int_equal(route(x, "0.0.0.0/0", "192.0.2.2", NULL), -1);      /* twice */
    assert_int_equal(route(x, "10.0.0.0/24", "192.0.2.2", NULL), -1);    /* a direct network */
    assert_int_equal(route(x, "2001:db8::/32", "192.0.2.2", NULL), -1);
    assert_int_equal(route(x, "172.16.0.0/12", "2001:db8::1", NULL), -1);
    assert_no_path(x, "10.0.0.1");
}

/* A route to part of a network of ours: gateways in that part are not direct, and our own address
 * in it is still ours. */
static void test_route_to_part_of_a_direct_network(void **state)
{
    struct fix *x = *state;

    assert_int_equal(route(x, "10.0.0.0/28", "192.0.2.3", NULL), 0);
    assert_path(x, "10.0.0.5", FIX_OUTSIDE, "192.0.2.10", "192.0.2.3");
    assert_path(x, "10.0.0.17", FIX_INSIDE, "10.0.0.1", "10.0.0.17");
    assert_no_path(x, "10.0.0.1");
    assert_int_equal(route(x, "172.16.0.0/12", "10.0.0.5", NULL), -1);
    assert_int_equal(route(x, "10.0.0.32/28", "10.0.0.17", NULL), 0);
    assert_int_equal(route(x, "172.16.0.0/12", "10.0.0.33", NULL), -1);
}

static int iface(struct fix *x, const char *addr, struct error *e)
{
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "bad", addr);

    return net_iface_add(x->net, &c, x->now, e);
}

static void test_bad_interfaces(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "bad", "172.16.0.1/16");
    struct error e = {0};

    assert_int_equal(iface(x, "fe80::1/64", &e), -1);
    assert_string_equal(e.text, "interface bad: fe80::1/64 is not an address of a host");
    assert_int_equal(iface(x, "ff02::1/64", NULL), -1);
    assert_int_equal(iface(x, "::1/64", NULL), -1);
    assert_int_equal(iface(x, "::/64", NULL), -1);
    assert_int_equal(iface(x, "2001:db8::1/0", NULL), -1);
    assert_int_equal(iface(x, "172.16.0.0/16", NULL), -1);     /* the network */
    assert_int_equal(iface(x, "172.16.255.255/16", NULL), -1); /* its broadcast */
    assert_int_equal(iface(x, "172.16.0.1/0", NULL), -1);
    assert_int_equal(iface(x, "127.0.0.1/8", NULL), -1);
    assert_int_equal(iface(x, "224.0.0.1/24", NULL), -1);
    assert_int_equal(iface(x, "10.0.0.1/16", NULL), -1); /* ours already */
    assert_int_equal(iface(x, "10.0.0.9/24", NULL), -1); /* inside's network */
    c.mtu = 575;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), -1);
    c.mtu = 9001;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), -1);
    c.mtu = 1500;
    c.mac[0] = 1;
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), -1);
}

/* An interface that is refused leaves nothing behind. */
static void test_refused_interface_leaves_no_route(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "bad", "172.16.0.1/16");

    c.addr_count = 2;
    assert_int_equal(ip_prefix_parse("10.0.0.1/24", &c.addrs[1]), 0);
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), -1);
    assert_path(x, "172.16.0.5", FIX_OUTSIDE, "192.0.2.10", "192.0.2.1");
    assert_path(x, "10.0.0.5", FIX_INSIDE, "10.0.0.1", "10.0.0.5");
    assert_int_equal(iface(x, "172.16.0.1/16", NULL), 2);
    assert_path(x, "172.16.0.5", 2, "172.16.0.1", "172.16.0.5");
}

static void test_is_local(void **state)
{
    struct fix *x = *state;
    static const struct {
        const char *addr;
        bool local;
    } cases[] = {{"192.0.2.10", true},
                 {"10.0.0.1", true},
                 {"192.0.2.11", false},
                 {"192.0.2.255", false},
                 {"2001:db8::a00:1", false}};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_addr a = fix_addr(cases[i].addr);

        assert_int_equal(net_is_local(x->net, &a), cases[i].local);
    }
}

static void test_room_is_the_hooks(void **state)
{
    struct fix *x = *state;

    x->egress[FIX_INSIDE].room = 17;
    assert_int_equal(net_room(x->net, FIX_INSIDE, 0), 17);
    assert_int_equal(net_room(x->net, FIX_OUTSIDE, 0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_paths),
        TEST(test_longest_prefix_wins),
        TEST(test_no_path),
        TEST(test_source_is_on_the_next_hops_network),
        TEST(test_point_to_point_network),
        TEST(test_bad_routes),
        TEST(test_route_to_part_of_a_direct_network),
        TEST(test_bad_interfaces),
        TEST(test_refused_interface_leaves_no_route),
        TEST(test_is_local),
        TEST(test_room_is_the_hooks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
