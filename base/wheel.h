/*
 * A hierarchical timing wheel (Varghese and Lauck, 1987): arming, re-arming and cancelling cost a
 * few instructions whatever the number of timers.
 *
 * The tick is 2^20 ns, about a millisecond. A timer never fires before its deadline and, when the
 * wheel is advanced in time, at most one tick after it. It spans 52 days; a timer further away is
 * looked at once in a turn. One owner thread; the virtual clock of a simulator works as well as a
 * real one.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define WHEEL_TICK_SHIFT 20
#define WHEEL_LEVELS     4
#define WHEEL_SLOT_BITS  8
#define WHEEL_SLOTS      (1u << WHEEL_SLOT_BITS)

struct wheel_timer;

/* Runs when the timer is due; the timer is idle by then and may be armed again or freed. */
typedef void wheel_fire(struct wheel_timer *timer, clock_ns now);

/* Embed it; zero-initialise it and set `fire` before the first wheel_arm(). */
struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **prev; /* NULL when idle */
    clock_ns deadline;
    wheel_fire *fire;
};

struct wheel {
    uint64_t tick; /* all timers of ticks up to this one have fired */
    uint32_t armed;
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    struct wheel_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, clock_ns now);

/* Arms an idle timer, or moves an armed one. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, clock_ns deadline);

/* Cancels; nothing happens when the timer is idle. */
void wheel_cancel(struct wheel *w, struct wheel_timer *t);

static inline bool wheel_is_armed(const struct wheel_timer *t)
{
    return t->prev != 0;
}

/* Fires every timer due at `now`, earliest tick first. Returns how many fired. */
uint32_t wheel_advance(struct wheel *w, clock_ns now);

/*
 * A time not after the next timer's firing, or CLOCK_NEVER when none is armed: the wheel must be
 * advanced again by then. Exact for timers within 256 ticks, the start of their slot beyond that.
 */
clock_ns wheel_next(const struct wheel *w);

#endif
