/*
 * The server behind the proxy: GET /N is answered with N bytes of content. It is to cost little
 * next to the proxy: one size is asked for over and over, so the head and the beginning of the
 * answer are made once and written in one call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "programs/http.h"
#include "tests/bench/memload/memload.h"

#define SERVER_BACKLOG 4096
#define SERVER_PEEK    1024 /* a request is shorter */
#define SERVER_HEAD    128

struct answer {
    uint64_t size; /* of the content */
    bool last;     /* the connection ends with it */
    uint32_t head;
    uint32_t len; /* of data: the head and the beginning of the content */
    char data[SERVER_HEAD + LOAD_CHUNK];
};

struct server {
    struct load_sink sink; /* of the listeners */
    struct stack *stack;
    struct pool conns;
    struct sock *listener[LOAD_TARGETS_MAX];
    unsigned listeners;
    struct answer answer;
};

struct server_conn {
    struct load_sink sink;
    struct server *server;
    struct sock *sock;
    uint64_t size, sent; /* of the answer: content, and bytes with the head */
    bool answering, last, ended;
};

static void conn_free(struct server_conn *c, void (*how)(struct sock *))
{
    how(c->sock);
    pool_put(&c->server->conns, c);
}

static void answer_make(struct answer *a, uint64_t size, bool last)
{
    uint32_t content = size < LOAD_CHUNK ? (uint32_t)size : LOAD_CHUNK;

    if (a->len > 0 && a->size == size && a->last == last)
        return;
    a->size = size;
    a->last = last;
    a->head = (uint32_t)snprintf(a->data, SERVER_HEAD,
                                 "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n%s\r\n",
                                 (unsigned long long)size, last ? "Connection: close\r\n" : "");
    memcpy(a->data + a->head, load_content(0), content);
    a->len = a->head + content;
}

/* Returns whether all of it is written. */
static bool answer_write(struct server_conn *c)
{
    struct answer *a = &c->server->answer;
    uint64_t end;

    answer_make(a, c->size, c->last);
    end = a->head + c->size;
    while (c->sent < end) {
        bool first = c->sent < a->len;
        uint64_t left = first ? a->len - c->sent : end - c->sent;
        uint32_t want = left < LOAD_CHUNK + SERVER_HEAD ? (uint32_t)left : LOAD_CHUNK, n;

        if (!first && want > LOAD_CHUNK)
            want = LOAD_CHUNK;
        n = sock_write(c->sock, first ? a->data + c->sent : load_content(c->sent - a->head), want);
        c->sent += n;
        if (n < want)
            return false;
    }
    c->answering = false;
    return true;
}

/* Returns whether there was a request; one that cannot be understood ends the connection. */
static bool request_take(struct server_conn *c, bool *wrong)
{
    char text[SERVER_PEEK + 1];
    uint32_t len = sock_peek(c->sock, 0, text, SERVER_PEEK);
    struct http_request q;

    if (len == 0 || !http_request_parse(text, len, &q))
        return false;
    if (q.status != 200 || q.target_len < 2) {
        *wrong = true;
        return false;
    }
    sock_skip(c->sock, (uint32_t)q.length);
    c->size = strtoull(q.target + 1, NULL, 10);
    c->last = !q.keep_alive;
    c->sent = 0;
    c->answering = true;
    return true;
}

static void conn_take(struct load_sink *sink, const struct event *e)
{
    struct server_conn *c = (struct server_conn *)sink;
    bool wrong = false;

    if (e->what & EVENT_ERROR) {
        conn_free(c, sock_close);
        return;
    }
    while (!c->ended && (c->answering || request_take(c, &wrong))) {
        if (!answer_write(c))
            return;
        if (c->last) {
            sock_shutdown(c->sock);
            c->ended = true;
        }
    }
    if (wrong)
        conn_free(c, sock_abort);
    else if (sock_eof(c->sock))
        conn_free(c, sock_close);
}

static void listener_take(struct load_sink *sink, const struct event *e)
{
    struct server *s = (struct server *)sink;
    struct sock *k;

    while ((k = sock_accept(e->sock)) != NULL) {
        struct server_conn *c = pool_get(&s->conns);

        if (c == NULL) {
            sock_abort(k);
            continue;
        }
        c->sink.take = conn_take;
        c->server = s;
        c->sock = k;
        sock_user_set(k, &c->sink);
    }
}

static int server_listen(struct server *s, const struct load_config *config, struct error *e)
{
    for (unsigned i = 0; i < config->ports; i++) {
        const struct ip_endpoint local = {.port = (uint16_t)(config->listen + i)};
        enum sock_error error;

        s->listener[i] = sock_listen(s->stack, &local, SERVER_BACKLOG, NULL, &s->sink, &error);
        if (s->listener[i] == NULL)
            return error_set(e, "port %u: %s", local.port, sock_error_text(error));
        s->listeners++;
    }
    return 0;
}

struct server *server_create(const struct load *l, struct stack *stack, struct error *e)
{
    struct server *s = calloc(1, sizeof *s);

    if (s == NULL || pool_init(&s->conns, sizeof(struct server_conn),
                               l->config.kept + 4 * l->config.parallel + SERVER_BACKLOG) < 0) {
        error_set(e, "out of memory");
        free(s);
        return NULL;
    }
    s->sink.take = listener_take;
    s->stack = stack;
    if (server_listen(s, &l->config, e) == 0)
        return s;
    server_destroy(s);
    return NULL;
}

/* The connections are the stack's to end. */
void server_destroy(struct server *s)
{
    for (unsigned i = 0; i < s->listeners; i++)
        sock_close(s->listener[i]);
    pool_fini(&s->conns);
    free(s);
}
