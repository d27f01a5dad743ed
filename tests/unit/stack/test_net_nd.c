/*
 * Neighbour discovery: solicitations and advertisements, the test of addresses for duplicates,
 * what is believed of neighbours, groups. Mirrors the tests of ARP and the neighbour table.
 */
#include "tests/unit/stack/test_net_fixture.h"

#include <stdio.h>

#include "stack/wire/wire_nd.h"

#define NS        135
#define NA        136
#define MLD       143
#define ROUTER    0x80
#define SOLICITED 0x40
#define OVERRIDE  0x20
#define US        "2001:db8:2::1"
#define PEER      "2001:db8:2::5"
#define US_GROUP  "ff02::1:ff00:1"

static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x99};
static const uint8_t us_group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1};

static void hear(struct fix *x, uint8_t type, uint8_t flags, const char *src, const char *dst,
                 const char *target, const uint8_t *mac)
{
    const struct fix_nd nd = {type, flags, src, dst, target, mac};
    struct test_frame f = fix_nd(x, FIX_INSIDE, &nd);

    fix_frame(x, FIX_INSIDE, &f);
}

static void answer(struct fix *x, const char *peer, uint8_t flags, const uint8_t *mac)
{
    hear(x, NA, flags, peer, US, peer, mac);
}

static void expect_addr(const struct ip_addr *seen, const char *wanted)
{
    struct ip_addr a = fix_addr(wanted);
    char text[IP_TEXT_MAX];

    if (!ip_equal(seen, &a))
        print_error("%s, expected %s\n", ip_format(seen, text), wanted);
    assert_true(ip_equal(seen, &a));
}

/* Takes a solicitation for `target`; returns where it went. */
static struct fix_sent6 take_solicitation(struct fix *x, const char *target)
{
    struct fix_sent6 s = fix_take6(x, FIX_INSIDE, NS);
    struct wire_nd nd;

    assert_int_equal(s.hop_limit, 255);
    assert_true(wire_nd_parse(s.payload, s.len, &nd));
    expect_addr(&nd.target, target);
    return s;
}

static void take_segment_to(struct fix *x, const uint8_t mac[6])
{
    struct fix_sent6 s = fix_take6(x, FIX_INSIDE, 0);

    assert_int_equal(s.len, 20);
    assert_memory_equal(s.mac, mac, 6);
}

static void meet(struct fix *x, const char *peer)
{
    fix_send(x, peer, 20);
    answer(x, peer, SOLICITED | OVERRIDE, fix_peer);
    fix_discard(x, FIX_INSIDE);
}

/* ---- we ask ---- */

static void test_solicitation_goes_to_the_group(void **state)
{
    static const uint8_t mac[6] = {0x33, 0x33, 0xff, 0, 0, 5};
    struct fix *x = *state;
    struct fix_sent6 s;
    struct wire_nd nd;

    fix_send(x, PEER, 20);
    s = take_solicitation(x, PEER);
    assert_memory_equal(s.mac, mac, 6);
    expect_addr(&s.dst, "ff02::1:ff00:5");
    expect_addr(&s.src, US);
    assert_true(wire_nd_parse(s.payload, s.len, &nd));
    assert_true(nd.has_mac);
    assert_memory_equal(nd.mac, fix_mac[FIX_INSIDE], 6);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    answer(x, PEER, SOLICITED | OVERRIDE, fix_peer);
    take_segment_to(x, fix_peer);
    assert_int_equal(x->counters.nd_solicitations_sent, 1);
    assert_int_equal(x->counters.nd_advertisements_received, 1);
}

static void test_silent_neighbour_is_given_up(void **state)
{
    struct fix *x = *state;

    fix_send(x, PEER, 20);
    for (unsigned second = 0; second < 3; second++) {
        take_solicitation(x, PEER);
        fix_advance(x, CLOCK_SEC);
    }
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(x->counters.arp_failed, 1);
    assert_int_equal(x->counters.arp_pending_dropped, 1);
}

