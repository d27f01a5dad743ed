#include "appliance/load.h"

#include <pthread.h>
#include <time.h>

/* 0 when it cannot be read. */
static clock_ns thread_cpu_time(pthread_t thread)
{
    struct timespec ts;
    clockid_t clock;

    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &ts) < 0)
        return 0;
    return (clock_ns)ts.tv_sec * CLOCK_SEC + (clock_ns)ts.tv_nsec;
}

bool load_sample(struct load *l, const struct workers *workers, clock_ns now)
{
    clock_ns elapsed = now - l->sampled;
    bool turning = true;

    for (unsigned i = 0; i < workers->running; i++) {
        struct load_worker *w = &l->worker[i];
        clock_ns cpu_time = thread_cpu_time(workers->worker[i].thread);
        uint64_t rounds = counter_read(&workers->worker[i].counters.worker_rounds, 0);

        if (l->sampled != 0 && elapsed > 0)
            w->busy = (double)(cpu_time - w->cpu_time) / (double)elapsed;
        w->busy = w->busy > 1.0 ? 1.0 : w->busy;
        turning = turning && rounds != w->rounds;
        w->cpu_time = cpu_time;
        w->rounds = rounds;
    }
    l->sampled = now;
    return turning;
}
