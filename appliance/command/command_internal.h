/* What the commands share. Each returns a reply, or NULL when memory is out. */
#ifndef APPLIANCE_COMMAND_COMMAND_INTERNAL_H
#define APPLIANCE_COMMAND_COMMAND_INTERNAL_H

#include "appliance/command/command.h"
#include "appliance/control/control_request.h"

typedef json_t *command_function(struct command_context *c, json_t *request);

command_function command_version;
command_function command_status;
command_function command_counters;
command_function command_certs;
command_function command_policy;
command_function command_reload;
command_function command_log_level;
command_function command_firewall;
command_function command_sets;
command_function command_set_list;
command_function command_set_add;
command_function command_set_delete;
command_function command_classes;
command_function command_capture_start;
command_function command_capture_status;
command_function command_capture_stop;
command_function command_session;
command_function command_sessions;
command_function command_backends;
command_function command_drain_server;
command_function command_enable_server;

/* "2026-11-22T03:02:01Z", or null for 0. */
json_t *command_time(time_t when);

/* "FILE:LINE:COLUMN", where a thing is written. */
json_t *command_place(const struct policy *policy, const struct policy_mark *mark);

/* "192.0.2.1:443" */
json_t *command_endpoint(const struct ip_endpoint *endpoint);

/* Seconds, with the part after the point. */
json_t *command_seconds(clock_ns duration);

/* The record of the session whose number is written so; 0, or -1 with the cause. */
int command_session_find(struct command_context *c, const char *text, struct proxy_record *out,
                         struct error *e);

/* Adds a member for each counter of a table. */
void command_set_table(json_t *object, const struct counter_table *table, const void *counters);

/* The member's value, or NULL or `fallback` where it is absent; types were checked. */
const char *command_text(json_t *request, const char *name);
uint64_t command_natural(json_t *request, const char *name, uint64_t fallback);

#endif
