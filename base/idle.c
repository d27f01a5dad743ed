#include "base/idle.h"

static clock_ns larger(clock_ns a, clock_ns b)
{
    return a > b ? a : b;
}

/* As long as the silence and the work before it allow. */
static clock_ns bounded(const struct idle *i, clock_ns now)
{
    clock_ns silence = now - i->idle_since, work = i->idle_since - i->busy_since;
    clock_ns bound = IDLE_SLEEP_SHORT;
    clock_ns sleep = larger(silence, work) / IDLE_FRACTION;

    if (silence >= IDLE_LONG)
        bound = IDLE_SLEEP_LONG;
    sleep = larger(sleep, i->frames >= IDLE_MANY ? IDLE_SLEEP_MANY : IDLE_SLEEP_MIN);
    return sleep < bound ? sleep : bound;
}

clock_ns idle_sleep(struct idle *i, clock_ns now, clock_ns deadline)
{
    clock_ns sleep;

    if (i->empty_rounds == 0)
        i->idle_since = now;
    if (i->empty_rounds < IDLE_SPIN_ROUNDS) {
        i->empty_rounds++;
        return 0;
    }
    sleep = bounded(i, now);
    if (deadline < now + sleep)
        sleep = deadline > now ? deadline - now : 0;
    if (sleep < IDLE_WORTH)
        return 0;
    i->slept = true;
    return sleep;
}
