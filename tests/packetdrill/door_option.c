/*
 * Socket options, fcntl() and ioctl(): those that any TCP has, under the names and with the values
 * that Linux gives them. What we do not have is refused, so that a script that depends on it fails
 * where it asks.
 */
#include "tests/packetdrill/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#define KEEPALIVE_IDLE (7200 * CLOCK_SEC)

/* ---- asking ---- */

static int get_socket(const struct door *d, struct door_file *f, int name)
{
    (void)d;
    switch (name) {
    case SO_ERROR:
        return door_file_take_error(f);
    case SO_TYPE:
        return SOCK_STREAM;
    case SO_SNDBUF:
        return (int)f->send_reported;
    case SO_RCVBUF:
        return (int)f->receive_reported;
    case SO_KEEPALIVE:
        return f->options.keepalive != 0;
    case SO_REUSEADDR:
        return 1;
    case SO_ACCEPTCONN:
        return f->listening;
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

static int get_tcp(const struct door *d, const struct door_file *f, int name)
{
    struct sock_info info;

    switch (name) {
    case TCP_NODELAY:
        return f->nodelay;
    case TCP_NOTSENT_LOWAT:
        return (int)f->notsent_reported;
    case TCP_INQ:
        return f->queue_told;
    case TCP_USER_TIMEOUT:
        return (int)(f->options.user_timeout / CLOCK_MS);
    case TCP_MAXSEG:
        if (f->sock == NULL || f->listening)
            return (int)(f->options.mss != 0 ? f->options.mss : d->config.mtu - 40u);
        sock_info(f->sock, &info);
        return (int)info.mss;
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

static int give(const void *from, size_t size, void *value, socklen_t *len)
{
    if (size > *len)
        size = *len;
    memcpy(value, from, size);
    *len = (socklen_t)size;
    return 0;
}

/* Of a struct that grows from release to release, the asker's may be longer than ours. */
static int give_all(const void *from, size_t size, void *value, socklen_t *len)
{
    memset(value, 0, *len);
    memcpy(value, from, size < *len ? size : *len);
    return 0;
}

int door_getsockopt(struct door *d, int fd, int level, int name, void *value, socklen_t *len)
{
    struct door_file *f = door_file_socket(d, fd);
    struct tcp_info info;
    int number;

    if (f == NULL)
        return -1;
    if (level == IPPROTO_TCP && name == TCP_INFO) {
        door_info(d, f, &info);
        return give_all(&info, sizeof info, value, len);
    }
    if (level == IPPROTO_TCP && name == TCP_CC_INFO) { /* of none of our algorithms */
        *len = 0;
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) /* the accounts of Linux's buffers */
        return give_all(&info, 0, value, len);
    errno = 0;
    number = level == SOL_SOCKET    ? get_socket(d, f, name)
             : level == IPPROTO_TCP ? get_tcp(d, f, name)
                                    : (errno = ENOPROTOOPT, -1);
    return errno != 0 ? -1 : give(&number, sizeof number, value, len);
}

/* ---- telling ---- */

static int set_linger(struct door_file *f, const void *value, socklen_t len)
{
    struct linger linger;

    if (len < sizeof linger) {
        errno = EINVAL;
        return -1;
    }
    memcpy(&linger, value, sizeof linger);
    f->reset_on_close = linger.l_onoff != 0 && linger.l_linger == 0;
    return 0;
}

static void set_send_buffer(struct door *d, struct door_file *f, uint32_t bytes)
{
    f->send_reported = 2 * bytes; /* as Linux does, for its overhead */
    f->send_fixed = true;
    f->options.send_buffer = door_buffer_bound(f);
    door_inside_send_buffer(d, f->sock, f->options.send_buffer);
}

static int set_socket(struct door *d, struct door_file *f, int name, int number)
{
    switch (name) {
    case SO_REUSEADDR:
    case SO_REUSEPORT:
    case SO_PRIORITY:
        return 0;
    case SO_SNDBUF:
        set_send_buffer(d, f, (uint32_t)number);
        return 0;
    case SO_RCVBUF:
        f->receive_reported = 2 * (uint32_t)number;
        f->options.receive_buffer = (uint32_t)number;
        door_inside_receive_buffer(f->sock, (uint32_t)number);
        return 0;
    case SO_KEEPALIVE:
        f->options.keepalive = number == 0                 ? 0
                               : f->options.keepalive != 0 ? f->options.keepalive
                                                           : KEEPALIVE_IDLE;
        door_inside_keepalive(d, f->sock, f->options.keepalive);
        return 0;
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

static void set_nodelay(struct door *d, struct door_file *f, bool on)
{
    f->nodelay = on;
    f->options.nagle = !on;
    door_inside_nagle(d, f->sock, !on);
}

static int set_tcp(struct door *d, struct door_file *f, int name, int number)
{
    switch (name) {
    case TCP_NODELAY:
        set_nodelay(d, f, number != 0);
        return 0;
    case TCP_MAXSEG:
        f->options.mss = (uint16_t)number;
        door_inside_listener(f);
        return 0;
    case TCP_NOTSENT_LOWAT:
        f->notsent_reported = (uint32_t)number;
        f->notsent = number != 0 ? (uint32_t)number : d->config.notsent_lowat;
        return 0;
    case TCP_INQ:
        f->queue_told = number != 0;
        return 0;
    case TCP_USER_TIMEOUT:
        f->options.user_timeout = (clock_ns)number * CLOCK_MS;
        door_inside_user_timeout(f->sock, f->options.user_timeout);
        return 0;
    case TCP_KEEPIDLE:
        f->options.keepalive = (clock_ns)number * CLOCK_SEC;
        door_inside_keepalive(d, f->sock, f->options.keepalive);
        return 0;
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

/* The type of service's upper six bits are the DSCP (RFC 2474). */
static int set_ip(struct door_file *f, int name, int number)
{
    switch (name) {
    case IP_TOS:
        f->options.dscp = (uint8_t)((unsigned)number >> 2);
        if (f->sock != NULL && !f->listening)
            sock_class_set(f->sock, f->options.egress_class, f->options.dscp);
        return 0;
    case IP_MTU_DISCOVER:
    case IP_FREEBIND:
        return 0;
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

int door_setsockopt(struct door *d, int fd, int level, int name, const void *value, socklen_t len)
{
    struct door_file *f = door_file_socket(d, fd);
    int number = 0;

    if (f == NULL)
        return -1;
    if (level == SOL_SOCKET && name == SO_LINGER)
        return set_linger(f, value, len);
    memcpy(&number, value, len < sizeof number ? len : sizeof number);
    switch (level) {
    case SOL_SOCKET:
        return set_socket(d, f, name, number);
    case IPPROTO_TCP:
        return set_tcp(d, f, name, number);
    case IPPROTO_IP:
        return set_ip(f, name, number);
    default:
        errno = ENOPROTOOPT;
        return -1;
    }
}

/* ---- fcntl, ioctl ---- */

int door_fcntl(struct door *d, int fd, int command, long argument)
{
    struct door_file *f = door_file(d, fd);

    if (f == NULL)
        return -1;
    switch (command) {
    case F_GETFL:
        return f->flags;
    case F_SETFL:
        f->flags = O_RDWR | ((int)argument & O_NONBLOCK);
        return 0;
    case F_GETFD:
    case F_SETFD:
        return 0;
    default:
        errno = EINVAL;
        return -1;
    }
}

int door_ioctl(struct door *d, int fd, unsigned long request, void *argument)
{
    struct door_file *f = door_file_socket(d, fd);
    struct sock_info info = {0};

    if (f == NULL)
        return -1;
    if (f->sock != NULL && !f->listening)
        sock_info(f->sock, &info);
    switch (request) {
    case FIONREAD: /* SIOCINQ */
        *(int *)argument = (int)info.receive_queue;
        return 0;
    case SIOCOUTQ:
        *(int *)argument = (int)info.send_queue;
        return 0;
    case FIONBIO:
        f->flags = O_RDWR | (*(int *)argument != 0 ? O_NONBLOCK : 0);
        return 0;
    default:
        errno = ENOTTY;
        return -1;
    }
}
