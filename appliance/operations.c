#include "appliance/operations.h"

#include "appliance/metrics_collect.h"

static int refuse(const struct policy *policy, const struct policy_mark *mark, const char *key,
                  struct error *e)
{
    return error_prefix(e, "%s:%u:%u: %s", policy->path, mark->line, mark->column, key);
}

static int open_control(struct operations *o, const struct policy *policy,
                        struct command_context *context, struct loop *loop, struct error *e)
{
    const struct control_config config = {
        .path = policy->control.socket,
        .group = policy->control.group,
        .mode = policy->control.mode,
        .handler = command_handle,
        .ctx = context,
    };

    if (config.path == NULL)
        return 0;
    o->control = control_open(&config, e);
    if (o->control == NULL)
        return refuse(policy, &policy->control.mark, "control.socket", e);
    return loop_watch(loop, control_fd(o->control), LOOP_CONTROL, e);
}

static void write_metrics(void *ctx, FILE *out)
{
    const struct operations *o = ctx;
    struct session_log_counters lines;

    metrics_collect(o->context, out);
    if (o->control != NULL)
        metrics_collect_table(out, &control_counter_table, control_counters(o->control));
    session_log_counters(o->context->session_log, &lines);
    metrics_collect_table(out, &session_log_counter_table, &lines);
    metrics_collect_table(out, &metrics_http_counter_table, metrics_http_counters(o->metrics));
}

static bool is_healthy(void *ctx)
{
    const struct operations *o = ctx;

    return !*o->context->draining;
}

static int open_metrics(struct operations *o, const struct policy *policy, struct loop *loop,
                        struct error *e)
{
    const struct metrics_http_config config = {
        .listen = policy->metrics.listen,
        .write = write_metrics,
        .healthy = is_healthy,
        .ctx = o,
    };

    if (config.listen.port == 0)
        return 0;
    o->metrics = metrics_http_open(&config, e);
    if (o->metrics == NULL)
        return refuse(policy, &policy->metrics.mark, "metrics.listen", e);
    return loop_watch(loop, metrics_http_fd(o->metrics), LOOP_METRICS, e);
}

int operations_open(struct operations *o, const struct policy *policy,
                    struct command_context *context, struct loop *loop, struct error *e)
{
    o->context = context;
    if (open_control(o, policy, context, loop, e) < 0)
        return -1;
    return open_metrics(o, policy, loop, e);
}

void operations_close(struct operations *o)
{
    if (o->context != NULL)
        captures_stop(&o->captures, o->context->workers);
    if (o->control != NULL)
        control_close(o->control);
    if (o->metrics != NULL)
        metrics_http_close(o->metrics);
    o->control = NULL;
    o->metrics = NULL;
}

void operations_run(struct operations *o, enum loop_event event, clock_ns now)
{
    if (event == LOOP_CONTROL)
        control_run(o->control, now);
    else if (event == LOOP_METRICS)
        metrics_http_run(o->metrics);
}

void operations_tick(struct operations *o, clock_ns now)
{
    captures_tick(&o->captures, o->context->workers);
    if (o->control != NULL)
        control_expire(o->control, now);
    if (o->metrics != NULL)
        metrics_http_run(o->metrics);
}
