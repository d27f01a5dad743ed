/* ECN (RFC 3168): who agrees to it, what is marked, what marks do. */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_ecn.h"
#include "tests/unit/stack/tcp_script.h"

#define MSS   1460u
#define SETUP (TCP_ECE | TCP_CWR)
#define ECT_1 1
#define ECT_0 2
#define CE    3

static struct script *s;
static struct script_conn *c;

static void begin_as(struct stack_tcp_config tcp, uint32_t offloads)
{
    const struct script_config config = {.tcp = tcp, .offloads = offloads};

    s = script_create(&config);
    c = script_conn(s);
    c->wscale = 7;
}

static void begin(enum stack_ecn ecn, uint32_t offloads)
{
    begin_as((struct stack_tcp_config){.ecn = ecn}, offloads);
}

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void established_as(struct stack_tcp_config tcp, uint32_t offloads)
{
    struct sock *l;

    begin_as(tcp, offloads);
    l = script_listen(s, 80, 4, &(struct sock_options){.send_buffer = 262144});
    script_send(c, TCP_SYN | SETUP, 0, 0, 0);
    assert_int_equal(script_expect(c, TCP_SYN | TCP_ACK | TCP_ECE, 0, 1, 0)->ecn, 0);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    assert_true(script_info(c).ecn);
}

static void established(uint32_t offloads)
{
    established_as((struct stack_tcp_config){.ecn = STACK_ECN_PASSIVE}, offloads);
}

/* The stack's next frame, and what its packet says. */
static void expect(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len, uint8_t ecn)
{
    assert_int_equal(script_expect(c, flags, seq, ack, len)->ecn, ecn);
}

/* ---- 6.1.1: the handshake ---- */

static void answered(enum stack_ecn ecn, uint8_t flags, uint8_t field, uint8_t answer)
{
    begin(ecn, 0);
    script_listen(s, 80, 4, NULL);
    c->ecn = field;
    script_send(c, TCP_SYN | flags, 0, 0, 0);
    expect(TCP_SYN | TCP_ACK | answer, 0, 1, 0, 0);
    script_destroy(s);
}

static void test_answers(void **state)
{
    (void)state;
    answered(STACK_ECN_PASSIVE, SETUP, 0, TCP_ECE);
    answered(STACK_ECN_ACTIVE, SETUP, 0, TCP_ECE);
    answered(STACK_ECN_OFF, SETUP, 0, 0);
    answered(STACK_ECN_PASSIVE, 0, 0, 0);
    answered(STACK_ECN_PASSIVE, TCP_ECE, 0, 0);
    answered(STACK_ECN_PASSIVE, TCP_CWR, 0, 0);
    answered(STACK_ECN_PASSIVE, SETUP, ECT_0, 0); /* a SYN never is */
    answered(STACK_ECN_PASSIVE, SETUP, CE, 0);
}

/* A cookie remembers it, where the SYN has timestamps and we agree. */
static void cookie(enum stack_ecn ecn, bool timestamps, uint8_t field, uint8_t answer)
{
    const struct sock_options o = {.cookies = SOCK_COOKIES_ALWAYS};
    struct sock *l;

    begin(ecn, 0);
    l = script_listen(s, 80, 4, &o);
    c->timestamps = timestamps;
    c->ecn = field;
    script_send(c, TCP_SYN | SETUP, 0, 0, 0);
    expect(TCP_SYN | TCP_ACK | answer, 0, 1, 0, 0);
    c->ecn = 0;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    assert_int_equal(script_info(c).ecn, answer != 0);
    script_write(c, 10);
    expect(TCP_ACK, 1, 1, 10, answer != 0 ? ECT_0 : 0);
    script_destroy(s);
}

static void test_cookies(void **state)
{
    (void)state;
    cookie(STACK_ECN_PASSIVE, true, 0, TCP_ECE);
    cookie(STACK_ECN_ACTIVE, true, 0, TCP_ECE);
    cookie(STACK_ECN_PASSIVE, false, 0, 0);
    cookie(STACK_ECN_OFF, true, 0, 0);
    cookie(STACK_ECN_PASSIVE, true, CE, 0);
}

static void asked(enum stack_ecn ecn, uint8_t flags, uint8_t answer, bool agreed)
{
    begin(ecn, 0);
    c->peer_port = 80;
    script_connect(c, NULL);
    expect(TCP_SYN | flags, 0, 0, 0, 0);
    script_send(c, TCP_SYN | TCP_ACK | answer, 0, 1, 0);
    expect(TCP_ACK, 1, 1, 0, 0);
    assert_int_equal(script_info(c).ecn, agreed);
    script_destroy(s);
}

