/*
 * The wire lab's client: requests over the kernel's TCP, plain or in TLS, of which every one is
 * checked. One thread; connections are non-blocking and driven by epoll.
 *
 *   kload.c       the command line and the report
 *   kload_run.c   when requests begin: warming up, closed loop, open loop
 *   kload_conn.c  one connection: connecting, asking, checking the answer
 *   kload_tls.c   TLS of the connections, and the session that they resume
 *
 * The first failure ends the run.
 */
#ifndef TESTS_BENCH_KLOAD_H
#define TESTS_BENCH_KLOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "programs/http.h"
#include "programs/latency.h"

#define KLOAD_READ 65536

enum kload_state {
    KLOAD_CLOSED,
    KLOAD_HANDSHAKE, /* TLS only */
    KLOAD_IDLE,      /* open, and nothing is asked */
    KLOAD_ASKING,    /* the request is on its way, TCP's handshake included */
    KLOAD_HEAD,      /* of the answer */
    KLOAD_BODY,
    KLOAD_ENDING, /* the answer is complete, and the peer is to close */
};

struct kload_conn {
    enum kload_state state;
    int fd;
    SSL *ssl; /* NULL: plain, or closed */
    unsigned warm_left;
    clock_ns due;  /* when the request ought to have begun */
    size_t sent;   /* of the request */
    uint64_t body; /* bytes of it that have come */
    struct http_response answer;
    size_t head_len;
    char head[HTTP_HEAD_MAX];
};

struct kload {
    /* What to do; see kload.c for the options. */
    struct sockaddr_in to;
    int tls; /* TLS1_2_VERSION, TLS1_3_VERSION; 0: plain */
    const char *ca, *name;
    bool resume, close;
    unsigned long parallel, warm, requests, seconds, rate;

    /* Made of it. */
    char *request, *expect;
    size_t request_len, expect_len;
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest; NULL: none yet */
    X509 *pinned;         /* the server's certificate, verified once */

    /* The run. */
    int epoll;
    struct kload_conn *conns;
    struct kload_conn **idle; /* a ring of those that may ask, the longest idle first */
    unsigned idle_first, idle_count;
    bool warming;
    uint64_t begun; /* requests of this phase */
    clock_ns started, ended;

    /* What it came to; since the end of warming up. */
    uint64_t done, bytes, handshakes, resumed;
    struct latency latency;
    char failure[256]; /* empty: none */
};

/* Notes a failure, unless there is one already. Returns -1. */
int kload_fail(struct kload *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Does everything between set-up and report, with "ready" on standard output after warming up and a
 * line awaited from standard input. Returns 0, or -1 with k->failure set; after -1 with none set,
 * whoever was to write the line is gone. */
int kload_run(struct kload *k);

/* ---- kload_conn.c ---- */

/* Begins a request, on the connection that stands or on a new one. */
void kload_conn_ask(struct kload *k, struct kload_conn *c, clock_ns due);

/* Goes on with whatever is possible; for each event of epoll. */
void kload_conn_progress(struct kload *k, struct kload_conn *c);

/* An idle connection must be open, with nothing to read. Returns 0 or -1. */
int kload_conn_verify_idle(struct kload *k, struct kload_conn *c);

void kload_conn_close(struct kload_conn *c);

/* From kload_run.c: the answer's last byte has come; the connection may be asked again. */
void kload_answered(struct kload *k, struct kload_conn *c);
void kload_free(struct kload *k, struct kload_conn *c);

/* ---- kload_tls.c ---- */

int kload_tls_init(struct kload *k);
void kload_tls_fini(struct kload *k);

/* Wraps the connection's socket. */
int kload_tls_open(struct kload *k, struct kload_conn *c);

/* 1: the handshake is done, and it was the one that was wanted; 0: it goes on; -1: failure. */
int kload_tls_handshake(struct kload *k, struct kload_conn *c);

/* As read() and write(), but -1 with errno 0 is TLS's own failure, noted already. */
ssize_t kload_tls_read(struct kload *k, struct kload_conn *c, void *buf, size_t len);
ssize_t kload_tls_write(struct kload *k, struct kload_conn *c, const void *buf, size_t len);

#endif
