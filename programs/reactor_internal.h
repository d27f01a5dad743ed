#ifndef PROGRAMS_REACTOR_INTERNAL_H
#define PROGRAMS_REACTOR_INTERNAL_H

#include <stdatomic.h>

#include "app/app_channel.h"
#include "app/app_epoll.h"
#include "base/pool.h"
#include "programs/reactor.h"
#include "stack/socket.h"

struct stream {
    struct reactor *reactor;
    struct sock *sock; /* inside */
    int fd;            /* beside */
    bool listener, connected;
    void *user;
};

/* What differs between the two ways. */
struct reactor_ops {
    int (*listen)(struct stream *s, const struct ip_endpoint *local, uint32_t backlog,
                  struct error *e);
    int (*connect)(struct stream *s, const struct ip_endpoint *remote);
    ssize_t (*read)(struct stream *s, void *out, size_t len);
    ssize_t (*write)(struct stream *s, const void *data, size_t len);
    void (*shutdown)(struct stream *s);
    void (*close)(struct stream *s);
};

/* What all threads of a run have in common. */
struct reactor_run {
    const struct options *options;
    const struct reactor_program *program;
    unsigned streams;
    struct app *app;        /* beside: for the threads to attach to */
    atomic_bool stop;       /* told by the main thread */
    atomic_uint unfinished; /* threads that have not said reactor_done() */
    int done_fd;            /* eventfd: none is left */
};

struct reactor {
    const struct reactor_ops *ops;
    struct reactor_run *run;
    struct pool streams;
    void *state; /* the program's */
    bool done;
    struct stack *stack;         /* inside */
    struct app_channel *channel; /* beside */
    struct app_epoll *epoll;
};

/* ---- reactor.c ---- */

int reactor_init(struct reactor *r, struct reactor_run *run, const struct reactor_ops *ops,
                 struct error *e);
void reactor_fini(struct reactor *r);
struct stream *reactor_stream(struct reactor *r); /* NULL: as many as there may be */
void reactor_stream_free(struct stream *s);

/* ---- reactor_inside.c ---- */

struct app_inside reactor_inside(struct reactor_run *run);

/* ---- reactor_beside.c ---- */

/* Starts a thread beside each stack thread. reactor_beside_join() ends and frees them; it takes
 * NULL. */
struct reactor_beside *reactor_beside_start(struct reactor_run *run, struct error *e);
void reactor_beside_join(struct reactor_beside *b);

#endif
