/*
 * How many of each thing a worker gets, decided together from the configuration's limits, so that
 * no pool can run dry because another is full.
 */
#ifndef APPLIANCE_MEMORY_H
#define APPLIANCE_MEMORY_H

#include <stdint.h>

#include "policy/policy.h"

struct memory_plan {
    uint32_t connections; /* control blocks a worker: limits.connections */
    uint32_t sessions;    /* a session owns up to two connections */
    uint32_t buffers;     /* mbufs that a worker's connections may hold: limits.buffer-memory */
    uint32_t data_mbufs;  /* a worker's data pool */
    uint64_t data_bytes;  /* of all workers' data pools together */
};

/* mbufs that the fragments of unfinished packets may hold, a worker. */
#define MEMORY_FRAGMENT_BUFFERS 1024

/* Bytes of RAM, all of the machine's. */
uint64_t memory_of_machine(void);

void memory_plan(const struct policy_limits *limits, unsigned workers, unsigned ports,
                 struct memory_plan *out);

#endif
