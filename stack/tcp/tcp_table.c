/* The flow table: chains in a power of two of buckets, by a keyed hash of addresses and ports. */
#include "stack/tcp/tcp_table.h"

#include <stdlib.h>
#include <string.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"

int tcp_table_init(struct tcp_table *t, uint32_t max, const struct siphash_key *key)
{
    uint32_t buckets = 64;

    while (buckets < max && buckets < (1u << 30))
        buckets *= 2;
    /* calloc of this size maps zero pages: an unused table costs nothing. */
    t->bucket = calloc(buckets, sizeof *t->bucket);
    t->mask = buckets - 1;
    t->key = *key;
    return t->bucket != NULL ? 0 : -1;
}

void tcp_table_fini(struct tcp_table *t)
{
    free(t->bucket);
    t->bucket = NULL;
}

uint64_t tcp_flow_hash(const struct ip_endpoint *local, const struct ip_endpoint *remote,
                       const struct siphash_key *key)
{
    if (ip_is_v4(&local->addr)) {
        struct {
            uint32_t local, remote;
            uint16_t local_port, remote_port;
        } id = {ip_to_v4(&local->addr), ip_to_v4(&remote->addr), local->port, remote->port};

        return siphash(&id, sizeof id, key);
    } else {
        struct {
            struct ip_addr local, remote;
            uint16_t local_port, remote_port;
        } __attribute__((packed)) id = {local->addr, remote->addr, local->port, remote->port};

        return siphash(&id, sizeof id, key);
    }
}

uint32_t tcp_table_hash(const struct tcp_table *t, const struct ip_endpoint *local,
                        const struct ip_endpoint *remote)
{
    return (uint32_t)tcp_flow_hash(local, remote, &t->key);
}

static bool same_endpoint(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

struct tcp_conn *tcp_table_find(const struct tcp_table *t, uint32_t hash,
                                const struct ip_endpoint *local, const struct ip_endpoint *remote)
{
    struct tcp_conn *c = t->bucket[hash & t->mask];

    while (c != NULL && !(c->hash == hash && same_endpoint(&c->remote, remote) &&
                          same_endpoint(&c->local, local)))
        c = c->hash_next;
    return c;
}

void tcp_table_insert(struct tcp_table *t, struct tcp_conn *c)
{
    struct tcp_conn **bucket = &t->bucket[c->hash & t->mask];

    c->hash_next = *bucket;
    *bucket = c;
}

void tcp_table_remove(struct tcp_table *t, struct tcp_conn *c)
{
    struct tcp_conn **at = &t->bucket[c->hash & t->mask];

    while (*at != c)
        at = &(*at)->hash_next;
    *at = c->hash_next;
    c->hash_next = NULL;
}
