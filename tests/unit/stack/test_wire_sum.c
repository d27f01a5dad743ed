#include "tests/unit/support/test_unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

static uint8_t bytes[4096];

static void fill(void)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < sizeof bytes; i++) {
        x = x * 1103515245 + 12345;
        bytes[i] = (uint8_t)(x >> 16);
    }
}

/* What wire_sum() must return, from the plain sum: not inverted, in memory's order. */
static uint16_t expected(const uint8_t *p, size_t len)
{
    return htons((uint16_t)~test_frame_sum(p, len, 0));
}

static void test_rfc_1071_example(void **state)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    (void)state;
    assert_int_equal(ntohs(wire_sum(example, sizeof example, 0)), 0xddf2);
    assert_int_equal(wire_sum(example, 0, 0), 0);
}

static void test_every_length_and_alignment(void **state)
{
    (void)state;
    fill();
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; len <= 200; len++)
            assert_int_equal(wire_sum(bytes + from, len, 0), expected(bytes + from, len));
    }
    assert_int_equal(wire_sum(bytes, sizeof bytes, 0), expected(bytes, sizeof bytes));
}

static void test_carries_of_all_ones(void **state)
{
    static uint8_t ones[65535];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(wire_sum(ones, sizeof ones - 1, 0), 0xffff);
    assert_int_equal(wire_sum(ones, sizeof ones - 1, 0xffffffff), 0xffff);
    assert_int_equal(wire_sum(ones, sizeof ones, 0), htons(0xff00));
}

static void test_initial_is_added(void **state)
{
    uint16_t first;

    (void)state;
    fill();
    first = wire_sum(bytes, 100, 0);
    assert_int_equal(wire_sum(bytes + 100, 77, first), expected(bytes, 177));
}

static void test_segments(void **state)
{
    unsigned before = test_mbuf_in_use();

    (void)state;
    fill();
    for (uint16_t a = 1; a < 60; a++) {
        uint16_t cut[] = {a, (uint16_t)(a + 1), (uint16_t)(a + 34)};
        struct rte_mbuf *m = test_mbuf_split(bytes, 150, cut, 3);

        assert_int_equal(m->nb_segs, 4);
        for (uint32_t from = 0; from < 150; from += 7) {
            for (uint32_t len = 0; from + len <= 150; len += 3)
                assert_int_equal(wire_sum_mbuf(m, from, len, 0), expected(bytes + from, len));
        }
        rte_pktmbuf_free(m);
    }
    assert_int_equal(test_mbuf_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_1071_example),
        cmocka_unit_test(test_every_length_and_alignment),
        cmocka_unit_test(test_carries_of_all_ones),
        cmocka_unit_test(test_initial_is_added),
        cmocka_unit_test(test_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
