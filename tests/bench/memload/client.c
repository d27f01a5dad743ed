/*
 * The clients. A number of connections are opened first and kept; then requests go out, so many at
 * a time, on the kept connections in turn, so that each is as cold as their number makes it, or
 * each on a new connection, beside those that are kept and silent.
 *
 * Every answer is checked: its status, its length and each byte of its content; over TLS the client
 * is the product's own (tls/), and what it decrypts is checked like the rest. A new connection
 * counts only when the server has ended it in good order. The first fault ends the run.
 *
 * With a rate, the time of a request is that from when it was due, so that a load that falls behind
 * does not hide it; without, from when it was begun, connection included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/http.h"
#include "tests/bench/memload/client_internal.h"

#define CLIENT_OPENING 512 /* connections that are being opened at a time, of those to keep */
#define CLIENT_PEEK    512

/* ---- the life of a connection ---- */

static void conn_end(struct load_conn *k, void (*how)(struct sock *))
{
    if (k->tls != NULL)
        tls_conn_destroy(k->tls);
    if (k->sock != NULL)
        how(k->sock);
    k->tls = NULL;
    k->sock = NULL;
    k->state = CONN_FREE;
}

static void conn_fail(struct load_conn *k, const char *why)
{
    struct client *c = k->client;
    struct load_result *r = &c->load->result;
    const char *error = k->tls != NULL ? tls_conn_error(k->tls) : "";

    if (r->failed++ == 0)
        snprintf(r->fault, sizeof r->fault, "%s%s%s", why, error[0] != '\0' ? ": " : "", error);
    conn_end(k, sock_abort);
}

static void conn_open(struct load_conn *k, bool asked)
{
    struct client *c = k->client;
    const struct load_config *config = &c->load->config;
    enum sock_error error;

    k->state = CONN_OPENING;
    k->asked = asked;
    k->connected = k->headed = false;
    k->sent = 0;
    k->got = 0;
    k->sock = sock_connect(c->stack, &config->to[c->next_target++ % config->to_count], NULL,
                           &k->sink, &error);
    if (k->sock == NULL) {
        conn_fail(k, sock_error_text(error));
        return;
    }
    if (config->tls && client_tls_open(k) < 0)
        conn_fail(k, "no memory for TLS");
}

static void ring_put(struct client *c, struct load_conn *k)
{
    c->ring[c->ring_tail++ % c->load->config.kept] = (uint32_t)(k - c->conns);
    k->state = CONN_STANDING;
}

/* ---- requests ---- */

static void request_complete(struct load_conn *k)
{
    struct client *c = k->client;
    struct load_result *r = &c->load->result;

    r->requests++;
    r->bytes += k->content;
    latency_add(&r->latency, clock_now() - k->begun);
    k->asked = k->headed = false;
    k->sent = 0;
    k->got = 0;
    if (c->load->config.renew) {
        k->state = CONN_ENDING;
        return;
    }
    c->active--;
    ring_put(c, k);
}

/* 1: sent; 0: no room yet; -1: it has failed. */
static int request_send(struct load_conn *k)
{
    const struct client *c = k->client;

    while (k->sent < c->request_len) {
        ssize_t n = client_write(k, c->request + k->sent, c->request_len - k->sent);

        if (n <= 0)
            return (int)n;
        k->sent += (uint32_t)n;
    }
    return 1;
}

/* NULL: the head is well, or not whole yet. */
static const char *head_take(struct load_conn *k, char *text, bool *more)
{
    const struct load_config *config = &k->client->load->config;
    ssize_t len = client_peek(k, text, CLIENT_PEEK);
    struct http_response head;
    int result;

    *more = false;
    if (len < 0)
        return "the connection ended before the answer came";
    if (len == 0)
        return NULL;
    result = http_response_parse(text, (size_t)len, &head);
    if (result == 0)
        return NULL;
    if (result < 0 || head.status != 200)
        return "an answer that is not HTTP's 200";
    if (head.content != config->size)
        return "an answer of another length";
    if (client_read(k, text, head.length) != (ssize_t)head.length)
        return "a head that cannot be read again";
    k->content = head.content;
    k->headed = *more = true;
    return NULL;
}