static void test_asks(void **state)
{
    (void)state;
    asked(STACK_ECN_ACTIVE, SETUP, TCP_ECE, true);
    asked(STACK_ECN_ACTIVE, SETUP, SETUP, false); /* reflected by a box that knows nothing of it */
    asked(STACK_ECN_ACTIVE, SETUP, 0, false);
    asked(STACK_ECN_PASSIVE, 0, TCP_ECE, false);
}

/* 6.1.1.1: a SYN that gets no answer is followed by one that asks for nothing. */
static void test_gives_up_asking(void **state)
{
    (void)state;
    begin(STACK_ECN_ACTIVE, 0);
    c->peer_port = 80;
    script_connect(c, NULL);
    expect(TCP_SYN | SETUP, 0, 0, 0, 0);
    script_advance(s, CLOCK_SEC + SCRIPT_TICK);
    expect(TCP_SYN, 0, 0, 0, 0);
    script_send(c, TCP_SYN | TCP_ACK | TCP_ECE, 0, 1, 0);
    expect(TCP_ACK, 1, 1, 0, 0);
    assert_false(script_info(c).ecn);
}

/* ---- 6.1.4 to 6.1.6: what is ECN-capable ---- */

static void test_new_data_only(void **state)
{
    (void)state;
    established(0);
    script_write(c, 10);
    expect(TCP_ACK, 1, 1, 10, ECT_0);
    script_advance(s, 250 * CLOCK_MS);
    expect(TCP_ACK, 1, 1, 10, 0); /* again */
    script_send(c, TCP_ACK, 1, 11, 10);
    expect(TCP_ACK, 11, 11, 0, 0);
    script_read(c, 10);
    sock_shutdown(c->sock);
    script_flush(s);
    expect(TCP_FIN | TCP_ACK, 11, 11, 0, 0);
}

/* ---- 6.1.3: the receiver ---- */

/* A mark is echoed in every acknowledgement until the peer says that it has reduced. */
static void test_echo(void **state)
{
    (void)state;
    established(0);
    c->ecn = ECT_0;
    script_send(c, TCP_ACK, 1, 1, 10);
    expect(TCP_ACK, 1, 11, 0, 0);
    c->ecn = CE;
    script_send(c, TCP_ACK, 11, 1, 10);
    expect(TCP_ACK | TCP_ECE, 1, 21, 0, 0);
    c->ecn = ECT_0;
    script_send(c, TCP_ACK, 21, 1, 10);
    expect(TCP_ACK | TCP_ECE, 1, 31, 0, 0);
    script_write(c, 5);
    expect(TCP_ACK | TCP_ECE, 1, 31, 5, ECT_0);
    script_send(c, TCP_ACK | TCP_CWR, 31, 6, 10);
    expect(TCP_ACK, 6, 41, 0, 0);
    c->ecn = CE; /* a new one */
    script_send(c, TCP_ACK | TCP_CWR, 41, 6, 10);
    expect(TCP_ACK | TCP_ECE, 6, 51, 0, 0);
    assert_int_equal(script_counters(s)->tcp_ecn_marks, 2);
    assert_int_equal(script_read(c, 100), 50);
}

/* Nor do delayed acknowledgements delay it. */
static void test_echo_at_once(void **state)
{
    (void)state;
    established(0);
    for (uint32_t i = 0; i < 16; i++)
        script_send(c, TCP_ACK, 1 + i, 1, 1);
    script_discard(s);
    script_send(c, TCP_ACK, 17, 1, 1);
    script_expect_none(s);
    c->ecn = CE;
    script_send(c, TCP_ACK, 18, 1, 1);
    expect(TCP_ACK | TCP_ECE, 1, 19, 0, 0);
    script_read(c, 100);
}

/* What is not agreed upon is not echoed, and what lies outside the window neither. */
static void test_no_echo(void **state)
{
    (void)state;
    begin(STACK_ECN_PASSIVE, 0);
    script_establish(c, script_listen(s, 80, 4, NULL));
    c->ecn = CE;
    script_send(c, TCP_ACK, 1, 1, 10);
    expect(TCP_ACK, 1, 11, 0, 0);
    script_read(c, 10);
    script_destroy(s);
    established(0);
    c->ecn = CE;
    script_send(c, TCP_ACK, 1000001, 1, 10);
    expect(TCP_ACK, 1, 1, 0, 0);
}

/* ---- 6.1.2: the sender ---- */

static void in_flight(uint32_t segments)
{
    assert_int_equal(script_write(c, 60 * MSS), 60 * MSS);
    for (uint32_t i = 0; i < segments; i++)
        expect(TCP_ACK, 1 + i * MSS, 1, MSS, ECT_0);
    script_expect_none(s);
}

