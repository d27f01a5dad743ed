/*
 * The part of the command line that all programs share: the ports, addresses and CPUs of their
 * TCP/IP, and where their code runs.
 */
#ifndef PROGRAMS_OPTIONS_H
#define PROGRAMS_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "app/app.h"

#define OPTIONS_ROUTES_MAX 16
#define OPTIONS_PLACES                                                                   \
    "  --inside|--beside        where the program's code runs: in the stack's thread,\n" \
    "                           or in a thread of its own (the default)\n"               \
    "  --app-cpu LIST           beside: the CPUs of the program's threads\n"             \
    "  --spin US                beside: poll so long before sleeping; 0\n"
#define OPTIONS_HELP                                                                        \
    "  --device KIND:NAME       kernel, af-packet, tap, pci or vdev, e.g. af-packet:eth0\n" \
    "  --address ADDRESS/BITS   of ours on it; may be given again\n"                        \
    "  --route PREFIX,VIA       e.g. 0.0.0.0/0,10.0.0.254; may be given again\n"            \
    "  --mtu BYTES              of the device; its own\n"                                   \
    "  --cpu LIST               one stack thread on each, e.g. 0 or 0,2; 0\n"               \
    "  --connections N          of each thread; 16384\n"                                    \
    "  --verbose                log what the stack does\n"                                  \
    "  --help\n"

/* As getopt_long() returns them; a program's own begin at OPTION_OWN. */
enum {
    OPTION_DEVICE = 256,
    OPTION_ADDRESS,
    OPTION_ROUTE,
    OPTION_MTU,
    OPTION_CPU,
    OPTION_CONNECTIONS,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_INSIDE,
    OPTION_BESIDE,
    OPTION_APP_CPU,
    OPTION_SPIN,
    OPTION_OWN
};

/* clang-format off */
#define OPTIONS_LONG                                        \
    {"device", required_argument, NULL, OPTION_DEVICE},     \
    {"address", required_argument, NULL, OPTION_ADDRESS},   \
    {"route", required_argument, NULL, OPTION_ROUTE},       \
    {"mtu", required_argument, NULL, OPTION_MTU},           \
    {"cpu", required_argument, NULL, OPTION_CPU},           \
    {"connections", required_argument, NULL, OPTION_CONNECTIONS}, \
    {"verbose", no_argument, NULL, OPTION_VERBOSE},         \
    {"help", no_argument, NULL, OPTION_HELP}
#define OPTIONS_LONG_PLACES                                 \
    {"inside", no_argument, NULL, OPTION_INSIDE},           \
    {"beside", no_argument, NULL, OPTION_BESIDE},           \
    {"app-cpu", required_argument, NULL, OPTION_APP_CPU},   \
    {"spin", required_argument, NULL, OPTION_SPIN}
/* clang-format on */

struct options {
    const char *program;
    struct app_interface interface;
    struct stack_route routes[OPTIONS_ROUTES_MAX];
    unsigned route_count;
    unsigned cpus[APP_THREADS_MAX], cpu_count;
    unsigned app_cpus[APP_THREADS_MAX], app_cpu_count; /* none: wherever the kernel puts them */
    unsigned connections;
    bool inside;
    clock_ns spin;
    clock_ns link_wait; /* of those that begin to send by themselves */
};

void options_init(struct options *o, const char *program);

/* Takes one of ours. Returns 0, or -1 after it has said on standard error what is wrong. */
int options_take(struct options *o, int option, const char *value);

/* After the last one: what is missing, contradicts, or is `rest`: words that are no options, up to
 * NULL. */
int options_finish(const struct options *o, char *const *rest);

/* What app_start() wants, but `inside`. Refers to *o. */
struct app_config options_app_config(const struct options *o);

/* A whole number from `low` to `high`, else -1 and a line on standard error. */
int options_number(const struct options *o, const char *option, const char *value,
                   unsigned long low, unsigned long high, unsigned long *out);

/* One line on standard error, "program: …"; returns -1. */
int options_fail(const struct options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
