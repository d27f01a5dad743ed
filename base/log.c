#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1200

static const struct {
    const char *name;
    int syslog; /* RFC 5424 severity, for journald's prefix */
} log_levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static atomic_int log_threshold = LOG_LEVEL_INFO;

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof log_levels / sizeof log_levels[0]; i++) {
        if (strcmp(name, log_levels[i].name) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

bool log_enabled(enum log_level level)
{
    return level <= log_level_get();
}

static int log_prefix(char *line, size_t size, enum log_level level, const char *area)
{
    struct timespec ts;
    struct tm tm;
    char stamp[32];

    if (getenv("JOURNAL_STREAM") != NULL)
        return snprintf(line, size, "<%d>%s: ", log_levels[level].syslog, area);
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    return snprintf(line, size, "%s.%03ldZ %-5s %s: ", stamp, ts.tv_nsec / 1000000,
                    log_levels[level].name, area);
}

void log_write(enum log_level level, const char *area, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list ap;
    int prefix, body;
    size_t len;

    if (!log_enabled(level))
        return;
    prefix = log_prefix(line, sizeof line - 1, level, area);
    va_start(ap, fmt);
    body = vsnprintf(line + prefix, sizeof line - 1 - (size_t)prefix, fmt, ap);
    va_end(ap);
    if (body < 0)
        return;
    len = strlen(line);
    /* Names from the wire (SNI, ALPN) reach this place: they must not forge lines or escapes. */
    for (size_t i = (size_t)prefix; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len++] = '\n';
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
}

bool log_limit_pass(struct log_limit *limit, clock_ns now, uint32_t *suppressed)
{
    if (limit->window_start == 0 || now - limit->window_start >= CLOCK_SEC) {
        limit->window_start = now;
        limit->in_window = 0;
    }
    if (limit->in_window >= LOG_LIMIT_PER_SECOND) {
        limit->suppressed++;
        return false;
    }
    limit->in_window++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
