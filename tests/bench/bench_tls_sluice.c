/* Our server end, by tls/'s public interface. */
#include <malloc.h>

#include "tests/bench/bench_tls.h"
#include "tls/tls.h"

static struct tls_server *servers[BENCH_KEYS];

static ssize_t wire_read(void *ctx, void *out, size_t len)
{
    struct bench_wire *w = ctx;

    return (ssize_t)bench_queue_take(&w->up, out, len);
}

static ssize_t wire_write(void *ctx, const void *data, size_t len)
{
    struct bench_wire *w = ctx;

    bench_queue_put(&w->down, data, len);
    return (ssize_t)len;
}

static const struct tls_transport transport = {wire_read, wire_write};

static void set_up(const struct bench_cert certs[BENCH_KEYS])
{
    struct tls_worker *w = fixture_worker();

    for (int i = 0; i < BENCH_KEYS; i++) {
        struct error e = {0};
        struct tls_cert_file *f =
            tls_cert_file_load("bench", certs[i].chain, certs[i].key, fixture_now, &e);

        bench_require(f != NULL, e.text);
        servers[i] = fixture_server(w, &f, 1);
    }
}

static void *open(enum bench_key key, struct bench_wire *wire)
{
    struct tls_conn *c = tls_conn_create(servers[key], 0, &transport, wire);

    bench_require(c != NULL, "tls_conn_create");
    return c;
}

static bool handshake(void *end)
{
    enum tls_result result = tls_conn_handshake(end);

    bench_require(result != TLS_FAILED, "tls_conn_handshake");
    return result == TLS_DONE;
}

/* As the proxy reads: it looks first, and takes what it could pass on. */
static size_t read(void *end, void *out, size_t len)
{
    size_t got = 0;

    bench_require(tls_conn_peek(end, out, len, &got) == TLS_DONE, "tls_conn_peek");
    bench_require(tls_conn_read(end, out, got, &got) == TLS_DONE, "tls_conn_read");
    return got;
}

static void write(void *end, const void *data, size_t len)
{
    size_t taken = 0;

    bench_require(tls_conn_write(end, data, len, &taken) == TLS_DONE && taken == len,
                  "tls_conn_write");
}

static void close(void *end)
{
    tls_conn_destroy(end);
}

static size_t held(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

const struct bench_server bench_sluice = {"sluice", set_up, open,  handshake,
                                          read,     write,  close, held};
