/*
 * When acknowledgements and small segments go out: delayed and duplicate acknowledgements (RFC
 * 1122, 4.2.3.2; RFC 5681, 4.2), Nagle (RFC 9293, 3.7.4).
 */
#include "tests/unit/stack/tcp_script.h"

#define MSS        1460
#define QUICK_ACKS 16

static struct script *s;
static struct script_conn *c;
static uint32_t seq; /* the next byte of the peer */

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    seq = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void establish(const struct sock_options *options)
{
    script_establish(c, script_listen(s, 80, 4, options));
}

static void segment(uint32_t len)
{
    script_send(c, TCP_ACK, seq, 1, len);
    seq += len;
}

/* Past the first segments, which are acknowledged at once while the peer's window is small. */
static void establish_old(void)
{
    establish(NULL);
    for (unsigned i = 0; i < QUICK_ACKS; i++) {
        segment(1);
        script_expect(c, TCP_ACK, 1, seq, 0);
    }
    script_read(c, QUICK_ACKS);
}

/* ---- delayed acknowledgements ---- */

static void test_delayed_ack(void **state)
{
    clock_ns at;

    (void)state;
    establish_old();
    at = script_now(s);
    segment(100);
    script_expect_none(s);
    script_advance(s, 39 * CLOCK_MS);
    script_expect_none(s);
    script_advance(s, 3 * CLOCK_MS);
    script_assert_at(script_expect(c, TCP_ACK, 1, seq, 0), at + 40 * CLOCK_MS);
    script_advance(s, CLOCK_SEC);
    script_expect_none(s);
}

/* RFC 1122: at least every second full segment, those of a smaller MSS included. */
static void test_every_second_segment(void **state)
{
    (void)state;
    establish_old();
    for (unsigned i = 0; i < 10; i++) {
        uint32_t len = i < 5 ? MSS : 536;

        segment(len);
        script_expect_none(s);
        segment(len);
        script_expect(c, TCP_ACK, 1, seq, 0);
        script_read(c, 2 * len);
    }
}

/* The delay counts from the first segment, not from the latest. */
static void test_delay_is_not_extended(void **state)
{
    clock_ns at;

    (void)state;
    establish_old();
    at = script_now(s);
    for (unsigned i = 0; i < 4; i++) {
        segment(10);
        script_advance(s, 10 * CLOCK_MS + CLOCK_US);
    }
    script_advance(s, 2 * CLOCK_MS);
    script_assert_at(script_expect(c, TCP_ACK, 1, seq, 0), at + 40 * CLOCK_MS);
}

/* Data takes the acknowledgement along. */
static void test_ack_on_data(void **state)
{
    (void)state;
    establish_old();
    segment(100);
    script_write(c, 50);
    script_expect(c, TCP_ACK, 1, seq, 50);
    script_advance(s, 100 * CLOCK_MS);
    script_expect_none(s);
}

/* One answer for a burst in order. */
static void test_burst(void **state)
{
    (void)state;
    establish_old();
    script_hold(s);
    for (unsigned i = 0; i < 20; i++)
        segment(MSS);
    script_release(s);
    script_expect(c, TCP_ACK, 1, seq, 0);
    script_expect_none(s);
}

/* RFC 5681, 4.2: each segment ahead of a gap is answered at once by a duplicate, those of a burst
 * too: the peer counts to three. So is the one that fills the gap. */
static void test_duplicates(void **state)
{
    (void)state;
    establish_old();
    script_hold(s);
    for (uint32_t i = 1; i <= 4; i++)
        script_send(c, TCP_ACK, seq + i * MSS, 1, MSS);
    script_release(s);
    for (unsigned i = 0; i < 4; i++)
        script_expect(c, TCP_ACK, 1, seq, 0);
    script_expect_none(s);
    script_send(c, TCP_ACK, seq, 1, MSS);
    script_expect(c, TCP_ACK, 1, seq + 5 * MSS, 0);
    script_expect_none(s);
}

/* RFC 5681, 4.2: also one that fills a gap in part. */
static void test_gap_filled_in_part(void **state)
{
    (void)state;
    establish_old();
    script_send(c, TCP_ACK, seq + 2000, 1, 100);
    script_expect(c, TCP_ACK, 1, seq, 0);
    segment(1000);
    script_expect(c, TCP_ACK, 1, seq, 0);
}

/* A segment that is wholly old says that an acknowledgement was lost. */
static void test_old_segment(void **state)
{
    (void)state;
    establish_old();
    segment(100);
    script_send(c, TCP_ACK, seq - 100, 1, 100);
    script_expect(c, TCP_ACK, 1, seq, 0);
    script_expect_none(s);
}

/* RFC 9293, 3.8.6.1: a probe of a closed window is answered at once. */
static void test_probe_is_answered(void **state)
{
    (void)state;
    establish(&(struct sock_options){.receive_buffer = 1000});
    segment(1000);
    script_discard(s);
    for (unsigned i = 0; i < 5; i++) {
        script_advance(s, CLOCK_SEC);
        script_send(c, TCP_ACK, seq, 1, 1);
        script_expect(c, TCP_ACK, 1, seq, 0);
        script_advance(s, CLOCK_SEC);
        script_send(c, TCP_ACK, seq - 1, 1, 0);
        script_expect(c, TCP_ACK, 1, seq, 0);
    }
}

/* ---- Nagle ---- */

static void test_nagle_off(void **state)
{
    (void)state;
    establish(NULL);
    for (uint32_t i = 0; i < 5; i++) {
        script_write(c, 10);
        script_expect(c, TCP_ACK, 1 + 10 * i, 1, 10);
    }
}

static void test_nagle_on(void **state)
{
    (void)state;
    establish(&(struct sock_options){.nagle = true});
    script_write(c, 10);
    script_expect(c, TCP_ACK, 1, 1, 10); /* nothing in flight */
    script_write(c, 10);
    script_write(c, 20);
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 11, 0);
    script_expect(c, TCP_ACK, 11, 1, 30); /* together */
    script_write(c, MSS + 5);
    script_expect(c, TCP_ACK, 41, 1, MSS); /* full segments do not wait */
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 41 + MSS, 0);
    script_expect(c, TCP_ACK, 41 + MSS, 1, 5);
}

/* The FIN pushes what is left out. */
static void test_nagle_and_fin(void **state)
{
    (void)state;
    establish(&(struct sock_options){.nagle = true});
    script_write(c, 10);
    script_expect(c, TCP_ACK, 1, 1, 10);
    script_write(c, 10);
    sock_shutdown(c->sock);
    script_flush(s);
    script_expect(c, TCP_FIN | TCP_ACK, 11, 1, 10);
}

/* PSH marks the end of what was written (RFC 9293, 3.9.1.2). */
static void test_push(void **state)
{
    (void)state;
    establish(NULL);
    script_write(c, 2 * MSS);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 1, MSS)->tcp.flags & TCP_PSH, 0);
    assert_int_equal(script_expect(c, TCP_ACK, 1 + MSS, 1, MSS)->tcp.flags & TCP_PSH, TCP_PSH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delayed_ack),
        TEST(test_every_second_segment),
        TEST(test_delay_is_not_extended),
        TEST(test_ack_on_data),
        TEST(test_burst),
        TEST(test_duplicates),
        TEST(test_gap_filled_in_part),
        TEST(test_old_segment),
        TEST(test_probe_is_answered),
        TEST(test_nagle_off),
        TEST(test_nagle_on),
        TEST(test_nagle_and_fin),
        TEST(test_push),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
