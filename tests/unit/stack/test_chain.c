/*
 * Chains of mbufs against a plain array of bytes.
 */
#include "stack/chain.h"

#include <string.h>

#include <rte_mbuf.h>

#include "tests/unit/support/test_mbuf.h"
#include "tests/unit/support/test_unit.h"

static struct chain c;

static int setup(void **state)
{
    (void)state;
    test_eal_init();
    memset(&c, 0, sizeof c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chain_free(&c);
    assert_int_equal(test_mbuf_in_use(), 0);
    return 0;
}

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

static struct rte_mbuf *packet(uint32_t from, uint32_t len)
{
    uint8_t bytes[4096];

    for (uint32_t i = 0; i < len; i++)
        bytes[i] = pattern(from + i);
    return test_mbuf_plain(bytes, len);
}

/* The chain holds bytes [from, to), and its own counts are right. */
static void check(const struct chain *k, uint32_t from, uint32_t to)
{
    static uint8_t bytes[65536];
    uint32_t segs = 0, len = 0;
    const struct rte_mbuf *last = NULL;

    for (const struct rte_mbuf *m = k->head; m != NULL; m = m->next) {
        assert_true(m->data_len > 0);
        segs++;
        len += m->data_len;
        last = m;
    }
    assert_ptr_equal(k->tail, last);
    assert_int_equal(k->segs, segs);
    assert_int_equal(k->len, len);
    assert_int_equal(len, to - from);
    assert_int_equal(chain_empty(k), from == to);
    assert_int_equal(chain_peek(k, 0, bytes, sizeof bytes), len);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], pattern(from + i));
}

static void test_empty(void **state)
{
    uint8_t byte;

    (void)state;
    check(&c, 0, 0);
    chain_drop(&c, 10);
    chain_truncate(&c, 10);
    assert_int_equal(chain_read(&c, &byte, 1), 0);
    assert_int_equal(chain_move_segments(&c, &(struct chain){0}, 10), 0);
    chain_append_chain(&c, &(struct chain){0});
    chain_append_packet(&c, packet(0, 0)); /* freed */
    check(&c, 0, 0);
}

/* Small payloads are copied into the tail's room, large ones linked. */
static void test_append_packet(void **state)
{
    (void)state;
    chain_append_packet(&c, packet(0, 1000));
    chain_append_packet(&c, packet(1000, 512));
    assert_int_equal(c.segs, 1);
    chain_append_packet(&c, packet(1512, 513));
    assert_int_equal(c.segs, 2);
    check(&c, 0, 2025);
}

/* Never into memory that somebody else looks at. */
static void test_shared_tail(void **state)
{
    struct rte_mbuf *m = packet(0, 100), *reference;

    (void)state;
    chain_append_packet(&c, m);
    rte_mbuf_refcnt_update(m, 1);
    chain_append_packet(&c, packet(100, 10));
    assert_int_equal(c.segs, 2);
    rte_mbuf_refcnt_update(m, -1);
    /* An indirect mbuf's bytes are another's. */
    reference = rte_pktmbuf_alloc(test_mbuf_pool());
    m = packet(110, 50);
    rte_pktmbuf_attach(reference, m);
    chain_append_packet(&c, reference);
    rte_pktmbuf_free(m);
    check(&c, 0, 160);
    chain_drop(&c, 110);
    chain_append_packet(&c, packet(160, 10));
    check(&c, 110, 170);
}

static void test_foreign_tail(void **state)
{
    uint8_t bytes[40];

    (void)state;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    chain_append_packet(&c, test_mbuf_exact(bytes, sizeof bytes));
    chain_append_packet(&c, packet(40, 10));
    assert_int_equal(c.segs, 2);
    check(&c, 0, 50);
}

static void test_append_split_packet(void **state)
{
    static const uint16_t cuts[] = {10, 700, 1500};
    uint8_t bytes[2000];

    (void)state;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    chain_append_packet(&c, test_mbuf_split(bytes, sizeof bytes, cuts, 3));
    check(&c, 0, 2000);
}

static void test_append_bytes(void **state)
{
    static uint8_t bytes[30000];

    (void)state;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    chain_append_packet(&c, packet(0, 100));
    assert_int_equal(chain_append_bytes(&c, test_mbuf_pool(), bytes + 100, 29900), 29900);
    assert_int_equal(c.segs, 4); /* of 9 KiB each */
    check(&c, 0, 30000);
}

