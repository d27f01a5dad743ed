/*
 * The proxy of one worker as a whole: made, fed with snapshots, run once a round, drained. What
 * happens to a connection is told in proxy_session.c.
 *
 * The order within a round puts small and established work first: events, then sessions that have
 * more bytes to move than their share, then handshakes up to their budget, then timers. Whatever is
 * left over makes proxy_deadline() ask for another round at once.
 */
#include "proxy/proxy_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_HANDSHAKE_BUDGET (500 * CLOCK_US)

COUNTER_TABLE(proxy_counter_table, PROXY_COUNTERS);

static wheel_fire drain_over;

static int proxy_pools_init(struct proxy *p, uint32_t max_sessions)
{
    p->ids = calloc(max_sessions, sizeof *p->ids);
    return p->ids != NULL && pool_init(&p->sessions, sizeof(struct session), max_sessions) == 0 &&
                   pool_init(&p->extras, sizeof(struct session_extra), max_sessions) == 0
               ? 0
               : -1;
}

static void proxy_pools_fini(struct proxy *p)
{
    pool_fini(&p->extras);
    pool_fini(&p->sessions);
    free(p->ids);
}

struct proxy *proxy_create(const struct proxy_config *config, struct error *e)
{
    struct proxy *p = calloc(1, sizeof *p);

    if (p == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    if (proxy_pools_init(p, config->max_sessions) < 0) {
        error_set(e, "no memory for %u sessions: %s", config->max_sessions, strerror(errno));
        proxy_pools_fini(p);
        free(p);
        return NULL;
    }
    p->stack = config->stack;
    p->hooks = config->hooks;
    p->next_id = (uint64_t)config->worker << 48;
    p->worker = config->worker;
    p->workers = config->workers != 0 ? config->workers : 1;
    snprintf(p->name, sizeof p->name, "%s", config->name != NULL ? config->name : "proxy");
    p->max_handshakes = config->max_handshakes != 0      ? config->max_handshakes
                        : config->max_sessions > 64 * 16 ? config->max_sessions / 16
                                                         : 64;
    p->handshake_steps = proxy_handshake_steps(
        config->handshake_budget != 0 ? config->handshake_budget : DEFAULT_HANDSHAKE_BUDGET);
    p->now = stack_now(p->stack);
    wheel_init(&p->wheel, p->now);
    p->drain.fire = drain_over;
    proxy_queue_init(p);
    TAILQ_INIT(&p->listeners);
    TAILQ_INIT(&p->generations);
    return p;
}

void proxy_destroy(struct proxy *p)
{
    if (p == NULL)
        return;
    proxy_session_end_all(p, "stopped");
    proxy_listener_close_all(p);
    if (p->current != NULL)
        proxy_health_stop(p, p->current);
    p->current = NULL;
    proxy_generation_reap(p);
    assert(TAILQ_EMPTY(&p->generations));
    proxy_pools_fini(p);
    free(p);
}

int proxy_apply(struct proxy *p, struct proxy_snapshot *snapshot, struct error *e)
{
    struct proxy_generation *g;

    if (p->draining)
        return error_set(e, "%s is stopping", p->name);
    g = proxy_generation_create(p, snapshot, e);
    if (g == NULL)
        return -1;
    if (proxy_listener_apply(p, snapshot->policy, e) < 0) {
        proxy_generation_free(g);
        return -1;
    }
    TAILQ_INSERT_TAIL(&p->generations, g, link);
    proxy_health_begin(p, g, p->current);
    p->current = g;
    proxy_generation_reap(p);
    return 0;
}

static void dispatch(const struct event *ev)
{
    if (proxy_health_owns(ev->user))
        proxy_health_event(ev);
    else if ((ev->what & EVENT_ACCEPT) != 0)
        proxy_listener_accept(ev->user);
    else
        proxy_session_event(ev->user, ev);
}

void proxy_run(struct proxy *p, clock_ns now)
{
    uint32_t turns = p->queued[QUEUE_READY]; /* those that wait since the last round */
    struct event ev;

    p->now = now;
    p->round++;
    while (event_next(p->stack, &ev))
        dispatch(&ev);
    for (; turns > 0 && !TAILQ_EMPTY(&p->queue[QUEUE_READY]); turns--)
        proxy_relay_turn(TAILQ_FIRST(&p->queue[QUEUE_READY]));
    proxy_handshake_run(p);
    wheel_advance(&p->wheel, now);
    proxy_generation_reap(p);
}

clock_ns proxy_deadline(const struct proxy *p)
{
    if (p->queued[QUEUE_READY] > 0 || p->queued[QUEUE_HANDSHAKE] > 0)
        return p->now;
    return wheel_next(&p->wheel);
}

void proxy_drain(struct proxy *p, clock_ns deadline)
{
    struct proxy_listener *l;

    /* What the stack has completed already counts as accepted. The sockets stay: closed, their
     * ports would be the kernel's behind a punt hook, where a SYN may go unanswered. */
    TAILQ_FOREACH (l, &p->listeners, link) {
        proxy_listener_accept(l);
        sock_listener_refuse(l->sock);
    }
    if (p->current != NULL)
        proxy_health_stop(p, p->current);
    p->draining = true;
    wheel_arm(&p->wheel, &p->drain, deadline);
}

static void drain_over(struct wheel_timer *timer, clock_ns now)
{
    struct proxy *p = (struct proxy *)(void *)((uint8_t *)timer - offsetof(struct proxy, drain));

    (void)now;
    COUNTER_ADD(p->counters.timeout_drain, p->sessions.used);
    proxy_session_end_all(p, "cut at the end of the drain time");
}

uint32_t proxy_session_count(const struct proxy *p)
{
    return pool_used(&p->sessions);
}

const struct proxy_counters *proxy_counters(const struct proxy *p)
{
    return &p->counters;
}
