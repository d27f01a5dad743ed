/*
 * Selective acknowledgement: what the stack reports of the peer's stream (RFC 2018, RFC 2883), and
 * what it makes of the peer's reports.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_tick.h"
#include "tests/unit/stack/tcp_script.h"

static const struct script_config newreno = {.tcp.congestion = STACK_NEWRENO};
static struct script *s;
static struct script_conn *c;

static int setup(void **state)
{
    (void)state;
    s = script_create(&newreno);
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

/* ---- the sender: RFC 6675 ---- */

#define MSS 1460u

/* Acknowledges `ack` full segments, and by one block those from `from` to `to` - 1. */
static void sack(uint32_t ack, uint32_t from, uint32_t to)
{
    script_send_sack(c, 1 + ack * MSS, 1, (const uint32_t[]){1 + from * MSS, 1 + to * MSS});
}

static void expect_segment(uint32_t i)
{
    script_expect(c, TCP_ACK, 1 + i * MSS, 1, MSS);
}

/* With a round trip of 20 ms. */
static void establish_far(struct script *at, struct script_conn *k,
                          const struct sock_options *options)
{
    struct sock *l = script_listen(at, 80, 4, options);

    script_send(k, TCP_SYN, 0, 0, 0);
    script_discard(at);
    script_advance(at, 20 * CLOCK_MS);
    script_send(k, TCP_ACK, 1, 1, 0);
    script_accept(k, l);
}

static void ten_in_flight(void)
{
    establish_far(s, c, NULL);
    assert_int_equal(script_write(c, 40 * MSS), 40 * MSS);
    for (uint32_t i = 0; i < 10; i++)
        expect_segment(i);
    script_expect_none(s);
    script_advance(s, 20 * CLOCK_MS);
}

/* The hole is filled when three behind it have arrived; what has arrived is not in flight. */
static void test_hole(void **state)
{
    (void)state;
    ten_in_flight();
    sack(0, 1, 3);
    expect_segment(10); /* RFC 3042 */
    expect_segment(11);
    script_expect_none(s);
    sack(0, 1, 4);
    expect_segment(0);
    script_expect_none(s);
    assert_int_equal(script_info(c).lost, 1);
    assert_int_equal(script_info(c).in_flight, 9 * MSS);
    assert_int_equal(script_info(c).ssthresh, 5 * MSS);
    sack(0, 1, 12);
    for (uint32_t i = 12; i < 16; i++)
        expect_segment(i);
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 1 + 16 * MSS, 0);
    assert_int_equal(script_info(c).cwnd, 5 * MSS);
    assert_int_equal(script_counters(s)->tcp_fast_retransmits, 1);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 1);
    script_discard(s);
}

/* Several, in order, and nothing between them. */
static void test_holes(void **state)
{
    (void)state;
    ten_in_flight();
    script_send_sack(c, 1, 3,
                     (const uint32_t[]){1 + 9 * MSS, 1 + 10 * MSS, 1 + 1 * MSS, 1 + 2 * MSS,
                                        1 + 3 * MSS, 1 + 8 * MSS});
    expect_segment(0);
    expect_segment(2);
    expect_segment(8);
    script_discard(s);
    assert_int_equal(script_info(c).lost, 3);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 3);
}

/* A frame that the device cut: what is missing of it goes out again, not the whole. */
static void test_hole_in_frame(void **state)
{
    const struct script_config config = {
        .offloads = STACK_TX_TCP_CHECKSUM | STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_SEGMENT |
                    STACK_TX_MULTI_SEGMENT,
    };
    struct script *tso = script_create(&config);
    struct script_conn *k = script_conn(tso);

    (void)state;
    k->sack = true;
    establish_far(tso, k, NULL);
    script_write(k, 10 * MSS);
    script_expect(k, TCP_ACK, 1, 1, 5 * MSS); /* half a window */
    script_expect(k, TCP_ACK, 1 + 5 * MSS, 1, 5 * MSS);
    script_advance(tso, 20 * CLOCK_MS);
    script_send_sack(k, 1 + MSS, 2,
                     (const uint32_t[]){1 + 2 * MSS, 1 + 4 * MSS, 1 + 5 * MSS, 1 + 10 * MSS});
    script_expect(k, TCP_ACK, 1 + MSS, 1, MSS);
    script_expect(k, TCP_ACK, 1 + 4 * MSS, 1, MSS);
    script_expect_none(tso);
    script_send(k, TCP_ACK, 1, 1 + 10 * MSS, 0);
    script_destroy(tso);
}

