/*
 * The shim between packetdrill and the door: what its --so_filename wants of a library.
 *
 * It calls packetdrill_interface_init() with the text of --so_flags and a table to be filled with
 * functions, all of which take what `userdata` points to and then the arguments of the call that
 * they stand for. The order of the table is packetdrill's; the declaration is ours.
 */
#include "tests/packetdrill/door_packetdrill.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "tests/packetdrill/door.h"

#define SHIM_SILENCE                                                            \
    (24 * 3600 * CLOCK_SEC) /* nothing will ever be sent: no timer within a day \
                             */

struct door *door_of_process;

/* One call through the door, alone in it. */
#define THROUGH(type, call)           \
    do {                              \
        struct door *door = userdata; \
        type result;                  \
        int error;                    \
                                      \
        door_enter(door);             \
        result = (call);              \
        error = errno;                \
        door_leave(door);             \
        errno = error;                \
        return result;                \
    } while (0)

static void shim_free(void *userdata)
{
    door_of_process = NULL;
    door_destroy(userdata);
    door_teardown();
}

static int shim_socket(void *userdata, int domain, int type, int protocol)
{
    THROUGH(int, door_socket(door, domain, type, protocol));
}

static int shim_bind(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
    THROUGH(int, door_bind(door, fd, addr, len));
}

static int shim_listen(void *userdata, int fd, int backlog)
{
    THROUGH(int, door_listen(door, fd, backlog));
}

static int shim_accept(void *userdata, int fd, struct sockaddr *addr, socklen_t *len)
{
    THROUGH(int, door_accept(door, fd, addr, len));
}

static int shim_connect(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
    THROUGH(int, door_connect(door, fd, addr, len));
}

/* ---- receiving ---- */

static ssize_t receive(void *userdata, int fd, const struct iovec *iov, size_t count, int flags)
{
    struct msghdr msg = {.msg_iovlen = count};

    memcpy(&msg.msg_iov, &iov, sizeof iov);
    THROUGH(ssize_t, door_recvmsg(door, fd, &msg, flags));
}

static ssize_t shim_recv(void *userdata, int fd, void *bytes, size_t len, int flags)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = len};

    return receive(userdata, fd, &iov, 1, flags);
}

static ssize_t shim_read(void *userdata, int fd, void *bytes, size_t len)
{
    return shim_recv(userdata, fd, bytes, len, 0);
}

static ssize_t shim_readv(void *userdata, int fd, const struct iovec *iov, int count)
{
    return receive(userdata, fd, iov, (size_t)count, 0);
}

static ssize_t shim_recvfrom(void *userdata, int fd, void *bytes, size_t len, int flags,
                             struct sockaddr *from, socklen_t *from_len)
{
    (void)from;
    if (from_len != NULL) /* a stream's bytes have no address of their own */
        *from_len = 0;
    return shim_recv(userdata, fd, bytes, len, flags);
}

static ssize_t shim_recvmsg(void *userdata, int fd, struct msghdr *msg, int flags)
{
    THROUGH(ssize_t, door_recvmsg(door, fd, msg, flags));
}

/* ---- sending ---- */

static ssize_t transmit(void *userdata, int fd, const struct iovec *iov, size_t count, int flags)
{
    struct msghdr msg = {.msg_iovlen = count};

    memcpy(&msg.msg_iov, &iov, sizeof iov);
    THROUGH(ssize_t, door_sendmsg(door, fd, &msg, flags));
}

static ssize_t shim_send(void *userdata, int fd, const void *bytes, size_t len, int flags)
{
    struct iovec iov = {.iov_len = len};

    memcpy(&iov.iov_base, &bytes, sizeof bytes);
    return transmit(userdata, fd, &iov, 1, flags);
}

static ssize_t shim_write(void *userdata, int fd, const void *bytes, size_t len)
{
    return shim_send(userdata, fd, bytes, len, 0);
}

static ssize_t shim_writev(void *userdata, int fd, const struct iovec *iov, int count)
{
    return transmit(userdata, fd, iov, (size_t)count, 0);
}

static ssize_t shim_sendto(void *userdata, int fd, const void *bytes, size_t len, int flags,
                           const struct sockaddr *to, socklen_t to_len)
{
    (void)to;
    (void)to_len;
    return shim_send(userdata, fd, bytes, len, flags);
}

static ssize_t shim_sendmsg(void *userdata, int fd, const struct msghdr *msg, int flags)
{
    THROUGH(ssize_t, door_sendmsg(door, fd, msg, flags));
}

/* ---- control ---- */

static int shim_fcntl(void *userdata, int fd, int command, ...)
{
    va_list arguments;
    long argument;

    va_start(arguments, command);
    argument = va_arg(arguments, long);
    va_end(arguments);
    THROUGH(int, door_fcntl(door, fd, command, argument));
}

static int shim_ioctl(void *userdata, int fd, unsigned long request, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    THROUGH(int, door_ioctl(door, fd, request, argument));
}

