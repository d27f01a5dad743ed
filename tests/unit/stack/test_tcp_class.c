/*
 * Egress classes and DSCP of connections: where they come from, and that every segment has them,
 * those that a neighbour's address is awaited for included. How classes, and the connections of
 * one, share what room there is.
 */
#include "tests/unit/stack/tcp_script.h"

#define CLASS 5
#define DSCP  46 /* EF */

static const struct sock_options marked = {.egress_class = CLASS, .dscp = DSCP};

static struct script *s;

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void expect_place(const struct script_segment *g, uint8_t egress_class, uint8_t dscp)
{
    assert_int_equal(g->egress_class, egress_class);
    assert_int_equal(g->dscp, dscp);
}

static void test_none(void **state)
{
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 4, NULL);
    c = script_conn(s);
    script_establish(c, l);
    script_write(c, 100);
    expect_place(script_expect(c, TCP_ACK, 1, 1, 100), 0, 0);
}

static void test_connect_has_its_options(void **state)
{
    struct script_conn *c;

    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    script_establish_active(c, &marked);
    script_discard(s);
    script_write(c, 100);
    expect_place(script_expect(c, TCP_ACK, 1, 1, 100), CLASS, DSCP);
    script_send(c, TCP_ACK, 1, 101, 1000);
    expect_place(script_expect(c, TCP_ACK, 101, 1001, 0), CLASS, DSCP);
    sock_shutdown(c->sock);
    script_flush(s);
    expect_place(script_expect(c, TCP_ACK | TCP_FIN, 101, 1001, 0), CLASS, DSCP);
    sock_abort(c->sock);
    expect_place(script_expect(c, TCP_RST | TCP_ACK, 102, 1001, 0), CLASS, DSCP);
}

/* The SYN waits for the neighbour's address first. */
static void test_connect_syn(void **state)
{
    struct ip_endpoint to;
    const struct script_segment *g;
    enum sock_error error;
    struct sock *k;

    (void)state;
    s = script_create(NULL);
    to = script_endpoint(9, 80);
    k = sock_connect(script_stack(s), &to, &marked, NULL, &error);
    assert_non_null(k);
    script_flush(s);
    g = script_next(s);
    assert_non_null(g);
    assert_int_equal(g->tcp.flags, TCP_SYN);
    expect_place(g, CLASS, DSCP);
    sock_close(k);
}

/* What the firewall says goes; a listener's options tell the DSCP only. */
static void test_accepted_has_the_label(void **state)
{
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(&(struct script_config){.label = {.egress_class = 7}});
    l = script_listen(s, 80, 4, &marked);
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    expect_place(script_expect(c, TCP_SYN | TCP_ACK, 0, 1, 0), 7, DSCP);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    script_write(c, 10);
    expect_place(script_expect(c, TCP_ACK, 1, 1, 10), 7, DSCP);
}

static void test_refusal_has_the_label(void **state)
{
    struct script_conn *c;

    (void)state;
    s = script_create(&(struct script_config){.label = {.egress_class = 7}});
    c = script_conn(s);
    script_send(c, TCP_SYN, 0, 0, 0);
    expect_place(script_next(s), 7, 0);
}

/* The socket tells the whole of it; one of our own has none. */
static void test_label(void **state)
{
    struct script_conn *c, *own;
    struct sock *l;

    (void)state;
    s = script_create(&(struct script_config){.label = {.limit = 513, .egress_class = 7}});
    l = script_listen(s, 80, 4, NULL);
    c = script_conn(s);
    script_establish(c, l);
    assert_int_equal(sock_label(c->sock).limit, 513);
    assert_int_equal(sock_label(c->sock).egress_class, 7);
    own = script_conn(s);
    script_establish_active(own, NULL);
    assert_int_equal(sock_label(own->sock).limit, 0);
    assert_int_equal(sock_label(own->sock).egress_class, 0);
}

