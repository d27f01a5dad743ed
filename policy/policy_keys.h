/* The tables of keys, for each other: a file for each part of the configuration. */
#ifndef POLICY_POLICY_KEYS_H
#define POLICY_POLICY_KEYS_H

#include "policy/policy_schema.h"

#define AT(type, member)          offsetof(struct policy_##type, member)
#define LIST_AT(type, list, size) .offset = AT(type, list), .count_offset = AT(type, size)

extern const struct policy_type policy_keys_duration;

extern const struct policy_type policy_keys_interfaces, policy_keys_routes;
extern const struct policy_type policy_keys_certificates, policy_keys_backends;
extern const struct policy_type policy_keys_listeners;
extern const struct policy_type policy_keys_rules;

#endif
