/*
 * Which server of a backend a new session goes to, by this worker's reckoning. One of these for
 * each backend, worker and generation of the configuration.
 */
#ifndef PROXY_PROXY_BALANCE_H
#define PROXY_PROXY_BALANCE_H

#include "base/clock.h"
#include "base/ip.h"
#include "policy/policy.h"
#include "proxy/proxy_maglev.h"
#include "proxy/proxy_server.h"

struct proxy_balance {
    const struct policy_backend *config;
    struct proxy_server *const *servers; /* as config->servers */
    const struct proxy_maglev *maglev;   /* of POLICY_SOURCE_HASH */
    unsigned worker;
    unsigned next;   /* least connections: where equals are looked for first */
    int32_t *credit; /* round-robin, by server; owned */
};

/* Which servers come into question. */
enum proxy_balance_level {
    PROXY_BALANCE_USABLE,
    PROXY_BALANCE_EJECTED, /* those that only an ejection keeps from being usable */
};

/*
 * `phase` differs between workers, so that they do not all begin with the same server. The rest is
 * kept by pointer. Returns 0, or -1 when memory is out.
 */
int proxy_balance_init(struct proxy_balance *b, const struct policy_backend *config,
                       struct proxy_server *const *servers, const struct proxy_maglev *maglev,
                       unsigned worker, unsigned phase);
void proxy_balance_fini(struct proxy_balance *b);

/* May a new session go to this server at this level? */
bool proxy_balance_eligible(const struct proxy_server *server, enum proxy_balance_level level,
                            clock_ns now);

/* Returns the position of the server whose turn it is, or -1 when none is eligible. */
int proxy_balance_choose(struct proxy_balance *b, const struct ip_addr *client,
                         enum proxy_balance_level level, clock_ns now);

#endif
