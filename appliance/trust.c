#include "appliance/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One that was read for an earlier backend from the same path (NULL: the system's), or NULL. */
static struct tls_ca_file *server_ca_of(const struct trust *t, const struct policy *policy,
                                        unsigned before, const char *path)
{
    for (unsigned i = 0; i < before; i++) {
        const char *other = t->servers[i] != NULL ? policy->backends[i].tls->ca : NULL;

        if (t->servers[i] == NULL || (other == NULL) != (path == NULL))
            continue;
        if (path == NULL || strcmp(other, path) == 0)
            return t->servers[i];
    }
    return NULL;
}

static struct tls_ca_file *client_ca_of(const struct trust *t, const struct policy *policy,
                                        unsigned before, const char *path)
{
    for (unsigned i = 0; i < before; i++) {
        if (t->clients[i] != NULL && strcmp(policy->listeners[i].tls->client_ca, path) == 0)
            return t->clients[i];
    }
    return NULL;
}

static struct tls_ca_file *load(struct tls_ca_file *known, const char *path, const char *key,
                                const struct policy *policy, const struct policy_mark *mark,
                                struct policy_report *report)
{
    struct error e = {0};
    struct tls_ca_file *ca = known != NULL ? tls_ca_file_ref(known) : tls_ca_file_load(path, &e);

    if (ca == NULL)
        policy_report_add(report, false, policy->path, mark->line, mark->column, key, "%s", e.text);
    return ca;
}

static int load_clients(struct trust *t, const struct policy *policy, struct policy_report *report)
{
    char key[256];
    int result = 0;

    for (unsigned i = 0; i < t->listener_count; i++) {
        const struct policy_tls *tls = policy->listeners[i].tls;

        if (tls == NULL || tls->client_auth == POLICY_CLIENT_NONE)
            continue;
        snprintf(key, sizeof key, "listeners.%s.tls.client-auth.ca", policy->listeners[i].name);
        t->clients[i] = load(client_ca_of(t, policy, i, tls->client_ca), tls->client_ca, key,
                             policy, &tls->client_ca_mark, report);
        if (t->clients[i] == NULL)
            result = -1;
    }
    return result;
}

static int load_servers(struct trust *t, const struct policy *policy, struct policy_report *report)
{
    char key[256];
    int result = 0;

    for (unsigned i = 0; i < t->backend_count; i++) {
        const struct policy_backend_tls *tls = policy->backends[i].tls;

        if (tls == NULL || !tls->verify)
            continue;
        snprintf(key, sizeof key, "backends.%s.tls%s", policy->backends[i].name,
                 tls->ca != NULL ? ".ca" : "");
        t->servers[i] =
            load(server_ca_of(t, policy, i, tls->ca), tls->ca, key, policy, &tls->ca_mark, report);
        if (t->servers[i] == NULL)
            result = -1;
    }
    return result;
}

int trust_load(struct trust *t, const struct policy *policy, struct policy_report *report)
{
    int clients, servers;

    t->clients = calloc(policy->listener_count + 1, sizeof(struct tls_ca_file *));
    t->servers = calloc(policy->backend_count + 1, sizeof(struct tls_ca_file *));
    if (t->clients == NULL || t->servers == NULL) {
        policy_report_add(report, false, policy->path, 0, 0, NULL, "out of memory");
        return -1;
    }
    t->listener_count = policy->listener_count;
    t->backend_count = policy->backend_count;
    clients = load_clients(t, policy, report);
    servers = load_servers(t, policy, report);
    return clients == 0 && servers == 0 ? 0 : -1;
}

void trust_free(struct trust *t)
{
    for (unsigned i = 0; i < t->listener_count; i++)
        tls_ca_file_unref(t->clients[i]);
    for (unsigned i = 0; i < t->backend_count; i++)
        tls_ca_file_unref(t->servers[i]);
    free(t->clients);
    free(t->servers);
    *t = (struct trust){0};
}
