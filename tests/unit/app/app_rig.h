/*
 * Two hosts of the simulator, each with a channel: a (10.0.0.1) and b (10.0.0.2). The simulator
 * runs in a thread of its own, as stack threads do; the test plays the programs.
 */
#ifndef TESTS_UNIT_APP_APP_RIG_H
#define TESTS_UNIT_APP_APP_RIG_H

#include "app/app_internal.h"
#include "tests/sim/sim.h"
#include "tests/unit/support/test_unit.h"

struct rig;

/* For cmocka_run_group_tests(). */
int rig_group_setup(void **state);
int rig_group_teardown(void **state);

/* Either may be NULL. The link loses `loss` parts of a million. */
struct rig *rig_start(const struct app_channel_config *a, const struct app_channel_config *b,
                      uint32_t loss);
/* Detaches what is attached still; fails the test when an mbuf or a connection is left. */
void rig_stop(struct rig *r);

struct app_channel *rig_a(struct rig *r);
struct app_channel *rig_b(struct rig *r);

struct ip_endpoint rig_endpoint(const char *text);

/* Waits until the descriptor is ready for one of `events`; fails the test after 20 s. */
uint32_t rig_wait(struct app_channel *c, int fd, uint32_t events);

/* A connection from a to b's listener: both ends. */
void rig_connect(struct rig *r, int listener, int *a_end, int *b_end);

/* The byte at a position of the stream that tests send. */
uint8_t rig_byte(uint64_t position);

/* Keeps the stack threads from doing anything until rig_resume(). */
void rig_pause(struct rig *r);
void rig_resume(struct rig *r);

#endif
