#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "base/ip.h"

static struct ip_addr addr(const char *text)
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

static void test_addresses_round_trip(void **state)
{
    static const char *const good[] = {"0.0.0.0", "192.0.2.1", "255.255.255.255",
                                       "::",      "::1",       "2001:db8::10"};
    char text[IP_TEXT_MAX];

    (void)state;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ip_addr a = addr(good[i]);

        assert_string_equal(ip_format(&a, text), good[i]);
        assert_int_equal(ip_is_v4(&a), strchr(good[i], '.') != NULL);
    }
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {"",          "1",        "1.2.3",     "1.2.3.4.5",
                                      "1.2.3.256", " 1.2.3.4", "1.2.3.4 ",  "01.2.3.4",
                                      "1.2.3.-4",  ":::",      "2001:db8:", "[::1]",
                                      "1::2::3",   "g::1",     "1.2.3.4/8"};
    struct ip_addr a;

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ip_parse(bad[i], &a), -1);
}

static void test_v4_is_mapped(void **state)
{
    struct ip_addr a = addr("192.0.2.1");
    static const uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};

    (void)state;
    assert_memory_equal(a.b, bytes, 16);
    assert_int_equal(ip_to_v4(&a), *(const uint32_t *)(const void *)(bytes + 12));
}

static void test_unspecified(void **state)
{
    struct ip_addr v4 = addr("0.0.0.0"), v6 = addr("::"), one = addr("::1"), some = addr("0.0.0.1");

    (void)state;
    assert_true(ip_is_unspecified(&v4));
    assert_true(ip_is_unspecified(&v6));
    assert_false(ip_is_unspecified(&one));
    assert_false(ip_is_unspecified(&some));
}

static void test_prefixes_round_trip(void **state)
{
    static const struct {
        const char *text, *out;
        uint8_t len;
    } good[] = {
        {"10.0.0.1/24", "10.0.0.1/24", 120},
        {"0.0.0.0/0", "0.0.0.0/0", 96},
        {"192.0.2.7", "192.0.2.7/32", 128},
        {"2001:db8::10/64", "2001:db8::10/64", 64},
        {"::/0", "::/0", 0},
        {"2001:db8::1", "2001:db8::1/128", 128},
    };
    char text[IP_TEXT_MAX];

    (void)state;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ip_prefix p = prefix(good[i].text);

        assert_int_equal(p.len, good[i].len);
        assert_string_equal(ip_prefix_format(&p, text), good[i].out);
    }
}

static void test_bad_prefixes(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/33",        "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0.0/8x",
        "10.0.0.0/08",        "/8",        "::/129",      "10.0.0/8",    "10.0.0.0/8/8",
        "10.0.0.0/4294967304"};
    struct ip_prefix p;

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ip_prefix_parse(bad[i], &p), -1);
}

static void test_in_prefix(void **state)
{
    static const struct {
        const char *addr, *prefix;
        bool inside;
    } cases[] = {
        {"10.0.0.1", "10.0.0.0/8", true},
        {"11.0.0.1", "10.0.0.0/8", false},
        {"192.0.2.127", "192.0.2.0/25", true},
        {"192.0.2.128", "192.0.2.0/25", false},
        {"192.0.2.1", "192.0.2.77/24", true}, /* the host's part does not count */
        {"192.0.2.1", "192.0.2.1/32", true},
        {"192.0.2.2", "192.0.2.1/32", false},
        {"192.0.2.3", "192.0.2.2/31", true},
        {"203.0.113.9", "0.0.0.0/0", true},
        {"2001:db8::1", "2001:db8::/32", true},
        {"2001:db9::1", "2001:db8::/32", false},
        {"2001:db8::1", "::/0", true},
        {"2001:db8::1", "0.0.0.0/0", false},
        {"192.0.2.1", "::/0", false}, /* families do not mix though IPv4 is kept mapped */
        {"2001:db8::4", "2001:db8::4/127", true},
        {"2001:db8::6", "2001:db8::4/127", false},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_addr a = addr(cases[i].addr);
        struct ip_prefix p = prefix(cases[i].prefix);

        if (ip_in_prefix(&a, &p) != cases[i].inside)
            fail_msg("%s in %s", cases[i].addr, cases[i].prefix);
    }
}

static void test_network(void **state)
{
    static const char *const cases[][2] = {
        {"10.1.2.3/8", "10.0.0.0/8"},           {"192.0.2.255/25", "192.0.2.128/25"},
        {"192.0.2.1/32", "192.0.2.1/32"},       {"192.0.2.1/0", "0.0.0.0/0"},
        {"2001:db8::ffff/33", "2001:db8::/33"}, {"2001:db8::1/127", "2001:db8::/127"},
    };
    char text[IP_TEXT_MAX];

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_prefix p = prefix(cases[i][0]), net = ip_prefix_network(&p);

        assert_string_equal(ip_prefix_format(&net, text), cases[i][1]);
    }
}

static void test_endpoints(void **state)
{
    static const char *const good[] = {"192.0.2.1:443", "0.0.0.0:1", "[2001:db8::1]:65535",
                                       "[::]:80"};
    static const char *const bad[] = {
        "192.0.2.1",     "192.0.2.1:",       "192.0.2.1:0",     "192.0.2.1:65536",
        "192.0.2.1:+80", "192.0.2.1:080",    "192.0.2.1: 80",   "2001:db8::1:443",
        "[2001:db8::1]", "[2001:db8::1:443", "[192.0.2.1]:80",  ":80",
        "[]:80",         "host:80",          "192.0.2.1:80:80", ""};
    char text[IP_TEXT_MAX];
    struct ip_endpoint e;

    (void)state;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(ip_endpoint_parse(good[i], &e), 0);
        assert_string_equal(ip_endpoint_format(&e, text), good[i]);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (ip_endpoint_parse(bad[i], &e) != -1)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
}

static void test_longest_text_fits(void **state)
{
    const char *longest = "[2001:db80:1111:2222:3333:4444:5555:6666]:65535";
    char text[IP_TEXT_MAX];
    struct ip_endpoint e;

    (void)state;
    assert_int_equal(ip_endpoint_parse(longest, &e), 0);
    assert_string_equal(ip_endpoint_format(&e, text), longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_round_trip),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_v4_is_mapped),
        cmocka_unit_test(test_unspecified),
        cmocka_unit_test(test_prefixes_round_trip),
        cmocka_unit_test(test_bad_prefixes),
        cmocka_unit_test(test_in_prefix),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_longest_text_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
