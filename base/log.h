/*
 * Log lines on standard error, one write(2) a line so that lines of several workers never mix.
 *
 * A line: "2026-11-22T03:02:01.123Z info  session: text". Under journald (JOURNAL_STREAM set) the
 * time is left out and the level is given as a "<6>" prefix, as sd-daemon(3) has it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The level from which lines are written; info at start. May be called from any thread. */
void log_level_set(enum log_level level);
enum log_level log_level_get(void);

/* Parses "error", "warn", "info" or "debug". Returns 0 or -1. */
int log_level_parse(const char *name, enum log_level *out);

const char *log_level_name(enum log_level level);

bool log_enabled(enum log_level level);

/* Writes one line when the level is enabled. Control characters in the text become '?'. Never
 * waits: a line for which standard error has no room is lost, and the next one tells of it. */
void log_write(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Waits for room on standard error; false when the time is over. For text that is not a line. */
bool log_room(int timeout_ms);

#define log_error(area, ...) log_write(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...)  log_write(LOG_LEVEL_WARN, area, __VA_ARGS__)
#define log_info(area, ...)  log_write(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...)                               \
    do {                                                   \
        if (log_enabled(LOG_LEVEL_DEBUG))                  \
            log_write(LOG_LEVEL_DEBUG, area, __VA_ARGS__); \
    } while (0)

/*
 * A token bucket for lines that a peer can cause. log_limit_pass() returns true when a line may be
 * written; *suppressed then tells how many were held back since the last one that passed.
 * One owner thread; zero-initialise it.
 */
struct log_limit {
    clock_ns window_start;
    uint32_t in_window;
    uint32_t suppressed;
};

#define LOG_LIMIT_PER_SECOND 10

bool log_limit_pass(struct log_limit *limit, clock_ns now, uint32_t *suppressed);

#endif