/* RFC 4861, 7.3.2: five seconds for TCP to say that all is well, then by unicast. */
static void test_delay_then_probe(void **state)
{
    struct fix *x = *state;
    struct fix_sent6 s;

    meet(x, PEER);
    fix_advance(x, 61 * CLOCK_SEC);
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
    fix_advance(x, 4 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    fix_advance(x, 1 * CLOCK_SEC);
    s = take_solicitation(x, PEER);
    assert_memory_equal(s.mac, fix_peer, 6);
    expect_addr(&s.dst, PEER);
    answer(x, PEER, SOLICITED, NULL); /* a unicast answer needs no address */
    fix_advance(x, 50 * CLOCK_SEC);
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
    fix_advance(x, 9 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static void test_confirmation_saves_the_probe(void **state)
{
    struct fix *x = *state;
    struct ip_addr dst = fix_addr(PEER);
    struct net_path path;

    meet(x, PEER);
    assert_int_equal(net_path_find(x->net, &dst, &path), 0);
    fix_advance(x, 61 * CLOCK_SEC);
    fix_send(x, PEER, 20);
    fix_advance(x, 2 * CLOCK_SEC);
    net_path_confirm(x->net, &path, x->now);
    fix_advance(x, 30 * CLOCK_SEC);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 1);
}

/* ---- what is believed (RFC 4861, 7.2.5) ---- */

static void test_advertisement_makes_no_entry(void **state)
{
    struct fix *x = *state;

    hear(x, NA, OVERRIDE, PEER, "ff02::1", PEER, other);
    assert_int_equal(net_neighbour_count(x->net), 0);
}

static void test_override(void **state)
{
    struct fix *x = *state;

    meet(x, PEER);
    answer(x, PEER, SOLICITED, other); /* without override: asked when needed, not believed */
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
    fix_advance(x, 5 * CLOCK_SEC);
    assert_memory_equal(take_solicitation(x, PEER).mac, fix_peer, 6);
    answer(x, PEER, SOLICITED | OVERRIDE, other);
    fix_send(x, PEER, 20);
    take_segment_to(x, other);
    fix_advance(x, 10 * CLOCK_SEC);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);

    hear(x, NA, OVERRIDE, PEER, "ff02::1", PEER, fix_peer); /* has moved, so it says */
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
    fix_advance(x, 5 * CLOCK_SEC);
    assert_memory_equal(take_solicitation(x, PEER).mac, fix_peer, 6);
}

static void test_invalid_advertisements(void **state)
{
    struct fix *x = *state;
    const struct fix_nd nd = {NA, SOLICITED | OVERRIDE, PEER, US, PEER, fix_peer};
    struct test_frame f, good = fix_nd(x, FIX_INSIDE, &nd);

    fix_send(x, PEER, 20);
    fix_discard(x, FIX_INSIDE);
    f = good;
    f.b[TEST_L3 + 7] = 254;
    fix_frame(x, FIX_INSIDE, &f);
    f = good;
    f.b[TEST6_L4 + 24 + 1] = 0; /* an option without length */
    test_frame_checksums(&f);
    fix_frame(x, FIX_INSIDE, &f);
    f = good;
    f.b[TEST6_L4 + 24 + 1] = 2; /* and one that is too long */
    test_frame_checksums(&f);
    fix_frame(x, FIX_INSIDE, &f);
    f = good;
    f.b[TEST6_L4 + 8] = 0xff; /* a group as target */
    test_frame_checksums(&f);
    fix_frame(x, FIX_INSIDE, &f);
    f = good;
    memcpy(f.b + 6, fix_mac[FIX_INSIDE], 6); /* from ourselves */
    fix_frame(x, FIX_INSIDE, &f);
    hear(x, NA, SOLICITED, PEER, "ff02::1", PEER, fix_peer); /* an answer to everybody */
    assert_int_equal(x->counters.drop_nd_invalid, 6);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    fix_frame(x, FIX_INSIDE, &good);
    take_segment_to(x, fix_peer);
}

/* An option's Ethernet address is a station's, and not ours: else what is meant for one neighbour
 * would go to all. */
static void test_stations_only(void **state)
{
    static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1},
                         all[6] = {255, 255, 255, 255, 255, 255}, none[6];
    struct fix *x = *state;
    const uint8_t *bad[] = {group, all, none, fix_mac[FIX_INSIDE]};

    fix_send(x, PEER, 20);
    fix_discard(x, FIX_INSIDE);
    for (unsigned i = 0; i < 4; i++) {
        answer(x, PEER, SOLICITED | OVERRIDE, bad[i]);
        hear(x, NS, 0, "2001:db8:2::6", US_GROUP, US, bad[i]);
    }
    assert_int_equal(x->counters.drop_nd_invalid, 8);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(net_neighbour_count(x->net), 1);
}

