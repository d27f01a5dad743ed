/* Putting a snapshot in force on all running workers, or on none. */
#ifndef APPLIANCE_ROLLOUT_H
#define APPLIANCE_ROLLOUT_H

#include "appliance/snapshot.h"
#include "appliance/workers.h"
#include "base/error.h"

/*
 * What each worker needs of `next` is built first, beside the running workers; only when that is
 * complete is it applied to one worker after the other. Should one be unable to apply it, those
 * before it go back to `current`. Returns 0, or -1 with the cause; `current` is then in force.
 */
int rollout(struct workers *ws, struct snapshot *next, struct snapshot *current, struct error *e);

#endif
