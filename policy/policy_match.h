/* What parts of a rule say of a connection. */
#ifndef POLICY_POLICY_MATCH_H
#define POLICY_POLICY_MATCH_H

#include "policy/policy.h"

/* Does the rule match by anything in the ClientHello? */
bool policy_match_needs_hello(const struct policy_rule *rule);

/* For a ClientHello that is known; what the rule does not ask for matches. */
bool policy_match_alpn(const struct policy_rule *rule, const struct policy_facts *facts);
bool policy_match_version(const struct policy_rule *rule, const struct policy_facts *facts);

#endif
