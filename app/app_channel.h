/*
 * A channel joins one thread of the program to one stack thread. Neither waits for the other and
 * neither takes a lock: bytes go through a ring of bytes for each descriptor and direction,
 * requests and events through a DPDK ring each way with one producer and one consumer. A descriptor
 * is in each of those at most once, with all that there is to tell of it in one word, so that a
 * ring as long as the table of descriptors can never be full, and what happens to a descriptor
 * while the other side is busy is told in one go.
 *
 * Back-pressure: a receive ring that is full closes the connection's window, a send ring that is
 * full makes app_write() take less, descriptors that have run out leave connections in their
 * listener's backlog.
 *
 * A side that has nothing to do sleeps on an eventfd, which the other one writes only then. What a
 * program's thread asks for is seen by a stack thread that is awake in its next round; one that
 * sleeps is woken when the program waits (app_epoll_wait()) or calls app_channel_flush(), so that
 * a batch of requests costs one system call at most. Without either it is late by up to 1 ms.
 *
 * Thread rules: a channel and all its descriptors belong to one thread at a time, the one that
 * attached it or took it over with synchronisation of its own. Only app_channel_fd()'s descriptor
 * may be waited for elsewhere. app/app_block.h makes a channel usable by many threads.
 */
#ifndef APP_APP_CHANNEL_H
#define APP_APP_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

struct app;
struct app_channel;

#define APP_CHANNELS_MAX 16 /* of one stack thread */

/* Zero means the default named in the comment. */
struct app_channel_config {
    uint32_t descriptors;  /* 4,096, at most 1,048,576 */
    uint32_t receive_ring; /* bytes for each descriptor, a power of two from 4,096 on; 65,536. Pages
                              are touched as they are used: a descriptor that carries little at a
                              time uses little */
    uint32_t send_ring;    /* likewise */
    clock_ns spin;         /* how long app_epoll_wait() polls before it sleeps. Worthwhile where the
                              program's thread has a CPU of its own; 0: not at all */
};

/* Returns the channel, or NULL with the cause in *e: no memory, or the thread has all the channels
 * it can have, or runs code inside. `config` may be NULL. */
struct app_channel *app_channel_attach(struct app *a, unsigned thread,
                                       const struct app_channel_config *config, struct error *e);

/* Frees the channel. Descriptors that are open are reset; what closed ones have left to send may
 * take up to `linger`, and is then reset, too. Waits for it. */
void app_channel_detach(struct app_channel *c, clock_ns linger);

/* Wakes the stack thread if it sleeps and something was asked of it. */
void app_channel_flush(struct app_channel *c);

/*
 * For programs that wait with the kernel's epoll or poll for other things, too: the descriptor is
 * readable when the channel may have events. Before they wait they call app_channel_arm(); when it
 * returns false there are events already. Then app_epoll_wait() with a timeout of 0.
 */
int app_channel_fd(const struct app_channel *c);
bool app_channel_arm(struct app_channel *c);

#endif
