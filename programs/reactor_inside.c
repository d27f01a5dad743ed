/*
 * The program inside the stack's thread: sockets and events as stack/socket.h and stack/event.h
 * have them. Bytes go straight between the stack's queues and the program's buffers.
 */
#include <errno.h>
#include <stdlib.h>

#include "app/app_socket.h"
#include "programs/reactor_internal.h"
#include "stack/event.h"

static int inside_listen(struct stream *s, const struct ip_endpoint *local, uint32_t backlog,
                         struct error *e)
{
    enum sock_error error;

    s->sock = sock_listen(s->reactor->stack, local, backlog, NULL, s, &error);
    return s->sock != NULL ? 0 : error_set(e, "%s", sock_error_text(error));
}

static int inside_connect(struct stream *s, const struct ip_endpoint *remote)
{
    enum sock_error error;

    s->sock = sock_connect(s->reactor->stack, remote, NULL, s, &error);
    if (s->sock != NULL)
        return 0;
    errno = app_errno(error);
    return -1;
}

static ssize_t inside_read(struct stream *s, void *out, size_t len)
{
    uint32_t n = sock_read(s->sock, out, len < INT32_MAX ? (uint32_t)len : INT32_MAX);

    if (n > 0)
        return n;
    if (sock_eof(s->sock))
        return 0;
    errno = sock_error(s->sock) != SOCK_OK ? app_errno(sock_error(s->sock)) : EAGAIN;
    return -1;
}

static ssize_t inside_write(struct stream *s, const void *data, size_t len)
{
    uint32_t n = sock_write(s->sock, data, len < INT32_MAX ? (uint32_t)len : INT32_MAX);

    if (n > 0)
        return n;
    errno = sock_error(s->sock) != SOCK_OK ? app_errno(sock_error(s->sock)) : EAGAIN;
    return -1;
}

static void inside_shutdown(struct stream *s)
{
    sock_shutdown(s->sock);
}

static void inside_close(struct stream *s)
{
    sock_close(s->sock);
}

static const struct reactor_ops inside_ops = {
    .listen = inside_listen,
    .connect = inside_connect,
    .read = inside_read,
    .write = inside_write,
    .shutdown = inside_shutdown,
    .close = inside_close,
};

static void accept_all(struct reactor *r, struct sock *listener)
{
    struct sock *k;

    while ((k = sock_accept(listener)) != NULL) {
        struct stream *s = reactor_stream(r);

        if (s == NULL) {
            sock_abort(k);
            continue;
        }
        s->sock = k;
        s->connected = true;
        if (!r->run->program->accepted(r->state, s))
            stream_close(s);
        else
            sock_user_set(k, s); /* from now on it has events */
    }
}

static void act(struct reactor *r, const struct event *e)
{
    struct stream *s = e->user;

    if (s->listener) {
        accept_all(r, e->sock);
        return;
    }
    if (e->what & EVENT_CONNECTED)
        s->connected = true;
    r->run->program->ready(r->state, s);
}

static int inside_start(void *ctx, struct stack *stack, unsigned thread, void **state,
                        struct error *e)
{
    struct reactor_run *run = ctx;
    struct reactor *r = malloc(sizeof *r);

    if (r == NULL)
        return error_set(e, "out of memory");
    if (reactor_init(r, run, &inside_ops, e) < 0) {
        free(r);
        return -1;
    }
    r->stack = stack;
    *state = r;
    if (run->program->start(run->program->ctx, r, thread, &r->state, e) == 0)
        return 0;
    reactor_fini(r);
    free(r);
    return -1;
}

static clock_ns inside_round(void *state, clock_ns now)
{
    struct reactor *r = state;
    struct event e;

    while (event_next(r->stack, &e))
        act(r, &e);
    return r->run->program->round(r->state, now);
}

static void inside_stop(void *state)
{
    struct reactor *r = state;

    r->run->program->stop(r->state);
    reactor_fini(r);
    free(r);
}

struct app_inside reactor_inside(struct reactor_run *run)
{
    return (struct app_inside){
        .ctx = run, .start = inside_start, .round = inside_round, .stop = inside_stop};
}
