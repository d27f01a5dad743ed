/*
 * Readiness. The stack collects what happened to each socket while it processed a burst; the owner
 * then takes the events one socket at a time. Events tell of changes (edge-triggered): after one,
 * work until the call in question says that there is no more.
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

#endif
