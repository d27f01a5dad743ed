#include "appliance/worker_idle.h"

clock_ns worker_idle_sleep(struct worker_idle *i, clock_ns now, clock_ns deadline)
{
    clock_ns silence, bound, sleep;

    if (i->empty_rounds == 0)
        i->since = now;
    if (i->empty_rounds < WORKER_IDLE_SPIN_ROUNDS) {
        i->empty_rounds++;
        return 0;
    }
    silence = now - i->since;
    bound = silence < WORKER_IDLE_LONG ? WORKER_IDLE_SLEEP_SHORT : WORKER_IDLE_SLEEP_LONG;
    sleep = silence / WORKER_IDLE_FRACTION;
    if (sleep < WORKER_IDLE_SLEEP_MIN)
        sleep = WORKER_IDLE_SLEEP_MIN;
    if (sleep > bound)
        sleep = bound;
    if (deadline < now + sleep)
        sleep = deadline > now ? deadline - now : 0;
    return sleep < WORKER_IDLE_WORTH ? 0 : sleep;
}
