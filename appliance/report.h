/*
 * The counters and gauges of all workers, as text: a line "counters: N workers", then one
 * "worker N NAME VALUE" a line, then "firewall rule NAME packets P bytes B" for each rule of the
 * firewall and "firewall default packets P bytes B", summed over the workers, then "server BACKEND
 * ADDRESS:PORT STATE" for each server, whose counters are "worker N BACKEND.ADDRESS:PORT.NAME
 * VALUE", then "counters: end". Zeros are printed as well, so that a reader can tell a counter that
 * never moved from one that does not exist.
 */
#ifndef APPLIANCE_REPORT_H
#define APPLIANCE_REPORT_H

#include <stdio.h>

#include "appliance/ports.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"

/* To standard error; `current` is the snapshot in force. */
void report_print(const struct workers *workers, const struct ports *ports,
                  const struct snapshot *current);

/* The lines of the firewall's rules; `policy` is that of the snapshot in force. */
void report_firewall(FILE *out, const struct workers *workers, const struct policy *policy);

/* The lines of all servers of a snapshot. */
void report_servers(FILE *out, const struct snapshot *s, clock_ns now);

/* "worker N PREFIX.NAME VALUE" for each counter of a table; `prefix` NULL: without one. */
void report_table(FILE *out, unsigned worker, const char *prefix, const struct counter_table *table,
                  const void *counters);

#endif
