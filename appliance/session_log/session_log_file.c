/*
 * Theory of operation: the file is opened without blocking, so that a FIFO without a reader is an
 * answer (ENXIO) and not a wait, and a full pipe one, too (EAGAIN). Standard error is not ours to
 * make non-blocking; there, room is asked for first, and a line is written in pieces that a pipe
 * with room takes at once (PIPE_BUF).
 *
 * A file that was moved away or removed, as logrotate(8) does, is noticed by its inode: the path is
 * opened anew, without a reload, which might bring a configuration that is being edited.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/session_log/session_log_internal.h"

static bool is_stderr(const char *path)
{
    return strcmp(path, "stderr") == 0;
}

static int open_path(const char *path)
{
    if (is_stderr(path))
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
}

int session_log_file_open(struct session_log_file *f, const struct policy_session_log *config,
                          struct error *e)
{
    *f = (struct session_log_file){.fd = -1, .format = config->format};
    if (config->file == NULL)
        return 0;
    f->fd = open_path(config->file);
    if (f->fd < 0 && errno != ENXIO)
        return error_set(e, "%s: %s", config->file,
                         errno == ENOENT ? "its directory does not exist" : strerror(errno));
    f->path = strdup(config->file);
    if (f->path != NULL)
        return 0;
    session_log_file_close(f);
    return error_set(e, "out of memory");
}

void session_log_file_close(struct session_log_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct session_log_file){.fd = -1};
}

/* Is what was opened still what the path names? */
static bool is_in_place(const struct session_log_file *f)
{
    struct stat opened, named;

    if (is_stderr(f->path) || fstat(f->fd, &opened) < 0)
        return true;
    return stat(f->path, &named) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
}

void session_log_file_look(struct session_log_file *f)
{
    int fd;

    if (f->path == NULL || (f->fd >= 0 && is_in_place(f)))
        return;
    fd = open_path(f->path);
    if (fd < 0) /* better the file that was moved than none */
        return;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->torn = false;
}

static bool has_room(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, timeout_ms) > 0;
}

/* Returns the bytes written, or -1. */
static ssize_t put(int fd, const char *text, size_t len)
{
    ssize_t n = write(fd, text, len < PIPE_BUF ? len : PIPE_BUF);

    return n < 0 && errno == EINTR ? 0 : n;
}

enum session_log_write session_log_file_write(struct session_log_file *f, const char *line,
                                              size_t len, int timeout_ms)
{
    size_t done = 0;
    ssize_t n;

    if (f->fd < 0) {
        errno = ENXIO;
        return SESSION_LOG_FAILED;
    }
    if (!has_room(f->fd, timeout_ms))
        return SESSION_LOG_BUSY;
    /* A full disk may have cut the last line: what follows must not be taken for its rest. */
    if (f->torn && put(f->fd, "\n", 1) == 1)
        f->torn = false;
    while (done < len) {
        n = put(f->fd, line + done, len - done);
        if (n < 0 && errno == EAGAIN && done == 0)
            return SESSION_LOG_BUSY;
        if (n < 0 && !(errno == EAGAIN && has_room(f->fd, timeout_ms))) {
            f->torn = f->torn || done > 0;
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    if (done == len)
        return SESSION_LOG_WRITTEN;
    if (errno == EPIPE) { /* the FIFO's reader has left: another may come */
        close(f->fd);
        f->fd = -1;
        errno = EPIPE;
    }
    return SESSION_LOG_FAILED;
}
