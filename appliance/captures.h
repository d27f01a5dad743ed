/* The capture that runs, if any, and what became of the last one. All of it is the main thread's.
 */
#ifndef APPLIANCE_CAPTURES_H
#define APPLIANCE_CAPTURES_H

#include <limits.h>
#include <stdint.h>

#include "appliance/capture/capture.h"
#include "appliance/workers.h"
#include "base/clock.h"
#include "base/error.h"

struct captures {
    struct capture *running; /* NULL: none */
    char file[NAME_MAX + 1]; /* of the running or the last one; empty: there was none */
    char directory[PATH_MAX];
    char comment[512];
    struct capture_state last; /* when none runs */
};

/*
 * Starts one; `only` is the one interface to capture, or -1 for all. What the configuration refers
 * to is copied, but for the interfaces' names, which outlive the capture. Returns 0, or -1 with the
 * cause: one runs already, or the file cannot be made.
 */
int captures_start(struct captures *cs, struct workers *workers, struct capture_config *config,
                   int only, struct error *e);

/* Ends the running one, if any, and closes its file. */
void captures_stop(struct captures *cs, struct workers *workers);

/* Lets go of one that has ended by itself; call about once a second. */
void captures_tick(struct captures *cs, struct workers *workers);

void captures_state(const struct captures *cs, struct capture_state *out);

#endif
