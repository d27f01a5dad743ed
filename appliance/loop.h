/* What the main thread waits for: an epoll set of a few descriptors, and a tick. */
#ifndef APPLIANCE_LOOP_H
#define APPLIANCE_LOOP_H

#include "base/clock.h"
#include "base/error.h"

enum loop_event { LOOP_SIGNAL, LOOP_TICK, LOOP_CONTROL, LOOP_METRICS };

struct loop {
    int epoll, timer;
};

/* Returns 0, or -1. `loop_close()` is to be called in both cases. */
int loop_open(struct loop *l, struct error *e);
void loop_close(struct loop *l);

/* Waits for `fd` to be readable, too. */
int loop_watch(struct loop *l, int fd, enum loop_event event, struct error *e);

/* LOOP_TICK comes this often from now on. */
void loop_tick_every(struct loop *l, clock_ns interval);

/* Waits for the next event. Where several are ready they come in turn. */
enum loop_event loop_wait(struct loop *l);

#endif
