/*
 * Theory of operation: the main thread reads the workers' counters where they are. Each is one
 * aligned word with a single writer (base/counter.h), so no worker notices; the figures of one
 * report are not of exactly the same moment.
 */
#include "appliance/report.h"

#include <ctype.h>
#include <errno.h>
#include <rte_mempool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void report_stack(FILE *out, const struct worker *w)
{
    unsigned n = w->config.index;
    struct stack_usage usage;
    char name[64];

    report_table(out, n, NULL, &stack_counter_table, stack_counters(w->stack));
    stack_usage(w->stack, &usage);
    for (unsigned state = TCP_CLOSED; state <= TCP_TIME_WAIT; state++)
        report_gauge(out, n, state_gauge((enum tcp_state)state, name, sizeof name),
                     usage.connections[state]);
    report_gauge(out, n, "connections_used", usage.connections_used);
    report_gauge(out, n, "connections_max", usage.connections_max);
    report_gauge(out, n, "buffers_used", usage.buffers_used);
    report_gauge(out, n, "buffers_max", usage.buffers_max);
    report_gauge(out, n, "neighbours", usage.neighbours);
}

static void report_port(FILE *out, const struct worker *w, unsigned index, const char *port)
{
    const struct worker_port *p = &w->port[index];
    unsigned n = w->config.index;
    struct io_counters io = {0};
    uint32_t used, size;

    report_table(out, n, port, &scheduler_counter_table, scheduler_counters(p->scheduler));
    io_port_counters(p->io, n, &io);
    report_table(out, n, port, &io_counter_table, &io);
    io_port_pool_usage(p->io, n, &used, &size);
    fprintf(out, "worker %u pool_%s_used %u\nworker %u pool_%s_size %u\n", n, port, used, n, port,
            size);
}

static void report_worker(FILE *out, const struct worker *w, const struct ports *ports)
{
    unsigned n = w->config.index;

    report_table(out, n, NULL, &worker_counter_table, &w->counters);
    report_stack(out, w);
    report_table(out, n, NULL, &proxy_counter_table, proxy_counters(w->proxy));
    report_gauge(out, n, "sessions", proxy_session_count(w->proxy));
    report_table(out, n, NULL, &tls_counter_table, tls_worker_counters(w->tls));
    for (unsigned i = 0; i < ports->count; i++)
        report_port(out, w, i, ports->port[i].name);
    report_gauge(out, n, "data_pool_used", rte_mempool_in_use_count(w->data_pool));
    report_gauge(out, n, "data_pool_size", w->data_pool->size);
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

void report_print(const struct workers *workers, const struct ports *ports)
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
        report_worker(out, &workers->worker[i], ports);
    fprintf(out, "counters: end\n");
    fclose(out);
    write_lines(text, len);
    free(text);
}
