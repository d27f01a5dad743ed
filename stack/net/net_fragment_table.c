/*
 * The packets of which not all fragments are there.
 *
 * All is bounded: packets, mbufs, fragments of one packet; and what one source, of IPv6 one /64,
 * may have is a quarter of the first two. Beyond the bounds the oldest packet gives way, a source's
 * own first: what is honest is whole within milliseconds, while a flood consists of packets that
 * never are.
 *
 * The time that a packet may take depends on its family alone, so each family has a list in the
 * order of arrival, and no timer per packet is needed. The sender is told by ICMP when the first
 * fragment had come (RFC 1122, 3.3.2; RFC 8200, 4.5).
 */
#include <stdlib.h>

#include "stack/net/net_fragment.h"

#define BUCKETS         (2 * NET_FRAGMENT_PACKETS)
#define SOURCE_SHARE    4 /* one source may have the fourth part */
#define CODE_REASSEMBLY 1 /* of ICMP's time exceeded, and of ICMPv6's */

/* RFC 1122, 3.3.2 wants 60 s or more of a host; a quarter of all that there is may be held so long
 * by one source, hence what most hosts do. RFC 8200, 4.5. */
static const clock_ns family_time[2] = {30 * CLOCK_SEC, 60 * CLOCK_SEC};

struct net_fragment_source {
    struct ip_addr addr; /* of IPv6 the first 64 bits */
    uint32_t packets, buffers;
    struct net_partial_list list; /* oldest first */
    struct net_fragment_source *hash_next;
};

int net_fragments_enable(struct net *n, uint32_t buffers, stack_ingress *ingress, void *ctx,
                         struct error *e)
{
    struct net_fragments *t = &n->fragments;

    t->ingress = ingress;
    t->ingress_ctx = ctx;
    t->enabled = true; /* what follows is undone by net_fragments_fini() */
    t->buffers_max = buffers;
    TAILQ_INIT(&t->list[0]);
    TAILQ_INIT(&t->list[1]);
    t->bucket = calloc(BUCKETS, sizeof(struct net_partial *));
    t->source_bucket = calloc(BUCKETS, sizeof(struct net_fragment_source *));
    if (t->bucket == NULL || t->source_bucket == NULL ||
        pool_init(&t->packets, sizeof(struct net_partial), NET_FRAGMENT_PACKETS) != 0 ||
        pool_init(&t->sources, sizeof(struct net_fragment_source), NET_FRAGMENT_PACKETS) != 0 ||
        pool_init(&t->pieces, sizeof(struct net_piece), buffers) != 0)
        return error_set(e, "out of memory for packets in fragments");
    return 0;
}

/* ---- sources ---- */

static struct ip_addr source_addr(const struct ip_addr *src)
{
    struct ip_addr a = *src;

    if (!ip_is_v4(src))
        a.q[1] = 0;
    return a;
}

static struct net_fragment_source **source_link(const struct net *n, const struct ip_addr *addr)
{
    const struct net_fragments *t = &n->fragments;
    struct net_fragment_source **at =
        &t->source_bucket[siphash(addr, sizeof *addr, &n->neighbours.key) % BUCKETS];

    while (*at != NULL && !ip_equal(&(*at)->addr, addr))
        at = &(*at)->hash_next;
    return at;
}

static struct net_fragment_source *source_get(struct net *n, const struct ip_addr *src)
{
    struct ip_addr addr = source_addr(src);
    struct net_fragment_source **at = source_link(n, &addr);

    if (*at == NULL) {
        *at = pool_get(&n->fragments.sources);
        if (*at == NULL)
            return NULL;
        (*at)->addr = addr;
        TAILQ_INIT(&(*at)->list);
    }
    return *at;
}

static void source_put(struct net *n, struct net_fragment_source *s)
{
    struct net_fragment_source **at = source_link(n, &s->addr);

    *at = s->hash_next;
    pool_put(&n->fragments.sources, s);
}

