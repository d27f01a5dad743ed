/*
 * Handshake work in portions. A step can take as long as thousands of packets, so no event runs
 * one: it queues the session, and once a round, after all events, the queue is served in order
 * until the round's budget is used up. At least one step runs, so a small budget slows handshakes
 * down and never stops them.
 *
 * Steps are paid for by their usual price, not by the clock: the same packets then give the same
 * rounds in a simulator as in production. The first step of a connection is the dear one, a key
 * exchange and a signature; the later ones check a Finished message and write tickets.
 */
#include "proxy/proxy_internal.h"

/* OpenSSL 3.0, X25519 with a P-256 certificate; twice that with RSA-2048. */
#define STEP_FIRST (200 * CLOCK_US)
#define STEP_LATER (40 * CLOCK_US)

void proxy_handshake_queue(struct session *s)
{
    if (s->queue == QUEUE_HANDSHAKE)
        return;
    s->round = s->proxy->round;
    proxy_queue_move(s, QUEUE_HANDSHAKE);
}

void proxy_handshake_begin(struct session *s, struct tls_server *server, int cert)
{
    s->tls = tls_conn_create(server, cert, &proxy_tls_transport, s);
    if (s->tls == NULL) {
        proxy_log_client(s, LOG_LEVEL_ERROR, "no memory for a TLS connection");
        proxy_refuse_alert(s, TLS_ALERT_INTERNAL_ERROR, "no memory for TLS");
        return;
    }
    COUNTER_INC(s->proxy->counters.sessions_terminated);
    s->state = SESSION_HANDSHAKE;
    s->active = s->proxy->now;
    proxy_timeout_arm(s);
    proxy_handshake_queue(s);
}

static void handshake_failed(struct session *s)
{
    proxy_log_client(s, LOG_LEVEL_INFO, "handshake failed: %s", tls_conn_error(s->tls));
    proxy_session_linger(s, "handshake failed"); /* OpenSSL has written an alert */
}

/* Runs one step and returns its price. May end the session. */
static clock_ns handshake_step(struct session *s)
{
    clock_ns price = (s->flags & SESSION_STEPPED) != 0 ? STEP_LATER : STEP_FIRST;

    if (s->round != s->proxy->round)
        COUNTER_INC(s->proxy->counters.handshakes_deferred);
    s->flags |= SESSION_STEPPED;
    proxy_queue_move(s, QUEUE_WAITING);
    switch (tls_conn_handshake(s->tls)) {
    case TLS_DONE:
        proxy_backend_connect(s);
        break;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        break;
    case TLS_CLOSED:
    case TLS_FAILED:
        handshake_failed(s);
        break;
    }
    return price;
}

void proxy_handshake_run(struct proxy *p)
{
    clock_ns spent = 0;
    struct session *s;

    while (spent < p->handshake_budget && (s = TAILQ_FIRST(&p->queue[QUEUE_HANDSHAKE])) != NULL)
        spent += handshake_step(s);
}