static int shim_close(void *userdata, int fd)
{
    THROUGH(int, door_close(door, fd));
}

static int shim_shutdown(void *userdata, int fd, int how)
{
    THROUGH(int, door_shutdown(door, fd, how));
}

static int shim_getsockopt(void *userdata, int fd, int level, int name, void *value, socklen_t *len)
{
    THROUGH(int, door_getsockopt(door, fd, level, name, value, len));
}

static int shim_setsockopt(void *userdata, int fd, int level, int name, const void *value,
                           socklen_t len)
{
    THROUGH(int, door_setsockopt(door, fd, level, name, value, len));
}

static int shim_poll(void *userdata, struct pollfd *fds, nfds_t count, int timeout)
{
    THROUGH(int, door_poll(door, fds, count, timeout));
}

/* ---- the wire and the clock ---- */

static int shim_netdev_send(void *userdata, const void *packet, size_t len)
{
    THROUGH(int, door_packet_in(door, packet, len));
}

static int packet_out(struct door *door, void *packet, size_t *len, long long *usecs)
{
    clock_ns at = 0;

    *len = door_packet_out(door, door_now(door) + SHIM_SILENCE, packet, *len, &at);
    *usecs = (long long)(at / CLOCK_US);
    return 0;
}

static int shim_netdev_receive(void *userdata, void *packet, size_t *len, long long *usecs)
{
    THROUGH(int, packet_out(door, packet, len, usecs));
}

static int run_for(struct door *door, clock_ns time)
{
    door_run(door, door_now(door) + time);
    return 0;
}

static int shim_usleep(void *userdata, useconds_t usecs)
{
    THROUGH(int, run_for(door, usecs * CLOCK_US));
}

static int look(struct door *door, struct timeval *tv)
{
    clock_ns now = door_look(door);

    tv->tv_sec = (time_t)(now / CLOCK_SEC);
    tv->tv_usec = (suseconds_t)(now % CLOCK_SEC / CLOCK_US);
    return 0;
}

static int shim_gettimeofday(void *userdata, struct timeval *tv, struct timezone *zone)
{
    (void)zone;
    THROUGH(int, look(door, tv));
}

/* ---- readiness and pipes ---- */

static int shim_epoll_create(void *userdata, int size)
{
    THROUGH(int, door_epoll_create(door, size));
}

static int shim_epoll_ctl(void *userdata, int epoll, int op, int fd, struct epoll_event *event)
{
    THROUGH(int, door_epoll_ctl(door, epoll, op, fd, event));
}

static int shim_epoll_wait(void *userdata, int epoll, struct epoll_event *events, int max,
                           int timeout)
{
    THROUGH(int, door_epoll_wait(door, epoll, events, max, timeout));
}

static int shim_pipe(void *userdata, int fd[2])
{
    THROUGH(int, door_pipe(door, fd));
}

/* Pipes and sockets have no offsets; packetdrill's pointers are never NULL, whatever the script
 * says. */
static int shim_splice(void *userdata, int in, loff_t *in_at, int out, loff_t *out_at, size_t len,
                       unsigned flags)
{
    (void)in_at;
    (void)out_at;
    THROUGH(int, (int)door_splice(door, in, out, len, flags));
}

static const struct packetdrill_interface shim = {
    .free = shim_free,
    .socket = shim_socket,
    .bind = shim_bind,
    .listen = shim_listen,
    .accept = shim_accept,
    .connect = shim_connect,
    .read = shim_read,
    .readv = shim_readv,
    .recv = shim_recv,
    .recvfrom = shim_recvfrom,
    .recvmsg = shim_recvmsg,
    .write = shim_write,
    .writev = shim_writev,
    .send = shim_send,
    .sendto = shim_sendto,
    .sendmsg = shim_sendmsg,
    .fcntl = shim_fcntl,
    .ioctl = shim_ioctl,
    .close = shim_close,
    .shutdown = shim_shutdown,
    .getsockopt = shim_getsockopt,
    .setsockopt = shim_setsockopt,
    .poll = shim_poll,
    .netdev_send = shim_netdev_send,
    .netdev_receive = shim_netdev_receive,
    .usleep = shim_usleep,
    .gettimeofday = shim_gettimeofday,
    .epoll_create = shim_epoll_create,
    .epoll_ctl = shim_epoll_ctl,
    .epoll_wait = shim_epoll_wait,
    .pipe = shim_pipe,
    .splice = shim_splice,
};

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *interface)
{
    struct door_config config;
    struct error e = {0};
    struct door *door = NULL;

    unsetenv("LD_PRELOAD"); /* the script's commands are other programs */
    if (door_config_parse(&config, flags, &e) == 0 && door_setup(&e) == 0)
        door = door_create(&config, &e);
    if (door == NULL) {
        fprintf(stderr, "door: %s\n", e.text);
        exit(2);
    }
    *interface = shim;
    interface->userdata = door;
    door_of_process = door;
}
