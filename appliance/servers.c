/*
 * Theory of operation: a server's state outlives the snapshots that name it. Each snapshot holds a
 * reference to each of its servers, taken when it is attached and given back when it is freed; two
 * snapshots that name the same endpoint under the same backend thus share one struct, and a reload
 * changes nothing about it. Where a backend is renamed, its servers begin anew.
 *
 * Workers write into the structs: health and ejection in one word each, counters in lines of their
 * own. The main thread reads them in place and writes `drained`.
 */
#include "appliance/servers.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/snapshot.h"
#include "base/log.h"
#include "policy/policy_suggest.h"
#include "proxy/proxy_maglev.h"

struct servers_entry {
    const char *backend; /* in the same piece of memory */
    struct ip_endpoint endpoint;
    struct proxy_server *server;
    bool checked; /* by the snapshot that servers_settle() looks at */
};

static int compare(const void *a, const void *b)
{
    const struct servers_entry *x = a, *y = b;
    int order = strcmp(x->backend, y->backend);

    if (order == 0)
        order = memcmp(&x->endpoint.addr, &y->endpoint.addr, sizeof x->endpoint.addr);
    if (order == 0)
        order = (x->endpoint.port > y->endpoint.port) - (x->endpoint.port < y->endpoint.port);
    return order;
}

static void entry_free(struct servers_entry *entry)
{
    free(entry->server);
    free(entry);
}

static struct servers_entry *entry_create(const struct servers_entry *key, unsigned workers)
{
    size_t name = strlen(key->backend) + 1;
    size_t size = sizeof(struct proxy_server) + workers * sizeof(struct proxy_server_worker);
    struct servers_entry *entry = malloc(sizeof *entry + name);

    if (entry == NULL)
        return NULL;
    *entry = *key;
    entry->backend = memcpy(entry + 1, key->backend, name);
    entry->server = aligned_alloc(alignof(struct proxy_server), size);
    if (entry->server == NULL) {
        free(entry);
        return NULL;
    }
    memset(entry->server, 0, size);
    entry->server->endpoint = key->endpoint;
    return entry;
}

static struct servers_entry *entry_find(const struct servers *all, const struct servers_entry *key)
{
    struct servers_entry *const *node = tfind(key, &all->tree, compare);

    return node != NULL ? *node : NULL;
}

static struct servers_entry *entry_of(const struct servers *all, const struct policy_backend *b,
                                      unsigned server)
{
    const struct servers_entry key = {.backend = b->name, .endpoint = b->servers[server].endpoint};

    return entry_find(all, &key);
}

/* Returns the server with one reference more, or NULL. */
static struct proxy_server *server_ref(struct servers *all, const struct policy_backend *b,
                                       unsigned server)
{
    const struct servers_entry key = {.backend = b->name, .endpoint = b->servers[server].endpoint};
    struct servers_entry *entry = entry_find(all, &key);

    if (entry == NULL) {
        entry = entry_create(&key, all->workers);
        if (entry == NULL)
            return NULL;
        if (tsearch(entry, &all->tree, compare) == NULL) {
            entry_free(entry);
            return NULL;
        }
    }
    entry->server->references++;
    return entry->server;
}

static void server_unref(struct servers *all, const struct policy_backend *b, unsigned server)
{
    struct servers_entry *entry = entry_of(all, b, server);

    if (--entry->server->references > 0)
        return;
    tdelete(entry, &all->tree, compare);
    entry_free(entry);
}

/* ---- snapshots ---- */

/* The arrays of proxy_snapshot.servers in one piece, empty. */
static struct proxy_server ***array_create(const struct policy *policy)
{
    size_t total = policy->backend_count + 1;
    struct proxy_server ***array;
    struct proxy_server **next;

    for (unsigned i = 0; i < policy->backend_count; i++)
        total += policy->backends[i].server_count;
    array = calloc(total, sizeof(void *));
    if (array == NULL)
        return NULL;
    next = (struct proxy_server **)(void *)(array + policy->backend_count + 1);
    for (unsigned i = 0; i < policy->backend_count; i++) {
        array[policy->backends[i].index] = next;
        next += policy->backends[i].server_count;
    }
    return array;
}

