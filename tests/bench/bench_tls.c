/*
 * What the server side of TLS costs: `make bench BENCH=tls`. Ours beside OpenSSL by itself; prints
 * a line for each case, says nothing about whether that is good.
 *
 * Each contender is a process of its own, because OpenSSL's allocator and its state belong to a
 * process. They take turns, round by round, so that what the machine does to one it does to all.
 * Only calls of the server's end are timed, and of all times of a round the lower quartile counts:
 * preemption and the client's traces in the caches make some of them longer, nothing makes them
 * shorter. The client is OpenSSL with its defaults and verifies nothing.
 *
 * With arguments, SERVER ROW COUNT, it repeats one row in one process, for profilers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench_tls.h"

#define BATCH  32 /* records between two reads of the clock */
#define IDLE   1000
#define ROUNDS 7

enum kind { FULL, RESUMED, RECORD_OUT, RECORD_IN, MEMORY };

struct row {
    const char *name, *title;
    enum kind kind;
    int version;
    enum bench_key key;
    size_t len; /* of a record */
    unsigned count;
};

static const struct row rows[] = {
    {"full-13-p256", "full handshake, TLS 1.3, P-256", FULL, TLS1_3_VERSION, BENCH_P256, 0, 300},
    {"full-13-rsa", "full handshake, TLS 1.3, RSA-2048", FULL, TLS1_3_VERSION, BENCH_RSA2048, 0,
     100},
    {"full-12-p256", "full handshake, TLS 1.2, P-256", FULL, TLS1_2_VERSION, BENCH_P256, 0, 200},
    {"full-12-rsa", "full handshake, TLS 1.2, RSA-2048", FULL, TLS1_2_VERSION, BENCH_RSA2048, 0,
     100},
    {"resumed-13", "resumed handshake, TLS 1.3", RESUMED, TLS1_3_VERSION, BENCH_P256, 0, 200},
    {"resumed-12", "resumed handshake, TLS 1.2", RESUMED, TLS1_2_VERSION, BENCH_P256, 0, 200},
    {"out-16k", "record of 16 KB out", RECORD_OUT, TLS1_3_VERSION, BENCH_P256, 16384, 60},
    {"in-16k", "record of 16 KB in", RECORD_IN, TLS1_3_VERSION, BENCH_P256, 16384, 60},
    {"out-1k", "record of 1 KB out", RECORD_OUT, TLS1_3_VERSION, BENCH_P256, 1024, 200},
    {"in-1k", "record of 1 KB in", RECORD_IN, TLS1_3_VERSION, BENCH_P256, 1024, 200},
    {"idle-13", "bytes held by an idle connection, TLS 1.3", MEMORY, TLS1_3_VERSION, BENCH_P256, 0,
     1},
    {"idle-12", "bytes held by an idle connection, TLS 1.2", MEMORY, TLS1_2_VERSION, BENCH_P256, 0,
     1},
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct bench_server *const servers[] = {&bench_sluice, &bench_floor_tuned,
                                                     &bench_floor};

#define SERVERS (sizeof servers / sizeof servers[0])

void bench_fail(const char *what)
{
    fprintf(stderr, "bench_tls: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- bytes in flight ---- */

size_t bench_queue_take(struct bench_queue *q, void *out, size_t len)
{
    size_t n = len < q->end - q->begin ? len : q->end - q->begin;

    memcpy(out, q->data + q->begin, n);
    q->begin += n;
    if (q->begin == q->end)
        q->begin = q->end = 0;
    return n;
}

void bench_queue_put(struct bench_queue *q, const void *data, size_t len)
{
    bench_require(q->end + len <= sizeof q->data, "more bytes in flight than foreseen");
    memcpy(q->data + q->end, data, len);
    q->end += len;
}

/* ---- a connection ---- */

struct pair {
    const struct bench_server *server;
    void *end;
    SSL *client;
    clock_ns spent; /* by the server's end */
};

static struct bench_wire wire;
static uint8_t data[16384], scratch[BATCH * 16384];
static SSL_SESSION *session; /* the newest */

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static SSL_CTX *client_context(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    bench_require(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
                      SSL_CTX_set_max_proto_version(ctx, version) == 1 &&
                      SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1,
                  "client");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    return ctx;
}

static void pump_client(struct pair *p)
{
    char *bytes;
    long len = BIO_get_mem_data(SSL_get_wbio(p->client), &bytes);

    if (len > 0)
        bench_queue_put(&wire.up, bytes, (size_t)len);
    BIO_reset(SSL_get_wbio(p->client));
    if (wire.down.begin < wire.down.end)
        BIO_write(SSL_get_rbio(p->client), wire.down.data + wire.down.begin,
                  (int)(wire.down.end - wire.down.begin));
    wire.down.begin = wire.down.end = 0;
}

static bool client_step(struct pair *p)
{
    int ret;

    pump_client(p);
    ret = SSL_do_handshake(p->client);
    bench_require(ret == 1 || SSL_get_error(p->client, ret) == SSL_ERROR_WANT_READ,
                  "handshake of the client");
    pump_client(p);
    return ret == 1;
}

static void open_pair(struct pair *p, const struct bench_server *server, const struct row *row,
                      SSL_CTX *ctx)
{
    bool done = false;
    clock_ns begin;

    wire.up.begin = wire.up.end = wire.down.begin = wire.down.end = 0;
    *p = (struct pair){.server = server, .client = SSL_new(ctx)};
    SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p->client);
    SSL_set_tlsext_host_name(p->client, (char[]){"shop.example"});
    if (row->kind == RESUMED && session != NULL)
        SSL_set_session(p->client, session);
    client_step(p);
    begin = clock_now();
    p->end = server->open(row->key, &wire);
    p->spent += clock_now() - begin;
    while (!done) {
        begin = clock_now();
        done = server->handshake(p->end);
        p->spent += clock_now() - begin;
        client_step(p);
    }
}

/* One record each way; tickets reach the client with it. */
static void exchange(struct pair *p)
{
    size_t got;
    clock_ns begin;

    SSL_write_ex(p->client, data, 100, &got);
    pump_client(p);
    begin = clock_now();
    p->server->read(p->end, scratch, sizeof data);
    p->server->write(p->end, data, 1024);
    p->spent += clock_now() - begin;
    pump_client(p);
    bench_require(SSL_read_ex(p->client, scratch, sizeof data, &got) == 1 && got == 1024,
                  "the answer");
}

static void close_pair(struct pair *p)
{
    clock_ns begin = clock_now();

    p->server->close(p->end);
    p->spent += clock_now() - begin;
    SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p->client);
}

/* ---- a row's operations: microseconds each ---- */

static double handshake(const struct bench_server *server, const struct row *row, SSL_CTX *ctx)
{
    bool resumable = row->kind == RESUMED && session != NULL;
    struct pair p;

    open_pair(&p, server, row, ctx);
    exchange(&p);
    bench_require(SSL_session_reused(p.client) == resumable, "a handshake of the other kind");
    close_pair(&p);
    return (double)p.spent / 1000;
}

static double records_out(struct pair *p, size_t len)
{
    clock_ns begin = clock_now(), spent;
    size_t got;

    for (unsigned i = 0; i < BATCH; i++)
        p->server->write(p->end, data, len);
    spent = clock_now() - begin;
    pump_client(p);
    for (unsigned i = 0; i < BATCH; i++)
        bench_require(SSL_read_ex(p->client, scratch, sizeof data, &got) == 1 && got == len,
                      "a record");
    return (double)spent / 1000 / BATCH;
}

static double records_in(struct pair *p, size_t len)
{
    clock_ns begin;
    size_t got;

    for (unsigned i = 0; i < BATCH; i++)
        bench_require(SSL_write_ex(p->client, data, len, &got) == 1, "a record");
    pump_client(p);
    begin = clock_now();
    for (unsigned i = 0; i < BATCH; i++)
        bench_require(p->server->read(p->end, scratch, sizeof data) == len, "a record");
    return (double)(clock_now() - begin) / 1000 / BATCH;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double handshakes(const struct bench_server *server, const struct row *row, SSL_CTX *ctx,
                         unsigned count)
{
    double *times = calloc(count, sizeof *times), result;

    bench_require(times != NULL, "memory");
    if (row->kind == RESUMED) {
        SSL_SESSION_free(session);
        session = NULL;
        handshake(server, row, ctx);
        bench_require(session != NULL, "no ticket");
    }
    for (unsigned i = 0; i < count; i++)
        times[i] = handshake(server, row, ctx);
    qsort(times, count, sizeof *times, compare);
    result = times[count / 4];
    free(times);
    return result;
}

static double records(const struct bench_server *server, const struct row *row, SSL_CTX *ctx,
                      unsigned count)
{
    double *times = calloc(count, sizeof *times), result;
    struct pair p;

    bench_require(times != NULL, "memory");
    open_pair(&p, server, row, ctx);
    exchange(&p);
    for (unsigned i = 0; i < count; i++)
        times[i] = row->kind == RECORD_OUT ? records_out(&p, row->len) : records_in(&p, row->len);
    close_pair(&p);
    qsort(times, count, sizeof *times, compare);
    result = times[count / 4];
    free(times);
    return result;
}

/* What the server's ends give back when they go, without their BIOs' buffers. */
static double memory(const struct bench_server *server, const struct row *row, SSL_CTX *ctx)
{
    static struct pair pairs[IDLE];
    size_t before;

    for (unsigned i = 0; i < IDLE; i++) {
        open_pair(&pairs[i], server, row, ctx);
        exchange(&pairs[i]);
    }
    before = server->held();
    for (unsigned i = 0; i < IDLE; i++)
        server->close(pairs[i].end);
    before -= server->held();
    for (unsigned i = 0; i < IDLE; i++)
        SSL_free(pairs[i].client);
    return (double)before / IDLE;
}

static double measure(const struct bench_server *server, const struct row *row, unsigned count)
{
    SSL_CTX *ctx = client_context(row->version);
    double result = 0;

    if (row->kind == MEMORY)
        result = memory(server, row, ctx);
    else if (row->kind == FULL || row->kind == RESUMED)
        result = handshakes(server, row, ctx, count);
    else
        result = records(server, row, ctx, count);
    SSL_CTX_free(ctx);
    return result;
}

/* ---- processes ---- */

struct contender {
    int ask[2], answer[2];
    pid_t pid;
};

static struct bench_cert certs[BENCH_KEYS];

static void make_certs(void)
{
    static const enum fixture_key keys[] = {FIXTURE_P256, FIXTURE_RSA2048};

    for (int i = 0; i < BENCH_KEYS; i++) {
        struct fixture_cert c = fixture_cert_make(
            &(struct fixture_spec){.alt_names = "DNS:shop.example", .key = keys[i]}, NULL);
        char file[32];

        snprintf(file, sizeof file, "%d.crt", i);
        fixture_write_chain(file, &c.x509, 1);
        fixture_path(file, certs[i].chain);
        snprintf(file, sizeof file, "%d.key", i);
        fixture_write_key(file, c.key, NULL);
        fixture_path(file, certs[i].key);
        fixture_cert_free(&c);
    }
}

/* In the contender's process, before anything of OpenSSL's was used. */
static void begin(const struct bench_server *server)
{
    fixture_dir_create();
    make_certs();
    server->set_up(certs);
    fixture_dir_remove();
}

static _Noreturn void serve(const struct bench_server *server, const struct contender *c)
{
    unsigned row;

    begin(server);
    while (read(c->ask[0], &row, sizeof row) == sizeof row) {
        double result = measure(server, &rows[row], rows[row].count);

        bench_require(write(c->answer[1], &result, sizeof result) == sizeof result, "pipe");
    }
    exit(0);
}

/* `k` were started before it. */
static void contender_start(struct contender *contenders, unsigned k)
{
    struct contender *c = &contenders[k];

    bench_require(pipe(c->ask) == 0 && pipe(c->answer) == 0, "pipe");
    c->pid = fork();
    bench_require(c->pid >= 0, "fork");
    if (c->pid == 0) {
        for (unsigned i = 0; i <= k; i++) {
            close(contenders[i].ask[1]);
            close(contenders[i].answer[0]);
        }
        serve(servers[k], c);
    }
    close(c->ask[0]);
    close(c->answer[1]);
}

static double contender_run(const struct contender *c, unsigned row)
{
    double result = 0;

    bench_require(write(c->ask[1], &row, sizeof row) == sizeof row &&
                      read(c->answer[0], &result, sizeof result) == sizeof result,
                  "a contender ended");
    return result;
}

static void run_row(const struct contender *contenders, unsigned row, unsigned rounds)
{
    double results[SERVERS][ROUNDS], median[SERVERS];

    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k < SERVERS; k++)
            results[k][i] = contender_run(&contenders[k], row);
    }
    for (unsigned k = 0; k < SERVERS; k++) {
        qsort(results[k], rounds, sizeof results[k][0], compare);
        median[k] = results[k][rounds / 2];
    }
    printf("  %-44s", rows[row].title);
    for (unsigned k = 0; k < SERVERS; k++)
        printf(rows[row].kind == MEMORY ? "%15.0f" : "%15.2f", median[k]);
    printf("%12.2f\n", median[0] / median[1]);
    fflush(stdout);
}

