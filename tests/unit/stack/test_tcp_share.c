/*
 * Buffers among many connections: peers that stall must not starve those who come after them; and
 * what a bare acknowledgement looks like while the peer's window is closed.
 */
#include "tests/unit/stack/tcp_script.h"

#include <string.h>

#include "stack/tcp/tcp_conn.h"

#define CROWD 60

static struct script *s;

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* Peers that take nothing, and a server that writes whenever there is room. */
static void stall_crowd(struct script_conn *crowd[CROWD], struct sock *listener)
{
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = script_conn(s);
        script_establish(crowd[i], listener);
    }
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < CROWD; i++)
            script_write(crowd[i], 262144);
        script_discard(s);
    }
}

/* Without shares the first few would take all: 60 queues of 256 KiB are ten times the budget. */
static void test_stalled_peers_leave_room(void **state)
{
    struct script_conn *crowd[CROWD], *late;
    struct sock *listener;

    (void)state;
    s = script_create(&(struct script_config){.max_buffers = 1024, .max_connections = 128});
    listener = script_listen(s, 80, 128, NULL);
    stall_crowd(crowd, listener);
    assert_in_range(script_usage(s).buffers_used, 512, 1024 / 16 * 15);
    /* One who comes after them is let in, is read from and is written to. */
    late = script_conn(s);
    script_establish(late, listener);
    script_send(late, TCP_ACK, 1, 1, 1000);
    assert_int_equal(script_read(late, 1000), 1000);
    assert_int_equal(script_write(late, 4000), 4000);
}

/* The writers that were held back are told when the others' peers take something. */
static void test_writers_are_woken(void **state)
{
    struct script_conn *crowd[CROWD], *last;
    struct sock *listener;

    (void)state;
    s = script_create(&(struct script_config){.max_buffers = 1024, .max_connections = 128});
    listener = script_listen(s, 80, 128, NULL);
    stall_crowd(crowd, listener);
    last = crowd[CROWD - 1];
    assert_in_range(last->written, 1460, 20000); /* its share was small */
    assert_int_equal(sock_writable(last->sock), 0);
    script_events(s, last->sock);
    script_send(last, TCP_ACK, 1, 1 + (uint32_t)last->written, 0);
    assert_true((script_events(s, last->sock) & EVENT_WRITABLE) != 0);
    assert_true(sock_writable(last->sock) > 0);
}

/* What sock_writable() promised is taken although the share has shrunk since. */
static void test_promise_is_kept(void **state)
{
    struct script_conn *crowd[CROWD], *one;
    struct sock *listener;
    uint32_t promised;

    (void)state;
    s = script_create(&(struct script_config){.max_buffers = 1024, .max_connections = 128});
    listener = script_listen(s, 80, 128, NULL);
    one = script_conn(s);
    script_establish(one, listener);
    promised = sock_writable(one->sock);
    assert_true(promised > 20000);
    stall_crowd(crowd, listener); /* the share of everybody shrinks */
    assert_int_equal(script_write(one, promised), promised);
    assert_int_equal(sock_writable(one->sock), 0);
}

/* Orphans whose peers take nothing go soon when memory is short, and in their own time otherwise.
 */
static void test_orphans_under_pressure(void **state)
{
    struct script_conn *crowd[CROWD];
    struct sock *listener;

    (void)state;
    s = script_create(&(struct script_config){
        .max_buffers = 1024, .max_connections = 128, .tcp.orphans_max = 128});
    listener = script_listen(s, 80, 128, NULL);
    stall_crowd(crowd, listener);
    for (unsigned i = 0; i < CROWD; i++)
        sock_close(crowd[i]->sock);
    script_advance(s, 9 * CLOCK_SEC);
    script_discard(s);
    assert_true(script_usage(s).buffers_used > 512);
    script_advance(s, 20 * CLOCK_SEC);
    script_discard(s);
    assert_true(script_usage(s).buffers_used <= 512);
    script_advance(s, 200 * CLOCK_SEC); /* their user timeout, at the next retransmission */
    script_discard(s);
    assert_int_equal(script_usage(s).buffers_used, 0);
}

/* So do owned ones, until memory is not short any more; with their owners told. */
static void test_stalled_peers_under_pressure(void **state)
{
    struct script_conn *crowd[CROWD];
    struct sock *listener;
    unsigned ended = 0;

    (void)state;
    s = script_create(&(struct script_config){.max_buffers = 1024, .max_connections = 128});
    listener = script_listen(s, 80, 128, NULL);
    stall_crowd(crowd, listener);
    assert_true(script_usage(s).buffers_used > 768);
    script_advance(s, 9 * CLOCK_SEC);
    script_discard(s);
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(sock_error(crowd[i]->sock), SOCK_OK);
    script_advance(s, 30 * CLOCK_SEC);
    script_discard(s);
    for (unsigned i = 0; i < CROWD; i++)
        ended += sock_error(crowd[i]->sock) == SOCK_TIMED_OUT;
    assert_in_range(ended, 1, CROWD - 10);
    assert_true(script_usage(s).buffers_used <= 768);
}

/*
 * RFC 9293, 3.10.7.4: a peer drops what lies outside its window, and the acknowledgement with it.
 * When the window was closed over data in flight, a bare ACK keeps inside it.
 */
static void test_bare_ack_inside_closed_window(void **state)
{
    struct script_conn *c;
    const struct script_segment *g;

    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    script_establish(c, script_listen(s, 80, 16, NULL));
    script_write(c, 4000);
    script_discard(s);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1461, 1000); /* takes one segment and shuts the window */
    g = script_next(s);
    assert_non_null(g);
    assert_int_equal(g->len, 0);
    assert_int_equal(g->tcp.seq, c->stack_iss + 1461);
    assert_int_equal(g->tcp.ack, c->peer_iss + 1001);
    assert_int_equal(script_read(c, 1000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_stalled_peers_leave_room, teardown),
        cmocka_unit_test_teardown(test_writers_are_woken, teardown),
        cmocka_unit_test_teardown(test_promise_is_kept, teardown),
        cmocka_unit_test_teardown(test_orphans_under_pressure, teardown),
        cmocka_unit_test_teardown(test_stalled_peers_under_pressure, teardown),
        cmocka_unit_test_teardown(test_bare_ack_inside_closed_window, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
