#include "appliance/check.h"

#include <stdio.h>

#include "appliance/findings.h"
#include "appliance/snapshot.h"

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const char *path, const struct policy *p)
{
    printf("%s: configuration is valid\n", path);
    printf("%u interface%s, %u listener%s, %u certificate%s, %u backend%s, %u rule%s\n",
           p->interface_count, plural(p->interface_count), p->listener_count,
           plural(p->listener_count), p->certificate_count, plural(p->certificate_count),
           p->backend_count, plural(p->backend_count), p->rule_count, plural(p->rule_count));
}

int check_run(const char *path)
{
    struct policy_report report = {0};
    struct snapshots snapshots = {0};
    struct snapshot *s = NULL;
    struct error e = {0};
    struct cpus cpus;

    if (cpus_available(&cpus, &e) < 0)
        policy_report_add(&report, false, path, 0, 0, NULL, "%s", e.text);
    else
        s = snapshot_load(path, &cpus, time(NULL), &report);
    findings_print(stderr, &report);
    policy_report_free(&report);
    if (s == NULL)
        return 1;
    print_summary(path, s->policy);
    snapshots_add(&snapshots, s);
    snapshot_unref(s);
    snapshots_collect(&snapshots);
    return 0;
}