/* Blocks that cannot be: beyond what was sent, below what is acknowledged, turned round. */
static void test_unbelievable(void **state)
{
    static const uint32_t edges[][2] = {
        {1 + 1 * MSS, 1 + 11 * MSS},
        {1 + 20 * MSS, 1 + 21 * MSS},
        {1 + 4 * MSS, 1 + 1 * MSS},
        {1 + 4 * MSS, 1 + 4 * MSS},
        {1u - 4 * MSS, 1 + 4 * MSS},
        {1 + 1 * MSS, 1 + 0x80000000u},
        {1 + 2 * MSS, 1 + 2 * MSS},
        {1u - 0x40000000u, 1u - MSS},
        {1 + 0x70000000u, 1 + 0x80000000u + 12 * MSS},
    };

    (void)state;
    ten_in_flight();
    for (unsigned i = 0; i < sizeof edges / sizeof edges[0]; i++)
        script_send_sack(c, 1, 1, edges[i]);
    assert_int_equal(script_info(c).in_flight, 10 * MSS);
    assert_int_equal(script_counters(s)->tcp_dsacks_received, 0);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 0);
    script_expect_none(s);
}

/* RFC 2018, 8: a peer that has dropped what it had acknowledged by blocks. */
static void test_reneging(void **state)
{
    (void)state;
    ten_in_flight();
    sack(0, 1, 10);
    expect_segment(0);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 1 + MSS, 0);
    script_discard(s);
    script_advance(s, script_info(c).rto + SCRIPT_TICK);
    expect_segment(1);
    script_discard(s);
    for (uint32_t i = 2; i <= 10; i++) {
        script_send(c, TCP_ACK, 1, 1 + i * MSS, 0);
        script_discard(s);
    }
    assert_true(script_counters(s)->tcp_retransmissions >= 10);
}

/* Reports of a duplicate change no mark. */
static void test_duplicate_reported(void **state)
{
    (void)state;
    ten_in_flight();
    script_send_sack(c, 1 + 2 * MSS, 1, (const uint32_t[]){1, 1 + MSS});
    assert_int_equal(script_counters(s)->tcp_dsacks_received, 1);
    script_discard(s);
    script_send_sack(c, 1 + 2 * MSS, 2,
                     (const uint32_t[]){1 + 4 * MSS, 1 + 5 * MSS, 1 + 4 * MSS, 1 + 6 * MSS});
    assert_int_equal(script_counters(s)->tcp_dsacks_received, 2);
    assert_int_equal(script_counters(s)->tcp_retransmissions, 0);
    script_discard(s);
}

/* ---- the scoreboard against a map of bytes ---- */

#define BYTES (10 * MSS)

static uint32_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void map_sack(bool *sacked, uint32_t una, const uint32_t *edges, unsigned count)
{
    for (unsigned b = 0; b < count; b++) {
        uint32_t left = edges[2 * b] - 1, right = edges[2 * b + 1] - 1;

        for (uint32_t i = left; left >= una && right <= BYTES && i < right; i++)
            sacked[i] = true;
    }
}

/* Records follow one another, are marked as the map says, and counted right. */
static void check(const bool *sacked, uint32_t una)
{
    const struct tcp_conn *k = tcp_conn_of(c->sock);
    uint32_t at = k->snd_una, bytes[3] = {0}, next = una;
    const struct tcp_sent *r;

    TAILQ_FOREACH (r, &k->flight->all, link) {
        assert_int_equal(r->seq, at);
        assert_true(seq_lt(r->seq, r->end));
        bytes[r->state] += r->end - r->seq;
        for (; at != r->end; at++)
            assert_int_equal(sacked[next++], r->state == TCP_SENT_SACKED);
    }
    assert_int_equal(at, k->snd_max);
    assert_int_equal(bytes[TCP_SENT_IN_FLIGHT], k->flight->in_flight_bytes);
    assert_int_equal(bytes[TCP_SENT_LOST], k->flight->lost_bytes);
    assert_int_equal(bytes[TCP_SENT_SACKED], k->flight->sacked_bytes);
}

