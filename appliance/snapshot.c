#include "appliance/snapshot.h"

#include <assert.h>
#include <grp.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/certificates.h"
#include "appliance/firewall_rules.h"
#include "appliance/memory.h"
#include "appliance/ports.h"

static void check_workers(const struct policy *policy, const struct cpus *available,
                          struct policy_report *report)
{
    const struct policy_mark *mark = &policy->workers_mark;
    char text[256], key[32];

    if (policy->worker_count > CPUS_WORKERS_MAX) {
        policy_report_add(report, false, policy->path, mark->line, mark->column, "workers",
                          "expected at most %d workers", CPUS_WORKERS_MAX);
    }
    for (unsigned i = 0; i < policy->worker_count; i++) {
        if (cpus_contain(available, policy->workers[i]))
            continue;
        snprintf(key, sizeof key, "workers[%u]", i);
        policy_report_add(report, false, policy->path, mark->line, mark->column, key,
                          "there is no CPU %u for this process; expected CPUs of %s",
                          policy->workers[i], cpus_format(available, text, sizeof text));
    }
}

/* A warning only: the file may be written on one machine for another, or before the interface. */
static void check_devices(const struct policy *policy, struct policy_report *report)
{
    for (unsigned i = 0; i < policy->interface_count; i++) {
        const struct policy_interface *f = &policy->interfaces[i];
        char key[256];

        if (f->device_kind != POLICY_DEVICE_KERNEL && f->device_kind != POLICY_DEVICE_AF_PACKET)
            continue;
        if (if_nametoindex(f->device) != 0)
            continue;
        snprintf(key, sizeof key, "interfaces.%s.device", f->name);
        policy_report_add(report, true, policy->path, f->device_mark.line, f->device_mark.column,
                          key, "there is no network interface \"%s\" here at present", f->device);
    }
}

/* A warning for the same reason; the start itself fails. */
static void check_group(const struct policy *policy, struct policy_report *report)
{
    const struct policy_control *control = &policy->control;

    if (control->group != NULL && getgrnam(control->group) == NULL)
        policy_report_add(report, true, policy->path, control->mark.line, control->mark.column,
                          "control.group", "there is no group \"%s\" here at present",
                          control->group);
}

/* More than there is at all: the environment would say so in its own words, at the start only. */
static void check_memory(const struct policy *policy, const struct cpus *available,
                         struct policy_report *report)
{
    const struct policy_mark *mark = &policy->limits.buffer_memory_mark;
    unsigned workers = policy->worker_count;
    struct memory_plan plan;
    struct cpus cpus;
    uint64_t needed, present = memory_of_machine();

    if (workers == 0) {
        cpus_default_workers(available, &cpus);
        workers = cpus.count;
    }
    memory_plan(&policy->limits, workers, policy->interface_count, &plan);
    needed = plan.data_bytes + ports_memory(policy, workers, &plan);
    if (needed <= present)
        return;
    policy_report_add(report, false, policy->path, mark->line, mark->column, "limits.buffer-memory",
                      "the buffers of %u worker%s and %u interface%s take %" PRIu64
                      " MiB, and this machine has %" PRIu64 " MiB",
                      workers, workers == 1 ? "" : "s", policy->interface_count,
                      policy->interface_count == 1 ? "" : "s", needed >> 20, present >> 20);
}

static void load_ticket_secret(struct snapshot *s, struct policy_report *report)
{
    const struct policy_tickets *t = &s->policy->tickets;
    struct error e = {0};

    if (t->secret_file == NULL)
        return;
    s->shared_tickets = true;
    if (tls_ticket_secret_load(t->secret_file, s->ticket_secret, &e) != 0)
        policy_report_add(report, false, s->policy->path, t->secret_mark.line,
                          t->secret_mark.column, "tickets.secret-file", "%s", e.text);
}

static void snapshot_free(struct snapshot *s)
{
    servers_detach(s);
    classes_free(s->classes);
    certificates_free(s->certificates, s->policy->certificate_count);
    trust_free(&s->trust);
    explicit_bzero(s->ticket_secret, sizeof s->ticket_secret);
    policy_free(s->policy);
    free(s);
}

struct snapshot *snapshot_load(const char *path, const struct cpus *available, time_t now,
                               struct policy_report *report)
{
    struct snapshot *s = calloc(1, sizeof *s);

    if (s == NULL) {
        policy_report_add(report, false, path, 0, 0, NULL, "out of memory");
        return NULL;
    }
    s->policy = policy_load(path, report);
    if (s->policy == NULL) {
        free(s);
        return NULL;
    }
    check_workers(s->policy, available, report);
    check_devices(s->policy, report);
    check_group(s->policy, report);
    check_memory(s->policy, available, report);
    s->certificates = certificates_load(s->policy, now, report);
    trust_load(&s->trust, s->policy, report);
    load_ticket_secret(s, report);
    firewall_rules_check(s->policy, report);
    policy_report_sort(report, 0);
    if (report->errors > 0) {
        snapshot_free(s);
        return NULL;
    }
    atomic_init(&s->references, 1);
    return s;
}

int snapshot_classes(struct snapshot *s, const struct snapshot *former, clock_ns now,
                     struct error *e)
{
    s->classes = classes_create(s->policy, former != NULL ? former->classes : NULL, now, e);
    return s->classes != NULL ? 0 : -1;
}

void snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void snapshot_unref(struct snapshot *s)
{
    unsigned before = atomic_fetch_sub_explicit(&s->references, 1, memory_order_release);

    assert(before > 0);
    (void)before;
}

void snapshots_add(struct snapshots *all, struct snapshot *s)
{
    s->next = all->living;
    all->living = s;
}

void snapshots_replace(struct snapshots *all, struct snapshot *s)
{
    if (all->current != NULL)
        snapshot_unref(all->current);
    all->current = s;
}

void snapshots_collect(struct snapshots *all)
{
    struct snapshot **link = &all->living, *s;

    while ((s = *link) != NULL) {
        if (atomic_load_explicit(&s->references, memory_order_acquire) > 0) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        snapshot_free(s);
    }
}
