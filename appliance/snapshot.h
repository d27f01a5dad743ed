/*
 * One generation of the configuration: the policy and its certificates, checked, immutable, read by
 * all workers at once.
 *
 * References: the main thread holds one while the snapshot is current, each worker one from the
 * time it prepares the snapshot until its proxy has ended the last session under it. Workers only
 * count down; the main thread frees (snapshots_collect()), so that no worker spends a round on
 * that.
 */
#ifndef APPLIANCE_SNAPSHOT_H
#define APPLIANCE_SNAPSHOT_H

#include <stdatomic.h>
#include <time.h>

#include "appliance/classes.h"
#include "appliance/cpus.h"
#include "appliance/servers.h"
#include "appliance/trust.h"
#include "policy/policy.h"
#include "tls/tls.h"

struct snapshot {
    struct policy *policy;
    struct tls_cert_file **certificates; /* by position in policy->certificates */
    struct trust trust;
    bool shared_tickets; /* policy->tickets names a file, and this is from it */
    uint8_t ticket_secret[TLS_TICKET_SECRET_LEN];
    struct classes *classes;        /* from snapshot_classes() on */
    struct servers *registry;       /* from servers_attach() on, as are the next two */
    struct proxy_server ***servers; /* by policy_backend.index, then as policy_backend.servers */
    struct proxy_maglev **maglev;   /* by policy_backend.index; NULL without source hash */
    atomic_uint references;
    struct snapshot *next; /* the main thread's list of living snapshots */
};

/*
 * Loads a file completely: the policy's own checks, the CPUs it names, the memory it takes, every
 * certificate and what else TLS needs. All findings are added to the report. Returns a snapshot
 * with one reference, or NULL when there was an error.
 */
struct snapshot *snapshot_load(const char *path, const struct cpus *available, time_t now,
                               struct policy_report *report);

/* Numbers its egress classes, as `former` had them where it is not NULL, and makes the shapers.
 * Before a worker gets to see it. */
int snapshot_classes(struct snapshot *s, const struct snapshot *former, clock_ns now,
                     struct error *e);

void snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* any thread; never frees */

/* The main thread's book-keeping. Zero-initialise it. */
struct snapshots {
    struct snapshot *current; /* in force on all workers; a reference */
    struct snapshot *living;  /* all that were loaded and are not freed yet */
    struct servers servers;   /* of all of them */
};

/* Takes a new snapshot into the books; its reference stays the caller's. */
void snapshots_add(struct snapshots *all, struct snapshot *s);

/* Takes over the caller's reference to one of the books and gives up that to the former one. `s`
 * may be NULL: none is in force. */
void snapshots_replace(struct snapshots *all, struct snapshot *s);

/* Frees those that nobody refers to any more. */
void snapshots_collect(struct snapshots *all);

#endif
