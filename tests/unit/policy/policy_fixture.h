/* What the tests of policy/ share: text in, findings or a snapshot out. */
#ifndef TESTS_UNIT_POLICY_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_POLICY_FIXTURE_H

#include <string.h>

#include "tests/unit/support/test_unit.h"

#include "policy/policy.h"

#define FINDINGS_MAX 16

/* A configuration and all of its findings, in order, without "t.yaml:" before each. None: accepted.
 */
struct policy_case {
    const char *name, *text;
    const char *findings[FINDINGS_MAX];
};

/* Runs all cases, prints what was found where it is not what a case says, and fails then. */
void policy_cases_run(const struct policy_case *cases, size_t count);

#define POLICY_CASES_RUN(cases) policy_cases_run(cases, sizeof(cases) / sizeof(cases)[0])

/* Parses text that must have no finding. Free it with policy_free(). */
struct policy *policy_good(const char *text);

/* Parts for configurations, by lines: 3, 2, 3, 2. Backend and listener are used by the rule. */
#define INTERFACES                                                      \
    "interfaces:\n"                                                     \
    "  outside: {device: {kernel: eth1}, addresses: [192.0.2.10/24]}\n" \
    "  inside: {device: {kernel: eth2}, addresses: [10.0.0.1/24]}\n"
#define BACKENDS  \
    "backends:\n" \
    "  web: {servers: [10.0.0.11:8080]}\n"
#define CERTIFICATES                             \
    "certificates:\n"                            \
    "  shop: {chain: shop.crt, key: shop.key}\n" \
    "  blog: {chain: blog.crt, key: blog.key}\n"
#define PLAIN      \
    "listeners:\n" \
    "  plain: {bind: 192.0.2.10:80}\n"
#define SPLICE  \
    "policy:\n" \
    "  - {action: splice, backend: web}\n"

#define BASE INTERFACES BACKENDS PLAIN SPLICE /* 9 lines */

#endif
