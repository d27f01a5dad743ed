#include "appliance/command/command.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "appliance/command/command_internal.h"

static const struct control_argument no_arguments[] = {{0}};
static const struct control_argument log_level_arguments[] = {
    {"level", CONTROL_STRING, false},
    {0},
};

static const struct command {
    const char *name;
    command_function *run;
    const struct control_argument *arguments;
} commands[] = {
    {"certs", command_certs, no_arguments},
    {"counters", command_counters, no_arguments},
    {"log-level", command_log_level, log_level_arguments},
    {"policy", command_policy, no_arguments},
    {"reload", command_reload, no_arguments},
    {"status", command_status, no_arguments},
    {"version", command_version, no_arguments},
};

json_t *command_handle(void *ctx, const char *command, json_t *request)
{
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *found = &commands[i];
        struct error e = {0};

        if (strcmp(found->name, command) != 0)
            continue;
        if (control_request_check(request, found->arguments, &e) < 0)
            return control_reply_error("%s: %s", found->name, e.text);
        return found->run(ctx, request);
    }
    return control_reply_error("unknown command \"%.64s\"", command);
}

json_t *command_time(time_t when)
{
    char text[32];
    struct tm tm;

    if (when == 0)
        return json_null();
    gmtime_r(&when, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

json_t *command_place(const struct policy *policy, const struct policy_mark *mark)
{
    char text[PATH_MAX + 32];

    snprintf(text, sizeof text, "%s:%u:%u", policy->path, mark->line, mark->column);
    return control_string(text);
}

json_t *command_endpoint(const struct ip_endpoint *endpoint)
{
    char text[IP_TEXT_MAX];

    return json_string(ip_endpoint_format(endpoint, text));
}

json_t *command_seconds(clock_ns duration)
{
    return json_real((double)duration / (double)CLOCK_SEC);
}

const char *command_text(json_t *request, const char *name)
{
    return json_string_value(json_object_get(request, name));
}

uint64_t command_natural(json_t *request, const char *name, uint64_t fallback)
{
    const json_t *value = json_object_get(request, name);

    return value != NULL ? (uint64_t)json_integer_value(value) : fallback;
}
