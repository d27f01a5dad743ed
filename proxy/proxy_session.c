/*
 * A session: one client connection and what becomes of it.
 *
 *   state             has              waits for                  leaves to
 *   CLIENT_HEADER     client           the whole PROXY header     HELLO, CONNECTING
 *   HELLO             client           the whole ClientHello      HANDSHAKE, CONNECTING, CLOSING
 *   HANDSHAKE         client           client bytes, its turn     CONNECTING, CLOSING
 *   CONNECTING        client, backend  the server's SYN-ACK       SERVER_HANDSHAKE, RELAY,
 *                                                                 itself (next server)
 *   SERVER_HANDSHAKE  client, backend  server bytes, its turn     RELAY, CONNECTING (next server)
 *   RELAY             client, backend  bytes or room              CLOSING, end
 *   CLOSING           client           the client's FIN           end
 *
 * Every state leads to the end on a client's reset and on its timeout, which for SERVER_HANDSHAKE
 * is one of the server's. CLIENT_HEADER is for peers that the listener trusts to tell of others.
 * HELLO is skipped where the policy decides on a splice without the ClientHello, so servers that
 * speak first work. A server is not connected to before the client's handshake is complete: half a
 * handshake costs the backends nothing.
 *
 * No payload is kept here. What cannot be passed on stays in the receive queue it came in, the TCP
 * window closes, and the peer waits: peeked ClientHello bytes (a splice then passes them on
 * untouched), ciphertext that the server has no room for, plaintext whose record the client has no
 * room for. The exceptions are inside OpenSSL: a record of which only a part was passed on, and one
 * that it could not write in whole.
 *
 * How streams end. Each direction ends by itself: the end of stream of one peer (close_notify or,
 * without TLS, FIN) is passed to the other after the last byte, and the session goes on
 * half-closed. One rule covers every other end: a side sees an orderly end of its stream only if
 * the peer's end of stream was passed to it; otherwise it sees a RST. So a truncated transfer never
 * looks complete:
 *   - a client's FIN without close_notify (RFC 8446, 6.1) resets the server's connection, and that
 *     of a server to which we speak TLS the client's;
 *   - a server's reset, a timeout or the end of a drain resets the client's, without close_notify;
 *   - no server answers: RST, with TLS as without; an orderly end would be an empty answer.
 * A server that answers early and closes while the client still sends (a refused upload) resets us
 * once its answer is complete. Then the answer must survive: the client's stream ends in order, and
 * what the client still sends is read and dropped for a while, because a RST in answer to it would
 * destroy the bytes that the client has not read yet (CLOSING, as for alerts).
 */
#include "proxy/proxy_internal.h"

static uint64_t *session_id(const struct session *s)
{
    return &s->proxy->ids[pool_index(&s->proxy->sessions, s)];
}

static void session_init(struct session *s, struct proxy_listener *l, struct sock *client)
{
    struct proxy *p = l->proxy;

    s->proxy = p;
    *session_id(s) = ++p->next_id;
    s->generation = p->current;
    s->generation->snapshot->sessions++;
    s->listener = l->config;
    s->client.sock = client;
    s->opened = s->active = p->now;
    s->timer.fire = proxy_timeout_fire;
    proxy_queue_add(s, QUEUE_WAITING);
    COUNTER_INC(p->counters.sessions_opened);
}

static bool session_allowed(struct proxy *p, struct session *s, struct sock *client)
{
    struct packet_label label = sock_label(client);
    struct ip_endpoint peer;

    if (p->hooks.opened == NULL)
        return true;
    sock_remote(client, &peer);
    return p->hooks.opened(p->hooks.ctx, &label, &peer.addr, &s->limit_handle);
}

static void session_refuse(struct proxy_listener *l, struct sock *client, const char *why)
{
    proxy_log_refused(l->proxy, l->config, client, why);
    sock_abort(client);
}

void proxy_session_open(struct proxy_listener *l, struct sock *client)
{
    struct proxy *p = l->proxy;
    struct session *s = pool_get(&p->sessions);

    if (s == NULL) {
        COUNTER_INC(p->counters.sessions_refused);
        session_refuse(l, client, "all sessions of the worker are in use");
        return;
    }
    if (!session_allowed(p, s, client)) {
        COUNTER_INC(p->counters.sessions_limited);
        pool_put(&p->sessions, s);
        session_refuse(l, client, "over the firewall's limit of connections");
        return;
    }
    session_init(s, l, client);
    sock_user_set(client, s);
    if (proxy_client_header_due(s))
        proxy_client_header_begin(s);
    else
        proxy_hello_begin(s);
}

