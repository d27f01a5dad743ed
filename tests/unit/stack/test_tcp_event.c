/*
 * Events and the lifetime of sockets (stack/event.h, stack/socket.h).
 */
#include "tests/unit/stack/tcp_script.h"

static struct script *s;
static struct script_conn *c;
static struct sock *listener;

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    listener = script_listen(s, 80, 16, &(struct sock_options){.send_buffer = 9000});
    c = script_conn(s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* Once for each change, not for as long as there is something. */
static void test_edge_triggered(void **state)
{
    (void)state;
    script_establish(c, listener);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, TCP_ACK, 1, 1, 10);
    assert_int_equal(script_events(s, c->sock), EVENT_READABLE);
    script_advance(s, CLOCK_SEC);
    assert_int_equal(script_events(s, c->sock), 0);
    script_read(c, 5);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, TCP_ACK, 11, 1, 10);
    assert_int_equal(script_events(s, c->sock), EVENT_READABLE);
    script_send(c, TCP_ACK, 11, 1, 10); /* old */
    script_send(c, TCP_ACK, 31, 1, 10); /* ahead of a gap */
    assert_int_equal(script_events(s, c->sock), 0);
    script_discard(s);
}

/* What happens to one socket in a burst is one event. */
static void test_collected(void **state)
{
    struct event e;

    (void)state;
    script_establish(c, listener);
    script_hold(s);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_send(c, TCP_ACK, 11, 1, 10);
    script_send(c, TCP_FIN | TCP_ACK, 21, 1, 0);
    script_send(c, TCP_RST, 22, 0, 0);
    script_release(s);
    assert_int_equal(script_events(s, c->sock), EVENT_READABLE | EVENT_ERROR);
    assert_false(event_next(script_stack(s), &e));
    assert_int_equal(script_read(c, 100), 20);
    sock_close(c->sock);
}

/* Data that came before the owner has set its pointer is told then. */
static void test_before_user_set(void **state)
{
    struct event e;
    struct sock *k;

    (void)state;
    script_handshake(c);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_events(s, listener);
    k = sock_accept(listener);
    assert_null(sock_user(k));
    assert_false(event_next(script_stack(s), &e));
    sock_user_set(k, c);
    assert_true(event_next(script_stack(s), &e));
    assert_ptr_equal(e.sock, k);
    assert_ptr_equal(e.user, c);
    assert_int_equal(e.what, EVENT_READABLE);
    script_discard(s);
}

/* A reset between accept and setting the pointer as well. */
static void test_reset_before_user_set(void **state)
{
    struct sock *k;

    (void)state;
    script_handshake(c);
    k = sock_accept(listener);
    script_send(c, TCP_RST, 1, 0, 0);
    sock_user_set(k, c);
    assert_int_equal(script_events(s, k), EVENT_ERROR);
    assert_int_equal(sock_error(k), SOCK_RESET);
    sock_close(k);
}

/* An event that waits is dropped with its socket, be it closed or aborted, by the handler of
 * another one; the rest stay in their order. */
static void test_dropped_on_close(void **state)
{
    struct script_conn *k[5];
    struct event e;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        k[i] = script_conn(s);
        script_establish(k[i], listener);
    }
    script_events_leave(s);
    script_hold(s);
    for (unsigned i = 0; i < 5; i++)
        script_send(k[i], i % 2 == 0 ? TCP_RST : TCP_ACK, 1, 1, i % 2 == 0 ? 0 : 10);
    script_release(s);
    assert_true(event_next(script_stack(s), &e));
    assert_ptr_equal(e.sock, k[0]->sock);
    sock_close(k[0]->sock);
    sock_abort(k[1]->sock);
    sock_close(k[2]->sock);
    assert_true(event_next(script_stack(s), &e));
    assert_ptr_equal(e.sock, k[3]->sock);
    assert_int_equal(e.what, EVENT_READABLE);
    assert_true(event_next(script_stack(s), &e));
    assert_ptr_equal(e.sock, k[4]->sock);
    assert_int_equal(e.what, EVENT_ERROR);
    assert_false(event_next(script_stack(s), &e));
    sock_close(k[4]->sock);
    assert_int_equal(script_usage(s).connections_used, 1);
    script_discard(s);
}

/* A cut-short write is followed by an event when a third of the buffer is free again. */
static void test_writable(void **state)
{
    (void)state;
    script_establish(c, listener);
    assert_int_equal(script_write(c, 20000), 9000);
    assert_int_equal(script_write(c, 1), 0);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, TCP_ACK, 1, 1 + 1460, 0);
    assert_int_equal(script_events(s, c->sock), 0);
    script_send(c, TCP_ACK, 1, 1 + 3000, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_WRITABLE);
    script_send(c, TCP_ACK, 1, 1 + 4380, 0);
    assert_int_equal(script_events(s, c->sock), 0);
    assert_int_equal(script_write(c, 20000), 4380);
    script_discard(s);
}

