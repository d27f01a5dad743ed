/*
 * Theory of operation: the daemon keeps no rates. Its counters are asked for twice, and what they
 * have moved by is divided by the daemon's own clock, so that a slow terminal does not matter.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl_command.h"
#include "ctl/ctl_text.h"

#define INTERVAL_DEFAULT 1.0

/* A column of rates, and the counters it is the sum of. */
static const struct rate {
    const char *key;
    const char *counters[8];
} rates[] = {
    {"sessions_rate", {"sessions_opened"}}, {"handshakes_rate", {"tls_handshakes_completed"}},
    {"rx_packets_rate", {"rx_packets"}},    {"rx_bytes_rate", {"rx_bytes"}},
    {"tx_packets_rate", {"tx_packets"}},    {"tx_bytes_rate", {"tx_bytes"}},
};

static const struct ctl_column columns[] = {
    {"WORKER", "worker", NULL, true},
    {"CPU", "cpu", NULL, true},
    {"BUSY", "busy", ctl_table_percent, true},
    {"SESSIONS", "sessions", NULL, true},
    {"NEW/s", "sessions_rate", ctl_table_count, true},
    {"HANDSHAKES/s", "handshakes_rate", ctl_table_count, true},
    {"RX PACKETS/s", "rx_packets_rate", ctl_table_count, true},
    {"RX BYTES/s", "rx_bytes_rate", ctl_table_bytes, true},
    {"TX PACKETS/s", "tx_packets_rate", ctl_table_count, true},
    {"TX BYTES/s", "tx_bytes_rate", ctl_table_bytes, true},
    {"DROPS/s", "drops_rate", ctl_table_count, true},
    {0},
};

static double figure(const json_t *worker, const char *name)
{
    return json_number_value(json_object_get(json_object_get(worker, "figures"), name));
}

static double sum(const json_t *worker, const char *const *names)
{
    double total = 0;

    for (unsigned i = 0; i < 8 && names[i] != NULL; i++)
        total += figure(worker, names[i]);
    return total;
}

static double drops(const json_t *worker)
{
    const char *name;
    json_t *value;
    double total = 0;

    json_object_foreach (json_object_get(worker, "figures"), name, value) {
        if (strncmp(name, "drop_", 5) == 0)
            total += json_number_value(value);
    }
    return total;
}

static json_t *rate_row(const json_t *before, const json_t *after, double seconds)
{
    json_t *row = json_object();

    json_object_set(row, "worker", json_object_get(after, "worker"));
    json_object_set(row, "cpu", json_object_get(after, "cpu"));
    json_object_set(row, "busy", json_object_get(after, "busy"));
    json_object_set_new(row, "sessions", json_integer((json_int_t)figure(after, "sessions")));
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        double moved = sum(after, rates[i].counters) - sum(before, rates[i].counters);

        json_object_set_new(row, rates[i].key, json_real(moved / seconds));
    }
    json_object_set_new(row, "drops_rate", json_real((drops(after) - drops(before)) / seconds));
    return row;
}

static json_t *rate_rows(const json_t *before, const json_t *after)
{
    const json_t *workers = json_object_get(after, "workers"), *worker;
    double seconds = json_number_value(json_object_get(after, "time")) -
                     json_number_value(json_object_get(before, "time"));
    json_t *rows = json_array();
    size_t i;

    json_array_foreach (workers, i, worker)
        json_array_append_new(rows, rate_row(json_array_get(json_object_get(before, "workers"), i),
                                             worker, seconds > 0 ? seconds : 1));
    return rows;
}

static void print(json_t *rows, bool json, bool clear)
{
    if (json) {
        json_dumpf(rows, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        if (clear)
            fputs("\033[H\033[J", stdout);
        ctl_table_print(stdout, columns, rows);
    }
    fflush(stdout);
    json_decref(rows);
}

static void pause_for(double seconds)
{
    struct timespec ts = {.tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&ts, NULL);
}

enum ctl_status ctl_top(struct ctl_client *c, const struct ctl_options *o)
{
    bool clear = !o->once && !o->json && isatty(STDOUT_FILENO);
    json_t *before, *after = NULL;
    enum ctl_status status = ctl_client_ask(c, ctl_request("counters"), &before);

    while (status == CTL_DONE) {
        pause_for(o->interval > 0 ? o->interval : INTERVAL_DEFAULT);
        status = ctl_client_ask(c, ctl_request("counters"), &after);
        if (status != CTL_DONE)
            break;
        print(rate_rows(before, after), o->json, clear);
        json_decref(before);
        before = after;
        if (o->once || ferror(stdout))
            break;
    }
    json_decref(before);
    return status;
}
