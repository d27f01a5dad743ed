/* status, version, reload, log-level. */
#include "ctl/ctl_command.h"
#include "ctl/ctl_text.h"

static const struct ctl_column summary_columns[] = {
    {"version", "version", NULL, false},
    {"uptime", "uptime", ctl_table_duration, false},
    {"draining", "draining", NULL, false},
    {"sessions", "sessions", NULL, false},
    {"connections", "connections", NULL, false},
    {"configuration", "file", NULL, false},
    {"in force since", "loaded", NULL, false},
    {"last reload", "last_reload", NULL, false},
    {0},
};

static const struct ctl_column worker_columns[] = {
    {"WORKER", "worker", NULL, true},
    {"CPU", "cpu", NULL, true},
    {"BUSY", "busy", ctl_table_percent, true},
    {"SESSIONS", "sessions", NULL, true},
    {"CONNECTIONS", "connections", NULL, true},
    {"OF", "connections_max", NULL, true},
    {"BUFFERS", "buffers", NULL, true},
    {"OF", "buffers_max", NULL, true},
    {0},
};

static const struct ctl_column port_columns[] = {
    {"INTERFACE", "interface", NULL, false},
    {"LINK", "link", NULL, false},
    {"DRIVER", "driver", NULL, false},
    {"MAC", "mac", NULL, false},
    {"VLAN", "vlan", NULL, true},
    {"MTU", "mtu", NULL, true},
    {"QUEUES", "queues", NULL, true},
    {"RX PACKETS", "io_rx_packets", NULL, true},
    {"RX BYTES", "io_rx_bytes", ctl_table_bytes, true},
    {"TX PACKETS", "io_tx_packets", NULL, true},
    {"TX BYTES", "io_tx_bytes", ctl_table_bytes, true},
    {"MISSED", "io_rx_missed", NULL, true},
    {"TX ERRORS", "io_tx_errors", NULL, true},
    {0},
};

/* The outcome as one text; NULL where nothing was reloaded yet. */
static json_t *last_reload(const json_t *reload)
{
    const char *error = json_string_value(json_object_get(reload, "error"));

    if (!json_is_object(reload))
        return NULL;
    return json_sprintf("%s, %s%s", json_string_value(json_object_get(reload, "time")),
                        error != NULL ? "refused: " : "taken", error != NULL ? error : "");
}

/* One block of lines, of what the reply has at two places. */
static void print_summary(json_t *status)
{
    const json_t *configuration = json_object_get(status, "configuration");
    json_t *reload = last_reload(json_object_get(configuration, "last_reload"));

    json_object_set(status, "file", json_object_get(configuration, "file"));
    json_object_set(status, "loaded", json_object_get(configuration, "loaded"));
    if (reload != NULL)
        json_object_set_new(status, "last_reload", reload);
    ctl_table_print_one(stdout, summary_columns, status);
}

enum ctl_status ctl_status_show(struct ctl_client *c, const struct ctl_options *o)
{
    json_t *result;
    enum ctl_status status = ctl_ask(c, o, ctl_request("status"), &result);

    if (result == NULL)
        return status;
    print_summary(result);
    putchar('\n');
    ctl_table_print(stdout, worker_columns, json_object_get(result, "workers"));
    putchar('\n');
    ctl_table_print(stdout, port_columns, json_object_get(result, "ports"));
    json_decref(result);
    return CTL_DONE;
}

/* Asks, and prints the string under `key` alone. */
static enum ctl_status print_text(struct ctl_client *c, const struct ctl_options *o,
                                  json_t *request, const char *key)
{
    json_t *result;
    enum ctl_status status = ctl_ask(c, o, request, &result);

    if (result == NULL)
        return status;
    ctl_text_line(stdout, json_string_value(json_object_get(result, key)));
    json_decref(result);
    return CTL_DONE;
}

enum ctl_status ctl_status_version(struct ctl_client *c, const struct ctl_options *o)
{
    return print_text(c, o, ctl_request("version"), "version");
}

enum ctl_status ctl_status_log_level(struct ctl_client *c, const struct ctl_options *o)
{
    json_t *request = ctl_request("log-level");

    if (o->argument_count > 1)
        json_object_set_new(request, "level", json_string(o->argument[1]));
    return print_text(c, o, request, "level");
}

enum ctl_status ctl_status_reload(struct ctl_client *c, const struct ctl_options *o)
{
    json_t *result, *finding;
    size_t i;
    enum ctl_status status = ctl_ask(c, o, ctl_request("reload"), &result);

    if (result == NULL)
        return status;
    json_array_foreach (json_object_get(result, "findings"), i, finding)
        ctl_text_line(stderr, json_string_value(finding));
    puts("the configuration in the file is in force");
    json_decref(result);
    return CTL_DONE;
}
