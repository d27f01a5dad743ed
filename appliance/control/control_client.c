#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/control/control_internal.h"
#include "appliance/control/control_request.h"

#define IN_FIRST 4096

static const char reply_no_memory[] = "{\"ok\":false,\"error\":\"out of memory\"}\n";

bool control_client_idle(const struct control_client *client)
{
    return client->in_len == 0 && client->out == NULL;
}

static bool has_line(const struct control_client *client)
{
    return memchr(client->in + client->scanned, '\n', client->in_len - client->scanned) != NULL;
}

/* What the client is waited for: to take its reply, or to send. A whole request that is there
 * already asks for a turn the same way, as a socket with room is ready at once. */
static void set_interest(struct control_client *client, int operation)
{
    bool answer = client->out != NULL || client->eof || (client->in_len > 0 && has_line(client));
    struct epoll_event event = {.events = answer ? EPOLLOUT : EPOLLIN, .data.ptr = client};

    epoll_ctl(client->control->epoll, operation, client->fd, &event);
}

static void set_deadline(struct control_client *client, clock_ns deadline)
{
    struct control_clients *all = &client->control->clients;

    client->deadline = deadline;
    TAILQ_REMOVE(all, client, link);
    TAILQ_INSERT_TAIL(all, client, link);
}

void control_client_accept(struct control *c, int fd, clock_ns now)
{
    struct control_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        close(fd);
        return;
    }
    client->control = c;
    client->fd = fd;
    client->in = malloc(IN_FIRST);
    client->in_size = IN_FIRST;
    client->deadline = now + CONTROL_IDLE;
    TAILQ_INSERT_TAIL(&c->clients, client, link);
    c->client_count++;
    if (client->in == NULL) {
        control_client_close(client);
        return;
    }
    COUNTER_INC(c->counters.control_connections);
    set_interest(client, EPOLL_CTL_ADD);
}

void control_client_close(struct control_client *client)
{
    TAILQ_REMOVE(&client->control->clients, client, link);
    client->control->client_count--;
    close(client->fd);
    free(client->in);
    free(client->out);
    free(client);
}

/* Takes the reply's reference. */
static void answer(struct control_client *client, json_t *reply, clock_ns now)
{
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT) : NULL;
    size_t len = text != NULL ? strlen(text) : 0;

    json_decref(reply);
    if (text == NULL) {
        client->out = strdup(reply_no_memory);
        client->out_len = sizeof reply_no_memory - 1;
    } else {
        text[len] = '\n'; /* in place of its NUL: `out` is bytes with a length */
        client->out = text;
        client->out_len = len + 1;
    }
    client->out_sent = 0;
    client->ending |= client->out == NULL;
    set_deadline(client, now + CONTROL_PATIENCE);
}

static void answer_malformed(struct control_client *client, const char *why, clock_ns now)
{
    struct control *c = client->control;
    uint32_t suppressed;

    COUNTER_INC(c->counters.control_malformed);
    if (log_limit_pass(&c->lines, now, &suppressed)) {
        if (suppressed > 0)
            log_warn("control", "%u more requests were not understood", suppressed);
        log_warn("control", "a request was not understood: %s", why);
    }
    answer(client, control_reply_error("%s", why), now);
}

static void answer_line(struct control_client *client, size_t len, clock_ns now)
{
    struct control *c = client->control;
    struct error e = {0};
    json_t *request = control_request_parse(client->in, len, &e);

    if (request == NULL) {
        answer_malformed(client, e.text, now);
        return;
    }
    COUNTER_INC(c->counters.control_requests);
    answer(client, c->handler(c->ctx, control_request_command(request), request), now);
    json_decref(request);
}

static void consume(struct control_client *client, size_t len)
{
    client->in_len -= len;
    client->scanned = 0;
    memmove(client->in, client->in + len, client->in_len);
}

/* Answers the first request of what was received, if it is whole, or what can never become one. */
static void take_request(struct control_client *client, clock_ns now)
{
    const char *newline =
        memchr(client->in + client->scanned, '\n', client->in_len - client->scanned);

    if (newline != NULL) {
        size_t len = (size_t)(newline - client->in);

        answer_line(client, len, now);
        consume(client, len + 1);
        return;
    }
    client->scanned = client->in_len;
    if (client->in_len >= CONTROL_REQUEST_MAX) {
        client->ending = true;
        answer_malformed(client, "the request is larger than 1 MiB", now);
    } else if (client->eof && client->in_len > 0) {
        client->ending = true;
        answer_malformed(client, "the request ended without a newline", now);
    } else if (client->eof) {
        client->ending = true;
    }
}

static int make_room(struct control_client *client)
{
    size_t size =
        client->in_size * 2 < CONTROL_REQUEST_MAX ? client->in_size * 2 : CONTROL_REQUEST_MAX;
    char *larger;

    if (client->in_len < client->in_size)
        return 0;
    larger = realloc(client->in, size);
    if (larger == NULL)
        return -1;
    client->in = larger;
    client->in_size = size;
    return 0;
}

/* Returns -1 when the connection is dead. */
static int receive(struct control_client *client, clock_ns now)
{
    bool first = client->in_len == 0;
    ssize_t n;

    if (make_room(client) < 0)
        return -1;
    n = recv(client->fd, client->in + client->in_len, client->in_size - client->in_len, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    client->eof = n == 0;
    client->in_len += (size_t)n;
    if (first && n > 0)
        set_deadline(client, now + CONTROL_PATIENCE);
    return 0;
}

/* Returns -1 when the connection is dead. */
static int transmit(struct control_client *client, clock_ns now)
{
    ssize_t n = send(client->fd, client->out + client->out_sent, client->out_len - client->out_sent,
                     MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    client->out_sent += (size_t)n;
    if (client->out_sent < client->out_len) {
        set_deadline(client, now + CONTROL_PATIENCE);
        return 0;
    }
    free(client->out);
    client->out = NULL;
    set_deadline(client, now + (client->in_len > 0 ? CONTROL_PATIENCE : CONTROL_IDLE));
    return 0;
}

void control_client_run(struct control_client *client, clock_ns now)
{
    if (client->out == NULL && !client->eof && !has_line(client) && receive(client, now) < 0) {
        control_client_close(client);
        return;
    }
    if (client->out == NULL)
        take_request(client, now);
    if (client->out != NULL && transmit(client, now) < 0)
        client->ending = true, client->out_sent = client->out_len;
    if (client->ending && (client->out == NULL || client->out_sent == client->out_len)) {
        control_client_close(client);
        return;
    }
    set_interest(client, EPOLL_CTL_MOD);
}
