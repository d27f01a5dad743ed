/* sluice --check: everything that can be found out about a configuration without starting. */
#ifndef APPLIANCE_CHECK_H
#define APPLIANCE_CHECK_H

/* Findings go to standard error, the summary of a valid file to standard output. Returns the exit
 * status: 0 when there was no error, else 1. */
int check_run(const char *path);

#endif
