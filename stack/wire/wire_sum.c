/*
 * The internet checksum (RFC 1071): the one's complement sum of 16-bit words.
 *
 * The sum does not depend on byte order (RFC 1071, 2 (B)), so words are added as they stand in
 * memory: 32 bits at a time, as the low and the high halves of vectors of 64-bit lanes, where
 * carries collect until they are folded once at the end. The vectors are spelled out (a language
 * extension of gcc and clang, not intrinsics of one processor), because what compilers make of a
 * plain loop, DPDK's among them, varies by a factor of ten with compiler and options.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

typedef uint64_t sum_lanes __attribute__((vector_size(16)));

#define SUM_BLOCK (2 * sizeof(sum_lanes)) /* two at a time, so that additions overlap */

static uint16_t sum_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

/* The sum of `blocks` times SUM_BLOCK bytes. */
static uint64_t sum_blocks(const uint8_t *p, size_t blocks)
{
    sum_lanes low[2] = {{0}}, high[2] = {{0}};

    for (; blocks > 0; blocks--, p += SUM_BLOCK) {
        sum_lanes word[2];

        memcpy(word, p, sizeof word);
        low[0] += word[0] & UINT32_MAX;
        high[0] += word[0] >> 32;
        low[1] += word[1] & UINT32_MAX;
        high[1] += word[1] >> 32;
    }
    low[0] += low[1] + high[0] + high[1];
    return low[0][0] + low[0][1];
}

uint16_t wire_sum(const void *data, size_t len, uint32_t initial)
{
    const uint8_t *p = data;
    uint64_t sum = initial + sum_blocks(p, len / SUM_BLOCK);

    p += len / SUM_BLOCK * SUM_BLOCK;
    /* Headers are no longer than this: eight bytes at a time, too. */
    for (len %= SUM_BLOCK; len >= 8; p += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        sum += (word & UINT32_MAX) + (word >> 32);
    }
    for (; len >= 2; p += 2, len -= 2) {
        uint16_t word;

        memcpy(&word, p, sizeof word);
        sum += word;
    }
    if (len != 0) {
        uint8_t last[2] = {*p, 0}; /* padded with a zero byte (RFC 1071, 1) */
        uint16_t word;

        memcpy(&word, last, sizeof word);
        sum += word;
    }
    return sum_fold(sum);
}

uint16_t wire_sum_mbuf(const struct rte_mbuf *m, uint32_t offset, uint32_t len, uint32_t initial)
{
    uint32_t done = 0, sum = initial;

    if (offset + len <= m->data_len)
        return wire_sum(rte_pktmbuf_mtod_offset(m, const uint8_t *, offset), len, initial);
    for (; offset >= m->data_len && m->next != NULL; m = m->next)
        offset -= m->data_len;
    for (; done < len && m != NULL; m = m->next, offset = 0) {
        uint32_t n = RTE_MIN(m->data_len - offset, len - done);
        uint16_t part = wire_sum(rte_pktmbuf_mtod_offset(m, const uint8_t *, offset), n, 0);

        /* After an odd number of bytes the words straddle: their halves change places. */
        sum += (done & 1) != 0 ? __builtin_bswap16(part) : part;
        done += n;
    }
    return sum_fold(sum);
}

uint16_t wire_pseudo_sum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t protocol,
                         uint32_t length)
{
    uint64_t sum = (uint64_t)htonl(length) + htonl(protocol);

    sum += (uint64_t)src->w[3] + dst->w[3];
    if (!ip_is_v4(src)) {
        for (unsigned i = 0; i < 3; i++)
            sum += (uint64_t)src->w[i] + dst->w[i];
    }
    return sum_fold(sum);
}
