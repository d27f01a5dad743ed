/* The findings of a check, for whoever started it. */
#ifndef APPLIANCE_FINDINGS_H
#define APPLIANCE_FINDINGS_H

#include <stdio.h>

#include "policy/policy_report.h"

/* One log line a finding. */
void findings_log(const struct policy_report *report);

/* One line a finding, in the form compilers use. */
void findings_print(FILE *out, const struct policy_report *report);

#endif
