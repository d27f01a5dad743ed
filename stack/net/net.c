/*
 * The internet layer: what comes in is told apart here and sent to ARP, ICMP or a transport's
 * handler; what goes out has its path found once (net_path.c) and then takes, packet by packet, the
 * way net_send -> net_ipv4_output or net_ipv6_output -> net_neighbour_output ->
 * net_iface_transmit.
 *
 * A packet is taken in only when it was sent to this station alone, on both layers, but for ARP and
 * neighbour discovery. Nothing that a transport serves is ever broadcast, and an answer to a
 * broadcast would serve an attacker (RFC 1122, 3.2.2 and 3.3.6).
 */
#include <assert.h>
#include <stdlib.h>

#include "stack/net/net_internal.h"

static_assert(offsetof(struct stack_counters, drop_truncated) == 0,
              "a drop cause is an index into the counters");

struct net *net_create(const struct siphash_key *key, struct stack_counters *counters, clock_ns now,
                       struct error *e)
{
    struct net *n = calloc(1, sizeof *n);

    (void)now; /* nothing keeps time before there is an interface */
    if (n == NULL) {
        error_set(e, "out of memory for the internet layer");
        return NULL;
    }
    n->counters = counters;
    if (net_neighbour_init(n, key) < 0) {
        error_set(e, "out of memory for %u neighbours", NET_NEIGHBOUR_MAX);
        free(n);
        return NULL;
    }
    if (net_pmtu_init(n, key) < 0) {
        error_set(e, "out of memory for the MTU of %u paths", NET_PMTU_MAX);
        net_neighbour_fini(n);
        free(n);
        return NULL;
    }
    return n;
}

void net_destroy(struct net *n)
{
    if (n == NULL)
        return;
    net_fragments_fini(n);
    net_neighbour_fini(n);
    net_pmtu_fini(n);
    net_route_free(n);
    free(n);
}

void net_handler_set(struct net *n, uint8_t ip_protocol, net_handler *handler,
                     net_error_handler *error, void *ctx)
{
    n->protocol[ip_protocol] = (struct net_protocol){handler, error, NULL, ctx};
}

void net_reject_set(struct net *n, uint8_t ip_protocol, net_handler *handler)
{
    n->protocol[ip_protocol].reject = handler;
}

static void input_one(struct net *n, struct packet *p, clock_ns now)
{
    uint8_t copy[6];
    const uint8_t *dst = rte_pktmbuf_read(p->m, 0, sizeof copy, copy);
    bool group = (dst[0] & 1) != 0;

    if (!group && memcmp(dst, n->iface[p->iface].mac, 6) != 0)
        p->drop = drop_ethernet_address;
    else if (p->kind == PACKET_ARP)
        net_arp_input(n, p, now);
    else if (p->kind == PACKET_ND)
        net_nd_input(n, p, now);
    else if (!ip_is_v4(&p->dst))
        net_ipv6_input(n, p, group, now);
    else if (group)
        p->drop = drop_ip_destination;
    else
        net_ipv4_input(n, p, now);
}

void net_input(struct net *n, struct packet *packets, unsigned count, clock_ns now)
{
    uint64_t *drops = &n->counters->drop_truncated;

    for (unsigned i = 0; i < count; i++) {
        struct packet *p = &packets[i];

        assert(p->iface < n->iface_count);
        assert(!p->fragment || p->drop != DROP_NONE || p->problem != 0);
        if (p->drop == DROP_NONE)
            input_one(n, p, now);
        else if (p->reject)
            net_reject(n, p, now);
        if (net_punt_cause(p->drop))
            net_punt(n, p);
        if (p->drop != DROP_NONE && p->m != NULL)
            COUNTER_INC(drops[p->drop]);
        rte_pktmbuf_free(p->m);
        p->m = NULL;
    }
}

void net_send(struct net *n, const struct net_path *path, const struct ip_addr *src,
              const struct ip_addr *dst, uint8_t ip_protocol, enum egress_band band,
              struct rte_mbuf *m, clock_ns now)
{
    assert(path->iface < n->iface_count);
    if (ip_is_v4(dst))
        net_ipv4_output(n, path, src, dst, ip_protocol, band, m, now);
    else
        net_ipv6_output(n, path, src, dst, ip_protocol, band, m, now);
}

bool net_is_local(const struct net *n, const struct ip_addr *addr)
{
    bool v4 = ip_is_v4(addr);

    for (unsigned i = 0; i < n->iface_count; i++) {
        if (v4 ? net_ipv4_is_own(&n->iface[i], ip_to_v4(addr))
               : net_addr6_is_own(&n->iface[i], addr))
            return true;
    }
    return false;
}

uint32_t net_room(const struct net *n, uint8_t iface, uint8_t egress_class)
{
    const struct stack_egress *egress = &n->iface[iface].egress;

    return egress->room(egress->ctx, egress_class);
}

uint32_t net_frame_max(const struct net *n, uint8_t iface, uint8_t egress_class)
{
    const struct stack_egress *egress = &n->iface[iface].egress;

    return egress->frame_max != NULL ? egress->frame_max(egress->ctx, egress_class) : UINT32_MAX;
}

void net_timers(struct net *n, clock_ns now)
{
    net_arp_timers(n, now);
    net_ipv6_timers(n, now);
    net_neighbour_timers(n, now);
    net_pmtu_timers(n, now);
    net_fragments_timers(n, now);
}

clock_ns net_deadline(const struct net *n)
{
    clock_ns neighbours = RTE_MIN(net_arp_deadline(n), net_neighbour_deadline(n));
    clock_ns packets = RTE_MIN(net_pmtu_deadline(n), net_fragments_deadline(n));

    neighbours = RTE_MIN(neighbours, net_ipv6_deadline(n));
    return RTE_MIN(neighbours, packets);
}
