/*
 * How the main thread speaks to a worker: one message at a time, looked for once a round with one
 * atomic load. The worker carries it out between two rounds and acknowledges; the main thread waits
 * for that. Nobody takes a lock.
 */
#ifndef APPLIANCE_MAILBOX_H
#define APPLIANCE_MAILBOX_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"
#include "proxy/proxy_record.h"

struct capture_lane;
struct firewall_ruleset;
struct worker_snapshot;

enum mailbox_kind {
    MAILBOX_START,    /* build the worker; the mailbox begins with it */
    MAILBOX_APPLY,    /* make `snapshot` current; after a failure it is the main thread's again */
    MAILBOX_FIREWALL, /* make `ruleset` (or none: NULL) the firewall's, which takes a reference */
    MAILBOX_DRAIN,    /* accept no more, cut what is left at `deadline` */
    MAILBOX_SESSIONS, /* fill `sessions` with those after its id */
    MAILBOX_CAPTURE,  /* copy what comes and goes into `lane`, or no more (NULL) */
    MAILBOX_SESSION,  /* fill `sessions` with the one of its id, if it lives */
};

/* A question for sessions, and its answer. The worker's from posting to acknowledgement. */
struct mailbox_sessions {
    uint64_t id;
    unsigned max, count;
    struct proxy_record record[]; /* max of them */
};

struct mailbox_message {
    enum mailbox_kind kind;
    struct worker_snapshot *snapshot;
    struct firewall_ruleset *ruleset;
    clock_ns deadline;
    struct mailbox_sessions *sessions;
    struct capture_lane *lane;
    int only; /* the interface to capture; -1: all */
};

struct mailbox {
    atomic_bool posted;
    bool awaited; /* the main thread's: a message has not been acknowledged yet */
    sem_t acknowledged;
    struct mailbox_message message;
    int result;
    struct error error;
};

/* With MAILBOX_START posted. */
void mailbox_init(struct mailbox *b);
void mailbox_fini(struct mailbox *b);

/* ---- the main thread's side ---- */

/* Posts a message; the former one must have been acknowledged. */
void mailbox_post(struct mailbox *b, const struct mailbox_message *message);

/* Waits for the acknowledgement. Returns the worker's result, 0 or -1 with its error; -1 also when
 * the time is over, after which mailbox_wait() must be called again before the next message. */
int mailbox_wait(struct mailbox *b, clock_ns timeout, struct error *e);

/* ---- the worker's side ---- */

static inline bool mailbox_pending(const struct mailbox *b)
{
    return atomic_load_explicit(&b->posted, memory_order_acquire);
}

/* `error` is copied when result is -1. */
void mailbox_acknowledge(struct mailbox *b, int result, const struct error *error);

#endif
