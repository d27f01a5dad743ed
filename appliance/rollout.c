/*
 * Theory of operation: decoding keys and setting up TLS takes about a millisecond a certificate.
 * Were it done by the workers, a reload with a thousand of them would hold up every packet for a
 * second. So it is done beside them, on the main thread's CPU, in each worker's own library
 * context, whose locks OpenSSL provides. What is left to the worker is to take a finished
 * structure.
 *
 * A thread is started for it and ends before the workers are told: OpenSSL keeps state for each
 * pair of thread and library context, and takes it down when the thread ends. The main thread,
 * which outlives the workers and their contexts, would be left with state of contexts that are
 * gone.
 */
#include "appliance/rollout.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct build {
    const struct workers *ws;
    unsigned count; /* for the first workers only */
    struct snapshot *snapshot;
    struct worker_snapshot **built; /* by worker */
    int result;
    struct error error;
};

static void *build_main(void *arg)
{
    struct build *b = arg;

    for (unsigned i = 0; i < b->count && b->result == 0; i++) {
        struct worker *w = &b->ws->worker[i];

        b->built[i] = worker_snapshot_create(b->snapshot, w->tls, w->config.secrets->ticket,
                                             &w->snapshots, &b->error);
        if (b->built[i] == NULL)
            b->result = error_prefix(&b->error, "%s", w->name);
    }
    return NULL;
}

static void discard(struct worker_snapshot **built, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (built[i] != NULL)
            worker_snapshot_destroy(built[i]);
    }
    free(built);
}

/* Returns an array to be given to discard(), or NULL. */
static struct worker_snapshot **build(const struct workers *ws, unsigned count,
                                      struct snapshot *snapshot, struct error *e)
{
    struct build b = {.ws = ws, .count = count, .snapshot = snapshot};
    pthread_t thread;

    b.built = calloc(count + 1, sizeof(struct worker_snapshot *));
    if (b.built == NULL || pthread_create(&thread, NULL, build_main, &b) != 0) {
        error_set(e, "out of memory");
        free(b.built);
        return NULL;
    }
    pthread_join(thread, NULL);
    if (b.result == 0)
        return b.built;
    error_set(e, "%s", b.error.text);
    discard(b.built, count);
    return NULL;
}

/* Hands the workers what was built for them; returns how many took it. */
static unsigned apply(struct workers *ws, struct worker_snapshot **built, unsigned count,
                      struct error *e)
{
    for (unsigned i = 0; i < count; i++) {
        const struct mailbox_message message = {.kind = MAILBOX_APPLY, .snapshot = built[i]};

        int result = workers_tell_one(&ws->worker[i], &message, e);

        if (result == 0 || ws->worker[i].mailbox.awaited)
            built[i] = NULL; /* the worker's, also where it has not answered yet */
        if (result < 0)
            return i;
    }
    return count;
}

static void roll_back(struct workers *ws, unsigned count, struct snapshot *current)
{
    struct worker_snapshot **built;
    struct error e = {0};
    unsigned back = 0;

    if (count == 0)
        return;
    built = build(ws, count, current, &e);
    if (built != NULL) {
        back = apply(ws, built, count, &e);
        discard(built, count);
    }
    if (back < count)
        log_error("reload", "cannot go back to the former configuration: %s", e.text);
}

int rollout(struct workers *ws, struct snapshot *next, struct snapshot *current, struct error *e)
{
    struct worker_snapshot **built = build(ws, ws->count, next, e);
    unsigned applied;

    if (built == NULL)
        return -1;
    applied = apply(ws, built, ws->count, e);
    discard(built, ws->count);
    if (applied == ws->count)
        return 0;
    roll_back(ws, applied, current);
    return -1;
}
