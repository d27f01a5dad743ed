/*
 * Handshake work in portions. A step can take as long as thousands of packets, so no event runs
 * one: it queues the session, and once a round, after all events, the queue is served in order
 * until the round's budget is used up. At least one step runs, so a small budget slows handshakes
 * down and never stops them.
 *
 * The budget buys steps at their usual price, not by the clock: the same packets then give the same
 * rounds in a simulator as in production. Every step is charged as if it were the dear one, with
 * the key exchange and the signature: which one that is depends on what the client asks for (a
 * HelloRetryRequest makes it a later one), and a round too short only means another at once.
 *
 * An unfinished handshake costs tens of kilobytes in OpenSSL, so there is a bound to them. Beyond
 * it, the peer that has owed its answer longest gives way: under a flood of half-open handshakes an
 * honest client still has a round trip's time, whereas refusing the newest would lock all out.
 * Handshakes with servers are in the same queue and under the same bound.
 */
#include "proxy/proxy_internal.h"

#include <stdio.h>

/* OpenSSL 3.0, X25519 with a P-256 certificate; RSA-2048 takes twice that. */
#define STEP_PRICE (200 * CLOCK_US)

uint32_t proxy_handshake_steps(clock_ns budget)
{
    clock_ns steps = (budget + STEP_PRICE - 1) / STEP_PRICE;

    return steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
}

void proxy_handshake_queue(struct session *s)
{
    if (s->queue == QUEUE_HANDSHAKE)
        return;
    s->round = s->proxy->round;
    proxy_queue_move(s, QUEUE_HANDSHAKE);
}

bool proxy_handshake_room(struct proxy *p)
{
    struct session *oldest = TAILQ_FIRST(&p->queue[QUEUE_ANSWER]);

    if (p->queued[QUEUE_HANDSHAKE] + p->queued[QUEUE_ANSWER] < p->max_handshakes)
        return true;
    if (oldest == NULL)
        return false;
    COUNTER_INC(p->counters.handshakes_evicted);
    proxy_log_client(oldest, LOG_LEVEL_WARN,
                     "TLS handshake given up for newer ones: more than %u are unfinished",
                     p->max_handshakes);
    proxy_session_end(oldest, "too many half-open handshakes");
    return true;
}

/* Asks before any work is done. */
static bool handshake_allowed(const struct session *s)
{
    const struct proxy_hooks *hooks = &s->proxy->hooks;
    struct packet_label label = sock_label(s->client.sock);
    struct ip_endpoint client;

    if (hooks->handshake == NULL)
        return true;
    proxy_session_client(s, &client);
    return hooks->handshake(hooks->ctx, &label, &client.addr, s->proxy->now);
}

static void handshake_limited(struct session *s)
{
    COUNTER_INC(s->proxy->counters.handshakes_limited);
    proxy_log_client(s, LOG_LEVEL_WARN,
                     "TLS handshake refused: over the firewall's limit of handshakes a second");
    proxy_session_end(s, "over the limit of handshakes");
}

void proxy_handshake_begin(struct session *s, struct tls_server *server, int cert)
{
    if (!handshake_allowed(s)) {
        handshake_limited(s);
        return;
    }
    if (!proxy_handshake_room(s->proxy)) {
        COUNTER_INC(s->proxy->counters.handshakes_refused);
        proxy_log_client(s, LOG_LEVEL_WARN, "TLS handshake refused: %u are at work already",
                         s->proxy->max_handshakes);
        proxy_refuse_alert(s, TLS_ALERT_INTERNAL_ERROR, "too many handshakes at once");
        return;
    }
    s->client.tls = tls_conn_create(server, cert, &proxy_side_transport, s->client.sock);
    if (s->client.tls == NULL) {
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

static void log_failure(struct session *s, const char *why)
{
    const char *name = proxy_session_name(s);

    proxy_log_client(s, LOG_LEVEL_INFO, "handshake failed (%s%s): %s",
                     name[0] != '\0' ? "for " : "no server name", name, why);
}

static void client_result(struct session *s, enum tls_result result)
{
    char why[400];

    if (result == TLS_DONE) {
        session_mark(s, &s->at_handshake);
        proxy_backend_connect(s);
        return;
    }
    snprintf(why, sizeof why, "handshake failed: %s", tls_conn_error(s->client.tls));
    log_failure(s, tls_conn_error(s->client.tls));
    proxy_session_linger(s, why); /* OpenSSL has written an alert */
}

void proxy_handshake_lost(struct session *s)
{
    log_failure(s, sock_error(s->client.sock) == SOCK_RESET
                       ? "client reset the connection during the handshake; clients that do not "
                         "accept the certificate may do so"
                       : "client vanished during the handshake");
}

/* May end the session. */
static void handshake_step(struct session *s)
{
    bool of_client = s->state == SESSION_HANDSHAKE;
    enum tls_result result;

    if (s->round != s->proxy->round)
        COUNTER_INC(s->proxy->counters.handshakes_deferred);
    proxy_queue_move(s, QUEUE_WAITING);
    result = tls_conn_handshake(of_client ? s->client.tls : s->backend.tls);
    if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
        proxy_queue_move(s, QUEUE_ANSWER);
    else if (of_client)
        client_result(s, result);
    else
        proxy_upstream_handshake(s, result);
}

void proxy_handshake_run(struct proxy *p)
{
    struct session *s;

    for (uint32_t n = 0; n < p->handshake_steps; n++) {
        s = TAILQ_FIRST(&p->queue[QUEUE_HANDSHAKE]);
        if (s == NULL)
            return;
        handshake_step(s);
    }
}
