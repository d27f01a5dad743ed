/*
 * ARP (RFC 826), with the announcements and the conflict detection of RFC 5227.
 *
 * ARP has no proof of anything, so little is believed. A station gets an entry only when it asks
 * for an address of ours (an answer to it will follow) or when we asked for it; whatever else is
 * heard changes entries that exist, as RFC 826 has it, and makes none. Addresses outside the
 * interface's networks, and our own, are never learned.
 */
#include "stack/net/net_internal.h"

#define ANNOUNCEMENTS         2 /* RFC 5227, 1.1 */
#define ANNOUNCEMENT_INTERVAL (2 * CLOCK_SEC)

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void arp_send(struct net *n, struct net_iface *iface, const uint8_t dst[6],
                     const struct wire_arp *arp)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(iface->tx_pool);

    if (m == NULL) {
        COUNTER_INC(n->counters->tx_no_mbuf);
        return;
    }
    wire_arp_emit(arp, (uint8_t *)rte_pktmbuf_append(m, WIRE_ARP_LEN));
    net_iface_prepend(iface, m, dst, WIRE_TYPE_ARP);
    if (arp->operation == WIRE_ARP_REQUEST)
        COUNTER_INC(n->counters->arp_requests_sent);
    else
        COUNTER_INC(n->counters->arp_replies_sent);
    net_iface_transmit(n, iface, m, (struct net_place){.band = EGRESS_CONTROL});
}

void net_arp_request(struct net *n, struct net_iface *iface, const struct ip_addr *target,
                     const uint8_t *mac)
{
    struct ip_addr src = net_iface_source(iface, target);
    struct wire_arp arp = {
        .operation = WIRE_ARP_REQUEST,
        .sender_ip = ip_to_v4(&src),
        .target_ip = ip_to_v4(target),
    };

    memcpy(arp.sender_mac, iface->mac, 6);
    arp_send(n, iface, mac != NULL ? mac : broadcast, &arp);
}

static void arp_reply(struct net *n, struct net_iface *iface, const struct wire_arp *request)
{
    struct wire_arp arp = {
        .operation = WIRE_ARP_REPLY,
        .sender_ip = request->target_ip,
        .target_ip = request->sender_ip,
    };

    memcpy(arp.sender_mac, iface->mac, 6);
    memcpy(arp.target_mac, request->sender_mac, 6);
    arp_send(n, iface, request->sender_mac, &arp);
}

/* ---- announcements ---- */

/* A request for our own address: it tells caches and switches where the address is now. */
static void announce_now(struct net *n, struct net_iface *iface, clock_ns now)
{
    for (unsigned i = 0; i < iface->ipv4_count; i++) {
        struct ip_addr own = ip_from_v4(iface->ipv4[i].addr);

        net_arp_request(n, iface, &own, NULL);
    }
    iface->announcements--;
    iface->announce_at = iface->announcements > 0 ? now + ANNOUNCEMENT_INTERVAL : CLOCK_NEVER;
}

void net_arp_announce(struct net *n, struct net_iface *iface, clock_ns now)
{
    iface->announcements = ANNOUNCEMENTS;
    announce_now(n, iface, now);
}

void net_arp_timers(struct net *n, clock_ns now)
{
    for (unsigned i = 0; i < n->iface_count; i++) {
        if (n->iface[i].announce_at <= now)
            announce_now(n, &n->iface[i], now);
    }
}

clock_ns net_arp_deadline(const struct net *n)
{
    clock_ns next = CLOCK_NEVER;

    for (unsigned i = 0; i < n->iface_count; i++)
        next = RTE_MIN(next, n->iface[i].announce_at);
    return next;
}

/* ---- input ---- */

static void conflict(struct net *n, const struct net_iface *iface, const struct wire_arp *arp,
                     clock_ns now)
{
    struct ip_addr ours = ip_from_v4(arp->sender_ip);
    const uint8_t *mac = arp->sender_mac;
    char text[IP_TEXT_MAX];
    uint32_t suppressed;

    COUNTER_INC(n->counters->arp_conflicts);
    if (iface->follower || !log_limit_pass(&n->conflict_log, now, &suppressed))
        return;
    log_warn("arp",
             "%s: our address %s is also used by %02x:%02x:%02x:%02x:%02x:%02x "
             "(%u such lines left out)",
             iface->name, ip_format(&ours, text), mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
             suppressed);
}

/* Can the sender's Ethernet address be another station's? */
static bool sender_ok(const struct net_iface *iface, const struct wire_arp *arp)
{
    static const uint8_t none[6];

    if ((arp->sender_mac[0] & 1) != 0 || memcmp(arp->sender_mac, none, 6) == 0)
        return false;
    return memcmp(arp->sender_mac, iface->mac, 6) != 0;
}

static void request_input(struct net *n, struct net_iface *iface, const struct wire_arp *arp,
                          clock_ns now)
{
    struct ip_addr sender = ip_from_v4(arp->sender_ip);

    COUNTER_INC(n->counters->arp_requests_received);
    if (net_ipv4_on_link(iface, arp->sender_ip))
        net_neighbour_asked_us(n, iface, &sender, arp->sender_mac, now);
    if (!iface->follower)
        arp_reply(n, iface, arp);
}

/* Makes no entry, so that the sender's address needs no check: entries are for neighbours only. */
static void news_input(struct net *n, const struct net_iface *iface, const struct wire_arp *arp,
                       bool answer, clock_ns now)
{
    struct ip_addr sender = ip_from_v4(arp->sender_ip);

    if (answer && net_neighbour_answered(n, iface, &sender, arp->sender_mac, now))
        COUNTER_INC(n->counters->arp_replies_received);
    else
        net_neighbour_announced(n, iface, &sender, arp->sender_mac, now);
}

void net_arp_input(struct net *n, struct packet *p, clock_ns now)
{
    struct net_iface *iface = &n->iface[p->iface];
    uint8_t copy[WIRE_ARP_LEN];
    const uint8_t *data = rte_pktmbuf_read(p->m, p->l3_offset, WIRE_ARP_LEN, copy);
    struct wire_arp arp;
    bool for_us;

    if (!wire_arp_parse(data, WIRE_ARP_LEN, &arp) || !sender_ok(iface, &arp)) {
        p->drop = drop_arp_invalid;
        return;
    }
    if (net_ipv4_is_own(iface, arp.sender_ip)) {
        conflict(n, iface, &arp, now);
        return;
    }
    for_us = net_ipv4_is_own(iface, arp.target_ip);
    if (arp.operation == WIRE_ARP_REQUEST && for_us) {
        request_input(n, iface, &arp, now);
        return;
    }
    news_input(n, iface, &arp, arp.operation == WIRE_ARP_REPLY && for_us, now);
    net_punt(n, p); /* others' addresses may be the kernel's, and answers be for both of us */
}
