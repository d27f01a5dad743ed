/*
 * The neighbour table: which Ethernet address is at which IP address on which interface.
 *
 *     send to unknown --> INCOMPLETE --answer--> RESOLVED --60 s silent, then a packet--> PROBE
 *                          | 3 requests           ^    ^                                 |  | 3
 * requests v                      |    +-------------answer--------------+  v FAILED --2 s--> gone
 * |                                        gone it asks for us --> LEARNED --first packet---+
 *
 * RESOLVED is not refreshed by a timer: only a packet that is to be sent through an entry that has
 * been silent for long asks for it again, by unicast, and goes out all the same. While TCP makes
 * progress it confirms the path, and nothing is ever asked.
 *
 * The time an entry may stay in a state depends on the state alone, so each state keeps its
 * entries in a list by the time of entry (RESOLVED by the time of last use): the head is the next
 * that is due, and the first to be evicted. No timer per entry is needed.
 *
 * IPv6 neighbours (RFC 4861) have their states in the same table: REACHABLE is RESOLVED before
 * silent_at, STALE the same or LEARNED after it. Between that and PROBE they stay in DELAY for five
 * seconds, in which TCP may confirm them.
 *
 * The table is bounded, and a peer can make us ask for neighbours that do not exist (a scan of a
 * network behind us, SYNs with forged sources on one). Therefore entries without an answer have
 * their own, smaller bound, within which the newest displaces the one asked longest ago: what is
 * there answers within a millisecond and stays. Entries that carry traffic are never displaced.
 */
#include <stdlib.h>

#include "stack/net/net_internal.h"

#define BUCKETS (2 * NET_NEIGHBOUR_MAX)

struct net_neighbour {
    struct ip_addr addr;
    uint8_t mac[6];
    uint8_t iface;
    uint8_t state;         /* enum net_neighbour_state */
    uint8_t requests;      /* sent since the last answer */
    uint8_t pending_count; /* INCOMPLETE only */
    clock_ns since;        /* of its place in the state's list */
    clock_ns silent_at;    /* when what we know becomes doubtful */
    struct net_neighbour *hash_next;
    TAILQ_ENTRY(net_neighbour) link;
    struct {
        struct rte_mbuf *m;
        struct net_place place;
    } pending[NET_NEIGHBOUR_PENDING];
};

/* How long an entry stays where it is in its state's list before something must be done. */
static const clock_ns state_time[NET_NEIGHBOUR_STATES] = {
    [NET_NEIGHBOUR_INCOMPLETE] = NET_NEIGHBOUR_RETRY,
    [NET_NEIGHBOUR_LEARNED] = NET_NEIGHBOUR_FORGET,
    [NET_NEIGHBOUR_RESOLVED] = NET_NEIGHBOUR_FORGET,
    [NET_NEIGHBOUR_DELAY] = NET_NEIGHBOUR_DELAY_PROBE,
    [NET_NEIGHBOUR_PROBE] = NET_NEIGHBOUR_RETRY,
    [NET_NEIGHBOUR_FAILED] = NET_NEIGHBOUR_HOLD_DOWN,
};

/* ---- the table ---- */

int net_neighbour_init(struct net *n, const struct siphash_key *key)
{
    struct net_neighbours *t = &n->neighbours;

    t->key = *key;
    for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++)
        TAILQ_INIT(&t->list[i]);
    t->bucket = calloc(BUCKETS, sizeof *t->bucket);
    if (t->bucket == NULL)
        return -1;
    if (pool_init(&t->pool, sizeof(struct net_neighbour), NET_NEIGHBOUR_MAX) == 0)
        return 0;
    free(t->bucket);
    return -1;
}

static struct net_neighbour **neighbour_bucket(const struct net *n, uint8_t iface,
                                               const struct ip_addr *addr)
{
    struct {
        struct ip_addr addr;
        uint64_t iface;
    } key = {*addr, iface};

    return &n->neighbours.bucket[siphash(&key, sizeof key, &n->neighbours.key) % BUCKETS];
}

static bool neighbour_is(const struct net_neighbour *b, uint8_t iface, const struct ip_addr *addr)
{
    return b->iface == iface && ip_equal(&b->addr, addr);
}

