/* The rules of one listener, compiled for policy_match(). */
#ifndef POLICY_POLICY_PROGRAM_H
#define POLICY_POLICY_PROGRAM_H

#include "policy/policy_range.h"
#include "policy/policy_reader.h"

/* A rule in a chain, which keeps the rules' order. */
struct policy_link {
    const struct policy_rule *rule;
    const struct policy_range_set *sources;
    const struct policy_link *next;
};

struct policy_chain {
    struct policy_link *first, *last;
};

struct policy_program {
    struct policy_chain all;      /* every rule that can decide */
    struct policy_chain nameless; /* those of them without sni */
    struct policy_table names;    /* name to the chain of rules that name it; "*.example" is kept
                                     as ".example", which no exact name can be */
};

/*
 * Compiles all listeners' programs into the snapshot, and reports on the way what only the programs
 * show: rules that can never match, listeners without a rule, plain listeners that a rule would
 * terminate. Call when there is no error so far.
 */
void policy_program_compile(struct policy_reader *r);

#endif
