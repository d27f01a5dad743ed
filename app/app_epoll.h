/*
 * Readiness of many descriptors, with epoll(7)'s words, constants and struct epoll_event:
 *
 *   EPOLLIN      bytes, the end of the stream or an error to read; a connection to accept
 *   EPOLLOUT     the connection stands, and half of the send ring is free
 *   EPOLLRDHUP   the peer has sent its FIN
 *   EPOLLHUP     both directions have ended, or the connection is dead
 *   EPOLLERR     the connection is dead: app_error() says why
 *   EPOLLET      once for each change, with all that is true then; without it, as long as it is
 *                true. As with epoll(7): work until EAGAIN before waiting again
 *   EPOLLONESHOT not again until app_epoll_ctl(EPOLL_CTL_MOD)
 *
 * EPOLLERR and EPOLLHUP come unasked. A descriptor is in one set at a time. Ready descriptors come
 * in turn, so that a busy one does not hide the others.
 */
#ifndef APP_APP_EPOLL_H
#define APP_APP_EPOLL_H

#include <sys/epoll.h>

#include "base/clock.h"

struct app_channel;
struct app_epoll;

/* NULL: no memory (errno). A set belongs to its channel and its thread. */
struct app_epoll *app_epoll_create(struct app_channel *c);

/* Its descriptors stay open. Before app_channel_detach(). */
void app_epoll_destroy(struct app_epoll *e);

/* EPOLL_CTL_ADD, _MOD, _DEL. Returns 0, or -1 with errno: EBADF; EEXIST, in a set already; ENOENT,
 * not in this set; EINVAL. `event` is not looked at for EPOLL_CTL_DEL. */
int app_epoll_ctl(struct app_epoll *e, int op, int fd, const struct epoll_event *event);

/* Waits for up to `timeout` (0: does not wait; CLOCK_NEVER: no bound) and returns how many events
 * were written to out[max]; 0 when the time is over; -1 with EINTR when a signal came first. */
int app_epoll_wait(struct app_epoll *e, struct epoll_event *out, int max, clock_ns timeout);

#endif
