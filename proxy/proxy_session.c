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
 * room for. The one exception is inside OpenSSL, a record it could not write in whole.
 *
 * Sockets report changes, so a direction is pumped until it blocks on a call that promises an
 * event: a read that found nothing, a write cut short, sock_writable() at 0. A direction that used
 * up its quantum promises nothing; its session goes to the end of the ready queue.
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
    s->client = client;
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

/* An orderly end for a stream that is complete, else a RST. */
static void side_close(struct sock *k, bool complete)
{
    if (!complete) {
        sock_abort(k);
        return;
    }
    /* Unread bytes would turn the close into a RST; nobody will read them any more. */
    sock_skip(k, sock_readable(k));
    sock_close(k);
}

static void backend_drop(struct session *s)
{
    if (s->backend == NULL)
        return;
    side_close(s->backend, (s->flags & SESSION_REQUEST_DONE) != 0);
    s->backend = NULL;
}

static void tls_drop(struct session *s)
{
    if (s->tls != NULL)
        tls_conn_destroy(s->tls);
    s->tls = NULL;
}

void proxy_session_end(struct session *s, const char *why)
{
    struct proxy *p = s->proxy;

    if (s->state != SESSION_CLOSING) /* the line of those was written when they began to close */
        proxy_log_end(s, why);
    wheel_cancel(&p->wheel, &s->timer);
    proxy_queue_remove(s);
    tls_drop(s);
    backend_drop(s);
    side_close(s->client, (s->flags & SESSION_RESPONSE_DONE) != 0);
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
    sock_skip(s->client, sock_readable(s->client));
    if (sock_eof(s->client))
        proxy_session_end(s, "closed");
}

void proxy_session_linger(struct session *s, const char *why)
{
    proxy_log_end(s, why);
    tls_drop(s);
    backend_drop(s);
    sock_shutdown(s->client);
    s->flags |= SESSION_RESPONSE_DONE;
    s->state = SESSION_CLOSING;
    s->active = s->proxy->now;
    proxy_queue_move(s, QUEUE_WAITING);
    proxy_timeout_arm(s);
    session_discard(s);
}

static enum relay_result pump_request(struct session *s)
{
    if ((s->flags & (SESSION_REQUEST_DONE | SESSION_BACKEND_DEAD)) != 0)
        return RELAY_IDLE;
    return s->tls != NULL ? proxy_tls_request(s) : proxy_splice_request(s);
}

static enum relay_result pump_response(struct session *s)
{
    if ((s->flags & SESSION_RESPONSE_DONE) != 0)
        return RELAY_IDLE;
    return s->tls != NULL ? proxy_tls_response(s) : proxy_splice_response(s);
}

static bool relay_failed(enum relay_result r)
{
    return r != RELAY_IDLE && r != RELAY_MORE;
}

static void relay_end_failed(struct session *s, enum relay_result r)
{
    if (r == RELAY_TRUNCATED) {
        /* Many clients close so once they have their answer: no line of its own. */
        proxy_session_end(s, "client closed without close_notify");
    } else if (r == RELAY_NO_BUFFER) {
        proxy_log_client(s, LOG_LEVEL_WARN, "session cut: packet buffers ran out");
        proxy_session_end(s, "packet buffers ran out");
    } else {
        proxy_log_client(s, LOG_LEVEL_INFO, "TLS failed: %s", tls_conn_error(s->tls));
        proxy_session_linger(s, "TLS failed"); /* OpenSSL has written an alert */
    }
}

static const char *backend_died(const struct session *s)
{
    return sock_error(s->backend) == SOCK_RESET ? "server reset" : "server vanished";
}

/* Has the relay come to its end? Ends the session if so. */
static bool relay_over(struct session *s)
{
    bool request_done = (s->flags & SESSION_REQUEST_DONE) != 0;
    bool response_done = (s->flags & SESSION_RESPONSE_DONE) != 0;

    if (request_done && response_done) {
        proxy_session_end(s, "both sides closed");
        return true;
    }
    if ((s->flags & SESSION_BACKEND_DEAD) == 0)
        return false;
    /* What came before the reset is still passed on, the end of stream included. */
    if (!response_done && (sock_readable(s->backend) > 0 || sock_eof(s->backend)))
        return false;
    if (response_done)
        proxy_session_linger(s, "server closed while the client was sending");
    else
        proxy_session_end(s, backend_died(s));
    return true;
}

