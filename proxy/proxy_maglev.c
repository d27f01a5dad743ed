/*
 * Each server has a permutation of the slots, made from two hashes of its endpoint: offset and
 * skip, then offset + n * skip modulo the (prime) size. The servers take turns, each taking the
 * first slot of its permutation that is still free, until none is. When a server goes, its slots
 * are taken by others, and few further slots change hands.
 *
 * Weights decide how many turns a server has: the heaviest has one in every round, one of half the
 * weight one in every second. The order of turns is that of the servers' hashes, so that the order
 * in the configuration does not matter.
 *
 * The hash has a fixed key, which all machines share. A client that can choose its address can
 * choose its server, which hashing by the source allows by its nature.
 */
#include "proxy/proxy_maglev.h"

#include <assert.h>
#include <stdlib.h>

#include "base/siphash.h"

#define SLOTS_EACH 100 /* at least, for a weight of 1 */
#define FREE       UINT16_MAX

struct proxy_maglev {
    uint32_t size;
    uint16_t slots[];
};

struct turn {
    uint64_t hash;
    uint32_t next, skip; /* of the permutation */
    uint32_t credit;
    uint16_t weight, server;
};

static uint64_t hash_endpoint(const struct ip_endpoint *e, uint64_t which)
{
    const struct siphash_key key = {which, 0};
    uint8_t bytes[18];

    memcpy(bytes, e->addr.b, 16);
    bytes[16] = (uint8_t)(e->port >> 8);
    bytes[17] = (uint8_t)e->port;
    return siphash(bytes, sizeof bytes, &key);
}

static int compare_turns(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint32_t choose_size(const struct policy_backend *backend)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < backend->server_count; i++)
        total += backend->servers[i].weight;
    return total <= PROXY_MAGLEV_SLOTS / SLOTS_EACH ? PROXY_MAGLEV_SLOTS : PROXY_MAGLEV_SLOTS_LARGE;
}

/* Returns the greatest weight. */
static uint16_t turns_init(struct turn *turns, const struct policy_backend *backend, uint32_t size)
{
    uint16_t heaviest = 1;

    for (unsigned i = 0; i < backend->server_count; i++) {
        const struct policy_server *s = &backend->servers[i];

        turns[i] = (struct turn){
            .hash = hash_endpoint(&s->endpoint, 1),
            .next = (uint32_t)(hash_endpoint(&s->endpoint, 2) % size),
            .skip = (uint32_t)(hash_endpoint(&s->endpoint, 3) % (size - 1)) + 1,
            .weight = s->weight,
            .server = (uint16_t)i,
        };
        if (s->weight > heaviest)
            heaviest = s->weight;
    }
    qsort(turns, backend->server_count, sizeof *turns, compare_turns);
    return heaviest;
}

static void take_slot(struct proxy_maglev *m, struct turn *t)
{
    while (m->slots[t->next] != FREE)
        t->next = (t->next + t->skip) % m->size;
    m->slots[t->next] = t->server;
}

static void populate(struct proxy_maglev *m, struct turn *turns, unsigned count, uint16_t heaviest)
{
    uint32_t left = m->size;

    for (uint32_t i = 0; i < m->size; i++)
        m->slots[i] = FREE;
    for (unsigned i = 0; left > 0; i = (i + 1) % count) {
        turns[i].credit += turns[i].weight;
        if (turns[i].credit < heaviest)
            continue;
        turns[i].credit -= heaviest;
        take_slot(m, &turns[i]);
        left--;
    }
}

struct proxy_maglev *proxy_maglev_create(const struct policy_backend *backend, struct error *e)
{
    uint32_t size = choose_size(backend);
    struct proxy_maglev *m = malloc(sizeof *m + size * sizeof m->slots[0]);
    struct turn *turns = calloc(backend->server_count, sizeof *turns);

    assert(backend->server_count > 0 && backend->server_count < FREE);
    if (m == NULL || turns == NULL) {
        free(m);
        free(turns);
        error_set(e, "out of memory");
        return NULL;
    }
    m->size = size;
    populate(m, turns, backend->server_count, turns_init(turns, backend, size));
    free(turns);
    return m;
}

void proxy_maglev_free(struct proxy_maglev *m)
{
    free(m);
}

unsigned proxy_maglev_server(const struct proxy_maglev *m, uint32_t slot)
{
    return m->slots[slot];
}

uint32_t proxy_maglev_size(const struct proxy_maglev *m)
{
    return m->size;
}

void proxy_maglev_probe_first(const struct proxy_maglev *m, const struct ip_addr *client,
                              struct proxy_maglev_probe *out)
{
    const struct siphash_key key = {4, 0};
    uint64_t hash = siphash(client->b, sizeof client->b, &key);

    out->slot = (uint32_t)(hash & UINT32_MAX) % m->size;
    out->step = (uint32_t)(hash >> 32) % (m->size - 1) + 1;
}

void proxy_maglev_probe_next(const struct proxy_maglev *m, struct proxy_maglev_probe *probe)
{
    probe->slot = (probe->slot + probe->step) % m->size;
}
