/* Options and exit statuses: 0 done, 1 refused or could not start, 2 called wrongly. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "appliance/appliance.h"
#include "appliance/check.h"
#include "appliance/explain.h"
#include "base/log.h"
#include "policy/policy.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: sluice -c FILE [-l LEVEL]\n"
    "       sluice --check -c FILE\n"
    "       sluice --explain -c FILE source=ADDRESS [listener=NAME] [sni=NAME]\n"
    "              [alpn=NAME,...] [tls-version=1.2,1.3]\n"
    "       sluice --schema[=markdown|man]\n"
    "\n"
    "  -c, --config FILE      the configuration\n"
    "      --check            validate it and exit: 0 when it is valid, 1 when it is not\n"
    "      --explain          tell which rule of the policy decides on such a connection, and\n"
    "                         why; sni= without a name is a client that asks for none\n"
    "      --schema[=FORM]    print the reference of all keys: markdown (default) or man\n"
    "  -l, --log-level LEVEL  error, warn, info (default) or debug\n"
    "      --version          print the version and exit\n"
    "  -h, --help             print this and exit\n"
    "\n"
    "Signals: TERM and INT drain connections and stop (a second one stops at once), HUP reloads\n"
    "the configuration, USR1 prints counters to standard error.\n";

struct options {
    const char *config;
    bool check, explain, version, help;
    void (*schema)(FILE *out);
    char *const *arguments; /* of --explain */
    unsigned argument_count;
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

static int schema_option(const char *form, struct options *o)
{
    if (form == NULL || strcmp(form, "markdown") == 0)
        o->schema = policy_reference_markdown;
    else if (strcmp(form, "man") == 0)
        o->schema = policy_reference_man;
    if (o->schema == NULL)
        fprintf(stderr, "sluice: form of the schema '%s': expected markdown or man\n", form);
    return o->schema != NULL ? 0 : -1;
}

/* Returns 0, or -1 after saying what is wrong. */
static int check_options(const struct options *o)
{
    if (o->argument_count > 0 && !o->explain) {
        fprintf(stderr, "sluice: unexpected argument '%s'\n", o->arguments[0]);
        return -1;
    }
    if (o->config == NULL && !o->version && !o->help && o->schema == NULL) {
        fputs("sluice: no configuration given (-c FILE)\n", stderr);
        return -1;
    }
    return 0;
}

/* The same. */
static int parse_options(int argc, char **argv, struct options *o)
{
    enum { OPTION_CHECK = 256, OPTION_EXPLAIN, OPTION_SCHEMA, OPTION_VERSION };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"log-level", required_argument, NULL, 'l'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},
        {"explain", no_argument, NULL, OPTION_EXPLAIN},
        {"schema", optional_argument, NULL, OPTION_SCHEMA},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:l:h", options, NULL)) != -1) {
        if (c == 'c')
            o->config = optarg;
        else if (c == OPTION_CHECK)
            o->check = true;
        else if (c == OPTION_EXPLAIN)
            o->explain = true;
        else if (c == OPTION_VERSION)
            o->version = true;
        else if (c == 'h')
            o->help = true;
        else if ((c != OPTION_SCHEMA || schema_option(optarg, o) < 0) &&
                 (c != 'l' || log_level_option(optarg) < 0))
            return -1;
    }
    o->arguments = argv + optind;
    o->argument_count = (unsigned)(argc - optind);
    return check_options(o);
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
    if (o.schema != NULL) {
        o.schema(stdout);
        return 0;
    }
    if (o.check)
        return check_run(o.config);
    if (o.explain)
        return explain_run(o.config, o.arguments, o.argument_count);
    log_info("sluice", "version " SLUICE_VERSION ", configuration %s", o.config);
    return appliance_run(o.config);
}
