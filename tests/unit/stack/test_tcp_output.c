/*
 * How segments are built and handed to the interface: references and segmentation offload, bands,
 * back-pressure, and what happens when no mbuf can be had.
 */
#include "tests/unit/stack/tcp_script.h"

#include <rte_mbuf.h>

#define MSS     1460u
#define OFFLOAD (STACK_TX_IPV4_CHECKSUM | STACK_TX_TCP_CHECKSUM)
#define TSO     (OFFLOAD | STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT)

static struct script *s;
static struct script_conn *c, *d;
static struct sock *listener;

static int teardown(void **state)
{
    (void)state;
    script_destroy(s);
    return 0;
}

static void begin(uint32_t offloads, uint16_t mtu)
{
    s = script_create(&(struct script_config){.offloads = offloads, .mtu = mtu});
    listener = script_listen(s, 80, 8, NULL);
    c = script_conn(s);
    c->wscale = 3;
    d = script_conn(s);
    d->wscale = 3;
    script_establish(c, listener);
    script_establish(d, listener);
}

/* The stream of c from the `from`-th byte on, in whatever frames; returns how many bytes came. */
static uint32_t expect_stream(uint32_t from)
{
    const struct script_segment *g;
    uint32_t at = from;

    while ((g = script_next(s)) != NULL) {
        if (g->len == 0)
            continue;
        assert_int_equal(g->tcp.seq - c->stack_iss - 1, at);
        for (uint32_t i = 0; i < g->len; i++)
            assert_int_equal(g->payload[i], script_byte(at + i));
        at += g->len;
    }
    return at - from;
}

/* ---- frames ---- */

/* A device without multi-segment transmit gets linear frames. */
static void test_linear(void **state)
{
    (void)state;
    begin(0, 0);
    script_write(c, 5 * MSS);
    for (uint32_t i = 0; i < 5; i++) {
        const struct script_segment *g = script_expect(c, TCP_ACK, 1 + i * MSS, 1, MSS);

        assert_int_equal(g->mbufs, 1);
        assert_int_equal(g->tso_size, 0);
    }
}

/* Multi-segment: a header, and references to the bytes where they lie. Pieces of any size, across
 * the borders of mbufs, in any order of writing and acknowledging. */
static void test_references(void **state)
{
    uint32_t acked = 0, seen = 0;

    (void)state;
    begin(STACK_TX_MULTI_SEGMENT, 0);
    for (uint32_t i = 1; i < 200; i++) {
        script_write(c, i * 37 % 2500);
        seen += expect_stream(seen);
        acked += (seen - acked) * (i % 4) / 3;
        script_send(c, TCP_ACK, 1, 1 + acked, 0);
        seen += expect_stream(seen);
    }
    assert_true(seen > 100000);
}

/* While the device still reads a reference, nothing is written into that mbuf, and it is not freed.
 */
static void test_device_keeps_references(void **state)
{
    (void)state;
    begin(STACK_TX_MULTI_SEGMENT, 0);
    script_keep(s, true);
    for (uint32_t i = 0; i < 10; i++)
        script_write(c, 600);
    assert_int_equal(expect_stream(0), 6000);
    script_send(c, TCP_ACK, 1, 6001, 0);
    assert_int_equal(script_usage(s).buffers_used, 0);
    assert_true(rte_mempool_in_use_count(script_data_pool()) > 0);
    script_keep(s, false);
    assert_int_equal(rte_mempool_in_use_count(script_data_pool()), 0);
}

/* A reference costs more than a copy of so little. */
static void test_device_gets_copies_of_little(void **state)
{
    const struct script_segment *g;

    (void)state;
    begin(STACK_TX_MULTI_SEGMENT, 0);
    script_keep(s, true);
    script_write(c, 512);
    g = script_expect(c, TCP_ACK, 1, 1, 512);
    assert_int_equal(g->mbufs, 1);
    script_write(c, 513);
    g = script_expect(c, TCP_ACK, 513, 1, 513);
    assert_true(g->mbufs > 1);
    script_send(c, TCP_ACK, 1, 513, 0);
    script_send(c, TCP_ACK, 1, 1026, 0);
    script_keep(s, false);
}

/* One frame for many segments: whole ones, and the rest by itself. */
static void test_segmentation_offload(void **state)
{
    const struct script_segment *g;

    (void)state;
    begin(TSO, 0);
    script_write(c, 4 * MSS + 100);
    g = script_expect(c, TCP_ACK, 1, 1, 4 * MSS);
    assert_int_equal(g->tso_size, MSS);
    assert_true(g->mbufs > 1);
    g = script_expect(c, TCP_ACK, 1 + 4 * MSS, 1, 100);
    assert_int_equal(g->tso_size, 0);
}

