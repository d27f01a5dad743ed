/*
 * The commands of the control socket. Each is a function from a request to a reply, run by the main
 * thread between two events; none takes longer than a reload. Lists that may be long come a page at
 * a time: the reply's "next" is the request's "after" for the next page, and null at the end.
 */
#ifndef APPLIANCE_COMMAND_COMMAND_H
#define APPLIANCE_COMMAND_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#include "appliance/captures.h"
#include "appliance/firewall_rules.h"
#include "appliance/load.h"
#include "appliance/ports.h"
#include "appliance/session_log/session_log.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"
#include "base/clock.h"
#include "policy/policy_report.h"

/* How the configuration in the file was last taken. */
struct command_reload {
    time_t when; /* 0: never since the start */
    bool ok;
    struct error error;
};

/* What commands look at; all of it is the main thread's. */
struct command_context {
    const char *path; /* of the configuration */
    struct workers *workers;
    const struct ports *ports;
    const struct snapshots *snapshots;
    struct firewall_rules *firewall;
    struct captures *captures;
    const struct load *load;
    const struct session_log *session_log;
    const bool *draining;
    const struct command_reload *reloaded;
    clock_ns started; /* monotonic */
    time_t loaded;    /* when the configuration in force was taken */
    /* Reloads the file: 0, or -1 with the cause. */
    int (*reload)(void *owner, struct policy_report *report, struct error *e);
    void *owner;
};

/* A control_handler; ctx is the struct command_context. */
json_t *command_handle(void *ctx, const char *command, json_t *request);

#endif
