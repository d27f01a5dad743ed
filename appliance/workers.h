/* All workers together, from the main thread. */
#ifndef APPLIANCE_WORKERS_H
#define APPLIANCE_WORKERS_H

#include "appliance/cpus.h"
#include "appliance/worker.h"

struct workers {
    unsigned count, running;
    struct worker *worker; /* array */
};

/* Starts one worker on each CPU and waits until all are built. On failure none is running. `config`
 * is what they have in common. */
int workers_start(struct workers *ws, const struct cpus *cpus, const struct worker_config *config,
                  struct error *e);

/* Resets what is left of the sessions and ends the threads. */
void workers_stop(struct workers *ws);

/* Frees what devices may have held on to: after the ports are closed. */
void workers_free(struct workers *ws);

/* Sends a message and waits for the answer. Returns 0, or -1 with the worker's error or its
 * silence. */
int workers_tell_one(struct worker *w, const struct mailbox_message *message, struct error *e);

/* Destroys what the workers have retired of former snapshots, and forgets the counts of rules that
 * are not in the current policy. */
void workers_collect(struct workers *ws, const struct policy *current);

/* Adds what all workers have sent of a class (its number) through a port. */
void workers_class_counters(const struct workers *ws, unsigned port, unsigned egress_class,
                            struct scheduler_class_counters *sum);

/* Adds the hits of all workers' rules. */
void workers_rule_hits(const struct workers *ws, struct rule_hits *out);

/* Stops accepting; sessions that are left at `deadline` are cut. */
int workers_drain(struct workers *ws, clock_ns deadline, struct error *e);

/* Sessions, and connections that are neither listening nor in TIME_WAIT. */
uint32_t workers_sessions(const struct workers *ws);
uint32_t workers_connections(const struct workers *ws);

/* Has every configured address been tried out by all workers (RFC 4862, 5.4)? Those that another
 * station has as well. */
bool workers_addresses_settled(const struct workers *ws);

#endif
