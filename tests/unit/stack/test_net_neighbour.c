/* The neighbour table: asking, waiting, giving up, ageing, and its bounds. */
#include "tests/unit/stack/test_net_fixture.h"

#include <stdio.h>

static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x99};

static void answer(struct fix *x, const char *addr)
{
    fix_arp(x, FIX_INSIDE, WIRE_ARP_REPLY, fix_peer, addr, "10.0.0.1");
}

/* Makes a neighbour known, with nothing left to be taken. */
static void meet(struct fix *x, const char *addr)
{
    fix_send(x, addr, 20);
    answer(x, addr);
    fix_discard(x, FIX_INSIDE);
}

static const char *host(unsigned i)
{
    static char text[IP_TEXT_MAX];

    snprintf(text, sizeof text, "172.16.%u.%u", i / 250, i % 250 + 2);
    return text;
}

/* A third interface with a network large enough to scan; its frames appear on inside. */
static void add_large_network(struct fix *x)
{
    struct stack_iface_config c = fix_iface_config(x, FIX_INSIDE, "large", "172.16.0.1/16");

    assert_int_equal(net_iface_add(x->net, &c, x->now, NULL), 2);
    fix_advance(x, 5 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
}

static void large_answer(struct fix *x, const char *addr)
{
    struct test_frame f;

    test_frame_ether(&f, fix_mac[FIX_INSIDE], fix_peer, 0x0806);
    test_frame_arp(&f, WIRE_ARP_REPLY, fix_peer, addr, fix_mac[FIX_INSIDE], "172.16.0.1");
    fix_frame(x, 2, &f);
}

static void large_meet(struct fix *x, const char *addr)
{
    fix_send(x, addr, 20);
    large_answer(x, addr);
    fix_discard(x, FIX_INSIDE);
}

/* As fix_send(), for a connection that we open. */
static void send_wanted(struct fix *x, const char *dst)
{
    struct ip_addr to = fix_addr(dst);
    struct rte_mbuf *m = rte_pktmbuf_alloc(x->tx_pool);
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &to, &path), 0);
    path.wanted = true;
    memset(rte_pktmbuf_append(m, 20), 'x', 20);
    net_send(x->net, &path, &path.src, &to, WIRE_IP_PROTO_TCP, EGRESS_DATA, m, x->now);
}

/* Many, as fast as they may be asked for. */
static void large_meet_all(struct fix *x, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        large_meet(x, host(i));
        x->now += CLOCK_MS;
    }
}

/* ---- asking ---- */

static void test_packets_wait_for_the_answer_in_order(void **state)
{
    struct fix *x = *state;
    struct wire_arp request;

    for (unsigned len = 20; len < 25; len++)
        fix_send(x, "10.0.0.5", len);
    request = fix_take_arp(x, FIX_INSIDE, WIRE_ARP_REQUEST, "10.0.0.1", "10.0.0.5");
    assert_memory_equal(request.target_mac, fix_broadcast, 6);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    answer(x, "10.0.0.5");
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 5);
    for (unsigned len = 20; len < 25; len++) {
        struct rte_mbuf *m = fix_take(x, FIX_INSIDE, NULL);

        assert_int_equal(m->pkt_len, 34 + len);
        assert_memory_equal(rte_pktmbuf_mtod(m, void *), fix_peer, 6);
        rte_pktmbuf_free(m);
    }
    assert_int_equal(x->counters.arp_requests_sent, 1);
    assert_int_equal(x->counters.arp_replies_received, 1);
    assert_int_equal(x->counters.arp_pending_dropped, 0);
}

static void test_the_latest_packets_are_kept(void **state)
{
    struct fix *x = *state;

    for (unsigned len = 20; len < 32; len++)
        fix_send(x, "10.0.0.5", len);
    assert_int_equal(x->counters.arp_pending_dropped, 4);
    fix_discard(x, FIX_INSIDE);
    answer(x, "10.0.0.5");
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 8);
    for (unsigned len = 24; len < 32; len++) {
        struct rte_mbuf *m = fix_take(x, FIX_INSIDE, NULL);

        assert_int_equal(m->pkt_len, 34 + len);
        rte_pktmbuf_free(m);
    }
}