/* ---- packets ---- */

static struct net_partial **bucket_of(const struct net *n, const struct net_partial *k)
{
    struct {
        struct ip_addr src, dst;
        uint32_t id;
        uint8_t iface, protocol, zero[2];
    } key = {k->src, k->dst, k->id, k->iface, k->protocol, {0}};

    return &n->fragments.bucket[siphash(&key, sizeof key, &n->neighbours.key) % BUCKETS];
}

static bool same_packet(const struct net_partial *a, const struct net_partial *b)
{
    return a->id == b->id && a->iface == b->iface && a->protocol == b->protocol &&
           ip_equal(&a->src, &b->src) && ip_equal(&a->dst, &b->dst);
}

static struct net_partial_list *list_of(struct net *n, const struct net_partial *p)
{
    return &n->fragments.list[ip_is_v4(&p->src) ? 0 : 1];
}

static struct net_partial *partial_find(const struct net *n, const struct net_partial *key)
{
    struct net_partial *p = *bucket_of(n, key);

    while (p != NULL && !same_packet(p, key))
        p = p->hash_next;
    return p;
}

static struct net_partial *partial_create(struct net *n, const struct net_partial *key,
                                          clock_ns now)
{
    struct net_fragment_source *source = source_get(n, &key->src);
    struct net_partial *p = pool_get(&n->fragments.packets);
    struct net_partial **at = bucket_of(n, key);

    *p = *key;
    p->since = now;
    p->source = source;
    p->hash_next = *at;
    *at = p;
    TAILQ_INSERT_TAIL(list_of(n, p), p, link);
    TAILQ_INSERT_TAIL(&source->list, p, source_link);
    source->packets++;
    return p;
}

void net_partial_clear(struct net *n, struct net_partial *p)
{
    if (!p->whole)
        COUNTER_ADD(n->counters->drop_ip_fragment, p->pieces);
    while (p->head != NULL) {
        struct net_piece *gone = p->head;

        p->head = gone->next;
        rte_pktmbuf_free(gone->m);
        pool_put(&n->fragments.pieces, gone);
    }
    n->fragments.buffers -= p->buffers;
    p->source->buffers -= p->buffers;
    p->buffers = 0;
    p->pieces = 0;
}

void net_partial_remove(struct net *n, struct net_partial *p)
{
    struct net_partial **at = bucket_of(n, p);
    struct net_fragment_source *source = p->source;

    net_partial_clear(n, p);
    while (*at != p)
        at = &(*at)->hash_next;
    *at = p->hash_next;
    TAILQ_REMOVE(list_of(n, p), p, link);
    TAILQ_REMOVE(&source->list, p, source_link);
    if (--source->packets == 0)
        source_put(n, source);
    pool_put(&n->fragments.packets, p);
}

bool net_partial_add(struct net *n, struct net_partial *p, struct net_piece **at,
                     const struct net_piece *piece)
{
    struct net_piece *new = pool_get(&n->fragments.pieces);

    if (new == NULL)
        return false;
    *new = *piece;
    *at = new;
    p->pieces++;
    p->buffers += piece->m->nb_segs;
    p->source->buffers += piece->m->nb_segs;
    n->fragments.buffers += piece->m->nb_segs;
    return true;
}

void net_fragments_fini(struct net *n)
{
    struct net_fragments *t = &n->fragments;

    if (!t->enabled)
        return;
    for (unsigned i = 0; i < 2; i++) {
        while (!TAILQ_EMPTY(&t->list[i]))
            net_partial_remove(n, TAILQ_FIRST(&t->list[i]));
    }
    pool_fini(&t->packets);
    pool_fini(&t->sources);
    pool_fini(&t->pieces);
    free(t->bucket);
    free(t->source_bucket);
}

/* ---- bounds ---- */