static void random_blocks(uint64_t seed)
{
    bool sacked[BYTES] = {false};
    uint32_t una = 0;

    s = script_create(&newreno);
    c = script_conn(s);
    c->wscale = 3;
    c->sack = true;
    ten_in_flight();
    script_room(s, 0); /* nothing goes out again while marks are made */
    for (unsigned n = 0; n < 60; n++) {
        uint32_t edges[8], count = 1 + random_next(&seed) % 4;

        if (random_next(&seed) % 8 == 0)
            una += random_next(&seed) % (BYTES / 8);
        una = una < BYTES ? una : BYTES - 1;
        for (unsigned b = 0; b < count; b++) {
            edges[2 * b] = 1 + una + random_next(&seed) % (BYTES - una);
            edges[2 * b + 1] = edges[2 * b] + random_next(&seed) % 3000;
        }
        if (count > 1 && edges[2] <= edges[0] && edges[1] <= edges[3]) /* that is a DSACK */
            count = 1;
        script_send_sack(c, 1 + una, count, edges);
        map_sack(sacked, una, edges, count);
        check(sacked, una);
    }
    script_send(c, TCP_ACK, 1, 1 + BYTES, 0);
    assert_null(tcp_conn_of(c->sock)->flight);
    script_destroy(s);
}

static void test_random_blocks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        random_blocks(seed);
}

/* ---- what it costs to find where a block belongs ---- */

#define MANY  1500u
#define SMALL 536u

/* So many segments in flight, each with a record of its own, and nothing more goes out. */
static void many_in_flight(void)
{
    const struct sock_options options = {.send_buffer = 2 * MANY * SMALL};
    uint32_t sent = 0;

    s = script_create(&(struct script_config){.max_buffers = 8 * MANY, .tcp = newreno.tcp});
    c = script_conn(s);
    c->wscale = 7;
    c->sack = true;
    c->mss = SMALL;
    establish_far(s, c, &options);
    ((struct tcp_conn *)tcp_conn_of(c->sock))->cwnd = MANY * SMALL;
    for (unsigned ms = 0; ms < 100 && sent < MANY; ms++) { /* paced */
        script_write(c, 100 * SMALL);
        script_advance(s, CLOCK_MS);
        sent += script_discard(s);
    }
    assert_int_equal(sent, MANY);
    script_room(s, 0);
    assert_int_equal(tcp_conn_of(c->sock)->flight->count, MANY);
}

/* Reports segment `i`; returns how many records were passed until it was found. */
static uint64_t steps_to(uint32_t i)
{
    uint64_t before = script_counters(s)->tcp_sack_steps;

    script_send_sack(c, 1, 1, (const uint32_t[]){1 + i * SMALL, 1 + (i + 1) * SMALL});
    return script_counters(s)->tcp_sack_steps - before;
}

/* As it would come if every other segment were lost, four reports in turn. */
static void alternate(void)
{
    for (uint32_t i = 7; i < MANY; i += 2) {
        uint64_t before = script_counters(s)->tcp_sack_steps;

        script_send_sack(c, 1, 4,
                         (const uint32_t[]){1 + i * SMALL, 1 + (i + 1) * SMALL, 1 + (i - 2) * SMALL,
                                            1 + (i - 1) * SMALL, 1 + (i - 4) * SMALL,
                                            1 + (i - 3) * SMALL, 1 + (i - 6) * SMALL,
                                            1 + (i - 5) * SMALL});
        assert_true(script_counters(s)->tcp_sack_steps - before <= 8);
    }
    assert_int_equal(tcp_conn_of(c->sock)->flight->sacked_bytes / SMALL, MANY / 2);
}

