/* The command line: sluicectl [OPTION]... COMMAND [OPTION|ARGUMENT]... */
#ifndef CTL_CTL_OPTIONS_H
#define CTL_CTL_OPTIONS_H

#include <stdbool.h>

#define CTL_SOCKET_DEFAULT "/run/sluice/control.sock"

/* Those that every command has, and those that a command may have. */
#define CTL_OPTION_LISTENER 0x01u
#define CTL_OPTION_BACKEND  0x02u
#define CTL_OPTION_CLIENT   0x04u
#define CTL_OPTION_LIMIT    0x08u
#define CTL_OPTION_ONCE     0x10u
#define CTL_OPTION_INTERVAL 0x20u
#define CTL_OPTION_CAPTURE  0x40u /* those of `capture` */

struct ctl_options {
    const char *socket;
    bool json, help, version, once;
    const char *listener, *backend, *client;                /* NULL: not given */
    unsigned long limit;                                    /* 0: not given */
    double interval;                                        /* seconds; 0: not given */
    const char *interface, *host, *session;                 /* NULL: not given */
    unsigned long port, count, seconds, megabytes, snaplen; /* 0: not given */
    unsigned given;                                         /* CTL_OPTION_* */
    char **argument; /* what is no option: the command and its arguments */
    int argument_count;
};

/* Returns 0, or -1 after saying on standard error what is wrong. */
int ctl_options_parse(int argc, char **argv, struct ctl_options *out);

/* Says which of the given options is not among `allowed`, and returns -1; or 0. */
int ctl_options_check(const struct ctl_options *o, unsigned allowed);

#endif
