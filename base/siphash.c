#include "base/siphash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static inline void sipround(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* The last bytes, fewer than eight, as a number in the order of memory. Keys end in ports: a copy
 * of so few bytes that the compiler does not know the number of costs more than a round. */
static inline uint64_t siphash_tail(const uint8_t *p, size_t len)
{
    uint64_t word = 0;
    unsigned bits = 0;

    if ((len & 4) != 0) {
        uint32_t four;

        memcpy(&four, p, sizeof four);
        word = four;
        p += sizeof four;
        bits = 32;
    }
    for (len &= 3; len > 0; len--, bits += 8)
        word |= (uint64_t)*p++ << bits;
    return word;
}

uint64_t siphash(const void *data, size_t len, const struct siphash_key *key)
{
    const uint8_t *p = data;
    uint64_t v[4] = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    uint64_t word, last = (uint64_t)len << 56;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sipround(v);
        v[0] ^= word;
    }
    last |= siphash_tail(p, len);
    v[3] ^= last;
    sipround(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sipround(v);
    sipround(v);
    sipround(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int siphash_random(void *out, size_t len)
{
    uint8_t *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}