static bool expected(const struct ip_endpoint *remote, const struct ip_endpoint *local)
{
    const struct packet p = {.kind = PACKET_TCP,
                             .src = remote->addr,
                             .sport = remote->port,
                             .dst = local->addr,
                             .dport = local->port,
                             .tcp = {.flags = TCP_ACK, .seq = 1, .ack = 1}};

    return stack_expects(script_stack(s), &p);
}

static void test_expects(void **state)
{
    struct ip_endpoint local, remote, other;
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 4, NULL);
    c = script_conn(s);
    script_establish(c, l);
    sock_local(c->sock, &local);
    sock_remote(c->sock, &remote);
    other = remote;
    other.port++;
    assert_true(expected(&remote, &local));
    assert_false(expected(&other, &local));
    assert_false(expected(&local, &remote));
    sock_abort(c->sock);
    assert_false(expected(&remote, &local));
}

/* From one segment to the next, what is queued included. */
static void test_set(void **state)
{
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 4, NULL);
    c = script_conn(s);
    script_establish(c, l);
    script_class_room(s, 0, 1);
    script_write(c, 2920);
    expect_place(script_expect(c, TCP_ACK, 1, 1, 1460), 0, 0);
    script_expect_none(s);
    sock_class_set(c->sock, 3, 10);
    script_flush(s);
    expect_place(script_expect(c, TCP_ACK, 1461, 1, 1460), 3, 10);
}

/* ---- turns ---- */

#define TSO \
    (STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT)

static struct script_conn *opened(struct sock *l, uint8_t egress_class)
{
    struct script_conn *c = script_conn(s);

    c->wscale = 6;
    script_establish(c, l);
    sock_class_set(c->sock, egress_class, 0);
    return c;
}

/* Takes what was sent off the wire and acknowledges it; adds the bytes of each connection. */
static void take(struct script_conn *k[], uint32_t sent[], unsigned count)
{
    const struct script_segment *g;

    while ((g = script_next(s)) != NULL) {
        for (unsigned i = 0; i < count; i++) {
            if (g->dport == k[i]->peer_port)
                sent[i] += g->len;
        }
    }
    for (unsigned i = 0; i < count; i++)
        script_send(k[i], TCP_ACK, 1, 1 + sent[i], 0);
    while ((g = script_next(s)) != NULL) {
        for (unsigned i = 0; i < count; i++) {
            if (g->dport == k[i]->peer_port)
                sent[i] += g->len;
        }
    }
}

/* Each round the class has room for few frames. */
static void share(struct script_conn *k[], uint32_t sent[], unsigned count, uint32_t room,
                  unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++)
            script_write(k[i], 100000);
        script_class_room(s, 0, room);
        script_flush(s);
        take(k, sent, count);
    }
}

static void test_blocked_class_blocks_nobody(void **state)
{
    struct script_conn *a, *b;
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 4, NULL);
    a = opened(l, 1);
    b = opened(l, 2);
    script_class_room(s, 1, 0);
    script_write(a, 5000);
    script_write(b, 1000);
    script_expect(b, TCP_ACK, 1, 1, 1000);
    script_expect_none(s);
    /* What the blocked one owes otherwise is sent. */
    script_send(a, TCP_ACK, 1, 1, 100);
    script_expect(a, TCP_ACK, 1, 101, 0);
    script_expect_none(s);
    script_class_room(s, 1, 1);
    script_flush(s);
    script_expect(a, TCP_ACK, 1, 101, 1460);
    script_expect_none(s);
}

/* Frames of one segment and trains of many: the shares are of bytes. */
static void test_shares_are_equal(void **state)
{
    struct script_conn *k[3];
    uint32_t sent[3] = {0};
    struct sock *l;

    (void)state;
    s = script_create(&(struct script_config){.offloads = TSO});
    l = script_listen(s, 80, 8, NULL);
    for (unsigned i = 0; i < 3; i++)
        k[i] = opened(l, 0);
    /* The first one's windows let it send two segments at a time, those of the others grow. */
    k[0]->window = 2920 >> 6;
    share(k, sent, 3, 2, 400);
    assert_in_range(sent[1], sent[2] - 2 * 61440, sent[2] + 2 * 61440);
    assert_true(sent[1] > 20 * 61440);
    /* It cannot have more than its window each round, but that it gets. */
    assert_in_range(sent[0], 90 * 2920, 400 * 2920);
}

