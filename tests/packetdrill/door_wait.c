/*
 * Calls that wait, and the two threads.
 *
 * A program that drives the door has one thread that moves time and packets, the one that made it,
 * and may have a second one for calls that wait. These sleep on a condition variable until what
 * they wait for is so. The first thread looks at that whenever the stack has come to rest, wakes
 * the sleeper, and itself waits until that call has returned or sleeps again: so a call ends at
 * the very time of the packet or timer that ended it, in every run. The time of that is kept for
 * the second thread, since the first goes on before it can ask.
 */
#include "tests/packetdrill/door_internal.h"

#include <errno.h>

void door_wait_init(struct door *d)
{
    d->owner = pthread_self();
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    pthread_cond_init(&d->settled, NULL);
}

void door_wait_fini(struct door *d)
{
    pthread_cond_destroy(&d->settled);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
}

static bool in_owner(const struct door *d)
{
    return pthread_equal(pthread_self(), d->owner);
}

/* The second thread is at rest: it waits, or its call has returned. */
static void second_rests(struct door *d)
{
    d->second_runs = false;
    pthread_cond_signal(&d->settled);
}

void door_enter(struct door *d)
{
    pthread_mutex_lock(&d->lock);
}

void door_leave(struct door *d)
{
    if (!in_owner(d) && d->second_runs) {
        d->second_at = d->now;
        second_rests(d);
    }
    pthread_mutex_unlock(&d->lock);
}

int door_wait(struct door *d, bool nonblocking, bool (*ready)(void *ctx), void *ctx,
              clock_ns deadline)
{
    struct door_sleeper sleeper = {.ready = ready, .ctx = ctx, .deadline = deadline};

    if (ready(ctx))
        return 0;
    if (nonblocking || in_owner(d)) {
        errno = EAGAIN;
        return -1;
    }
    /* cppcheck-suppress autoVariables; until this function returns */
    d->sleeper = &sleeper;
    second_rests(d);
    while (d->sleeper != NULL)
        pthread_cond_wait(&d->wake, &d->lock);
    return 0;
}

clock_ns door_wait_deadline(const struct door *d)
{
    return d->sleeper != NULL ? d->sleeper->deadline : CLOCK_NEVER;
}

void door_wait_wake(struct door *d)
{
    struct door_sleeper *s = d->sleeper;

    if (!in_owner(d) || s == NULL || (!s->ready(s->ctx) && d->now < s->deadline))
        return;
    d->sleeper = NULL;
    d->second_runs = true;
    pthread_cond_signal(&d->wake);
    while (d->second_runs)
        pthread_cond_wait(&d->settled, &d->lock);
}

clock_ns door_look(struct door *d)
{
    clock_ns at = d->second_at;

    if (!in_owner(d) && at != 0) {
        d->second_at = 0;
        return at;
    }
    door_run(d, d->now + CLOCK_US);
    return d->now;
}
