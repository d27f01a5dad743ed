/*
 * Readiness. The stack collects what happened to each socket while it processed a burst; the owner
 * then takes the events, one for each socket however much happened to it.
 *
 * Events tell of changes (edge-triggered): after one, work until the call in question says that
 * there is no more; what is left is not told of again until more comes. READABLE: until
 * sock_readable() is 0, with sock_eof() for the end. WRITABLE comes only after sock_write() or
 * sock_writable() said that there is no room. ACCEPT: until sock_accept() returns NULL. Whoever
 * wants levels keeps a list of the sockets that it has not finished with: sock_readable() and
 * sock_writable() tell the present level at any time.
 */
#ifndef STACK_EVENT_H
#define STACK_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct stack;
struct sock;

#define EVENT_ACCEPT    0x01 /* a listener has connections to accept */
#define EVENT_CONNECTED 0x02 /* an active open completed; the socket is writable */
#define EVENT_READABLE  0x04 /* data came, or the peer's FIN: sock_readable(), sock_eof() */
#define EVENT_WRITABLE  0x08 /* room again after a write that was cut short */
#define EVENT_ERROR     0x10 /* the connection is dead: sock_error() says why */

struct event {
    struct sock *sock;
    void *user;    /* as set by sock_user_set() */
    uint32_t what; /* EVENT_* */
};

/* Takes the next event. A socket that is closed in the meantime has no events any more, so acting
 * on one event never leaves a dangling one. Returns false when there is none. */
bool event_next(struct stack *s, struct event *out);

/* The same for up to `max` at once; returns how many. Each is of another socket, so acting on one
 * leaves the others as they are unless it closes their sockets: who closes a socket other than the
 * event's own passes over its event in the rest of the batch, or takes events one by one. */
unsigned event_take(struct stack *s, struct event *out, unsigned max);

#endif
