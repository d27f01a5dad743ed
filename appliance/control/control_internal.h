/* What the files of the control socket share. */
#ifndef APPLIANCE_CONTROL_CONTROL_INTERNAL_H
#define APPLIANCE_CONTROL_CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "appliance/control/control.h"
#include "base/log.h"

/*
 * A client is in one of three states: idle (nothing of a request is there), asking (a part of one
 * is), being answered (`out` is not NULL). Nothing is read while it is being answered: who does not
 * take its replies can send no more requests.
 */
struct control_client {
    TAILQ_ENTRY(control_client) link;
    struct control *control;
    int fd;
    clock_ns deadline; /* of the state it is in */
    char *in;          /* received and not yet consumed */
    size_t in_len, in_size;
    size_t scanned; /* bytes of `in` known to hold no newline */
    char *out;      /* the reply, on its way */
    size_t out_len, out_sent;
    bool eof;    /* the client sends no more */
    bool ending; /* to be closed when the reply is out */
};

TAILQ_HEAD(control_clients, control_client);

struct control {
    int epoll, listener;
    char *path;
    struct stat identity; /* of the socket file: only our own is removed */
    control_handler *handler;
    void *ctx;
    struct control_clients clients; /* those that were active last are at the end */
    unsigned client_count;
    struct control_counters counters;
    struct log_limit lines;
};

/* control_socket.c: the file. Returns the listening descriptor, or -1. */
int control_socket_open(const struct control_config *config, struct stat *identity,
                        struct error *e);
void control_socket_remove(const char *path, const struct stat *identity);

/* control_client.c */
void control_client_accept(struct control *c, int fd, clock_ns now);
void control_client_run(struct control_client *client, clock_ns now); /* may close it */
void control_client_close(struct control_client *client);
bool control_client_idle(const struct control_client *client);

#endif
