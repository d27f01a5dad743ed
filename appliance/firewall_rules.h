/*
 * The firewall of all workers: what the policy says of it, compiled once and handed to each worker,
 * the table of limits that they share, and edits of sets. The main thread's.
 */
#ifndef APPLIANCE_FIREWALL_RULES_H
#define APPLIANCE_FIREWALL_RULES_H

#include "appliance/classes.h"
#include "appliance/sets.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"
#include "base/error.h"
#include "firewall/firewall.h"
#include "policy/policy.h"

/* Without hugepages DPDK's memory is fixed at start: what rules may come to by reloads. */
#define FIREWALL_RULES_RESERVE (UINT64_C(512) << 20)

/* Zero-initialise it. */
struct firewall_rules {
    struct firewall_ruleset *current; /* in force on all workers; NULL: there are no rules */
    struct firewall_limits *limits;
    struct sets sets;
    int numa_node;
};

/* Could the rules be compiled? Adds an error to the report where not. */
void firewall_rules_check(const struct policy *policy, struct policy_report *report);

/* Compiles the first rules (of a snapshot with its classes) and makes the table of limits. Returns
 * 0, or -1. */
int firewall_rules_open(struct firewall_rules *f, const struct snapshot *first, int numa_node,
                        const uint8_t key[16], struct error *e);

/* After the workers have ended. */
void firewall_rules_close(struct firewall_rules *f);

/* Compiles a policy's rules, with the edits of its sets and the numbers of its egress classes, for
 * firewall_rules_put(). *out is NULL when it has none. Returns 0, or -1. */
int firewall_rules_compile(const struct firewall_rules *f, const struct policy *policy,
                           const struct classes *classes, struct firewall_ruleset **out,
                           struct error *e);

/* Puts a ruleset (or none: NULL) in force on all workers, or leaves the former one on all. Takes
 * over the caller's reference. Returns 0, or -1. */
int firewall_rules_put(struct firewall_rules *f, struct workers *workers,
                       struct firewall_ruleset *next, struct error *e);

/*
 * Adds prefixes to a set of the running process or deletes them, on all workers or on none. Returns
 * 0, or -1: there is no such set, or memory is out. What was there already, or was not there, is
 * told in *out and is no error.
 */
int firewall_rules_edit(struct firewall_rules *f, struct workers *workers,
                        const struct policy *policy, const char *set, bool add,
                        const struct ip_prefix *prefixes, unsigned count, struct sets_outcome *out,
                        struct error *e);

/* What all workers have counted for policy->firewall.rules[rule]; `rule` the number of rules: for
 * the default. */
void firewall_rules_hits(const struct workers *workers, unsigned rule, struct firewall_hits *out);

#endif
