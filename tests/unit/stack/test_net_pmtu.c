/* What is known of paths: learning, floors, plateaus, the end of it, the bounds. */
#include "tests/unit/stack/test_net_fixture.h"

#include "stack/net/net_internal.h"

static const char peer[] = "198.51.100.7";

static struct net_path path_to(struct fix *x, const char *dst)
{
    const struct ip_addr to = fix_addr(dst);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    return path;
}

static bool learn(struct fix *x, const char *dst, uint16_t mtu)
{
    const struct net_path path = path_to(x, dst);
    const struct ip_addr to = fix_addr(dst);

    return net_pmtu_learn(x->net, &path, &to, mtu, x->now);
}

static void test_unknown(void **state)
{
    struct fix *x = *state;
    struct net_path path = path_to(x, peer);

    assert_int_equal(path.mtu, 1500);
    assert_int_equal(path.link_mtu, 1500);
    assert_int_equal(net_pmtu_deadline(x->net), CLOCK_NEVER);
}

/* The destination alone has it, and every path that is looked up from then on. */
static void test_learned(void **state)
{
    struct fix *x = *state;
    uint32_t generation = net_pmtu_generation(x->net);

    assert_true(learn(x, peer, 1400));
    assert_int_not_equal(net_pmtu_generation(x->net), generation);
    assert_int_equal(path_to(x, peer).mtu, 1400);
    assert_int_equal(path_to(x, peer).link_mtu, 1500);
    assert_int_equal(path_to(x, "198.51.100.8").mtu, 1500);
    assert_int_equal(x->counters.pmtu_lowered, 1);
}

/* RFC 1191, 6.3: it never grows by what somebody says, nor beyond the link. */
static void test_only_down(void **state)
{
    struct fix *x = *state;
    uint32_t generation;

    assert_false(learn(x, peer, 1500));
    assert_false(learn(x, peer, 9000));
    assert_true(learn(x, peer, 1400));
    generation = net_pmtu_generation(x->net);
    assert_false(learn(x, peer, 1400));
    assert_false(learn(x, peer, 1450));
    assert_int_equal(net_pmtu_generation(x->net), generation);
    assert_int_equal(path_to(x, peer).mtu, 1400);
    assert_true(learn(x, peer, 1300));
    assert_int_equal(path_to(x, peer).mtu, 1300);
}

static void test_floor(void **state)
{
    struct fix *x = *state;
    struct ip_addr v6;

    assert_int_equal(ip_parse("2001:db8::7", &v6), 0);
    assert_true(learn(x, peer, 1));
    assert_int_equal(path_to(x, peer).mtu, NET_PMTU_MIN_V4);
    assert_false(learn(x, peer, 68));
    assert_int_equal(net_pmtu_floor(&v6), 1280);
}

/* Ten minutes after it was last lowered, not after it was first known. */
static void test_expiry(void **state)
{
    struct fix *x = *state;
    uint32_t generation;

    learn(x, peer, 1400);
    learn(x, "198.51.100.8", 1400);
    fix_advance(x, 300 * CLOCK_SEC);
    learn(x, peer, 1300);
    fix_advance(x, 299 * CLOCK_SEC);
    assert_int_equal(path_to(x, "198.51.100.8").mtu, 1400);
    generation = net_pmtu_generation(x->net);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(path_to(x, "198.51.100.8").mtu, 1500);
    assert_int_not_equal(net_pmtu_generation(x->net), generation);
    assert_int_equal(path_to(x, peer).mtu, 1300);
    fix_advance(x, 300 * CLOCK_SEC);
    assert_int_equal(path_to(x, peer).mtu, 1500);
}

/* RFC 1191, 7.1: where a router does not tell. */
static void test_plateaus(void **state)
{
    (void)state;
    assert_int_equal(net_pmtu_claimed(0, 65535), 32000);
    assert_int_equal(net_pmtu_claimed(0, 9000), 8166);
    assert_int_equal(net_pmtu_claimed(0, 1500), 1492);
    assert_int_equal(net_pmtu_claimed(0, 1492), 1006);
    assert_int_equal(net_pmtu_claimed(0, 1006), 508);
    assert_int_equal(net_pmtu_claimed(0, 0), 296);
    assert_int_equal(net_pmtu_claimed(1400, 1500), 1400);
    assert_int_equal(net_pmtu_claimed(0x12345678, 1500), UINT16_MAX);
}

/* A full cache forgets what it learned first. */
static void test_full(void **state)
{
    struct fix *x = *state;
    char text[16];

    for (unsigned i = 0; i < NET_PMTU_MAX + 10; i++) {
        snprintf(text, sizeof text, "203.%u.%u.9", 1 + i / 256, i % 256);
        assert_true(learn(x, text, 1400));
        fix_advance(x, 2 * CLOCK_MS);
    }
    assert_int_equal(path_to(x, "203.1.9.9").mtu, 1500);
    assert_int_equal(path_to(x, "203.1.10.9").mtu, 1400);
    assert_int_equal(path_to(x, text).mtu, 1400);
}

/* A peer that claims all the time moves the generation for everybody: only so often. */
static void test_limit(void **state)
{
    struct fix *x = *state;
    unsigned believed = 0;
    char text[16];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "203.0.%u.%u", i / 200, 1 + i % 200);
        believed += learn(x, text, 1400);
    }
    assert_int_equal(believed, 200);
    assert_int_equal(x->counters.pmtu_limited, 800);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_unknown), TEST(test_learned),  TEST(test_only_down), TEST(test_floor),
        TEST(test_expiry),  TEST(test_plateaus), TEST(test_full),      TEST(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
