#include <stdio.h>
#include <string.h>

#include "ctl/ctl_command.h"

static const struct command {
    const char *name, *arguments, *summary;
    const char *help; /* more about it, or "" */
    unsigned options;
    int max_arguments; /* the command's name counts */
    ctl_command *run;
} commands[] = {
    {"status", "", "version, uptime, configuration, workers and ports", "", 0, 1, ctl_status_show},
    {"top", "[--once] [--interval SECONDS]", "rates of each worker, refreshed every second",
     "  --once              print them once and exit\n"
     "  --interval SECONDS  time between two looks at the counters, 0.1 to 3600 (1)\n"
     "With --json: one line of JSON a look.\n",
     CTL_OPTION_ONCE | CTL_OPTION_INTERVAL, 1, ctl_top},
    {"sessions", "[ID] [--listener NAME] [--backend NAME] [--client PREFIX] [--limit N]",
     "sessions, one line each; with ID, one in full",
     "  --listener NAME     only those of this listener\n"
     "  --backend NAME      only those that this backend serves\n"
     "  --client PREFIX     only those of clients in this prefix, or of this address\n"
     "  --limit N           show N at most (1000)\n"
     "With ID: RTT, windows and retransmissions of both TCP connections, and the TLS facts.\n",
     CTL_OPTION_LISTENER | CTL_OPTION_BACKEND | CTL_OPTION_CLIENT | CTL_OPTION_LIMIT, 2,
     ctl_sessions},
    {"backends", "[drain|enable BACKEND SERVER]", "servers of the backends, their state and use",
     "  drain   send no new sessions to the server ADDRESS:PORT; those that it has go on\n"
     "  enable  send it new sessions again\n"
     "A reload does not change which servers are drained, a restart enables all.\n",
     0, 4, ctl_show_backends},
    {"capture", "[start [FILE] [OPTION]... | stop | status]",
     "frames of the interfaces, copied into a pcapng file",
     "  start               begin; FILE is a name in the daemon's directory for captures\n"
     "  --interface NAME    only frames of this interface\n"
     "  --host ADDRESS      only frames from or to this address\n"
     "  --port N            only TCP and UDP from or to this port\n"
     "  --session ID        only the two connections of this session\n"
     "  --count N           end after N frames\n"
     "  --seconds N         end after this time, at most 86400 (60)\n"
     "  --megabytes N       end before the file is larger, at most 65536 (64)\n"
     "  --snaplen N         keep N bytes of each frame, from 64 (65535)\n"
     "  stop                end it now\n"
     "  status              the capture that runs, or the last one\n"
     "A frame has to be all that is asked for. One capture runs at a time.\n",
     CTL_OPTION_CAPTURE, 3, ctl_capture},
    {"certs", "", "certificates: names, expiry, listeners", "", 0, 1, ctl_show_certs},
    {"policy", "", "rules of the policy and how often each decided",
     "The count goes on over reloads as long as there is a rule of that name.\n", 0, 1,
     ctl_show_policy},
    {"firewall", "", "rules of the firewall with their packets and bytes", "", 0, 1,
     ctl_show_firewall},
    {"set", "list [NAME] | add NAME [PREFIX...] | delete NAME [PREFIX...]",
     "named sets of prefixes of the firewall",
     "  list            all sets and their sizes; with NAME, the prefixes of one\n"
     "  add, delete     prefixes or addresses; without any, one a line from standard input\n"
     "A change is in force at once and outlives reloads, as long as there is a set of that name; "
     "a\n"
     "restart takes the sets of the file.\n",
     0, 1 << 20, ctl_set},
    {"classes", "", "egress classes and what each has sent", "", 0, 1, ctl_show_classes},
    {"reload", "", "reload the configuration and wait for the outcome",
     "Where the file is refused, its findings are printed, nothing has changed, and the exit\n"
     "status is 1.\n",
     0, 1, ctl_status_reload},
    {"log-level", "[error|warn|info|debug]", "print the log's level, or set it", "", 0, 2,
     ctl_status_log_level},
    {"version", "", "version of the running daemon", "", 0, 1, ctl_status_version},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static const char common_options[] =
    "  -s, --socket PATH   the daemon's control socket (" CTL_SOCKET_DEFAULT ")\n"
    "      --json          print JSON instead of tables\n"
    "  -h, --help          print this, or with a command its help, and exit\n"
    "      --version       print the version of sluicectl and exit\n";

static void print_help(void)
{
    puts("usage: sluicectl [OPTION]... COMMAND [ARGUMENT]...\n\nCommands:");
    for (unsigned i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\nOptions:\n%s\n"
           "Exit status: 0 done, 1 refused by the daemon, 2 called wrongly, 3 the daemon cannot\n"
           "be reached.\n",
           common_options);
}

static void print_command_help(const struct command *command)
{
    printf("usage: sluicectl %s%s%s\n\n%s\n%s%s\nOptions:\n%s", command->name,
           *command->arguments != '\0' ? " " : "", command->arguments, command->summary,
           *command->help != '\0' ? "\n" : "", command->help, common_options);
}

static const struct command *find_command(const char *name)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void unknown_command(const char *name)
{
    fprintf(stderr, "sluicectl: unknown command '%s', expected one of:", name);
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i].name);
    fputc('\n', stderr);
}

static int usage_error(void)
{
    fputs("try 'sluicectl --help'\n", stderr);
    return CTL_USAGE;
}

static int run(const struct command *command, const struct ctl_options *o)
{
    struct ctl_client client;
    enum ctl_status status;

    if (ctl_options_check(o, command->options) < 0)
        return usage_error();
    if (o->argument_count > command->max_arguments) {
        fprintf(stderr, "sluicectl: %s: unexpected argument '%s'\n", command->name,
                o->argument[command->max_arguments]);
        return usage_error();
    }
    status = ctl_client_open(&client, o->socket);
    if (status == CTL_DONE)
        status = command->run(&client, o);
    ctl_client_close(&client);
    return status == CTL_USAGE ? usage_error() : (int)status;
}

int main(int argc, char **argv)
{
    struct ctl_options o;
    const struct command *command = NULL;

    if (ctl_options_parse(argc, argv, &o) < 0)
        return usage_error();
    if (o.argument_count > 0) {
        command = find_command(o.argument[0]);
        if (command == NULL) {
            unknown_command(o.argument[0]);
            return usage_error();
        }
    }
    if (o.version) {
        puts("sluicectl " SLUICE_VERSION);
        return CTL_DONE;
    }
    if (o.help) {
        command != NULL ? print_command_help(command) : print_help();
        return CTL_DONE;
    }
    if (command != NULL)
        return run(command, &o);
    fputs("sluicectl: no command given\n", stderr);
    return usage_error();
}
