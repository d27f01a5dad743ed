/*
 * One timer a session. It is armed when a state begins, and when a half-close brings the deadline
 * nearer. Moving bytes only notes the time in s->active: a timer that fires early by that reckoning
 * goes back to sleep, so traffic costs no timer work at all.
 */
#include "proxy/proxy_internal.h"

static clock_ns session_deadline(const struct session *s)
{
    const struct policy_timeouts *t = &generation_policy(s->generation)->timeouts;

    switch ((enum session_state)s->state) {
    case SESSION_CLIENT_HEADER:
    case SESSION_HELLO:
        return s->opened + t->client_hello;
    case SESSION_HANDSHAKE:
    case SESSION_SERVER_HANDSHAKE:
        return s->active + t->handshake;
    case SESSION_CONNECTING:
        return CLOCK_NEVER; /* the stack bounds each attempt, there are as many as servers */
    case SESSION_RELAY:
        if (session_half_closed(s))
            return s->active + t->half_closed;
        return s->active + t->idle;
    case SESSION_CLOSING:
        return s->active + PROXY_LINGER;
    }
    return CLOCK_NEVER;
}

void proxy_timeout_arm(struct session *s)
{
    clock_ns deadline = session_deadline(s);

    if (deadline == CLOCK_NEVER)
        wheel_cancel(&s->proxy->wheel, &s->timer);
    else
        wheel_arm(&s->proxy->wheel, &s->timer, deadline);
}

static void hello_timeout(struct session *s)
{
    COUNTER_INC(s->proxy->counters.timeout_hello);
    /* A client that says nothing at all is a port probe or a health check: not worth a line. */
    if (sock_readable(s->client.sock) > 0)
        proxy_log_client(s, LOG_LEVEL_INFO, "no whole ClientHello within %llu s: %u bytes came",
                         (unsigned long long)((s->proxy->now - s->opened) / CLOCK_SEC),
                         sock_readable(s->client.sock));
    proxy_session_end(s, "no ClientHello in time");
}

static void handshake_timeout(struct session *s)
{
    COUNTER_INC(s->proxy->counters.timeout_handshake);
    proxy_log_client(s, LOG_LEVEL_INFO, "TLS handshake not finished within %llu s",
                     (unsigned long long)((s->proxy->now - s->active) / CLOCK_SEC));
    proxy_session_end(s, "TLS handshake not finished in time");
}

static void relay_timeout(struct session *s)
{
    struct proxy_counters *c = &s->proxy->counters;

    if (session_half_closed(s)) {
        COUNTER_INC(c->timeout_half_closed);
        proxy_session_end(s, (s->backend.flags & SIDE_FINISHED) != 0
                                 ? "server silent after the client had finished"
                                 : "client silent after the server had finished");
    } else {
        COUNTER_INC(c->timeout_idle);
        proxy_session_end(s, "idle");
    }
}

void proxy_timeout_fire(struct wheel_timer *timer, clock_ns now)
{
    struct session *s =
        (struct session *)(void *)((uint8_t *)timer - offsetof(struct session, timer));

    if (session_deadline(s) > now) {
        proxy_timeout_arm(s);
        return;
    }
    switch ((enum session_state)s->state) {
    case SESSION_CLIENT_HEADER:
        proxy_client_header_timeout(s);
        break;
    case SESSION_HELLO:
        hello_timeout(s);
        break;
    case SESSION_HANDSHAKE:
        handshake_timeout(s);
        break;
    case SESSION_SERVER_HANDSHAKE:
        proxy_upstream_timeout(s);
        break;
    case SESSION_RELAY:
        relay_timeout(s);
        break;
    case SESSION_CONNECTING:
    case SESSION_CLOSING:
        proxy_session_end(s, "client did not close");
        break;
    }
}
