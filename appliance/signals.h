/*
 * Signals as events of the main thread. They are blocked in every thread and read from a signalfd,
 * so nothing ever runs in a handler.
 */
#ifndef APPLIANCE_SIGNALS_H
#define APPLIANCE_SIGNALS_H

#include "base/error.h"

/*
 * Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 for the caller and the threads it starts from now on,
 * ignores SIGPIPE (a reader of our log that goes away must not end the process). Returns the file
 * descriptor to wait on, or -1.
 */
int signals_open(struct error *e);
void signals_close(int fd);

/* The next signal's number, or 0 when none has come. */
int signals_next(int fd);

#endif
