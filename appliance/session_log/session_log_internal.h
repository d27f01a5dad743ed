/* What the files of the session log share. */
#ifndef APPLIANCE_SESSION_LOG_SESSION_LOG_INTERNAL_H
#define APPLIANCE_SESSION_LOG_SESSION_LOG_INTERNAL_H

#include <pthread.h>
#include <rte_ring.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "appliance/session_log/session_log.h"
#include "base/log.h"

/* Where lines go. */
struct session_log_file {
    char *path; /* NULL: nowhere */
    int fd;     /* -1: not open, to be tried again */
    enum policy_log_format format;
    bool torn; /* the last line was written in part only */
};

/* Records go round: free -> the worker fills -> full -> the writer writes -> free. Each ring has
 * one producer and one consumer. */
struct session_log_lane {
    alignas(64) struct session_log *log;
    struct rte_ring *free, *full;
    struct proxy_record *records;
    uint64_t lost; /* the worker's counter */
};

struct session_log {
    atomic_bool on, stop;
    sem_t wake; /* a record, a new file, or the end */
    bool started;
    pthread_t thread;
    struct session_log_file prepared; /* the main thread's */
    pthread_mutex_t lock;             /* of the next two: main thread and writer, no worker */
    struct session_log_file next;     /* to be taken by the writer */
    bool has_next;
    struct session_log_counters counters; /* the writer's; `lost` is each lane's */
    unsigned lane_count;
    struct session_log_lane lane[];
};

/* session_log_file.c */
int session_log_file_open(struct session_log_file *f, const struct policy_session_log *config,
                          struct error *e);
void session_log_file_close(struct session_log_file *f);
/* Opens what is not open yet (a FIFO that had no reader), and anew what was moved away. */
void session_log_file_look(struct session_log_file *f);

enum session_log_write {
    SESSION_LOG_WRITTEN,
    SESSION_LOG_BUSY,   /* no room now: wait and try the same line again */
    SESSION_LOG_FAILED, /* errno tells */
};

/* `line` ends with a newline. Waits for room up to `timeout_ms`. */
enum session_log_write session_log_file_write(struct session_log_file *f, const char *line,
                                              size_t len, int timeout_ms);

/* session_log_format.c. Returns a line with its newline (malloc'd), or NULL when memory is out.
 * `now` and `wall` are the same moment on both clocks. */
char *session_log_format(const struct proxy_record *r, enum policy_log_format format, clock_ns now,
                         const struct timespec *wall);

/* session_log_writer.c */
void *session_log_writer(void *log);

#endif
