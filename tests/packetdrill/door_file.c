/* The door's descriptors: real ones, so that a program may treat them as such, each with what it
 * stands for. */
#include "tests/packetdrill/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/event.h"

struct door_file *door_file_create(struct door *d, enum door_kind kind, int *fd)
{
    struct door_file *f = calloc(1, sizeof *f);

    *fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (f == NULL || *fd < 0 || *fd >= DOOR_FILES) {
        errno = EMFILE;
        free(f);
        if (*fd >= 0)
            close(*fd);
        return NULL;
    }
    f->kind = kind;
    f->flags = O_RDWR;
    f->data_at = d->now;
    for (size_t i = 0; i < sizeof f->interest / sizeof f->interest[0]; i++)
        f->interest[i].fd = -1;
    d->file[*fd] = f;
    return f;
}

bool door_owns(const struct door *d, int fd)
{
    return fd >= 0 && fd < DOOR_FILES && d->file[fd] != NULL;
}

struct door_file *door_file(const struct door *d, int fd)
{
    if (door_owns(d, fd))
        return d->file[fd];
    errno = EBADF;
    return NULL;
}

struct door_file *door_file_socket(const struct door *d, int fd)
{
    struct door_file *f = door_file(d, fd);

    if (f == NULL || f->kind == DOOR_SOCKET)
        return f;
    errno = ENOTSOCK;
    return NULL;
}

struct sock *door_sock(const struct door *d, int fd)
{
    return door_owns(d, fd) ? d->file[fd]->sock : NULL;
}

int door_file_errno(enum sock_error error)
{
    switch (error) {
    case SOCK_OK:
        return 0;
    case SOCK_REFUSED:
        return ECONNREFUSED;
    case SOCK_RESET:
        return ECONNRESET;
    case SOCK_TIMED_OUT:
        return ETIMEDOUT;
    case SOCK_UNREACHABLE:
        return EHOSTUNREACH;
    case SOCK_NO_MEMORY:
        return ENOBUFS;
    case SOCK_NO_PORT:
        return EADDRNOTAVAIL;
    case SOCK_IN_USE:
        return EADDRINUSE;
    case SOCK_NOT_YET:
    case SOCK_BAD_ADDRESS:
        return EADDRNOTAVAIL;
    }
    return EIO;
}

int door_file_take_error(struct door_file *f)
{
    int error = f->error;

    f->error = 0;
    return error;
}

static void event_note(struct door *d, struct door_file *f, const struct event *e)
{
    if ((e->what & EVENT_CONNECTED) != 0) {
        f->connecting = false;
        f->connected = true;
        f->data_at = d->now;
        f->written++;
    }
    if ((e->what & EVENT_WRITABLE) != 0)
        f->written++;
    if ((e->what & (EVENT_READABLE | EVENT_ACCEPT)) != 0)
        f->read++;
    if ((e->what & EVENT_ERROR) != 0) {
        f->connecting = false;
        f->error = door_file_errno(sock_error(e->sock));
        f->read++;
    }
    if (!f->listening) {
        struct sock_info info;

        sock_info(e->sock, &info);
        if (info.bytes_received != f->received)
            f->data_at = d->now;
        f->received = info.bytes_received;
    }
}

void door_file_events(struct door *d)
{
    struct event e;

    while (event_next(d->stack, &e))
        event_note(d, e.user, &e);
}
