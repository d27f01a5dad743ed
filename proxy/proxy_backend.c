/*
 * From a session to a server of its backend.
 *
 * The balancer names the first server. Until the connection stands, TLS included, nothing of the
 * client's stream was passed on, so a server that fails costs a retry and repeats nothing: the
 * session goes round the backend, to every server that may be used, once each. A PROXY header is
 * ours and no obstacle.
 *
 * Servers that are down or drained are not tried: checks find out sooner than clients do when one
 * is back, and each attempt could cost a client the connect timeout. When no server is left the
 * session ends at once, and the log says what is wrong with each. An ejection is a suspicion only:
 * a second way round takes in the ejected servers, save those that were ejected while this session
 * lives, since its own failure may have been the cause.
 *
 * session.server is set while the session has a connection to it, or opens one.
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>

static struct proxy_backend *backend_of(const struct session *s)
{
    return &s->generation->backends[s->rule->backend->index];
}

static struct proxy_server *server_at(const struct session *s, unsigned index)
{
    return s->generation->snapshot->servers[s->rule->backend->index][index];
}

static unsigned index_at(const struct session *s, unsigned step)
{
    return (s->server_first + step) % s->rule->backend->server_count;
}

static unsigned server_index(const struct session *s)
{
    return index_at(s, s->server_step);
}

/* ---- words ---- */

static const char *describe_server(const struct session *s, unsigned index)
{
    const struct proxy_server *server = server_at(s, index);
    const char *last_error = backend_of(s)->last_error[index];

    if (atomic_load_explicit(&server->drained, memory_order_relaxed))
        return "drained";
    if (atomic_load_explicit(&server->health, memory_order_relaxed) == PROXY_HEALTH_DOWN)
        return "down";
    return last_error[0] != '\0' ? last_error : "left out";
}

/* "10.0.0.11:8080: connection refused; 10.0.0.12:8080: down" */
static void describe_servers(const struct session *s, char *out, size_t size)
{
    const struct policy_backend *backend = s->rule->backend;
    char text[IP_TEXT_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < backend->server_count && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s: %s", i > 0 ? "; " : "",
                                ip_endpoint_format(&backend->servers[i].endpoint, text),
                                describe_server(s, i));
}

static void backend_unavailable(struct session *s)
{
    bool tried = s->server_tries > 0;
    char servers[768];

    COUNTER_INC(s->proxy->counters.backend_unavailable);
    describe_servers(s, servers, sizeof servers);
    proxy_log_backend(s, "%s: %s", tried ? "no server answers" : "no server can be used", servers);
    proxy_session_end(s, tried ? "no server of the backend answers"
                               : "no server of the backend can be used");
}

/* ---- the way round ---- */

static unsigned steps(const struct session *s)
{
    return 2 * s->rule->backend->server_count;
}

static bool step_eligible(const struct session *s, unsigned step)
{
    const struct policy_backend *backend = s->rule->backend;
    const struct proxy_server *server = server_at(s, index_at(s, step));
    clock_ns now = s->proxy->now, until;

    if (step < backend->server_count)
        return proxy_balance_eligible(server, PROXY_BALANCE_USABLE, now);
    until = atomic_load_explicit(&server->ejected_until, memory_order_relaxed);
    return proxy_balance_eligible(server, PROXY_BALANCE_EJECTED, now) &&
           until < s->opened + backend->ejection.time;
}

/* The next step with a server that may be used; steps(s): none is left. */
static unsigned next_step(const struct session *s)
{
    unsigned step = s->server_step + 1u;

    while (step < steps(s) && !step_eligible(s, step))
        step++;
    return step;
}

static bool next_server(struct session *s)
{
    s->server_step = (uint16_t)next_step(s);
    return s->server_step < steps(s);
}

static bool first_server(struct session *s)
{
    struct proxy_balance *b = &backend_of(s)->balance;
    struct ip_endpoint client;
    int index;

    proxy_session_client(s, &client);
    s->server_tries = s->server_step = 0;
    index = proxy_balance_choose(b, &client.addr, PROXY_BALANCE_USABLE, s->proxy->now);
    if (index < 0) {
        s->server_step = (uint16_t)s->rule->backend->server_count;
        index = proxy_balance_choose(b, &client.addr, PROXY_BALANCE_EJECTED, s->proxy->now);
    }
    s->server_first = (uint16_t)index;
    return index >= 0;
}

