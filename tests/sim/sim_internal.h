/* What the files of the simulator share. */
#ifndef TESTS_SIM_SIM_INTERNAL_H
#define TESTS_SIM_SIM_INTERNAL_H

#include <stddef.h>

#include <rte_mbuf.h>

#include "tests/sim/sim.h"

#define SIM_MAX_HOSTS  16
#define SIM_MAX_IFACES 4

struct sim_frame {
    clock_ns at;
    uint64_t order; /* of sending: ties are delivered in this order */
    struct sim_host *to;
    unsigned iface;
    uint32_t len;
    uint8_t *bytes;
};

struct sim_port {
    struct sim_host *host, *peer;
    unsigned index, peer_index;
    struct sim_path path;
    struct sim_path_stats stats;
    struct scheduler *scheduler;
    struct scheduler_shaper *shaper;
    clock_ns busy_until; /* of the rate limit */
    uint32_t offloads;
};

struct sim_host {
    struct sim *sim;
    char name[32];
    struct stack *stack;
    struct sim_port port[SIM_MAX_IFACES];
    unsigned ports;
    uint16_t mtu;
    uint32_t offloads;
    sim_app *app;
    void *app_ctx;
    clock_ns app_deadline;
};

struct sim {
    uint64_t random;
    clock_ns now;
    uint64_t order;
    struct sim_host host[SIM_MAX_HOSTS];
    unsigned hosts;
    struct sim_frame *heap;
    size_t frames, room;
    sim_tap *tap;
    void *tap_ctx;
};

/* ---- sim_wire.c ---- */

/* One packet on the wire: waits for the rate, then takes its chances. */
void sim_wire_send(struct sim_port *p, uint8_t *bytes, uint32_t len);

/* Delivers a copy of a frame to `to` at a time. Returns the copy. */
uint8_t *sim_wire_schedule(struct sim *s, struct sim_host *to, unsigned iface, clock_ns at,
                           const uint8_t *bytes, uint32_t len);

/* The next frame to be delivered: its bytes are the caller's. There is one. */
struct sim_frame sim_wire_next(struct sim *s);

/* ---- sim_router.c ---- */

/* The next link does not take a packet: what its router has to say of it arrives at `at`. */
void sim_router_too_big(struct sim_port *p, const uint8_t *bytes, uint32_t len, clock_ns at);

/* ---- sim_device.c ---- */

/* Does in software what the stack left to the device, and sends; frees the mbuf. */
void sim_device_send(struct sim_port *p, struct rte_mbuf *m);

#endif
