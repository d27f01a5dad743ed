/*
 * The server ends that bench_tls.c compares: ours, and OpenSSL by itself (the floor). Each is
 * driven through the same calls by a client of OpenSSL's that shares nothing with it but bytes in
 * memory.
 */
#ifndef TESTS_BENCH_BENCH_TLS_H
#define TESTS_BENCH_BENCH_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/unit/tls/tls_fixture.h"

/* Bytes in flight one way; room for a batch of records. */
struct bench_queue {
    uint8_t data[1 << 20];
    size_t begin, end;
};

struct bench_wire {
    struct bench_queue up, down; /* to the server, to the client */
};

enum bench_key { BENCH_P256, BENCH_RSA2048, BENCH_KEYS };

struct bench_cert {
    char chain[FIXTURE_PATH_MAX], key[FIXTURE_PATH_MAX]; /* PEM files */
};

/* An end of a connection is `void *`; everything but set_up() is timed. */
struct bench_server {
    const char *name;
    void (*set_up)(const struct bench_cert certs[BENCH_KEYS]);
    void *(*open)(enum bench_key key, struct bench_wire *wire);
    bool (*handshake)(void *end); /* a step; true when it is complete */
    size_t (*read)(void *end, void *out, size_t len);
    void (*write)(void *end, const void *data, size_t len); /* one record */
    void (*close)(void *end);
    size_t (*held)(void); /* bytes allocated for connections and all else */
};

extern const struct bench_server bench_sluice, bench_floor, bench_floor_tuned;

size_t bench_queue_take(struct bench_queue *q, void *out, size_t len);
void bench_queue_put(struct bench_queue *q, const void *data, size_t len);

_Noreturn void bench_fail(const char *what);

static inline void bench_require(bool ok, const char *what)
{
    if (!ok)
        bench_fail(what);
}

#endif
