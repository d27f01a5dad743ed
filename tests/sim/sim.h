/*
 * A simulator: stacks joined by links on a virtual clock. Links lose, reorder, duplicate, delay and
 * corrupt packets and have a rate, all driven by one seed, so that a failure repeats exactly.
 *
 * A host is a stack with one scheduler for each interface, and an application called once a round,
 * as in a worker of the appliance. Frames are delivered in buffers of exactly their size, so that
 * AddressSanitizer sees any read past the end; now and then in ordinary mbufs, so that the paths
 * that use their tail room run as well.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "scheduler/scheduler.h"
#include "stack/event.h"
#include "stack/socket.h"
#include "stack/stack.h"

struct sim;
struct sim_host;

/* One direction of a link. Probabilities are in parts of a million. */
struct sim_path {
    clock_ns delay, jitter; /* a reordered packet is delayed once more by up to 3 ms + delay */
    uint32_t loss, reorder, duplicate, corrupt;
    uint64_t rate;  /* bits a second; 0: no limit */
    uint32_t queue; /* packets that wait for the rate; more are dropped; 0: 1,000 */
    uint16_t mtu;   /* of a router's next link: larger packets are dropped; 0: no limit */
    enum {
        SIM_MTU_TOLD,   /* by ICMP (RFC 1191, RFC 8201) */
        SIM_MTU_UNTOLD, /* the same, but the router does not say how much it takes */
        SIM_MTU_SILENT, /* by nobody: a black hole */
    } mtu_kind;
    uint32_t
        ecn_mark; /* when more packets wait, ECN-capable ones are marked (RFC 3168); 0: never */
};

struct sim_host_config {
    const char *name;
    uint32_t max_connections; /* 0: 1,024 */
    uint32_t max_buffers;     /* 0: 32,768 */
    uint32_t offloads;        /* STACK_TX_*: what its interfaces pretend to have */
    uint16_t mtu;             /* 0: 1,500 */
    clock_ns time_wait;       /* 0: the stack's default */
    struct stack_tcp_config tcp;
    stack_ingress *ingress;
    void *ingress_ctx;
};

/* Called once a round after the packets were taken; returns when it wants to be called again at the
 * latest though nothing happens, or CLOCK_NEVER. */
typedef clock_ns sim_app(void *ctx, clock_ns now);

/* Once in a process: the DPDK environment and the pools. */
void sim_setup(void);
void sim_teardown(void);

struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim *s);

struct sim_host *sim_host_add(struct sim *s, const struct sim_host_config *config);
void sim_host_app(struct sim_host *h, sim_app *app, void *ctx);
struct stack *sim_host_stack(struct sim_host *h);

/* Joins two hosts; addresses are prefixes as text ("10.0.0.1/24"). Returns the interface index on
 * a. */
int sim_link(struct sim *s, struct sim_host *a, const char *a_addr, struct sim_host *b,
             const char *b_addr, const struct sim_path *a_to_b, const struct sim_path *b_to_a);

/* What a link does to the frames that `from` sends on an interface, from now on; a total loss is a
 * cable that is out. */
void sim_path_set(struct sim_host *from, unsigned iface, const struct sim_path *path);

/* What it has done to them so far. */
struct sim_path_stats {
    uint64_t sent;      /* frames the host gave it */
    uint64_t lost;      /* by chance */
    uint64_t overflown; /* because its queue was full */
    uint64_t reordered, duplicated, corrupted;
    uint64_t too_big;
    uint64_t marked; /* "congestion experienced" */
};

const struct sim_path_stats *sim_path_stats(const struct sim_host *from, unsigned iface);

/* Egress classes and rate of a host's interface from now on. */
void sim_shape(struct sim_host *h, unsigned iface, const struct scheduler_shaper_config *config);

void sim_route(struct sim_host *h, const char *to, const char *via);

/* Puts a frame as it is on the way to `to`'s interface. */
void sim_inject(struct sim *s, struct sim_host *to, unsigned iface, const void *frame,
                uint32_t len);

/* Called for every frame that a host sends, also when it is lost on the way (for tests that look at
 * the wire). NULL: none. */
typedef void sim_tap(void *ctx, const struct sim_host *from, const uint8_t *frame, uint32_t len,
                     bool lost, clock_ns now);
void sim_tap_set(struct sim *s, sim_tap *tap, void *ctx);

clock_ns sim_now(const struct sim *s);

/* Runs until done(ctx) is true (checked after each round of all hosts) or `limit` of virtual time
 * has passed from now on. Returns whether done() became true. done may be NULL: runs for `limit`.
 */
bool sim_run(struct sim *s, bool (*done)(void *ctx), void *ctx, clock_ns limit);

/* mbufs of all pools that are in use now. */
uint32_t sim_mbufs_in_use(void);

/* A pseudo-random number below n, from the simulation's seed. */
uint32_t sim_random(struct sim *s, uint32_t n);

/* The same for streams of their own (splitmix64). */
uint64_t sim_mix(uint64_t *state);

#endif
