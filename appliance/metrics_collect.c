/*
 * Theory of operation: a metric is declared where the thing is counted, with its name and its help
 * (base/counter.h, appliance/figures.h), and nowhere again: here the tables are walked. Metrics
 * that are no counters of a worker stand in the list below, each once.
 *
 * The format wants all samples of a metric together, so the walk is by metric first, then by
 * worker.
 */
#include "appliance/metrics_collect.h"

#include <ctype.h>

#include "appliance/classes.h"
#include "appliance/figures.h"
#include "appliance/firewall_rules.h"
#include "appliance/metrics/metrics_text.h"
#include "appliance/rule_hits.h"
#include "appliance/servers.h"
#include "stack/socket.h"

/* Begins a family; writes its complete name into name[METRICS_NAME_MAX]. */
static void family(FILE *out, const char *base, enum metrics_type type, const char *help,
                   char *name)
{
    metrics_text_family(out, metrics_text_name(base, type, name), type, help);
}

static struct metrics_labels worker_labels(const struct worker *w)
{
    struct metrics_labels labels = {0};

    metrics_text_label_number(&labels, "worker", w->config.index);
    return labels;
}

static struct metrics_labels port_labels(const struct worker *w, const struct port *port)
{
    struct metrics_labels labels = worker_labels(w);

    metrics_text_label(&labels, "interface", port->name);
    return labels;
}

/* A single gauge without labels. */
static void gauge(FILE *out, const char *base, const char *help, double value)
{
    char name[METRICS_NAME_MAX];

    family(out, base, METRICS_GAUGE, help, name);
    metrics_text_value(out, name, NULL, value);
}

static void collect_process(const struct command_context *c, FILE *out)
{
    const struct command_reload *reloaded = c->reloaded;
    struct metrics_labels version = {0};
    char name[METRICS_NAME_MAX];

    metrics_text_label(&version, "version", SLUICE_VERSION);
    family(out, "build_info", METRICS_GAUGE, "always 1; the version is the label", name);
    metrics_text_value(out, name, &version, 1);
    gauge(out, "uptime_seconds", "since the daemon was started",
          (double)(clock_now() - c->started) / (double)CLOCK_SEC);
    gauge(out, "draining", "1 while the daemon drains before it stops", *c->draining);
    gauge(out, "configuration_loaded_timestamp_seconds",
          "when the configuration in force was taken (Unix time)", (double)c->loaded);
    gauge(out, "configuration_last_reload_ok",
          "0 when the last reload was refused, and the file is not what is in force",
          reloaded->when == 0 || reloaded->ok);
}

static void collect_counters(const struct command_context *c, FILE *out,
                             const struct figures_table *t)
{
    char name[METRICS_NAME_MAX];

    for (size_t i = 0; i < t->table->count; i++) {
        family(out, t->table->desc[i].name, METRICS_COUNTER, t->table->desc[i].help, name);
        for (unsigned n = 0; n < c->workers->count; n++) {
            const struct worker *w = &c->workers->worker[n];
            struct metrics_labels labels = worker_labels(w);

            metrics_text_count(out, name, &labels, counter_read(t->of(w), i));
        }
    }
}

static void collect_gauge(const struct command_context *c, FILE *out, const struct figures_gauge *g)
{
    char name[METRICS_NAME_MAX];

    family(out, g->name, METRICS_GAUGE, g->help, name);
    for (unsigned n = 0; n < c->workers->count; n++) {
        struct metrics_labels labels = worker_labels(&c->workers->worker[n]);

        metrics_text_count(out, name, &labels, g->of(&c->workers->worker[n]));
    }
}

static void collect_cpu_time(const struct command_context *c, FILE *out)
{
    char name[METRICS_NAME_MAX];

    family(out, "worker_cpu_seconds", METRICS_COUNTER, "CPU time that the worker has used", name);
    for (unsigned n = 0; n < c->workers->count; n++) {
        struct metrics_labels labels = worker_labels(&c->workers->worker[n]);

        metrics_text_value(out, name, &labels,
                           (double)c->load->worker[n].cpu_time / (double)CLOCK_SEC);
    }
}

/* "syn_sent" from SYN-SENT. */
static void label_state(struct metrics_labels *labels, enum tcp_state state)
{
    char text[32];

    snprintf(text, sizeof text, "%s", tcp_state_name(state));
    for (char *t = text; *t != '\0'; t++)
        *t = *t == '-' ? '_' : (char)tolower((unsigned char)*t);
    metrics_text_label(labels, "state", text);
}