static struct net_neighbour *neighbour_find(const struct net *n, uint8_t iface,
                                            const struct ip_addr *addr)
{
    struct net_neighbour *b = n->neighbours.recent[iface];

    if (b != NULL && neighbour_is(b, iface, addr))
        return b;
    b = *neighbour_bucket(n, iface, addr);
    while (b != NULL && !neighbour_is(b, iface, addr))
        b = b->hash_next;
    return b;
}

/* Moves the entry to the end of the state's list, where the youngest are. */
static void neighbour_enter(struct net *n, struct net_neighbour *b, enum net_neighbour_state state,
                            clock_ns now)
{
    struct net_neighbours *t = &n->neighbours;

    TAILQ_REMOVE(&t->list[b->state], b, link);
    t->count[b->state]--;
    b->state = (uint8_t)state;
    b->since = now;
    TAILQ_INSERT_TAIL(&t->list[state], b, link);
    t->count[state]++;
}

static void pending_drop(struct net *n, struct net_neighbour *b)
{
    for (unsigned i = 0; i < b->pending_count; i++)
        rte_pktmbuf_free(b->pending[i].m);
    COUNTER_ADD(n->counters->arp_pending_dropped, b->pending_count);
    n->neighbours.pending -= b->pending_count;
    b->pending_count = 0;
}

static void neighbour_remove(struct net *n, struct net_neighbour *b)
{
    struct net_neighbours *t = &n->neighbours;
    struct net_neighbour **at = neighbour_bucket(n, b->iface, &b->addr);

    while (*at != b)
        at = &(*at)->hash_next;
    *at = b->hash_next;
    if (t->recent[b->iface] == b)
        t->recent[b->iface] = NULL;
    TAILQ_REMOVE(&t->list[b->state], b, link);
    t->count[b->state]--;
    pending_drop(n, b);
    pool_put(&t->pool, b);
}

void net_neighbour_fini(struct net *n)
{
    struct net_neighbours *t = &n->neighbours;

    for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++) {
        while (!TAILQ_EMPTY(&t->list[i]))
            neighbour_remove(n, TAILQ_FIRST(&t->list[i]));
    }
    pool_fini(&t->pool);
    free(t->bucket);
}

/* The entry to give up for one without an answer, among its like. */
static struct net_neighbour *victim_unresolved(const struct net_neighbours *t)
{
    struct net_neighbour *failed = TAILQ_FIRST(&t->list[NET_NEIGHBOUR_FAILED]);

    return failed != NULL ? failed : TAILQ_FIRST(&t->list[NET_NEIGHBOUR_INCOMPLETE]);
}

/* The entry that is missed least when the table is full, or NULL when all are in use. */
static struct net_neighbour *victim(const struct net_neighbours *t, clock_ns now)
{
    struct net_neighbour *failed = TAILQ_FIRST(&t->list[NET_NEIGHBOUR_FAILED]);
    struct net_neighbour *learned = TAILQ_FIRST(&t->list[NET_NEIGHBOUR_LEARNED]);
    struct net_neighbour *oldest = TAILQ_FIRST(&t->list[NET_NEIGHBOUR_RESOLVED]);

    if (failed != NULL)
        return failed;
    if (learned != NULL)
        return learned;
    return oldest != NULL && now - oldest->since >= NET_NEIGHBOUR_IN_USE ? oldest : NULL;
}

static bool room_make(struct net *n, enum net_neighbour_state state, clock_ns now)
{
    struct net_neighbours *t = &n->neighbours;
    uint32_t unresolved = t->count[NET_NEIGHBOUR_INCOMPLETE] + t->count[NET_NEIGHBOUR_FAILED];
    struct net_neighbour *out = NULL;

    if (state == NET_NEIGHBOUR_INCOMPLETE && unresolved == NET_NEIGHBOUR_UNRESOLVED_MAX) {
        out = victim_unresolved(t);
    } else if (t->pool.used == t->pool.capacity) {
        out = victim(t, now);
        if (out == NULL && state == NET_NEIGHBOUR_INCOMPLETE)
            out = victim_unresolved(t);
    } else {
        return true;
    }
    if (out == NULL) {
        COUNTER_INC(n->counters->arp_table_full);
        return false;
    }
    neighbour_remove(n, out);
    return true;
}

