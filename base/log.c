/*
 * Theory of operation: a line is written by the thread that has it to say, also by a worker between
 * two packets, so a reader who does not read (a stopped terminal, a pipe into a program that hangs)
 * must not stop it. A line for which there is no room at once is lost and counted, and the next
 * that finds room tells how many there were. Standard error stays a blocking descriptor: O_NONBLOCK
 * would hold for all who share it, the shell among them.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
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
static atomic_uint log_lost; /* lines since the last that found room */

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

const char *log_level_name(enum log_level level)
{
    return log_levels[level].name;
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

bool log_room(int timeout_ms)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    /* An error is none of ours: the write then fails at once. */
    return poll(&p, 1, timeout_ms) != 0;
}

/* Appends the text to the prefix and makes one line of it; returns its length. */
__attribute__((format(printf, 4, 0))) static size_t log_format(char line[LOG_LINE_MAX],
                                                               enum log_level level,
                                                               const char *area, const char *fmt,
                                                               va_list ap)
{
    int prefix = log_prefix(line, LOG_LINE_MAX - 1, level, area);
    size_t len;

    if (vsnprintf(line + prefix, LOG_LINE_MAX - 1 - (size_t)prefix, fmt, ap) < 0)
        return 0;
    len = strlen(line);
    /* Names from the wire (SNI, ALPN) reach this place: they must not forge lines or escapes. */
    for (size_t i = (size_t)prefix; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len++] = '\n';
    return len;
}

static void log_put(const char *line, size_t len)
{
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
}

/* Room for one line is room for this one as well: PIPE_BUF holds both. */
static void log_tell_lost(void)
{
    unsigned lost = atomic_exchange_explicit(&log_lost, 0, memory_order_relaxed);
    char line[LOG_LINE_MAX];
    int len;

    if (lost == 0)
        return;
    len = log_prefix(line, sizeof line, LOG_LEVEL_WARN, "log");
    len += snprintf(line + len, sizeof line - (size_t)len,
                    "%u lines were lost here: standard error took no more\n", lost);
    log_put(line, (size_t)len);
}

void log_write(enum log_level level, const char *area, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list ap;
    size_t len;

    if (!log_enabled(level))
        return;
    if (!log_room(0)) {
        atomic_fetch_add_explicit(&log_lost, 1, memory_order_relaxed);
        return;
    }
    va_start(ap, fmt);
    len = log_format(line, level, area, fmt, ap);
    va_end(ap);
    log_tell_lost();
    log_put(line, len);
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