/* Once in a window; the next new segment says so. */
static void test_reduction(void **state)
{
    uint32_t before;

    (void)state;
    established(0);
    in_flight(10);
    before = script_info(c).cwnd;
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    assert_in_range(script_info(c).cwnd, before * 6 / 10, before * 9 / 10);
    assert_int_equal(script_info(c).cwnd, script_info(c).ssthresh);
    before = script_info(c).cwnd;
    for (uint32_t i = 3; i < 10; i++)
        script_send(c, TCP_ACK | TCP_ECE, 1, 1 + i * MSS, 0);
    assert_in_range(script_info(c).cwnd, before, before + MSS);
    assert_int_equal(script_counters(s)->tcp_ecn_reductions, 1);
    expect(TCP_ACK | TCP_CWR, 1 + 10 * MSS, 1, MSS, ECT_0);
    expect(TCP_ACK, 1 + 11 * MSS, 1, MSS, ECT_0);
    script_discard(s);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 11 * MSS, 0); /* another window, another mark */
    assert_int_equal(script_counters(s)->tcp_ecn_reductions, 2);
    script_discard(s);
}

/* Told to, in proportion to what arrives; the window ends at ssthresh all the same. */
static void test_reduction_by_prr(void **state)
{
    uint32_t threshold, sent = 10;

    (void)state;
    established_as((struct stack_tcp_config){.ecn_by_prr = true}, 0);
    in_flight(10);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + MSS, 0);
    threshold = script_info(c).ssthresh;
    assert_in_range(threshold, 6 * MSS, 9 * MSS);
    assert_in_range(script_info(c).cwnd, 9 * MSS + 1,
                    10 * MSS - 1); /* ssthresh / 10 of what arrived */
    sent += script_discard(s);
    for (uint32_t i = 2; i < 10; i++) {
        script_send(c, TCP_ACK | TCP_ECE, 1, 1 + i * MSS, 0);
        sent += script_discard(s);
        assert_in_range(sent, 10 + i * threshold / (10 * MSS) - 1, 10 + i * threshold / (10 * MSS));
    }
    script_send(c, TCP_ACK, 1, 1 + 10 * MSS, 0);
    assert_int_equal(script_info(c).cwnd, threshold);
    assert_int_equal(script_counters(s)->tcp_ecn_reductions, 1);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1 + 11 * MSS, 0); /* and it grows again */
    assert_true(script_info(c).cwnd > threshold);
    script_discard(s);
}

/* Below ssthresh no more goes out than arrives: what is reduced was not used. */
static void test_reduction_by_prr_below(void **state)
{
    (void)state;
    established_as((struct stack_tcp_config){.ecn_by_prr = true, .reduce_from_cwnd = true}, 0);
    assert_int_equal(script_write(c, 4 * MSS), 4 * MSS);
    assert_int_equal(script_discard(s), 4);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + MSS, 0);
    assert_true(script_info(c).ssthresh > 4 * MSS);
    assert_int_equal(script_info(c).cwnd, 4 * MSS);
    script_send(c, TCP_ACK, 1, 1 + 4 * MSS, 0); /* all of it: the window is ssthresh */
    assert_int_equal(script_info(c).cwnd, script_info(c).ssthresh);
    assert_int_equal(script_write(c, MSS), MSS);
    assert_int_equal(script_discard(s), 1);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 5 * MSS, 0); /* marked, and nothing on its way */
    assert_int_equal(script_counters(s)->tcp_ecn_reductions, 2);
    assert_int_equal(script_info(c).cwnd, script_info(c).ssthresh);
}

/* A loss, or a timeout, takes over: what was begun for the mark does not come back. */
static void test_reduction_by_prr_and_loss(void **state)
{
    const struct stack_tcp_config tcp = {.ecn_by_prr = true, .pacing_off = true, .abc_limit = 1};
    uint32_t threshold;

    (void)state;
    established_as(tcp, 0);
    script_write(c, 10 * MSS);
    assert_int_equal(script_discard(s), 10);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    threshold = script_info(c).ssthresh;
    for (unsigned i = 0; i < 4; i++)
        script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    assert_int_equal(script_info(c).ssthresh, threshold);
    script_discard(s);
    script_advance(s, 300 * CLOCK_MS);
    assert_int_equal(script_info(c).cwnd, MSS);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1 + 3 * MSS, 0);
    assert_int_equal(script_info(c).cwnd, 2 * MSS);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1 + 10 * MSS, 0); /* slow start goes on, and not at ssthresh */
    assert_int_equal(script_info(c).cwnd, 3 * MSS);
}

/* A loss in a window that was reduced for a mark is sent again, and reduces nothing. */
static void test_mark_and_loss(void **state)
{
    uint32_t before;

    (void)state;
    established(0);
    in_flight(10);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    before = script_info(c).ssthresh;
    for (unsigned i = 0; i < 4; i++)
        script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    assert_int_equal(script_info(c).ssthresh, before);
    script_discard(s);
}

