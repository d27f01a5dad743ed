/*
 * How one thread wakes another that may be asleep, at no cost while it is awake: a flag that says
 * so, and an eventfd to sleep on.
 *
 *     sleeper: app_bell_arm(); looks for work once more; app_bell_sleep(), or app_bell_disarm()
 *     waker:   makes work visible; app_bell_ring()
 */
#ifndef APP_APP_BELL_H
#define APP_APP_BELL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"

struct app_bell {
    int fd;
    atomic_bool asleep;
};

int app_bell_open(struct app_bell *b, struct error *e);
void app_bell_close(struct app_bell *b);

/* Wakes the sleeper if it sleeps or is about to. */
void app_bell_ring(struct app_bell *b);

/* Whether it sleeps or not. Async-signal-safe. */
void app_bell_force(struct app_bell *b);

void app_bell_arm(struct app_bell *b);
void app_bell_disarm(struct app_bell *b);

/* Sleeps for up to `timeout` (CLOCK_NEVER: no bound) unless it was rung since app_bell_arm().
 * Returns 0, or -1 when a signal came (EINTR). Disarms. */
int app_bell_sleep(struct app_bell *b, clock_ns timeout);

#endif
