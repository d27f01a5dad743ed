/*
 * A web server: GET and HEAD over HTTP/1.1, connections kept alive, requests pipelined. One
 * connection does one thing at a time: what is left of a response goes out before the next request
 * is looked at, so a client that reads nothing is read from no more.
 *
 * Where it closes first after an error, it ends its direction and takes in what still comes until
 * the client ends, too: bytes that nobody read would turn the end into a RST, which could overtake
 * the answer (RFC 9112, 9.6).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "programs/http.h"
#include "programs/options.h"
#include "programs/reactor.h"
#include "programs/site.h"

#define WEB_BACKLOG 4096

enum {
    OPTION_LISTEN = OPTION_OWN,
    OPTION_ROOT,
    OPTION_BODY,
};

static const struct option long_options[] = {
    OPTIONS_LONG,
    OPTIONS_LONG_PLACES,
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"body", required_argument, NULL, OPTION_BODY},
    {0},
};

static const char help[] =
    "usage: web_server --device KIND:NAME --address ADDRESS/BITS [OPTION...]\n"
    "\n"
    "Serves GET and HEAD over HTTP/1.1 on a TCP/IP stack of its own, until SIGINT or SIGTERM.\n"
    "\n"
    "  --listen [ADDRESS:]PORT  80, on all addresses\n"
    "  --root FOLDER            the files below it, read at the start\n"
    "  --body BYTES             without --root: a body of that size for every path; "
    "64\n" OPTIONS_PLACES OPTIONS_HELP;

struct web {
    struct options options;
    struct ip_endpoint listen;
    const char *root;
    unsigned long body;
    struct site *site;
};

/* One thread of it. */
struct web_thread {
    struct web *web;
    LIST_HEAD(, web_conn) conns;
    LIST_HEAD(, web_conn)
    spare; /* of those that have ended: malloc() gives such sizes back to the
              kernel and takes them anew, page faults included */
};

struct web_conn {
    struct stream *stream;
    struct web_thread *thread;
    LIST_ENTRY(web_conn) link;
    bool last;     /* close after this response */
    bool older;    /* the client speaks HTTP/1.0 */
    bool draining; /* our direction has ended; what comes is not looked at */
    /* What is left of the response. */
    char head[160];
    uint32_t head_len, head_sent;
    const char *body;
    size_t body_len, body_sent;
    uint32_t in_len;
    char in[HTTP_HEAD_MAX];
};

static void conn_end(struct web_conn *c)
{
    stream_close(c->stream);
    LIST_REMOVE(c, link);
    LIST_INSERT_HEAD(&c->thread->spare, c, link);
}

/* ---- one response ---- */

static void respond(struct web_conn *c, int status, const char *body, size_t len, bool head_only)
{
    c->head_len = (uint32_t)snprintf(
        c->head, sizeof c->head, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n%s%s\r\n", status,
        http_reason(status), len, status == 405 ? "Allow: GET, HEAD\r\n" : "",
        c->last    ? "Connection: close\r\n"
        : c->older ? "Connection: keep-alive\r\n"
                   : "");
    c->head_sent = 0;
    c->body = body;
    c->body_len = head_only ? 0 : len;
    c->body_sent = 0;
}

static void refuse(struct web_conn *c, int status)
{
    const char *reason = http_reason(status);

    c->last = true;
    respond(c, status, reason, strlen(reason), false);
}

static void answer(struct web_conn *c, const struct http_request *q)
{
    const struct site_page *page;

    if (q->status != 200) {
        refuse(c, q->status);
        return;
    }
    c->last = !q->keep_alive;
    c->older = q->older;
    page = site_find(c->thread->web->site, q->target, q->target_len);
    if (page != NULL)
        respond(c, 200, page->body, page->len, q->head);
    else
        respond(c, 404, "Not Found", 9, q->head);
}

/* 1: all of it is out; 0: no room; -1: the connection is dead. */
static int flush_part(struct web_conn *c, const char *data, size_t len, size_t *sent)
{
    while (*sent < len) {
        ssize_t n = stream_write(c->stream, data + *sent, len - *sent);

        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        *sent += (size_t)n;
    }
    return 1;
}

static int flush_response(struct web_conn *c)
{
    size_t head_sent = c->head_sent;
    int result = flush_part(c, c->head, c->head_len, &head_sent);

    c->head_sent = (uint32_t)head_sent;
    if (result == 1)
        result = flush_part(c, c->body, c->body_len, &c->body_sent);
    if (result == 1)
        c->head_len = 0;
    return result;
}

/* ---- the connection ---- */

/* Takes the next request out of what has come. Returns whether there was one, or an end to be made
 * of it. */
