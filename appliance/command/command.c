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
static const struct control_argument server_arguments[] = {
    {"backend", CONTROL_STRING, true},
    {"server", CONTROL_STRING, true},
    {0},
};

static const struct control_argument session_arguments[] = {
    {"id", CONTROL_STRING, true},
    {0},
};
static const struct control_argument sessions_arguments[] = {
    {"after", CONTROL_NATURAL, false},
    {"listener", CONTROL_STRING, false},
    {"backend", CONTROL_STRING, false},
    {"client", CONTROL_STRING, false},
    {0},
};
static const struct control_argument set_arguments[] = {
    {"set", CONTROL_STRING, true},
    {"after", CONTROL_NATURAL, false},
    {0},
};
static const struct control_argument set_change_arguments[] = {
    {"set", CONTROL_STRING, true},
    {"prefixes", CONTROL_STRINGS, true},
    {0},
};

static const struct control_argument capture_arguments[] = {
    {"file", CONTROL_STRING, false},     {"interface", CONTROL_STRING, false},
    {"host", CONTROL_STRING, false},     {"port", CONTROL_NATURAL, false},
    {"session", CONTROL_STRING, false},  {"count", CONTROL_NATURAL, false},
    {"seconds", CONTROL_NATURAL, false}, {"megabytes", CONTROL_NATURAL, false},
    {"snaplen", CONTROL_NATURAL, false}, {0},
};

static const struct command {
    const char *name;
    command_function *run;
    const struct control_argument *arguments;
} commands[] = {
    {"backends", command_backends, no_arguments},
    {"capture-start", command_capture_start, capture_arguments},
    {"capture-status", command_capture_status, no_arguments},
    {"capture-stop", command_capture_stop, no_arguments},
    {"certs", command_certs, no_arguments},
    {"classes", command_classes, no_arguments},
    {"counters", command_counters, no_arguments},
    {"drain-server", command_drain_server, server_arguments},
    {"enable-server", command_enable_server, server_arguments},
    {"firewall", command_firewall, no_arguments},
    {"log-level", command_log_level, log_level_arguments},
    {"policy", command_policy, no_arguments},
    {"reload", command_reload, no_arguments},
    {"session", command_session, session_arguments},
    {"sessions", command_sessions, sessions_arguments},
    {"set-add", command_set_add, set_change_arguments},
    {"set-delete", command_set_delete, set_change_arguments},
    {"set-list", command_set_list, set_arguments},
    {"sets", command_sets, no_arguments},
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

void command_set_table(json_t *object, const struct counter_table *table, const void *counters)
{
    for (size_t i = 0; i < table->count; i++)
        json_object_set_new(object, table->desc[i].name,
                            json_integer((json_int_t)counter_read(counters, i)));
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