static int maglev_create(struct snapshot *s, struct error *e)
{
    const struct policy *policy = s->policy;

    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        if (b->balance != POLICY_SOURCE_HASH)
            continue;
        s->maglev[b->index] = proxy_maglev_create(b, e);
        if (s->maglev[b->index] == NULL)
            return -1;
    }
    return 0;
}

static void maglev_free(struct snapshot *s)
{
    for (unsigned i = 0; s->maglev != NULL && i < s->policy->backend_count; i++)
        proxy_maglev_free(s->maglev[i]);
    free(s->maglev);
    s->maglev = NULL;
}

static int servers_ref(struct servers *all, struct snapshot *s, struct error *e)
{
    const struct policy *policy = s->policy;

    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        for (unsigned k = 0; k < b->server_count; k++) {
            s->servers[b->index][k] = server_ref(all, b, k);
            if (s->servers[b->index][k] == NULL)
                return error_set(e, "out of memory");
        }
    }
    return 0;
}

int servers_attach(struct servers *all, struct snapshot *s, struct error *e)
{
    s->registry = all;
    s->servers = array_create(s->policy);
    s->maglev = calloc(s->policy->backend_count + 1, sizeof(struct proxy_maglev *));
    if (s->servers != NULL && s->maglev != NULL && servers_ref(all, s, e) == 0 &&
        maglev_create(s, e) == 0)
        return 0;
    servers_detach(s);
    return error_set(e, "out of memory");
}

void servers_detach(struct snapshot *s)
{
    for (unsigned i = 0; s->servers != NULL && i < s->policy->backend_count; i++) {
        const struct policy_backend *b = &s->policy->backends[i];

        for (unsigned k = 0; k < b->server_count; k++) {
            if (s->servers[b->index][k] != NULL)
                server_unref(s->registry, b, k);
        }
    }
    free(s->servers);
    s->servers = NULL;
    maglev_free(s);
}

static void settle(const void *node, VISIT visit, void *ctx)
{
    struct servers_entry *entry = *(struct servers_entry *const *)node;

    (void)ctx;
    if (visit != postorder && visit != leaf) /* each node is visited so exactly once */
        return;
    if (!entry->checked)
        atomic_store_explicit(&entry->server->health, PROXY_HEALTH_UNCHECKED, memory_order_relaxed);
    entry->checked = false;
}

void servers_settle(const struct servers *all, const struct snapshot *current)
{
    const struct policy *policy = current->policy;

    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend *b = &policy->backends[i];

        for (unsigned k = 0; b->health_check.enabled && k < b->server_count; k++)
            entry_of(all, b, k)->checked = true;
    }
    twalk_r(all->tree, settle, NULL);
}

/* ---- views ---- */

const char *servers_state_name(enum servers_state state)
{
    static const char *const names[] = {
        [SERVERS_UNCHECKED] = "unchecked", [SERVERS_UP] = "up",           [SERVERS_DOWN] = "down",
        [SERVERS_EJECTED] = "ejected",     [SERVERS_DRAINED] = "drained",
    };

    return names[state];
}

static enum servers_state state_of(const struct proxy_server *server,
                                   const struct servers_view *view)
{
    if (atomic_load_explicit(&server->drained, memory_order_relaxed))
        return SERVERS_DRAINED;
    if (view->health == PROXY_HEALTH_DOWN)
        return SERVERS_DOWN;
    if (view->ejected_for > 0)
        return SERVERS_EJECTED;
    return view->health == PROXY_HEALTH_UP ? SERVERS_UP : SERVERS_UNCHECKED;
}

static void add_counters(struct proxy_server_counters *sum,
                         const struct proxy_server_counters *counters)
{
    uint64_t *to = (uint64_t *)sum;

    for (size_t i = 0; i < proxy_server_counter_table.count; i++)
        to[i] += counter_read(counters, i);
}

void servers_view(const struct snapshot *s, unsigned backend, unsigned server, clock_ns now,
                  struct servers_view *out)
{
    const struct policy_backend *b = &s->policy->backends[backend];
    struct proxy_server *from = s->servers[b->index][server];
    clock_ns until = atomic_load_explicit(&from->ejected_until, memory_order_relaxed);

