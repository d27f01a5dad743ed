/* What "too big" does to connections (RFC 1191), and what it does not when it is forged. */
#include "tests/unit/stack/tcp_script.h"

#define UNREACHABLE 3
#define TOO_BIG     4
#define TIME        11
#define MINUTE      (60 * CLOCK_SEC)

static struct script *s;
static struct script_conn *c;
static struct sock *listener;

static void begin(uint32_t offloads)
{
    s = script_create(&(struct script_config){.offloads = offloads});
    listener = script_listen(s, 80, 16, NULL);
    c = script_conn(s);
    script_establish(c, listener);
}

static int setup(void **state)
{
    (void)state;
    begin(0);
    return 0;
}

static int setup_tso(void **state)
{
    (void)state;
    begin(STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT |
          STACK_TX_MULTI_SEGMENT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void too_big(struct script_conn *k, uint16_t mtu, uint32_t seq)
{
    script_icmp(k, UNREACHABLE, TOO_BIG, mtu, seq);
}

static struct sock_info info_of(const struct script_conn *k)
{
    struct sock_info info;

    sock_info(k->sock, &info);
    return info;
}

/* What was too large goes out again, smaller, and the congestion window does not shrink. */
static void test_smaller(void **state)
{
    uint32_t cwnd = info_of(c).cwnd;

    (void)state;
    script_write(c, 2920);
    script_expect(c, TCP_ACK, 1, 1, 1460);
    script_expect(c, TCP_ACK, 1461, 1, 1460);
    too_big(c, 1000, 1);
    script_expect(c, TCP_ACK, 1, 1, 960);
    script_expect(c, TCP_ACK, 961, 1, 960);
    script_expect(c, TCP_ACK, 1921, 1, 960);
    script_expect(c, TCP_ACK, 2881, 1, 40);
    assert_true(info_of(c).cwnd >= cwnd);
    assert_int_equal(info_of(c).path_mtu, 1000);
    too_big(c, 1000, 961); /* that of the second segment: known already */
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 2921, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
}

/* The device cuts by the new size from then on. */
static void test_smaller_with_segmentation(void **state)
{
    const struct script_segment *g;

    (void)state;
    script_write(c, 5 * 1460);
    g = script_expect(c, TCP_ACK, 1, 1, 5 * 1460);
    assert_int_equal(g->tso_size, 1460);
    too_big(c, 1000, 1461);
    g = script_expect(c, TCP_ACK, 1, 1, 7 * 960);
    assert_int_equal(g->tso_size, 960);
    script_expect(c, TCP_ACK, 1 + 7 * 960, 1, 5 * 1460 - 7 * 960);
    script_send(c, TCP_ACK, 1, 1 + 5 * 1460, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
}

/* All connections to the destination learn, those that stand and those to come; others do not. */
static void test_shared(void **state)
{
    struct script_conn *standing = script_conn(s), *later = script_conn(s), *other = script_conn(s);

    (void)state;
    script_establish(standing, listener);
    script_write(c, 1460);
    too_big(c, 1200, 1);
    script_discard(s);
    script_write(standing, 3000);
    script_expect(standing, TCP_ACK, 1, 1, 1160);
    script_discard(s);
    script_handshake(later);
    script_accept(later, listener);
    script_write(later, 3000);
    script_expect(later, TCP_ACK, 1, 1, 1160);
    script_discard(s);
    other->host = 3;
    script_establish(other, listener);
    script_write(other, 3000);
    script_expect(other, TCP_ACK, 1, 1, 1460);
    script_discard(s);
}

/* RFC 6691: what the path out takes has nothing to do with what we take in. */
static void test_announced(void **state)
{
    struct script_conn *later = script_conn(s), *cookie = script_conn(s);

    (void)state;
    script_write(c, 1460);
    too_big(c, 1200, 1);
    script_discard(s);
    script_send(later, TCP_SYN, 0, 0, 0);
    assert_int_equal(script_expect(later, TCP_SYN | TCP_ACK, 0, 1, 0)->tcp.mss, 1460);
    sock_listener_set(listener, 16, SOCK_COOKIES_ALWAYS);
    script_send(cookie, TCP_SYN, 0, 0, 0);
    assert_int_equal(script_expect(cookie, TCP_SYN | TCP_ACK, 0, 1, 0)->tcp.mss, 1460);
}

/* RFC 1191, 6.3: after ten minutes the link's size is tried again. */
static void test_grows_again(void **state)
{
    (void)state;
    script_write(c, 1460);
    too_big(c, 1200, 1);
    script_send(c, TCP_ACK, 1, 1461, 0);
    script_discard(s);
    script_advance(s, 9 * MINUTE);
    script_write(c, 1460);
    script_expect(c, TCP_ACK, 1461, 1, 1160);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 2921, 0);
    script_advance(s, 2 * MINUTE);
    script_write(c, 1460);
    script_expect(c, TCP_ACK, 2921, 1, 1460);
    script_expect_none(s);
}

/* A router that does not tell what the next hop takes: the next plateau. */
static void test_not_told(void **state)
{
    (void)state;
    script_write(c, 1460);
    script_discard(s);
    too_big(c, 0, 1);
    assert_int_equal(info_of(c).path_mtu, 1492);
    c->quoted_length = 1492;
    too_big(c, 0, 1);
    assert_int_equal(info_of(c).path_mtu, 1006);
}

/* Segments never become absurdly small. */
static void test_floor(void **state)
{
    (void)state;
    script_write(c, 1460);
    script_discard(s);
    too_big(c, 68, 1);
    assert_int_equal(info_of(c).path_mtu, 552);
    assert_int_equal(info_of(c).mss, 512);
}

/* Nor larger again; nor by what concerns nothing in flight, or nothing that large. */
static void test_forged(void **state)
{
    (void)state;
    script_write(c, 1460);
    script_discard(s);
    too_big(c, 1500, 1);
    too_big(c, 65535, 1);
    too_big(c, 1000, 1461);
    too_big(c, 1000, 0);
    script_icmp(c, TIME, TOO_BIG, 1000, 1);
    c->quoted_length = 1000;
    too_big(c, 1000, 1);
    c->quoted_length = 1501;
    too_big(c, 1000, 1);
    script_expect_none(s);
    assert_int_equal(info_of(c).mss, 1460);
    assert_int_equal(script_counters(s)->pmtu_lowered, 0);
}

/* A SYN is never too large. */
static void test_handshake(void **state)
{
    struct script_conn *k = script_conn(s);

    (void)state;
    script_connect(k, NULL);
    script_expect(k, TCP_SYN, 0, -k->peer_iss, 0);
    too_big(k, 1000, 0);
    assert_int_equal(sock_state(k->sock), TCP_SYN_SENT);
    assert_int_equal(script_counters(s)->pmtu_lowered, 0);
    script_expect_none(s);
    sock_close(k->sock);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_smaller),
        cmocka_unit_test_setup_teardown(test_smaller_with_segmentation, setup_tso, teardown),
        TEST(test_shared),
        TEST(test_announced),
        TEST(test_grows_again),
        TEST(test_not_told),
        TEST(test_floor),
        TEST(test_forged),
        TEST(test_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
