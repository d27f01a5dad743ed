/*
 * Three ways to choose. Each looks past servers that are not eligible now.
 *
 * Round-robin is the smooth weighted one: at each turn every server gains its weight, the richest
 * is chosen and pays the sum. In any run of turns that is as long as the sum of the weights, each
 * server has exactly its weight in turns, and they are spread evenly over the run.
 *
 * Least connections compares what each server would have with one more, over its weight. It counts
 * this worker's connections only. Clients spread over the workers by a hash, so each has a fair
 * sample; and were the others' counts looked at, all workers would run to the same server at once
 * whenever one falls behind, on figures that are out of date by then.
 *
 * Source hash looks the client up in a Maglev table.
 */
#include "proxy/proxy_balance.h"

#include <stdlib.h>

/* Beyond that many slots most servers cannot be used, and the next one that can is taken. */
#define PROBES_MAX 256

int proxy_balance_init(struct proxy_balance *b, const struct policy_backend *config,
                       struct proxy_server *const *servers, const struct proxy_maglev *maglev,
                       unsigned worker, unsigned phase)
{
    static const struct ip_addr anyone;

    *b = (struct proxy_balance){
        .config = config, .servers = servers, .maglev = maglev, .worker = worker};
    b->next = phase % config->server_count;
    if (config->balance != POLICY_ROUND_ROBIN)
        return 0;
    b->credit = calloc(config->server_count, sizeof *b->credit);
    if (b->credit == NULL)
        return -1;
    for (unsigned i = 0; i < phase % config->server_count; i++)
        proxy_balance_choose(b, &anyone, PROXY_BALANCE_USABLE, 0);
    return 0;
}

void proxy_balance_fini(struct proxy_balance *b)
{
    free(b->credit);
    b->credit = NULL;
}

bool proxy_balance_eligible(const struct proxy_server *server, enum proxy_balance_level level,
                            clock_ns now)
{
    if (level == PROXY_BALANCE_USABLE)
        return proxy_server_usable(server, now);
    return proxy_server_usable(server, CLOCK_NEVER) && !proxy_server_usable(server, now);
}

static int choose_round_robin(struct proxy_balance *b, enum proxy_balance_level level, clock_ns now)
{
    int32_t sum = 0;
    int best = -1;

    for (unsigned i = 0; i < b->config->server_count; i++) {
        if (!proxy_balance_eligible(b->servers[i], level, now))
            continue;
        sum += b->config->servers[i].weight;
        b->credit[i] += b->config->servers[i].weight;
        if (best < 0 || b->credit[i] > b->credit[best])
            best = (int)i;
    }
    if (best >= 0)
        b->credit[best] -= sum;
    return best;
}

/* Has `i` fewer connections for its weight than `k`? */
static bool less_loaded(const struct proxy_balance *b, unsigned i, unsigned k)
{
    uint64_t of_i = b->servers[i]->worker[b->worker].connections + UINT64_C(1);
    uint64_t of_k = b->servers[k]->worker[b->worker].connections + UINT64_C(1);

    return of_i * b->config->servers[k].weight < of_k * b->config->servers[i].weight;
}

/* Among equals, the one after that of the last time. */
static int choose_least_connections(struct proxy_balance *b, enum proxy_balance_level level,
                                    clock_ns now)
{
    unsigned count = b->config->server_count;
    int best = -1;

    for (unsigned n = 0; n < count; n++) {
        unsigned i = (b->next + n) % count;

        if (proxy_balance_eligible(b->servers[i], level, now) &&
            (best < 0 || less_loaded(b, i, (unsigned)best)))
            best = (int)i;
    }
    if (best >= 0)
        b->next = ((unsigned)best + 1) % count;
    return best;
}

static int choose_source_hash(const struct proxy_balance *b, const struct ip_addr *client,
                              enum proxy_balance_level level, clock_ns now)
{
    unsigned count = b->config->server_count;
    struct proxy_maglev_probe probe;
    unsigned first;

    proxy_maglev_probe_first(b->maglev, client, &probe);
    first = proxy_maglev_server(b->maglev, probe.slot);
    for (unsigned n = 0; n < PROBES_MAX; n++) {
        unsigned i = proxy_maglev_server(b->maglev, probe.slot);

        if (proxy_balance_eligible(b->servers[i], level, now))
            return (int)i;
        proxy_maglev_probe_next(b->maglev, &probe);
    }
    for (unsigned n = 0; n < count; n++) {
        unsigned i = (first + n) % count;

        if (proxy_balance_eligible(b->servers[i], level, now))
            return (int)i;
    }
    return -1;
}

int proxy_balance_choose(struct proxy_balance *b, const struct ip_addr *client,
                         enum proxy_balance_level level, clock_ns now)
{
    switch (b->config->balance) {
    case POLICY_ROUND_ROBIN:
        return choose_round_robin(b, level, now);
    case POLICY_LEAST_CONNECTIONS:
        return choose_least_connections(b, level, now);
    case POLICY_SOURCE_HASH:
        return choose_source_hash(b, client, level, now);
    }
    return -1;
}
