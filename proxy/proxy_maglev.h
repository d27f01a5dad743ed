/*
 * Choosing a server by the client's address, so that a client comes back to the server it had
 * (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4).
 *
 * A table depends on the servers' endpoints and weights alone, not on their order, the worker, the
 * process or the machine: several machines with one configuration send a client to the same server.
 * It is immutable and read by all workers.
 */
#ifndef PROXY_PROXY_MAGLEV_H
#define PROXY_PROXY_MAGLEV_H

#include "base/error.h"
#include "base/ip.h"
#include "policy/policy.h"

/*
 * Slots, both prime. A server has slots in proportion to its weight to within two; the larger table
 * is taken where the smaller one would give weight 1 fewer than 100.
 */
#define PROXY_MAGLEV_SLOTS       65537u
#define PROXY_MAGLEV_SLOTS_LARGE 655373u

struct proxy_maglev;

/* Takes up to some tens of milliseconds: not for a worker's thread. Returns NULL when memory is
 * out. */
struct proxy_maglev *proxy_maglev_create(const struct policy_backend *backend, struct error *e);
void proxy_maglev_free(struct proxy_maglev *m);

/* The position of the server in the slot. */
unsigned proxy_maglev_server(const struct proxy_maglev *m, uint32_t slot);
uint32_t proxy_maglev_size(const struct proxy_maglev *m);

/*
 * The slots to look at for a client, one after the other: where the first one's server cannot be
 * used, the next one's is taken, and so on. So the clients of a server that is down spread over all
 * others and come back to it afterwards, and no other client moves.
 */
struct proxy_maglev_probe {
    uint32_t slot, step;
};

void proxy_maglev_probe_first(const struct proxy_maglev *m, const struct ip_addr *client,
                              struct proxy_maglev_probe *out);
void proxy_maglev_probe_next(const struct proxy_maglev *m, struct proxy_maglev_probe *probe);

#endif
