/* Moving bytes: all calls come down to recvmsg(), sendmsg() and splice(). */
#include "tests/packetdrill/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* ---- receiving ---- */

static bool alive(const struct door_file *f)
{
    return f->sock != NULL && !f->listening && sock_state(f->sock) != TCP_CLOSED;
}

bool door_io_readable(const struct door_file *f)
{
    if (f->sock == NULL || f->connecting)
        return f->error != 0;
    return sock_readable(f->sock) > 0 || sock_eof(f->sock) || f->read_shut || !alive(f);
}

static bool read_ready(void *ctx)
{
    return door_io_readable(ctx);
}

static int connection_check(const struct door_file *f)
{
    if (f->sock != NULL && !f->listening)
        return 0;
    errno = ENOTCONN;
    return -1;
}

static ssize_t take(struct door_file *f, const struct msghdr *msg, int flags)
{
    uint32_t total = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        const struct iovec *v = &msg->msg_iov[i];
        uint32_t n;

        if (v->iov_base == NULL && v->iov_len > 0) {
            errno = EFAULT;
            return total > 0 ? (ssize_t)total : -1;
        }
        n = (flags & MSG_PEEK) != 0 ? sock_peek(f->sock, total, v->iov_base, (uint32_t)v->iov_len)
                                    : sock_read(f->sock, v->iov_base, (uint32_t)v->iov_len);
        total += n;
        if (n < v->iov_len)
            break;
    }
    return total;
}

/* TCP_INQ: what is left in the queue; one where the end of the stream is. */
static void tell_queue(const struct door_file *f, struct msghdr *msg, size_t most)
{
    struct cmsghdr *header = (struct cmsghdr *)msg->msg_control;
    int left = (int)sock_readable(f->sock);

    if (!f->queue_told || header == NULL || most < CMSG_SPACE(sizeof left))
        return;
    if (left == 0 && sock_eof(f->sock))
        left = 1;
    *header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof left), .cmsg_level = IPPROTO_TCP, .cmsg_type = TCP_CM_INQ};
    memcpy(CMSG_DATA(header), &left, sizeof left);
    msg->msg_controllen = CMSG_SPACE(sizeof left);
}

ssize_t door_recvmsg(struct door *d, int fd, struct msghdr *msg, int flags)
{
    struct door_file *f = door_file_socket(d, fd);
    size_t control = msg->msg_controllen;
    bool nonblocking;
    ssize_t n;

    if (f == NULL || connection_check(f) < 0)
        return -1;
    nonblocking = (f->flags & O_NONBLOCK) != 0 || (flags & MSG_DONTWAIT) != 0;
    while (sock_readable(f->sock) == 0) {
        if (f->error != 0) {
            errno = door_file_take_error(f);
            return -1;
        }
        if (door_io_readable(f))
            return 0;
        if (door_wait(d, nonblocking, read_ready, f, CLOCK_NEVER) < 0)
            return -1;
    }
    n = take(f, msg, flags);
    msg->msg_flags = 0;
    msg->msg_namelen = 0;
    msg->msg_controllen = 0;
    tell_queue(f, msg, control);
    door_settle(d);
    return n;
}

/* ---- sending ---- */

bool door_io_writable(const struct door_file *f)
{
    if (f->connecting)
        return false;
    return f->write_shut || !alive(f) || door_buffer_writable(f);
}

static bool write_ready(void *ctx)
{
    return door_io_writable(ctx);
}

static int write_check(struct door_file *f)
{
    if (f->error != 0)
        errno = door_file_take_error(f);
    else if (f->write_shut || !alive(f))
        errno = EPIPE;
    else
        return 0;
    return -1;
}

static ssize_t give(struct door *d, struct door_file *f, const char *bytes, size_t len,
                    bool nonblocking)
{
    size_t done = 0;

    while (done < len) {
        uint32_t n;

        if (write_check(f) < 0)
            return done > 0 ? (ssize_t)done : -1;
        n = door_buffer_room(f);
        n = sock_write(f->sock, bytes + done, len - done < n ? (uint32_t)(len - done) : n);
        door_buffer_filled(f, n);
        done += n;
        f->writer_waits = done < len;
        if (n > 0)
            door_settle(d);
        else if (door_wait(d, nonblocking, write_ready, f, CLOCK_NEVER) < 0)
            return done > 0 ? (ssize_t)done : -1;
    }
    return (ssize_t)done;
}

/* All of a message before the stack sends any of it. */
static bool fits(const struct door_file *f, size_t total)
{
    return alive(f) && !f->connecting && door_buffer_fits(f, total);
}

static ssize_t give_at_once(struct door *d, struct door_file *f, const struct msghdr *msg)
{
    size_t total = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++)
        total += sock_write(f->sock, msg->msg_iov[i].iov_base, (uint32_t)msg->msg_iov[i].iov_len);
    door_buffer_filled(f, (uint32_t)total);
    door_settle(d);
    return (ssize_t)total;
}

static ssize_t message_length(const struct msghdr *msg)
{
    size_t total = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        if (msg->msg_iov[i].iov_base == NULL && msg->msg_iov[i].iov_len > 0) {
            errno = EFAULT;
            return -1;
        }
        total += msg->msg_iov[i].iov_len;
    }
    return (ssize_t)total;
}

ssize_t door_sendmsg(struct door *d, int fd, const struct msghdr *msg, int flags)
{
    struct door_file *f = door_file_socket(d, fd);
    ssize_t length = f != NULL ? message_length(msg) : -1, done = 0;
    bool nonblocking;

    if (length < 0 || connection_check(f) < 0 || write_check(f) < 0)
        return -1;
    nonblocking = (f->flags & O_NONBLOCK) != 0 || (flags & MSG_DONTWAIT) != 0;
    if (f->connecting && door_wait(d, nonblocking, write_ready, f, CLOCK_NEVER) < 0)
        return -1;
    if (fits(f, (size_t)length))
        return give_at_once(d, f, msg);
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        const struct iovec *v = &msg->msg_iov[i];
        ssize_t n = give(d, f, v->iov_base, v->iov_len, nonblocking);

        if (n < 0)
            return done > 0 ? done : -1;
        done += n;
        if ((size_t)n < v->iov_len)
            break;
    }
    return done;
}

/* ---- pipes ---- */

int door_pipe(struct door *d, int fd[2])
{
    (void)d;
    return pipe2(fd, O_CLOEXEC | O_NONBLOCK);
}

/* From a socket to a pipe. */
ssize_t door_splice(struct door *d, int in, int out, size_t len, unsigned flags)
{
    struct door_file *f = door_file_socket(d, in);
    char bytes[65536];
    ssize_t n;

    (void)flags;
    if (f == NULL || connection_check(f) < 0)
        return -1;
    while (!door_io_readable(f)) {
        if (door_wait(d, (f->flags & O_NONBLOCK) != 0, read_ready, f, CLOCK_NEVER) < 0)
            return -1;
    }
    n = sock_peek(f->sock, 0, bytes, (uint32_t)(len < sizeof bytes ? len : sizeof bytes));
    if (n > 0)
        n = write(out, bytes, (size_t)n);
    if (n > 0)
        sock_skip(f->sock, (uint32_t)n);
    door_settle(d);
    return n;
}