/* A loss is told of as well; marks seen until it is made good are part of it. */
static void test_loss_and_mark(void **state)
{
    uint32_t before;

    (void)state;
    established(0);
    in_flight(10);
    for (unsigned i = 0; i < 3; i++)
        script_send(c, TCP_ACK, 1, 1, 0);
    before = script_info(c).ssthresh;
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    assert_int_equal(script_info(c).ssthresh, before);
    assert_int_equal(script_counters(s)->tcp_ecn_reductions, 0);
    script_discard(s);
}

/* A timeout reduces whatever was reduced before. */
static void test_mark_and_timeout(void **state)
{
    (void)state;
    established(0);
    in_flight(10);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 2 * MSS, 0);
    script_discard(s);
    script_advance(s, 300 * CLOCK_MS);
    assert_int_equal(script_info(c).cwnd, MSS);
    script_discard(s);
}

/* Devices differ in what they do with CWR when they cut a frame: it is in one of its own. */
static void test_segmentation(void **state)
{
    const struct script_segment *g;

    (void)state;
    established(STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT |
                STACK_TX_MULTI_SEGMENT);
    script_write(c, 60 * MSS);
    g = script_next(s);
    assert_non_null(g);
    assert_true(g->len > MSS);
    assert_int_equal(g->ecn, ECT_0);
    script_discard(s);
    script_send(c, TCP_ACK | TCP_ECE, 1, 1 + 10 * MSS, 0);
    expect(TCP_ACK | TCP_CWR, 1 + 10 * MSS, 1, MSS, ECT_0);
    g = script_next(s);
    assert_non_null(g);
    assert_true(g->len > MSS);
    assert_int_equal(g->tcp.flags & TCP_CWR, 0);
    script_discard(s);
}

/* A reduction that is undone is none: the next loss of the same window reduces anew. Else ssthresh
 * would stay without bound, and become the window when the recovery ends. */
static void test_loss_after_undo(void **state)
{
    struct sock *l;

    (void)state;
    begin(STACK_ECN_PASSIVE, 0);
    c->sack = true;
    l = script_listen(s, 80, 4, &(struct sock_options){.send_buffer = 262144});
    script_send(c, TCP_SYN | SETUP, 0, 0, 0);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1, 0);
    script_accept(c, l);
    script_write(c, 60 * MSS);
    assert_int_equal(script_discard(s), 10);
    script_advance(s, 10 * CLOCK_MS);
    script_send_sack(c, 1, 1, (const uint32_t[]){1 + MSS, 1 + 4 * MSS});
    assert_true(script_info(c).ssthresh < 10 * MSS);
    script_send_sack(c, 1 + 4 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_int_equal(script_info(c).ssthresh, UINT32_MAX);
    script_send_sack(c, 1 + 4 * MSS, 1, (const uint32_t[]){1 + 5 * MSS, 1 + 9 * MSS});
    script_advance(s, 20 * CLOCK_MS);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 2);
    assert_true(script_info(c).ssthresh < 20 * MSS);
    script_discard(s);
}

/* What is remembered of a reduction is forgotten when its window is acknowledged: half the sequence
 * space later it would look like one to come, and nothing reduce for the other half. */
static void test_reduction_is_forgotten(void **state)
{
    struct tcp_conn conn = {.ecn = true, .snd_una = 1, .snd_max = 1000};

    (void)state;
    tcp_ecn_reduced(&conn);
    for (conn.snd_una = 1; conn.snd_una < 1000; conn.snd_una += 100) {
        tcp_ecn_progress(&conn);
        assert_true(tcp_ecn_window_reduced(&conn));
    }
    for (unsigned i = 0; i < 32; i++) {
        conn.snd_una += 1u << 27;
        tcp_ecn_progress(&conn);
        assert_false(tcp_ecn_window_reduced(&conn));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_asks),
        cmocka_unit_test_teardown(test_gives_up_asking, teardown),
        cmocka_unit_test_teardown(test_new_data_only, teardown),
        cmocka_unit_test_teardown(test_echo, teardown),
        cmocka_unit_test_teardown(test_echo_at_once, teardown),
        cmocka_unit_test_teardown(test_no_echo, teardown),
        cmocka_unit_test_teardown(test_reduction, teardown),
        cmocka_unit_test_teardown(test_reduction_by_prr, teardown),
        cmocka_unit_test_teardown(test_reduction_by_prr_below, teardown),
        cmocka_unit_test_teardown(test_reduction_by_prr_and_loss, teardown),
        cmocka_unit_test_teardown(test_mark_and_loss, teardown),
        cmocka_unit_test_teardown(test_loss_and_mark, teardown),
        cmocka_unit_test_teardown(test_mark_and_timeout, teardown),
        cmocka_unit_test_teardown(test_segmentation, teardown),
        cmocka_unit_test_teardown(test_loss_after_undo, teardown),
        cmocka_unit_test(test_reduction_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