/* sock_writable() that says 0 is such a wish as well. */
static void test_writable_asked(void **state)
{
    (void)state;
    script_establish(c, listener);
    assert_int_equal(script_write(c, 9000), 9000);
    script_events(s, c->sock);
    assert_int_equal(sock_writable(c->sock), 0);
    script_send(c, TCP_ACK, 1, 1 + 8760, 0);
    assert_int_equal(script_events(s, c->sock), EVENT_WRITABLE);
    script_discard(s);
}

/* Nobody asked: no event. After a shutdown there is none either. */
static void test_not_writable(void **state)
{
    (void)state;
    script_establish(c, listener);
    script_write(c, 100);
    script_send(c, TCP_ACK, 1, 101, 0);
    assert_int_equal(script_events(s, c->sock), 0);
    script_write(c, 20000);
    sock_shutdown(c->sock);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 8861, 0);
    assert_int_equal(script_events(s, c->sock), 0);
    script_discard(s);
}

/* A dead socket answers every call until it is closed. */
static void test_dead_socket(void **state)
{
    struct ip_endpoint at;
    struct sock_info info;
    uint8_t byte = 0;

    (void)state;
    script_establish(c, listener);
    script_send(c, TCP_RST, 1, 0, 0);
    assert_int_equal(sock_state(c->sock), TCP_CLOSED);
    assert_int_equal(sock_write(c->sock, &byte, 1), 0);
    assert_int_equal(sock_writable(c->sock), 0);
    assert_int_equal(sock_read(c->sock, &byte, 1), 0);
    assert_int_equal(sock_peek(c->sock, 0, &byte, 1), 0);
    sock_skip(c->sock, 1);
    assert_int_equal(sock_splice(c->sock, c->sock, 1), 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
    assert_false(sock_eof(c->sock));
    sock_shutdown(c->sock);
    sock_local(c->sock, &at);
    assert_int_equal(at.port, 80);
    sock_remote(c->sock, &at);
    assert_int_equal(at.port, c->peer_port);
    sock_info(c->sock, &info);
    script_advance(s, CLOCK_SEC);
    script_expect_none(s);
    assert_int_equal(script_events(s, c->sock), EVENT_ERROR);
    sock_abort(c->sock);
    assert_int_equal(script_usage(s).connections_used, 0);
}

/* A listener's event, and its end with one waiting. */
static void test_listener(void **state)
{
    struct script_conn *k[3];
    struct event e;

    (void)state;
    script_hold(s);
    for (unsigned i = 0; i < 3; i++) {
        k[i] = script_conn(s);
        script_send(k[i], TCP_SYN, 0, 0, 0);
    }
    script_release(s);
    for (unsigned i = 0; i < 3; i++)
        script_expect(k[i], TCP_SYN | TCP_ACK, 0, 1, 0);
    for (unsigned i = 0; i < 3; i++)
        script_send(k[i], TCP_ACK, 1, 1, 0);
    assert_int_equal(script_events(s, listener), EVENT_ACCEPT);
    assert_int_equal(script_events(s, listener), 0);
    sock_close(listener);
    assert_false(event_next(script_stack(s), &e));
    assert_int_equal(script_discard(s), 3); /* RSTs */
}

static void test_texts(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= SOCK_NOT_YET; i++)
        assert_non_null(sock_error_text((enum sock_error)i));
    for (unsigned i = 0; i <= TCP_TIME_WAIT; i++)
        assert_non_null(tcp_state_name((enum tcp_state)i));
}

/* stack_deadline(): now while something waits, the next timer else, never when there is none. */
static void test_deadline(void **state)
{
    (void)state;
    script_advance(s, 10 * CLOCK_SEC); /* past the announcements of our address */
    assert_true(stack_deadline(script_stack(s)) > script_now(s));
    script_establish(c, listener);
    script_write(c, 10);
    assert_in_range(stack_deadline(script_stack(s)), script_now(s) + CLOCK_MS,
                    script_now(s) + 202 * CLOCK_MS);
    script_discard(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* In batches: in order, no more than asked for, each socket once. */
static void test_taken_in_batches(void **state)
{
    struct script_conn *k[5];
    struct event batch[3];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        k[i] = script_conn(s);
        script_establish(k[i], listener);
    }
    script_events_leave(s);
    script_hold(s);
    for (unsigned i = 0; i < 5; i++) {
        script_send(k[i], TCP_ACK, 1, 1, 10);
        script_send(k[i], TCP_ACK, 11, 1, 10);
    }
    script_release(s);
    assert_int_equal(event_take(script_stack(s), batch, 3), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(batch[i].sock, k[i]->sock);
    sock_close(k[3]->sock); /* not of this batch: it is not in the next one */
    assert_int_equal(event_take(script_stack(s), batch, 3), 1);
    assert_ptr_equal(batch[0].sock, k[4]->sock);
    assert_int_equal(event_take(script_stack(s), batch, 3), 0);
    script_discard(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_edge_triggered),   TEST(test_collected),
        TEST(test_before_user_set),  TEST(test_reset_before_user_set),
        TEST(test_dropped_on_close), TEST(test_taken_in_batches),
        TEST(test_writable),         TEST(test_writable_asked),
        TEST(test_not_writable),     TEST(test_dead_socket),
        TEST(test_listener),         TEST(test_texts),
        TEST(test_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
