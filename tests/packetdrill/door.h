/*
 * The conformance door: one stack on a virtual clock, with bare IP packets on one side and POSIX
 * socket calls on the other, for scripts that say what goes in and what must come out, and when.
 * Two readers of scripts stand in front of it: packetdrill (door_packetdrill.c) and ours
 * (script_run.c).
 *
 * The calls have the arguments, results and errno of their POSIX namesakes. Descriptors are real
 * ones of the process, so that others may close them or ask for their TCP_INFO. What would block
 * does so only in a thread other than the one that made the door (door_wait.c).
 */
#ifndef TESTS_PACKETDRILL_DOOR_H
#define TESTS_PACKETDRILL_DOOR_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/socket.h"
#include "stack/stack.h"

struct door;

/* How the stack is set up; door_flags.c reads it from text. */
struct door_config {
    struct ip_prefix local[2]; /* IPv4, IPv6 */
    struct ip_addr gateway[2]; /* the next hop to everywhere */
    uint16_t mtu;
    uint16_t tso;        /* most segments in a frame that the device cuts; 0: it cuts none */
    bool quick_acks_off; /* delay the very first acknowledgements, too */
    bool nagle;          /* of new sockets */
    uint32_t receive_buffer, send_buffer; /* bytes, of new sockets; 0: the stack's */
    uint32_t notsent_lowat; /* bytes, where TCP_NOTSENT_LOWAT says nothing; 0: without bound */
    enum sock_cookies cookies;
    clock_ns time_wait;
    struct stack_tcp_config tcp;
};

/* The defaults, then "key=value,key=value". Returns 0, or -1 with the cause. */
int door_config_parse(struct door_config *config, const char *flags, struct error *e);

/* DPDK's environment and the pools, once in a process. Returns 0, or -1 with the cause. */
int door_setup(struct error *e);
void door_teardown(void);

unsigned door_mbufs_in_use(void);

/* A stack whose addresses are usable. NULL with the cause. */
struct door *door_create(const struct door_config *config, struct error *e);
void door_destroy(struct door *d);

/* ---- time ---- */

clock_ns door_now(const struct door *d);

/* Runs what falls due until `at`, in order; that is the time then. */
void door_run(struct door *d, clock_ns at);

/* ---- packets ---- */

/* One IP packet from the wire. Returns 0, or -1 when it is none or too long. */
int door_packet_in(struct door *d, const void *packet, size_t len);

/* The next IP packet that the stack has sent, and when. Runs timers until there is one, but no
 * longer than `limit`. Returns its length, 0 when there is none; *at is set when there is. */
size_t door_packet_out(struct door *d, clock_ns limit, void *out, size_t room, clock_ns *at);

/* ---- sockets ---- */

int door_socket(struct door *d, int domain, int type, int protocol);
int door_bind(struct door *d, int fd, const struct sockaddr *addr, socklen_t len);
int door_listen(struct door *d, int fd, int backlog);
int door_accept(struct door *d, int fd, struct sockaddr *addr, socklen_t *len);
int door_connect(struct door *d, int fd, const struct sockaddr *addr, socklen_t len);
int door_shutdown(struct door *d, int fd, int how);
int door_close(struct door *d, int fd);

ssize_t door_recvmsg(struct door *d, int fd, struct msghdr *msg, int flags);
ssize_t door_sendmsg(struct door *d, int fd, const struct msghdr *msg, int flags);
int door_pipe(struct door *d, int fd[2]);
ssize_t door_splice(struct door *d, int in, int out, size_t len, unsigned flags);

int door_getsockopt(struct door *d, int fd, int level, int name, void *value, socklen_t *len);
int door_setsockopt(struct door *d, int fd, int level, int name, const void *value, socklen_t len);
int door_fcntl(struct door *d, int fd, int command, long argument);
int door_ioctl(struct door *d, int fd, unsigned long request, void *argument);

int door_poll(struct door *d, struct pollfd *fds, nfds_t count, int timeout);
int door_epoll_create(struct door *d, int size);
int door_epoll_ctl(struct door *d, int epoll, int op, int fd, struct epoll_event *event);
int door_epoll_wait(struct door *d, int epoll, struct epoll_event *events, int max, int timeout);

/* Is the descriptor one of the door's? */
bool door_owns(const struct door *d, int fd);

/* The stack's connection behind a descriptor; NULL when there is none. */
struct sock *door_sock(const struct door *d, int fd);

/* ---- threads (door_wait.c) ---- */

/* Every use of the door by a program with several threads lies between these two. */
void door_enter(struct door *d);
void door_leave(struct door *d);

/* The time for the calling thread, at least a microsecond later than the last time it asked. What
 * a call that had to wait returned at is told once, whatever has happened since. */
clock_ns door_look(struct door *d);

#endif
