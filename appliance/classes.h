/*
 * The policy's egress classes as the scheduler has them: a number for each, and a shaper for each
 * interface. A number stays with its name over reloads, because sessions and labels of packets
 * carry it.
 */
#ifndef APPLIANCE_CLASSES_H
#define APPLIANCE_CLASSES_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "policy/policy.h"
#include "scheduler/scheduler.h"
#include "stack/stack.h"

struct classes {
    char *name[EGRESS_CLASSES];     /* by number, those of former policies too; NULL: free */
    bool present[EGRESS_CLASSES];   /* by number: in this policy, or the default */
    uint8_t number[EGRESS_CLASSES]; /* by policy_class.index */
    unsigned count;                 /* numbers in use: from 0 to count - 1 */
    struct scheduler_shaper *shaper[STACK_MAX_IFACES]; /* by interface; NULL: nothing to share */
};

/* `former`: whose numbers go on; NULL at the start. Returns NULL with the cause. */
struct classes *classes_create(const struct policy *policy, const struct classes *former,
                               clock_ns now, struct error *e);

/* No scheduler uses its shapers any more. NULL is allowed. */
void classes_free(struct classes *c);

/* The number of a class of the policy that `c` was made of; 0 for NULL. */
uint8_t classes_number(const struct classes *c, const struct policy_class *of);

#endif
