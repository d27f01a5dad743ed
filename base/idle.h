/*
 * How long a worker that found nothing to do may sleep.
 *
 * A worker polls, so at rest it would burn its core; but a sleep has its price, too: some ten
 * microseconds of CPU for the timer, the switch and the look at every port. So the worker polls on
 * for a few rounds, then sleeps between polls, each time for a fraction of the silence so far or of
 * the work before it, whichever is longer. A packet is then delayed by no more than that fraction
 * of what it had to wait for anyway, and sleeping costs a worker under load next to nothing. Sleeps
 * are bounded, and never reach past the next timer.
 *
 * Where several frames came since the last sleep, the shortest sleep is longer, as adapters
 * moderate their interrupts: more of them then share a wake-up, while a lone request does not wait.
 */
#ifndef BASE_IDLE_H
#define BASE_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define IDLE_SPIN_ROUNDS 4
#define IDLE_SLEEP_MIN   (30 * CLOCK_US)
#define IDLE_SLEEP_MANY  (100 * CLOCK_US) /* the least after IDLE_MANY frames */
#define IDLE_SLEEP_SHORT (250 * CLOCK_US) /* the bound while the silence is short */
#define IDLE_SLEEP_LONG  (1 * CLOCK_MS)   /* the bound after IDLE_LONG */
#define IDLE_LONG        (200 * CLOCK_MS)
#define IDLE_MANY        4
#define IDLE_FRACTION    4              /* of the silence, or of the work */
#define IDLE_WORTH       (5 * CLOCK_US) /* shorter is not worth the switch */

/* Zero-initialise it. */
struct idle {
    clock_ns busy_since; /* the first round with work after the last sleep */
    clock_ns idle_since; /* the first empty round after that */
    uint32_t empty_rounds;
    uint32_t frames; /* received since the last sleep that work ended */
    bool slept;
};

/* The round that began at `now` had work; it received this many frames. */
static inline void idle_busy(struct idle *i, clock_ns now, uint32_t frames)
{
    if (i->slept) {
        i->busy_since = now;
        i->frames = 0;
    }
    i->slept = false;
    i->frames += frames;
    i->empty_rounds = 0;
}

/* The round that began at `now` was empty: returns the time to sleep, 0 to poll again at once.
 * `deadline` is that of the next timer, at or before `now` when work is queued. */
clock_ns idle_sleep(struct idle *i, clock_ns now, clock_ns deadline);

#endif
