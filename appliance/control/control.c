/*
 * Theory of operation: an epoll set of its own holds the listening socket and every client. Its
 * descriptor is what the main loop waits for; each call handles one event, so that a client that
 * asks without pause has its turn and no more. Where all places are taken, the client that has been
 * idle the longest gives way; while none is idle, newcomers wait in the socket's backlog.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/control/control_internal.h"

COUNTER_TABLE(control_counter_table, CONTROL_COUNTERS);

static int watch_listener(struct control *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    return epoll_ctl(c->epoll, operation, c->listener, &event);
}

struct control *control_open(const struct control_config *config, struct error *e)
{
    struct control *c = calloc(1, sizeof *c);

    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    TAILQ_INIT(&c->clients);
    c->handler = config->handler;
    c->ctx = config->ctx;
    c->listener = -1;
    c->path = strdup(config->path);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->path != NULL && c->epoll >= 0)
        c->listener = control_socket_open(config, &c->identity, e);
    if (c->listener >= 0 && watch_listener(c, EPOLL_CTL_ADD, EPOLLIN) == 0)
        return c;
    error_set(e, "%s: %s", config->path, strerror(errno));
    control_close(c);
    return NULL;
}

void control_close(struct control *c)
{
    struct control_client *client;

    while ((client = TAILQ_FIRST(&c->clients)) != NULL)
        control_client_close(client);
    if (c->listener >= 0) {
        control_socket_remove(c->path, &c->identity);
        close(c->listener);
    }
    if (c->epoll >= 0)
        close(c->epoll);
    free(c->path);
    free(c);
}

int control_fd(const struct control *c)
{
    return c->epoll;
}

/* Returns whether there is a place for one more. */
static bool make_place(struct control *c)
{
    struct control_client *client;

    if (c->client_count < CONTROL_CLIENTS_MAX)
        return true;
    TAILQ_FOREACH (client, &c->clients, link) {
        if (!control_client_idle(client))
            continue;
        COUNTER_INC(c->counters.control_evicted);
        control_client_close(client);
        return true;
    }
    return false;
}

static void accept_client(struct control *c, clock_ns now)
{
    int fd;

    if (!make_place(c)) {
        watch_listener(c, EPOLL_CTL_MOD, 0);
        return;
    }
    /* cppcheck-suppress nullPointer; whose address it is nobody asks */
    fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        control_client_accept(c, fd, now);
}

void control_run(struct control *c, clock_ns now)
{
    unsigned before = c->client_count;
    struct epoll_event event;

    if (epoll_wait(c->epoll, &event, 1, 0) <= 0)
        return;
    if (event.data.ptr == c) {
        accept_client(c, now);
        return;
    }
    control_client_run(event.data.ptr, now);
    if (c->client_count < before || before == CONTROL_CLIENTS_MAX)
        watch_listener(c, EPOLL_CTL_MOD, EPOLLIN);
}

void control_expire(struct control *c, clock_ns now)
{
    struct control_client *client, *next;

    for (client = TAILQ_FIRST(&c->clients); client != NULL; client = next) {
        next = TAILQ_NEXT(client, link);
        if (client->deadline > now)
            continue;
        COUNTER_INC(c->counters.control_timeouts);
        control_client_close(client);
    }
    watch_listener(c, EPOLL_CTL_MOD, EPOLLIN);
}

const struct control_counters *control_counters(const struct control *c)
{
    return &c->counters;
}
