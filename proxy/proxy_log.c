/*
 * Lines for the operator. Those that a client or a server can cause are limited each second, with
 * the number of suppressed ones told by the next that passes. How each session ended is a line of
 * level debug.
 */
#include "proxy/proxy_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* "198.51.100.7:40112 -> https" */
static const char *describe(struct sock *client, const struct policy_listener *l, char *out,
                            size_t size)
{
    struct ip_endpoint remote;
    char text[IP_TEXT_MAX];

    sock_remote(client, &remote);
    snprintf(out, size, "%s -> %s", ip_endpoint_format(&remote, text), l->name);
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
    log_write(level, "session", "%s: %s", describe(s->client.sock, s->listener, who, sizeof who),
              line);
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
             describe(s->client.sock, s->listener, who, sizeof who));
}

void proxy_log_refused(struct proxy *p, const struct policy_listener *l, struct sock *client)
{
    char who[160];

    if (may_write(&p->client_lines, LOG_LEVEL_WARN, p->now))
        log_warn("session", "%s: refused: all %u sessions of %s are in use",
                 describe(client, l, who, sizeof who), p->sessions.capacity, p->name);
}

static void describe_rule(const struct session *s, char *out, size_t size)
{
    static const char *const actions[] = {
        [POLICY_TERMINATE] = "terminate",
        [POLICY_SPLICE] = "splice",
        [POLICY_REJECT] = "reject",
    };
    char server[IP_TEXT_MAX] = "no server";
    struct ip_endpoint remote;

    out[0] = '\0';
    if (s->rule == NULL)
        return;
    if (s->backend.sock != NULL) {
        sock_remote(s->backend.sock, &remote);
        ip_endpoint_format(&remote, server);
    }
    snprintf(out, size, ", %s (line %u)%s%s%s%s", actions[s->rule->action], s->rule->mark.line,
             s->rule->backend != NULL ? " to " : "",
             s->rule->backend != NULL ? s->rule->backend->name : "",
             s->rule->backend != NULL ? " " : "", s->rule->backend != NULL ? server : "");
}

static void describe_tls(const struct session *s, char *out, size_t size)
{
    struct tls_conn_info info;

    out[0] = '\0';
    if (s->client.tls == NULL || s->state < SESSION_CONNECTING)
        return;
    tls_conn_info(s->client.tls, &info);
    snprintf(out, size, ", %s %s %s %s%s", info.version, info.cipher, info.group, info.certificate,
             info.resumed ? " resumed" : "");
}

void proxy_log_end(const struct session *s, const char *why)
{
    char who[160], rule[256], tls[192];
    clock_ns lived = s->proxy->now - s->opened;

    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    describe_rule(s, rule, sizeof rule);
    describe_tls(s, tls, sizeof tls);
    log_debug("session", "%s%s%s%s%s%s: %llu bytes up, %llu down in %llu.%03llu s: %s",
              describe(s->client.sock, s->listener, who, sizeof who),
              s->name[0] != '\0' ? ", " : "", s->name,
              strlen(s->name) == sizeof s->name - 1 ? "..." : "", rule, tls,
              (unsigned long long)s->from_client, (unsigned long long)s->from_backend,
              (unsigned long long)(lived / CLOCK_SEC),
              (unsigned long long)(lived % CLOCK_SEC / CLOCK_MS), why);
}