static const char *content_take(struct load_conn *k, char *buffer, bool *more)
{
    uint64_t left = k->content - k->got;
    ssize_t n = client_read(k, buffer, left < LOAD_CHUNK ? (size_t)left : LOAD_CHUNK);

    *more = n > 0;
    if (n < 0)
        return "the connection ended before the answer did";
    if (memcmp(buffer, load_content(k->got), (size_t)n) != 0)
        return "other content than was asked for";
    k->got += (uint64_t)n;
    return NULL;
}

/* Nobody asked: an end in good order is all that may come, and only after a last answer. */
static const char *silence_take(struct load_conn *k, char *buffer, bool *ended)
{
    ssize_t n = client_read(k, buffer, LOAD_CHUNK);

    if (n > 0)
        return "bytes that nobody asked for";
    *ended = n < 0;
    if (*ended && (k->state != CONN_ENDING || !client_ended_well(k)))
        return "an end that nobody asked for";
    return NULL;
}

/* Goes on for as long as it can. Returns what is wrong, or NULL. */
static const char *conn_read(struct load_conn *k, bool *ended)
{
    char *buffer = k->client->buffer;
    const char *why = NULL;
    bool more = true;

    while (more && why == NULL && k->asked) {
        why = k->headed ? content_take(k, buffer, &more) : head_take(k, buffer, &more);
        if (why == NULL && k->headed && k->got == k->content)
            request_complete(k);
    }
    return why != NULL || k->asked ? why : silence_take(k, buffer, ended);
}

/* ---- progress ---- */

/* 1: it stands; 0: not yet; -1: it has failed. */
static int conn_establish(struct load_conn *k)
{
    struct client *c = k->client;
    int result = k->tls != NULL ? client_tls_handshake(k) : 1;

    if (result != 1)
        return result;
    k->state = CONN_BUSY;
    if (k->asked)
        return 1;
    c->opening--;
    c->standing++;
    ring_put(c, k);
    return 1;
}

static void conn_step(struct load_conn *k)
{
    struct client *c = k->client;
    const char *why = NULL;
    bool ended = false;
    int result = 1;

    if (k->state == CONN_OPENING)
        result = conn_establish(k);
    if (result == 1 && k->asked)
        result = request_send(k);
    if (result == 1)
        why = conn_read(k, &ended);
    if (result < 0 || why != NULL) {
        conn_fail(k, why != NULL ? why : "the connection failed");
    } else if (ended) {
        conn_end(k, sock_close);
        c->free[c->free_count++] = (uint32_t)(k - c->conns);
        c->active--;
    }
}

static void conn_take(struct load_sink *sink, const struct event *e)
{
    struct load_conn *k = (struct load_conn *)sink;

    if (e->what & EVENT_ERROR) {
        conn_fail(k, sock_error_text(sock_error(k->sock)));
        return;
    }
    if (e->what & EVENT_CONNECTED)
        k->connected = true;
    if (k->connected)
        conn_step(k);
}

/* ---- what to begin ---- */

/* The first one alone: while both ends look for their neighbours, the stack keeps a few packets
 * only, and a lost SYN takes a second. */
static void open_more(struct client *c)
{
    uint32_t kept = c->load->config.kept, most = c->standing > 0 ? CLIENT_OPENING : 1;

    while (c->opening < most && c->standing + c->opening < kept) {
        c->opening++;
        conn_open(&c->conns[c->opened++], false);
    }
}

static clock_ns due(const struct client *c)
{
    uint64_t rate = c->load->config.rate;

    return rate == 0 ? 0 : c->load->result.begun + c->begun * CLOCK_SEC / rate;
}

static void begin(struct client *c, clock_ns now)
{
    const struct load_config *config = &c->load->config;
    struct load_conn *k;

    k = &c->conns[config->renew ? c->free[--c->free_count]
                                : c->ring[c->ring_head++ % config->kept]];
    k->begun = config->rate != 0 ? due(c) : now;
    c->begun++;
    c->active++;
    if (config->renew) {
        conn_open(k, true);
        return;
    }
    k->asked = true;
    k->state = CONN_BUSY;
    conn_step(k);
}