struct session_extra *proxy_session_extra(struct session *s)
{
    if (s->extra == NULL)
        s->extra = pool_get(&s->proxy->extras);
    assert(s->extra != NULL);
    return s->extra;
}

void proxy_session_client(const struct session *s, struct ip_endpoint *out)
{
    if (s->extra != NULL && s->extra->proxied)
        *out = s->extra->source;
    else
        sock_remote(s->client.sock, out);
}

void proxy_session_destination(const struct session *s, struct ip_endpoint *out)
{
    if (s->extra != NULL && s->extra->proxied)
        *out = s->extra->destination;
    else
        sock_local(s->client.sock, out);
}

const char *proxy_session_name(const struct session *s)
{
    return s->extra != NULL && s->extra->name[0] != '\0' ? s->extra->name : s->name;
}

void proxy_session_rule(struct session *s, const struct policy_rule *rule)
{
    uint64_t *hits = s->generation->snapshot->rule_hits;

    s->rule = rule;
    if (rule != NULL && hits != NULL)
        COUNTER_INC(hits[rule->index]);
    proxy_class_apply(s);
}

void proxy_session_end(struct session *s, const char *why)
{
    struct proxy *p = s->proxy;

    if (s->state != SESSION_CLOSING) /* the record of those was made when they began to close */
        proxy_record_end(s, why);
    wheel_cancel(&p->wheel, &s->timer);
    proxy_queue_remove(s);
    proxy_backend_release(s);
    proxy_side_close(&s->backend);
    proxy_side_close(&s->client);
    s->generation->snapshot->sessions--;
    if (p->hooks.closed != NULL)
        p->hooks.closed(p->hooks.ctx, s->limit_handle);
    COUNTER_INC(p->counters.sessions_closed);
    if (s->extra != NULL)
        pool_put(&p->extras, s->extra);
    *session_id(s) = 0;
    pool_put(&p->sessions, s);
}

void proxy_session_end_all(struct proxy *p, const char *why)
{
    struct session *s;

    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        while ((s = TAILQ_FIRST(&p->queue[i])) != NULL)
            proxy_session_end(s, why);
    }
}

static void session_discard(struct session *s)
{
    struct sock *k = s->client.sock;

    sock_skip(k, sock_readable(k));
    if (sock_eof(k))
        proxy_session_end(s, "closed");
}

void proxy_session_linger(struct session *s, const char *why)
{
    proxy_record_end(s, why);
    proxy_backend_release(s);
    proxy_side_close(&s->backend);
    proxy_side_tls_drop(&s->client);
    proxy_side_finish(&s->client);
    s->state = SESSION_CLOSING;
    s->active = s->proxy->now;
    proxy_queue_move(s, QUEUE_WAITING);
    proxy_timeout_arm(s);
    session_discard(s);
}

static void client_error(struct session *s)
{
    enum sock_error error = sock_error(s->client.sock);

    if (error == SOCK_RESET)
        COUNTER_INC(s->proxy->counters.client_resets);
    if (s->state == SESSION_HANDSHAKE)
        proxy_handshake_lost(s);
    proxy_session_end(s, error == SOCK_RESET ? "client reset" : "client vanished");
}

static void client_event(struct session *s, uint32_t what)
{
    switch ((enum session_state)s->state) {
    case SESSION_CLIENT_HEADER:
        proxy_client_header_read(s);
        break;
    case SESSION_HELLO:
        proxy_hello_read(s);
        break;
    case SESSION_HANDSHAKE:
        proxy_handshake_queue(s);
        break;
    case SESSION_CONNECTING:
    case SESSION_SERVER_HANDSHAKE:
        break;
    case SESSION_RELAY:
        proxy_relay_client_event(s, what);
        break;
    case SESSION_CLOSING:
        session_discard(s);
        break;
    }
}

static void backend_event(struct session *s, uint32_t what)
{
    if (s->state == SESSION_SERVER_HANDSHAKE)
        proxy_upstream_event(s, what);
    else if (s->state != SESSION_CONNECTING)
        proxy_relay_backend_event(s, what);
    else if ((what & EVENT_ERROR) != 0)
        proxy_backend_failed(s, sock_error_text(sock_error(s->backend.sock)));
    else if ((what & EVENT_CONNECTED) != 0)
        proxy_upstream_connected(s);
}

void proxy_session_event(struct session *s, const struct event *ev)
{
    if (ev->sock == s->backend.sock)
        backend_event(s, ev->what);
    else if ((ev->what & EVENT_ERROR) != 0)
        client_error(s);
    else
        client_event(s, ev->what);
}
