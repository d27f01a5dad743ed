/*
 * OpenSSL by itself through memory BIOs, which is what a server on it cannot go below without
 * changing it: with its defaults, and with the settings that we choose for it.
 */
#include <malloc.h>

#include <openssl/provider.h>

#include "tests/bench/bench_tls.h"

static SSL_CTX *contexts[BENCH_KEYS];

static SSL_CTX *make_context(OSSL_LIB_CTX *lib, const struct bench_cert *cert)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(lib, NULL, TLS_server_method());

    bench_require(ctx != NULL && SSL_CTX_use_certificate_chain_file(ctx, cert->chain) == 1 &&
                      SSL_CTX_use_PrivateKey_file(ctx, cert->key, SSL_FILETYPE_PEM) == 1,
                  "SSL_CTX of the floor");
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bench", 5);
    return ctx;
}

static void set_up(const struct bench_cert certs[BENCH_KEYS])
{
    for (int i = 0; i < BENCH_KEYS; i++)
        contexts[i] = make_context(NULL, &certs[i]);
}

static void set_up_tuned(const struct bench_cert certs[BENCH_KEYS])
{
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();

    bench_require(lib != NULL && OSSL_PROVIDER_load(lib, "default") != NULL, "library context");
    for (int i = 0; i < BENCH_KEYS; i++) {
        contexts[i] = make_context(lib, &certs[i]);
        SSL_CTX_set_mode(contexts[i], SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
        SSL_CTX_set_session_cache_mode(contexts[i], SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(contexts[i], 1);
        SSL_CTX_set1_groups_list(contexts[i], "X25519:P-256:P-384");
    }
}

struct end {
    SSL *ssl;
    struct bench_wire *wire;
};

static void *open(enum bench_key key, struct bench_wire *wire)
{
    struct end *e = malloc(sizeof *e);

    bench_require(e != NULL, "memory");
    *e = (struct end){SSL_new(contexts[key]), wire};
    bench_require(e->ssl != NULL, "SSL_new");
    SSL_set_bio(e->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(e->ssl);
    return e;
}

static void fetch(struct end *e)
{
    struct bench_queue *q = &e->wire->up;

    if (q->begin < q->end)
        BIO_write(SSL_get_rbio(e->ssl), q->data + q->begin, (int)(q->end - q->begin));
    q->begin = q->end = 0;
}

static void deliver(struct end *e)
{
    char *data;
    long len = BIO_get_mem_data(SSL_get_wbio(e->ssl), &data);

    if (len > 0)
        bench_queue_put(&e->wire->down, data, (size_t)len);
    BIO_reset(SSL_get_wbio(e->ssl));
}

static bool handshake(void *end)
{
    struct end *e = end;
    int ret;

    fetch(e);
    ret = SSL_do_handshake(e->ssl);
    bench_require(ret == 1 || SSL_get_error(e->ssl, ret) == SSL_ERROR_WANT_READ, "handshake");
    deliver(e);
    return ret == 1;
}

static size_t read(void *end, void *out, size_t len)
{
    struct end *e = end;
    size_t got = 0;

    fetch(e);
    bench_require(SSL_read_ex(e->ssl, out, len, &got) == 1, "SSL_read");
    return got;
}

static void write(void *end, const void *data, size_t len)
{
    struct end *e = end;
    size_t taken;

    bench_require(SSL_write_ex(e->ssl, data, len, &taken) == 1 && taken == len, "SSL_write");
    deliver(e);
}

static void close(void *end)
{
    struct end *e = end;

    SSL_free(e->ssl);
    free(e);
}

static size_t held(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

const struct bench_server bench_floor = {"OpenSSL", set_up, open,  handshake,
                                         read,      write,  close, held};
const struct bench_server bench_floor_tuned = {
    "OpenSSL, tuned", set_up_tuned, open, handshake, read, write, close, held};
