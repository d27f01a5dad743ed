/* What only a firewall rule or a set as a whole can tell (policy_finish in policy/policy_schema.h).
 */
#ifndef POLICY_POLICY_FIREWALL_H
#define POLICY_POLICY_FIREWALL_H

#include "policy/policy_schema.h"

/* Name, protocols that follow from the other keys, and keys that contradict each other. */
policy_finish policy_firewall_rule_finish;

policy_finish policy_firewall_limit_finish;

/* Reads the set's file, if it has one (policy_set.c). */
policy_finish policy_set_finish;

#endif
