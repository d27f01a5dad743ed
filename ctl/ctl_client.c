#include "ctl/ctl_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl_text.h"

#define REPLY_FIRST 65536

static const char *why_not(int err)
{
    switch (err) {
    case ENOENT:
        return "no socket there: is sluice running, and is control.socket configured?";
    case ECONNREFUSED:
        return "nobody answers: sluice is not running";
    case EACCES:
        return "permission denied: you have to be root or in the group of the socket";
    default:
        return strerror(err);
    }
}

enum ctl_status ctl_client_open(struct ctl_client *c, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *c = (struct ctl_client){.path = path, .fd = -1};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "sluicectl: %s: a socket's path has at most %zu bytes\n", path,
                sizeof address.sun_path - 1);
        return CTL_UNREACHABLE;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        fprintf(stderr, "sluicectl: %s: %s\n", path, why_not(errno));
        ctl_client_close(c);
        return CTL_UNREACHABLE;
    }
    return CTL_DONE;
}

void ctl_client_close(struct ctl_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    c->fd = -1;
    c->in = NULL;
}

static enum ctl_status broken(const struct ctl_client *c, const char *why)
{
    fprintf(stderr, "sluicectl: %s: %s\n", c->path, why);
    return CTL_UNREACHABLE;
}

static enum ctl_status send_request(struct ctl_client *c, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t len, sent = 0;
    ssize_t n = 0;

    json_decref(request);
    if (text == NULL)
        return broken(c, "the request is no valid text (UTF-8)");
    len = strlen(text);
    text[len++] = '\n';
    while (sent < len && n >= 0) {
        n = send(c->fd, text + sent, len - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        n = n < 0 && errno == EINTR ? 0 : n;
    }
    free(text);
    /* Where the daemon hangs up early it has said why: the reply tells. */
    return n < 0 && errno != EPIPE ? broken(c, strerror(errno)) : CTL_DONE;
}

static int make_room(struct ctl_client *c)
{
    size_t size = c->in_size == 0 ? REPLY_FIRST : c->in_size * 2;
    char *larger;

    if (c->in_len < c->in_size)
        return 0;
    larger = realloc(c->in, size);
    if (larger == NULL)
        return -1;
    c->in = larger;
    c->in_size = size;
    return 0;
}

/* Receives until a whole line is there; *len is its length without the newline. */
static enum ctl_status receive_line(struct ctl_client *c, size_t *len)
{
    size_t scanned = 0;
    const char *newline;
    ssize_t n;

    for (;;) {
        newline = c->in_len > scanned ? memchr(c->in + scanned, '\n', c->in_len - scanned) : NULL;
        if (newline != NULL) {
            *len = (size_t)(newline - c->in);
            return CTL_DONE;
        }
        scanned = c->in_len;
        if (make_room(c) < 0)
            return broken(c, "out of memory");
        n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
        if (n == 0)
            return broken(c, "the daemon closed the connection");
        if (n < 0 && errno != EINTR)
            return broken(c, strerror(errno));
        c->in_len += n > 0 ? (size_t)n : 0;
    }
}

static void tell_refusal(const json_t *reply)
{
    const char *why = json_string_value(json_object_get(reply, "error"));
    const json_t *findings = json_object_get(reply, "findings"), *finding;
    size_t i;

    json_array_foreach (findings, i, finding)
        ctl_text_line(stderr, json_string_value(finding));
    fputs("sluicectl: ", stderr);
    ctl_text_line(stderr, why != NULL ? why : "the daemon refused without a reason");
}

static enum ctl_status take_reply(struct ctl_client *c, size_t len, json_t **result)
{
    json_t *reply = json_loadb(c->in, len, 0, NULL);
    enum ctl_status status = CTL_DONE;

    c->in_len -= len + 1;
    memmove(c->in, c->in + len + 1, c->in_len);
    if (!json_is_object(reply)) {
        status = broken(c, "the reply is not understood");
    } else if (!json_is_true(json_object_get(reply, "ok"))) {
        tell_refusal(reply);
        status = CTL_REFUSED;
    } else {
        *result = json_incref(json_object_get(reply, "result"));
    }
    json_decref(reply);
    return status;
}

enum ctl_status ctl_client_ask(struct ctl_client *c, json_t *request, json_t **result)
{
    enum ctl_status status = send_request(c, request);
    size_t len = 0;

    *result = NULL;
    if (status == CTL_DONE)
        status = receive_line(c, &len);
    return status == CTL_DONE ? take_reply(c, len, result) : status;
}

static void append_rows(json_t *rows, const json_t *page, size_t limit)
{
    json_t *row;
    size_t i;

    json_array_foreach (page, i, row) {
        if (json_array_size(rows) < limit)
            json_array_append(rows, row);
    }
}

enum ctl_status ctl_client_ask_pages(struct ctl_client *c, json_t *request, const char *key,
                                     size_t limit, json_t **rows)
{
    enum ctl_status status = CTL_DONE;
    json_t *page, *next = NULL;

    *rows = json_array();
    do {
        json_t *ask = json_copy(request);

        if (next != NULL)
            json_object_set_new(ask, "after", next);
        status = ctl_client_ask(c, ask, &page);
        if (status != CTL_DONE)
            break;
        append_rows(*rows, json_object_get(page, key), limit);
        next = json_incref(json_object_get(page, "next"));
        json_decref(page);
    } while (!json_is_null(next) && next != NULL && json_array_size(*rows) < limit);
    if (status == CTL_DONE)
        json_decref(next);
    json_decref(request);
    return status;
}
