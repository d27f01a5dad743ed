/*
 * The record of a session, made from what there is of it: taken while its sockets and its TLS are
 * still held, since their facts go with them.
 */
#include "proxy/proxy_internal.h"

#include <string.h>

static const char *const states[] = {
    [SESSION_CLIENT_HEADER] = "hello",
    [SESSION_HELLO] = "hello",
    [SESSION_HANDSHAKE] = "handshake",
    [SESSION_CONNECTING] = "connecting",
    [SESSION_SERVER_HANDSHAKE] = "connecting",
    [SESSION_RELAY] = "relay",
    [SESSION_CLOSING] = "closing",
};
static_assert(sizeof states / sizeof states[0] == SESSION_CLOSING + 1, "a name for each state");

static const char *const actions[] = {
    [POLICY_TERMINATE] = "terminate",
    [POLICY_SPLICE] = "splice",
    [POLICY_REJECT] = "reject",
};

/* What does not fit is cut; `out` is zeroed. */
static void set(char *out, size_t size, const char *text)
{
    if (text != NULL)
        memcpy(out, text, strnlen(text, size - 1));
}

#define SET(field, text) set((field), sizeof(field), (text))

static void fill_tls(const struct tls_conn *c, struct proxy_record_tls *out)
{
    struct tls_conn_info info;

    tls_conn_info(c, &info);
    out->used = true;
    out->resumed = info.resumed;
    out->peer_verified = info.peer_verified;
    out->ocsp_stapled = info.ocsp_stapled;
    SET(out->version, info.version);
    SET(out->cipher, info.cipher);
    SET(out->group, info.group);
    SET(out->certificate, info.certificate);
    SET(out->alpn, info.alpn);
    SET(out->peer, info.peer);
}

/* `established`: its handshake is complete. */
static void fill_side(const struct proxy_side *side, bool established,
                      struct proxy_record_side *out)
{
    if (side->sock == NULL)
        return;
    out->used = true;
    sock_remote(side->sock, &out->remote);
    sock_local(side->sock, &out->local);
    sock_info(side->sock, &out->tcp);
    if (side->tls != NULL && established)
        fill_tls(side->tls, &out->tls);
}

static void fill_policy(const struct session *s, struct proxy_record *out)
{
    const struct policy_class *c = proxy_class_of(s);

    SET(out->listener, s->listener->name);
    if (c != NULL)
        SET(out->egress_class, c->name);
    out->action = "";
    if (s->rule == NULL)
        return;
    out->action = actions[s->rule->action];
    SET(out->rule, s->rule->name);
    if (s->rule->backend != NULL)
        SET(out->backend, s->rule->backend->name);
}

void proxy_record_fill(const struct session *s, struct proxy_record *out)
{
    *out = (struct proxy_record){
        .id = s->proxy->ids[pool_index(&s->proxy->sessions, s)],
        .state = states[s->state],
        .opened = s->opened,
        .hello = s->at_hello * CLOCK_US,
        .handshake = s->at_handshake * CLOCK_US,
        .connect = s->at_connect * CLOCK_US,
        .first_byte = s->at_first_byte * CLOCK_US,
        .from_client = s->from_client,
        .from_backend = s->from_backend,
        .tries = s->server_tries < UINT8_MAX ? (uint8_t)s->server_tries : UINT8_MAX,
    };
    fill_policy(s, out);
    SET(out->sni, proxy_session_name(s));
    proxy_session_client(s, &out->client);
    fill_side(&s->client, s->at_handshake != 0, &out->client_side);
    fill_side(&s->backend, s->at_connect != 0, &out->backend_side);
}

void proxy_record_end(const struct session *s, const char *why)
{
    const struct proxy_hooks *hooks = &s->proxy->hooks;
    struct proxy_record record;

    if (hooks->ended == NULL)
        return;
    proxy_record_fill(s, &record);
    record.state = "ended";
    record.ended = s->proxy->now;
    SET(record.reason, why);
    hooks->ended(hooks->ctx, &record);
}