/* Nobody is answered who cannot have asked. */
static void test_impossible_sources(void **state)
{
    struct fix *x = *state;

    hear(x, NS, 0, "ff02::1", US_GROUP, US, fix_peer);
    hear(x, NS, 0, "::1", US_GROUP, US, fix_peer);
    hear(x, NS, 0, US, US_GROUP, US, fix_peer);
    assert_int_equal(x->counters.drop_ip_martian, 3);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static void test_redirects_are_not_followed(void **state)
{
    struct fix *x = *state;

    meet(x, PEER);
    hear(x, 137, 0, "fe80::7", US, "2001:db8:2::66", other);
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
}

/* ---- we are asked ---- */

static void test_answer(void **state)
{
    struct fix *x = *state;
    struct fix_sent6 s;
    struct wire_nd nd;

    hear(x, NS, 0, PEER, US_GROUP, US, fix_peer);
    s = fix_take6(x, FIX_INSIDE, NA);
    assert_memory_equal(s.mac, fix_peer, 6);
    assert_int_equal(s.hop_limit, 255);
    expect_addr(&s.src, US);
    expect_addr(&s.dst, PEER);
    assert_true(wire_nd_parse(s.payload, s.len, &nd));
    assert_true(nd.solicited && nd.override_ && !nd.router && nd.has_mac);
    assert_memory_equal(nd.mac, fix_mac[FIX_INSIDE], 6);
    expect_addr(&nd.target, US);
    fix_send(x, PEER, 20); /* known by its question, verified when used */
    take_segment_to(x, fix_peer);
    fix_advance(x, 5 * CLOCK_SEC);
    take_solicitation(x, PEER);
}

static void test_no_answer(void **state)
{
    struct fix *x = *state;

    hear(x, NS, 0, PEER, "ff02::1:ff00:2", "2001:db8:2::2", fix_peer);   /* not ours */
    hear(x, NS, 0, PEER, "ff02::1:ff00:10", "2001:db8:1::10", fix_peer); /* of outside */
    hear(x, NS, 0, "::", US_GROUP, US, fix_peer); /* no address, yet one for Ethernet */
    hear(x, NS, 0, "::", US, US, NULL);           /* a test of addresses asks the group */
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_int_equal(x->counters.drop_nd_invalid, 2);
}

/* Somebody tries out our address: everybody is told that it is ours. */
static void test_defence(void **state)
{
    struct fix *x = *state;
    struct fix_sent6 s;

    hear(x, NS, 0, "::", US_GROUP, US, NULL);
    s = fix_take6(x, FIX_INSIDE, NA);
    expect_addr(&s.dst, "ff02::1");
    assert_int_equal(s.payload[4], OVERRIDE);
    assert_int_equal(net_neighbour_count(x->net), 0);
    hear(x, NA, OVERRIDE, US, "ff02::1", US, other);
    assert_int_equal(x->counters.nd_conflicts, 1);
    meet(x, PEER); /* we go on */
}

static void test_questions_from_elsewhere_make_no_entry(void **state)
{
    struct fix *x = *state;

    hear(x, NS, 0, "2001:db8:77::1", US_GROUP, US, fix_peer);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 1);
    assert_int_equal(net_neighbour_count(x->net), 0);
}

/* ---- exhaustion: as with ARP ---- */

static const char *host(unsigned i)
{
    static char text[IP_TEXT_MAX];

    snprintf(text, sizeof text, "2001:db8:2::1:%x", i + 1);
    return text;
}

static void test_scan_does_not_exhaust_the_table(void **state)
{
    struct fix *x = *state;

    meet(x, PEER);
    for (unsigned i = 0; i < 3000; i++) {
        fix_send(x, host(i), 20);
        assert_in_range(fix_discard(x, FIX_INSIDE), 0, 1);
    }
    assert_int_equal(x->counters.nd_solicitations_sent, 1 + 255); /* the first met its limit, too */
    assert_int_equal(net_neighbour_count(x->net), 1 + 255);
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
}

static void test_forged_questions_do_not_exhaust_the_table(void **state)
{
    struct fix *x = *state;

    meet(x, PEER);
    for (unsigned i = 0; i < 3000; i++) {
        hear(x, NS, 0, host(i), US_GROUP, US, other);
        fix_discard(x, FIX_INSIDE);
    }
    assert_int_equal(net_neighbour_count(x->net), 768);
    fix_send(x, PEER, 20);
    take_segment_to(x, fix_peer);
}

