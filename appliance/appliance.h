/* The running daemon: start in order, wait for signals, stop in reverse order. */
#ifndef APPLIANCE_APPLIANCE_H
#define APPLIANCE_APPLIANCE_H

/* Runs in the foreground until a signal ends it. Returns the exit status: 0, or 1 when it could not
 * start, which is logged. */
int appliance_run(const char *path);

#endif
