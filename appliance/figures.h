/*
 * Every counter and gauge that a worker has, as tables to be walked: by the report on SIGUSR1, by
 * the command `counters` and by the metrics. They are read in place by the main thread: each is one
 * aligned word with a single writer (base/counter.h), so no worker notices; the figures of one
 * reading are not of exactly the same moment.
 */
#ifndef APPLIANCE_FIGURES_H
#define APPLIANCE_FIGURES_H

#include "appliance/worker.h"
#include "base/counter.h"

struct figures_table {
    const struct counter_table *table;
    const void *(*of)(const struct worker *w); /* the struct that the table describes */
};

/* Ends with a NULL table. */
extern const struct figures_table figures_tables[];

struct figures_gauge {
    const char *name, *help;
    uint64_t (*of)(const struct worker *w);
};

/* Ends with a NULL name. */
extern const struct figures_gauge figures_gauges[];

/* Of one port of a worker. `scratch` is large enough for any of them. */
union figures_port_scratch {
    struct io_counters io;
};

struct figures_port_table {
    const struct counter_table *table;
    const void *(*of)(const struct worker *w, unsigned port, union figures_port_scratch *scratch);
};

/* Ends with a NULL table. */
extern const struct figures_port_table figures_port_tables[];

#endif
