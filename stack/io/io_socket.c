/*
 * The drivers on kernel interfaces keep their sockets to themselves, and with them figures that an
 * operator needs (what the kernel dropped because a ring was full). So they are found from outside:
 * the sockets of a family that appeared while the driver opened a device are its own.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "stack/io/io_internal.h"

static bool io_socket_is(int fd, int family)
{
    int domain;
    socklen_t len = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == family;
}

void io_socket_list(int family, struct io_sockets *out)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    out->count = 0;
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL && out->count < IO_MAX_SOCKETS) {
        int fd = atoi(entry->d_name);

        if (entry->d_name[0] != '.' && io_socket_is(fd, family))
            out->fd[out->count++] = fd;
    }
    closedir(dir);
}

static bool io_socket_in(const struct io_sockets *set, int fd)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->fd[i] == fd)
            return true;
    }
    return false;
}

static void io_socket_keep(struct io_sockets *now, const struct io_sockets *set, bool members)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < now->count; i++) {
        if (io_socket_in(set, now->fd[i]) == members)
            now->fd[kept++] = now->fd[i];
    }
    now->count = kept;
}

void io_socket_subtract(struct io_sockets *now, const struct io_sockets *before)
{
    io_socket_keep(now, before, false);
}

void io_socket_intersect(struct io_sockets *now, const struct io_sockets *of)
{
    io_socket_keep(now, of, true);
}