/* Keeps the cause, and tells of it while there is another server to try. */
static void server_failed(struct session *s, const char *why)
{
    unsigned index = server_index(s);
    char text[IP_TEXT_MAX];

    COUNTER_INC(s->proxy->counters.backend_connect_failed);
    COUNTER_INC(server_at(s, index)->worker[s->proxy->worker].counters.server_connect_failed);
    snprintf(backend_of(s)->last_error[index], PROXY_ERROR_MAX, "%s", why);
    if (next_step(s) < steps(s))
        proxy_log_backend(s, "%s: %s; trying the next server",
                          ip_endpoint_format(&server_at(s, index)->endpoint, text), why);
}

/* Returns whether the connection is being opened. A failure here is one of our own, without port or
 * memory, or for want of a route: it is not held against the server. */
static bool try_server(struct session *s)
{
    const struct policy_backend *backend = s->rule->backend;
    struct proxy_server *server = server_at(s, server_index(s));
    struct proxy *p = s->proxy;
    struct sock_options options;
    enum sock_error error = SOCK_OK;

    proxy_listener_options(&options);
    options.connect_timeout = backend->connect_timeout;
    proxy_class_options(s, &options);
    s->server_tries++;
    COUNTER_INC(p->counters.backend_connects);
    if (s->server_tries > 1)
        COUNTER_INC(p->counters.backend_retries);
    s->server = server;
    s->backend.sock = sock_connect(p->stack, &server->endpoint, &options, s, &error);
    if (s->backend.sock != NULL) {
        COUNTER_INC(session_server(s)->connections);
        return true;
    }
    proxy_ejection_abandoned(s);
    s->server = NULL;
    server_failed(s, sock_error_text(error));
    return false;
}

static void try_servers(struct session *s, bool found)
{
    for (; found; found = next_server(s)) {
        /* Another session has the trial: the server is as good as ejected. */
        if (!proxy_ejection_admit(s, server_at(s, server_index(s))))
            continue;
        if (try_server(s))
            return;
    }
    backend_unavailable(s);
}

void proxy_backend_connect(struct session *s)
{
    assert(s->rule->backend->server_count > 0);
    s->state = SESSION_CONNECTING;
    proxy_timeout_arm(s);
    try_servers(s, first_server(s));
}

static void next_after_failure(struct session *s, const char *why)
{
    server_failed(s, why);
    proxy_backend_release(s);
    proxy_side_close(&s->backend);
    try_servers(s, next_server(s));
}

void proxy_backend_failed(struct session *s, const char *why)
{
    proxy_ejection_failed(s, why);
    next_after_failure(s, why);
}

void proxy_backend_declined(struct session *s, const char *why)
{
    next_after_failure(s, why);
}

/* ---- the connection's life ---- */

void proxy_backend_stands(struct session *s)
{
    s->server_flags |= SERVER_STOOD;
    COUNTER_INC(session_server(s)->counters.server_sessions_opened);
}

void proxy_backend_sent(struct session *s, uint32_t bytes)
{
    COUNTER_ADD(session_server(s)->counters.server_bytes_sent, bytes);
}

void proxy_backend_received(struct session *s, uint32_t bytes)
{
    COUNTER_ADD(session_server(s)->counters.server_bytes_received, bytes);
    if ((s->server_flags & SERVER_ANSWERED) == 0)
        proxy_ejection_answered(s);
    s->server_flags |= SERVER_ANSWERED;
}

/* How a connection that stood has come to its end. */
static void connection_ended(struct session *s)
{
    enum sock_error error = sock_error(s->backend.sock);

    COUNTER_INC(session_server(s)->counters.server_sessions_closed);
    if (error == SOCK_RESET)
        COUNTER_INC(session_server(s)->counters.server_resets);
    if (error != SOCK_OK && (s->server_flags & SERVER_ANSWERED) == 0)
        proxy_ejection_failed(s, sock_error_text(error));
}

void proxy_backend_release(struct session *s)
{
    if (s->server == NULL)
        return;
    if ((s->server_flags & SERVER_STOOD) != 0)
        connection_ended(s);
    proxy_ejection_abandoned(s);
    COUNTER_ADD(session_server(s)->connections, UINT32_MAX); /* one less */
    s->server_flags = 0;
    s->server = NULL;
}
