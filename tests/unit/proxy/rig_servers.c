#include "rig_servers.h"

#include <stdlib.h>

/* Not assert(), which a release build leaves out. */
static void *need(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

struct proxy_server *rig_server_create(const struct ip_endpoint *endpoint, unsigned workers)
{
    size_t size = sizeof(struct proxy_server) + workers * sizeof(struct proxy_server_worker);
    struct proxy_server *s = need(aligned_alloc(alignof(struct proxy_server), size));

    memset(s, 0, size);
    s->endpoint = *endpoint;
    return s;
}

struct proxy_server ***rig_servers_create(const struct policy *policy, unsigned workers)
{
    struct proxy_server ***servers = need(calloc(policy->backend_count, sizeof *servers));

    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        servers[b->index] = need(calloc(b->server_count, sizeof *servers[b->index]));
        for (unsigned k = 0; k < b->server_count; k++)
            servers[b->index][k] = rig_server_create(&b->servers[k].endpoint, workers);
    }
    return servers;
}

void rig_servers_free(const struct policy *policy, struct proxy_server ***servers)
{
    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        for (unsigned k = 0; k < b->server_count; k++)
            free(servers[b->index][k]);
        free(servers[b->index]);
    }
    free(servers);
}