static void session_relay(struct session *s, unsigned work)
{
    enum relay_result request = RELAY_IDLE, response = RELAY_IDLE;
    uint8_t ended = s->flags & SESSION_ENDS;

    if ((work & WORK_REQUEST) != 0)
        request = pump_request(s);
    if ((work & WORK_RESPONSE) != 0 && !relay_failed(request))
        response = pump_response(s);
    if (relay_failed(request) || relay_failed(response)) {
        relay_end_failed(s, relay_failed(request) ? request : response);
        return;
    }
    if (relay_over(s))
        return;
    s->work = (uint8_t)((request == RELAY_MORE ? WORK_REQUEST : 0) |
                        (response == RELAY_MORE ? WORK_RESPONSE : 0));
    proxy_queue_move(s, s->work != 0 ? QUEUE_READY : QUEUE_WAITING);
    if ((s->flags & SESSION_ENDS) != ended) {
        s->active = s->proxy->now; /* half-closed from here on */
        proxy_timeout_arm(s);
    }
}

/* A session in the ready queue has had its share of this round: the work waits for its turn. */
static void relay_work(struct session *s, unsigned work)
{
    if (s->queue == QUEUE_READY)
        s->work |= (uint8_t)work;
    else if (work != 0)
        session_relay(s, work);
}

void proxy_session_turn(struct session *s)
{
    /* Out of the queue: one that has more to do enters it again behind the others. */
    proxy_queue_move(s, QUEUE_WAITING);
    session_relay(s, s->work);
}

void proxy_session_relay_begin(struct session *s)
{
    s->state = SESSION_RELAY;
    s->active = s->proxy->now;
    proxy_timeout_arm(s);
    /* The client's events came while nobody could act on them. */
    session_relay(s, WORK_REQUEST | WORK_RESPONSE);
}

static void client_error(struct session *s)
{
    enum sock_error error = sock_error(s->client);

    if (error == SOCK_RESET)
        COUNTER_INC(s->proxy->counters.client_resets);
    proxy_session_end(s, error == SOCK_RESET ? "client reset" : "client vanished");
}

static unsigned client_work(const struct session *s, uint32_t what)
{
    unsigned work = 0;

    if ((what & EVENT_READABLE) != 0)
        work |= WORK_REQUEST;
    if ((what & EVENT_WRITABLE) != 0)
        work |= WORK_RESPONSE;
    /* TLS may need the one to do the other: to answer a KeyUpdate (RFC 8446, 4.6.3), or to have a
     * message whole before it writes. */
    if ((s->flags & (SESSION_READ_BLOCKED | SESSION_WRITE_BLOCKED)) != 0)
        work = WORK_REQUEST | WORK_RESPONSE;
    return work;
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
        relay_work(s, client_work(s, what));
        break;
    case SESSION_CLOSING:
        session_discard(s);
        break;
    }
}

static void backend_error(struct session *s)
{
    if (s->state == SESSION_CONNECTING) {
        proxy_backend_failed(s);
        return;
    }
    if (sock_error(s->backend) == SOCK_RESET)
        COUNTER_INC(s->proxy->counters.backend_resets);
    s->flags |= SESSION_BACKEND_DEAD;
    relay_work(s, WORK_RESPONSE);
}

static void backend_event(struct session *s, uint32_t what)
{
    unsigned work = 0;

    if ((what & EVENT_ERROR) != 0) {
        backend_error(s);
        return;
    }
    if (s->state == SESSION_CONNECTING) {
        if ((what & EVENT_CONNECTED) != 0)
            proxy_session_relay_begin(s);
        return;
    }
    if ((what & EVENT_READABLE) != 0)
        work |= WORK_RESPONSE;
    if ((what & EVENT_WRITABLE) != 0)
        work |= WORK_REQUEST;
    relay_work(s, work);
}

void proxy_session_event(struct session *s, const struct event *ev)
{
    if (ev->sock == s->backend)
        backend_event(s, ev->what);
    else if ((ev->what & EVENT_ERROR) != 0)
        client_error(s);
    else
        client_event(s, ev->what);
}