/* Blocks anywhere in a flight of which every other segment has arrived. */
static void test_steps_bounded(void **state)
{
    uint64_t seed = 1, before;

    (void)state;
    many_in_flight();
    alternate();
    for (unsigned n = 0; n < 500; n++) {
        uint32_t edges[8];

        for (unsigned b = 0; b < 4; b++) {
            edges[2 * b] = 1 + random_next(&seed) % (MANY / 2) * 2 * SMALL + SMALL;
            edges[2 * b + 1] = edges[2 * b] + SMALL;
        }
        before = script_counters(s)->tcp_sack_steps;
        script_send_sack(c, 1, 4, edges);
        assert_true(script_counters(s)->tcp_sack_steps - before <= TCP_SENT_STEPS);
    }
    assert_true(script_counters(s)->tcp_sacks_put_off > 0);
    script_destroy(s);
}

/* What is too far off for one is reached by those that repeat it. */
static void test_steps_go_on(void **state)
{
    uint32_t before, far = MANY / 2;
    const struct tcp_flight *f;
    unsigned reports = 0;

    (void)state;
    many_in_flight();
    alternate();
    f = tcp_conn_of(c->sock)->flight;
    before = f->sacked_bytes;
    while (f->sacked_bytes == before && reports++ < 100)
        steps_to(far);
    assert_int_equal(f->sacked_bytes, before + SMALL);
    assert_true(reports > 1);
    assert_int_equal(script_counters(s)->tcp_sacks_put_off, reports - 1);
    script_destroy(s);
}

/* The first holes are filled while the last segments arrive: neither is far from where it was. */
static void test_steps_between_ends(void **state)
{
    (void)state;
    many_in_flight();
    alternate();
    for (uint32_t i = 2; i < MANY / 2; i += 2) {
        uint64_t before = script_counters(s)->tcp_sack_steps;
        uint32_t high = MANY - i;

        script_send_sack(c, 1, 2,
                         (const uint32_t[]){1 + i * SMALL, 1 + (i + 1) * SMALL, 1 + high * SMALL,
                                            1 + (high + 1) * SMALL});
        assert_true(i < 4 || script_counters(s)->tcp_sack_steps - before <= 8);
    }
    assert_int_equal(script_counters(s)->tcp_sacks_put_off, 0);
    script_destroy(s);
}

/* A connection that has as many records as it may goes on without more. */
static void test_records_short(void **state)
{
    struct tcp_flight *f;

    (void)state;
    ten_in_flight();
    f = tcp_conn_of(c->sock)->flight;
    f->count += TCP_SENT_MAX;
    script_send_sack(c, 1, 1, (const uint32_t[]){1 + 5 * MSS + 100, 1 + 6 * MSS});
    assert_int_equal(f->sacked_bytes, 0);
    assert_int_equal(script_counters(s)->tcp_sents_short, 1);
    f->count -= TCP_SENT_MAX;
    script_send_sack(c, 1, 1, (const uint32_t[]){1 + 5 * MSS + 100, 1 + 6 * MSS});
    assert_int_equal(f->sacked_bytes, MSS - 100);
    assert_int_equal(script_counters(s)->tcp_sents_short, 1);
    script_discard(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_permitted),
        TEST(test_permitted_active),
        TEST(test_not_asked_for),
        TEST(test_cookie),
        TEST(test_switched_off),
        TEST(test_recent_first),
        TEST(test_as_many_as_fit),
        TEST(test_beside_data),
        TEST(test_duplicate_below),
        TEST(test_duplicate_ahead),
        TEST(test_duplicate_in_order),
        TEST(test_duplicates_in_burst),
        TEST(test_hole),
        TEST(test_holes),
        TEST(test_hole_in_frame),
        TEST(test_unbelievable),
        TEST(test_reneging),
        TEST(test_duplicate_reported),
        TEST(test_records_short),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_steps_bounded),
        cmocka_unit_test(test_steps_go_on),
        cmocka_unit_test(test_steps_between_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
