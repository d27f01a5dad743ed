/*
 * The neighbour table: which Ethernet address is at which IP address on which interface.
 *
 * - INCOMPLETE: something is to be sent to it. An answer makes it RESOLVED, three requests without
 *   one FAILED.
 * - LEARNED: it asked for us. The first packet to it makes it RESOLVED.
 * - RESOLVED: the first packet after a minute of silence makes it PROBE.
 * - PROBE: an answer makes it RESOLVED, three requests without one end it.
 * - FAILED: what is sent to it is dropped for two seconds; then it may be tried again.
 *
 * RESOLVED is not refreshed by a timer: only a packet that is to be sent through an entry that has
 * been silent for long asks for it again, by unicast, and goes out all the same. While TCP makes
 * progress it confirms the path, and nothing is ever asked.
 *
 * IPv6 neighbours (RFC 4861) have their states in the same table: REACHABLE is RESOLVED before
 * silent_at, STALE the same or LEARNED after it. Between that and PROBE they stay in DELAY for five
 * seconds, in which TCP may confirm them.
 *
 * How many strangers are asked for in a second is bounded, too: a scan that makes us answer
 * addresses that do not exist is not to become a storm of broadcasts. How many entries there may
 * be: net_neighbour_table.c.
 */
#include "stack/net/net_neighbour.h"

#define ASK_PER_SECOND 1000 /* for new strangers */
#define ASK_BURST      256

/* How long an entry stays where it is in its state's list before something must be done. */
static const clock_ns state_time[NET_NEIGHBOUR_STATES] = {
    [NET_NEIGHBOUR_INCOMPLETE] = NET_NEIGHBOUR_RETRY,
    [NET_NEIGHBOUR_LEARNED] = NET_NEIGHBOUR_FORGET,
    [NET_NEIGHBOUR_RESOLVED] = NET_NEIGHBOUR_FORGET,
    [NET_NEIGHBOUR_DELAY] = NET_NEIGHBOUR_DELAY_PROBE,
    [NET_NEIGHBOUR_PROBE] = NET_NEIGHBOUR_RETRY,
    [NET_NEIGHBOUR_FAILED] = NET_NEIGHBOUR_HOLD_DOWN,
};

/* ---- asking ---- */

/* Asks once more. Needs the entry in INCOMPLETE or PROBE, whose time begins anew. */
static void neighbour_ask(struct net *n, struct net_neighbour *b, clock_ns now)
{
    b->requests++;
    net_neighbour_enter(n, b, b->state, now);
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
    net_neighbour_enter(n, b, NET_NEIGHBOUR_PROBE, now);
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
        net_neighbour_remove(n, b); /* the next packet asks everybody: it may have moved */
        return;
    }
    pending_unreachable(n, b, now);
    net_neighbour_pending_drop(n, b);
    net_neighbour_enter(n, b, NET_NEIGHBOUR_FAILED, now);
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
        net_neighbour_remove(n, b);
        break;
    }
}

static void list_timers(struct net *n, struct net_neighbour_list *list, clock_ns time, clock_ns now)
{
    struct net_neighbour *b;

    while ((b = TAILQ_FIRST(list)) != NULL && now - b->since >= time)
        neighbour_due(n, b, now);
}

void net_neighbour_timers(struct net *n, clock_ns now)
{
    for (unsigned k = 0; k < NET_NEIGHBOUR_KINDS; k++) {
        for (unsigned i = 0; i < NET_NEIGHBOUR_STATES; i++)
            list_timers(n, &n->neighbours.kind[k].list[i], state_time[i], now);
    }
}

clock_ns net_neighbour_deadline(const struct net *n)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < NET_NEIGHBOUR_KINDS * NET_NEIGHBOUR_STATES; i++) {
        unsigned state = i % NET_NEIGHBOUR_STATES;
        const struct net_neighbour_set *set = &n->neighbours.kind[i / NET_NEIGHBOUR_STATES];
        const struct net_neighbour *b = TAILQ_FIRST(&set->list[state]);

        if (b != NULL)
            next = RTE_MIN(next, b->since + state_time[state]);
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

/* A packet is about to go through a resolved entry. */
static void neighbour_use(struct net *n, struct net_neighbour *b, clock_ns now)
{
    n->neighbours.recent[b->iface] = b;
    if (b->state == NET_NEIGHBOUR_PROBE || b->state == NET_NEIGHBOUR_DELAY)
        return;
    if (now >= b->silent_at && ip_is_v4(&b->addr))
        neighbour_probe(n, b, now);
    else if (now >= b->silent_at)
        net_neighbour_enter(n, b, NET_NEIGHBOUR_DELAY, now);
    else if (b->state == NET_NEIGHBOUR_LEARNED || now - b->since >= CLOCK_SEC)
        net_neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED,
                            now); /* a second is fine enough for LRU */
}

