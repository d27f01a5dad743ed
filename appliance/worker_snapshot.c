#include "appliance/worker_snapshot.h"

#include <assert.h>
#include <stdlib.h>

#include "appliance/worker_tls.h"

/* Returns 0, or -1 with the cause in *e. */
static int make_servers(struct worker_snapshot *ws, struct tls_worker *tls,
                        const uint8_t *ticket_secret, struct error *e)
{
    const struct policy *policy = ws->shared->policy;

    ws->proxy.tls = calloc(policy->listener_count + 1, sizeof(struct tls_server *));
    if (ws->proxy.tls == NULL)
        return error_set(e, "out of memory");
    for (unsigned i = 0; i < policy->listener_count; i++) {
        const struct policy_listener *l = &policy->listeners[i];

        assert(l->index == i);
        if (l->tls == NULL)
            continue;
        ws->proxy.tls[i] = worker_tls_server(ws->shared, tls, l, ticket_secret, e);
        if (ws->proxy.tls[i] == NULL)
            return error_prefix(e, "listener %s", l->name);
    }
    return 0;
}

static int make_clients(struct worker_snapshot *ws, struct tls_worker *tls, struct error *e)
{
    const struct policy *policy = ws->shared->policy;

    ws->proxy.backend_tls = calloc(policy->backend_count + 1, sizeof(struct tls_client *));
    if (ws->proxy.backend_tls == NULL)
        return error_set(e, "out of memory");
    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        assert(b->index == i);
        if (b->tls == NULL)
            continue;
        ws->proxy.backend_tls[i] = worker_tls_client(ws->shared, tls, b, e);
        if (ws->proxy.backend_tls[i] == NULL)
            return error_prefix(e, "backend %s", b->name);
    }
    return 0;
}

static void worker_snapshot_released(struct proxy_snapshot *proxy)
{
    struct worker_snapshot *ws = proxy->owner;

    ws->next = atomic_load_explicit(&ws->owner->retired, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&ws->owner->retired, &ws->next, ws,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

struct worker_snapshot *worker_snapshot_create(struct snapshot *shared, struct tls_worker *tls,
                                               const uint8_t ticket_secret[TLS_TICKET_SECRET_LEN],
                                               struct worker_snapshots *owner, struct error *e)
{
    const struct policy *policy = shared->policy;
    struct worker_snapshot *ws = calloc(1, sizeof *ws);

    if (ws == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    snapshot_ref(shared);
    ws->shared = shared;
    ws->owner = owner;
    LIST_INSERT_HEAD(&owner->living, ws, link);
    ws->proxy.policy = policy;
    ws->proxy.released = worker_snapshot_released;
    ws->proxy.owner = ws;
    ws->proxy.servers = shared->servers;
    ws->proxy.maglev = shared->maglev;
    if (policy->class_count > 0)
        ws->proxy.classes = shared->classes->number;
    ws->proxy.rule_hits = calloc(policy->rule_count + 1, sizeof(uint64_t));
    if (ws->proxy.rule_hits == NULL) {
        error_set(e, "out of memory");
        goto fail;
    }
    if (make_servers(ws, tls, ticket_secret, e) != 0 || make_clients(ws, tls, e) != 0)
        goto fail;
    return ws;

fail:
    worker_snapshot_destroy(ws);
    return NULL;
}

void worker_snapshot_destroy(struct worker_snapshot *ws)
{
    for (unsigned i = 0; ws->proxy.tls != NULL && i < ws->proxy.policy->listener_count; i++) {
        if (ws->proxy.tls[i] != NULL)
            tls_server_destroy(ws->proxy.tls[i]);
    }
    for (unsigned i = 0; ws->proxy.backend_tls != NULL && i < ws->proxy.policy->backend_count;
         i++) {
        if (ws->proxy.backend_tls[i] != NULL)
            tls_client_destroy(ws->proxy.backend_tls[i]);
    }
    free(ws->proxy.backend_tls);
    free(ws->proxy.tls);
    free(ws->proxy.rule_hits);
    LIST_REMOVE(ws, link);
    snapshot_unref(ws->shared);
    free(ws);
}

unsigned worker_snapshot_collect(struct worker_snapshots *owner)
{
    struct worker_snapshot *ws =
        atomic_exchange_explicit(&owner->retired, NULL, memory_order_acquire);
    unsigned count = 0;

    while (ws != NULL) {
        struct worker_snapshot *next = ws->next;

        rule_hits_add(&owner->hits, ws->proxy.policy, ws->proxy.rule_hits);
        worker_snapshot_destroy(ws);
        ws = next;
        count++;
    }
    return count;
}

void worker_snapshot_rule_hits(const struct worker_snapshots *owner, struct rule_hits *out)
{
    const struct worker_snapshot *ws;

    rule_hits_merge(out, &owner->hits);
    LIST_FOREACH (ws, &owner->living, link)
        rule_hits_add(out, ws->proxy.policy, ws->proxy.rule_hits);
}
