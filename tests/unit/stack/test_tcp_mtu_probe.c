/* Paths that take less than their link and do not say so: RFC 4821. */
#include "tests/unit/stack/tcp_script.h"

#define FULL  1460
#define SMALL 984 /* of a packet of 1,024 bytes */

static struct script *s;
static struct script_conn *c;
static struct sock *listener;

static void begin(enum stack_mtu_probing probing, bool sack)
{
    s = script_create(&(struct script_config){.tcp = {.mtu_probing = probing, .pacing_off = true}});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    c->sack = sack;
    script_establish(c, listener);
}

static int setup(void **state)
{
    (void)state;
    begin(STACK_MTU_PROBING_BLACK_HOLE, true);
    return 0;
}

static int setup_no_sack(void **state)
{
    (void)state;
    begin(STACK_MTU_PROBING_BLACK_HOLE, false);
    return 0;
}

static int setup_always(void **state)
{
    (void)state;
    begin(STACK_MTU_PROBING_ALWAYS, true);
    return 0;
}

static int setup_off(void **state)
{
    (void)state;
    begin(STACK_MTU_PROBING_OFF, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

/* Time passes, and nothing is acknowledged. Returns the largest payload of the last frame. */
static uint32_t silence(clock_ns time)
{
    const struct script_segment *g;
    uint32_t last = 0;

    script_advance(s, time);
    while ((g = script_next(s)) != NULL)
        last = g->len;
    return last;
}

/* The end of what was sent so far. */
static uint32_t last_sent(void)
{
    const struct script_segment *g;
    uint32_t end = 0;

    while ((g = script_next(s)) != NULL)
        end = g->tcp.seq + g->len - c->stack_iss;
    return end;
}

/* To a connection that has found a black hole, and has everything acknowledged; probes are due. */
static void find_black_hole(void)
{
    script_write(c, FULL);
    silence(2 * CLOCK_SEC);
    script_send(c, TCP_ACK, 1, 1 + FULL, 0);
    assert_int_equal(script_info(c).path_mtu, 1024);
    for (unsigned round = 0; round < 6; round++) { /* the congestion window grows again */
        script_write(c, 10000);
        while (sock_unacknowledged(c->sock) > 0)
            script_send(c, TCP_ACK, 1, last_sent(), 0);
    }
    script_advance(s, 6 * CLOCK_SEC);
    assert_int_equal(script_discard(s), 0);
}

/* Writes, and expects a probe of `probe` bytes and what follows it. Returns its sequence number. */
static uint32_t expect_probe(uint32_t probe, uint32_t behind)
{
    uint32_t seq = (uint32_t)c->written + 1, at = seq + probe;

    script_write(c, probe + 4 * behind);
    script_expect(c, TCP_ACK, seq, 1, probe);
    for (unsigned i = 0; i < 4; i++, at += behind)
        script_expect(c, TCP_ACK, at, 1, behind);
    script_expect_none(s);
    return seq;
}

/* A third timeout of a full segment says that it is too large, further ones that even less passes;
 * until something does. */
static void test_black_hole(void **state)
{
    (void)state;
    script_write(c, FULL);
    assert_int_equal(silence(1000 * CLOCK_MS), FULL);
    assert_int_equal(script_info(c).path_mtu, 1500);
    silence(1500 * CLOCK_MS);
    assert_int_equal(script_info(c).path_mtu, 1024);
    silence(3000 * CLOCK_MS);
    assert_int_equal(script_info(c).path_mtu, 552);
    silence(60 * CLOCK_SEC);
    assert_int_equal(script_info(c).path_mtu, 552);
    assert_int_equal(script_counters(s)->mtu_black_holes, 2);
    script_send(c, TCP_ACK, 1, 1 + FULL, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
}

/* What is small was lost for another reason. */
static void test_small_segments(void **state)
{
    (void)state;
    script_write(c, 500);
    silence(60 * CLOCK_SEC);
    assert_int_equal(script_info(c).path_mtu, 1500);
    assert_int_equal(script_counters(s)->mtu_black_holes, 0);
}

static void test_off(void **state)
{
    (void)state;
    script_write(c, FULL);
    assert_int_equal(silence(60 * CLOCK_SEC), FULL);
    assert_int_equal(script_info(c).path_mtu, 1500);
}

/* It was something else, after all: the first probe shows it. */
static void test_probe_passes(void **state)
{
    (void)state;
    find_black_hole();
    expect_probe(FULL, SMALL);
    assert_int_equal(script_info(c).path_mtu, 1024);
    script_send(c, TCP_ACK, 1, (uint32_t)c->written + 1, 0);
    assert_int_equal(script_info(c).path_mtu, 1500);
    script_write(c, 20 * FULL);
    assert_int_equal(script_next(s)->len, FULL);
    script_discard(s);
    assert_int_equal(script_counters(s)->mtu_probes_sent, 1);
    assert_int_equal(script_counters(s)->mtu_probes_lost, 0);
}

/* A lost probe is sent again in smaller segments, and no window shrinks; the next one is of the
 * middle. */
static void test_probe_lost(void **state)
{
    uint32_t seq, end, cwnd;

    (void)state;
    find_black_hole();
    cwnd = script_info(c).cwnd;
    seq = expect_probe(FULL, SMALL);
    end = seq + FULL + 4 * SMALL;
    script_send_sack(c, seq, 1, (uint32_t[]){seq + FULL, end});
    script_advance(s, 50 * CLOCK_MS); /* reordering is given its time */
    script_expect(c, TCP_ACK, seq, 1, SMALL);
    script_expect(c, TCP_ACK, seq + SMALL, 1, FULL - SMALL);
    script_send(c, TCP_ACK, 1, end, 0);
    assert_int_equal(script_info(c).path_mtu, 1024);
    assert_true(script_info(c).cwnd >= cwnd);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 0);
    assert_int_equal(script_counters(s)->mtu_probes_lost, 1);
    expect_probe(1262 - 40, SMALL);
    script_send(c, TCP_ACK, 1, (uint32_t)c->written + 1, 0);
    assert_int_equal(script_info(c).path_mtu, 1262);
    expect_probe((1262 + 1499 + 1) / 2 - 40, 1262 - 40);
}

/* The same told by duplicates alone: all of the probe goes out again, not only what they name. */
static void test_probe_lost_without_sack(void **state)
{
    uint32_t seq, cwnd;

    (void)state;
    find_black_hole();
    cwnd = script_info(c).cwnd;
    seq = expect_probe(FULL, SMALL);
    for (unsigned i = 0; i < 4; i++)
        script_send(c, TCP_ACK, 1, seq, 0);
    script_expect(c, TCP_ACK, seq, 1, SMALL);
    script_expect(c, TCP_ACK, seq + SMALL, 1, FULL - SMALL);
    script_send(c, TCP_ACK, 1, seq + FULL + 4 * SMALL, 0);
    assert_true(script_info(c).cwnd >= cwnd);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 0);
    assert_int_equal(script_counters(s)->mtu_probes_lost, 1);
}

/* When something else is lost with it, that is congestion as ever. */
static void test_more_than_the_probe_lost(void **state)
{
    uint32_t seq, end;

    (void)state;
    find_black_hole();
    seq = expect_probe(FULL, SMALL);
    end = seq + FULL + 4 * SMALL;
    script_send_sack(c, seq, 1, (uint32_t[]){seq + FULL + SMALL, end});
    script_advance(s, 50 * CLOCK_MS);
    script_discard(s);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    assert_int_equal(script_counters(s)->mtu_probes_lost, 1);
}

/* What is left to be found is not worth more probes: for ten minutes. */
static void test_rest(void **state)
{
    unsigned probes;

    (void)state;
    find_black_hole();
    for (probes = 0; probes < 20; probes++) {
        uint32_t seq = (uint32_t)c->written + 1, end;
        const struct script_segment *g;

        script_write(c, 8000);
        end = (uint32_t)c->written + 1;
        g = script_next(s);
        if (g->len <= SMALL)
            break;
        script_send_sack(c, seq, 1, (uint32_t[]){seq + g->len, end});
        script_advance(s, 50 * CLOCK_MS);
        script_send(c, TCP_ACK, 1, end, 0);
        script_discard(s);
    }
    assert_in_range(probes, 4, 8);
    assert_int_equal(script_info(c).path_mtu, 1024);
    script_discard(s);
    script_send(c, TCP_ACK, 1, (uint32_t)c->written + 1, 0);
    script_advance(s, 601 * CLOCK_SEC);
    expect_probe(FULL, SMALL);
}

/* From the start, where that is wanted: small segments first, and probes as soon as there is data
 * for them. */
static void test_always(void **state)
{
    (void)state;
    assert_int_equal(script_info(c).path_mtu, 1024);
    expect_probe(FULL, SMALL);
    script_send(c, TCP_ACK, 1, (uint32_t)c->written + 1, 0);
    assert_int_equal(script_info(c).path_mtu, 1500);
}

/* A router that does speak bounds the search. */
static void test_too_big_bounds_the_search(void **state)
{
    uint32_t seq;

    (void)state;
    seq = expect_probe(FULL, SMALL);
    script_icmp(c, 3, 4, 1400, seq);
    assert_int_equal(script_info(c).path_mtu, 1024);
    script_send_sack(c, seq, 1, (uint32_t[]){seq + FULL, (uint32_t)c->written + 1});
    script_advance(s, 50 * CLOCK_MS);
    script_discard(s);
    script_send(c, TCP_ACK, 1, (uint32_t)c->written + 1, 0);
    script_write(c, 20 * FULL);
    assert_in_range(script_next(s)->len, SMALL + 1, 1400 - 40);
    script_discard(s);
}

int main(void)
{
#define TEST(name, begin) cmocka_unit_test_setup_teardown(name, begin, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_black_hole, setup),
        TEST(test_small_segments, setup),
        TEST(test_off, setup_off),
        TEST(test_probe_passes, setup),
        TEST(test_probe_lost, setup),
        TEST(test_probe_lost_without_sack, setup_no_sack),
        TEST(test_more_than_the_probe_lost, setup),
        TEST(test_rest, setup),
        TEST(test_always, setup_always),
        TEST(test_too_big_bounds_the_search, setup_always),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
