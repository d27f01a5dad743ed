/*
 * Look-ups, staged over a burst. The segments of a burst are of many connections, whose blocks are
 * in memory, not in a cache, when there are more than a few thousand. One by one each segment would
 * wait for its bucket, then for its block, then for what the block points to. So each step is taken
 * for the whole burst before the next: the reads that it asks for are under way together.
 *
 * All of it is a guess that costs nothing where it is wrong: tcp_table_find() decides.
 */
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_table.h"

static bool is_segment(const struct packet *p)
{
    return p->kind == PACKET_TCP && p->drop == DROP_NONE;
}

static void prefetch(const void *object, size_t size)
{
    for (size_t at = 0; at < size; at += RTE_CACHE_LINE_SIZE)
        rte_prefetch0((const uint8_t *)object + at);
}

/* What an acknowledgement goes through and frees. */
static void prefetch_sent(const struct tcp_conn *c)
{
    if (c->flight != NULL)
        prefetch(c->flight, sizeof *c->flight);
    if (c->send_queue.head != NULL)
        prefetch(c->send_queue.head, sizeof *c->send_queue.head);
}

void tcp_prepare(const struct tcp *t, struct packet *packets, unsigned count)
{
    const struct tcp_conn *c;

    for (unsigned i = 0; i < count; i++) {
        struct packet *p = &packets[i];
        struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};

        if (!is_segment(p))
            continue;
        p->flow_hash = tcp_table_hash(&t->table, &local, &remote);
        rte_prefetch0(tcp_table_bucket(&t->table, p->flow_hash));
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_segment(&packets[i]) &&
            (c = *tcp_table_bucket(&t->table, packets[i].flow_hash)) != NULL)
            prefetch(c, sizeof *c);
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_segment(&packets[i]) &&
            (c = *tcp_table_bucket(&t->table, packets[i].flow_hash)) != NULL)
            prefetch_sent(c);
    }
}
