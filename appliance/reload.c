#include "appliance/reload.h"

#include "appliance/findings.h"
#include "appliance/rollout.h"
#include "base/log.h"

static int prepare_log(struct session_log *log, const struct policy *policy,
                       struct policy_report *report)
{
    const struct policy_mark *mark = &policy->session_log.mark;
    struct error e = {0};

    if (session_log_prepare(log, &policy->session_log, &e) == 0)
        return 0;
    policy_report_add(report, false, policy->path, mark->line, mark->column, "session-log.file",
                      "%s", e.text);
    return -1;
}

/* A snapshot that may take the place of the current one in this process, or NULL with findings. */
static struct snapshot *reload_load(const char *path, const struct reload_parts *parts,
                                    struct policy_report *report)
{
    struct snapshot *next = snapshot_load(path, parts->available, time(NULL), report);

    if (next == NULL)
        return NULL;
    snapshots_add(parts->snapshots, next);
    if (policy_reloadable(parts->snapshots->current->policy, next->policy, report) == 0 &&
        prepare_log(parts->log, next->policy, report) == 0)
        return next;
    snapshot_unref(next);
    return NULL;
}

/* The firewall goes first, as it is the part that goes back at no cost. */
static int put_in_force(const struct reload_parts *parts, struct snapshot *next,
                        struct firewall_ruleset *rules, struct error *e)
{
    struct firewall_ruleset *former = parts->firewall->current;
    struct error back = {0};

    if (former != NULL)
        firewall_ruleset_ref(former);
    if (firewall_rules_put(parts->firewall, parts->workers, rules, e) < 0) {
        firewall_ruleset_unref(former);
        return -1;
    }
    if (rollout(parts->workers, next, parts->snapshots->current, e) == 0) {
        firewall_ruleset_unref(former);
        return 0;
    }
    if (firewall_rules_put(parts->firewall, parts->workers, former, &back) < 0)
        log_error("reload", "cannot go back to the former firewall: %s", back.text);
    return -1;
}

static int reload_apply(const struct reload_parts *parts, struct snapshot *next, struct error *e)
{
    struct snapshots *snapshots = parts->snapshots;
    struct firewall_ruleset *rules;

    if (snapshot_classes(next, snapshots->current, clock_now(), e) < 0 ||
        servers_attach(&snapshots->servers, next, e) < 0 ||
        firewall_rules_compile(parts->firewall, next->policy, next->classes, &rules, e) < 0 ||
        put_in_force(parts, next, rules, e) < 0) {
        snapshot_unref(next);
        log_error("reload", "failed: %s; the former configuration stays in force", e->text);
        return -1;
    }
    snapshots_replace(snapshots, next);
    servers_settle(&snapshots->servers, next);
    sets_prune(&parts->firewall->sets, next->policy);
    log_info("reload", "%s is in force", next->policy->path);
    return 0;
}

int reload(const char *path, const struct reload_parts *parts, struct policy_report *report,
           struct error *e)
{
    struct snapshot *next = reload_load(path, parts, report);

    findings_log(report);
    if (next != NULL && reload_apply(parts, next, e) == 0) {
        session_log_commit(parts->log);
        return 0;
    }
    session_log_discard(parts->log);
    if (next != NULL)
        return -1;
    log_error("reload", "refused with %u error%s; the former configuration stays in force",
              report->errors, report->errors == 1 ? "" : "s");
    return error_set(e, "%s is refused with %u error%s", path, report->errors,
                     report->errors == 1 ? "" : "s");
}
