/*
 * Connecting to a server of a backend: round-robin, by worker. Each session begins with the server
 * whose turn it is and goes on to the next until one answers; each server is tried once. Nothing of
 * the client's stream was passed on by then, so a retry repeats nothing.
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>

static struct proxy_backend *backend_of(const struct session *s)
{
    return &s->generation->backends[s->rule->backend->index];
}

static unsigned server_index(const struct session *s)
{
    return (s->server_first + s->server_tries - 1u) % s->rule->backend->server_count;
}

/* "10.0.0.11:8080: connection refused; 10.0.0.12:8080: timed out" */
static void describe_servers(const struct session *s, char *out, size_t size)
{
    const struct policy_backend *backend = s->rule->backend;
    char text[IP_TEXT_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < backend->server_count && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s: %s", i > 0 ? "; " : "",
                                ip_endpoint_format(&backend->servers[i].endpoint, text),
                                backend_of(s)->last_error[i]);
}

static void backend_unavailable(struct session *s)
{
    char servers[768];

    COUNTER_INC(s->proxy->counters.backend_unavailable);
    describe_servers(s, servers, sizeof servers);
    proxy_log_backend(s, "no server answers: %s", servers);
    proxy_session_end(s, "no server of the backend answers");
}

/* Keeps the cause, and tells of it while there is another server to try. */
static void server_failed(struct session *s, const char *why)
{
    const struct policy_backend *backend = s->rule->backend;
    unsigned index = server_index(s);
    char text[IP_TEXT_MAX];

    COUNTER_INC(s->proxy->counters.backend_connect_failed);
    snprintf(backend_of(s)->last_error[index], PROXY_ERROR_MAX, "%s", why);
    if (s->server_tries < backend->server_count)
        proxy_log_backend(s, "%s: %s; trying the next server",
                          ip_endpoint_format(&backend->servers[index].endpoint, text), why);
}

static void try_servers(struct session *s)
{
    const struct policy_backend *backend = s->rule->backend;
    struct proxy *p = s->proxy;
    struct sock_options options;
    enum sock_error error;

    proxy_listener_options(&options);
    options.connect_timeout = backend->connect_timeout;
    proxy_class_options(s, &options);
    while (s->server_tries < backend->server_count) {
        s->server_tries++;
        COUNTER_INC(p->counters.backend_connects);
        if (s->server_tries > 1)
            COUNTER_INC(p->counters.backend_retries);
        error = SOCK_OK;
        s->backend.sock = sock_connect(p->stack, &backend->servers[server_index(s)].endpoint,
                                       &options, s, &error);
        if (s->backend.sock != NULL)
            return;
        server_failed(s, sock_error_text(error));
    }
    backend_unavailable(s);
}

void proxy_backend_connect(struct session *s)
{
    struct proxy_backend *b = backend_of(s);

    assert(s->rule->backend->server_count > 0);
    s->state = SESSION_CONNECTING;
    proxy_timeout_arm(s);
    s->server_first = (uint16_t)b->next;
    s->server_tries = 0;
    b->next = (b->next + 1) % s->rule->backend->server_count;
    try_servers(s);
}

void proxy_backend_failed(struct session *s, const char *why)
{
    server_failed(s, why);
    proxy_side_close(&s->backend);
    try_servers(s);
}
