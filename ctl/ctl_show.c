/* The lists that are one table each. */
#include <string.h>

#include "ctl/ctl_command.h"
#include "ctl/ctl_text.h"

static const struct ctl_column backend_columns[] = {
    {"BACKEND", "backend", NULL, false},
    {"SERVER", "server", NULL, false},
    {"STATE", "state", NULL, false},
    {"WEIGHT", "weight", NULL, true},
    {"CONNECTIONS", "connections", NULL, true},
    {"SESSIONS", "server_sessions_opened", NULL, true},
    {"CONNECT FAILURES", "server_connect_failed", NULL, true},
    {"RESETS", "server_resets", NULL, true},
    {"CHECKS FAILED", "server_checks_failed", NULL, true},
    {"SENT", "server_bytes_sent", ctl_table_bytes, true},
    {"RECEIVED", "server_bytes_received", ctl_table_bytes, true},
    {0},
};

/* backends drain|enable BACKEND SERVER */
static enum ctl_status change_server(struct ctl_client *c, const struct ctl_options *o,
                                     const char *command)
{
    json_t *result;
    enum ctl_status status = ctl_ask(c, o,
                                     json_pack("{s:s, s:s, s:s}", "command", command, "backend",
                                               o->argument[2], "server", o->argument[3]),
                                     &result);

    if (result != NULL)
        printf("%s %s %s\n", o->argument[2], o->argument[3],
               strcmp(o->argument[1], "drain") == 0
                   ? "is drained: it gets no new sessions, those that it has go on"
                   : "is enabled");
    json_decref(result);
    return status;
}

enum ctl_status ctl_show_backends(struct ctl_client *c, const struct ctl_options *o)
{
    if (o->argument_count == 1)
        return ctl_print_rows(c, o, "backends", "servers", backend_columns);
    if (o->argument_count == 4 && strcmp(o->argument[1], "drain") == 0)
        return change_server(c, o, "drain-server");
    if (o->argument_count == 4 && strcmp(o->argument[1], "enable") == 0)
        return change_server(c, o, "enable-server");
    fputs("sluicectl: backends: expected nothing more, or drain|enable BACKEND SERVER\n", stderr);
    return CTL_USAGE;
}

enum ctl_status ctl_show_certs(struct ctl_client *c, const struct ctl_options *o)
{
    static const struct ctl_column columns[] = {
        {"CERTIFICATE", "certificate", NULL, false},
        {"EXPIRES", "expires", NULL, false},
        {"DAYS LEFT", "days_left", NULL, true},
        {"LISTENERS", "listeners", NULL, false},
        {"NAMES", "names", NULL, false},
        {"CHAIN", "chain", NULL, false},
        {0},
    };

    return ctl_print_rows(c, o, "certs", "certificates", columns);
}

enum ctl_status ctl_show_policy(struct ctl_client *c, const struct ctl_options *o)
{
    static const struct ctl_column columns[] = {
        {"RULE", "rule", NULL, false},       {"HITS", "hits", NULL, true},
        {"ACTION", "action", NULL, false},   {"BACKEND", "backend", NULL, false},
        {"CLASS", "class", NULL, false},     {"LISTENER", "listener", NULL, false},
        {"SOURCES", "sources", NULL, false}, {"SERVER NAMES", "server_names", NULL, false},
        {"WHERE", "where", NULL, false},     {0},
    };

    return ctl_print_rows(c, o, "policy", "rules", columns);
}

enum ctl_status ctl_show_firewall(struct ctl_client *c, const struct ctl_options *o)
{
    static const struct ctl_column columns[] = {
        {"RULE", "rule", NULL, false},   {"PACKETS", "packets", NULL, true},
        {"BYTES", "bytes", NULL, true},  {"ACTION", "action", NULL, false},
        {"WHERE", "where", NULL, false}, {0},
    };

    return ctl_print_rows(c, o, "firewall", "rules", columns);
}

enum ctl_status ctl_show_classes(struct ctl_client *c, const struct ctl_options *o)
{
    static const struct ctl_column columns[] = {
        {"INTERFACE", "interface", NULL, false},
        {"CLASS", "class", NULL, false},
        {"FRAMES", "frames", NULL, true},
        {"BYTES", "bytes", ctl_table_bytes, true},
        {"HELD", "held", NULL, true},
        {"RATE", "rate", ctl_table_rate, true},
        {"CEILING", "ceiling", ctl_table_rate, true},
        {"PRIORITY", "priority", NULL, true},
        {"WEIGHT", "weight", NULL, true},
        {0},
    };

    return ctl_print_rows(c, o, "classes", "classes", columns);
}
