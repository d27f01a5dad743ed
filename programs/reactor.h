/*
 * One program, two ways to run it: the reactor calls the program's functions when a stream
 * (a TCP connection) can go on, either inside each stack thread over sockets (reactor_inside.c), or
 * in a thread beside each over descriptors (reactor_beside.c). What a program sees is the same;
 * each of its threads has its own reactor, state and streams, and shares nothing.
 */
#ifndef PROGRAMS_REACTOR_H
#define PROGRAMS_REACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "programs/options.h"

struct reactor;
struct stream;

/*
 * ready() is called when a stream has something to read, its end or a failure included, or can be
 * written again after stream_write() took less than it was given; once for each change, so work
 * until EAGAIN. It may close its own stream, no other. round() is called at the end of each batch
 * and at the time it returned last, at the latest (CLOCK_NEVER: no need).
 */
struct reactor_program {
    void *ctx;
    int (*start)(void *ctx, struct reactor *r, unsigned thread, void **state, struct error *e);
    /* Sets the stream's user pointer and does no more; false: it is not wanted. */
    bool (*accepted)(void *state, struct stream *s);
    void (*ready)(void *state, struct stream *s);
    clock_ns (*round)(void *state, clock_ns now);
    void (*stop)(void *state);
};

/* Runs until SIGINT, SIGTERM, or until each thread has said reactor_done(). `streams` is how many a
 * thread may have at a time. Returns 0, or -1 when it could not start, which it has told. */
int reactor_run(const struct options *o, const struct reactor_program *program, unsigned streams);

/* This thread of the program has nothing more to do. */
void reactor_done(struct reactor *r);

/* Is the program told to end? */
bool reactor_stopping(const struct reactor *r);

int reactor_listen(struct reactor *r, const struct ip_endpoint *local, uint32_t backlog,
                   struct error *e);

/* Returns a stream, to be closed whatever comes of it; NULL: errno. */
struct stream *reactor_connect(struct reactor *r, const struct ip_endpoint *remote, void *user);

void stream_user_set(struct stream *s, void *user);
void *stream_user(const struct stream *s);

/* As read(2) and write(2) on a non-blocking socket: -1 with EAGAIN, or with what ended it. */
ssize_t stream_read(struct stream *s, void *out, size_t len);
ssize_t stream_write(struct stream *s, const void *data, size_t len);

/* Has an active open completed? */
bool stream_connected(const struct stream *s);
void stream_shutdown(struct stream *s);
void stream_close(struct stream *s); /* what was written is still sent */

#endif
