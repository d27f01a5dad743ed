/*
 * A worker's view of a snapshot: what its proxy wants, with TLS servers in the worker's own library
 * context. Making and destroying those takes up to a millisecond a certificate, so in a running
 * worker neither is done on its thread: rollout.c makes it, and when the proxy releases it, the
 * worker puts it on a list of retired ones, which the main thread destroys.
 */
#ifndef APPLIANCE_WORKER_SNAPSHOT_H
#define APPLIANCE_WORKER_SNAPSHOT_H

#include "appliance/snapshot.h"
#include "base/error.h"
#include "proxy/proxy.h"

struct worker_snapshot {
    struct proxy_snapshot proxy; /* what proxy_apply() gets */
    struct snapshot *shared;     /* a reference */
    struct worker_retired *retired;
    struct worker_snapshot *next; /* on that list */
};

/* Written by one worker, emptied by whoever collects. Zero-initialise it. */
struct worker_retired {
    _Atomic(struct worker_snapshot *) first;
};

/* `retired` is where it goes when the proxy releases it. */
struct worker_snapshot *worker_snapshot_create(struct snapshot *shared, struct tls_worker *tls,
                                               const uint8_t ticket_secret[TLS_TICKET_SECRET_LEN],
                                               struct worker_retired *retired, struct error *e);

/* For one that the proxy never took. */
void worker_snapshot_destroy(struct worker_snapshot *ws);

/* Destroys the retired ones. */
void worker_snapshot_collect(struct worker_retired *retired);

#endif
