/*
 * Lines for the operator. Those that a client or a server can cause are limited each second, with
 * the number of suppressed ones told by the next that passes. How each session ended is not told
 * here: its record is (proxy_record.c).
 */
#include "proxy/proxy_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_ 1024

static bool may_write(struct log_limit *limit, enum log_level level, clock_ns now)
{
    uint32_t suppressed = 0;

    if (!log_enabled(level) || !log_limit_pass(limit, now, &suppressed))
        return false;
    if (suppressed > 0)
        log_write(level, "session", "%u lines of this kind were left out", suppressed);
    return true;
}

/* "198.51.100.7:40112 -> https", or "198.51.100.7:40112 via 10.0.0.5:9731 -> https" */
static const char *describe(const struct session *s, char *out, size_t size)
{
    bool proxied = s->extra != NULL && s->extra->proxied;
    char client[IP_TEXT_MAX], peer[IP_TEXT_MAX] = "";
    struct ip_endpoint at;

    proxy_session_client(s, &at);
    ip_endpoint_format(&at, client);
    sock_remote(s->client.sock, &at);
    if (proxied)
        ip_endpoint_format(&at, peer);
    snprintf(out, size, "%s%s%s -> %s", client, proxied ? " via " : "", peer, s->listener->name);
    return out;
}

void proxy_log_client(struct session *s, enum log_level level, const char *fmt, ...)
{
    char who[160], line[LINE_MAX_];
    va_list ap;

    if (!may_write(&s->proxy->client_lines, level, s->proxy->now))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    log_write(level, "session", "%s: %s", describe(s, who, sizeof who), line);
}

void proxy_log_backend(struct session *s, const char *fmt, ...)
{
    char who[160], line[LINE_MAX_];
    va_list ap;

    if (!may_write(&s->proxy->backend_lines, LOG_LEVEL_WARN, s->proxy->now))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    log_warn("backend", "%s: %s (for %s)", s->rule->backend->name, line,
             describe(s, who, sizeof who));
}

void proxy_log_refused(struct proxy *p, const struct policy_listener *l, struct sock *client,
                       const char *why)
{
    struct ip_endpoint peer;
    char text[IP_TEXT_MAX];

    if (!may_write(&p->client_lines, LOG_LEVEL_WARN, p->now))
        return;
    sock_remote(client, &peer);
    log_warn("session", "%s -> %s: refused by %s: %s", ip_endpoint_format(&peer, text), l->name,
             p->name, why);
}
