/* Sets, and the map of all sets of a ruleset, against lists searched one by one. */
#include "tests/unit/support/test_unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "firewall/firewall_internal.h"
#include "tests/unit/firewall/firewall_naive.h"

static void draw(struct naive_set *n)
{
    n->count = naive_below(NAIVE_PREFIXES + 1);
    for (unsigned i = 0; i < n->count; i++)
        n->prefixes[i] = naive_prefix(naive_below(2) == 0);
}

/* Where something may begin or end: the prefix's first and last address, and those beside. */
static struct ip_addr edge_of(const struct ip_prefix *p)
{
    struct ip_prefix net = ip_prefix_network(p);
    bool v4 = p->len >= 96 && ip_is_v4(&p->addr);
    unsigned which = naive_below(4);

    if (which >= 2) {
        for (unsigned bit = p->len; bit < 128; bit++)
            net.addr.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    for (unsigned i = 15; which % 2 == 1 && i >= (v4 ? 12u : 0u); i--) {
        uint8_t before = net.addr.b[i];

        net.addr.b[i] = (uint8_t)(which == 1 ? before - 1 : before + 1);
        if (i == 0 || (which == 1 ? before != 0 : before != 0xff))
            break;
    }
    return net.addr;
}

static struct ip_addr address(const struct naive_set *sets, unsigned count)
{
    const struct naive_set *s = &sets[naive_below(count)];

    if (s->count == 0 || naive_below(4) == 0)
        return naive_addr(naive_below(2) == 0);
    return edge_of(&s->prefixes[naive_below(s->count)]);
}

static void test_random(void **state)
{
    uint64_t seed = (uint64_t)time(NULL);

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct naive_set n;
        struct firewall_set *s;

        naive_seed(seed + round);
        draw(&n);
        s = firewall_set_create("random", n.prefixes, n.count, NULL);
        assert_non_null(s);
        assert_int_equal(firewall_set_count(s), n.count);
        for (unsigned i = 0; i < 200; i++) {
            struct ip_addr a = address(&n, 1);

            if (firewall_set_has(s, &a) != naive_set_has(&n, &a))
                fail_msg("seed %llu", (unsigned long long)(seed + round));
        }
        firewall_set_unref(s);
    }
}

static void test_map(void **state)
{
    enum { SETS = 5 };
    uint64_t seed = (uint64_t)time(NULL);

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct naive_set n[SETS];
        struct firewall_set *s[SETS];
        struct firewall_map *m;

        naive_seed(seed + round);
        for (unsigned i = 0; i < SETS; i++) {
            draw(&n[i]);
            s[i] = firewall_set_create("random", n[i].prefixes, n[i].count, NULL);
        }
        m = firewall_map_create(s, SETS, NULL);
        assert_non_null(m);
        for (unsigned i = 0; i < 300; i++) {
            struct ip_addr a = address(n, SETS);
            const struct ip_addr *list[] = {&a};
            uint32_t seen, wanted = 0;

            firewall_map_lookup(m, firewall_family_of(&a), list, 1, &seen);
            for (unsigned k = 0; k < SETS; k++)
                wanted |= (uint32_t)naive_set_has(&n[k], &a) << k;
            if (seen != wanted)
                fail_msg("seed %llu: %x, expected %x", (unsigned long long)(seed + round), seen,
                         wanted);
        }
        firewall_map_destroy(m);
        for (unsigned i = 0; i < SETS; i++)
            firewall_set_unref(s[i]);
    }
}

static void test_whole_families(void **state)
{
    struct ip_prefix all[2];
    struct firewall_set *s;
    struct ip_addr a;

    (void)state;
    assert_int_equal(ip_prefix_parse("0.0.0.0/0", &all[0]), 0);
    assert_int_equal(ip_prefix_parse("::/0", &all[1]), 0);
    s = firewall_set_create("all IPv4", all, 1, NULL);
    assert_int_equal(ip_parse("255.255.255.255", &a), 0);
    assert_true(firewall_set_has(s, &a));
    assert_int_equal(ip_parse("ffff::1", &a), 0);
    assert_false(firewall_set_has(s, &a));
    firewall_set_unref(s);
    s = firewall_set_create("all IPv6", all + 1, 1, NULL);
    assert_true(firewall_set_has(s, &a));
    assert_int_equal(ip_parse("0.0.0.0", &a), 0);
    assert_false(firewall_set_has(s, &a));
    firewall_set_unref(s);
    s = firewall_set_create("none", NULL, 0, NULL);
    assert_false(firewall_set_has(s, &a));
    firewall_set_unref(s);
}

/* Large enough for an index, with addresses that fall into it, before it and behind it. */
static void test_large(void **state)
{
    enum { COUNT = 200000, SPACING = 8192 };
    struct ip_prefix *p = calloc(COUNT, sizeof *p);
    struct firewall_set *s;
    struct firewall_map *m;

    (void)state;
    assert_non_null(p);
    for (uint32_t i = 0; i < COUNT; i++) /* descending: to be sorted; a /24 at each 8192 */
        p[i] = (struct ip_prefix){
            ip_from_v4(__builtin_bswap32(0x10000000 + (COUNT - 1 - i) * SPACING)), 96 + 24};
    s = firewall_set_create("large", p, COUNT, NULL);
    m = firewall_map_create(&s, 1, NULL);
    assert_non_null(m);
    naive_seed(7);
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t n = naive_random() << 1;
        uint64_t offset = (uint64_t)n - 0x10000000;
        struct ip_addr a = ip_from_v4(__builtin_bswap32(n));
        const struct ip_addr *list[] = {&a};
        bool in = n >= 0x10000000 && offset / SPACING < COUNT && offset % SPACING < 256;
        uint32_t seen;

        firewall_map_lookup(m, FIREWALL_IPV4, list, 1, &seen);
        assert_int_equal(seen, in);
        assert_int_equal(firewall_set_has(s, &a), in);
    }
    firewall_map_destroy(m);
    firewall_set_unref(s);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_whole_families),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
