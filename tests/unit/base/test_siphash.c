/*
 * SipHash-1-3 of the messages 00, 00 01, ... under the key 00 01 ... 0f. The expected bytes were
 * made by an independent implementation: openssl mac -macopt c-rounds:1 -macopt d-rounds:3 SIPHASH.
 */
#include "tests/unit/support/test_unit.h"

#include <string.h>

#include "base/siphash.h"

static const struct {
    size_t len;
    uint64_t hash; /* the eight bytes read as a big-endian number, as openssl prints them */
} vectors[] = {
    {0, UINT64_C(0xdcc40f055801acab)},  {1, UINT64_C(0x93ca577df39bf4c9)},
    {7, UINT64_C(0x4011b19b987d92d3)},  {8, UINT64_C(0x8e9a298d11959036)},
    {9, UINT64_C(0xe43d066cb38ea425)},  {15, UINT64_C(0x5699512a6dd820d3)},
    {16, UINT64_C(0x668b907d1add4fcc)}, {63, UINT64_C(0xa8b3bbb76290199d)},
};

static void test_vectors(void **state)
{
    struct siphash_key key;
    uint8_t bytes[64];

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    memcpy(&key, bytes, sizeof key);
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_int_equal(__builtin_bswap64(siphash(bytes, vectors[i].len, &key)), vectors[i].hash);
}

static void test_unaligned_input(void **state)
{
    struct siphash_key key = {1, 2};
    uint8_t bytes[40];

    (void)state;
    memset(bytes, 0x5a, sizeof bytes);
    for (unsigned offset = 1; offset < 8; offset++)
        assert_int_equal(siphash(bytes + offset, 21, &key), siphash(bytes, 21, &key));
}

static void test_key_matters(void **state)
{
    struct siphash_key a = {1, 2}, b = {1, 3}, c = {2, 2};

    (void)state;
    assert_int_not_equal(siphash("x", 1, &a), siphash("x", 1, &b));
    assert_int_not_equal(siphash("x", 1, &a), siphash("x", 1, &c));
}

static void test_random_fills_everything(void **state)
{
    uint8_t drawn[300] = {0}, again[300] = {0}, seen[300] = {0};

    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        assert_int_equal(siphash_random(drawn, sizeof drawn), 0);
        for (unsigned i = 0; i < sizeof drawn; i++)
            seen[i] |= drawn[i];
    }
    /* A byte that stays zero in eight draws has a chance of 2^-64. */
    for (unsigned i = 0; i < sizeof seen; i++)
        assert_int_not_equal(seen[i], 0);
    assert_int_equal(siphash_random(again, sizeof again), 0);
    assert_memory_not_equal(drawn, again, sizeof drawn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_unaligned_input),
        cmocka_unit_test(test_key_matters),
        cmocka_unit_test(test_random_fills_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
