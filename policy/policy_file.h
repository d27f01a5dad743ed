/* Opening files that are named in the configuration, or are it. */
#ifndef POLICY_POLICY_FILE_H
#define POLICY_POLICY_FILE_H

#include "base/error.h"

/*
 * Opens a regular file to read. Never waits, as for the writer of a FIFO: whoever reloads would
 * wait with it. Returns a descriptor, or -1 with the cause, to follow the file's name.
 */
int policy_file_open(const char *path, struct error *e);

#endif