/* There is no entry for the neighbour: it is asked for, and the packet waits with its entry. */
static void neighbour_unknown(struct net *n, struct net_iface *iface, const struct ip_addr *addr,
                              struct rte_mbuf *m, struct net_place place, clock_ns now)
{
    enum net_neighbour_kind kind = place.wanted ? NET_NEIGHBOUR_WANTED : NET_NEIGHBOUR_STRANGER;
    struct net_neighbour *b = NULL;

    if (place.wanted || net_limit_pass(&n->neighbours.ask_limit, now, ASK_PER_SECOND, ASK_BURST))
        b = net_neighbour_create(n, iface->index, addr, kind, NET_NEIGHBOUR_INCOMPLETE, now);
    else
        COUNTER_INC(n->counters->arp_limited);
    if (b == NULL) {
        COUNTER_INC(n->counters->arp_pending_dropped);
        rte_pktmbuf_free(m);
        return;
    }
    net_neighbour_hold(n, b, m, place);
    neighbour_ask(n, b, now);
}

void net_neighbour_output(struct net *n, struct net_iface *iface, const struct ip_addr *addr,
                          struct rte_mbuf *m, struct net_place place, clock_ns now)
{
    struct net_neighbour *b = net_neighbour_find(n, iface->index, addr);

    if (b != NULL && place.wanted && b->kind != NET_NEIGHBOUR_WANTED)
        net_neighbour_turn(n, b, NET_NEIGHBOUR_WANTED, now);
    if (b == NULL) {
        neighbour_unknown(n, iface, addr, m, place, now);
    } else if (b->state == NET_NEIGHBOUR_INCOMPLETE) {
        net_neighbour_hold(n, b, m, place);
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
        net_neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED, now);
    b->pending_count = 0;
    n->neighbours.kind[b->kind].pending -= waiting;
    for (unsigned i = 0; i < waiting; i++)
        neighbour_transmit(n, b, b->pending[i].m, b->pending[i].place);
}

void net_neighbour_asked_us(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = net_neighbour_find(n, iface->index, addr);

    if (b == NULL)
        b = net_neighbour_create(n, iface->index, addr, NET_NEIGHBOUR_STRANGER,
                                 NET_NEIGHBOUR_LEARNED, now);
    if (b != NULL)
        neighbour_resolve(n, b, mac, now);
}

bool net_neighbour_answered(struct net *n, const struct net_iface *iface,
                            const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = net_neighbour_find(n, iface->index, addr);

    if (b == NULL || b->state == NET_NEIGHBOUR_LEARNED || b->state == NET_NEIGHBOUR_RESOLVED)
        return false;
    neighbour_resolve(n, b, mac, now);
    return true;
}

void net_neighbour_announced(struct net *n, const struct net_iface *iface,
                             const struct ip_addr *addr, const uint8_t mac[6], clock_ns now)
{
    struct net_neighbour *b = net_neighbour_find(n, iface->index, addr);

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
    struct net_neighbour *b = net_neighbour_find(n, iface->index, addr);

    if (b == NULL)
        b = net_neighbour_create(n, iface->index, addr, NET_NEIGHBOUR_STRANGER,
                                 NET_NEIGHBOUR_LEARNED, now);
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
    struct net_neighbour *b = net_neighbour_find(n, iface->index, &na->target);
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
    const struct net_neighbour *b = net_neighbour_find(n, iface, addr);

    return b != NULL && b->state == NET_NEIGHBOUR_FAILED;
}

void net_neighbour_confirmed(struct net *n, uint8_t iface, const struct ip_addr *addr, clock_ns now)
{
    struct net_neighbour *b = net_neighbour_find(n, iface, addr);

    if (b == NULL || b->state == NET_NEIGHBOUR_INCOMPLETE || b->state == NET_NEIGHBOUR_FAILED)
        return;
    b->silent_at = now + NET_NEIGHBOUR_REACHABLE;
    b->confirmed = true;
    if (b->state == NET_NEIGHBOUR_PROBE || b->state == NET_NEIGHBOUR_DELAY)
        net_neighbour_enter(n, b, NET_NEIGHBOUR_RESOLVED, now);
}
