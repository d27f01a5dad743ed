/*
 * One server of a backend as all workers see it, over reloads: whether it may be used, and what
 * each worker did with it.
 *
 * `health` is written by the one worker that checks the server, `ejected_until` by any worker,
 * `drained` by the main thread; each is one word that workers only read otherwise. Counters are
 * each worker's own line. appliance/ makes and frees them; a server keeps its struct as long as a
 * configuration names it under the same backend with the same endpoint.
 */
#ifndef PROXY_PROXY_SERVER_H
#define PROXY_PROXY_SERVER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/ip.h"

enum proxy_health { PROXY_HEALTH_UNCHECKED, PROXY_HEALTH_UP, PROXY_HEALTH_DOWN };

#define PROXY_SERVER_COUNTERS(X)                                        \
    X(server_sessions_opened, "sessions connected to the server")       \
    X(server_sessions_closed, "of those, ended")                        \
    X(server_connect_failed, "connections to the server that failed")   \
    X(server_resets, "sessions reset by the server")                    \
    X(server_bytes_sent, "payload bytes passed to the server")          \
    X(server_bytes_received, "payload bytes passed on from the server") \
    X(server_checks_failed, "health checks that failed")

COUNTER_STRUCT(proxy_server_counters, PROXY_SERVER_COUNTERS);
extern const struct counter_table proxy_server_counter_table;

struct proxy_server_worker {
    alignas(64) struct proxy_server_counters counters;
    uint32_t connections; /* now, connecting ones included */
    uint32_t failures;    /* of real connections, in a row */
};

struct proxy_server {
    _Atomic(uint64_t) ejected_until; /* clock_ns; in the past: not ejected */
    _Atomic(uint8_t) health;         /* enum proxy_health */
    _Atomic(bool) drained;           /* no new sessions */
    struct ip_endpoint endpoint;
    unsigned references;                 /* the main thread's */
    struct proxy_server_worker worker[]; /* by worker */
};

/* May a new session go there? */
static inline bool proxy_server_usable(const struct proxy_server *s, clock_ns now)
{
    return !atomic_load_explicit(&s->drained, memory_order_relaxed) &&
           atomic_load_explicit(&s->health, memory_order_relaxed) != PROXY_HEALTH_DOWN &&
           atomic_load_explicit(&s->ejected_until, memory_order_relaxed) <= now;
}

#endif
