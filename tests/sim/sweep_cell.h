/*
 * A cell of the sweep: one path, one size of buffers, one transfer, drawn by a seed; and what may
 * be expected of a good TCP on it, derived from the path alone.
 */
#ifndef TESTS_SIM_SWEEP_CELL_H
#define TESTS_SIM_SWEEP_CELL_H

#include "tests/sim/sim.h"

#define SWEEP_SEGMENT 1448 /* bytes of payload that Ethernet takes with timestamps */

struct sweep_cell {
    bool ipv6;
    struct sim_path there, back;          /* data; its acknowledgements */
    uint32_t receive_buffer, send_buffer; /* 0: they grow by themselves */
    uint64_t bytes;                       /* of the transfer */
    unsigned flows;                       /* 1, or 2 that share the path */
    clock_ns warm_up, measured;           /* two flows: how long they run */
};

/* One flow that transfers `bytes`. */
struct sweep_cell sweep_cell_transfer(struct sim *s);

/* Two flows without an end, for as long as they need to find their shares. */
struct sweep_cell sweep_cell_fair(struct sim *s);

/* The round trip with empty queues, and with full ones. */
clock_ns sweep_cell_rtt_min(const struct sweep_cell *c);
clock_ns sweep_cell_rtt_max(const struct sweep_cell *c);

/* The longest time in which chance may keep the receiver from getting on: as many timeouts one
 * after the other as are to be expected once in a million transfers. */
clock_ns sweep_cell_stall(const struct sweep_cell *c);

/* So few segments in flight that a loss, or one that comes late, often leaves nothing behind it
 * that could tell: then every one may cost a timeout. */
bool sweep_cell_narrow(const struct sweep_cell *c);

/* How long the transfer may take: the handshake, slow start, and then the bytes at the rate of the
 * link, of the buffers, or of the TCP throughput equation (RFC 5348, 3.1), whichever is least. */
clock_ns sweep_cell_time(const struct sweep_cell *c);

/* One line for people. */
void sweep_cell_print(const struct sweep_cell *c);

#endif
