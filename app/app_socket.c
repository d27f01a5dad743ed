/*
 * The calls on descriptors. Reading and writing move bytes between the caller and the descriptor's
 * rings and need no word with the stack thread but where a ring was full or empty before.
 */
#include "app/app_socket.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "app/app_internal.h"

int app_errno(enum sock_error error)
{
    static const int values[] = {
        [SOCK_OK] = 0,
        [SOCK_REFUSED] = ECONNREFUSED,
        [SOCK_RESET] = ECONNRESET,
        [SOCK_TIMED_OUT] = ETIMEDOUT,
        [SOCK_UNREACHABLE] = EHOSTUNREACH,
        [SOCK_NO_MEMORY] = ENOBUFS,
        [SOCK_NO_PORT] = EADDRNOTAVAIL,
        [SOCK_IN_USE] = EADDRINUSE,
        [SOCK_BAD_ADDRESS] = ENETUNREACH,
        [SOCK_NOT_YET] = EADDRNOTAVAIL,
    };

    return values[error];
}

static int fail(int err)
{
    errno = err;
    return -1;
}

struct app_desc *app_socket_find(struct app_channel *c, int fd)
{
    struct app_desc *d;

    if (fd < 0 || (uint32_t)fd >= c->count)
        return NULL;
    d = &c->desc[fd];
    return d->kind == DESC_LISTENER || d->kind == DESC_CONNECTION ? d : NULL;
}

static struct app_desc *find(struct app_channel *c, int fd, enum desc_kind kind)
{
    struct app_desc *d = app_socket_find(c, fd);

    if (d == NULL)
        errno = EBADF;
    else if (d->kind != kind)
        errno = EINVAL;
    else
        return d;
    return NULL;
}

static bool writable(struct app_desc *d)
{
    if (!d->connected || d->shut)
        return false;
    return app_fifo_roomy(&d->out) || app_fifo_starve(&d->out);
}

uint32_t app_socket_ready(struct app_desc *d)
{
    uint32_t ready = 0;

    if (d->kind == DESC_LISTENER)
        return TAILQ_EMPTY(&d->accepted) ? 0 : EPOLLIN;
    if (d->error != 0)
        return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP;
    if (app_fifo_used(&d->in) > 0)
        ready |= EPOLLIN;
    if (d->eof)
        ready |= EPOLLIN | EPOLLRDHUP;
    if (d->eof && d->shut)
        ready |= EPOLLHUP;
    if (writable(d))
        ready |= EPOLLOUT;
    return ready;
}

/* ---- opening and closing ---- */

static void opened(struct app_desc *d, const struct sock_options *options)
{
    static const struct sock_options none;

    d->options = options != NULL ? *options : none;
    TAILQ_INIT(&d->accepted);
}

int app_listen(struct app_channel *c, const struct ip_endpoint *local, uint32_t backlog,
               const struct sock_options *options)
{
    struct app_desc *d = app_channel_get(c, DESC_LISTENER);
    int err;

    if (d == NULL)
        return fail(EMFILE);
    opened(d, options);
    d->local = *local;
    d->backlog = backlog;
    err = app_channel_ask(c, d, RQ_LISTEN);
    if (err != 0) {
        app_channel_put(c, d);
        /* A listener asks for no route. */
        return fail(err == ENETUNREACH ? EADDRNOTAVAIL : err);
    }
    c->listeners++;
    app_channel_poll(c); /* which gives spares */
    app_channel_flush(c);
    return (int)app_channel_index(c, d);
}

int app_accept(struct app_channel *c, int fd, struct ip_endpoint *remote)
{
    struct app_desc *l = find(c, fd, DESC_LISTENER), *d;

    if (l == NULL)
        return -1;
    if (TAILQ_EMPTY(&l->accepted))
        app_channel_poll(c);
    d = TAILQ_FIRST(&l->accepted);
    if (d == NULL)
        return fail(EAGAIN);
    TAILQ_REMOVE(&l->accepted, d, accepted_link);
    d->kind = DESC_CONNECTION;
    if (remote != NULL)
        *remote = d->remote;
    return (int)app_channel_index(c, d);
}

int app_connect(struct app_channel *c, const struct ip_endpoint *remote,
                const struct sock_options *options)
{
    struct app_desc *d = app_channel_get(c, DESC_CONNECTION);

    if (d == NULL)
        return fail(EMFILE);
    opened(d, options);
    d->remote = *remote;
    app_channel_request(c, d, RQ_CONNECT);
    return (int)app_channel_index(c, d);
}

static void listener_gone(struct app_channel *c, struct app_desc *l)
{
    struct app_desc *d;

    c->listeners--;
    while ((d = TAILQ_FIRST(&l->accepted)) != NULL) {
        TAILQ_REMOVE(&l->accepted, d, accepted_link);
        d->kind = DESC_CLOSED;
        app_channel_request(c, d, RQ_ABORT);
    }
}

