#include "ctl/ctl_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OPTION_FIRST = 256,
    OPTION_JSON = OPTION_FIRST,
    OPTION_VERSION,
    OPTION_ONCE,
    OPTION_LISTENER,
    OPTION_BACKEND,
    OPTION_CLIENT,
    OPTION_LIMIT,
    OPTION_INTERVAL,
    OPTION_INTERFACE,
    OPTION_HOST,
    OPTION_SESSION,
    OPTION_PORT,
    OPTION_COUNT,
    OPTION_SECONDS,
    OPTION_MEGABYTES,
    OPTION_SNAPLEN
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"listener", required_argument, NULL, OPTION_LISTENER},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"client", required_argument, NULL, OPTION_CLIENT},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"host", required_argument, NULL, OPTION_HOST},
    {"session", required_argument, NULL, OPTION_SESSION},
    {"port", required_argument, NULL, OPTION_PORT},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"megabytes", required_argument, NULL, OPTION_MEGABYTES},
    {"snaplen", required_argument, NULL, OPTION_SNAPLEN},
    {0},
};

static const struct {
    unsigned option;
    const char *name;
} command_options[] = {
    {CTL_OPTION_LISTENER, "--listener"}, {CTL_OPTION_BACKEND, "--backend"},
    {CTL_OPTION_CLIENT, "--client"},     {CTL_OPTION_LIMIT, "--limit"},
    {CTL_OPTION_ONCE, "--once"},         {CTL_OPTION_INTERVAL, "--interval"},
    {CTL_OPTION_CAPTURE, "of capture"},
};

static int parse_natural(const char *option, const char *text, unsigned long *out)
{
    char *end;

    errno = 0;
    *out = strtoul(text, &end, 10);
    if (*end == '\0' && end != text && errno == 0 && *out > 0 && *text != '-')
        return 0;
    fprintf(stderr, "sluicectl: --%s %s: expected a number from 1\n", option, text);
    return -1;
}

static int parse_interval(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    if (*end == '\0' && end != text && *out >= 0.1 && *out <= 3600)
        return 0;
    fprintf(stderr, "sluicectl: --interval %s: expected seconds from 0.1 to 3600\n", text);
    return -1;
}

/* Those of `capture`. */
static int take_capture_option(int c, struct ctl_options *o)
{
    o->given |= CTL_OPTION_CAPTURE;
    switch (c) {
    case OPTION_INTERFACE:
        o->interface = optarg;
        return 0;
    case OPTION_HOST:
        o->host = optarg;
        return 0;
    case OPTION_SESSION:
        o->session = optarg;
        return 0;
    case OPTION_PORT:
        return parse_natural("port", optarg, &o->port);
    case OPTION_COUNT:
        return parse_natural("count", optarg, &o->count);
    case OPTION_SECONDS:
        return parse_natural("seconds", optarg, &o->seconds);
    case OPTION_MEGABYTES:
        return parse_natural("megabytes", optarg, &o->megabytes);
    case OPTION_SNAPLEN:
        return parse_natural("snaplen", optarg, &o->snaplen);
    default:
        return -1;
    }
}

/* Options that only some commands have. */
static int take_command_option(int c, struct ctl_options *o)
{
    switch (c) {
    case OPTION_ONCE:
        o->once = true;
        o->given |= CTL_OPTION_ONCE;
        return 0;
    case OPTION_LISTENER:
        o->listener = optarg;
        o->given |= CTL_OPTION_LISTENER;
        return 0;
    case OPTION_BACKEND:
        o->backend = optarg;
        o->given |= CTL_OPTION_BACKEND;
        return 0;
    case OPTION_CLIENT:
        o->client = optarg;
        o->given |= CTL_OPTION_CLIENT;
        return 0;
    case OPTION_LIMIT:
        o->given |= CTL_OPTION_LIMIT;
        return parse_natural("limit", optarg, &o->limit);
    case OPTION_INTERVAL:
        o->given |= CTL_OPTION_INTERVAL;
        return parse_interval(optarg, &o->interval);
    default:
        return take_capture_option(c, o);
    }
}

int ctl_options_parse(int argc, char **argv, struct ctl_options *out)
{
    int c;

    *out = (struct ctl_options){.socket = CTL_SOCKET_DEFAULT};
    optind = 0; /* glibc: begin anew */
    while ((c = getopt_long(argc, argv, "s:h", long_options, NULL)) != -1) {
        if (c == 's')
            out->socket = optarg;
        else if (c == OPTION_JSON)
            out->json = true;
        else if (c == 'h')
            out->help = true;
        else if (c == OPTION_VERSION)
            out->version = true;
        else if (take_command_option(c, out) < 0)
            return -1;
    }
    out->argument = argv + optind;
    out->argument_count = argc - optind;
    return 0;
}

int ctl_options_check(const struct ctl_options *o, unsigned allowed)
{
    for (unsigned i = 0; i < sizeof command_options / sizeof command_options[0]; i++) {
        if ((o->given & ~allowed & command_options[i].option) == 0)
            continue;
        fprintf(stderr, "sluicectl: %s has no option %s\n", o->argument[0],
                command_options[i].name);
        return -1;
    }
    return 0;
}
