/* Captures: started, stopped, told of. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl_command.h"

static const struct ctl_column capture_columns[] = {
    {"file", "file", NULL, false},
    {"captures", "what", NULL, false},
    {"state", "state", NULL, false},
    {"frames", "frames", NULL, false},
    {"bytes", "bytes", ctl_table_bytes, false},
    {"left out", "dropped", NULL, false},
    {0},
};

static void set_text(json_t *request, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_new(request, name, json_string(value));
}

static void set_number(json_t *request, const char *name, unsigned long value)
{
    if (value != 0)
        json_object_set_new(request, name, json_integer((json_int_t)value));
}

static json_t *start_request(const struct ctl_options *o)
{
    json_t *request = ctl_request("capture-start");

    set_text(request, "file", o->argument_count > 2 ? o->argument[2] : NULL);
    set_text(request, "interface", o->interface);
    set_text(request, "host", o->host);
    set_text(request, "session", o->session);
    set_number(request, "port", o->port);
    set_number(request, "count", o->count);
    set_number(request, "seconds", o->seconds);
    set_number(request, "megabytes", o->megabytes);
    set_number(request, "snaplen", o->snaplen);
    return request;
}

static enum ctl_status print_state(struct ctl_client *c, const struct ctl_options *o,
                                   json_t *request)
{
    json_t *result;
    enum ctl_status status = ctl_ask(c, o, request, &result);

    if (result == NULL)
        return status;
    if (json_is_string(json_object_get(result, "file")))
        ctl_table_print_one(stdout, capture_columns, result);
    else
        puts("nothing was captured yet");
    json_decref(result);
    return CTL_DONE;
}

enum ctl_status ctl_capture(struct ctl_client *c, const struct ctl_options *o)
{
    const char *verb = o->argument_count > 1 ? o->argument[1] : "status";

    if (strcmp(verb, "start") == 0)
        return print_state(c, o, start_request(o));
    if (o->argument_count <= 2 && (o->given & CTL_OPTION_CAPTURE) == 0) {
        if (strcmp(verb, "stop") == 0)
            return print_state(c, o, ctl_request("capture-stop"));
        if (strcmp(verb, "status") == 0)
            return print_state(c, o, ctl_request("capture-status"));
    }
    fputs("sluicectl: capture: expected start [FILE] [OPTION]..., stop or status\n", stderr);
    return CTL_USAGE;
}