static bool next_request(struct web_conn *c)
{
    struct http_request q;

    if (http_request_parse(c->in, c->in_len, &q)) {
        answer(c, &q);
        c->in_len -= (uint32_t)q.length;
        memmove(c->in, c->in + q.length, c->in_len);
        return true;
    }
    if (c->in_len < sizeof c->in)
        return false;
    refuse(c, 431);
    return true;
}

/* As for flush_part(): 1: something came. */
static int receive(struct web_conn *c)
{
    ssize_t n;

    if (c->draining)
        c->in_len = 0;
    n = stream_read(c->stream, c->in + c->in_len, sizeof c->in - c->in_len);
    if (n > 0)
        c->in_len += (uint32_t)n;
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    return n > 0 ? 1 : -1;
}

static void end_our_direction(struct web_conn *c)
{
    stream_shutdown(c->stream);
    c->draining = true;
}

/* Goes on for as long as it can. */
static void web_ready(void *state, struct stream *s)
{
    struct web_conn *c = stream_user(s);
    int result = 1;

    (void)state;
    while (result == 1) {
        if (c->head_len > 0)
            result = flush_response(c);
        else if (c->last && !c->draining)
            end_our_direction(c);
        else if (c->draining || !next_request(c))
            result = receive(c);
    }
    if (result < 0)
        conn_end(c);
}

static bool web_accepted(void *state, struct stream *s)
{
    struct web_thread *t = state;
    struct web_conn *c = LIST_FIRST(&t->spare);

    if (c != NULL)
        LIST_REMOVE(c, link);
    else
        c = malloc(sizeof *c);
    if (c == NULL)
        return false;
    memset(c, 0, offsetof(struct web_conn, in)); /* which is large */
    c->stream = s;
    c->thread = t;
    LIST_INSERT_HEAD(&t->conns, c, link);
    stream_user_set(s, c);
    return true;
}

/* ---- a thread ---- */

static int web_start(void *ctx, struct reactor *r, unsigned thread, void **state, struct error *e)
{
    struct web_thread *t = calloc(1, sizeof *t);
    struct web *web = ctx;

    (void)thread;
    if (t == NULL)
        return error_set(e, "out of memory");
    t->web = web;
    LIST_INIT(&t->conns);
    LIST_INIT(&t->spare);
    *state = t;
    if (reactor_listen(r, &web->listen, WEB_BACKLOG, e) == 0)
        return 0;
    free(t);
    return -1;
}

static clock_ns web_round(void *state, clock_ns now)
{
    (void)state;
    (void)now;
    return CLOCK_NEVER;
}

static void web_stop(void *state)
{
    struct web_thread *t = state;
    struct web_conn *c;

    while (!LIST_EMPTY(&t->conns))
        conn_end(LIST_FIRST(&t->conns));
    while ((c = LIST_FIRST(&t->spare)) != NULL) {
        LIST_REMOVE(c, link);
        free(c);
    }
    free(t);
}

/* ---- the command line ---- */

static int take_listen(struct web *w, const char *value)
{
    unsigned long port;

    if (ip_endpoint_parse(value, &w->listen) == 0)
        return 0;
    if (strpbrk(value, ":.") != NULL)
        return options_fail(&w->options, "--listen %s: expected PORT or ADDRESS:PORT", value);
    w->listen.addr = (struct ip_addr){0};
    if (options_number(&w->options, "--listen", value, 1, 65535, &port) < 0)
        return -1;
    w->listen.port = (uint16_t)port;
    return 0;
}

static int take(struct web *w, int option, const char *value)
{
    switch (option) {
    case OPTION_LISTEN:
        return take_listen(w, value);
    case OPTION_ROOT:
        w->root = value;
        return 0;
    case OPTION_BODY:
        return options_number(&w->options, "--body", value, 0, SITE_BYTES_MAX, &w->body);
    default:
        return options_take(&w->options, option, value);
    }
}

static int run(struct web *w)
{
    const struct reactor_program program = {.ctx = w,
                                            .start = web_start,
                                            .accepted = web_accepted,
                                            .ready = web_ready,
                                            .round = web_round,
                                            .stop = web_stop};
    unsigned streams = w->options.connections > 0 ? w->options.connections : 16384;
    struct error e = {0};
    int result;

    w->site = w->root != NULL ? site_load(w->root, &e) : site_fixed(w->body, &e);
    if (w->site == NULL)
        return options_fail(&w->options, "--root %s: %s", w->root != NULL ? w->root : "", e.text);
    result = reactor_run(&w->options, &program, streams + 1);
    site_free(w->site);
    return result;
}

int main(int argc, char **argv)
{
    struct web w = {.listen.port = 80, .body = 64};
    int option;

    options_init(&w.options, "web_server");
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0;
        if (take(&w, option, optarg) < 0)
            return 2;
    }
    if (options_finish(&w.options, argv + optind) < 0)
        return 2;
    return run(&w) == 0 ? 0 : 1;
}
