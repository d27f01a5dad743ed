/* How the daemon is looked at and commanded from outside, as the configuration has it: the control
 * socket, metrics over HTTP, and what the service manager is told. All of it is served by the main
 * thread. */
#ifndef APPLIANCE_OPERATIONS_H
#define APPLIANCE_OPERATIONS_H

#include "appliance/command/command.h"
#include "appliance/control/control.h"
#include "appliance/loop.h"
#include "appliance/metrics/metrics_http.h"
#include "base/error.h"
#include "policy/policy.h"

struct operations {
    const struct command_context *context;
    struct captures captures;
    struct control *control;      /* NULL: none is configured */
    struct metrics_http *metrics; /* NULL: none are configured */
};

/* Opens what the policy asks for. `context` outlives it. Returns 0, or -1 with the cause and its
 * place in the file; then operations_close() has to be called, too. */
int operations_open(struct operations *o, const struct policy *policy,
                    struct command_context *context, struct loop *loop, struct error *e);
void operations_close(struct operations *o);

/* Does a bounded piece of the work that the loop tells of. */
void operations_run(struct operations *o, enum loop_event event, clock_ns now);

/* What is due from time to time; call about once a second. */
void operations_tick(struct operations *o, clock_ns now);

#endif