/* ---- our addresses (RFC 4862, 5.4) ---- */

#define NEW       "2001:db8:3::1"
#define NEW_GROUP "ff02::1:ff00:1"

/* A third interface with an address that is to be tried out; its frames appear on inside. */
static struct stack_iface_config third_config(struct fix *x)
{
    return fix_iface_config(x, FIX_INSIDE, "third", NEW "/64");
}

static void third(struct fix *x, const struct stack_iface_config *c)
{
    assert_int_equal(net_iface_add(x->net, c, x->now, NULL), 2);
}

static void third_hear(struct fix *x, uint8_t type, const char *src, const char *dst,
                       const uint8_t *mac)
{
    const struct fix_nd nd = {type, OVERRIDE, src, dst, NEW, mac};
    struct test_frame f = fix_nd(x, FIX_INSIDE, &nd);

    memcpy(f.b + 6, other, 6);
    fix_frame(x, 2, &f);
}

static bool third_answers(struct fix *x)
{
    third_hear(x, NS, "2001:db8:3::9", NEW_GROUP, fix_peer);
    return fix_discard(x, FIX_INSIDE) != 0;
}

static void test_address_is_tried_out_first(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);
    unsigned probes = 0, reports = 0, announced = 0;

    third(x, &c);
    assert_int_equal(net_tentative_count(x->net), 2); /* this one and the link-local one */
    fix_advance(x, 900 * CLOCK_MS);
    while (fix_waiting(x, FIX_INSIDE) > 0) {
        struct fix_sent6 s = fix_take6(x, FIX_INSIDE, 0);

        expect_addr(&s.src, "::");
        if (s.payload[0] == NS) {
            assert_int_equal(s.len, 24); /* no link-layer address: nobody is to learn anything */
            assert_int_equal(s.hop_limit, 255);
            assert_true(reports > 0); /* the group was joined before */
            probes++;
        } else {
            assert_int_equal(s.payload[8], MLD); /* behind the router alert */
            assert_int_equal(s.hop_limit, 1);
            reports++;
        }
    }
    assert_int_equal(probes, 2);
    assert_int_equal(net_tentative_count(x->net), 2);
    assert_false(third_answers(x));
    fix_advance(x, 1000 * CLOCK_MS);
    while (fix_waiting(x, FIX_INSIDE) > 0)
        announced += fix_take6(x, FIX_INSIDE, 0).payload[0] == NA;
    assert_int_equal(announced, 2);
    assert_int_equal(net_tentative_count(x->net), 0);
    assert_true(third_answers(x));
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(x->counters.nd_conflicts, 0);
}

static void test_duplicate_is_not_used(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);
    struct ip_addr dst = fix_addr("2001:db8:3::9");
    struct net_path path;

    third(x, &c);
    fix_advance(x, 500 * CLOCK_MS);
    third_hear(x, NA, NEW, "ff02::1", other);
    assert_int_equal(x->counters.nd_conflicts, 1);
    assert_int_equal(net_tentative_count(x->net), 1); /* the link-local one */
    fix_advance(x, 5 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_false(third_answers(x));
    assert_int_equal(net_path_find(x->net, &dst, &path), -1);
}

/* The other station answers the next test, too, and is gone before the one after that. */
static void test_duplicate_is_tried_again(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);

    third(x, &c);
    for (unsigned i = 0; i < 2; i++) {
        fix_advance(x, 500 * CLOCK_MS);
        third_hear(x, NA, NEW, "ff02::1", other);
        assert_int_equal(x->counters.nd_conflicts, i + 1);
        for (unsigned k = 0; k < 60; k++) {
            fix_advance(x, CLOCK_SEC);
            fix_discard(x, FIX_INSIDE);
            assert_false(third_answers(x));
        }
    }
    fix_advance(x, CLOCK_SEC);
    fix_advance(x, CLOCK_SEC);
    fix_advance(x, CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_true(third_answers(x));
}

static void test_both_want_it(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);

    third(x, &c);
    fix_advance(x, 500 * CLOCK_MS);
    third_hear(x, NS, "::", NEW_GROUP, NULL);
    fix_advance(x, 5 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(x->counters.nd_conflicts, 1);
    assert_false(third_answers(x));
}

