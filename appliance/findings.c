#include "appliance/findings.h"

#include "base/log.h"

void findings_log(const struct policy_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct policy_finding *f = &report->findings[i];

        if (f->warning)
            log_warn("config", "%s", f->text);
        else
            log_error("config", "%s", f->text);
    }
}

void findings_print(FILE *out, const struct policy_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        fprintf(out, "%s\n", report->findings[i].text);
}
