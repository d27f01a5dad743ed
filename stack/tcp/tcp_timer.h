/* The timers of a connection: deadlines, of which the earliest is on the wheel. */
#ifndef STACK_TCP_TCP_TIMER_H
#define STACK_TCP_TCP_TIMER_H

#include <stdbool.h>

#include "base/clock.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_tick.h"

void tcp_timer_init(struct tcp_conn *c);
void tcp_timer_set(struct tcp_conn *c, enum tcp_timer_kind kind, clock_ns deadline);
void tcp_timer_stop(struct tcp_conn *c, enum tcp_timer_kind kind);
void tcp_timer_stop_all(struct tcp_conn *c);

static inline bool tcp_timer_running(const struct tcp_conn *c, enum tcp_timer_kind kind)
{
    return c->deadline[kind] != TCP_TIMER_STOPPED;
}

/* When it runs out, rounded up to a tick; CLOCK_NEVER when it does not run. */
static inline clock_ns tcp_timer_deadline(const struct tcp_conn *c, enum tcp_timer_kind kind)
{
    return tcp_timer_running(c, kind) ? tcp_tick_time(c->deadline[kind], c->sock.tcp->now)
                                      : CLOCK_NEVER;
}

#endif
