/*
 * A session: one client connection and what becomes of it.
 *
 *   state       has                        waits for                 leaves to
 *   HELLO       client                     the whole ClientHello     HANDSHAKE, CONNECTING, CLOSING
 *   HANDSHAKE   client, tls                client bytes, its turn    CONNECTING, CLOSING
 *   CONNECTING  client, backend, (tls)     the server's SYN-ACK      RELAY, itself (next server)
 *   RELAY       client, backend, (tls)     bytes or room             CLOSING, end
 *   CLOSING     client                     the client's FIN          end
 *
 * Every state leads to the end on a client's reset and on its timeout. HELLO is skipped where the
 * policy decides on a splice without the ClientHello, so servers that speak first work. A server is
 * not connected to before the handshake is complete: half a handshake costs the backends nothing.
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
 *   - a client's FIN without close_notify (RFC 8446, 6.1) resets the server's connection;
 *   - a server's reset, a timeout or the end of a drain resets the client's, without close_notify;
 *   - no server answers: RST, with TLS as without; an orderly end would be an empty answer.
 * A server that answers early and closes while the client still sends (a refused upload) resets us
 * once its answer is complete. Then the answer must survive: the client's stream ends in order, and
 * what the client still sends is read and dropped for a while, because a RST in answer to it would
 * destroy the bytes that the client has not read yet (CLOSING, as for alerts).
 */
#include "proxy/proxy_internal.h"

static struct session *session_create(struct proxy_listener *l, struct sock *client)
{
    struct proxy *p = l->proxy;
    struct session *s = pool_get(&p->sessions);

    if (s == NULL)
        return NULL;
    s->proxy = p;
    s->generation = p->current;
    s->generation->snapshot->sessions++;
    s->listener = l->config;
    s->client.sock = client;
    s->opened = s->active = p->now;
    s->timer.fire = proxy_timeout_fire;
    proxy_queue_add(s, QUEUE_WAITING);
    COUNTER_INC(p->counters.sessions_opened);
    return s;
}

void proxy_session_open(struct proxy_listener *l, struct sock *client)
{
    struct session *s = session_create(l, client);

    if (s == NULL) {
        COUNTER_INC(l->proxy->counters.sessions_refused);
        proxy_log_refused(l->proxy, l->config, client);
        sock_abort(client);
        return;
    }
    sock_user_set(client, s);
    proxy_hello_begin(s);
}

void proxy_session_end(struct session *s, const char *why)
{
    struct proxy *p = s->proxy;

    if (s->state != SESSION_CLOSING) /* the line of those was written when they began to close */
        proxy_log_end(s, why);
    wheel_cancel(&p->wheel, &s->timer);
    proxy_queue_remove(s);
    proxy_side_close(&s->backend);
    proxy_side_close(&s->client);
    s->generation->snapshot->sessions--;
    COUNTER_INC(p->counters.sessions_closed);
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
    proxy_log_end(s, why);
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
    proxy_session_end(s, error == SOCK_RESET ? "client reset" : "client vanished");
}

static void client_event(struct session *s, uint32_t what)
{
    switch ((enum session_state)s->state) {
    case SESSION_HELLO:
        proxy_hello_read(s);
        break;
    case SESSION_HANDSHAKE:
        proxy_handshake_queue(s);
        break;
    case SESSION_CONNECTING:
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
    if (s->state != SESSION_CONNECTING)
        proxy_relay_backend_event(s, what);
    else if ((what & EVENT_ERROR) != 0)
        proxy_backend_failed(s, sock_error_text(sock_error(s->backend.sock)));
    else if ((what & EVENT_CONNECTED) != 0)
        proxy_relay_begin(s);
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
