/*
 * The kernel behind a port: a TAP with the port's Ethernet address, to which a worker hands what
 * its stack has no use for, and whose frames go out of the port as they are.
 */
#ifndef APPLIANCE_PUNT_H
#define APPLIANCE_PUNT_H

#include "base/clock.h"
#include "base/counter.h"
#include "stack/io/io.h"
#include "stack/stack.h"

/* Frames to the kernel in one round, and from it: each is a system call, and what the kernel does
 * with it takes the worker's time. */
#define PUNT_ROUND 32

#define PUNT_COUNTERS(X)                                                                \
    X(punt_sent, "frames that the kernel took")                                         \
    X(punt_dropped, "frames for the kernel dropped: too many at once, or it took none") \
    X(punt_received, "frames that the kernel sent")

COUNTER_STRUCT(punt_counters, PUNT_COUNTERS);
extern const struct counter_table punt_counter_table;

/* One worker's side of one port's TAP; zero-initialised: there is none. */
struct punt {
    struct io_port *tap;
    unsigned worker;
    struct rte_mbuf *waiting[PUNT_ROUND];
    unsigned count;
    struct punt_counters counters;
};

/* A stack_punt function; ctx is the struct punt. */
void punt_frame(void *ctx, struct rte_mbuf *m);

/* Hands the round's frames to the kernel. */
void punt_flush(struct punt *p);

/* Gives the stack what the kernel sends through the interface. Returns how many frames. */
unsigned punt_receive(struct punt *p, struct stack *s, unsigned iface, clock_ns now);

#endif
