/* The tables of keys, for each other: a file for each part of the configuration. */
#ifndef POLICY_POLICY_KEYS_H
#define POLICY_POLICY_KEYS_H

#include "policy/policy_schema.h"

#define AT(type, member)          offsetof(struct policy_##type, member)
#define LIST_AT(type, list, size) .offset = AT(type, list), .count_offset = AT(type, size)

/* Types that several parts use (policy_keys_common.c). */
extern const struct policy_type policy_keys_bool, policy_keys_duration, policy_keys_path;
extern const struct policy_type policy_keys_prefix;      /* struct ip_prefix */
extern const struct policy_type policy_keys_member;      /* the same, of either family */
extern const struct policy_type policy_keys_sni;         /* const char * */
extern const struct policy_type policy_keys_rate;        /* uint64_t, bits a second */
extern const struct policy_type policy_keys_tls_version; /* uint16_t */
extern const struct policy_type policy_keys_alpn;        /* a list in wire form */
extern const struct policy_type policy_keys_protocol;    /* const char *, a name of ALPN */
extern const struct policy_type policy_keys_rule_name;   /* const char * */
extern const struct policy_type policy_keys_class_name, policy_keys_certificate_name;

extern const struct policy_type policy_keys_interfaces, policy_keys_routes;
extern const struct policy_type policy_keys_classes;
extern const struct policy_type policy_keys_certificates, policy_keys_listeners;
extern const struct policy_type policy_keys_backends;
extern const struct policy_type policy_keys_sets, policy_keys_firewall;
extern const struct policy_type policy_keys_rules;
extern const struct policy_type policy_keys_tcp;
extern const struct policy_type policy_keys_tickets, policy_keys_control, policy_keys_metrics,
    policy_keys_session_log;

#endif
