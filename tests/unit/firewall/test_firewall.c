#include "tests/unit/support/test_unit.h"

#include "firewall/firewall.h"

static struct ip_addr addr(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static struct packet packet(const char *src, const char *dst, enum packet_kind kind, uint8_t flags)
{
    struct packet p = {.drop = DROP_NONE, .kind = kind, .src = addr(src), .dst = addr(dst)};

    p.tcp.flags = flags;
    return p;
}

static struct firewall *f;

static int setup(void **state)
{
    const struct ip_addr own[] = {addr("192.0.2.10"), addr("10.0.0.1"), addr("10.0.1.200")};

    (void)state;
    f = firewall_create(&(struct firewall_config){.own = own, .own_count = 3}, NULL);
    return f == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    firewall_destroy(f);
    return 0;
}

static enum drop_cause verdict(struct packet p)
{
    firewall_ingress(f, &p, 1, 0);
    return p.drop;
}

static enum drop_cause from(const char *src)
{
    return verdict(packet(src, "192.0.2.10", PACKET_ICMP, 0));
}

static enum drop_cause flags(uint8_t flags)
{
    return verdict(packet("198.51.100.7", "192.0.2.10", PACKET_TCP, flags));
}

static void test_sources(void **state)
{
    static const char *const martian[] = {"0.0.0.0",   "0.1.2.3",        "127.0.0.1",
                                          "127.9.9.9", "224.0.0.1",      "239.255.255.255",
                                          "240.0.0.1", "255.255.255.255"};
    static const char *const fine[] = {"1.0.0.1",     "10.0.0.2",    "126.255.255.255",
                                       "128.0.0.1",   "192.168.1.1", "223.255.255.254",
                                       "198.51.100.7"};

    (void)state;
    for (unsigned i = 0; i < sizeof martian / sizeof martian[0]; i++)
        assert_int_equal(from(martian[i]), drop_ip_martian);
    for (unsigned i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_int_equal(from(fine[i]), DROP_NONE);
}

static void test_destinations(void **state)
{
    (void)state;
    assert_int_equal(verdict(packet("198.51.100.7", "127.0.0.1", PACKET_TCP, TCP_SYN)),
                     drop_ip_martian);
    assert_int_equal(verdict(packet("198.51.100.7", "0.0.0.0", PACKET_TCP, TCP_SYN)),
                     drop_ip_martian);
    assert_int_equal(verdict(packet("198.51.100.7", "224.0.0.1", PACKET_OTHER, 0)), DROP_NONE);
}

static void test_own_addresses(void **state)
{
    (void)state;
    assert_int_equal(from("192.0.2.10"), drop_ip_spoofed); /* to itself: a land attack */
    assert_int_equal(from("10.0.0.1"), drop_ip_spoofed);
    assert_int_equal(from("10.0.1.200"), drop_ip_spoofed);
    assert_int_equal(from("10.0.2.1"), DROP_NONE); /* the last octet alone does not do */
    assert_int_equal(verdict(packet("198.51.100.7", "198.51.100.7", PACKET_TCP, TCP_SYN)),
                     drop_ip_martian);
}

/* All 256 values, against the rules written out. */
static void test_flags(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        bool none = (v & 0x3f) == 0;
        bool syn_fin = (v & 0x03) == 0x03;
        bool syn_rst = (v & 0x06) == 0x06;
        bool fin_alone = (v & 0x11) == 0x01;
        bool bad = none || syn_fin || syn_rst || fin_alone;

        assert_int_equal(flags((uint8_t)v), bad ? drop_tcp_flags : DROP_NONE);
    }
    assert_int_equal(flags(TCP_SYN), DROP_NONE);
    assert_int_equal(flags(TCP_SYN | TCP_ECE | TCP_CWR), DROP_NONE);
    assert_int_equal(flags(TCP_FIN | TCP_PSH | TCP_URG), drop_tcp_flags);
}

/* Those that are dropped already keep their cause; ARP is not the firewall's. */
static void test_burst(void **state)
{
    struct packet p[] = {
        packet("198.51.100.7", "192.0.2.10", PACKET_TCP, TCP_SYN),
        packet("127.0.0.1", "192.0.2.10", PACKET_TCP, TCP_SYN),
        packet("127.0.0.1", "192.0.2.10", PACKET_TCP, TCP_SYN),
        packet("0.0.0.0", "192.0.2.10", PACKET_ARP, 0),
        packet("198.51.100.8", "192.0.2.10", PACKET_TCP, 0),
    };

    (void)state;
    p[1].drop = drop_tcp_checksum;
    firewall_ingress(f, p, 5, 0);
    assert_int_equal(p[0].drop, DROP_NONE);
    assert_int_equal(p[1].drop, drop_tcp_checksum);
    assert_int_equal(p[2].drop, drop_ip_martian);
    assert_int_equal(p[3].drop, DROP_NONE);
    assert_int_equal(p[4].drop, drop_tcp_flags);
}

static void test_no_addresses(void **state)
{
    struct packet p = packet("192.0.2.10", "198.51.100.7", PACKET_TCP, TCP_SYN);
    struct firewall *bare = firewall_create(&(struct firewall_config){0}, NULL);

    (void)state;
    assert_non_null(bare);
    firewall_ingress(bare, &p, 1, 0);
    assert_int_equal(p.drop, DROP_NONE);
    firewall_destroy(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),       cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_own_addresses), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_burst),         cmocka_unit_test(test_no_addresses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
