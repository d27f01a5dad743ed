/*
 * How often each rule of the policy decided, by its name. Every worker's part of every snapshot has
 * counters of its own (proxy_snapshot.rule_hits), which go with it; what they came to is kept here,
 * so that a rule's figure goes on over reloads as long as there is a rule of that name.
 *
 * One thread at a time; zero-initialise it.
 */
#ifndef APPLIANCE_RULE_HITS_H
#define APPLIANCE_RULE_HITS_H

#include <stdint.h>

#include "policy/policy.h"

struct rule_hits {
    void *tree; /* tsearch(3) */
};

/* Adds the counters of a policy's rules, which may be counting meanwhile. */
void rule_hits_add(struct rule_hits *h, const struct policy *policy, const uint64_t *counters);

/* Adds all of `more`. */
void rule_hits_merge(struct rule_hits *h, const struct rule_hits *more);

uint64_t rule_hits_of(const struct rule_hits *h, const char *rule);

/* Forgets the rules that the policy does not have. */
void rule_hits_prune(struct rule_hits *h, const struct policy *policy);

void rule_hits_free(struct rule_hits *h);

#endif
