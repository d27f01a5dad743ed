/*
 * Theory of operation: libmicrohttpd runs on the caller's thread, with an epoll set of its own
 * whose descriptor the main loop waits for. So what is scraped may be read without locks: it is the
 * main thread's as everything else that is reported. The whole answer is made in memory first: a
 * slow reader holds that and a place, nothing more.
 */
#include "appliance/metrics/metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

COUNTER_TABLE(metrics_http_counter_table, METRICS_HTTP_COUNTERS);

#define CONNECTIONS_MAX 32
#define PATIENCE        10u /* seconds without progress */
#define TURNS_MAX       64  /* of libmicrohttpd's machine in one call */

#define TYPE_METRICS    "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_PLAIN      "text/plain; charset=utf-8"

struct metrics_http {
    struct MHD_Daemon *daemon;
    struct metrics_http_config config;
    struct metrics_http_counters counters;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
                             struct MHD_Response *response)
{
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* `text` is constant. */
static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    return reply(connection, status, TYPE_PLAIN,
                 MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                 MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result reply_metrics(struct metrics_http *m, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return MHD_NO;
    m->config.write(m->config.ctx, out);
    if (fclose(out) != 0) {
        free(text);
        return MHD_NO;
    }
    return reply(connection, MHD_HTTP_OK, TYPE_METRICS,
                 MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    struct metrics_http *m = ctx;

    (void)version;
    (void)upload;
    if (*request == NULL) { /* the header is there; a body is taken and forgotten */
        *request = m;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/metrics") != 0 && strcmp(url, "/healthz") != 0) {
        COUNTER_INC(m->counters.metrics_refused);
        return reply_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        COUNTER_INC(m->counters.metrics_refused);
        return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    COUNTER_INC(m->counters.metrics_requests);
    if (strcmp(url, "/metrics") == 0)
        return reply_metrics(m, connection);
    if (m->config.healthy(m->config.ctx))
        return reply_text(connection, MHD_HTTP_OK, "ok\n");
    return reply_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "draining\n");
}

static socklen_t make_address(const struct ip_endpoint *from, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (ip_is_v4(&from->addr)) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(from->port);
        v4->sin_addr.s_addr = ip_to_v4(&from->addr);
        return sizeof *v4;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(from->port);
    memcpy(&v6->sin6_addr, from->addr.b, sizeof v6->sin6_addr);
    return sizeof *v6;
}

static int listen_on(const struct ip_endpoint *endpoint, struct error *e)
{
    struct sockaddr_storage address;
    socklen_t len = make_address(endpoint, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    char text[IP_TEXT_MAX];

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    error_set(e, "cannot listen on %s: %s", ip_endpoint_format(endpoint, text), strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

struct metrics_http *metrics_http_open(const struct metrics_http_config *config, struct error *e)
{
    struct metrics_http *m = calloc(1, sizeof *m);
    int fd;

    if (m == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    m->config = *config;
    fd = listen_on(&config->listen, e);
    if (fd >= 0)
        m->daemon =
            MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, m, MHD_OPTION_LISTEN_SOCKET, fd,
                             MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                             MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE, MHD_OPTION_END);
    if (m->daemon != NULL)
        return m;
    if (fd >= 0)
        close(fd);
    error_set(e, "cannot start the HTTP server");
    free(m);
    return NULL;
}

void metrics_http_close(struct metrics_http *m)
{
    MHD_stop_daemon(m->daemon);
    free(m);
}

int metrics_http_fd(const struct metrics_http *m)
{
    return MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void metrics_http_run(struct metrics_http *m)
{
    MHD_UNSIGNED_LONG_LONG left;
    unsigned turns = 0;

    /* Its epoll set is edge-triggered: what it has not finished shows in its timeout only. */
    do {
        MHD_run(m->daemon);
    } while (++turns < TURNS_MAX && MHD_get_timeout(m->daemon, &left) == MHD_YES && left == 0);
}

const struct metrics_http_counters *metrics_http_counters(const struct metrics_http *m)
{
    return &m->counters;
}