struct heard {
    unsigned count;
    struct net_error last;
};

static bool hear(void *ctx, const struct net_error *error, clock_ns now)
{
    struct heard *h = ctx;

    (void)now;
    h->count++;
    h->last = *error;
    return true;
}

/* Who sent something to it need not wait for a timeout. */
static void test_senders_hear_of_a_silent_neighbour(void **state)
{
    struct fix *x = *state;
    struct heard heard = {0};
    struct ip_addr us = fix_addr("10.0.0.1"), silent = fix_addr("10.0.0.5");

    net_handler_set(x->net, WIRE_IP_PROTO_TCP, NULL, hear, &heard);
    fix_send(x, "10.0.0.5", 20);
    fix_send(x, "10.0.0.5", 24);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(heard.count, 0);
    fix_advance(x, CLOCK_SEC);
    fix_advance(x, CLOCK_SEC);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.last.kind, NET_ERROR_UNREACHABLE);
    assert_int_equal(heard.last.ip_protocol, WIRE_IP_PROTO_TCP);
    assert_true(ip_equal(&heard.last.local.addr, &us));
    assert_true(ip_equal(&heard.last.remote.addr, &silent));
    assert_int_equal(heard.last.local.port, 'x' << 8 | 'x');
    assert_int_equal(heard.last.seq, 'x' << 24 | 'x' << 16 | 'x' << 8 | 'x');
    fix_discard(x, FIX_INSIDE);
}

static void test_silent_neighbour_is_given_up(void **state)
{
    struct fix *x = *state;

    fix_send(x, "10.0.0.5", 20);
    fix_send(x, "10.0.0.5", 20);
    for (unsigned second = 0; second < 3; second++) {
        assert_int_equal(fix_discard(x, FIX_INSIDE), 1);
        fix_advance(x, CLOCK_SEC);
    }
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(x->counters.arp_requests_sent, 3);
    assert_int_equal(x->counters.arp_failed, 1);
    assert_int_equal(x->counters.arp_pending_dropped, 2);

    fix_send(x, "10.0.0.5", 20); /* held down: dropped without a question */
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
    assert_int_equal(x->counters.arp_pending_dropped, 3);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(net_neighbour_count(x->net), 0);
    fix_send(x, "10.0.0.5", 20);
    assert_int_equal(x->counters.arp_requests_sent, 4);
}

