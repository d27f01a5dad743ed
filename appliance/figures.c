#include "appliance/figures.h"

#include <rte_mempool.h>

static const void *of_worker(const struct worker *w)
{
    return &w->counters;
}

static const void *of_stack(const struct worker *w)
{
    return stack_counters(w->stack);
}

static const void *of_firewall(const struct worker *w)
{
    return firewall_counters(w->firewall);
}

static const void *of_proxy(const struct worker *w)
{
    return proxy_counters(w->proxy);
}

static const void *of_tls(const struct worker *w)
{
    return tls_worker_counters(w->tls);
}

const struct figures_table figures_tables[] = {
    {&worker_counter_table, of_worker},     {&stack_counter_table, of_stack},
    {&firewall_counter_table, of_firewall}, {&proxy_counter_table, of_proxy},
    {&tls_counter_table, of_tls},           {NULL, NULL},
};

static uint64_t of_sessions(const struct worker *w)
{
    return proxy_session_count(w->proxy);
}

static struct stack_usage usage_of(const struct worker *w)
{
    struct stack_usage usage;

    stack_usage(w->stack, &usage);
    return usage;
}

static uint64_t of_connections_used(const struct worker *w)
{
    return usage_of(w).connections_used;
}

static uint64_t of_connections_max(const struct worker *w)
{
    return usage_of(w).connections_max;
}

static uint64_t of_buffers_used(const struct worker *w)
{
    return usage_of(w).buffers_used;
}

static uint64_t of_buffers_max(const struct worker *w)
{
    return usage_of(w).buffers_max;
}

static uint64_t of_neighbours(const struct worker *w)
{
    return usage_of(w).neighbours;
}

static uint64_t of_data_pool_used(const struct worker *w)
{
    return rte_mempool_in_use_count(w->data_pool);
}

static uint64_t of_data_pool_size(const struct worker *w)
{
    return w->data_pool->size;
}

const struct figures_gauge figures_gauges[] = {
    {"sessions", "client connections being proxied", of_sessions},
    {"connections_used", "connection blocks in use, TIME_WAIT included", of_connections_used},
    {"connections_max", "connection blocks that there are", of_connections_max},
    {"buffers_used", "packet buffers held in receive and send queues", of_buffers_used},
    {"buffers_max", "packet buffers that the queues may hold", of_buffers_max},
    {"neighbours", "entries in the ARP table", of_neighbours},
    {"data_pool_used", "packet buffers in use for bytes written by us", of_data_pool_used},
    {"data_pool_size", "packet buffers for bytes written by us", of_data_pool_size},
    {NULL, NULL, NULL},
};

static const void *of_scheduler(const struct worker *w, unsigned port,
                                union figures_port_scratch *scratch)
{
    (void)scratch;
    return scheduler_counters(w->port[port].scheduler);
}

static const void *of_io(const struct worker *w, unsigned port, union figures_port_scratch *scratch)
{
    scratch->io = (struct io_counters){0};
    if (w->config.ports->port[port].device == port)
        io_port_counters(w->port[port].io, w->config.index, &scratch->io);
    return &scratch->io;
}

static const void *of_punt(const struct worker *w, unsigned port,
                           union figures_port_scratch *scratch)
{
    (void)scratch;
    return &w->port[port].punt.counters;
}

const struct figures_port_table figures_port_tables[] = {
    {&scheduler_counter_table, of_scheduler},
    {&io_counter_table, of_io},
    {&punt_counter_table, of_punt},
    {NULL, NULL},
};
