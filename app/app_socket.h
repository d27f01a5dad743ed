/*
 * Descriptors: the calls of POSIX sockets on a channel. Small numbers from 0 on, of their own kind:
 * not the kernel's. Non-blocking: no call waits for the network. Those marked "asks" wait for the
 * stack thread's answer, which takes a round of it, some microseconds.
 *
 * Calls that fail return -1 and set errno: EBADF, no such descriptor; EINVAL, not for this kind of
 * it; and what is said with each. How stack/socket.h's errors become errno values is told at
 * app_errno().
 */
#ifndef APP_APP_SOCKET_H
#define APP_APP_SOCKET_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/ip.h"
#include "stack/socket.h"

struct app_channel;

/* ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENOBUFS, EADDRNOTAVAIL (no source port),
 * EADDRINUSE, ENETUNREACH (not an address of ours to listen on: EADDRNOTAVAIL); SOCK_OK: 0. */
int app_errno(enum sock_error error);

/* Asks. Listens on an address of ours, or on any of them (unspecified). Each stack thread gets the
 * connections whose flows are its own: a program with several listens on each. Returns a
 * descriptor; EMFILE: none is free. */
int app_listen(struct app_channel *c, const struct ip_endpoint *local, uint32_t backlog,
               const struct sock_options *options);

/* Takes an established connection; its peer in *remote where that is not NULL. EAGAIN: none. */
int app_accept(struct app_channel *c, int fd, struct ip_endpoint *remote);

/* Begins a connection and returns its descriptor. EPOLLOUT tells that it stands, EPOLLERR that it
 * failed: app_error(). EMFILE. */
int app_connect(struct app_channel *c, const struct ip_endpoint *remote,
                const struct sock_options *options);

/* Bytes in order: how many were copied out, 0 at the end of the peer's stream (its FIN). What came
 * before an error is read before the error is told. EAGAIN: nothing now, or not connected yet. */
ssize_t app_read(struct app_channel *c, int fd, void *out, size_t len);
ssize_t app_readv(struct app_channel *c, int fd, const struct iovec *iov, int count);

/* Queues bytes: how many were taken, fewer than `len` where the send ring is full; EPOLLOUT follows
 * when half of it is free. EAGAIN: none. EPIPE: after app_shutdown(). */
ssize_t app_write(struct app_channel *c, int fd, const void *data, size_t len);
ssize_t app_writev(struct app_channel *c, int fd, const struct iovec *iov, int count);

/* No more writes: the FIN follows what was written. Reading goes on. */
int app_shutdown(struct app_channel *c, int fd);

/* Gives the descriptor up; it is out of its epoll set. What was written is still sent, then a FIN;
 * where bytes of the peer were not read, or more come, a RST (as sock_close()), and when the peer
 * has taken nothing for a minute. Closing a listener
 * resets the connections that were not accepted. */
int app_close(struct app_channel *c, int fd);

/* The same with a RST; what was written and not yet sent is dropped. */
int app_abort(struct app_channel *c, int fd);

/* What ended the connection, an errno value (as SO_ERROR, but it stays); 0: it lives, or ended
 * orderly. -1: EBADF. */
int app_error(struct app_channel *c, int fd);

/* Both ends; of a listener *remote is zero. The local one of a connection that does not stand yet
 * is zero. */
int app_local(struct app_channel *c, int fd, struct ip_endpoint *local);
int app_remote(struct app_channel *c, int fd, struct ip_endpoint *remote);

/* Asks. The connection's facts (as TCP_INFO), not of listeners. ENOTCONN: it is dead. */
int app_info(struct app_channel *c, int fd, struct sock_info *out);

#endif
