/* ARP packets: what is answered, what is believed. */
#include "tests/unit/stack/test_net_fixture.h"

#include "base/log.h"

static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x99};

static void test_request_for_us_is_answered(void **state)
{
    struct fix *x = *state;
    struct wire_arp reply;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 1);
    reply = fix_take_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, "192.0.2.10", "192.0.2.1");
    assert_memory_equal(reply.target_mac, fix_peer, 6);
    assert_int_equal(x->counters.arp_requests_received, 1);
    assert_int_equal(x->counters.arp_replies_sent, 1);
    assert_int_equal(net_neighbour_count(x->net), 1);
}

/* Who asks for us needs no question back. */
static void test_request_for_us_teaches(void **state)
{
    struct fix *x = *state;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    fix_send(x, "192.0.2.1", 20);
    fix_take_ipv4_to(x, FIX_OUTSIDE, fix_peer);
    assert_int_equal(x->counters.arp_requests_sent, 0);
}

static void test_request_for_another_is_not_answered(void **state)
{
    struct fix *x = *state;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.11");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "10.0.0.1"); /* inside's */
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_int_equal(x->counters.arp_requests_received, 0);
}

/* RFC 5227, 2.1.1: a probe asks from 0.0.0.0; it is answered and teaches nothing. */
static void test_probe(void **state)
{
    struct fix *x = *state;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "0.0.0.0", "192.0.2.10");
    fix_take_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, "192.0.2.10", "0.0.0.0");
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_int_equal(x->counters.arp_conflicts, 0);
}

static void test_strangers_are_not_learned(void **state)
{
    static const char *const strangers[] = {"198.51.100.1", "192.0.2.255", "192.0.2.0",
                                            "10.0.0.5",     "224.0.0.1",   "127.0.0.1"};
    struct fix *x = *state;

    for (unsigned i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, strangers[i], "192.0.2.10");
    assert_int_equal(net_neighbour_count(x->net), 0);
}

static void test_unsolicited_reply_makes_no_entry(void **state)
{
    struct fix *x = *state;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, fix_peer, "192.0.2.1", "192.0.2.1");
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_int_equal(x->counters.arp_replies_received, 0);
    fix_send(x, "192.0.2.1", 20);
    fix_take_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, "192.0.2.10", "192.0.2.1");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, fix_peer, "192.0.2.1", "192.0.2.10");
    assert_int_equal(x->counters.arp_replies_received, 1);
}

/* RFC 826: what is known is corrected by whatever is heard. It is asked at the next use, though. */
static void test_announcement_moves_a_known_neighbour(void **state)
{
    struct fix *x = *state;
    struct wire_arp probe;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_peer, "192.0.2.1", "192.0.2.10");
    fix_discard(x, FIX_OUTSIDE);
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, other, "192.0.2.1", "192.0.2.1");
    fix_send(x, "192.0.2.1", 20);
    probe = fix_take_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, "192.0.2.10", "192.0.2.1");
    assert_memory_equal(probe.target_mac, other, 6);
    fix_take_ipv4_to(x, FIX_OUTSIDE, other);
}

static void test_conflict(void **state)
{
    struct fix *x = *state;

    log_level_set(LOG_LEVEL_ERROR);
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, other, "192.0.2.10", "192.0.2.1");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REPLY, other, "192.0.2.10", "192.0.2.10");
    log_level_set(LOG_LEVEL_INFO);
    assert_int_equal(x->counters.arp_conflicts, 2);
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
}

static void test_impossible_senders(void **state)
{
    static const uint8_t none[6], group[6] = {3, 0, 0, 0, 0, 1};
    struct fix *x = *state;

    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, none, "192.0.2.1", "192.0.2.10");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, group, "192.0.2.1", "192.0.2.10");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_broadcast, "192.0.2.1", "192.0.2.10");
    fix_arp(x, FIX_OUTSIDE, WIRE_ARP_REQUEST, fix_mac[FIX_OUTSIDE], "192.0.2.1", "192.0.2.10");
    assert_int_equal(x->counters.drop_arp_invalid, 4);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
    assert_int_equal(net_neighbour_count(x->net), 0);
}

static void test_frame_for_another_station(void **state)
{
    struct fix *x = *state;
    struct test_frame f;

    test_frame_ether(&f, other, fix_peer, 0x0806);
    test_frame_arp(&f, 1, fix_peer, "192.0.2.1", fix_mac[FIX_OUTSIDE], "192.0.2.10");
    fix_frame(x, FIX_OUTSIDE, &f);
    assert_int_equal(x->counters.drop_ethernet_address, 1);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 0);
}

/* RFC 5227, 2.3: two announcements, two seconds apart. */
static void test_addresses_are_announced(void **state)
{
    struct fix *x = *state;
    struct stack_iface_config c = fix_iface_config(x, FIX_OUTSIDE, "third", "172.16.0.1/16");

    c.addr_count = 2;
    assert_int_equal(ip_prefix_parse("172.16.0.2/16", &c.addrs[1]), 0);
    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    assert_int_equal(fix_waiting(x, FIX_OUTSIDE), 2);
    fix_discard(x, FIX_OUTSIDE);
    assert_int_equal(net_deadline(x->net), x->now + 2 * CLOCK_SEC);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(fix_discard(x, FIX_OUTSIDE), 2);
    assert_true(net_deadline(x->net) == CLOCK_NEVER);
    assert_int_equal(x->counters.arp_requests_sent, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_request_for_us_is_answered),
        TEST(test_request_for_us_teaches),
        TEST(test_request_for_another_is_not_answered),
        TEST(test_probe),
        TEST(test_strangers_are_not_learned),
        TEST(test_unsolicited_reply_makes_no_entry),
        TEST(test_announcement_moves_a_known_neighbour),
        TEST(test_conflict),
        TEST(test_impossible_senders),
        TEST(test_frame_for_another_station),
        TEST(test_addresses_are_announced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