static void test_late_answer_ends_the_hold_down(void **state)
{
    struct fix *x = *state;

    fix_send(x, "10.0.0.5", 20);
    fix_advance(x, 3 * CLOCK_SEC + CLOCK_MS);
    fix_discard(x, FIX_INSIDE);
    answer(x, "10.0.0.5");
    fix_send(x, "10.0.0.5", 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
}

static void test_announcement_answers_too(void **state)
{
    struct fix *x = *state;

    fix_send(x, "10.0.0.5", 20);
    fix_discard(x, FIX_INSIDE);
    fix_arp(x, FIX_INSIDE, WIRE_ARP_REQUEST, other, "10.0.0.5", "10.0.0.5");
    fix_take_ipv4_to(x, FIX_INSIDE, other);
}

/* ---- ageing ---- */

static void test_use_after_silence_probes_by_unicast(void **state)
{
    struct fix *x = *state;
    struct wire_arp probe;

    meet(x, "10.0.0.5");
    fix_advance(x, 59 * CLOCK_SEC);
    fix_send(x, "10.0.0.5", 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);

    fix_advance(x, 1 * CLOCK_SEC);
    fix_send(x, "10.0.0.5", 20);
    probe = fix_take_arp(x, FIX_INSIDE, WIRE_ARP_REQUEST, "10.0.0.1", "10.0.0.5");
    assert_memory_equal(probe.target_mac, fix_peer, 6);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer); /* used all the same */
    answer(x, "10.0.0.5");
    fix_advance(x, 59 * CLOCK_SEC);
    fix_send(x, "10.0.0.5", 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

static void test_unanswered_probe_asks_everybody(void **state)
{
    struct fix *x = *state;
    struct wire_arp request;

    meet(x, "10.0.0.5");
    fix_advance(x, 61 * CLOCK_SEC);
    fix_send(x, "10.0.0.5", 20);
    fix_advance(x, 3 * CLOCK_SEC);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 4); /* three probes and the packet */
    assert_int_equal(x->counters.arp_failed, 1);
    assert_int_equal(net_neighbour_count(x->net), 0);
    fix_send(x, "10.0.0.5", 20);
    request = fix_take_arp(x, FIX_INSIDE, WIRE_ARP_REQUEST, "10.0.0.1", "10.0.0.5");
    assert_memory_equal(request.target_mac, fix_broadcast, 6);
}

/* While TCP makes progress, nothing is asked (RFC 1122, 2.3.2.1). */
static void test_confirmation_saves_the_probe(void **state)
{
    struct fix *x = *state;
    struct ip_addr dst = fix_addr("10.0.0.5");
    struct net_path path;

    meet(x, "10.0.0.5");
    assert_int_equal(net_path_find(x->net, &dst, &path), 0);
    for (unsigned i = 0; i < 10; i++) {
        fix_advance(x, 50 * CLOCK_SEC);
        fix_send(x, "10.0.0.5", 20);
        fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
        net_path_confirm(x->net, &path, x->now);
    }
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);

    fix_advance(x, 61 * CLOCK_SEC);
    fix_send(x, "10.0.0.5", 20); /* probes; the confirmation ends it */
    net_path_confirm(x->net, &path, x->now);
    fix_advance(x, 5 * CLOCK_SEC);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 2);
    assert_int_equal(x->counters.arp_failed, 0);
}

static void test_confirmation_makes_no_entry(void **state)
{
    struct fix *x = *state;
    struct ip_addr dst = fix_addr("10.0.0.5");
    struct net_path path;

    assert_int_equal(net_path_find(x->net, &dst, &path), 0);
    net_path_confirm(x->net, &path, x->now);
    assert_int_equal(net_neighbour_count(x->net), 0);
    fix_send(x, "10.0.0.5", 20);
    net_path_confirm(x->net, &path, x->now);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 1); /* still only the question */
}

static void test_unused_entries_are_forgotten(void **state)
{
    struct fix *x = *state;

    meet(x, "10.0.0.5");
    fix_advance(x, 300 * CLOCK_SEC);
    meet(x, "10.0.0.6");
    fix_advance(x, 299 * CLOCK_SEC);
    assert_int_equal(net_neighbour_count(x->net), 2);
    fix_advance(x, 2 * CLOCK_SEC);
    assert_int_equal(net_neighbour_count(x->net), 1);
    fix_advance(x, 300 * CLOCK_SEC);
    assert_int_equal(net_neighbour_count(x->net), 0);
    assert_true(net_deadline(x->net) == CLOCK_NEVER);
}

/* ---- bounds ---- */

/* A scan leaves entries that carry traffic alone, and a neighbour that exists can still be found.
 */
static void test_scan_does_not_exhaust_the_table(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    meet(x, "10.0.0.5");
    x->counters.arp_requests_sent = 0;
    for (unsigned i = 0; i < 5000; i++) {
        fix_send(x, host(i), 20);
        assert_in_range(fix_discard(x, FIX_INSIDE), 0, 1);
        x->now += CLOCK_MS / 10;
    }
    assert_in_range(x->counters.arp_requests_sent, 700, 800); /* 256, and half a second's worth */
    assert_int_equal(x->counters.arp_limited, 5000 - x->counters.arp_requests_sent);
    assert_int_equal(net_neighbour_count(x->net), 1 + 256);
    assert_int_equal(x->counters.arp_pending_dropped, 5000 - 256);
    fix_advance(x, CLOCK_MS);
    fix_send(x, "10.0.0.5", 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    large_meet(x, host(6000));
    fix_send(x, host(6000), 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    fix_advance(x, 10 * CLOCK_SEC);
    assert_int_equal(net_neighbour_count(x->net), 2);
}

static void test_packets_that_wait_are_bounded_in_all(void **state)
{
    struct fix *x = *state;
    unsigned before = test_mbuf_in_use();

    add_large_network(x);
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned k = 0; k < 8; k++)
            fix_send(x, host(i), 20);
    }
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(test_mbuf_in_use() - before, 256);
    assert_int_equal(x->counters.arp_pending_dropped, 800 - 256);
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(test_mbuf_in_use(), before);
    assert_int_equal(x->counters.arp_pending_dropped, 800);
}

