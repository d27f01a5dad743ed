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
static struct snapshot *reload_load(const char *path, const struct cpus *available,
                                    struct snapshots *snapshots, struct session_log *log,
                                    struct policy_report *report)
{
    struct snapshot *next = snapshot_load(path, available, time(NULL), report);

    if (next == NULL)
        return NULL;
    snapshots_add(snapshots, next);
    if (policy_reloadable(snapshots->current->policy, next->policy, report) == 0 &&
        prepare_log(log, next->policy, report) == 0)
        return next;
    snapshot_unref(next);
    return NULL;
}

static int reload_apply(struct snapshot *next, struct workers *workers, struct snapshots *snapshots,
                        struct error *e)
{
    if (snapshot_classes(next, snapshots->current, clock_now(), e) < 0 ||
        servers_attach(&snapshots->servers, next, e) < 0 ||
        rollout(workers, next, snapshots->current, e) < 0) {
        snapshot_unref(next);
        log_error("reload", "failed: %s; the former configuration stays in force", e->text);
        return -1;
    }
    snapshots_replace(snapshots, next);
    servers_settle(&snapshots->servers, next);
    log_info("reload", "%s is in force", next->policy->path);
    return 0;
}

int reload(const char *path, struct workers *workers, const struct cpus *available,
           struct snapshots *snapshots, struct session_log *log, struct policy_report *report,
           struct error *e)
{
    struct snapshot *next = reload_load(path, available, snapshots, log, report);

    findings_log(report);
    if (next != NULL && reload_apply(next, workers, snapshots, e) == 0) {
        session_log_commit(log);
        return 0;
    }
    session_log_discard(log);
    if (next != NULL)
        return -1;
    log_error("reload", "refused with %u error%s; the former configuration stays in force",
              report->errors, report->errors == 1 ? "" : "s");
    return error_set(e, "%s is refused with %u error%s", path, report->errors,
                     report->errors == 1 ? "" : "s");
}
