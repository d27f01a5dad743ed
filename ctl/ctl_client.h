/* The control socket from the asking side: one connection, one request at a time. */
#ifndef CTL_CTL_CLIENT_H
#define CTL_CTL_CLIENT_H

#include <jansson.h>
#include <stddef.h>

/* Exit statuses. */
enum ctl_status {
    CTL_DONE = 0,
    CTL_REFUSED = 1,     /* the daemon answered with an error */
    CTL_USAGE = 2,       /* called wrongly */
    CTL_UNREACHABLE = 3, /* there is no daemon, no permission, or the connection broke */
};

struct ctl_client {
    const char *path;
    int fd;
    char *in; /* received and not yet returned */
    size_t in_len, in_size;
};

/* Connects. Returns CTL_DONE, or CTL_UNREACHABLE after saying why on standard error. */
enum ctl_status ctl_client_open(struct ctl_client *c, const char *path);
void ctl_client_close(struct ctl_client *c);

/*
 * Sends a request (its reference is taken) and waits for the reply. With CTL_DONE *result is the
 * reply's result, the caller's reference; otherwise the cause was said on standard error.
 */
enum ctl_status ctl_client_ask(struct ctl_client *c, json_t *request, json_t **result);

/* Asks for a long list a page at a time: the rows under `key` of all replies together, at most
 * `limit` of them. Takes the request's reference. */
enum ctl_status ctl_client_ask_pages(struct ctl_client *c, json_t *request, const char *key,
                                     size_t limit, json_t **rows);

#endif