/* With timestamps each segment carries less. */
static void test_segmentation_offload_timestamps(void **state)
{
    (void)state;
    begin(TSO, 0);
    c = script_conn(s);
    c->timestamps = true;
    script_establish(c, listener);
    script_write(c, 7000);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 1, 4 * 1448)->tso_size, 1448);
    script_expect(c, TCP_ACK, 1 + 4 * 1448, 1, 7000 - 4 * 1448);
}

/* Half the window in a frame, and PSH at the end of each. */
static void test_segmentation_of_a_window(void **state)
{
    (void)state;
    begin(TSO, 0);
    script_write(c, 20 * MSS);
    assert_true((script_expect(c, TCP_ACK, 1, 1, 5 * MSS)->tcp.flags & TCP_PSH) != 0);
    assert_true((script_expect(c, TCP_ACK, 1 + 5 * MSS, 1, 5 * MSS)->tcp.flags & TCP_PSH) != 0);
    script_expect_none(s);
}

/* Never more than 64 KiB, never more references than devices take. */
static void test_segmentation_limits(void **state)
{
    uint32_t acked = 0;

    (void)state;
    begin(TSO, 0);
    for (unsigned round = 0; round < 40; round++) {
        const struct script_segment *g;

        script_write(c, 262144);
        while ((g = script_next(s)) != NULL) {
            assert_true(g->len + 40 <= 65535);
            assert_true(g->mbufs <= 41);
            assert_int_equal(g->tcp.seq - c->stack_iss - 1, acked);
            acked += g->len;
        }
        for (uint32_t i = 0; i < 8; i++) /* slow start: two segments for each */
            script_send(c, TCP_ACK, 1, 1 + acked - (7 - i), 0);
    }
}