/* TCP gets on with all of them. */
static void confirm_all(struct fix *x, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct ip_addr to = fix_addr(host(i));
        struct net_path path;

        assert_int_equal(net_path_find(x->net, &to, &path), 0);
        net_path_confirm(x->net, &path, x->now);
    }
}

static void test_full_table_forgets_the_least_recently_used(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    large_meet_all(x, 0, 768);
    assert_int_equal(net_neighbour_count(x->net), 768);
    confirm_all(x, 768);
    fix_send(x, host(768), 20); /* all in use: refused */
    assert_int_equal(fix_discard(x, FIX_INSIDE), 0);
    assert_int_equal(x->counters.arp_table_full, 1);

    fix_advance(x, 11 * CLOCK_SEC);
    for (unsigned i = 0; i < 768; i++) {
        if (i != 700)
            fix_send(x, host(i), 20);
    }
    fix_discard(x, FIX_INSIDE);
    large_meet(x, host(768)); /* takes the place of 700 */
    assert_int_equal(net_neighbour_count(x->net), 768);
    x->counters.arp_requests_sent = 0;
    for (unsigned i = 0; i < 769; i++) {
        if (i != 700)
            fix_send(x, host(i), 20);
    }
    assert_int_equal(fix_discard(x, FIX_INSIDE), 768);
    assert_int_equal(x->counters.arp_requests_sent, 0);
}

/* Stations that merely ask for us cannot displace those that we talk to. */
static void test_learned_entries_give_way(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    large_meet_all(x, 0, 500);
    for (unsigned i = 500; i < 3000; i++) {
        struct test_frame f;

        test_frame_ether(&f, fix_broadcast, other, 0x0806);
        test_frame_arp(&f, WIRE_ARP_REQUEST, other, host(i), other, "172.16.0.1");
        fix_frame(x, 2, &f);
        fix_discard(x, FIX_INSIDE);
    }
    assert_int_equal(net_neighbour_count(x->net), 768);
    x->counters.arp_requests_sent = 0;
    for (unsigned i = 0; i < 500; i++)
        fix_send(x, host(i), 20);
    assert_int_equal(x->counters.arp_requests_sent, 0);
    fix_discard(x, FIX_INSIDE);
    large_meet(x, host(5000)); /* and there is room for new ones */
    fix_send(x, host(5000), 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
}

/* A host that has many addresses, and answers for each of them, gets no further than itself. */
static void test_strangers_leave_room_for_those_we_want(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    send_wanted(x, "10.0.0.5");
    answer(x, "10.0.0.5");
    fix_discard(x, FIX_INSIDE);
    fix_advance(x, 11 * CLOCK_SEC); /* a backend at rest */
    large_meet_all(x, 0, 3000);
    assert_int_equal(net_neighbour_count(x->net), 1 + 768);
    assert_int_equal(x->counters.arp_table_full,
                     0); /* nobody confirms them: they displace another */
    x->counters.arp_requests_sent = 0;
    fix_send(x, "10.0.0.5", 20);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    assert_int_equal(x->counters.arp_requests_sent, 0);
    for (unsigned i = 0; i < 300; i++) { /* more than what strangers leave: some have to go */
        send_wanted(x, host(5000 + i));
        large_answer(x, host(5000 + i));
    }
    assert_int_equal(x->counters.arp_table_full, 0);
    assert_int_equal(net_neighbour_count(x->net), 1024);
    fix_discard(x, FIX_INSIDE);
    for (unsigned i = 0; i < 300; i++)
        send_wanted(x, host(5000 + i));
    assert_int_equal(x->counters.arp_requests_sent, 300);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 300);
}

