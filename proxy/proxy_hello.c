/*
 * What the policy makes of a client: from accept() to the action of a rule.
 *
 * The ClientHello is only looked at; it stays in the receive queue, so that a splice passes it on
 * and a handshake reads it. tls_hello_parse() says how many bytes it needs at least, and nothing is
 * parsed again before they are there: a hello of single bytes costs no quadratic work.
 *
 * A stream that is no TLS has no server name. The rules that do not ask for one still apply, so a
 * port can carry TLS and something else; only a rule that terminates cannot be met. A broken or
 * oversized ClientHello is refused whatever the rules say: matched without its name, it would be a
 * way round the rules that have one.
 */
#include "proxy/proxy_internal.h"

#include <string.h>

/* `hello` is NULL where none was read. */
static enum policy_verdict session_match(const struct session *s, bool hello_known,
                                         const struct tls_hello *hello,
                                         const struct policy_rule **rule)
{
    struct policy_facts facts = {.listener = s->listener, .hello_known = hello_known};
    struct ip_endpoint client;

    if (hello != NULL) {
        facts.sni = hello->has_sni ? hello->sni : NULL;
        facts.alpn = hello->alpn;
        facts.alpn_len = hello->alpn_len;
        facts.versions = hello->versions;
        facts.version_count = hello->version_count;
    }
    proxy_session_client(s, &client);
    facts.source = client.addr;
    return policy_match(generation_policy(s->generation), &facts, rule);
}

static void splice_begin(struct session *s, const struct policy_rule *rule)
{
    proxy_session_rule(s, rule);
    COUNTER_INC(s->proxy->counters.sessions_spliced);
    proxy_backend_connect(s);
}

void proxy_hello_begin(struct session *s)
{
    const struct policy_rule *rule = NULL;
    enum policy_verdict verdict = session_match(s, false, NULL, &rule);

    if (verdict == POLICY_MATCHED && rule->action == POLICY_SPLICE) {
        splice_begin(s, rule);
    } else if (s->listener->tls != NULL || verdict == POLICY_NEED_HELLO) {
        /* A client that will be rejected on a TLS listener waits for it too: it gets an alert. */
        s->state = SESSION_HELLO;
        proxy_timeout_arm(s);
        proxy_hello_read(s);
    } else {
        proxy_session_rule(s, rule);
        COUNTER_INC(s->proxy->counters.sessions_rejected);
        proxy_session_end(s, rule != NULL ? "rejected by rule" : "no rule matches");
    }
}

static struct tls_server *session_tls_server(const struct session *s)
{
    struct tls_server **servers = s->generation->snapshot->tls;

    return servers != NULL ? servers[s->listener->index] : NULL;
}

static void hello_reject(struct session *s, const struct tls_hello *hello, bool by_rule)
{
    char offer[512];

    COUNTER_INC(s->proxy->counters.sessions_rejected);
    if (by_rule) {
        proxy_refuse_alert(s, TLS_ALERT_ACCESS_DENIED, "rejected by rule");
        return;
    }
    proxy_log_client(s, LOG_LEVEL_INFO, "no rule matches: client offers %s",
                     tls_hello_describe(hello, offer, sizeof offer));
    proxy_refuse_alert(s, hello->has_sni ? TLS_ALERT_UNRECOGNIZED_NAME : TLS_ALERT_ACCESS_DENIED,
                       "no rule matches");
}

static void hello_unknown_name(struct session *s, const struct tls_hello *hello)
{
    COUNTER_INC(s->proxy->counters.hello_unknown_name);
    if (hello->has_sni)
        proxy_log_client(s, LOG_LEVEL_INFO,
                         "no certificate of the listener is for the name \"%s\", and none is its "
                         "default",
                         hello->sni);
    else
        proxy_log_client(s, LOG_LEVEL_INFO,
                         "client sends no server name, and no certificate is the listener's "
                         "default");
    proxy_refuse_alert(s, TLS_ALERT_UNRECOGNIZED_NAME, "unknown server name");
}

static void hello_terminate(struct session *s, const struct tls_hello *hello)
{
    struct tls_server *server = session_tls_server(s);
    char text[512];
    const char *refusal;
    int cert;

    if (server == NULL || s->listener->tls == NULL) {
        proxy_log_client(s, LOG_LEVEL_ERROR,
                         "the rule at line %u terminates TLS, but the listener "
                         "has none",
                         s->rule->mark.line);
        proxy_refuse_alert(s, TLS_ALERT_INTERNAL_ERROR, "listener without TLS");
        return;
    }
    cert = tls_server_select(server, hello->has_sni ? hello->sni : NULL);
    if (cert < 0) {
        hello_unknown_name(s, hello);
        return;
    }
    refusal = tls_server_refusal(server, hello, text, sizeof text);
    if (refusal != NULL) {
        COUNTER_INC(s->proxy->counters.hello_refused);
        proxy_log_client(s, LOG_LEVEL_INFO, "handshake refused: %s", refusal);
        proxy_refuse_alert(s, tls_server_refusal_alert(server, hello), "offer refused");
        return;
    }
    proxy_handshake_begin(s, server, cert);
}