/* A queue of crumbs cannot be referred to in one frame: it is copied. */
static void test_crumbs(void **state)
{
    struct script_conn *from;
    uint32_t total = 0;

    (void)state;
    begin(TSO, 0);
    from = d;
    d->wscale = 3;
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_exact(s, true); /* memory that nothing may be appended to */
    for (uint32_t i = 0; i < 300; i++) {
        script_send(from, TCP_ACK, 1 + i * 10, 1, 10);
        total += sock_splice(from->sock, c->sock, 1000);
    }
    script_exact(s, false);
    assert_int_equal(total, 3000);
    script_discard(s);
    c->window = 65535;
    script_send(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(expect_stream(0), 3000);
}

/* Jumbo frames fit the mbufs that they are built in, or are linear in none. */
static void test_large_mtu(void **state)
{
    (void)state;
    begin(STACK_TX_MULTI_SEGMENT, 8980);
    c = script_conn(s);
    c->mss = 8940;
    script_establish(c, listener);
    script_write(c, 20000);
    script_expect(c, TCP_ACK, 1, 1, 8940);
    script_expect(c, TCP_ACK, 8941, 1, 8940);
    script_expect_none(s); /* the initial window: RFC 6928 */
    script_send(c, TCP_ACK, 1, 8941, 0);
    script_expect(c, TCP_ACK, 17881, 1, 2120);
}

/* ---- bands ---- */

static void test_bands(void **state)
{
    (void)state;
    begin(0, 0);
    script_write(c, 100);
    assert_int_equal(script_expect(c, TCP_ACK, 1, 1, 100)->band, EGRESS_DATA);
    for (unsigned i = 0; i < 2; i++) {
        script_send(c, TCP_ACK, 1 + i, 1, 1);
        assert_int_equal(script_expect(c, TCP_ACK, 101, 2 + i, 0)->band, EGRESS_CONTROL);
    }
    /* A FIN must not overtake the data that may still wait in the other band. */
    sock_shutdown(c->sock);
    script_flush(s);
    assert_int_equal(script_expect(c, TCP_FIN | TCP_ACK, 101, 3, 0)->band, EGRESS_DATA);
    sock_shutdown(d->sock);
    script_flush(s);
    assert_int_equal(script_expect(d, TCP_FIN | TCP_ACK, 1, 1, 0)->band, EGRESS_CONTROL);
}

/* ---- back-pressure ---- */

/* No more than the interface has room for; acknowledgements go all the same. */
static void test_room(void **state)
{
    (void)state;
    begin(0, 0);
    script_room(s, 3);
    script_write(c, 10 * MSS);
    for (uint32_t i = 0; i < 3; i++)
        script_expect(c, TCP_ACK, 1 + i * MSS, 1, MSS);
    script_expect_none(s);
    script_send(c, TCP_ACK, 1, 1, 10);
    script_expect(c, TCP_ACK, 1 + 3 * MSS, 11, 0);
    script_expect_none(s);
    assert_true(stack_deadline(script_stack(s)) > script_now(s));
    script_room(s, SCRIPT_UNLIMITED);
    assert_true(stack_deadline(script_stack(s)) <= script_now(s));
    script_flush(s);
    assert_int_equal(script_discard(s), 7);
}

/* While the interface is the bottleneck all connections get their turn. */
static void test_room_is_shared(void **state)
{
    struct script_conn *k[8];
    uint32_t sent[8] = {0};

    (void)state;
    begin(0, 0);
    script_room(s, 0);
    for (unsigned i = 0; i < 8; i++) {
        k[i] = script_conn(s);
        k[i]->wscale = 3;
        k[i]->peer_port = (uint16_t)(100 + i);
        script_establish(k[i], listener);
        script_write(k[i], 10 * MSS);
    }
    for (unsigned round = 0; round < 10; round++) {
        const struct script_segment *g;

        script_room(s, 4);
        script_flush(s);
        while ((g = script_next(s)) != NULL)
            sent[g->dport - 100]++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(sent[i], 2, 8); /* of 40 in all */
}

/* ---- no mbufs ---- */

/* Nothing is lost: data, acknowledgements and handshakes follow as soon as there are some. */
static void no_mbufs(uint32_t offloads)
{
    begin(offloads, 0);
    script_hog(s, script_tx_pool(), 0);
    script_write(c, 3 * MSS);
    script_send(d, TCP_ACK, 1, 1, 100);
    script_send(script_conn(s), TCP_SYN, 0, 0, 0);
    script_send(script_conn(s), TCP_ACK, 1, 1, 0); /* no connection: its RST is not repeated */
    script_expect_none(s);
    assert_true(script_counters(s)->tx_no_mbuf > 0);
    script_advance(s, 5 * CLOCK_MS);
    script_unhog(s);
    script_advance(s, CLOCK_MS);
    for (unsigned i = 0; i < 5; i++)
        assert_non_null(script_next(s));
    script_expect_none(s);
    assert_int_equal(script_usage(s).connections_used, 3);
}

static void test_no_mbufs(void **state)
{
    (void)state;
    no_mbufs(0);
}

static void test_no_mbufs_multi_segment(void **state)
{
    (void)state;
    no_mbufs(STACK_TX_MULTI_SEGMENT);
}

/* A header, but no reference to go with it: the frame is taken back. */
static void test_one_mbuf(void **state)
{
    (void)state;
    begin(TSO, 0);
    script_hog(s, script_tx_pool(), 1);
    script_write(c, 8 * MSS);
    script_expect_none(s);
    assert_int_equal(rte_mempool_avail_count(script_tx_pool()), 1);
    script_unhog(s);
    script_advance(s, CLOCK_MS);
    assert_int_equal(expect_stream(0), 8 * MSS);
}

/* Retransmissions wait as well, and the timer that missed its mbuf goes on. */
static void test_no_mbufs_for_retransmission(void **state)
{
    (void)state;
    begin(0, 0);
    script_write(c, 10);
    script_discard(s);
    script_hog(s, script_tx_pool(), 0);
    script_advance(s, CLOCK_SEC);
    script_unhog(s);
    script_advance(s, CLOCK_SEC);
    script_expect(c, TCP_ACK, 1, 1, 10);
    script_discard(s);
    script_send(c, TCP_ACK, 1, 11, 0);
    assert_int_equal(sock_unacknowledged(c->sock), 0);
}

/* No mbufs to write into: the writer is told how much was taken, and when to go on. */
static void test_no_mbufs_to_write(void **state)
{
    (void)state;
    begin(0, 0);
    c->window = 0;
    script_send(c, TCP_ACK, 1, 1, 0);
    script_hog(s, script_data_pool(), 2);
    assert_int_equal(script_write(c, 10000), 4096);
    script_unhog(s);
    script_flush(s);
    assert_int_equal(script_events(s, c->sock), EVENT_WRITABLE);
    assert_int_equal(script_write(c, 5904), 5904);
    c->window = 60000;
    script_send(c, TCP_ACK, 1, 1, 0);
    assert_int_equal(expect_stream(0), 10000);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_linear),
        TEST(test_references),
        TEST(test_device_keeps_references),
        TEST(test_device_gets_copies_of_little),
        TEST(test_segmentation_offload),
        TEST(test_segmentation_offload_timestamps),
        TEST(test_segmentation_of_a_window),
        TEST(test_segmentation_limits),
        TEST(test_crumbs),
        TEST(test_large_mtu),
        TEST(test_bands),
        TEST(test_room),
        TEST(test_room_is_shared),
        TEST(test_no_mbufs),
        TEST(test_no_mbufs_multi_segment),
        TEST(test_one_mbuf),
        TEST(test_no_mbufs_for_retransmission),
        TEST(test_no_mbufs_to_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