static void test_turns_without_offload(void **state)
{
    struct script_conn *k[5];
    uint32_t sent[5] = {0};
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 8, NULL);
    for (unsigned i = 0; i < 5; i++)
        k[i] = opened(l, 0);
    script_room(s, 0);
    share(k, sent, 5, 3, 200);
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(sent[i], 120 * 1460 - 3000, 120 * 1460 + 3000);
}

/* A slow class has no use for frames that keep it busy for long. */
static void test_frame_max(void **state)
{
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(&(struct script_config){.offloads = TSO, .frame_max = 3000});
    l = script_listen(s, 80, 8, NULL);
    c = opened(l, 0);
    script_write(c, 5 * 1460);
    script_expect(c, TCP_ACK, 1, 1, 2920);
    script_expect(c, TCP_ACK, 2921, 1, 2920);
    script_expect(c, TCP_ACK, 5841, 1, 1460);
}

/* Retransmissions wait for room as well. */
static void test_retransmission_waits_for_room(void **state)
{
    struct script_conn *c;
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 8, NULL);
    c = opened(l, 0);
    script_write(c, 1000);
    script_expect(c, TCP_ACK, 1, 1, 1000);
    script_class_room(s, 0, 0);
    script_advance(s, 5 * CLOCK_SEC);
    script_expect_none(s);
    script_class_room(s, 0, 1);
    script_flush(s);
    script_expect(c, TCP_ACK, 1, 1, 1000);
}

/* Whoever ends while it waits leaves the queue in order. */
static void test_end_while_waiting(void **state)
{
    struct script_conn *k[3];
    struct sock *l;

    (void)state;
    s = script_create(NULL);
    l = script_listen(s, 80, 8, NULL);
    for (unsigned i = 0; i < 3; i++)
        k[i] = opened(l, 0);
    script_class_room(s, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        script_write(k[i], 1000);
    sock_abort(k[1]->sock);
    script_expect(k[1], TCP_RST | TCP_ACK, 1, 1, 0);
    script_send(k[0], TCP_RST, 1, 0, 0);
    script_room(s, SCRIPT_UNLIMITED);
    script_flush(s);
    script_expect(k[2], TCP_ACK, 1, 1, 1000);
    script_expect_none(s);
}

/* Classes that are gone share a queue with the default class after a reload: none of them waits
 * for ever behind the others. */
static void test_queue_of_several_classes(void **state)
{
    struct script_conn *c[3];
    unsigned sent[3] = {0};
    struct sock *l;

    (void)state;
    s = script_create(&(struct script_config){.one_queue = true});
    l = script_listen(s, 80, 4, NULL);
    script_room(s, 0);
    for (unsigned i = 0; i < 3; i++) {
        c[i] = script_conn(s);
        script_establish(c[i], l);
        sock_class_set(c[i]->sock, (uint8_t)(7 * i), 0);
        script_write(c[i], 60000);
    }
    script_discard(s);
    for (unsigned turn = 0; turn < 9; turn++) {
        const struct script_segment *g;

        script_room(s, 2);
        script_flush(s);
        while ((g = script_next(s)) != NULL) {
            for (unsigned i = 0; i < 3; i++)
                sent[i] += g->len > 0 && g->dport == c[i]->peer_port;
        }
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sent[i], 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_none),
        TEST(test_connect_has_its_options),
        TEST(test_connect_syn),
        TEST(test_accepted_has_the_label),
        TEST(test_refusal_has_the_label),
        TEST(test_label),
        TEST(test_expects),
        TEST(test_set),
        TEST(test_blocked_class_blocks_nobody),
        TEST(test_shares_are_equal),
        TEST(test_turns_without_offload),
        TEST(test_frame_max),
        TEST(test_retransmission_waits_for_room),
        TEST(test_end_while_waiting),
        TEST(test_queue_of_several_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
