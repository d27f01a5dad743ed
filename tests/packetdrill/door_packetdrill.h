/* The table that packetdrill wants to be filled, in its order, and what the two files of the shim
 * share. */
#ifndef TESTS_PACKETDRILL_DOOR_PACKETDRILL_H
#define TESTS_PACKETDRILL_DOOR_PACKETDRILL_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct timeval;
struct timezone;

struct packetdrill_interface {
    void *userdata;
    void (*free)(void *userdata);
    int (*socket)(void *userdata, int domain, int type, int protocol);
    int (*bind)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    int (*listen)(void *userdata, int fd, int backlog);
    int (*accept)(void *userdata, int fd, struct sockaddr *addr, socklen_t *len);
    int (*connect)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    ssize_t (*read)(void *userdata, int fd, void *bytes, size_t len);
    ssize_t (*readv)(void *userdata, int fd, const struct iovec *iov, int count);
    ssize_t (*recv)(void *userdata, int fd, void *bytes, size_t len, int flags);
    ssize_t (*recvfrom)(void *userdata, int fd, void *bytes, size_t len, int flags,
                        struct sockaddr *from, socklen_t *from_len);
    ssize_t (*recvmsg)(void *userdata, int fd, struct msghdr *msg, int flags);
    ssize_t (*write)(void *userdata, int fd, const void *bytes, size_t len);
    ssize_t (*writev)(void *userdata, int fd, const struct iovec *iov, int count);
    ssize_t (*send)(void *userdata, int fd, const void *bytes, size_t len, int flags);
    ssize_t (*sendto)(void *userdata, int fd, const void *bytes, size_t len, int flags,
                      const struct sockaddr *to, socklen_t to_len);
    ssize_t (*sendmsg)(void *userdata, int fd, const struct msghdr *msg, int flags);
    int (*fcntl)(void *userdata, int fd, int command, ...);
    int (*ioctl)(void *userdata, int fd, unsigned long request, ...);
    int (*close)(void *userdata, int fd);
    int (*shutdown)(void *userdata, int fd, int how);
    int (*getsockopt)(void *userdata, int fd, int level, int name, void *value, socklen_t *len);
    int (*setsockopt)(void *userdata, int fd, int level, int name, const void *value,
                      socklen_t len);
    int (*poll)(void *userdata, struct pollfd *fds, nfds_t count, int timeout);
    int (*netdev_send)(void *userdata, const void *packet, size_t len); /* to the stack */
    int (*netdev_receive)(void *userdata, void *packet, size_t *len, long long *usecs);
    int (*usleep)(void *userdata, useconds_t usecs);
    int (*gettimeofday)(void *userdata, struct timeval *tv, struct timezone *zone);
    int (*epoll_create)(void *userdata, int size);
    int (*epoll_ctl)(void *userdata, int epoll, int op, int fd, struct epoll_event *event);
    int (*epoll_wait)(void *userdata, int epoll, struct epoll_event *events, int max, int timeout);
    int (*pipe)(void *userdata, int fd[2]);
    int (*splice)(void *userdata, int in, loff_t *in_at, int out, loff_t *out_at, size_t len,
                  unsigned flags);
};

__attribute__((visibility("default"))) void
packetdrill_interface_init(const char *flags, struct packetdrill_interface *interface);

extern struct door *door_of_process; /* NULL before and after */

#endif
