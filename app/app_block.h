/*
 * Calls that wait, for programs that are written one thread a connection. Thin over
 * app/app_socket.h: the descriptors are the channel's.
 *
 * Any number of threads may use one struct app_block at a time, also on one descriptor; from
 * app_block_create() to app_block_destroy() the channel is used through it only. A lock guards the
 * channel on the program's side, never the stack thread. One of the threads that wait sleeps on the
 * channel, the others on conditions of their own.
 *
 * Timeouts are in nanoseconds, CLOCK_NEVER for none. A call that waited too long returns -1 with
 * ETIMEDOUT, one that was interrupted -1 with EINTR, otherwise errno is as in app/app_socket.h.
 */
#ifndef APP_APP_BLOCK_H
#define APP_APP_BLOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/ip.h"
#include "stack/socket.h"

struct app_block;
struct app_channel;

/* NULL: no memory (errno). */
struct app_block *app_block_create(struct app_channel *c);
void app_block_destroy(struct app_block *b); /* no call is under way any more */

int app_block_listen(struct app_block *b, const struct ip_endpoint *local, uint32_t backlog,
                     const struct sock_options *options);

/* Waits for a connection; its peer in *remote where that is not NULL. */
int app_block_accept(struct app_block *b, int fd, struct ip_endpoint *remote, clock_ns timeout);

/* Waits until the connection stands. After a failure there is no descriptor. */
int app_block_connect(struct app_block *b, const struct ip_endpoint *remote,
                      const struct sock_options *options, clock_ns timeout);

/* Waits for at least one byte; 0 at the end of the peer's stream. */
ssize_t app_block_read(struct app_block *b, int fd, void *out, size_t len, clock_ns timeout);

/* Waits until all is queued. Returns fewer than `len` when the time was over, or an error or an
 * interruption came, after some bytes were taken: the next call tells which. */
ssize_t app_block_write(struct app_block *b, int fd, const void *data, size_t len,
                        clock_ns timeout);

int app_block_shutdown(struct app_block *b, int fd);

/* Calls that wait for the descriptor end with EBADF. */
int app_block_close(struct app_block *b, int fd);

/* Ends all waiting, now and from now on, with EINTR. May be called by any thread, and from a signal
 * handler. */
void app_block_interrupt(struct app_block *b);

#endif
