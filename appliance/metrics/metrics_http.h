/*
 * Metrics over HTTP: /metrics for Prometheus, /healthz for load balancers and supervisors. As the
 * control socket, it never makes its caller wait: one descriptor tells when there is work, and
 * connections are bounded in number, size and time (GNU libmicrohttpd).
 */
#ifndef APPLIANCE_METRICS_METRICS_HTTP_H
#define APPLIANCE_METRICS_METRICS_HTTP_H

#include <stdbool.h>
#include <stdio.h>

#include "base/counter.h"
#include "base/error.h"
#include "base/ip.h"

#define METRICS_HTTP_COUNTERS(X)                               \
    X(metrics_requests, "HTTP requests for metrics or health") \
    X(metrics_refused, "HTTP requests for anything else")

COUNTER_STRUCT(metrics_http_counters, METRICS_HTTP_COUNTERS);
extern const struct counter_table metrics_http_counter_table;

struct metrics_http_config {
    struct ip_endpoint listen; /* of the kernel's network */
    void (*write)(void *ctx, FILE *out);
    bool (*healthy)(void *ctx); /* false: /healthz is answered with 503 */
    void *ctx;
};

struct metrics_http;

struct metrics_http *metrics_http_open(const struct metrics_http_config *config, struct error *e);
void metrics_http_close(struct metrics_http *m);

/* Readable when metrics_http_run() has something to do. It is also to be called about once a
 * second, for connections whose time is over. */
int metrics_http_fd(const struct metrics_http *m);
void metrics_http_run(struct metrics_http *m);

const struct metrics_http_counters *metrics_http_counters(const struct metrics_http *m);

#endif
