/* The commands of sluicectl: each asks the daemon and prints what it says. */
#ifndef CTL_CTL_COMMAND_H
#define CTL_CTL_COMMAND_H

#include "ctl/ctl_client.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_table.h"

typedef enum ctl_status ctl_command(struct ctl_client *c, const struct ctl_options *o);

/* ctl_status.c */
ctl_command ctl_status_show, ctl_status_version, ctl_status_reload, ctl_status_log_level;
/* ctl_top.c */
ctl_command ctl_top;
/* ctl_sessions.c */
ctl_command ctl_sessions;
/* ctl_capture.c */
ctl_command ctl_capture;
/* ctl_show.c: lists */
ctl_command ctl_show_backends, ctl_show_certs, ctl_show_policy, ctl_show_firewall, ctl_show_classes;
/* ctl_set.c */
ctl_command ctl_set;

/* ---- ctl_command.c ---- */

/* {"command": NAME} */
json_t *ctl_request(const char *name);

/* Prints the JSON value and gives up its reference. */
void ctl_print_json(json_t *value);

/* ctl_client_ask(), and prints the result where JSON is wanted. *result is what is left for the
 * command to show, or NULL. */
enum ctl_status ctl_ask(struct ctl_client *c, const struct ctl_options *o, json_t *request,
                        json_t **result);

/* Asks for NAME and prints the rows under `key` as a table, or all as JSON. */
enum ctl_status ctl_print_rows(struct ctl_client *c, const struct ctl_options *o, const char *name,
                               const char *key, const struct ctl_column *columns);

#endif
