#include "appliance/session_log/session_log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/session_log/session_log_internal.h"

#define STOP_TIME 5 /* seconds for the writer to end; it takes about two at most */

COUNTER_TABLE(session_log_counter_table, SESSION_LOG_COUNTERS);

/* A ring in plain memory: nothing of it is shared with another process. */
static struct rte_ring *make_ring(const char *name)
{
    /* One more, as a ring holds one less than its size. */
    unsigned size = SESSION_LOG_RECORDS * 2;
    ssize_t bytes = rte_ring_get_memsize(size);
    struct rte_ring *ring = bytes > 0 ? aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)bytes) : NULL;

    if (ring != NULL && rte_ring_init(ring, name, size, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0)
        return ring;
    free(ring);
    return NULL;
}

static int lane_init(struct session_log_lane *lane, struct session_log *log)
{
    lane->log = log;
    lane->free = make_ring("free");
    lane->full = make_ring("full");
    /* Pages are touched on first use: where there is no session log this takes no memory. */
    lane->records = calloc(SESSION_LOG_RECORDS, sizeof *lane->records);
    if (lane->free == NULL || lane->full == NULL || lane->records == NULL)
        return -1;
    for (unsigned i = 0; i < SESSION_LOG_RECORDS; i++)
        rte_ring_sp_enqueue(lane->free, &lane->records[i]);
    return 0;
}

struct session_log *session_log_create(unsigned workers, struct error *e)
{
    size_t bytes = sizeof(struct session_log) + workers * sizeof(struct session_log_lane);
    struct session_log *log =
        aligned_alloc(alignof(struct session_log_lane), (bytes + 63) / 64 * 64);

    if (log == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    memset(log, 0, bytes);
    sem_init(&log->wake, 0, 0);
    pthread_mutex_init(&log->lock, NULL);
    log->prepared.fd = log->next.fd = -1;
    for (log->lane_count = 0; log->lane_count < workers; log->lane_count++) {
        if (lane_init(&log->lane[log->lane_count], log) < 0) {
            log->lane_count++;
            session_log_destroy(log);
            error_set(e, "out of memory");
            return NULL;
        }
    }
    return log;
}

int session_log_start(struct session_log *log, struct error *e)
{
    int err = pthread_create(&log->thread, NULL, session_log_writer, log);

    if (err != 0)
        return error_set(e, "cannot start the session log's writer: %s", strerror(err));
    log->started = true;
    return 0;
}

/* Returns whether the writer has ended. One that hangs in a dead file system is left behind. */
static bool stop_writer(struct session_log *log)
{
    struct timespec ts;

    if (!log->started)
        return true;
    atomic_store_explicit(&log->stop, true, memory_order_release);
    sem_post(&log->wake);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += STOP_TIME;
    if (pthread_clockjoin_np(log->thread, NULL, CLOCK_MONOTONIC, &ts) == 0)
        return true;
    log_error("session log", "its file does not answer: lines are lost");
    pthread_detach(log->thread);
    return false;
}

void session_log_destroy(struct session_log *log)
{
    if (!stop_writer(log))
        return;
    session_log_file_close(&log->prepared);
    if (log->has_next)
        session_log_file_close(&log->next);
    for (unsigned i = 0; i < log->lane_count; i++) {
        free(log->lane[i].free);
        free(log->lane[i].full);
        free(log->lane[i].records);
    }
    pthread_mutex_destroy(&log->lock);
    sem_destroy(&log->wake);
    free(log);
}

int session_log_prepare(struct session_log *log, const struct policy_session_log *config,
                        struct error *e)
{
    session_log_discard(log);
    return session_log_file_open(&log->prepared, config, e);
}

void session_log_commit(struct session_log *log)
{
    bool on = log->prepared.path != NULL;

    pthread_mutex_lock(&log->lock);
    if (log->has_next)
        session_log_file_close(&log->next);
    log->next = log->prepared;
    log->has_next = true;
    pthread_mutex_unlock(&log->lock);
    log->prepared = (struct session_log_file){.fd = -1};
    atomic_store_explicit(&log->on, on, memory_order_relaxed);
    sem_post(&log->wake);
}

void session_log_discard(struct session_log *log)
{
    session_log_file_close(&log->prepared);
}

struct session_log_lane *session_log_lane(struct session_log *log, unsigned worker)
{
    assert(worker < log->lane_count);
    return &log->lane[worker];
}

void session_log_counters(const struct session_log *log, struct session_log_counters *out)
{
    for (size_t i = 0; i < session_log_counter_table.count; i++)
        ((uint64_t *)out)[i] = counter_read(&log->counters, i);
    for (unsigned i = 0; i < log->lane_count; i++)
        out->session_log_lost += counter_read(&log->lane[i].lost, 0);
}

void session_log_ended(void *ctx, const struct proxy_record *record)
{
    struct session_log_lane *lane = ctx;
    void *copy;

    if (!atomic_load_explicit(&lane->log->on, memory_order_relaxed))
        return;
    if (rte_ring_sc_dequeue(lane->free, &copy) != 0) {
        COUNTER_INC(lane->lost);
        return;
    }
    *(struct proxy_record *)copy = *record;
    rte_ring_sp_enqueue(lane->full, copy); /* which has room for all that there are */
    sem_post(&lane->log->wake);
}
