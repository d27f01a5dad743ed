/*
 * A worker's view of a snapshot: what its proxy wants, with TLS servers in the worker's own library
 * context. Making and destroying those takes up to a millisecond a certificate, so in a running
 * worker neither is done on its thread: rollout.c makes it, and when the proxy releases it, the
 * worker puts it on a list of retired ones, which the main thread destroys.
 */
#ifndef APPLIANCE_WORKER_SNAPSHOT_H
#define APPLIANCE_WORKER_SNAPSHOT_H

#include <sys/queue.h>

#include "appliance/rule_hits.h"
#include "appliance/snapshot.h"
#include "base/error.h"
#include "proxy/proxy.h"

struct worker_snapshot {
    struct proxy_snapshot proxy; /* what proxy_apply() gets */
    struct snapshot *shared;     /* a reference */
    struct worker_snapshots *owner;
    LIST_ENTRY(worker_snapshot) link; /* of owner->living */
    struct worker_snapshot *next;     /* of owner->retired */
};

/* Those of one worker. Zero-initialise it. */
struct worker_snapshots {
    _Atomic(struct worker_snapshot *) retired; /* written by the worker, emptied by who collects */
    /* The rest belongs to who makes and destroys them: the worker's thread until it is built, then
     * the main thread's side. */
    LIST_HEAD(, worker_snapshot) living;
    struct rule_hits hits; /* of those that are gone */
};

/* `owner` is whose it is, and where it is retired to when the proxy releases it. */
struct worker_snapshot *worker_snapshot_create(struct snapshot *shared, struct tls_worker *tls,
                                               const uint8_t ticket_secret[TLS_TICKET_SECRET_LEN],
                                               struct worker_snapshots *owner, struct error *e);

/* For one that the proxy never took. */
void worker_snapshot_destroy(struct worker_snapshot *ws);

/* Destroys the retired ones, and returns how many; what their rules counted is kept. */
unsigned worker_snapshot_collect(struct worker_snapshots *owner);

/* Adds the hits of all rules, of the snapshots that are gone as well. */
void worker_snapshot_rule_hits(const struct worker_snapshots *owner, struct rule_hits *out);

#endif