/* A question for its own ends is none of our business while the address is tried out. */
static void test_others_ask_for_a_tentative_address(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);

    third(x, &c);
    assert_false(third_answers(x) && x->counters.nd_advertisements_sent > 0);
    fix_advance(x, 2 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_true(third_answers(x));
}

/* A follower finds out the same without a word. */
static void test_follower_is_silent(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = third_config(x);
    struct ip_addr dst = fix_addr("2001:db8:3::9");
    struct net_path path;

    c.follower = true;
    third(x, &c);
    assert_int_equal(net_path_find(x->net, &dst, &path), -1);
    fix_advance(x, 5 * CLOCK_SEC);
    assert_false(third_answers(x)); /* the leader does */
    assert_int_equal(x->counters.nd_solicitations_received, 1);
    assert_int_equal(net_path_find(x->net, &dst, &path), 0);
    assert_int_equal(x->counters.nd_solicitations_sent, 0);
    assert_int_equal(x->counters.mld_reports_sent, 0);
}

/* ---- groups (RFC 3810) ---- */

static void query(struct fix *x, const char *group, size_t len)
{
    struct test_frame f = fix_ipv6(x, FIX_INSIDE, 0, "fe80::1", "ff02::1");
    struct ip_addr a = fix_addr(group);

    test_frame_append(&f, "\x3a\0\5\2\0\0\1\0", 8);
    test_frame_icmp(&f, 130, 0, 0);
    test_frame_append(&f, a.b, 16);
    test_frame_append(&f, "\2\x7d\0\0", len - 24);
    f.b[TEST_L3 + 7] = 1;
    test_frame_finish(&f);
    fix_frame(x, FIX_INSIDE, &f);
    fix_advance(x, 0);
}

static void test_query(void **state)
{
    struct fix *x = *state;
    struct fix_sent6 s;

    query(x, "::", 28);
    s = fix_take6(x, FIX_INSIDE, 0);
    expect_addr(&s.dst, "ff02::16");
    assert_int_equal(s.src.b[0], 0xfe);
    assert_int_equal(s.payload[8], MLD);
    assert_int_equal(test_frame_get16(s.payload + 8 + 6), 2); /* ours and the link-local one's */
    assert_int_equal(s.payload[8 + 8], WIRE_MLD_IS_EXCLUDE);
    query(x, "ff02::1:ff00:77", 28); /* not ours */
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    fix_advance(x, CLOCK_SEC);
    query(x, US_GROUP, 28);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 1);
}

/* Queries that want an answer at once, as many as there may be, get ten in a second. */
static void test_queries_are_limited(void **state)
{
    struct fix *x = *state;
    unsigned reports = 0;

    for (unsigned i = 0; i < 1000; i++) {
        query(x, "::", 24);
        reports += fix_discard(x, FIX_INSIDE);
        fix_advance(x, CLOCK_MS);
    }
    assert_in_range(reports, 2 * 9, 2 * 11);
}

static void test_query_of_the_first_version(void **state)
{
    struct fix *x = *state;
    unsigned ours = 0;

    query(x, "::", 24);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 2);
    for (unsigned i = 0; i < 2; i++) {
        struct fix_sent6 s = fix_take6(x, FIX_INSIDE, 0);

        assert_int_equal(s.payload[8], 131);
        ours += memcmp(s.mac, us_group_mac, 6) == 0;
    }
    assert_int_equal(ours, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup6, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_solicitation_goes_to_the_group),
        TEST(test_silent_neighbour_is_given_up),
        TEST(test_delay_then_probe),
        TEST(test_confirmation_saves_the_probe),
        TEST(test_advertisement_makes_no_entry),
        TEST(test_override),
        TEST(test_invalid_advertisements),
        TEST(test_stations_only),
        TEST(test_impossible_sources),
        TEST(test_redirects_are_not_followed),
        TEST(test_answer),
        TEST(test_no_answer),
        TEST(test_defence),
        TEST(test_questions_from_elsewhere_make_no_entry),
        TEST(test_scan_does_not_exhaust_the_table),
        TEST(test_forged_questions_do_not_exhaust_the_table),
        TEST(test_address_is_tried_out_first),
        TEST(test_duplicate_is_not_used),
        TEST(test_duplicate_is_tried_again),
        TEST(test_both_want_it),
        TEST(test_others_ask_for_a_tentative_address),
        TEST(test_follower_is_silent),
        TEST(test_query),
        TEST(test_queries_are_limited),
        TEST(test_query_of_the_first_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
