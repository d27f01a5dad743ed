/*
 * Both directions of a session, and how it ends from there.
 *
 * Sockets report changes, so a direction is pumped until it blocks on a call that promises an
 * event: a read that found nothing, a write cut short, sock_writable() at 0. A direction that used
 * up its quantum promises nothing; its session goes to the end of the ready queue.
 */
#include "proxy/proxy_internal.h"

static bool relay_failed(enum relay_result r)
{
    return r == RELAY_READ_FAILED || r == RELAY_WRITE_FAILED;
}

static void client_tls_failed(struct session *s)
{
    if (tls_conn_truncated(s->client.tls)) {
        /* Many clients close so once they have their answer: no line of its own. */
        proxy_session_end(s, "client closed without close_notify");
        return;
    }
    proxy_log_client(s, LOG_LEVEL_INFO, "TLS failed: %s", tls_conn_error(s->client.tls));
    proxy_session_linger(s, "TLS failed"); /* OpenSSL has written an alert */
}

static void backend_tls_failed(struct session *s)
{
    bool truncated = tls_conn_truncated(s->backend.tls);

    if (truncated)
        proxy_log_backend(s, "server closed without close_notify: its answer may be cut, so the "
                             "client is reset");
    else
        proxy_log_backend(s, "TLS failed: %s", tls_conn_error(s->backend.tls));
    proxy_session_end(s, truncated ? "server closed without close_notify"
                                   : "TLS of the server failed");
}

static const char *backend_died(const struct session *s)
{
    return sock_error(s->backend.sock) == SOCK_RESET ? "server reset" : "server vanished";
}

/* Of a dead server: can what came before it died still be passed on, the end of stream included? */
static bool backend_has_more(const struct session *s)
{
    return (s->client.flags & SIDE_FINISHED) == 0 && (s->backend.flags & SIDE_READ_BLOCKED) == 0 &&
           proxy_side_unread(&s->backend);
}

/* Has the relay come to its end? Ends the session if so. */
static bool relay_over(struct session *s)
{
    bool request_done = (s->backend.flags & SIDE_FINISHED) != 0;
    bool response_done = (s->client.flags & SIDE_FINISHED) != 0;

    if (request_done && response_done) {
        proxy_session_end(s, "both sides closed");
        return true;
    }
    if ((s->backend.flags & SIDE_DEAD) == 0 || backend_has_more(s))
        return false;
    if (response_done)
        proxy_session_linger(s, "server closed while the client was sending");
    else
        proxy_session_end(s, backend_died(s));
    return true;
}

static void relay(struct session *s, unsigned work)
{
    enum relay_result request = RELAY_IDLE, response = RELAY_IDLE;
    bool half_closed = session_half_closed(s);

    if ((work & WORK_REQUEST) != 0)
        request = proxy_pump_request(s);
    if ((work & WORK_RESPONSE) != 0 && !relay_failed(request))
        response = proxy_pump_response(s);
    if (request == RELAY_READ_FAILED || response == RELAY_WRITE_FAILED) {
        client_tls_failed(s);
        return;
    }
    if (request == RELAY_WRITE_FAILED || response == RELAY_READ_FAILED) {
        backend_tls_failed(s);
        return;
    }
    if (relay_over(s))
        return;
    s->work = (uint8_t)((request == RELAY_MORE ? WORK_REQUEST : 0) |
                        (response == RELAY_MORE ? WORK_RESPONSE : 0));
    proxy_queue_move(s, s->work != 0 ? QUEUE_READY : QUEUE_WAITING);
    if (session_half_closed(s) != half_closed) {
        s->active = s->proxy->now;
        proxy_timeout_arm(s);
    }
}

/* A session in the ready queue has had its share of this round: the work waits for its turn. */
static void relay_work(struct session *s, unsigned work)
{
    if (s->queue == QUEUE_READY)
        s->work |= (uint8_t)work;
    else if (work != 0)
        relay(s, work);
}

void proxy_relay_turn(struct session *s)
{
    /* Out of the queue: one that has more to do enters it again behind the others. */
    proxy_queue_move(s, QUEUE_WAITING);
    relay(s, s->work);
}

void proxy_relay_begin(struct session *s)
{
    session_mark(s, &s->at_connect);
    proxy_backend_stands(s);
    s->state = SESSION_RELAY;
    s->active = s->proxy->now;
    proxy_timeout_arm(s);
    /* The client's events came while nobody could act on them. */
    relay(s, WORK_REQUEST | WORK_RESPONSE);
}

/* `reads` and `writes`: the directions that read from the side and write to it. */
static unsigned side_work(const struct proxy_side *side, uint32_t what, unsigned reads,
                          unsigned writes)
{
    unsigned work = 0;

    if ((what & EVENT_READABLE) != 0)
        work |= reads;
    if ((what & EVENT_WRITABLE) != 0)
        work |= writes;
    /* TLS may need the one to do the other: to answer a KeyUpdate (RFC 8446, 4.6.3), or to have a
     * message whole before it writes. */
    if ((side->flags & (SIDE_READ_BLOCKED | SIDE_WRITE_BLOCKED)) != 0)
        work = reads | writes;
    return work;
}

/* Bytes count as activity when they come, though the other side may have no room for them yet. */
static void note_activity(struct session *s, uint32_t what)
{
    if ((what & EVENT_READABLE) != 0)
        s->active = s->proxy->now;
}

void proxy_relay_client_event(struct session *s, uint32_t what)
{
    note_activity(s, what);
    relay_work(s, side_work(&s->client, what, WORK_REQUEST, WORK_RESPONSE));
}

void proxy_relay_backend_event(struct session *s, uint32_t what)
{
    if ((what & EVENT_ERROR) != 0) {
        if (sock_error(s->backend.sock) == SOCK_RESET)
            COUNTER_INC(s->proxy->counters.backend_resets);
        s->backend.flags |= SIDE_DEAD;
        relay_work(s, WORK_RESPONSE);
        return;
    }
    note_activity(s, what);
    relay_work(s, side_work(&s->backend, what, WORK_RESPONSE, WORK_REQUEST));
}
