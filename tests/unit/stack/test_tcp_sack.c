/*
 * Selective acknowledgement: what the stack reports of the peer's stream (RFC 2018, RFC 2883), and
 * what it makes of the peer's reports.
 */
#include "tests/unit/stack/tcp_script.h"

static struct script *s;
static struct script_conn *c;

static int setup(void **state)
{
    (void)state;
    s = script_create(NULL);
    c = script_conn(s);
    c->wscale = 3;
    c->sack = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void establish(void)
{
    script_establish(c, script_listen(s, 80, 4, NULL));
}

static bool negotiated(void)
{
    struct sock_info i;

    sock_info(c->sock, &i);
    return i.sack;
}

/* A segment of 100 bytes, and the acknowledgement that answers it at once. */
static const struct script_segment *report(uint32_t seq, uint32_t ack)
{
    script_send(c, TCP_ACK, seq, 1, 100);
    return script_expect(c, TCP_ACK, 1, ack, 0);
}

/* ---- RFC 2018, 2: negotiation ---- */

static void test_permitted(void **state)
{
    const struct script_segment *g;

    (void)state;
    script_listen(s, 80, 4, NULL);
    script_send(c, TCP_SYN, 0, 0, 0);
    g = script_expect(c, TCP_SYN | TCP_ACK, 0, 1, 0);
    assert_true(g->tcp.sack_permitted);
}

static void test_permitted_active(void **state)
{
    (void)state;
    script_connect(c, NULL);
    assert_true(script_expect(c, TCP_SYN, 0, -c->peer_iss, 0)->tcp.sack_permitted);
    script_send(c, TCP_SYN | TCP_ACK, 0, 1, 0);
    script_discard(s);
    assert_true(negotiated());
}

static void test_not_asked_for(void **state)
{
    struct sock *l = script_listen(s, 80, 4, NULL);

    (void)state;
    c->sack = false;
    script_send(c, TCP_SYN, 0, 0, 0);
    assert_false(script_expect(c, TCP_SYN | TCP_ACK, 0, 1, 0)->tcp.sack_permitted);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    assert_false(negotiated());
    script_assert_sack(c, report(201, 1), 0, 0);
}

static void test_cookie(void **state)
{
    const struct sock_options o = {.cookies = SOCK_COOKIES_ALWAYS};

    (void)state;
    script_establish(c, script_listen(s, 80, 4, &o));
    assert_true(negotiated());
    script_assert_sack(c, report(201, 1), 1, 201, 301);
}

static void test_switched_off(void **state)
{
    struct script *off = script_create(&(struct script_config){.tcp = {.sack_off = true}});
    struct script_conn *k = script_conn(off);
    struct sock_info i;

    (void)state;
    k->sack = true;
    script_listen(off, 80, 4, NULL);
    script_send(k, TCP_SYN, 0, 0, 0);
    assert_false(script_expect(k, TCP_SYN | TCP_ACK, 0, 1, 0)->tcp.sack_permitted);
    k = script_conn(off);
    k->sack = true;
    script_connect(k, NULL);
    assert_false(script_expect(k, TCP_SYN, 0, -k->peer_iss, 0)->tcp.sack_permitted);
    script_send(k, TCP_SYN | TCP_ACK, 0, 1, 0);
    sock_info(k->sock, &i);
    assert_false(i.sack);
    script_destroy(off);
}

/* ---- RFC 2018, 4: what is reported ---- */

/* The run that was extended last comes first, then the others in that order. */
static void test_recent_first(void **state)
{
    (void)state;
    establish();
    script_assert_sack(c, report(201, 1), 1, 201, 301);
    script_assert_sack(c, report(401, 1), 2, 401, 501, 201, 301);
    script_assert_sack(c, report(601, 1), 3, 601, 701, 401, 501, 201, 301);
    script_assert_sack(c, report(301, 1), 2, 201, 501, 601, 701); /* joins two */
    script_assert_sack(c, report(1, 101), 2, 201, 501, 601, 701);
    script_assert_sack(c, report(101, 501), 1, 601, 701);
    script_assert_sack(c, report(501, 701), 0, 0);
}

/* As many as fit: four, three beside timestamps. */
static void test_as_many_as_fit(void **state)
{
    struct script_conn *k = script_conn(s);
    struct sock *l = script_listen(s, 80, 4, NULL);

    (void)state;
    k->timestamps = k->sack = true;
    script_establish(c, l);
    script_establish(k, l);
    for (uint32_t seq = 201; seq <= 1001; seq += 200) {
        script_send(c, TCP_ACK, seq, 1, 100);
        script_send(k, TCP_ACK, seq, 1, 100);
    }
    script_discard(s);
    script_assert_sack(c, report(1201, 1), 4, 1201, 1301, 1001, 1101, 801, 901, 601, 701);
    script_send(k, TCP_ACK, 1201, 1, 100);
    script_assert_sack(k, script_expect(k, TCP_ACK, 1, 1, 0), 3, 1201, 1301, 1001, 1101, 801, 901);
}

/* A full segment has no room for blocks: an acknowledgement of its own carries them. */
static void test_beside_data(void **state)
{
    (void)state;
    establish();
    script_hold(s);
    script_send(c, TCP_ACK, 201, 1, 100);
    script_write(c, 1460);
    script_release(s);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 1, 1460), 0, 0);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1461, 1, 0), 1, 201, 301);
    script_expect_none(s);
    /* A small one has. */
    script_write(c, 100);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1461, 1, 100), 1, 201, 301);
}

