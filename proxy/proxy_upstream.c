/*
 * The connection to the chosen server, from its SYN-ACK to where bytes can be passed on: the PROXY
 * header first, then TLS. Until then nothing of the client's was sent, so a server that fails in
 * its handshake is given up for the next one, as if it had not answered at all.
 *
 * Where the configuration names no server, the name that is asked for and verified is the client's.
 * A server that has no certificate for it is not at fault: were it ejected for that, a client could
 * have one server after the other left out by asking for a name that nobody has.
 *
 * The handshake shares queue, budget and bound with those of the clients (proxy_handshake.c).
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>

#include "proxy/proxy_header.h"

static size_t build_header(const struct session *s, uint8_t out[PROXY_HEADER_BUILD_MAX])
{
    struct proxy_header_facts facts = {.authority = proxy_session_name(s)};
    struct proxy_header_tls tls;
    struct tls_conn_info info;
    char cn[PROXY_HEADER_TEXT_MAX + 1];

    proxy_session_client(s, &facts.source);
    proxy_session_destination(s, &facts.destination);
    if (s->rule->backend->proxy_protocol == POLICY_PROXY_V1)
        return proxy_header_build_v1(&facts, out);
    if (s->client.tls != NULL) {
        tls_conn_info(s->client.tls, &info);
        tls_conn_common_name(s->client.tls, cn, sizeof cn);
        tls = (struct proxy_header_tls){.version = info.version,
                                        .cipher = info.cipher,
                                        .common_name = cn,
                                        .certificate = info.peer[0] != '\0',
                                        .verified = info.peer_verified,
                                        .resumed = info.resumed};
        facts.tls = &tls;
        facts.alpn = info.alpn;
    }
    return proxy_header_build_v2(&facts, out);
}

/* Returns false when packet buffers ran out. */
static bool send_header(struct session *s)
{
    uint8_t header[PROXY_HEADER_BUILD_MAX];
    size_t len;

    if (s->rule->backend->proxy_protocol == POLICY_PROXY_NONE)
        return true;
    len = build_header(s, header);
    return sock_write(s->backend.sock, header, (uint32_t)len) == len;
}

static bool client_names_the_server(const struct session *s)
{
    return s->rule->backend->tls->server_name == NULL && proxy_session_name(s)[0] != '\0';
}

/* `server_at_fault`: it is held against the server. */
static void handshake_failed(struct session *s, const char *why, bool server_at_fault)
{
    char text[PROXY_ERROR_MAX];

    COUNTER_INC(s->proxy->counters.backend_handshake_failed);
    snprintf(text, sizeof text, "TLS handshake: %s", why);
    proxy_queue_move(s, QUEUE_WAITING); /* out of those of handshakes */
    s->state = SESSION_CONNECTING;
    proxy_timeout_arm(s);
    s->backend.flags |= SIDE_FINISHED; /* an alert that says why is still sent */
    if (server_at_fault)
        proxy_backend_failed(s, text);
    else
        proxy_backend_declined(s, text);
}

/* The name to ask for and to verify, where the configuration gives none. */
static const char *expected_name(const struct session *s, char text[IP_TEXT_MAX])
{
    const char *name = proxy_session_name(s);
    struct ip_endpoint server;

    if (name[0] != '\0')
        return name;
    sock_remote(s->backend.sock, &server);
    return ip_format(&server.addr, text);
}

static void handshake_begin(struct session *s)
{
    struct tls_client *client = s->generation->snapshot->backend_tls[s->rule->backend->index];
    char text[IP_TEXT_MAX];

    if (!proxy_handshake_room(s->proxy)) {
        COUNTER_INC(s->proxy->counters.handshakes_refused);
        proxy_log_backend(s, "TLS handshake refused: %u are at work already",
                          s->proxy->max_handshakes);
        proxy_session_end(s, "too many TLS handshakes at once");
        return;
    }
    s->backend.tls = tls_conn_create_client(client, expected_name(s, text), &proxy_side_transport,
                                            s->backend.sock);
    if (s->backend.tls == NULL) {
        handshake_failed(s, "no memory", false);
        return;
    }
    s->state = SESSION_SERVER_HANDSHAKE;
    s->active = s->proxy->now;
    proxy_timeout_arm(s);
    proxy_handshake_queue(s);
}

void proxy_upstream_connected(struct session *s)
{
    if (!send_header(s))
        proxy_backend_declined(s, "no packet buffers for the PROXY header");
    else if (s->rule->backend->tls != NULL)
        handshake_begin(s);
    else
        proxy_relay_begin(s);
}

void proxy_upstream_handshake(struct session *s, enum tls_result result)
{
    if (result == TLS_DONE)
        proxy_relay_begin(s);
    else
        handshake_failed(s, tls_conn_error(s->backend.tls), !client_names_the_server(s));
}

void proxy_upstream_event(struct session *s, uint32_t what)
{
    enum sock_error error = sock_error(s->backend.sock);

    if ((what & EVENT_ERROR) == 0)
        proxy_handshake_queue(s);
    else
        handshake_failed(s, sock_error_text(error),
                         error != SOCK_RESET || !client_names_the_server(s));
}

void proxy_upstream_timeout(struct session *s)
{
    COUNTER_INC(s->proxy->counters.backend_timeout_handshake);
    handshake_failed(s, "not finished in time", true);
}
