/*
 * Egress classes and DSCP of connections: where they come from, and that every segment has them,
 * those that a neighbour's address is awaited for included.
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
    struct ip_endpoint to = {.port = 80};
    const struct script_segment *g;
    enum sock_error error;
    struct sock *k;

    (void)state;
    s = script_create(NULL);
    assert_int_equal(ip_parse("10.0.0.9", &to.addr), 0);
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

static void test_has_connection(void **state)
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
    assert_true(stack_has_connection(script_stack(s), &remote, &local));
    assert_false(stack_has_connection(script_stack(s), &other, &local));
    assert_false(stack_has_connection(script_stack(s), &local, &remote));
    sock_abort(c->sock);
    assert_false(stack_has_connection(script_stack(s), &remote, &local));
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
        TEST(test_has_connection),
        TEST(test_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
