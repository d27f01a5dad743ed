/*
 * Timers: one wheel timer for each connection, armed for the earliest of its deadlines. Moving a
 * deadline later costs nothing (the timer fires, finds nothing due and is armed again).
 */
#include "stack/tcp/tcp_timer.h"

#include <stddef.h>

#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_output.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_rtt.h"
#include "stack/tcp/tcp_tick.h"

/* Memory is short: peers that take nothing of what waits for them hold what others need, first of
 * all those whose connection nobody owns any more. */
static bool pressed(const struct tcp_conn *c)
{
    const struct tcp *t = c->sock.tcp;

    return t->held > (tcp_orphaned(c) ? t->held_max / 2 : t->held_max / 4 * 3);
}

/* How long the peer may owe us something. */
static clock_ns patience(const struct tcp_conn *c)
{
    clock_ns patience = c->user_timeout * CLOCK_MS;

    return pressed(c) ? RTE_MIN(patience, TCP_PRESSED_PATIENCE) : patience;
}

/* Does it owe us something for longer (RFC 9293, 3.8.3)? One whose window keeps us from sending,
 * but that answers, owes nothing to a connection that somebody owns (3.8.6.1), unless memory is
 * short. */
static bool overdue(const struct tcp_conn *c)
{
    clock_ns now = c->sock.tcp->now, age = tcp_tick_age(c->progress_at, now);

    if ((c->snd_wnd == 0 || c->snd_una == c->snd_max) && !tcp_orphaned(c) && !pressed(c)) {
        clock_ns heard = tcp_tick_age(c->heard_at, now);
        clock_ns sent = tcp_tick_age(tcp_tick_of(c->sent_at), now);

        if (heard <= RTE_MIN(sent, tcp_tick_age(c->probed_at, now)))
            return false;
        age = RTE_MIN(age, heard);
    }
    return age >= patience(c);
}

static void handshake_failed(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    if (c->active)
        tcp_count(t, tcp_connect_failed);
    else
        tcp_count(t, tcp_syn_expired);
    tcp_conn_end(c, SOCK_TIMED_OUT);
}

/* RFC 8985: losses that reordering might have feigned, or the end of a flight that nothing answers.
 */
static bool loss_expired(struct tcp_conn *c)
{
    if (c->probing)
        tcp_tlp_expired(c);
    else
        tcp_recovery_reordered(c);
    return true;
}

/* RFC 6298, 5.4 to 5.7. Returns false when the connection has ended. */
static bool retransmit_expired(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    bool syn = c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;

    if (c->state == TCP_TIME_WAIT) {
        tcp_conn_end(c, SOCK_OK);
        return false;
    }
    if (syn && c->retries >= (c->active ? t->config.syn_retries : t->config.synack_retries)) {
        handshake_failed(c);
        return false;
    }
    if (!syn && overdue(c)) {
        tcp_count(t, tcp_timeouts);
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_TIMED_OUT);
        return false;
    }
    tcp_count(t, tcp_rto_expired);
    tcp_rtt_backoff(c);
    if (c->retries < UINT8_MAX)
        c->retries++;
    c->timing = false;
    if (syn) {
        c->send_syn = true;
    } else {
        tcp_mtu_probe_timeout(c);
        tcp_recovery_timeout(c);
    }
    tcp_timer_set(c, TCP_TIMER_RETRANSMIT, t->now + c->rto);
    tcp_conn_output(c);
    return true;
}

/* RFC 9293, 3.8.6.1. A closed window may stay closed for ever while the peer answers; a silent
 * peer, or one that nobody but us still talks to, may not. */
static bool persist_expired(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;

    if (overdue(c)) {
        tcp_count(t, tcp_timeouts);
        tcp_output_reset(c);
        tcp_conn_end(c, SOCK_TIMED_OUT);
        return false;
    }
    if (c->retries < UINT8_MAX)
        c->retries++;
    tcp_output_now(c);
    return true;
}

