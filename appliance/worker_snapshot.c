#include "appliance/worker_snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct tls_server *server_create(const struct snapshot *shared, struct tls_worker *tls,
                                        const struct policy_tls *from, const uint8_t *ticket_secret,
                                        struct error *e)
{
    struct tls_cert_file **certs = calloc(from->certificate_count, sizeof(struct tls_cert_file *));
    struct tls_server_config config = {
        .certs = certs,
        .cert_count = from->certificate_count,
        .default_cert = from->default_certificate,
        .min_version = from->min_version,
        .max_version = from->max_version,
        .alpn = from->alpn,
        .alpn_len = from->alpn_len,
    };
    struct tls_server *server;

    if (certs == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    for (unsigned i = 0; i < from->certificate_count; i++)
        certs[i] = shared->certificates[from->certificates[i] - shared->policy->certificates];
    memcpy(config.tickets.secret, ticket_secret, TLS_TICKET_SECRET_LEN);
    server = tls_server_create(tls, &config, e);
    explicit_bzero(config.tickets.secret, sizeof config.tickets.secret);
    free(certs);
    return server;
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
    ws->proxy.tls = calloc(policy->listener_count + 1, sizeof(struct tls_server *));
    ws->proxy.rule_hits = calloc(policy->rule_count + 1, sizeof(uint64_t));
    if (ws->proxy.tls == NULL || ws->proxy.rule_hits == NULL) {
        error_set(e, "out of memory");
        goto fail;
    }
    for (unsigned i = 0; i < policy->listener_count; i++) {
        const struct policy_listener *l = &policy->listeners[i];

        assert(l->index == i);
        if (l->tls == NULL)
            continue;
        ws->proxy.tls[i] = server_create(shared, tls, l->tls, ticket_secret, e);
        if (ws->proxy.tls[i] == NULL) {
            error_prefix(e, "listener %s", l->name);
            goto fail;
        }
    }
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