/* An empty pool: what fitted is there, and the count says how much. */
static void test_append_bytes_without_mbufs(void **state)
{
    static struct rte_mbuf *hogged[TEST_MBUF_COUNT];
    static uint8_t bytes[40000];
    unsigned n = 0;

    (void)state;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    while (rte_mempool_avail_count(test_mbuf_pool()) > 2)
        hogged[n++] = rte_pktmbuf_alloc(test_mbuf_pool());
    assert_int_equal(chain_append_bytes(&c, test_mbuf_pool(), bytes, 40000), 2 * TEST_MBUF_ROOM);
    check(&c, 0, 2 * TEST_MBUF_ROOM);
    assert_int_equal(chain_append_bytes(&c, test_mbuf_pool(), bytes, 1), 0);
    check(&c, 0, 2 * TEST_MBUF_ROOM);
    while (n > 0)
        rte_pktmbuf_free(hogged[--n]);
}

static void test_move_segments(void **state)
{
    struct chain to = {0};

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        chain_append_packet(&c, packet(i * 1000, 1000));
    assert_int_equal(chain_move_segments(&to, &c, 0), 0);
    assert_int_equal(chain_move_segments(&to, &c, 1), 1000); /* whole ones */
    assert_int_equal(chain_move_segments(&to, &c, 1001), 2000);
    check(&to, 0, 3000);
    check(&c, 3000, 4000);
    assert_int_equal(chain_move_segments(&to, &c, 100000), 1000);
    check(&to, 0, 4000);
    check(&c, 0, 0);
    chain_free(&to);
}

/* A byte at a time must not come to hold an mbuf each on the other side. */
static void test_move_small_segments(void **state)
{
    struct chain to = {0};

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        chain_append_packet(&c, packet(i, 1));
        assert_int_equal(chain_move_segments(&to, &c, 1000), 1);
    }
    assert_int_equal(to.segs, 1);
    check(&to, 0, 1000);
    chain_free(&to);
}

static void test_truncate(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        chain_append_packet(&c, packet(i * 1000, 1000));
    chain_truncate(&c, 5000);
    check(&c, 0, 4000);
    chain_truncate(&c, 2500);
    check(&c, 0, 2500);
    chain_truncate(&c, 2000);
    check(&c, 0, 2000);
    chain_truncate(&c, 0);
    check(&c, 0, 0);
}

static void test_peek_offset(void **state)
{
    uint8_t bytes[100];

    (void)state;
    chain_append_packet(&c, packet(0, 1000));
    chain_append_packet(&c, packet(1000, 1000));
    assert_int_equal(chain_peek(&c, 950, bytes, 100), 100);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(bytes[i], pattern(950 + i));
    assert_int_equal(chain_peek(&c, 1990, bytes, 100), 10);
    assert_int_equal(chain_peek(&c, 2000, bytes, 100), 0);
    assert_int_equal(chain_peek(&c, 5000, bytes, 100), 0);
}

/* Everything in random order, against two positions. */
static void test_random(void **state)
{
    uint32_t from = 0, to = 0, random = 1;
    static uint8_t bytes[5000];

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        uint32_t n;

        random = random * 1103515245 + 12345;
        n = (random >> 8) % 1500;
        switch ((random >> 24) % 6) {
        case 0:
        case 1:
            if (to - from > 40000)
                break;
            chain_append_packet(&c, packet(to, n));
            to += n;
            break;
        case 2:
            for (uint32_t i = 0; i < n; i++)
                bytes[i] = pattern(to + i);
            if (to - from > 40000)
                break;
            assert_int_equal(chain_append_bytes(&c, test_mbuf_pool(), bytes, n), n);
            to += n;
            break;
        case 3:
            chain_drop(&c, n);
            from = to - from > n ? from + n : to;
            break;
        case 4:
            chain_truncate(&c, to - from > n ? to - from - n : 0);
            to = to - from > n ? to - n : from;
            break;
        default:
            from += chain_read(&c, bytes, n);
            break;
        }
        if (step % 8 == 0)
            check(&c, from, to);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_append_packet),
        TEST(test_shared_tail),
        TEST(test_foreign_tail),
        TEST(test_append_split_packet),
        TEST(test_append_bytes),
        TEST(test_append_bytes_without_mbufs),
        TEST(test_move_segments),
        TEST(test_move_small_segments),
        TEST(test_truncate),
        TEST(test_peek_offset),
        TEST(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
