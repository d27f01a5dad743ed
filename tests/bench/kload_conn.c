/*
 * One connection, edge-triggered: whatever happens, kload_conn_progress() goes on until the kernel
 * has no more to give or take. The answer is checked as it comes: its status, its length, and its
 * body against the bytes that are expected. A server that was told to close must do so, without a
 * further byte.
 */
#include "tests/bench/kload.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char kload_buffer[KLOAD_READ];

void kload_conn_close(struct kload_conn *c)
{
    if (c->state == KLOAD_CLOSED)
        return;
    if (c->ssl != NULL && c->state != KLOAD_HANDSHAKE)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->state = KLOAD_CLOSED;
}

static int kload_conn_open(struct kload *k, struct kload_conn *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return kload_fail(k, "socket: %s", strerror(errno));
    c->state = k->tls != 0 ? KLOAD_HANDSHAKE : KLOAD_IDLE;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&k->to, sizeof k->to) < 0 && errno != EINPROGRESS)
        return kload_fail(k, "connect: %s", strerror(errno));
    if (epoll_ctl(k->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return kload_fail(k, "epoll_ctl: %s", strerror(errno));
    return k->tls != 0 ? kload_tls_open(k, c) : 0;
}

static ssize_t kload_conn_read(struct kload *k, struct kload_conn *c, void *buf, size_t len)
{
    return c->ssl != NULL ? kload_tls_read(k, c, buf, len) : recv(c->fd, buf, len, 0);
}

static ssize_t kload_conn_write(struct kload *k, struct kload_conn *c, const void *buf, size_t len)
{
    return c->ssl != NULL ? kload_tls_write(k, c, buf, len) : send(c->fd, buf, len, MSG_NOSIGNAL);
}

/* After a call that failed: 0 when it only has to wait. */
static int kload_conn_error(struct kload *k, const char *what)
{
    if (errno == EAGAIN)
        return 0;
    return errno == 0 ? -1 : kload_fail(k, "%s: %s", what, strerror(errno));
}

/* 1: all is sent; 0: wait; -1: failure. */
static int kload_conn_send(struct kload *k, struct kload_conn *c)
{
    while (c->sent < k->request_len) {
        ssize_t n = kload_conn_write(k, c, k->request + c->sent, k->request_len - c->sent);

        if (n <= 0)
            return n < 0 ? kload_conn_error(k, "write") : kload_fail(k, "closed while asked");
        c->sent += (size_t)n;
    }
    return 1;
}

/* ---- the answer ---- */

/* Returns the bytes taken, or -1. */
static ssize_t kload_conn_head(struct kload *k, struct kload_conn *c, const char *data, size_t len)
{
    size_t before = c->head_len, room = sizeof c->head - before, n = len < room ? len : room;
    int result;

    memcpy(c->head + before, data, n);
    c->head_len += n;
    result = http_response_parse(c->head, c->head_len, &c->answer);
    if (result == 0)
        return (ssize_t)n;
    if (result < 0)
        return kload_fail(k, "an answer that is not HTTP with a Content-Length");
    if (c->answer.status != 200)
        return kload_fail(k, "status %d", c->answer.status);
    if (c->answer.content != k->expect_len)
        return kload_fail(k, "an answer of %llu bytes, expected %zu",
                          (unsigned long long)c->answer.content, k->expect_len);
    c->state = KLOAD_BODY;
    c->body = 0;
    return (ssize_t)(c->answer.length - before);
}

static ssize_t kload_conn_body(struct kload *k, struct kload_conn *c, const char *data, size_t len)
{
    size_t left = k->expect_len - c->body, n = len < left ? len : left;

    if (memcmp(k->expect + c->body, data, n) != 0)
        return kload_fail(k, "another body than expected, in the %zu bytes from %llu on", n,
                          (unsigned long long)c->body);
    c->body += n;
    return (ssize_t)n;
}

/* After each piece: whether the answer is complete, and what follows it. */
static void kload_conn_complete(struct kload *k, struct kload_conn *c)
{
    if (c->state != KLOAD_BODY || c->body < k->expect_len)
        return;
    k->bytes += c->answer.length + c->body;
    c->state = k->close ? KLOAD_ENDING : KLOAD_IDLE;
    kload_answered(k, c);
    if (!k->close)
        kload_free(k, c);
}

static int kload_conn_take(struct kload *k, struct kload_conn *c, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n;

        if (c->state == KLOAD_HEAD)
            n = kload_conn_head(k, c, data, len);
        else if (c->state == KLOAD_BODY)
            n = kload_conn_body(k, c, data, len);
        else
            n = kload_fail(k, "%zu bytes that nobody asked for", len);
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
        kload_conn_complete(k, c);
    }
    return 0;
}

static int kload_conn_ended(struct kload *k, struct kload_conn *c)
{
    if (c->state != KLOAD_ENDING)
        return kload_fail(k, "closed by the server in the midst of things");
    kload_conn_close(c);
    kload_free(k, c);
    return 0;
}

static int kload_conn_receive(struct kload *k, struct kload_conn *c)
{
    while (c->state != KLOAD_CLOSED) {
        ssize_t n = kload_conn_read(k, c, kload_buffer, sizeof kload_buffer);

        if (n < 0)
            return kload_conn_error(k, "read");
        if (n == 0)
            return kload_conn_ended(k, c);
        if (kload_conn_take(k, c, kload_buffer, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

/* ---- from outside ---- */

void kload_conn_progress(struct kload *k, struct kload_conn *c)
{
    if (c->state == KLOAD_HANDSHAKE) {
        if (kload_tls_handshake(k, c) <= 0)
            return;
        c->state = KLOAD_ASKING;
    }
    if (c->state == KLOAD_ASKING && kload_conn_send(k, c) > 0)
        c->state = KLOAD_HEAD;
    if (k->failure[0] == '\0')
        kload_conn_receive(k, c);
}

void kload_conn_ask(struct kload *k, struct kload_conn *c, clock_ns due)
{
    c->due = due;
    c->sent = 0;
    c->head_len = 0;
    if (c->state == KLOAD_CLOSED && kload_conn_open(k, c) < 0)
        return;
    if (c->state == KLOAD_IDLE)
        c->state = KLOAD_ASKING;
    if (c->state == KLOAD_ASKING && kload_conn_send(k, c) > 0)
        c->state = KLOAD_HEAD;
}

int kload_conn_verify_idle(struct kload *k, struct kload_conn *c)
{
    ssize_t n;

    if (c->state != KLOAD_IDLE)
        return kload_fail(k, "a connection is not idle that should be");
    n = kload_conn_read(k, c, kload_buffer, sizeof kload_buffer);
    if (n < 0)
        return kload_conn_error(k, "an idle connection");
    return kload_fail(k, n == 0 ? "an idle connection was closed" : "bytes that nobody asked for");
}