static bool may_begin(const struct client *c, clock_ns now)
{
    const struct load_config *config = &c->load->config;

    if (c->load->result.failed > 0 || c->active == config->parallel || due(c) > now)
        return false;
    return config->renew || c->ring_head != c->ring_tail;
}

static void run(struct client *c, clock_ns now)
{
    struct load_result *r = &c->load->result;

    if (r->begun == 0) {
        r->begun = now;
        c->counters_before = *tls_worker_counters(c->tls_worker);
    }
    while (may_begin(c, now))
        begin(c, now);
}

static void drained(struct client *c, clock_ns now)
{
    const struct tls_counters *counters = tls_worker_counters(c->tls_worker);
    struct load_result *r = &c->load->result;

    r->ended = now;
    r->handshakes = counters->tls_backend_handshakes_completed -
                    c->counters_before.tls_backend_handshakes_completed;
    r->resumed = counters->tls_backend_handshakes_resumed -
                 c->counters_before.tls_backend_handshakes_resumed;
    c->done = true;
    atomic_store(&c->load->drained, true);
}

void client_round(struct client *c, clock_ns now)
{
    struct load *l = c->load;

    switch (atomic_load_explicit(&l->phase, memory_order_acquire)) {
    case LOAD_OPEN:
        if (l->result.opening == 0)
            l->result.opening = now;
        open_more(c);
        if (c->standing == l->config.kept || l->result.failed > 0)
            atomic_store(&l->opened, true);
        break;
    case LOAD_RUN:
        run(c, now);
        break;
    case LOAD_DRAIN:
        if (!c->done && (c->active == 0 || l->result.failed > 0))
            drained(c, now);
        break;
    }
}

clock_ns client_deadline(const struct client *c)
{
    if (atomic_load_explicit(&c->load->phase, memory_order_relaxed) != LOAD_RUN ||
        c->load->config.rate == 0 || c->active == c->load->config.parallel)
        return CLOCK_NEVER;
    return due(c);
}

/* ---- life ---- */

static int request_make(struct client *c, struct error *e)
{
    const struct load_config *config = &c->load->config;
    int len = snprintf(
        c->request, sizeof c->request, "GET /%llu HTTP/1.1\r\nHost: bench.example\r\n%s\r\n",
        (unsigned long long)config->size, config->renew ? "Connection: close\r\n" : "");

    c->request_len = (uint32_t)len;
    return len > 0 && (size_t)len < sizeof c->request ? 0 : error_set(e, "the request is too long");
}

static int conns_make(struct client *c, struct error *e)
{
    uint32_t kept = c->load->config.kept, parallel = c->load->config.parallel;

    c->conns = calloc(kept + parallel, sizeof *c->conns);
    c->ring = calloc(kept + 1, sizeof *c->ring);
    c->free = calloc(parallel, sizeof *c->free);
    if (c->conns == NULL || c->ring == NULL || c->free == NULL)
        return error_set(e, "out of memory");
    for (uint32_t i = 0; i < kept + parallel; i++) {
        c->conns[i].sink.take = conn_take;
        c->conns[i].client = c;
    }
    for (uint32_t i = 0; i < parallel; i++)
        c->free[c->free_count++] = kept + i;
    return 0;
}

struct client *client_create(struct load *l, struct stack *s, struct error *e)
{
    struct client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    c->load = l;
    c->stack = s;
    if (request_make(c, e) == 0 && conns_make(c, e) == 0 && client_tls_start(c, e) == 0)
        return c;
    client_destroy(c);
    return NULL;
}

void client_destroy(struct client *c)
{
    uint32_t count = c->conns != NULL ? c->load->config.kept + c->load->config.parallel : 0;

    for (uint32_t i = 0; i < count; i++)
        conn_end(&c->conns[i], sock_abort);
    client_tls_stop(c);
    free(c->conns);
    free(c->ring);
    free(c->free);
    free(c);
}
