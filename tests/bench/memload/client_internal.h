#ifndef TESTS_BENCH_MEMLOAD_CLIENT_INTERNAL_H
#define TESTS_BENCH_MEMLOAD_CLIENT_INTERNAL_H

#include <sys/types.h>

#include "tests/bench/memload/memload.h"
#include "tls/tls.h"

enum conn_state {
    CONN_FREE,
    CONN_OPENING,  /* until TCP, and TLS where there is one, stand */
    CONN_STANDING, /* kept, and waiting for its turn */
    CONN_BUSY,     /* a request is under way */
    CONN_ENDING,   /* its only answer is complete; the server has yet to end it */
};

struct load_conn {
    struct load_sink sink;
    struct client *client;
    struct sock *sock;
    struct tls_conn *tls;
    enum conn_state state;
    bool connected;
    bool asked;  /* there is a request to send, or to be answered */
    bool headed; /* the head of the answer was taken */
    bool closed; /* TLS: close_notify came */
    uint32_t sent;
    uint64_t got, content;
    clock_ns begun;
};

struct client {
    struct load *load;
    struct stack *stack;
    struct tls_worker *tls_worker;
    struct tls_client *tls_client;
    struct tls_counters counters_before;
    uint64_t names;          /* given to servers so far */
    struct load_conn *conns; /* those that are kept, then those for new connections */
    uint32_t opened, opening, standing;
    uint32_t *ring; /* of kept ones that wait, as indexes into conns */
    uint32_t ring_head, ring_tail;
    uint32_t *free; /* of the others */
    uint32_t free_count;
    uint32_t active; /* requests under way, and connections that end */
    uint64_t begun;  /* requests, ever */
    unsigned next_target;
    bool done;
    uint32_t request_len;
    char request[LOAD_REQUEST_MAX];
    char buffer[LOAD_CHUNK];
};

/* ---- client_tls.c: bytes, with TLS or without ---- */

int client_tls_start(struct client *c, struct error *e);
void client_tls_stop(struct client *c);

int client_tls_open(struct load_conn *k);
int client_tls_handshake(struct load_conn *k); /* 1: done; 0: not yet; -1: failed */

/* Bytes moved; 0: none now; -1: the connection has ended, or is dead. */
ssize_t client_write(struct load_conn *k, const void *data, size_t len);
ssize_t client_read(struct load_conn *k, void *out, size_t len);
ssize_t client_peek(struct load_conn *k, void *out, size_t len);

/* After a read of -1: was it the end that the protocol has for it? */
bool client_ended_well(const struct load_conn *k);

#endif
