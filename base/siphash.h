/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012): a keyed hash for tables and numbers that a peer must
 * not be able to predict. Not a message authentication code for anything that leaves the machine.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

uint64_t siphash(const void *data, size_t len, const struct siphash_key *key);

/* Fills a key (or anything else) from the kernel's random source. Returns 0 or -1 (errno). */
int siphash_random(void *out, size_t len);

#endif
