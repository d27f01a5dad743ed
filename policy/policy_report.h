/* What is wrong with a configuration file: every finding with its place, in the form compilers use.
 */
#ifndef POLICY_POLICY_REPORT_H
#define POLICY_POLICY_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct policy_finding {
    bool warning;
    unsigned file; /* those of one file have one number, in the order of their first finding */
    unsigned line, column; /* from 1; 0: the file as a whole */
    size_t path_len;       /* of the file's name, with which the text begins */
    char *text;            /* "FILE:LINE:COLUMN: error: listeners.https.bind: expected …" */
};

#define POLICY_REPORT_MAX 1000 /* findings kept; a last one tells that there are more */

/* Zero-initialise it. */
struct policy_report {
    struct policy_finding *findings;
    size_t count;
    unsigned errors, warnings; /* those not kept are counted too */
};

/*
 * Adds a finding. `line` 0: the file as a whole. `key` is the dotted path of the key, or NULL.
 * Control characters in the text become '?'. When memory is out the finding is counted, not kept.
 */
void policy_report_add(struct policy_report *r, bool warning, const char *path, unsigned line,
                       unsigned column, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* Puts the findings from index `from` on into the order of their files and lines. */
void policy_report_sort(struct policy_report *r, size_t from);

void policy_report_free(struct policy_report *r);

#endif