static struct net_neighbour *neighbour_create(struct net *n, uint8_t iface,
                                              const struct ip_addr *addr,
                                              enum net_neighbour_state state, clock_ns now)
{
    struct net_neighbours *t = &n->neighbours;
    struct net_neighbour **bucket = neighbour_bucket(n, iface, addr);
    struct net_neighbour *b;

    if (!room_make(n, state, now))
        return NULL;
    b = pool_get(&t->pool);
    b->addr = *addr;
    b->iface = iface;
    b->state = (uint8_t)state;
    b->since = now;
    b->hash_next = *bucket;
    *bucket = b;
    TAILQ_INSERT_TAIL(&t->list[state], b, link);
    t->count[state]++;
    return b;
}

uint32_t net_neighbour_count(const struct net *n)
{
    return pool_used(&n->neighbours.pool);
}

/* ---- asking ---- */

/* Asks once more. Needs the entry in INCOMPLETE or PROBE, whose time begins anew. */
static void neighbour_ask(struct net *n, struct net_neighbour *b, clock_ns now)
{
    b->requests++;
    neighbour_enter(n, b, b->state, now);
    if (ip_is_v4(&b->addr))
        net_arp_request(n, &n->iface[b->iface], &b->addr,
                        b->state == NET_NEIGHBOUR_PROBE ? b->mac : NULL);
    else
        net_nd_solicit(n, &n->iface[b->iface], &b->addr,
                       b->state == NET_NEIGHBOUR_PROBE ? b->mac : NULL);
}

/* Asks a neighbour that is known, but doubtful. */
static void neighbour_probe(struct net *n, struct net_neighbour *b, clock_ns now)
{
    neighbour_enter(n, b, NET_NEIGHBOUR_PROBE, now);
    b->requests = 0;
    neighbour_ask(n, b, now);
}

/* Those who wait for an answer to a packet are told, as by a router that does not find the host.
 * From a timer only, never while somebody is sending. */
static void pending_unreachable(struct net *n, const struct net_neighbour *b, clock_ns now)
{
    for (unsigned i = 0; i < b->pending_count; i++) {
        const struct rte_mbuf *m = b->pending[i].m;
        struct net_error error = {.kind = NET_ERROR_UNREACHABLE};
        struct wire_quote quote;

        if (wire_quote_parse(rte_pktmbuf_mtod_offset(m, const uint8_t *, m->l2_len),
                             m->data_len - (size_t)m->l2_len, &quote))
            net_error_pass(n, &error, &quote, now);
    }
}

static void neighbour_give_up(struct net *n, struct net_neighbour *b, clock_ns now)
{
    COUNTER_INC(n->counters->arp_failed);
    if (b->state == NET_NEIGHBOUR_PROBE) {
        neighbour_remove(n, b); /* the next packet asks everybody: it may have moved */
        return;
    }
    pending_unreachable(n, b, now);
    pending_drop(n, b);
    neighbour_enter(n, b, NET_NEIGHBOUR_FAILED, now);
}

static void neighbour_due(struct net *n, struct net_neighbour *b, clock_ns now)
{
    switch (b->state) {
    case NET_NEIGHBOUR_INCOMPLETE:
    case NET_NEIGHBOUR_PROBE:
        if (b->requests < NET_NEIGHBOUR_REQUESTS)
            neighbour_ask(n, b, now);
        else
            neighbour_give_up(n, b, now);
        break;
    case NET_NEIGHBOUR_DELAY:
        neighbour_probe(n, b, now);
        break;
    default:
        neighbour_remove(n, b);
        break;
    }
}

void net_neighbour_timers(struct net *n, clock_ns now)
{
    for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++) {
        struct net_neighbour_list *list = &n->neighbours.list[i];
        struct net_neighbour *b;

        while ((b = TAILQ_FIRST(list)) != NULL && now - b->since >= state_time[i])
            neighbour_due(n, b, now);
    }
}

clock_ns net_neighbour_deadline(const struct net *n)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++) {
        const struct net_neighbour *b = TAILQ_FIRST(&n->neighbours.list[i]);

        if (b != NULL)
            next = RTE_MIN(next, b->since + state_time[i]);
    }
    return next;
}

