/*
 * The control socket: a Unix stream socket on which local programs ask questions and give commands.
 *
 * A request is one line of JSON, {"command": "NAME", ...}, and is answered by one line: {"ok":
 * true, "result": ...} or {"ok": false, "error": "..."}. A connection may carry any number of them,
 * one after the other. What cannot be understood is answered with an error and counted; where the
 * end of a request cannot be found any more, the connection is closed after that.
 *
 * Nothing here waits: one descriptor tells when there is work (control_fd()), and control_run()
 * does a bounded piece of it. How many clients there are, how large a request is and how long it
 * may take is bounded. Who may connect is decided by the file's owner, group and mode.
 */
#ifndef APPLIANCE_CONTROL_CONTROL_H
#define APPLIANCE_CONTROL_CONTROL_H

#include <jansson.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/error.h"

#define CONTROL_CLIENTS_MAX 64
#define CONTROL_REQUEST_MAX (1024 * 1024)    /* bytes of a request's line */
#define CONTROL_IDLE        (60 * CLOCK_SEC) /* between two requests */
#define CONTROL_PATIENCE    (10 * CLOCK_SEC) /* for the rest of a request; for a reply to be read */

#define CONTROL_COUNTERS(X)                                                           \
    X(control_connections, "connections to the control socket")                       \
    X(control_requests, "requests on the control socket that were understood")        \
    X(control_malformed, "requests on the control socket that were not understood")   \
    X(control_timeouts, "connections to the control socket closed for their silence") \
    X(control_evicted, "idle connections to the control socket closed for newer ones")

COUNTER_STRUCT(control_counters, CONTROL_COUNTERS);
extern const struct counter_table control_counter_table;

/* Answers a request: returns a reply made by control_reply_ok() or control_reply_error(), or NULL
 * when memory is out. Called by control_run(). */
typedef json_t *control_handler(void *ctx, const char *command, json_t *request);

struct control_config {
    const char *path;  /* copied */
    const char *group; /* owner group of the socket; NULL: the process's */
    unsigned mode;     /* permissions of the socket */
    control_handler *handler;
    void *ctx;
};

struct control;

/* Returns NULL with the cause. A socket that a process left behind is replaced; one that is
 * answered is not, nor is any other file. */
struct control *control_open(const struct control_config *config, struct error *e);

/* Closes every connection and removes the socket. */
void control_close(struct control *c);

/* An epoll descriptor: readable when control_run() has something to do. */
int control_fd(const struct control *c);

/* Does what is due now for one client. */
void control_run(struct control *c, clock_ns now);

/* Closes connections whose time is over; call about once a second. */
void control_expire(struct control *c, clock_ns now);

const struct control_counters *control_counters(const struct control *c);

#endif
