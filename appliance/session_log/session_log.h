/*
 * One line for each session at its end, as text or JSON, in a file, a FIFO or on standard error.
 *
 * A worker copies the record into a ring of its own and goes on; a writer thread makes lines of
 * them and writes. However slow the file is, no worker waits: where the ring is full the line is
 * lost, which is counted and told in the log.
 */
#ifndef APPLIANCE_SESSION_LOG_SESSION_LOG_H
#define APPLIANCE_SESSION_LOG_SESSION_LOG_H

#include "base/counter.h"
#include "base/error.h"
#include "policy/policy.h"
#include "proxy/proxy_record.h"

#define SESSION_LOG_RECORDS 2048 /* that a worker's ring holds, a power of two */

#define SESSION_LOG_COUNTERS(X)                                                             \
    X(session_log_lines, "lines written to the session log")                                \
    X(session_log_lost, "lines of the session log lost: the writer was behind by too many") \
    X(session_log_failed, "lines of the session log lost: they could not be written")

COUNTER_STRUCT(session_log_counters, SESSION_LOG_COUNTERS);
extern const struct counter_table session_log_counter_table;

struct session_log;
struct session_log_lane; /* one worker's way in */

/* ---- the main thread ---- */

/* With a ring for each worker; off until the first session_log_commit(). */
struct session_log *session_log_create(unsigned workers, struct error *e);

/* Starts the writer: on the caller's CPUs and with its signal mask. */
int session_log_start(struct session_log *log, struct error *e);

/* Writes what is left, within about two seconds, and frees. No worker uses a lane any more. */
void session_log_destroy(struct session_log *log);

/*
 * A new configuration in two steps, so that a file that cannot be opened refuses it: prepare opens
 * the file (created with mode 0640; also when it is the same one, so that a log that was rotated is
 * begun anew), commit hands it to the writer, discard closes it. A later one replaces a former.
 */
int session_log_prepare(struct session_log *log, const struct policy_session_log *config,
                        struct error *e);
void session_log_commit(struct session_log *log);
void session_log_discard(struct session_log *log);

struct session_log_lane *session_log_lane(struct session_log *log, unsigned worker);
void session_log_counters(const struct session_log *log, struct session_log_counters *out);

/* ---- a worker ---- */

/* proxy_hooks.ended; ctx is the lane. Takes neither locks nor memory. */
void session_log_ended(void *lane, const struct proxy_record *record);

#endif
