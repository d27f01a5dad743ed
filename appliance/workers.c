#include "appliance/workers.h"

#include <rte_mempool.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "stack/socket.h"

#define WORKERS_ANSWER_TIME (10 * CLOCK_SEC) /* a worker answers within a round */

static int launch_all(struct workers *ws, const struct cpus *cpus,
                      const struct worker_config *config, struct error *e)
{
    struct worker_config own = *config;

    for (unsigned i = 0; i < cpus->count; i++) {
        own.index = i;
        own.cpu = cpus->id[i];
        own.worker_count = cpus->count;
        if (worker_launch(&ws->worker[i], &own, e) < 0)
            return -1;
        ws->count = ++ws->running;
    }
    return 0;
}

int workers_start(struct workers *ws, const struct cpus *cpus, const struct worker_config *config,
                  struct error *e)
{
    int result;

    memset(ws, 0, sizeof *ws);
    ws->worker = aligned_alloc(alignof(struct worker), cpus->count * sizeof *ws->worker);
    if (ws->worker == NULL)
        return error_set(e, "out of memory");
    result = launch_all(ws, cpus, config, e);
    for (unsigned i = 0; i < ws->count; i++) {
        if (worker_await(&ws->worker[i], e) < 0)
            result = -1;
    }
    if (result < 0)
        workers_stop(ws);
    return result;
}

void workers_stop(struct workers *ws)
{
    for (unsigned i = 0; i < ws->running; i++)
        worker_stop(&ws->worker[i]);
    for (unsigned i = 0; i < ws->running; i++)
        worker_join(&ws->worker[i]);
    ws->running = 0;
}

void workers_free(struct workers *ws)
{
    for (unsigned i = 0; i < ws->count; i++)
        rte_mempool_free(ws->worker[i].data_pool);
    free(ws->worker);
    memset(ws, 0, sizeof *ws);
}

/* Posts to one worker; a late answer to a former message is awaited first. */
static int post(struct worker *w, const struct mailbox_message *message, struct error *e)
{
    if (w->mailbox.awaited) {
        mailbox_wait(&w->mailbox, WORKERS_ANSWER_TIME, NULL);
        if (w->mailbox.awaited)
            return error_set(e, "%s does not answer", w->name);
    }
    mailbox_post(&w->mailbox, message);
    return 0;
}

int workers_tell_one(struct worker *w, const struct mailbox_message *message, struct error *e)
{
    if (post(w, message, e) < 0)
        return -1;
    return mailbox_wait(&w->mailbox, WORKERS_ANSWER_TIME, e);
}

int workers_drain(struct workers *ws, clock_ns deadline, struct error *e)
{
    const struct mailbox_message drain = {.kind = MAILBOX_DRAIN, .deadline = deadline};
    int result = 0;

    for (unsigned i = 0; i < ws->count; i++) {
        if (workers_tell_one(&ws->worker[i], &drain, e) < 0)
            result = -1;
    }
    return result;
}

void workers_collect(struct workers *ws, const struct policy *current)
{
    for (unsigned i = 0; i < ws->running; i++) {
        struct worker_snapshots *of_worker = &ws->worker[i].snapshots;

        if (worker_snapshot_collect(of_worker) > 0)
            rule_hits_prune(&of_worker->hits, current);
    }
}

void workers_rule_hits(const struct workers *ws, struct rule_hits *out)
{
    for (unsigned i = 0; i < ws->running; i++)
        worker_snapshot_rule_hits(&ws->worker[i].snapshots, out);
}

uint32_t workers_sessions(const struct workers *ws)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < ws->count; i++)
        total += proxy_session_count(ws->worker[i].proxy);
    return total;
}

uint32_t workers_connections(const struct workers *ws)
{
    struct stack_usage usage;
    uint32_t total = 0;

    for (unsigned i = 0; i < ws->count; i++) {
        stack_usage(ws->worker[i].stack, &usage);
        for (unsigned state = TCP_SYN_SENT; state < TCP_TIME_WAIT; state++)
            total += usage.connections[state];
    }
    return total;
}

bool workers_addresses_settled(const struct workers *ws)
{
    struct stack_usage usage;

    for (unsigned i = 0; i < ws->count; i++) {
        stack_usage(ws->worker[i].stack, &usage);
        if (usage.addresses_tentative > 0)
            return false;
    }
    return true;
}

void workers_class_counters(const struct workers *ws, unsigned port, unsigned egress_class,
                            struct scheduler_class_counters *sum)
{
    uint64_t *to = (uint64_t *)sum;

    for (unsigned i = 0; i < ws->count; i++) {
        const struct scheduler *s = ws->worker[i].port[port].scheduler;

        for (size_t k = 0; k < scheduler_class_counter_table.count; k++)
            to[k] += counter_read(scheduler_class_counters(s, egress_class), k);
    }
}
