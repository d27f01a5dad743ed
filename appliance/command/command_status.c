/* What is going on: status, version, and all counters. */
#include "appliance/command/command_internal.h"
#include "appliance/figures.h"

json_t *command_version(struct command_context *c, json_t *request)
{
    (void)c;
    (void)request;
    return control_reply_ok(json_pack("{s:s}", "version", SLUICE_VERSION));
}

static json_t *worker_object(const struct command_context *c, const struct worker *w)
{
    const struct load_worker *load = &c->load->worker[w->config.index];
    struct stack_usage usage;

    stack_usage(w->stack, &usage);
    return json_pack("{s:I, s:I, s:f, s:o, s:I, s:I, s:I, s:I, s:I}", "worker",
                     (json_int_t)w->config.index, "cpu", (json_int_t)w->config.cpu, "busy",
                     load->busy, "cpu_seconds", command_seconds(load->cpu_time), "sessions",
                     (json_int_t)proxy_session_count(w->proxy), "connections",
                     (json_int_t)usage.connections_used, "connections_max",
                     (json_int_t)usage.connections_max, "buffers", (json_int_t)usage.buffers_used,
                     "buffers_max", (json_int_t)usage.buffers_max);
}

static json_t *mac_string(const uint8_t mac[6])
{
    return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                        mac[5]);
}

/* Sums over the workers; of a device that several interfaces share, for its owner alone. */
static void port_counters(const struct command_context *c, unsigned port, struct io_counters *sum)
{
    const uint64_t *from;
    uint64_t *to = (uint64_t *)sum;
    struct io_counters of_worker;

    *sum = (struct io_counters){0};
    for (unsigned i = 0; i < c->workers->count && c->ports->port[port].device == port; i++) {
        of_worker = (struct io_counters){0};
        io_port_counters(c->ports->port[port].io, i, &of_worker);
        from = (const uint64_t *)&of_worker;
        for (size_t k = 0; k < io_counter_table.count; k++)
            to[k] += from[k];
    }
}

static json_t *port_object(const struct command_context *c, unsigned index)
{
    const struct port *p = &c->ports->port[index];
    json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "interface", p->name,
                               "driver", p->facts.driver, "link", p->link_up ? "up" : "down", "mac",
                               mac_string(p->facts.mac), "vlan", (json_int_t)p->vlan, "mtu",
                               (json_int_t)p->mtu, "queues", (json_int_t)p->facts.queues);
    struct io_counters sum;

    port_counters(c, index, &sum);
    command_set_table(object, &io_counter_table, &sum);
    return object;
}

static json_t *reload_object(const struct command_reload *r)
{
    if (r->when == 0)
        return json_null();
    return json_pack("{s:o, s:b, s:o*}", "time", command_time(r->when), "ok", (int)r->ok, "error",
                     r->ok ? NULL : control_string(r->error.text));
}

static json_t *configuration_object(const struct command_context *c)
{
    return json_pack("{s:o, s:o, s:o}", "file", control_string(c->path), "loaded",
                     command_time(c->loaded), "last_reload", reload_object(c->reloaded));
}

json_t *command_status(struct command_context *c, json_t *request)
{
    json_t *workers = json_array(), *ports = json_array();

    (void)request;
    for (unsigned i = 0; i < c->workers->count; i++)
        json_array_append_new(workers, worker_object(c, &c->workers->worker[i]));
    for (unsigned i = 0; i < c->ports->count; i++)
        json_array_append_new(ports, port_object(c, i));
    return control_reply_ok(
        json_pack("{s:s, s:o, s:b, s:o, s:I, s:I, s:o, s:o}", "version", SLUICE_VERSION, "uptime",
                  command_seconds(clock_now() - c->started), "draining", (int)*c->draining,
                  "configuration", configuration_object(c), "sessions",
                  (json_int_t)workers_sessions(c->workers), "connections",
                  (json_int_t)workers_connections(c->workers), "workers", workers, "ports", ports));
}

static json_t *port_figures(const struct worker *w, unsigned port)
{
    union figures_port_scratch scratch;
    json_t *object = json_object();

    for (const struct figures_port_table *t = figures_port_tables; t->table != NULL; t++)
        command_set_table(object, t->table, t->of(w, port, &scratch));
    return object;
}

static json_t *worker_figures(const struct command_context *c, const struct worker *w)
{
    json_t *figures = json_object(), *ports = json_object();

    for (const struct figures_table *t = figures_tables; t->table != NULL; t++)
        command_set_table(figures, t->table, t->of(w));
    for (const struct figures_gauge *g = figures_gauges; g->name != NULL; g++)
        json_object_set_new(figures, g->name, json_integer((json_int_t)g->of(w)));
    for (unsigned i = 0; i < c->ports->count; i++)
        json_object_set_new(ports, c->ports->port[i].name, port_figures(w, i));
    return json_pack("{s:I, s:I, s:f, s:o, s:o}", "worker", (json_int_t)w->config.index, "cpu",
                     (json_int_t)w->config.cpu, "busy", c->load->worker[w->config.index].busy,
                     "figures", figures, "ports", ports);
}

json_t *command_counters(struct command_context *c, json_t *request)
{
    json_t *workers = json_array();

    (void)request;
    for (unsigned i = 0; i < c->workers->count; i++)
        json_array_append_new(workers, worker_figures(c, &c->workers->worker[i]));
    return control_reply_ok(
        json_pack("{s:o, s:o}", "time", command_seconds(clock_now()), "workers", workers));
}
