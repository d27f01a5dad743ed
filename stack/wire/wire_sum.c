/*
 * The internet checksum (RFC 1071): the one's complement sum of 16-bit words.
 *
 * The sum does not depend on byte order (RFC 1071, 2 (B)), so words are added as they stand in
 * memory, 32 bits at a time into 64-bit lanes, and carries are folded once at the end. The lanes
 * are independent so that compilers turn the loop into vector instructions: on x86-64 it runs as
 * fast as DPDK's with gcc and several times faster with clang.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define SUM_LANES 8

static uint16_t sum_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

uint16_t wire_sum(const void *data, size_t len, uint32_t initial)
{
    const uint8_t *p = data;
    uint64_t lane[SUM_LANES] = {initial};
    uint64_t sum = 0;

    for (; len >= 4 * SUM_LANES; p += 4 * SUM_LANES, len -= 4 * SUM_LANES) {
        uint32_t word[SUM_LANES];

        memcpy(word, p, sizeof word);
        for (unsigned i = 0; i < SUM_LANES; i++)
            lane[i] += word[i];
    }
    for (unsigned i = 0; i < SUM_LANES; i++)
        sum += lane[i];
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
    bool v4 = ip_is_v4(src);
    size_t skip = v4 ? 12 : 0;
    struct {
        uint32_t length, protocol;
    } rest = {htonl(length), htonl(protocol)};
    uint32_t sum;

    sum = wire_sum(src->b + skip, sizeof src->b - skip, 0);
    sum += wire_sum(dst->b + skip, sizeof dst->b - skip, 0);
    return wire_sum(&rest, sizeof rest, sum);
}
