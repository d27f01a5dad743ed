/*
 * Theory of operation: the writer sleeps on a semaphore that a worker posts with each record (one
 * system call while the writer sleeps, an atomic addition otherwise). It takes one record after the
 * other, lane by lane. While the file has no room it waits with the record in hand, and looks up
 * every tenth of a second: at a new file, which a reload may bring, and at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/session_log/session_log_internal.h"

#define PATIENCE_MS 100
#define LAST_TIME   (2 * CLOCK_SEC)  /* for what is left at the end */
#define LOOK_EVERY  (1 * CLOCK_SEC)  /* at the file: is it open, is it in its place? */
#define TELL_EVERY  (10 * CLOCK_SEC) /* of lines that were lost */

struct writer {
    struct session_log *log;
    struct session_log_file file;
    clock_ns look_at, tell_at;
    uint64_t told;   /* lines lost that the log has told of */
    int last_error;  /* errno of the last failure since then; 0: none */
    clock_ns end_at; /* CLOCK_NEVER while there is no end in sight */
};

static void take_file(struct writer *w)
{
    struct session_log *log = w->log;

    pthread_mutex_lock(&log->lock);
    if (log->has_next) {
        session_log_file_close(&w->file);
        w->file = log->next;
        log->has_next = false;
    }
    pthread_mutex_unlock(&log->lock);
}

static uint64_t lines_lost(const struct session_log *log)
{
    struct session_log_counters c;

    session_log_counters(log, &c);
    return c.session_log_lost + c.session_log_failed;
}

/* Says how many lines were lost, now and then. */
static void tell(struct writer *w, clock_ns now)
{
    uint64_t lost = lines_lost(w->log);

    if (lost == w->told || now < w->tell_at)
        return;
    log_warn("session log", "%s: %llu lines were lost: %s",
             w->file.path != NULL ? w->file.path : "(none)", (unsigned long long)(lost - w->told),
             w->last_error != 0 ? strerror(w->last_error) : "it takes them too slowly");
    w->told = lost;
    w->last_error = 0;
    w->tell_at = now + TELL_EVERY;
}

/* Looks at what else there is. Returns false when the time is over. */
static bool look_up(struct writer *w)
{
    clock_ns now = clock_now();

    take_file(w);
    if (now >= w->look_at) {
        session_log_file_look(&w->file);
        w->look_at = now + LOOK_EVERY;
    }
    if (w->end_at == CLOCK_NEVER && atomic_load_explicit(&w->log->stop, memory_order_acquire))
        w->end_at = now + LAST_TIME;
    tell(w, now);
    return now < w->end_at;
}

static void write_line(struct writer *w, const char *line)
{
    size_t len = strlen(line);
    enum session_log_write result;

    do
        result = session_log_file_write(&w->file, line, len, PATIENCE_MS);
    while (result == SESSION_LOG_BUSY && look_up(w));
    if (result == SESSION_LOG_WRITTEN) {
        COUNTER_INC(w->log->counters.session_log_lines);
        return;
    }
    w->last_error = result == SESSION_LOG_FAILED ? errno : 0;
    COUNTER_INC(w->log->counters.session_log_failed);
}

static void write_record(struct writer *w, const struct proxy_record *r)
{
    struct timespec wall;
    char *line;

    take_file(w);             /* a session that ended after a reload is written where that says */
    if (w->file.path == NULL) /* switched off meanwhile */
        return;
    clock_gettime(CLOCK_REALTIME, &wall);
    line = session_log_format(r, w->file.format, clock_now(), &wall);
    if (line != NULL)
        write_line(w, line);
    else
        COUNTER_INC(w->log->counters.session_log_failed);
    free(line);
}

/* Writes one record of each lane that has any. Returns whether there was one. */
static bool write_round(struct writer *w)
{
    bool any = false;
    void *record;

    for (unsigned i = 0; i < w->log->lane_count; i++) {
        struct session_log_lane *lane = &w->log->lane[i];

        if (rte_ring_sc_dequeue(lane->full, &record) != 0)
            continue;
        write_record(w, record);
        rte_ring_sp_enqueue(lane->free, record);
        any = true;
    }
    return any;
}

static void sleep_until_woken(struct session_log *log)
{
    struct timespec ts;

    /* Not for ever: a FIFO may get its reader, and lost lines are told of. */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += 1;
    sem_clockwait(&log->wake, CLOCK_MONOTONIC, &ts);
    while (sem_trywait(&log->wake) == 0)
        ; /* one look at the rings serves all of them */
}

void *session_log_writer(void *arg)
{
    struct writer w = {.log = arg, .file = {.fd = -1}, .end_at = CLOCK_NEVER};
    bool any = true;

    pthread_setname_np(pthread_self(), "session log");
    while (look_up(&w)) {
        if (!any && w.end_at != CLOCK_NEVER)
            break;
        if (!any)
            sleep_until_woken(w.log);
        any = write_round(&w);
    }
    w.tell_at = 0;
    tell(&w, clock_now());
    session_log_file_close(&w.file);
    return NULL;
}
