/* A worker's view of a snapshot: what its proxy wants, with TLS servers in the worker's own library
 * context. Made, used and destroyed on the worker's thread. */
#ifndef APPLIANCE_WORKER_SNAPSHOT_H
#define APPLIANCE_WORKER_SNAPSHOT_H

#include "appliance/snapshot.h"
#include "base/error.h"
#include "proxy/proxy.h"

struct worker_snapshot {
    struct proxy_snapshot proxy; /* hand it to proxy_apply(), which destroys all when it is done */
    struct snapshot *shared;     /* a reference */
};

struct worker_snapshot *worker_snapshot_create(struct snapshot *shared, struct tls_worker *tls,
                                               const uint8_t ticket_secret[TLS_TICKET_SECRET_LEN],
                                               struct error *e);

/* For one that the proxy never took. */
void worker_snapshot_destroy(struct worker_snapshot *ws);

#endif
