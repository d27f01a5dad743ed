/*
 * Times of a connection that need not be exact, in 32 bits: ticks of the timer wheel, a millisecond
 * each, of which there are 52 days' worth before the count begins anew. They keep a connection
 * block small.
 *
 * What lies further back than that looks younger than it is. So ages are compared, never two such
 * times: of ages only what is past is asked for, and a wrong one is too small, which is to wait a
 * little longer.
 */
#ifndef STACK_TCP_TCP_TICK_H
#define STACK_TCP_TCP_TICK_H

#include <stdint.h>

#include "base/clock.h"
#include "base/wheel.h"

#define TCP_TICK     (UINT64_C(1) << WHEEL_TICK_SHIFT)
#define TCP_TICK_FAR ((clock_ns)INT32_MAX << WHEEL_TICK_SHIFT) /* how far ahead a tick may be */

static inline uint32_t tcp_tick_of(clock_ns time)
{
    return (uint32_t)(time >> WHEEL_TICK_SHIFT);
}

/* How long ago it was. */
static inline clock_ns tcp_tick_age(uint32_t tick, clock_ns now)
{
    return (clock_ns)(tcp_tick_of(now) - tick) << WHEEL_TICK_SHIFT;
}

/* The time of a tick that is less than TCP_TICK_FAR away. */
static inline clock_ns tcp_tick_time(uint32_t tick, clock_ns now)
{
    int64_t ahead = (int32_t)(tick - tcp_tick_of(now));

    return ((now >> WHEEL_TICK_SHIFT) + (clock_ns)ahead) << WHEEL_TICK_SHIFT;
}

#endif