static int give_up(struct app_channel *c, int fd, uint32_t how)
{
    struct app_desc *d = app_socket_find(c, fd);

    if (d == NULL)
        return fail(EBADF);
    app_epoll_forget(d);
    if (d->kind == DESC_LISTENER)
        listener_gone(c, d);
    d->kind = DESC_CLOSED;
    app_channel_request(c, d, how);
    return 0;
}

int app_close(struct app_channel *c, int fd)
{
    return give_up(c, fd, RQ_CLOSE);
}

int app_abort(struct app_channel *c, int fd)
{
    return give_up(c, fd, RQ_ABORT);
}

int app_shutdown(struct app_channel *c, int fd)
{
    struct app_desc *d = find(c, fd, DESC_CONNECTION);

    if (d == NULL)
        return -1;
    if (!d->shut)
        app_channel_request(c, d, RQ_SHUTDOWN);
    d->shut = true;
    return 0;
}

/* ---- bytes ---- */

static void took(struct app_channel *c, struct app_desc *d)
{
    if (app_fifo_relieved(&d->in))
        app_channel_request(c, d, RQ_ROOM);
}

/* Nothing to read: 0 at the end of the stream, -1 with why not. */
static int read_nothing(const struct app_desc *d)
{
    if (d->eof)
        return 0;
    return fail(d->error != 0 ? d->error : EAGAIN);
}

ssize_t app_readv(struct app_channel *c, int fd, const struct iovec *iov, int count)
{
    struct app_desc *d = find(c, fd, DESC_CONNECTION);
    size_t done = 0;

    if (d == NULL)
        return -1;
    if (app_fifo_used(&d->in) == 0 && !d->eof && d->error == 0)
        app_channel_poll(c);
    for (int i = 0; i < count; i++) {
        uint32_t len = iov[i].iov_len < INT_MAX ? (uint32_t)iov[i].iov_len : INT_MAX;
        uint32_t n = app_fifo_read(&d->in, iov[i].iov_base, len);

        done += n;
        if (n < iov[i].iov_len)
            break;
    }
    if (done == 0)
        return read_nothing(d);
    took(c, d);
    return (ssize_t)done;
}

ssize_t app_read(struct app_channel *c, int fd, void *out, size_t len)
{
    const struct iovec iov = {.iov_base = out, .iov_len = len};

    return app_readv(c, fd, &iov, 1);
}

/* As much as there is room for, and the word to the stack thread to tell of more. */
static uint32_t put(struct app_desc *d, const uint8_t *data, uint32_t len)
{
    uint32_t done = app_fifo_write(&d->out, data, len);

    while (done < len && app_fifo_starve(&d->out))
        done += app_fifo_write(&d->out, data + done, len - done);
    return done;
}

static int write_refused(const struct app_desc *d)
{
    if (d->error != 0)
        return d->error;
    if (d->shut)
        return EPIPE;
    return d->connected ? 0 : EAGAIN;
}

ssize_t app_writev(struct app_channel *c, int fd, const struct iovec *iov, int count)
{
    struct app_desc *d = find(c, fd, DESC_CONNECTION);
    size_t done = 0;
    int refused;

    if (d == NULL)
        return -1;
    if (!d->connected)
        app_channel_poll(c);
    refused = write_refused(d);
    if (refused != 0)
        return fail(refused);
    for (int i = 0; i < count; i++) {
        uint32_t len = iov[i].iov_len < INT_MAX ? (uint32_t)iov[i].iov_len : INT_MAX;
        uint32_t n = put(d, iov[i].iov_base, len);

        done += n;
        if (n < iov[i].iov_len)
            break;
    }
    if (done > 0)
        app_channel_request(c, d, RQ_DATA);
    return done > 0 ? (ssize_t)done : fail(EAGAIN);
}

ssize_t app_write(struct app_channel *c, int fd, const void *data, size_t len)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};

    return app_writev(c, fd, &iov, 1);
}

/* ---- facts ---- */

int app_error(struct app_channel *c, int fd)
{
    const struct app_desc *d = app_socket_find(c, fd);

    return d != NULL ? d->error : fail(EBADF);
}

int app_local(struct app_channel *c, int fd, struct ip_endpoint *local)
{
    const struct app_desc *d = app_socket_find(c, fd);

    if (d == NULL)
        return fail(EBADF);
    *local = d->kind == DESC_LISTENER || d->connected ? d->local : (struct ip_endpoint){0};
    return 0;
}

int app_remote(struct app_channel *c, int fd, struct ip_endpoint *remote)
{
    const struct app_desc *d = app_socket_find(c, fd);

    if (d == NULL)
        return fail(EBADF);
    *remote = d->remote;
    return 0;
}

int app_info(struct app_channel *c, int fd, struct sock_info *out)
{
    struct app_desc *d = find(c, fd, DESC_CONNECTION);
    int err;

    if (d == NULL)
        return -1;
    d->info = out;
    err = app_channel_ask(c, d, RQ_INFO);
    return err == 0 ? 0 : fail(err);
}