/* The timer of long waits: for a connect, for an idle peer, for the FIN that an orphan lacks. */
static bool keepalive_expired(struct tcp_conn *c)
{
    struct tcp *t = c->sock.tcp;
    clock_ns idle = c->keepalive * CLOCK_MS, heard = tcp_tick_age(c->heard_at, t->now);

    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
        handshake_failed(c);
        return false;
    }
    if (c->state == TCP_FIN_WAIT_2 && tcp_orphaned(c)) {
        tcp_conn_end(c, SOCK_OK);
        return false;
    }
    if (c->keepalive == 0)
        return true;
    if (heard < idle) {
        tcp_timer_set(c, TCP_TIMER_KEEPALIVE, tcp_tick_time(c->heard_at, t->now) + idle);
        return true;
    }
    /* Retransmissions and window probes test the peer as well. */
    if (c->snd_una == c->snd_max && !tcp_timer_running(c, TCP_TIMER_PERSIST)) {
        if (c->retries >= TCP_KEEPALIVE_PROBES) {
            tcp_count(t, tcp_timeouts);
            tcp_output_reset(c);
            tcp_conn_end(c, SOCK_TIMED_OUT);
            return false;
        }
        c->retries++;
        tcp_count(t, tcp_keepalive_probes);
        tcp_output_probe(c);
    }
    tcp_timer_set(c, TCP_TIMER_KEEPALIVE, t->now + RTE_MIN(idle, TCP_KEEPALIVE_GAP));
    return true;
}

static bool delayed_ack_expired(struct tcp_conn *c)
{
    c->ack_now = true;
    tcp_conn_output(c);
    return true;
}

static bool pace_expired(struct tcp_conn *c)
{
    tcp_conn_output(c);
    return true;
}

static void arm_by(struct tcp_conn *c, clock_ns deadline)
{
    if (!wheel_is_armed(&c->timer) || deadline < c->timer.deadline)
        wheel_arm(&c->sock.tcp->wheel, &c->timer, deadline);
}

static void arm(struct tcp_conn *c)
{
    clock_ns first = CLOCK_NEVER;

    for (unsigned k = 0; k < TCP_TIMER_COUNT; k++)
        first = RTE_MIN(first, tcp_timer_deadline(c, k));
    if (first != CLOCK_NEVER)
        arm_by(c, first);
}

static void timer_fire(struct wheel_timer *timer, clock_ns now)
{
    static bool (*const expired[TCP_TIMER_COUNT])(struct tcp_conn *) = {
        [TCP_TIMER_LOSS] = loss_expired,           [TCP_TIMER_RETRANSMIT] = retransmit_expired,
        [TCP_TIMER_PERSIST] = persist_expired,     [TCP_TIMER_DELAYED_ACK] = delayed_ack_expired,
        [TCP_TIMER_KEEPALIVE] = keepalive_expired, [TCP_TIMER_PACE] = pace_expired,
    };
    struct tcp_conn *c =
        (struct tcp_conn *)(void *)((char *)timer - offsetof(struct tcp_conn, timer));

    for (unsigned k = 0; k < TCP_TIMER_COUNT; k++) {
        if (tcp_timer_deadline(c, k) > now)
            continue;
        c->deadline[k] = TCP_TIMER_STOPPED;
        if (!expired[k](c))
            return;
    }
    arm(c);
}

void tcp_timer_init(struct tcp_conn *c)
{
    c->timer.fire = timer_fire;
    for (unsigned k = 0; k < TCP_TIMER_COUNT; k++)
        c->deadline[k] = TCP_TIMER_STOPPED;
}

void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, clock_ns deadline)
{
    clock_ns latest = c->sock.tcp->now + TCP_TICK_FAR - TCP_TICK;
    uint32_t tick = tcp_tick_of(RTE_MIN(deadline, latest) + TCP_TICK - 1); /* never early */

    c->deadline[kind] = tick != TCP_TIMER_STOPPED ? tick : tick + 1;
    arm_by(c, tcp_timer_deadline(c, kind));
}

void tcp_timer_stop(struct tcp_conn *c, enum tcp_timer_kind kind)
{
    c->deadline[kind] = TCP_TIMER_STOPPED;
}

void tcp_timer_stop_all(struct tcp_conn *c)
{
    for (unsigned k = 0; k < TCP_TIMER_COUNT; k++)
        c->deadline[k] = TCP_TIMER_STOPPED;
    wheel_cancel(&c->sock.tcp->wheel, &c->timer);
}