/* Those with whom TCP gets on stay when strangers come whom nobody confirms. */
static void test_the_confirmed_stay(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    large_meet_all(x, 0, 60);
    confirm_all(x, 60);
    large_meet_all(x, 60, 2000);
    x->counters.arp_requests_sent = 0;
    for (unsigned i = 0; i < 60; i++)
        fix_send(x, host(i), 20);
    assert_int_equal(x->counters.arp_requests_sent, 0);
    assert_int_equal(fix_discard(x, FIX_INSIDE), 60);
}

/* A scan takes neither the questions, nor the entries, nor the packets that wait from a connection
 * to a server that is slow to answer. */
static void test_a_scan_does_not_hold_up_a_connection(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    for (unsigned i = 0; i < 600; i++)
        fix_send(x, host(i), 20);
    assert_true(x->counters.arp_limited > 0);
    fix_discard(x, FIX_INSIDE);
    send_wanted(x, "10.0.0.5");
    fix_take_arp(x, FIX_INSIDE, WIRE_ARP_REQUEST, "10.0.0.1", "10.0.0.5");
    for (unsigned i = 600; i < 1500; i++) {
        fix_advance(x, CLOCK_MS);
        fix_send(x, host(i), 20);
    }
    fix_discard(x, FIX_INSIDE);
    answer(x, "10.0.0.5");
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    assert_int_equal(fix_waiting(x, FIX_INSIDE), 0);
}

/* A stranger becomes one that we want, with what waits for it. */
static void test_a_stranger_is_wanted(void **state)
{
    struct fix *x = *state;

    add_large_network(x);
    fix_send(x, "10.0.0.5", 20);
    send_wanted(x, "10.0.0.5");
    for (unsigned i = 0; i < 2000; i++) {
        fix_send(x, host(i), 20);
        x->now += CLOCK_MS;
    }
    fix_discard(x, FIX_INSIDE);
    answer(x, "10.0.0.5");
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    fix_take_ipv4_to(x, FIX_INSIDE, fix_peer);
    fix_advance(x, 10 * CLOCK_SEC);
    fix_discard(x, FIX_INSIDE);
    assert_int_equal(net_neighbour_count(x->net), 1);
}

static void test_destroy_frees_what_waits(void **state)
{
    struct fix *x = *state;

    fix_send(x, "10.0.0.5", 20);
    fix_send(x, "10.0.0.6", 20);
    fix_discard(x, FIX_INSIDE); /* the tear-down counts mbufs */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_packets_wait_for_the_answer_in_order),
        TEST(test_the_latest_packets_are_kept),
        TEST(test_senders_hear_of_a_silent_neighbour),
        TEST(test_silent_neighbour_is_given_up),
        TEST(test_late_answer_ends_the_hold_down),
        TEST(test_announcement_answers_too),
        TEST(test_use_after_silence_probes_by_unicast),
        TEST(test_unanswered_probe_asks_everybody),
        TEST(test_confirmation_saves_the_probe),
        TEST(test_confirmation_makes_no_entry),
        TEST(test_unused_entries_are_forgotten),
        TEST(test_scan_does_not_exhaust_the_table),
        TEST(test_packets_that_wait_are_bounded_in_all),
        TEST(test_full_table_forgets_the_least_recently_used),
        TEST(test_learned_entries_give_way),
        TEST(test_strangers_leave_room_for_those_we_want),
        TEST(test_the_confirmed_stay),
        TEST(test_a_scan_does_not_hold_up_a_connection),
        TEST(test_a_stranger_is_wanted),
        TEST(test_destroy_frees_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
