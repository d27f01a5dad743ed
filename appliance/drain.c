/*
 * Theory of operation: the proxy closes its listeners and ends the sessions that are left at the
 * deadline. A session that is gone may still have bytes in its connection's send queue or a FIN
 * that is not acknowledged, so connections are waited for as well, all but those in TIME_WAIT.
 */
#include "appliance/drain.h"

#include "base/log.h"

#define DRAIN_GRACE (1 * CLOCK_SEC) /* after the deadline: for the resets of what was cut */

void drain_begin(struct drain *d, struct workers *workers, clock_ns now, clock_ns limit)
{
    struct error e = {0};

    d->active = true;
    d->deadline = now + limit;
    if (workers_drain(workers, d->deadline, &e) < 0)
        log_error("sluice", "draining: %s", e.text);
    /* Said when it is true: whoever reads it may count on being refused. */
    log_info("sluice", "draining: no new connections, %u session%s may finish within %u s",
             workers_sessions(workers), workers_sessions(workers) == 1 ? "" : "s",
             (unsigned)(limit / CLOCK_SEC));
}

bool drain_done(const struct drain *d, const struct workers *workers, clock_ns now)
{
    uint32_t sessions = workers_sessions(workers), connections = workers_connections(workers);

    if (sessions == 0 && connections == 0) {
        log_info("sluice", "drained: every connection has ended");
        return true;
    }
    if (now < d->deadline + DRAIN_GRACE)
        return false;
    log_warn("sluice", "the drain time is over: %u session%s, %u connection%s left", sessions,
             sessions == 1 ? "" : "s", connections, connections == 1 ? "" : "s");
    return true;
}
