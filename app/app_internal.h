/*
 * Channels and descriptors, for the files of this folder.
 *
 * Ownership of a descriptor: the program's thread takes it off the free list and gives it to the
 * stack thread with its first request, or as a spare for connections to come. It is the program's
 * again when EV_RELEASED was taken: the last that the stack thread does with it.
 */
#ifndef APP_APP_INTERNAL_H
#define APP_APP_INTERNAL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "app/app.h"
#include "app/app_bell.h"
#include "app/app_channel.h"
#include "app/app_epoll.h"
#include "app/app_fifo.h"
#include "app/app_socket.h"
#include "stack/event.h"

struct rte_ring;

#define APP_SPARES_MAX 256 /* descriptors kept ready for connections to accept */

/* What the stack thread tells of a descriptor. */
#define EV_ACCEPTED  0x01 /* a spare has become a connection */
#define EV_CONNECTED 0x02
#define EV_DATA      0x04
#define EV_EOF       0x08 /* after the last byte of the peer's stream */
#define EV_ROOM      0x10 /* in the send ring, after it was starved */
#define EV_ERROR     0x20 /* `failure` is set */
#define EV_REPLY     0x40 /* to a request that asks; `failure`, `info` */
#define EV_RELEASED  0x80

/* What the program asks for. */
#define RQ_LISTEN   0x01 /* asks */
#define RQ_CONNECT  0x02
#define RQ_DATA     0x04 /* in the send ring */
#define RQ_ROOM     0x08 /* in the receive ring, after it was starved */
#define RQ_SHUTDOWN 0x10
#define RQ_CLOSE    0x20
#define RQ_ABORT    0x40
#define RQ_INFO     0x80 /* asks */

enum desc_kind {
    DESC_FREE,
    DESC_SPARE, /* for a connection to come, or one that app_accept() has not taken yet */
    DESC_LISTENER,
    DESC_CONNECTION,
    DESC_CLOSED /* by the program, not yet released */
};

TAILQ_HEAD(app_descs, app_desc);

struct app_desc {
    _Atomic uint32_t events, requests;
    struct app_fifo in, out;

    /* Written by one side before a message, read by the other after it. */
    struct ip_endpoint local, remote;
    struct sock_options options;
    uint32_t backlog;
    uint32_t listener; /* index: of an accepted connection */
    int failure;       /* errno value */
    struct sock_info *info;

    /* The program's. */
    alignas(64) enum desc_kind kind;
    bool connected, eof, shut, replied;
    int error;
    struct app_epoll *epoll; /* NULL: in none */
    uint32_t interest;
    epoll_data_t data;
    bool queued; /* on epoll->ready */
    TAILQ_ENTRY(app_desc) ready_link;
    struct app_descs accepted; /* listener: not yet taken by app_accept() */
    TAILQ_ENTRY(app_desc) accepted_link;

    /* The stack thread's. */
    alignas(64) struct app_channel *channel;
    struct sock *sock; /* NULL: none (any more) */
    bool listening;
    bool shutdown; /* a FIN follows the send ring */
    bool closing;  /* given up by the program; goes when the send ring is empty */
    LIST_ENTRY(app_desc) listener_link;
    clock_ns moved_at; /* while closing: when the peer last took something */
    TAILQ_ENTRY(app_desc) closing_link;
};

struct app_channel {
    struct app_desc *desc;
    uint32_t count; /* of descriptors */
    uint8_t *bytes; /* of all their rings */
    size_t bytes_size;
    struct rte_ring *requests, *spares; /* of uint32_t: to the stack thread */
    struct rte_ring *events;            /* from it */
    struct app_bell *stack_bell;
    struct app_bell bell;
    clock_ns spin;
    struct app_thread *thread; /* NULL in tests */

    /* The program's. */
    alignas(64) uint32_t *free; /* a stack of indices */
    uint32_t free_count;
    uint32_t spares_out; /* given, and not yet a connection */
    uint32_t listeners;
    uint64_t taken; /* events so far */
    bool asked;     /* something since the last ring of stack_bell */

    /* The stack thread's. */
    alignas(64) struct stack *stack;
    clock_ns now; /* of the round */
    LIST_HEAD(, app_desc) listening;
    struct app_descs closing; /* the one that has waited longest first */
    uint32_t live;            /* descriptors with a socket */
    bool told;                /* something since the last ring of `bell` */
    bool no_spares;           /* connections wait for one */
    clock_ns linger_until;

    /* Both. */
    alignas(64) atomic_bool detaching; /* by the program; `linger` is set */
    atomic_bool gone;                  /* by the stack thread: it has forgotten the channel */
    clock_ns linger;
};

/* ---- app_channel.c: the program's side of a channel ---- */

struct app_channel *app_channel_create(const struct app_channel_config *config,
                                       struct app_bell *stack_bell, struct error *e);
void app_channel_destroy(struct app_channel *c);

uint32_t app_channel_index(const struct app_channel *c, const struct app_desc *d);

/* A descriptor off the free list, in its first state; NULL: none. */
struct app_desc *app_channel_get(struct app_channel *c, enum desc_kind kind);
void app_channel_put(struct app_channel *c, struct app_desc *d);

void app_channel_request(struct app_channel *c, struct app_desc *d, uint32_t what);

/* Requests, and waits for the reply; returns `failure`. */
int app_channel_ask(struct app_channel *c, struct app_desc *d, uint32_t what);

/* Takes what the stack thread told. Returns how many descriptors it was about. */
uint32_t app_channel_poll(struct app_channel *c);

/* Sleeps until there are events; 0, or -1 with EINTR. Returns at once when there are some. */
int app_channel_sleep(struct app_channel *c, clock_ns timeout);

/* ---- app_socket.c ---- */

/* EPOLL* that hold now; where EPOLLOUT does not, an event follows when it does. */
uint32_t app_socket_ready(struct app_desc *d);
struct app_desc *app_socket_find(struct app_channel *c, int fd); /* NULL: EBADF */

/* ---- app_epoll.c ---- */

/* Something of the descriptor has changed. */
void app_epoll_notify(struct app_desc *d);
void app_epoll_forget(struct app_desc *d);

/* ---- app_serve.c: the stack thread's side of a channel ---- */

/* How long a connection may stay that the program has closed and whose peer takes nothing. */
#define SERVE_CLOSING_TIME (60 * CLOCK_SEC)

/* Does what was asked for since the last time; returns how many requests there were. */
uint32_t app_serve_requests(struct app_channel *c, clock_ns now);
void app_serve_event(const struct event *e);
void app_serve_wake(struct app_channel *c);

/* Are there requests? May be asked before going to sleep. */
bool app_serve_pending(const struct app_channel *c);

/* ---- app_thread.c ---- */

/* A channel that the thread serves from now on; -1 when it has as many as it can. */
int app_thread_attach(struct app_thread *t, struct app_channel *c);
struct app_bell *app_thread_bell(struct app_thread *t);

/* ---- app.c ---- */

struct app_thread *app_thread_of(struct app *a, unsigned thread);

#endif
