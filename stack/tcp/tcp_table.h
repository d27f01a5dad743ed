/* The flow table: connections by their addresses and ports. */
#ifndef STACK_TCP_TCP_TABLE_H
#define STACK_TCP_TCP_TABLE_H

#include <stdint.h>

#include "base/ip.h"
#include "base/siphash.h"

struct tcp_conn;

struct tcp_table {
    struct tcp_conn **bucket;
    uint32_t mask;
    struct siphash_key key;
};

int tcp_table_init(struct tcp_table *t, uint32_t max, const struct siphash_key *key);
void tcp_table_fini(struct tcp_table *t);

/* A keyed hash of both ends. */
uint64_t tcp_flow_hash(const struct ip_endpoint *local, const struct ip_endpoint *remote,
                       const struct siphash_key *key);

uint32_t tcp_table_hash(const struct tcp_table *t, const struct ip_endpoint *local,
                        const struct ip_endpoint *remote);
struct tcp_conn *tcp_table_find(const struct tcp_table *t, uint32_t hash,
                                const struct ip_endpoint *local, const struct ip_endpoint *remote);

/* Where tcp_table_find() begins; chains are short, so mostly the first is the one. */
static inline struct tcp_conn **tcp_table_bucket(const struct tcp_table *t, uint32_t hash)
{
    return &t->bucket[hash & t->mask];
}

void tcp_table_insert(struct tcp_table *t, struct tcp_conn *c); /* c->hash is set */
void tcp_table_remove(struct tcp_table *t, struct tcp_conn *c);

#endif