static void keep_name(struct session *s, const char *name)
{
    size_t size = strlen(name) + 1;

    memcpy(size <= sizeof s->name ? s->name : proxy_session_extra(s)->name, name, size);
}

static void hello_decide(struct session *s, const struct tls_hello *hello)
{
    const struct policy_rule *rule = NULL;

    session_mark(s, &s->at_hello);
    if (hello->has_sni)
        keep_name(s, hello->sni);
    if (session_match(s, true, hello, &rule) != POLICY_MATCHED) {
        hello_reject(s, hello, false);
        return;
    }
    proxy_session_rule(s, rule);
    switch (rule->action) {
    case POLICY_TERMINATE:
        hello_terminate(s, hello);
        break;
    case POLICY_SPLICE:
        COUNTER_INC(s->proxy->counters.sessions_spliced);
        proxy_backend_connect(s);
        break;
    case POLICY_REJECT:
        hello_reject(s, hello, true);
        break;
    }
}

static void hello_not_tls(struct session *s, const struct tls_hello *hello, uint32_t len)
{
    const struct policy_rule *rule = NULL;
    bool matched = session_match(s, true, NULL, &rule) == POLICY_MATCHED;

    if (matched && rule->action == POLICY_SPLICE) {
        splice_begin(s, rule);
        return;
    }
    proxy_session_rule(s, rule);
    if (matched && rule->action == POLICY_REJECT) {
        COUNTER_INC(s->proxy->counters.sessions_rejected);
        proxy_session_end(s, "rejected by rule");
        return;
    }
    COUNTER_INC(s->proxy->counters.hello_not_tls);
    if (!matched)
        COUNTER_INC(s->proxy->counters.sessions_rejected);
    proxy_log_client(s, LOG_LEVEL_INFO, "%s %s", hello->why,
                     s->listener->tls != NULL ? "on a TLS port"
                                              : "where every rule asks for a server name");
    if (proxy_refuse_is_http(s->proxy->scratch, len))
        proxy_refuse_plain_http(s);
    else
        proxy_session_end(s, "no TLS");
}

static void hello_broken(struct session *s, bool too_large, const char *why)
{
    struct proxy_counters *c = &s->proxy->counters;

    if (too_large)
        COUNTER_INC(c->hello_too_large);
    else
        COUNTER_INC(c->hello_malformed);
    proxy_log_client(s, LOG_LEVEL_INFO, "%s ClientHello: %s", too_large ? "oversized" : "broken",
                     why);
    proxy_refuse_alert(s, TLS_ALERT_DECODE_ERROR, "bad ClientHello");
}

/* Good so far. Waits for the rest, unless it cannot come. */
static void hello_wait(struct session *s, uint32_t len, size_t need)
{
    if (len >= TLS_HELLO_MAX || need > TLS_HELLO_MAX) {
        hello_broken(s, true, "over 16384 bytes");
        return;
    }
    s->hello_need = (uint16_t)need;
    if (sock_state(s->client.sock) == TCP_CLOSE_WAIT) {
        if (len > 0)
            proxy_log_client(s, LOG_LEVEL_INFO, "client closed in its ClientHello, after %u bytes",
                             len);
        proxy_session_end(s, "client closed in its ClientHello");
    }
}

void proxy_hello_read(struct session *s)
{
    uint8_t *scratch = s->proxy->scratch;
    uint32_t len = sock_readable(s->client.sock);
    struct tls_hello hello;
    size_t need = s->hello_need;

    if (len == 0 || len < need) {
        hello_wait(s, len, need);
        return;
    }
    len = sock_peek(s->client.sock, 0, scratch, TLS_HELLO_MAX);
    switch (tls_hello_parse(scratch, len, &hello, &need)) {
    case TLS_HELLO_OK:
        hello_decide(s, &hello);
        break;
    case TLS_HELLO_MORE:
        hello_wait(s, len, need);
        break;
    case TLS_HELLO_NOT_TLS:
        hello_not_tls(s, &hello, len);
        break;
    case TLS_HELLO_MALFORMED:
        hello_broken(s, false, hello.why);
        break;
    case TLS_HELLO_TOO_LARGE:
        hello_broken(s, true, hello.why);
        break;
    }
}
