#include "appliance/operations.h"

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

int operations_open(struct operations *o, const struct policy *policy,
                    struct command_context *context, struct loop *loop, struct error *e)
{
    return open_control(o, policy, context, loop, e);
}

void operations_close(struct operations *o)
{
    if (o->control != NULL)
        control_close(o->control);
    o->control = NULL;
}

void operations_run(struct operations *o, enum loop_event event, clock_ns now)
{
    if (event == LOOP_CONTROL)
        control_run(o->control, now);
}

void operations_tick(struct operations *o, clock_ns now)
{
    if (o->control != NULL)
        control_expire(o->control, now);
}