static void compare_all(unsigned rounds)
{
    struct contender contenders[SERVERS];

    for (unsigned k = 0; k < SERVERS; k++)
        contender_start(contenders, k);
    printf("TLS: us of the server's end (%s)\n  %-44s", OpenSSL_version(OPENSSL_VERSION), "");
    for (unsigned k = 0; k < SERVERS; k++)
        printf("%15s", servers[k]->name);
    printf("%12s\n", "first/second");
    for (unsigned row = 0; row < ROWS; row++)
        run_row(contenders, row, rounds);
    for (unsigned k = 0; k < SERVERS; k++) {
        close(contenders[k].ask[1]);
        waitpid(contenders[k].pid, NULL, 0);
    }
}

static int repeat(const char *server, const char *row, unsigned count)
{
    for (unsigned k = 0; k < SERVERS; k++) {
        for (unsigned i = 0; i < ROWS && strcmp(servers[k]->name, server) == 0; i++) {
            if (strcmp(rows[i].name, row) != 0)
                continue;
            begin(servers[k]);
            printf("%s, %s: %.2f\n", server, rows[i].title, measure(servers[k], &rows[i], count));
            return 0;
        }
    }
    fprintf(stderr, "bench_tls: no server \"%s\" or no row \"%s\"\n", server, row);
    return 1;
}

int main(int argc, char **argv)
{
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;

    if (argc == 4)
        return repeat(argv[1], argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: bench_tls [--quick | SERVER ROW COUNT]\n");
        return 2;
    }
    compare_all(quick ? 1 : ROUNDS);
    return 0;
}