/* ---- output ---- */

static void neighbour_transmit(struct net *n, struct net_neighbour *b, struct rte_mbuf *m,
                               struct net_place place)
{
    memcpy(rte_pktmbuf_mtod(m, uint8_t *), b->mac, 6);
    net_iface_transmit(n, &n->iface[b->iface], m, place);
}

/* Holds a packet until the neighbour answers. Where there is no room for it, the neighbour's oldest
 * packet makes some: the latest is the one to keep (RFC 1122, 2.3.2.2). */
static void neighbour_hold(struct net *n, struct net_neighbour *b, struct rte_mbuf *m,
                           struct net_place place)
{
    bool full = b->pending_count == NET_NEIGHBOUR_PENDING ||
                n->neighbours.pending == NET_NEIGHBOUR_PENDING_TOTAL;

    if (full)
        COUNTER_INC(n->counters->arp_pending_dropped);
    if (full && b->pending_count == 0) {
        rte_pktmbuf_free(m);
        return;
    }
    if (full) {
        rte_pktmbuf_free(b->pending[0].m);
        b->pending_count--;
        n->neighbours.pending--;
        memmove(&b->pending[0], &b->pending[1], b->pending_count * sizeof b->pending[0]);
    }
    b->pending[b->pending_count].m = m;
    b->pending[b->pending_count].place = place;
    b->pending_count++;
    n->neighbours.pending++;
}

/* A packet is about to go through a resolved entry. */
static void neighbour_use(struct net *n, struct net_neighbour *b, clock_ns now)
{
    n->neighbours.recent[b->iface] = b;
    if (b->state == NET_NEIGHBOUR_PROBE || b->state == NET_NEIGHBOUR_DELAY)
        return;
    if (now >= b->silent_at && ip_is_v4(&b->addr))
        neighbour_probe(n, b, now);
    else if (now >= b->silent_at)
        neighbour_enter(n, b, NET_NEIGHBOUR_DELAY, now);
    else if (b->state == NET_NEIGHBOUR_LEARNED || now - b->since >= CLOCK_SEC)
        neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED, now); /* a second is fine enough for LRU */
}

/* The entry for a packet to `addr`; one that must be asked for first holds the packet itself. */
static void neighbour_unknown(struct net *n, struct net_iface *iface, const struct ip_addr *addr,
                              struct rte_mbuf *m, struct net_place place, clock_ns now)
{
    struct net_neighbour *b;

    b = neighbour_create(n, iface->index, addr, NET_NEIGHBOUR_INCOMPLETE, now);
    if (b == NULL) {
        COUNTER_INC(n->counters->arp_pending_dropped);
        rte_pktmbuf_free(m);
        return;
    }
    neighbour_hold(n, b, m, place);
    neighbour_ask(n, b, now);
}

void net_neighbour_output(struct net *n, struct net_iface *iface, const struct ip_addr *addr,
                          struct rte_mbuf *m, struct net_place place, clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, addr);

    if (b == NULL) {
        neighbour_unknown(n, iface, addr, m, place, now);
    } else if (b->state == NET_NEIGHBOUR_INCOMPLETE) {
        neighbour_hold(n, b, m, place);
    } else if (b->state == NET_NEIGHBOUR_FAILED) {
        COUNTER_INC(n->counters->arp_pending_dropped);
        rte_pktmbuf_free(m);
    } else {
        neighbour_use(n, b, now);
        neighbour_transmit(n, b, m, place);
    }
}

/* ---- what is heard ---- */

/* Has it an Ethernet address? */
static bool neighbour_known(const struct net_neighbour *b)
{
    return b->state != NET_NEIGHBOUR_INCOMPLETE && b->state != NET_NEIGHBOUR_FAILED;
}

/* The neighbour is at `mac`, beyond doubt. Packets that waited go out in their order. */
static void neighbour_resolve(struct net *n, struct net_neighbour *b, const uint8_t mac[6],
                              clock_ns now)
{
    unsigned waiting = b->pending_count;

    memcpy(b->mac, mac, 6);
    b->silent_at = now + NET_NEIGHBOUR_REACHABLE;
    if (b->state != NET_NEIGHBOUR_LEARNED && b->state != NET_NEIGHBOUR_RESOLVED)
        neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED, now);
    b->pending_count = 0;
    n->neighbours.pending -= waiting;
    for (unsigned i = 0; i < waiting; i++)
        neighbour_transmit(n, b, b->pending[i].m, b->pending[i].place);
}

