/* Buffers that follow their path: how they grow, what they do not follow, when they shrink. */
#include "stack/tcp/tcp_conn.h"
#include "tests/unit/stack/tcp_script.h"

#define MSS 1460u
#define RTT (50 * CLOCK_MS)

static struct script *s;
static struct script_conn *c;

static void begin(const struct script_config *config, const struct sock_options *options)
{
    struct sock *l;

    s = script_create(config);
    c = script_conn(s);
    c->wscale = 7;
    l = script_listen(s, 80, 4, options);
    script_send(c, TCP_SYN, 0, 0, 0);
    script_discard(s);
    script_advance(s, RTT);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static uint32_t at; /* of the peer's stream */

/* A round trip in which the peer brings and the reader takes so many segments. */
static void round_of(unsigned segments)
{
    for (unsigned i = 0; i < segments; i++, at += MSS)
        script_send(c, TCP_ACK, at, 1, MSS);
    script_advance(s, RTT);
    assert_int_equal(script_read(c, segments * MSS), segments * MSS);
    script_flush(s);
    script_discard(s);
}

/* ---- receiving ---- */

static void test_start(void **state)
{
    (void)state;
    begin(NULL, NULL);
    assert_int_equal(script_info(c).receive_buffer, 65536);
    assert_int_equal(script_info(c).send_buffer, 65536);
    assert_in_range(script_info(c).receive_window, 65535, 65536);
}

/* Room for twice what a round trip brought, and for four times the gain when that grows. */
static void test_grows(void **state)
{
    uint32_t expected;

    (void)state;
    at = 1;
    begin(NULL, NULL);
    round_of(20);
    round_of(40);
    expected = 6 * 40 * MSS + 16 * MSS;
    assert_in_range(script_info(c).receive_buffer, expected * 9 / 10, expected + MSS);
    assert_in_range(script_info(c).receive_window, expected * 8 / 10, expected + MSS);
    for (unsigned i = 0; i < 10; i++)
        round_of(40);
    assert_in_range(script_info(c).receive_buffer, expected * 9 / 10, expected + MSS);
}

/* Up to the bound, and the window scale is such that all of it can be offered. */
static void test_bound(void **state)
{
    const struct script_config config = {.tcp.receive_buffer_max = 100000};

    (void)state;
    at = 1;
    begin(&config, NULL);
    for (unsigned i = 0; i < 5; i++)
        round_of(40);
    assert_int_equal(script_info(c).receive_buffer, 100000);
}

static void test_scale(void **state)
{
    const struct script_config config = {.tcp.receive_buffer_max = 64 << 20};
    const struct script_segment *g;

    (void)state;
    s = script_create(&config);
    c = script_conn(s);
    c->wscale = 7;
    script_listen(s, 80, 4, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_next(s);
    assert_non_null(g);
    assert_int_equal(g->tcp.wscale, 11);
}

/* A reader that takes little gets little, however much waits for it. */
static void test_slow_reader(void **state)
{
    (void)state;
    at = 1;
    begin(NULL, NULL);
    for (unsigned i = 0; i < 40; i++, at += MSS)
        script_send(c, TCP_ACK, at, 1, MSS);
    for (unsigned i = 0; i < 20; i++) {
        script_advance(s, RTT);
        script_read(c, MSS);
    }
    assert_int_equal(script_info(c).receive_buffer, 65536);
    script_discard(s);
}

static void test_receive_fixed(void **state)
{
    (void)state;
    at = 1;
    begin(NULL, &(struct sock_options){.receive_buffer = 70000, .send_buffer = 5000});
    for (unsigned i = 0; i < 5; i++)
        round_of(40);
    assert_int_equal(script_info(c).receive_buffer, 70000);
    assert_int_equal(script_info(c).send_buffer, 5000);
}

/* After a rest it begins anew; the edge of what was offered stays where it was. */
static void test_rest(void **state)
{
    uint32_t edge;

    (void)state;
    at = 1;
    begin(NULL, NULL);
    for (unsigned i = 0; i < 5; i++)
        round_of(40);
    assert_true(script_info(c).receive_buffer > 100000);
    edge = at + script_info(c).receive_window;
    script_advance(s, 6 * CLOCK_SEC);
    round_of(1);
    assert_int_equal(script_info(c).receive_buffer, 65536);
    assert_true(at + script_info(c).receive_window >= edge);
    for (unsigned i = 0; i < 5; i++)
        round_of(40);
    assert_true(script_info(c).receive_buffer > 100000);
}

/* A reader that has stalled for so long, with all of it waiting, is not one that rests. */
static void test_stalled_reader(void **state)
{
    uint32_t before;

    (void)state;
    at = 1;
    begin(NULL, NULL);
    for (unsigned i = 0; i < 5; i++)
        round_of(40);
    before = script_info(c).receive_buffer;
    for (unsigned i = 0; i < 60; i++, at += MSS)
        script_send(c, TCP_ACK, at, 1, MSS);
    script_advance(s, 6 * CLOCK_SEC);
    script_read(c, 10);
    assert_int_equal(script_info(c).receive_buffer, before);
    script_discard(s);
}

/* ---- sending ---- */

static uint32_t acked; /* of our stream */

static void send_round(void)
{
    while (script_write(c, 65536) == 65536)
        ;
    script_advance(s, RTT);
    for (const struct script_segment *g; (g = script_next(s)) != NULL;)
        acked = g->tcp.seq + g->len - c->stack_iss;
    script_send(c, TCP_ACK, 1, acked, 0);
}

/* Twice the congestion window. */
static void test_send(void **state)
{
    const struct script_config config = {.tcp.send_buffer_max = 300000};

    (void)state;
    begin(&config, NULL);
    c->window = 60000;
    while (script_info(c).cwnd < 60 * MSS)
        send_round();
    assert_int_equal(script_info(c).send_buffer, 2 * script_info(c).cwnd);
    while (script_info(c).cwnd < 120 * MSS)
        send_round();
    assert_int_equal(script_info(c).send_buffer, 300000);
    while (sock_unacknowledged(c->sock) > 0) {
        script_advance(s, RTT);
        for (const struct script_segment *g; (g = script_next(s)) != NULL;)
            acked = g->tcp.seq + g->len - c->stack_iss;
        script_send(c, TCP_ACK, 1, acked, 0);
    }
    script_advance(s, 6 * CLOCK_SEC);
    script_write(c, 10);
    assert_int_equal(script_info(c).send_buffer, 65536);
    script_discard(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_start, teardown),
        cmocka_unit_test_teardown(test_grows, teardown),
        cmocka_unit_test_teardown(test_bound, teardown),
        cmocka_unit_test_teardown(test_scale, teardown),
        cmocka_unit_test_teardown(test_slow_reader, teardown),
        cmocka_unit_test_teardown(test_receive_fixed, teardown),
        cmocka_unit_test_teardown(test_rest, teardown),
        cmocka_unit_test_teardown(test_stalled_reader, teardown),
        cmocka_unit_test_teardown(test_send, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
