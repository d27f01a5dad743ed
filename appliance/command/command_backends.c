/* The servers of all backends, and which of them may have new sessions. */
#include "appliance/command/command_internal.h"
#include "appliance/servers.h"

static json_t *server_object(const struct servers_view *v)
{
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:I, s:I}", "backend", v->backend, "server",
        command_endpoint(&v->config->endpoint), "state", servers_state_name(v->state), "weight",
        (json_int_t)v->config->weight, "connections", (json_int_t)v->connections);

    if (v->ejected_for > 0)
        json_object_set_new(object, "ejected_for", command_seconds(v->ejected_for));
    command_set_table(object, &proxy_server_counter_table, &v->counters);
    return object;
}

json_t *command_backends(struct command_context *c, json_t *request)
{
    const struct snapshot *s = c->snapshots->current;
    json_t *servers = json_array();
    clock_ns now = clock_now();
    struct servers_view view;

    (void)request;
    for (unsigned b = 0; b < s->policy->backend_count; b++) {
        for (unsigned i = 0; i < s->policy->backends[b].server_count; i++) {
            servers_view(s, b, i, now, &view);
            json_array_append_new(servers, server_object(&view));
        }
    }
    return control_reply_ok(json_pack("{s:o}", "servers", servers));
}

static json_t *change(struct command_context *c, json_t *request,
                      int (*apply)(const struct snapshot *, const char *, const char *,
                                   struct error *))
{
    const char *backend = command_text(request, "backend");
    const char *server = command_text(request, "server");
    struct error e = {0};

    if (apply(c->snapshots->current, backend, server, &e) < 0)
        return control_reply_error("%s", e.text);
    return control_reply_ok(json_object());
}

json_t *command_drain_server(struct command_context *c, json_t *request)
{
    return change(c, request, servers_drain);
}

json_t *command_enable_server(struct command_context *c, json_t *request)
{
    return change(c, request, servers_enable);
}
