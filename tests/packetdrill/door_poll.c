/* poll() and epoll over the door's sockets. An edge-triggered entry is told again when something
 * has changed since, with all that is so then, as Linux does it. */
#include "tests/packetdrill/door_internal.h"

#include <errno.h>
#include <string.h>

#define INTERESTS (sizeof(((struct door_file *)NULL)->interest) / sizeof(struct door_interest))

/* The bits of poll() and epoll are the same. */
static uint32_t readiness(const struct door_file *f)
{
    uint32_t ready = 0;

    if (f->listening)
        return door_inside_acceptable(f->sock) ? EPOLLIN : 0;
    if (f->sock == NULL)
        return EPOLLOUT | EPOLLHUP;
    if (door_io_readable(f))
        ready |= EPOLLIN;
    if (door_io_writable(f))
        ready |= EPOLLOUT;
    if (sock_state(f->sock) == TCP_CLOSED)
        ready |= EPOLLHUP;
    if (sock_state(f->sock) == TCP_CLOSED || sock_eof(f->sock) || f->read_shut)
        ready |= EPOLLRDHUP;
    if (f->error != 0)
        ready |= EPOLLERR;
    return ready;
}

static clock_ns deadline_of(const struct door *d, int timeout)
{
    return timeout < 0 ? CLOCK_NEVER : d->now + (clock_ns)timeout * CLOCK_MS;
}

/* ---- poll ---- */

struct polled {
    struct door *d;
    struct pollfd *fds;
    nfds_t count;
};

static int poll_once(const struct polled *p)
{
    int ready = 0;

    for (nfds_t i = 0; i < p->count; i++) {
        struct pollfd *fd = &p->fds[i];
        const struct door_file *f = door_file_socket(p->d, fd->fd);
        uint32_t wanted = (uint16_t)fd->events | EPOLLERR | EPOLLHUP;

        fd->revents = f == NULL ? POLLNVAL : (short)(readiness(f) & wanted);
        ready += fd->revents != 0;
    }
    return ready;
}

static bool poll_ready(void *ctx)
{
    return poll_once(ctx) > 0;
}

int door_poll(struct door *d, struct pollfd *fds, nfds_t count, int timeout)
{
    struct polled p = {.d = d, .fds = fds, .count = count};

    door_wait(d, timeout == 0, poll_ready, &p, deadline_of(d, timeout));
    return poll_once(&p);
}

/* ---- epoll ---- */

int door_epoll_create(struct door *d, int size)
{
    int fd;

    if (size <= 0) {
        errno = EINVAL;
        return -1;
    }
    return door_file_create(d, DOOR_EPOLL, &fd) != NULL ? fd : -1;
}

static struct door_interest *interest_find(struct door_file *epoll, int fd)
{
    for (size_t i = 0; i < INTERESTS; i++) {
        if (epoll->interest[i].fd == fd)
            return &epoll->interest[i];
    }
    return NULL;
}

int door_epoll_ctl(struct door *d, int epoll, int op, int fd, struct epoll_event *event)
{
    struct door_file *e = door_file(d, epoll);
    const struct door_file *f = door_file_socket(d, fd);
    struct door_interest *i;

    if (e == NULL || f == NULL)
        return -1;
    i = interest_find(e, fd);
    if ((i != NULL) == (op == EPOLL_CTL_ADD)) {
        errno = i != NULL ? EEXIST : ENOENT;
        return -1;
    }
    if (op == EPOLL_CTL_ADD)
        i = interest_find(e, -1);
    if (i == NULL) {
        errno = ENOSPC;
        return -1;
    }
    if (op == EPOLL_CTL_DEL)
        i->fd = -1;
    else
        *i = (struct door_interest){
            .fd = fd, .event = *event, .read = f->read - 1, .written = f->written - 1};
    return 0;
}

static uint32_t interest_ready(const struct door_interest *i, const struct door_file *f)
{
    if (i->spent ||
        ((i->event.events & EPOLLET) != 0 && i->read == f->read && i->written == f->written))
        return 0;
    return readiness(f) & (i->event.events | EPOLLERR | EPOLLHUP);
}

struct awaited {
    struct door *d;
    struct door_file *epoll;
};

static bool epoll_ready(void *ctx)
{
    const struct awaited *a = ctx;

    for (size_t n = 0; n < INTERESTS; n++) {
        const struct door_interest *i = &a->epoll->interest[n];

        if (i->fd >= 0 && door_owns(a->d, i->fd) && interest_ready(i, a->d->file[i->fd]) != 0)
            return true;
    }
    return false;
}

int door_epoll_wait(struct door *d, int epoll, struct epoll_event *events, int max, int timeout)
{
    struct awaited a = {.d = d, .epoll = door_file(d, epoll)};
    int count = 0;

    if (a.epoll == NULL)
        return -1;
    door_wait(d, timeout == 0, epoll_ready, &a, deadline_of(d, timeout));
    for (size_t n = 0; n < INTERESTS && count < max; n++) {
        struct door_interest *i = &a.epoll->interest[n];
        const struct door_file *f;
        uint32_t ready;

        if (i->fd < 0 || !door_owns(d, i->fd))
            continue;
        f = d->file[i->fd];
        ready = interest_ready(i, f);
        if (ready == 0)
            continue;
        i->read = f->read;
        i->written = f->written;
        i->spent = (i->event.events & EPOLLONESHOT) != 0;
        events[count++] = (struct epoll_event){.events = ready, .data = i->event.data};
    }
    return count;
}
