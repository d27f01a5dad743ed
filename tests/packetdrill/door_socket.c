/* Life of a socket: from socket() to close(). */
#include "tests/packetdrill/door_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_BACKLOG_MIN 8 /* what others round a backlog of one up to */

/* ---- addresses ---- */

static bool endpoint_take(struct ip_endpoint *out, const struct sockaddr *addr, socklen_t len)
{
    if (addr != NULL && addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;

        memcpy(&v4, addr, sizeof v4);
        out->addr = v4.sin_addr.s_addr == 0 ? (struct ip_addr){0} : ip_from_v4(v4.sin_addr.s_addr);
        out->port = ntohs(v4.sin_port);
        return true;
    }
    if (addr != NULL && addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;

        memcpy(&v6, addr, sizeof v6);
        memcpy(out->addr.b, &v6.sin6_addr, sizeof out->addr.b);
        out->port = ntohs(v6.sin6_port);
        return true;
    }
    errno = EINVAL;
    return false;
}

static void endpoint_give(const struct ip_endpoint *e, int domain, struct sockaddr *addr,
                          socklen_t *len)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(e->port), .sin_addr.s_addr = ip_to_v4(&e->addr)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
    const void *from = domain == AF_INET ? (const void *)&v4 : (const void *)&v6;
    socklen_t size = domain == AF_INET ? sizeof v4 : sizeof v6;

    memcpy(&v6.sin6_addr, e->addr.b, sizeof v6.sin6_addr);
    if (addr == NULL || len == NULL)
        return;
    memcpy(addr, from, *len < size ? *len : size);
    *len = size;
}

/* ---- opening ---- */

static void options_default(const struct door *d, struct door_file *f)
{
    f->options.receive_buffer = d->config.receive_buffer;
    f->options.send_buffer = d->config.send_buffer;
    f->options.nagle = d->config.nagle;
    f->options.cookies = d->config.cookies;
    f->receive_reported = d->config.receive_buffer != 0 ? d->config.receive_buffer : 65536;
    f->send_reported = d->config.send_buffer != 0 ? d->config.send_buffer : 65536;
    f->notsent = d->config.notsent_lowat;
    f->nodelay = !d->config.nagle;
}

int door_socket(struct door *d, int domain, int type, int protocol)
{
    struct door_file *f;
    int fd;

    if ((type & 0xf) != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP)) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    f = door_file_create(d, DOOR_SOCKET, &fd);
    if (f == NULL)
        return -1;
    f->domain = domain;
    f->flags |= type & SOCK_NONBLOCK;
    options_default(d, f);
    return fd;
}

int door_bind(struct door *d, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct door_file *f = door_file_socket(d, fd);

    if (f == NULL || !endpoint_take(&f->local, addr, len))
        return -1;
    f->bound = true;
    return 0;
}

int door_listen(struct door *d, int fd, int backlog)
{
    struct door_file *f = door_file_socket(d, fd);
    enum sock_error error;

    if (f == NULL)
        return -1;
    if (backlog < SOCKET_BACKLOG_MIN)
        backlog = SOCKET_BACKLOG_MIN;
    f->sock = sock_listen(d->stack, &f->local, (uint32_t)backlog, &f->options, f, &error);
    if (f->sock == NULL) {
        errno = door_file_errno(error);
        return -1;
    }
    f->listening = true;
    door_inside_opened(d, f->sock);
    return 0;
}

/* ---- accepting ---- */

static bool accept_ready(void *ctx)
{
    const struct door_file *f = ctx;

    return door_inside_acceptable(f->sock);
}

static int accept_one(struct door *d, struct door_file *listener, struct sock *k)
{
    struct door_file *f;
    int fd;

    f = door_file_create(d, DOOR_SOCKET, &fd);
    if (f == NULL) {
        sock_abort(k);
        return -1;
    }
    f->domain = listener->domain;
    f->options = listener->options;
    f->receive_reported = listener->receive_reported;
    f->send_reported = listener->send_reported;
    f->send_fixed = listener->send_fixed;
    f->notsent_reported = listener->notsent_reported;
    f->notsent = listener->notsent;
    f->nodelay = listener->nodelay;
    f->connected = true;
    f->sock = k;
    sock_user_set(k, f);
    door_settle(d);
    return fd;
}

int door_accept(struct door *d, int fd, struct sockaddr *addr, socklen_t *len)
{
    struct door_file *f = door_file_socket(d, fd);
    struct ip_endpoint remote;
    struct sock *k;
    int accepted;

    if (f == NULL)
        return -1;
    if (!f->listening) {
        errno = EINVAL;
        return -1;
    }
    while ((k = sock_accept(f->sock)) == NULL) {
        if (door_wait(d, (f->flags & O_NONBLOCK) != 0, accept_ready, f, CLOCK_NEVER) < 0)
            return -1;
    }
    accepted = accept_one(d, f, k);
    if (accepted >= 0) {
        sock_remote(k, &remote);
        endpoint_give(&remote, f->domain, addr, len);
    }
    return accepted;
}

/* ---- connecting ---- */

static bool connect_ready(void *ctx)
{
    const struct door_file *f = ctx;

    return !f->connecting;
}

static int connect_begin(struct door *d, struct door_file *f, const struct ip_endpoint *remote)
{
    enum sock_error error;

    f->sock = sock_connect(d->stack, remote, &f->options, f, &error);
    if (f->sock == NULL) {
        errno = door_file_errno(error);
        return -1;
    }
    f->connecting = true;
    door_inside_opened(d, f->sock);
    door_settle(d);
    return 0;
}

int door_connect(struct door *d, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct door_file *f = door_file_socket(d, fd);
    struct ip_endpoint remote;

    if (f == NULL || !endpoint_take(&remote, addr, len))
        return -1;
    if (f->connected || f->listening) {
        errno = EISCONN;
        return -1;
    }
    if (f->connecting) {
        errno = EALREADY;
        return -1;
    }
    if (connect_begin(d, f, &remote) < 0)
        return -1;
    if (door_wait(d, (f->flags & O_NONBLOCK) != 0, connect_ready, f, CLOCK_NEVER) < 0) {
        errno = EINPROGRESS;
        return -1;
    }
    if (f->connected)
        return 0;
    errno = door_file_take_error(f);
    return -1;
}

/* ---- the end ---- */

int door_shutdown(struct door *d, int fd, int how)
{
    struct door_file *f = door_file_socket(d, fd);

    if (f == NULL)
        return -1;
    if (f->sock == NULL || f->listening || sock_state(f->sock) == TCP_CLOSED ||
        sock_state(f->sock) == TCP_SYN_SENT) {
        errno = ENOTCONN;
        return -1;
    }
    if (how != SHUT_WR) {
        f->read_shut = true;
        f->read++;
    }
    if (how != SHUT_RD) {
        f->write_shut = true;
        f->written++;
        sock_shutdown(f->sock);
    }
    door_settle(d);
    return 0;
}

int door_close(struct door *d, int fd)
{
    struct door_file *f = door_file(d, fd);

    if (f == NULL)
        return -1;
    d->file[fd] = NULL;
    close(fd);
    if (f->sock != NULL && f->reset_on_close)
        sock_abort(f->sock);
    else if (f->sock != NULL)
        sock_close(f->sock);
    free(f);
    door_settle(d);
    return 0;
}
