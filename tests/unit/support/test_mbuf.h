/*
 * mbufs for tests: EAL in this process without hugepages or devices, and frames whose bytes lie in
 * a heap block of exactly their size, so that AddressSanitizer reports every access past an end.
 *
 * Everything here aborts the process when it fails: a test cannot go on without it.
 */
#ifndef TESTS_UNIT_SUPPORT_TEST_MBUF_H
#define TESTS_UNIT_SUPPORT_TEST_MBUF_H

#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>

/* Starts EAL on the first call. */
void test_eal_init(void);

#define TEST_MBUF_COUNT 4095
#define TEST_MBUF_ROOM  9216 /* bytes in an mbuf of the pool behind its headroom */

/* The pool from which all mbufs of tests come, and which may serve as transmit or data pool. */
struct rte_mempool *test_mbuf_pool(void);

/* How many mbufs of the pool are in use: the same before and after a test, or something leaks. */
unsigned test_mbuf_in_use(void);

/* A frame in one exact block. Reads and writes past either end are reported. */
struct rte_mbuf *test_mbuf_exact(const void *bytes, size_t len);

/* The same in several segments, each in a block of its own; `cut` holds the ascending offsets at
 * which a new segment begins. Offsets at or past the end are ignored. */
struct rte_mbuf *test_mbuf_split(const void *bytes, size_t len, const uint16_t *cut, unsigned cuts);

/* A frame in an ordinary mbuf, as a driver delivers it: direct, with headroom. */
struct rte_mbuf *test_mbuf_plain(const void *bytes, size_t len);

#endif
