/*
 * What the wire shows of a sender: which of its retransmissions were for nothing, because what they
 * carry had not been lost. No counter of the stack tells that, and the number of dropped packets
 * only bounds it: lost acknowledgements ask for no retransmission.
 */
#ifndef TESTS_SIM_SWEEP_WIRE_H
#define TESTS_SIM_SWEEP_WIRE_H

#include "tests/sim/sim.h"

#define SWEEP_WIRE_FLOWS 2

struct sweep_wire_flow {
    uint16_t port; /* the sender's; 0: none yet */
    bool began;
    uint32_t iss;
    uint64_t sent;    /* bytes of the stream, from its first on */
    uint8_t *arrives; /* a ring: bytes of which a copy was not lost */
};

struct sweep_wire {
    const struct sim_host *sender;
    struct sweep_wire_flow flow[SWEEP_WIRE_FLOWS];
    uint64_t again;    /* segments sent again */
    uint64_t needless; /* of which every byte had not been lost */
};

/* The sender's frames are looked at from now on; until sweep_wire_end() it takes the simulation's
 * tap. */
void sweep_wire_begin(struct sweep_wire *w, struct sim *s, const struct sim_host *sender);
void sweep_wire_end(struct sweep_wire *w);

#endif