    *out = (struct servers_view){.backend = b->name, .config = &b->servers[server]};
    out->health = (enum proxy_health)atomic_load_explicit(&from->health, memory_order_relaxed);
    out->ejected_for = until > now ? until - now : 0;
    out->state = state_of(from, out);
    for (unsigned i = 0; i < s->registry->workers; i++) {
        out->connections += __atomic_load_n(&from->worker[i].connections, __ATOMIC_RELAXED);
        add_counters(&out->counters, &from->worker[i].counters);
    }
}

/* ---- commands ---- */

static const struct policy_backend *find_backend(const struct policy *policy, const char *name,
                                                 struct error *e)
{
    struct policy_suggest suggest = {.text = name};

    for (unsigned i = 0; i < policy->backend_count; i++) {
        if (strcmp(policy->backends[i].name, name) == 0)
            return &policy->backends[i];
        policy_suggest_offer(&suggest, policy->backends[i].name);
    }
    if (suggest.best != NULL)
        error_set(e, "there is no backend \"%s\"; did you mean \"%s\"?", name, suggest.best);
    else
        error_set(e, "there is no backend \"%s\"", name);
    return NULL;
}

/* "10.0.0.11:8080, 10.0.0.12:8080 and 3 more" */
static const char *describe_servers(const struct policy_backend *b, char *out, size_t size)
{
    unsigned shown = b->server_count <= 4 ? b->server_count : 4;
    char text[IP_TEXT_MAX];
    size_t len = 0;

    for (unsigned i = 0; i < shown && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "",
                                ip_endpoint_format(&b->servers[i].endpoint, text));
    if (shown < b->server_count && len < size)
        snprintf(out + len, size - len, " and %u more", b->server_count - shown);
    return out;
}

/* Returns its position in the backend, or -1. */
static int find_server(const struct policy_backend *b, const char *text, struct error *e)
{
    struct ip_endpoint endpoint;
    char servers[320];

    if (ip_endpoint_parse(text, &endpoint) < 0)
        return error_set(e, "\"%s\" is no server; expected an address and a port, such as %s", text,
                         ip_endpoint_format(&b->servers[0].endpoint, servers));
    for (unsigned i = 0; i < b->server_count; i++) {
        if (b->servers[i].endpoint.port == endpoint.port &&
            ip_equal(&b->servers[i].endpoint.addr, &endpoint.addr))
            return (int)i;
    }
    return error_set(e, "backend \"%s\" has no server %s; it has %s", b->name, text,
                     describe_servers(b, servers, sizeof servers));
}

static unsigned count_in_use(const struct snapshot *s, const struct policy_backend *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->server_count; i++) {
        struct proxy_server *server = s->servers[b->index][i];

        n += !atomic_load_explicit(&server->drained, memory_order_relaxed) &&
             atomic_load_explicit(&server->health, memory_order_relaxed) != PROXY_HEALTH_DOWN;
    }
    return n;
}

static int command(const struct snapshot *s, const char *backend, const char *server, bool drain,
                   struct error *e)
{
    const struct policy_backend *b = find_backend(s->policy, backend, e);
    int position = b != NULL ? find_server(b, server, e) : -1;
    struct proxy_server *target;
    unsigned left;

    if (position < 0)
        return -1;
    target = s->servers[b->index][position];
    atomic_store_explicit(&target->drained, drain, memory_order_relaxed);
    if (!drain)
        atomic_store_explicit(&target->ejected_until, 0, memory_order_relaxed);
    left = count_in_use(s, b);
    log_write(left > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "backend",
              "%s: %s is %s by command; %u of %u servers %s%s", b->name, server,
              drain ? "drained" : "enabled", left, b->server_count, drain ? "left" : "in use",
              left == 0 ? ": its sessions are refused" : "");
    return 0;
}

int servers_drain(const struct snapshot *s, const char *backend, const char *server,
                  struct error *e)
{
    return command(s, backend, server, true, e);
}

int servers_enable(const struct snapshot *s, const char *backend, const char *server,
                   struct error *e)
{
    return command(s, backend, server, false, e);
}
