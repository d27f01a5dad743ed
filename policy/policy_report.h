/* What is wrong with a configuration file: every finding with its place, in the form compilers use. */
#ifndef POLICY_POLICY_REPORT_H
#define POLICY_POLICY_REPORT_H

#include <stdbool.h>

#include <stddef.h>

struct policy_finding {
    bool warning;
    char *text; /* "FILE:LINE:COLUMN: error: listeners.https.bind: expected …" */
};

/* Zero-initialise it. */
struct policy_report {
    struct policy_finding *findings;
    size_t count;
    unsigned errors, warnings;
};

/* Adds a finding. `line` 0: the file as a whole. `key` is the dotted path of the key, or NULL. */
void policy_report_add(struct policy_report *r, bool warning, const char *path, unsigned line,
                       unsigned column, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

void policy_report_free(struct policy_report *r);

#endif