/* ---- RFC 2883 ---- */

static void test_duplicate_below(void **state)
{
    (void)state;
    establish();
    script_send(c, TCP_ACK, 1, 1, 500);
    script_discard(s);
    script_assert_sack(c, report(101, 501), 1, 101, 201); /* once */
    script_assert_sack(c, report(701, 501), 1, 701, 801);
    script_assert_sack(c, report(1, 501), 2, 1, 101, 701, 801);
    assert_int_equal(script_counters(s)->tcp_dsacks_sent, 2);
}

/* In a run: followed by the block of that run (RFC 2883, 4.2). */
static void test_duplicate_ahead(void **state)
{
    (void)state;
    establish();
    report(201, 1);
    report(301, 1);
    report(601, 1);
    script_assert_sack(c, report(251, 1), 3, 251, 351, 201, 401, 601, 701);
    /* New bytes around old ones. */
    script_send(c, TCP_ACK, 551, 1, 200);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 1, 0), 3, 601, 701, 551, 751, 201, 401);
    /* Partly in a run, partly new. */
    script_assert_sack(c, report(351, 1), 3, 351, 401, 201, 451, 551, 751);
}

/* What fills a gap and goes on into a run, or past it. */
static void test_duplicate_in_order(void **state)
{
    (void)state;
    establish();
    report(201, 1);
    script_send(c, TCP_ACK, 1, 1, 250);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 301, 0), 1, 201, 251);
    script_send(c, TCP_ACK, 251, 1, 100);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 351, 0), 1, 251, 301);
}

/* Two in one burst: none takes the place of the other. */
static void test_duplicates_in_burst(void **state)
{
    (void)state;
    establish();
    script_send(c, TCP_ACK, 1, 1, 500);
    script_discard(s);
    script_hold(s);
    script_send(c, TCP_ACK, 1, 1, 100);
    script_send(c, TCP_ACK, 101, 1, 100); /* joins */
    script_send(c, TCP_ACK, 301, 1, 100);
    script_release(s);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 501, 0), 1, 1, 201);
    script_assert_sack(c, script_expect(c, TCP_ACK, 1, 501, 0), 1, 301, 401);
    script_expect_none(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_permitted),       TEST(test_permitted_active),   TEST(test_not_asked_for),
        TEST(test_cookie),          TEST(test_switched_off),       TEST(test_recent_first),
        TEST(test_as_many_as_fit),  TEST(test_beside_data),        TEST(test_duplicate_below),
        TEST(test_duplicate_ahead), TEST(test_duplicate_in_order), TEST(test_duplicates_in_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