static void collect_connections(const struct command_context *c, FILE *out)
{
    char name[METRICS_NAME_MAX];
    struct stack_usage usage;

    family(out, "connections", METRICS_GAUGE, "TCP connections by state", name);
    for (unsigned n = 0; n < c->workers->count; n++) {
        stack_usage(c->workers->worker[n].stack, &usage);
        for (unsigned state = TCP_LISTEN; state <= TCP_TIME_WAIT; state++) {
            struct metrics_labels labels = worker_labels(&c->workers->worker[n]);

            label_state(&labels, (enum tcp_state)state);
            metrics_text_count(out, name, &labels, usage.connections[state]);
        }
    }
}

static void collect_workers(const struct command_context *c, FILE *out)
{
    for (const struct figures_table *t = figures_tables; t->table != NULL; t++)
        collect_counters(c, out, t);
    for (const struct figures_gauge *g = figures_gauges; g->name != NULL; g++)
        collect_gauge(c, out, g);
    collect_cpu_time(c, out);
    collect_connections(c, out);
}

/* One counter of a port, of all ports and workers. */
static void collect_port_counter(const struct command_context *c, FILE *out,
                                 const struct figures_port_table *t, size_t i)
{
    union figures_port_scratch scratch;
    char name[METRICS_NAME_MAX];

    family(out, t->table->desc[i].name, METRICS_COUNTER, t->table->desc[i].help, name);
    for (unsigned n = 0; n < c->workers->count; n++) {
        const struct worker *w = &c->workers->worker[n];

        for (unsigned p = 0; p < c->ports->count; p++) {
            struct metrics_labels labels = port_labels(w, &c->ports->port[p]);

            metrics_text_count(out, name, &labels, counter_read(t->of(w, p, &scratch), i));
        }
    }
}

static void collect_links(const struct command_context *c, FILE *out)
{
    char name[METRICS_NAME_MAX];

    family(out, "port_up", METRICS_GAUGE, "1 while the link of the interface is up", name);
    for (unsigned p = 0; p < c->ports->count; p++) {
        struct metrics_labels labels = {0};

        metrics_text_label(&labels, "interface", c->ports->port[p].name);
        metrics_text_count(out, name, &labels, c->ports->port[p].link_up);
    }
}

static void collect_pools(const struct command_context *c, FILE *out, const char *base,
                          const char *help, bool used)
{
    char name[METRICS_NAME_MAX];
    uint32_t in_use, size;

    family(out, base, METRICS_GAUGE, help, name);
    for (unsigned n = 0; n < c->workers->count; n++) {
        for (unsigned p = 0; p < c->ports->count; p++) {
            struct metrics_labels labels = port_labels(&c->workers->worker[n], &c->ports->port[p]);

            if (c->ports->port[p].device != p)
                continue;
            io_port_pool_usage(c->ports->port[p].io, n, &in_use, &size);
            metrics_text_count(out, name, &labels, used ? in_use : size);
        }
    }
}

static void collect_ports(const struct command_context *c, FILE *out)
{
    for (const struct figures_port_table *t = figures_port_tables; t->table != NULL; t++) {
        for (size_t i = 0; i < t->table->count; i++)
            collect_port_counter(c, out, t, i);
    }
    collect_links(c, out);
    collect_pools(c, out, "port_pool_used", "packet buffers of a port's pools in use", true);
    collect_pools(c, out, "port_pool_size", "packet buffers of a port's pools", false);
}

/* What is asked of a server; `i` is a counter's place. */
typedef uint64_t server_value(const struct servers_view *v, size_t i);

static uint64_t server_counter(const struct servers_view *v, size_t i)
{
    return counter_read(&v->counters, i);
}

static uint64_t server_connections(const struct servers_view *v, size_t i)
{
    (void)i;
    return v->connections;
}

static uint64_t server_usable(const struct servers_view *v, size_t i)
{
    (void)i;
    return v->state == SERVERS_UP || v->state == SERVERS_UNCHECKED;
}

static void collect_server_value(const struct command_context *c, FILE *out, const char *name,
                                 server_value *value, size_t i)
{
    const struct snapshot *s = c->snapshots->current;
    char text[IP_TEXT_MAX];
    struct servers_view v;

    for (unsigned b = 0; b < s->policy->backend_count; b++) {
        for (unsigned n = 0; n < s->policy->backends[b].server_count; n++) {
            struct metrics_labels labels = {0};

            servers_view(s, b, n, clock_now(), &v);
            metrics_text_label(&labels, "backend", v.backend);
            metrics_text_label(&labels, "server", ip_endpoint_format(&v.config->endpoint, text));
            metrics_text_count(out, name, &labels, value(&v, i));
        }
    }
}

