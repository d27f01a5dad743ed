/* Options and exit statuses: 0 done, 1 refused or could not start, 2 called wrongly. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "appliance/appliance.h"
#include "appliance/check.h"
#include "base/log.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: sluice -c FILE [-l LEVEL]\n"
    "       sluice --check -c FILE\n"
    "\n"
    "  -c, --config FILE      the configuration\n"
    "      --check            validate it and exit: 0 when it is valid, 1 when it is not\n"
    "  -l, --log-level LEVEL  error, warn, info (default) or debug\n"
    "      --version          print the version and exit\n"
    "  -h, --help             print this and exit\n"
    "\n"
    "Signals: TERM and INT drain connections and stop (a second one stops at once), HUP reloads\n"
    "the configuration, USR1 prints counters to standard error.\n";

struct options {
    const char *config;
    bool check, version, help;
};

static int usage_error(void)
{
    fputs("try 'sluice --help'\n", stderr);
    return EXIT_USAGE;
}

static int log_level_option(const char *text)
{
    enum log_level level;

    if (log_level_parse(text, &level) < 0) {
        fprintf(stderr, "sluice: log level '%s': expected error, warn, info or debug\n", text);
        return -1;
    }
    log_level_set(level);
    return 0;
}

/* Returns 0, or -1 after saying what is wrong. */
static int parse_options(int argc, char **argv, struct options *o)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},   {"log-level", required_argument, NULL, 'l'},
        {"check", no_argument, NULL, OPTION_CHECK}, {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},           {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:l:h", options, NULL)) != -1) {
        if (c == 'c')
            o->config = optarg;
        else if (c == OPTION_CHECK)
            o->check = true;
        else if (c == OPTION_VERSION)
            o->version = true;
        else if (c == 'h')
            o->help = true;
        else if (c != 'l' || log_level_option(optarg) < 0)
            return -1;
    }
    if (optind < argc) {
        fprintf(stderr, "sluice: unexpected argument '%s'\n", argv[optind]);
        return -1;
    }
    if (o->config == NULL && !o->version && !o->help) {
        fputs("sluice: no configuration given (-c FILE)\n", stderr);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {0};

    if (parse_options(argc, argv, &o) < 0)
        return usage_error();
    if (o.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (o.version) {
        puts("sluice " SLUICE_VERSION);
        return 0;
    }
    if (o.check)
        return check_run(o.config);
    log_info("sluice", "version " SLUICE_VERSION ", configuration %s", o.config);
    return appliance_run(o.config);
}