void net_neighbour_asked_us(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, addr);

    if (b == NULL)
        b = neighbour_create(n, iface->index, addr, NET_NEIGHBOUR_LEARNED, now);
    if (b != NULL)
        neighbour_resolve(n, b, mac, now);
}

bool net_neighbour_answered(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, addr);

    if (b == NULL || b->state == NET_NEIGHBOUR_LEARNED || b->state == NET_NEIGHBOUR_RESOLVED)
        return false;
    neighbour_resolve(n, b, mac, now);
    return true;
}

void net_neighbour_announced(struct net *n, const struct net_iface *iface,
                             const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, addr);

    if (b == NULL)
        return;
    if (b->state == NET_NEIGHBOUR_INCOMPLETE || b->state == NET_NEIGHBOUR_FAILED) {
        neighbour_resolve(n, b, mac, now);
    } else if (memcmp(b->mac, mac, 6) != 0) {
        memcpy(b->mac, mac, 6);
        b->silent_at = now; /* it has moved, so it says: the next packet asks it */
    }
}

/* It is where it says until it is needed (RFC 4861's STALE). */
static void neighbour_doubt(struct net_neighbour *b, const uint8_t mac[6], clock_ns now)
{
    memcpy(b->mac, mac, 6);
    b->silent_at = now;
}

void net_neighbour_told(struct net *n, const struct net_iface *iface, const struct ip_addr *addr,
                        const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, addr);

    if (b == NULL)
        b = neighbour_create(n, iface->index, addr, NET_NEIGHBOUR_LEARNED, now);
    else if (neighbour_known(b) && memcmp(b->mac, mac, 6) == 0)
        return;
    if (b == NULL)
        return;
    if (!neighbour_known(b))
        neighbour_resolve(n, b, mac, now);
    neighbour_doubt(b, mac, now);
}

/* RFC 4861, 7.2.5, of an entry that has an address: does the advertisement give it another one? */
static void neighbour_update(struct net *n, struct net_neighbour *b, const struct wire_nd *na,
                             clock_ns now)
{
    bool moved = na->has_mac && memcmp(b->mac, na->mac, 6) != 0;

    if (moved && !na->override_) {
        if (now < b->silent_at)
            b->silent_at = now; /* who is right is asked when it is needed */
        return;
    }
    if (na->solicited)
        neighbour_resolve(n, b, na->has_mac ? na->mac : b->mac, now);
    else if (moved)
        neighbour_doubt(b, na->mac, now);
}

bool net_neighbour_advertised(struct net *n, const struct net_iface *iface,
                              const struct wire_nd *na, clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface->index, &na->target);
    bool asked;

    if (b == NULL)
        return false;
    asked = na->solicited && (b->state == NET_NEIGHBOUR_PROBE || !neighbour_known(b));
    if (neighbour_known(b)) {
        neighbour_update(n, b, na, now);
    } else if (na->has_mac) {
        neighbour_resolve(n, b, na->mac, now);
        if (!na->solicited)
            b->silent_at = now;
    }
    return asked;
}

bool net_neighbour_silent(const struct net *n, uint8_t iface, const struct ip_addr *addr)
{
    const struct net_neighbour *b = neighbour_find(n, iface, addr);

    return b != NULL && b->state == NET_NEIGHBOUR_FAILED;
}

void net_neighbour_confirmed(struct net *n, uint8_t iface, const struct ip_addr *addr, clock_ns now)
{
    struct net_neighbour *b = neighbour_find(n, iface, addr);

    if (b == NULL || b->state == NET_NEIGHBOUR_INCOMPLETE || b->state == NET_NEIGHBOUR_FAILED)
        return;
    b->silent_at = now + NET_NEIGHBOUR_REACHABLE;
    if (b->state == NET_NEIGHBOUR_PROBE || b->state == NET_NEIGHBOUR_DELAY)
        neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED, now);
}
