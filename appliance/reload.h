/* From the configuration in force to the one in the file. */
#ifndef APPLIANCE_RELOAD_H
#define APPLIANCE_RELOAD_H

#include "appliance/cpus.h"
#include "appliance/firewall_rules.h"
#include "appliance/session_log/session_log.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"

/* Of the running process: what a reload changes, and what it holds a file against. */
struct reload_parts {
    struct workers *workers;
    struct snapshots *snapshots;
    struct firewall_rules *firewall;
    struct session_log *log;
    const struct cpus *available;
};

/*
 * Loads the file, checks it in full and puts it in force on all workers. When it is refused or
 * cannot be applied, nothing changes and -1 is returned with the cause. The log tells the outcome
 * in any case. What was found in the file is added to the report.
 */
int reload(const char *path, const struct reload_parts *parts, struct policy_report *report,
           struct error *e);

#endif