/* Makes an old packet give way, unless it is the one that the room is for. */
static bool give_way(struct net *n, struct net_partial *oldest, const struct net_partial *to)
{
    if (oldest == NULL || same_packet(oldest, to))
        return false;
    COUNTER_INC(n->counters->ip_reassembly_evicted);
    net_partial_remove(n, oldest);
    return true;
}

static bool room_of_source(struct net *n, const struct net_partial *of, uint32_t packets,
                           uint32_t buffers)
{
    struct ip_addr addr = source_addr(&of->src);

    for (;;) {
        const struct net_fragment_source *s = *source_link(n, &addr);

        if (s == NULL || (s->packets + packets <= NET_FRAGMENT_PACKETS / SOURCE_SHARE &&
                          s->buffers + buffers <= n->fragments.buffers_max / SOURCE_SHARE))
            return true;
        if (!give_way(n, TAILQ_FIRST(&s->list), of))
            return false;
    }
}

static struct net_partial *oldest_of_all(const struct net *n)
{
    struct net_partial *a = TAILQ_FIRST(&n->fragments.list[0]);
    struct net_partial *b = TAILQ_FIRST(&n->fragments.list[1]);

    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return a->since < b->since ? a : b;
}

static bool room_of_all(struct net *n, const struct net_partial *of, uint32_t packets,
                        uint32_t buffers)
{
    const struct net_fragments *t = &n->fragments;

    while (pool_used(&t->packets) + packets > NET_FRAGMENT_PACKETS ||
           t->buffers + buffers > t->buffers_max) {
        if (!give_way(n, oldest_of_all(n), of))
            return false;
    }
    return true;
}

struct net_partial *net_partial_get(struct net *n, const struct net_partial *key, uint32_t buffers,
                                    clock_ns now)
{
    struct net_partial *p = partial_find(n, key);
    uint32_t packets = p == NULL ? 1 : 0;

    if (p != NULL && p->dead)
        return p;
    if (!room_of_source(n, key, packets, buffers) || !room_of_all(n, key, packets, buffers))
        return NULL;
    return p != NULL ? p : partial_create(n, key, now);
}

/* ---- time ---- */

/* Tells the sender, if it was to this station alone that it sent, and if the ingress hook lets
 * through what it has seen nothing of yet: silence is to be silence. */
static void tell(struct net *n, const struct net_partial *p, clock_ns now)
{
    struct packet first = {.iface = p->iface};

    if (p->head == NULL || p->head->offset != 0)
        return;
    first.m = p->head->m;
    if (memcmp(rte_pktmbuf_mtod(first.m, const uint8_t *), n->iface[p->iface].mac, 6) != 0 ||
        wire_parse(&first) != DROP_NONE || !net_is_local(n, &first.dst))
        return;
    if (n->fragments.ingress != NULL)
        n->fragments.ingress(n->fragments.ingress_ctx, &first, 1, now);
    if (first.drop != DROP_NONE)
        return;
    if (ip_is_v4(&first.src))
        net_icmp_error(n, &first, WIRE_ICMP_TIME, CODE_REASSEMBLY, now);
    else
        net_icmp6_error(n, &first, WIRE_ICMP6_TIME, CODE_REASSEMBLY, 0, now);
}

void net_fragments_timers(struct net *n, clock_ns now)
{
    for (unsigned i = 0; i < 2 && n->fragments.enabled; i++) {
        struct net_partial *p;

        while ((p = TAILQ_FIRST(&n->fragments.list[i])) != NULL &&
               p->since + family_time[i] <= now) {
            if (!p->dead)
                COUNTER_INC(n->counters->ip_reassembly_timeouts);
            tell(n, p, now);
            net_partial_remove(n, p);
        }
    }
}

clock_ns net_fragments_deadline(const struct net *n)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < 2 && n->fragments.enabled; i++) {
        const struct net_partial *p = TAILQ_FIRST(&n->fragments.list[i]);

        if (p != NULL)
            next = RTE_MIN(next, p->since + family_time[i]);
    }
    return next;
}
