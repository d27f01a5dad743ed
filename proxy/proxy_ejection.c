/*
 * Passive ejection: a server whose connections fail again and again is left out for a while,
 * whatever its health checks say, and then put to the trial.
 *
 * A failure is a connection that was not accepted in time, whose TLS did not come about, or that
 * was reset before the first byte of an answer; any byte of an answer ends the row. Each worker
 * counts by itself, since a common count would be a cache line that all of them write to; the
 * ejection holds for all.
 *
 * server->ejected_until is the whole state: 0, not ejected; in the future, left out until then; in
 * the past, to be put to the trial. The worker that moves it from the past into the future has the
 * trial, so there is one at a time in the process. An answer sets it to 0. A trial that tells
 * nothing, because its client went away, leaves the next session to try; one that hangs runs out
 * like an ejection.
 *
 * The last server that can be used is never ejected: a bad server is better than none.
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>

static clock_ns ejected_until(const struct proxy_server *server)
{
    return atomic_load_explicit(&server->ejected_until, memory_order_relaxed);
}

static void eject_until(struct proxy_server *server, clock_ns until)
{
    atomic_store_explicit(&server->ejected_until, until, memory_order_relaxed);
}

bool proxy_ejection_admit(struct session *s, struct proxy_server *server)
{
    const struct policy_ejection *config = &s->rule->backend->ejection;
    uint64_t until = ejected_until(server);

    if (until == 0 || until > s->proxy->now || !config->enabled)
        return true;
    if (!atomic_compare_exchange_strong_explicit(&server->ejected_until, &until,
                                                 s->proxy->now + config->time, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    s->server_flags |= SERVER_TRIAL;
    return true;
}

static bool others_usable(const struct session *s)
{
    const struct policy_backend *backend = s->rule->backend;
    struct proxy_server *const *servers = s->generation->snapshot->servers[backend->index];

    for (unsigned i = 0; i < backend->server_count; i++) {
        if (servers[i] != s->server && proxy_server_usable(servers[i], s->proxy->now))
            return true;
    }
    return false;
}

static const char *name_of(const struct session *s, char text[IP_TEXT_MAX])
{
    return ip_endpoint_format(&s->server->endpoint, text);
}

static unsigned long long seconds(clock_ns time)
{
    return (unsigned long long)((time + CLOCK_SEC - 1) / CLOCK_SEC);
}

static void trial_failed(struct session *s, const char *why)
{
    const struct policy_backend *backend = s->rule->backend;
    char text[IP_TEXT_MAX];

    s->server_flags &= (uint8_t)~SERVER_TRIAL;
    eject_until(s->server, s->proxy->now + backend->ejection.time);
    log_warn("backend", "%s: %s is left out for %llu s more: %s", backend->name, name_of(s, text),
             seconds(backend->ejection.time), why);
}

static void eject(struct session *s, const char *why)
{
    const struct policy_backend *backend = s->rule->backend;
    char text[IP_TEXT_MAX];

    COUNTER_INC(s->proxy->counters.servers_ejected);
    session_server(s)->failures = 0;
    eject_until(s->server, s->proxy->now + backend->ejection.time);
    log_warn("backend", "%s: %s is left out for %llu s: %s (%u connections in a row failed)",
             backend->name, name_of(s, text), seconds(backend->ejection.time), why,
             backend->ejection.failures);
}

void proxy_ejection_failed(struct session *s, const char *why)
{
    const struct policy_backend *backend = s->rule->backend;
    char text[IP_TEXT_MAX];

    if (!backend->ejection.enabled)
        return;
    if ((s->server_flags & SERVER_TRIAL) != 0) {
        trial_failed(s, why);
        return;
    }
    if (ejected_until(s->server) > s->proxy->now)
        return;
    if (++session_server(s)->failures < backend->ejection.failures)
        return;
    if (others_usable(s))
        eject(s, why);
    else if (session_server(s)->failures == backend->ejection.failures)
        log_warn("backend",
                 "%s: %s stays in use as the last server, though %u connections in a row failed: "
                 "%s",
                 backend->name, name_of(s, text), backend->ejection.failures, why);
}

void proxy_ejection_answered(struct session *s)
{
    char text[IP_TEXT_MAX];

    session_server(s)->failures = 0;
    if ((s->server_flags & SERVER_TRIAL) == 0)
        return;
    s->server_flags &= (uint8_t)~SERVER_TRIAL;
    eject_until(s->server, 0);
    log_info("backend", "%s: %s answers and is used again", s->rule->backend->name,
             name_of(s, text));
}

void proxy_ejection_abandoned(struct session *s)
{
    if ((s->server_flags & SERVER_TRIAL) != 0)
        eject_until(s->server, s->proxy->now);
    s->server_flags &= (uint8_t)~SERVER_TRIAL;
}
