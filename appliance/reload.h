/* SIGHUP: from the configuration in force to the one in the file. */
#ifndef APPLIANCE_RELOAD_H
#define APPLIANCE_RELOAD_H

#include "appliance/cpus.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"

/*
 * Loads the file, checks it in full and puts it in force on all workers. When it is refused or
 * cannot be applied, nothing changes, the log says why, and -1 is returned.
 */
int reload(const char *path, struct workers *workers, const struct cpus *available,
           struct snapshots *snapshots);

#endif
