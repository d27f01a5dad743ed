#include "appliance/report.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/figures.h"
#include "appliance/firewall_rules.h"
#include "base/log.h"
#include "stack/socket.h"

#define REPORT_WRITE_MAX 4096 /* PIPE_BUF: a write up to this does not mix with other writers' */
#define REPORT_PATIENCE                                                       \
    500 /* ms for each write; who does not read must not stop the main thread \
         */

void report_table(FILE *out, unsigned worker, const char *prefix, const struct counter_table *table,
                  const void *counters)
{
    for (size_t i = 0; i < table->count; i++) {
        fprintf(out, "worker %u %s%s%s %llu\n", worker, prefix != NULL ? prefix : "",
                prefix != NULL ? "." : "", table->desc[i].name,
                (unsigned long long)counter_read(counters, i));
    }
}

static void report_gauge(FILE *out, unsigned worker, const char *name, uint64_t value)
{
    fprintf(out, "worker %u %s %llu\n", worker, name, (unsigned long long)value);
}

/* "connections_syn_sent" from SYN-SENT or SYN_SENT. */
static const char *state_gauge(enum tcp_state state, char *out, size_t size)
{
    snprintf(out, size, "connections_%s", tcp_state_name(state));
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
    return out;
}

static void report_states(FILE *out, const struct worker *w)
{
    unsigned n = w->config.index;
    struct stack_usage usage;
    char name[64];

    stack_usage(w->stack, &usage);
    for (unsigned state = TCP_CLOSED; state <= TCP_TIME_WAIT; state++)
        report_gauge(out, n, state_gauge((enum tcp_state)state, name, sizeof name),
                     usage.connections[state]);
}

static void report_class(FILE *out, const struct worker *w, unsigned index, const char *port,
                         unsigned number, const char *name)
{
    const struct scheduler *s = w->port[index].scheduler;
    char prefix[256];

    snprintf(prefix, sizeof prefix, "%s.%s", port, name);
    report_table(out, w->config.index, prefix, &scheduler_class_counter_table,
                 scheduler_class_counters(s, number));
    fprintf(out, "worker %u %s.class_waiting %u\n", w->config.index, prefix,
            scheduler_class_waiting(s, number));
}

/* Where there is something to share. */
static void report_classes(FILE *out, const struct worker *w, unsigned index, const char *port,
                           const struct classes *classes)
{
    if (classes == NULL || classes->shaper[index] == NULL)
        return;
    for (unsigned i = 0; i < classes->count; i++) {
        if (classes->present[i])
            report_class(out, w, index, port, i, i == 0 ? "default" : classes->name[i]);
    }
}

static void report_port(FILE *out, const struct worker *w, unsigned index, const char *port)
{
    const struct worker_port *p = &w->port[index];
    unsigned n = w->config.index;
    union figures_port_scratch scratch;
    uint32_t used, size;

    for (const struct figures_port_table *t = figures_port_tables; t->table != NULL; t++)
        report_table(out, n, port, t->table, t->of(w, index, &scratch));
    if (w->config.ports->port[index].device != index)
        return;
    io_port_pool_usage(p->io, n, &used, &size);
    fprintf(out, "worker %u pool_%s_used %u\nworker %u pool_%s_size %u\n", n, port, used, n, port,
            size);
}

static void report_worker(FILE *out, const struct worker *w, const struct ports *ports,
                          const struct classes *classes)
{
    unsigned n = w->config.index;

    for (const struct figures_table *t = figures_tables; t->table != NULL; t++)
        report_table(out, n, NULL, t->table, t->of(w));
    report_states(out, w);
    for (const struct figures_gauge *g = figures_gauges; g->name != NULL; g++)
        report_gauge(out, n, g->name, g->of(w));
    for (unsigned i = 0; i < ports->count; i++) {
        report_port(out, w, i, ports->port[i].name);
        report_classes(out, w, i, ports->port[i].name, classes);
    }
}

static void report_server(FILE *out, const struct snapshot *s, unsigned backend, unsigned server,
                          clock_ns now)
{
    const struct policy_backend *b = &s->policy->backends[backend];
    const struct proxy_server *from = s->servers[b->index][server];
    char endpoint[IP_TEXT_MAX], prefix[512], name[600];
    struct servers_view view;

    servers_view(s, backend, server, now, &view);
    ip_endpoint_format(&view.config->endpoint, endpoint);
    fprintf(out, "server %s %s %s\n", b->name, endpoint, servers_state_name(view.state));
    snprintf(prefix, sizeof prefix, "%s.%s", b->name, endpoint);
    snprintf(name, sizeof name, "%s.server_connections", prefix);
    for (unsigned i = 0; i < s->registry->workers; i++) {
        report_table(out, i, prefix, &proxy_server_counter_table, &from->worker[i].counters);
        report_gauge(out, i, name, __atomic_load_n(&from->worker[i].connections, __ATOMIC_RELAXED));
    }
}

void report_servers(FILE *out, const struct snapshot *s, clock_ns now)
{
    for (unsigned i = 0; i < s->policy->backend_count; i++) {
        for (unsigned k = 0; k < s->policy->backends[i].server_count; k++)
            report_server(out, s, i, k, now);
    }
}

static void report_rule(FILE *out, const struct workers *workers, unsigned rule)
{
    struct firewall_hits hits;

    firewall_rules_hits(workers, rule, &hits);
    fprintf(out, " packets %llu bytes %llu\n", (unsigned long long)hits.packets,
            (unsigned long long)hits.bytes);
}

void report_firewall(FILE *out, const struct workers *workers, const struct policy *policy)
{
    const struct policy_firewall *f = &policy->firewall;

    for (unsigned i = 0; i < f->rule_count; i++) {
        fprintf(out, "firewall rule %s", f->rules[i].name);
        report_rule(out, workers, i);
    }
    fputs("firewall default", out);
    report_rule(out, workers, f->rule_count);
}

/* Whole lines, as many as fit into one undivided write to a pipe. */
static void write_lines(const char *text, size_t len)
{
    while (len > 0) {
        size_t n = len < REPORT_WRITE_MAX ? len : REPORT_WRITE_MAX;
        const char *newline = memrchr(text, '\n', n);

        if (newline != NULL)
            n = (size_t)(newline - text) + 1;
        if (!log_room(REPORT_PATIENCE) || (write(STDERR_FILENO, text, n) < 0 && errno != EINTR))
            return;
        text += n;
        len -= n;
    }
}

void report_print(const struct workers *workers, const struct ports *ports,
                  const struct snapshot *current)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        log_error("sluice", "no memory for a report of the counters");
        return;
    }
    /* Asked for expressly: no log line, so it comes whatever the level is. */
    fprintf(out, "counters: %u worker%s\n", workers->count, workers->count == 1 ? "" : "s");
    for (unsigned i = 0; i < workers->count; i++)
        report_worker(out, &workers->worker[i], ports, current->classes);
    report_firewall(out, workers, current->policy);
    report_servers(out, current, clock_now());
    fprintf(out, "counters: end\n");
    fclose(out);
    write_lines(text, len);
    free(text);
}