static void collect_servers(const struct command_context *c, FILE *out)
{
    const struct counter_table *table = &proxy_server_counter_table;
    char name[METRICS_NAME_MAX];

    for (size_t i = 0; i < table->count; i++) {
        family(out, table->desc[i].name, METRICS_COUNTER, table->desc[i].help, name);
        collect_server_value(c, out, name, server_counter, i);
    }
    family(out, "server_connections", METRICS_GAUGE,
           "connections to the server now, connecting ones included", name);
    collect_server_value(c, out, name, server_connections, 0);
    family(out, "server_usable", METRICS_GAUGE,
           "1 while the server gets new sessions: not drained, down or ejected", name);
    collect_server_value(c, out, name, server_usable, 0);
}

static void collect_rules(const struct command_context *c, FILE *out)
{
    const struct policy *policy = c->snapshots->current->policy;
    struct rule_hits hits = {0};
    char name[METRICS_NAME_MAX];

    workers_rule_hits(c->workers, &hits);
    family(out, "rule_hits", METRICS_COUNTER, "sessions that the rule of the policy decided about",
           name);
    for (unsigned i = 0; i < policy->rule_count; i++) {
        struct metrics_labels labels = {0};

        metrics_text_label(&labels, "rule", policy->rules[i].name);
        metrics_text_count(out, name, &labels, rule_hits_of(&hits, policy->rules[i].name));
    }
    rule_hits_free(&hits);
}

static void collect_firewall_rule(FILE *out, const char *name, const char *rule, uint64_t value)
{
    struct metrics_labels labels = {0};

    metrics_text_label(&labels, "rule", rule);
    metrics_text_count(out, name, &labels, value);
}

static void collect_firewall(const struct command_context *c, FILE *out, const char *base,
                             const char *help, bool bytes)
{
    const struct policy_firewall *f = &c->snapshots->current->policy->firewall;
    char name[METRICS_NAME_MAX];
    struct firewall_hits hits;

    family(out, base, METRICS_COUNTER, help, name);
    for (unsigned i = 0; f->rule_count > 0 && i <= f->rule_count; i++) {
        firewall_rules_hits(c->workers, i, &hits);
        collect_firewall_rule(out, name, i < f->rule_count ? f->rules[i].name : "default",
                              bytes ? hits.bytes : hits.packets);
    }
}

static void collect_class_counter(const struct command_context *c, FILE *out, const char *name,
                                  const char *class, unsigned number, size_t counter)
{
    for (unsigned p = 0; p < c->ports->count; p++) {
        struct scheduler_class_counters sum = {0};
        struct metrics_labels labels = {0};

        workers_class_counters(c->workers, p, number, &sum);
        metrics_text_label(&labels, "interface", c->ports->port[p].name);
        metrics_text_label(&labels, "class", class);
        metrics_text_count(out, name, &labels, counter_read(&sum, counter));
    }
}

static void collect_classes(const struct command_context *c, FILE *out)
{
    const struct counter_table *table = &scheduler_class_counter_table;
    const struct snapshot *s = c->snapshots->current;
    char name[METRICS_NAME_MAX];

    for (size_t i = 0; i < table->count; i++) {
        family(out, table->desc[i].name, METRICS_COUNTER, table->desc[i].help, name);
        collect_class_counter(c, out, name, "default", 0, i);
        for (unsigned k = 0; k < s->policy->class_count; k++) {
            const struct policy_class *class = &s->policy->classes[k];

            collect_class_counter(c, out, name, class->name, classes_number(s->classes, class), i);
        }
    }
}

static void collect_certificates(const struct command_context *c, FILE *out)
{
    const struct snapshot *s = c->snapshots->current;
    char name[METRICS_NAME_MAX];

    family(out, "certificate_expiry_timestamp_seconds", METRICS_GAUGE,
           "when the certificate expires (Unix time)", name);
    for (unsigned i = 0; i < s->policy->certificate_count; i++) {
        struct metrics_labels labels = {0};

        metrics_text_label(&labels, "certificate", s->policy->certificates[i].name);
        metrics_text_value(out, name, &labels, (double)tls_cert_file_expiry(s->certificates[i]));
    }
}

void metrics_collect(const struct command_context *c, FILE *out)
{
    collect_process(c, out);
    collect_workers(c, out);
    collect_ports(c, out);
    collect_servers(c, out);
    collect_rules(c, out);
    collect_firewall(c, out, "firewall_rule_packets",
                     "packets that the rule of the firewall has matched", false);
    collect_firewall(c, out, "firewall_rule_bytes", "bytes of those packets", true);
    collect_classes(c, out);
    collect_certificates(c, out);
}

void metrics_collect_table(FILE *out, const struct counter_table *table, const void *counters)
{
    char name[METRICS_NAME_MAX];

    for (size_t i = 0; i < table->count; i++) {
        family(out, table->desc[i].name, METRICS_COUNTER, table->desc[i].help, name);
        metrics_text_count(out, name, NULL, counter_read(counters, i));
    }
}
