/*
 * A generation is one snapshot as this worker uses it. Sessions hold on to the generation they
 * began under, because rules, certificates and servers are pointers into it. The last session of an
 * old one does not release it by itself: that happens at the end of the round, when nothing on the
 * call stack can look at it any more.
 */
#include "proxy/proxy_internal.h"

#include <stdlib.h>

static int backend_init(struct proxy *p, struct proxy_generation *g, const struct policy_backend *b)
{
    const struct proxy_snapshot *snapshot = g->snapshot;
    struct proxy_backend *out = &g->backends[b->index];

    out->last_error = calloc(b->server_count, sizeof *out->last_error);
    if (out->last_error == NULL)
        return -1;
    return proxy_balance_init(&out->balance, b, snapshot->servers[b->index],
                              snapshot->maglev != NULL ? snapshot->maglev[b->index] : NULL,
                              p->worker, p->worker + p->phase);
}

static int backends_init(struct proxy *p, struct proxy_generation *g)
{
    const struct policy *policy = generation_policy(g);

    for (unsigned i = 0; i < policy->backend_count; i++) {
        if (backend_init(p, g, &policy->backends[i]) < 0)
            return -1;
    }
    p->phase++;
    return 0;
}

struct proxy_generation *proxy_generation_create(struct proxy *p, struct proxy_snapshot *snapshot,
                                                 struct error *e)
{
    struct proxy_generation *g = calloc(1, sizeof *g);

    if (g == NULL)
        goto fail;
    g->snapshot = snapshot;
    /* One more, so that a policy without backends is no special case. */
    g->backends = calloc(snapshot->policy->backend_count + 1, sizeof *g->backends);
    if (g->backends == NULL || backends_init(p, g) < 0 || proxy_health_create(p, g) < 0)
        goto fail;
    return g;
fail:
    error_set(e, "out of memory");
    proxy_generation_free(g);
    return NULL;
}

void proxy_generation_free(struct proxy_generation *g)
{
    if (g == NULL)
        return;
    if (g->backends != NULL) {
        for (unsigned i = 0; i < generation_policy(g)->backend_count; i++) {
            proxy_balance_fini(&g->backends[i].balance);
            free(g->backends[i].last_error);
        }
    }
    free(g->checks);
    free(g->backends);
    free(g);
}

static void generation_release(struct proxy *p, struct proxy_generation *g)
{
    struct proxy_snapshot *snapshot = g->snapshot;

    TAILQ_REMOVE(&p->generations, g, link);
    proxy_generation_free(g);
    if (snapshot->released != NULL)
        snapshot->released(snapshot);
}

void proxy_generation_reap(struct proxy *p)
{
    struct proxy_generation *g = TAILQ_FIRST(&p->generations), *next;

    /* Mostly there is one, the current; two after a reload. */
    for (; g != NULL; g = next) {
        next = TAILQ_NEXT(g, link);
        if (g != p->current && g->snapshot->sessions == 0)
            generation_release(p, g);
    }
}
