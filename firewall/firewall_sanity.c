/*
 * What no configuration may let in.
 *
 * The check costs a few nanoseconds a packet and has no branch that depends on the number of
 * addresses: martians by the first octet, our own addresses by a bit set over the last one (a hit
 * there is rare, and only then are the addresses compared), impossible flags by masks. ARP and
 * neighbour discovery are left to the neighbour table, which knows the interface's networks.
 */
#include <stdlib.h>

#include "firewall/firewall_internal.h"

struct firewall_sanity {
    uint64_t own_octets[4]; /* bit o: an address of ours ends in o */
    unsigned own_count;
    struct ip_addr own[];
};

struct firewall_sanity *firewall_sanity_create(const struct ip_addr *own, unsigned own_count)
{
    struct firewall_sanity *s = calloc(1, sizeof *s + own_count * sizeof own[0]);

    if (s == NULL)
        return NULL;
    s->own_count = own_count;
    for (unsigned i = 0; i < own_count; i++) {
        uint8_t last = own[i].b[15];

        s->own[i] = own[i];
        s->own_octets[last / 64] |= UINT64_C(1) << last % 64;
    }
    return s;
}

void firewall_sanity_destroy(struct firewall_sanity *s)
{
    free(s);
}

static bool is_own(const struct firewall_sanity *s, const struct ip_addr *a)
{
    uint8_t last = a->b[15];

    if ((s->own_octets[last / 64] >> last % 64 & 1) == 0)
        return false;
    for (unsigned i = 0; i < s->own_count; i++) {
        if (ip_equal(&s->own[i], a))
            return true;
    }
    return false;
}

/* "This network", loopback, multicast, reserved, the limited broadcast (RFC 6890; RFC
 * 1122, 3.2.1.3). Private networks are none of these: an appliance stands on them. */
static bool is_martian_v4(uint8_t first)
{
    return first == 0 || first == 127 || first >= 224;
}

/* Multicast and broadcast are fit destinations; whether they are ours is the stack's question. */
static bool is_martian_destination_v4(uint8_t first)
{
    return first == 0 || first == 127;
}

/* RFC 4291, 2.5.2, 2.5.3 and 2.7. Mapped addresses do not get as far as here. The unspecified
 * address is a source only where a host looks for its own address, which is no packet for rules. */
static bool is_martian_v6(const struct ip_addr *a)
{
    static const struct ip_addr loopback = {.b = {[15] = 1}};

    return ip_is_unspecified(a) || ip_equal(a, &loopback);
}

static bool addresses_impossible(const struct packet *p)
{
    if (!ip_is_v4(&p->src))
        return is_martian_v6(&p->src) || p->src.b[0] == 0xff || is_martian_v6(&p->dst) ||
               ip_equal(&p->src, &p->dst);
    return is_martian_v4(p->src.b[12]) || is_martian_destination_v4(p->dst.b[12]) ||
           ip_equal(&p->src, &p->dst);
}

/*
 * No TCP sends these; scanners do, to tell systems apart or to slip past filters that look for SYN
 * alone. Every segment but the first SYN and some RSTs carries ACK (RFC 9293, 3.10.7.4), so that a
 * FIN without it belongs to nothing.
 */
static bool flags_impossible(uint8_t flags)
{
    const uint8_t all = TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG;

    if ((flags & all) == 0)
        return true;
    if ((flags & TCP_SYN) != 0)
        return (flags & (TCP_FIN | TCP_RST)) != 0;
    return (flags & (TCP_FIN | TCP_ACK)) == TCP_FIN;
}

static enum drop_cause check(const struct firewall_sanity *s, const struct packet *p)
{
    if (is_own(s, &p->src))
        return drop_ip_spoofed;
    if (addresses_impossible(p))
        return drop_ip_martian;
    if (p->kind == PACKET_TCP && flags_impossible(p->tcp.flags))
        return drop_tcp_flags;
    return DROP_NONE;
}

void firewall_sanity_check(const struct firewall_sanity *s, struct packet *packets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct packet *p = &packets[i];

        if (p->drop == DROP_NONE && p->kind != PACKET_ARP && p->kind != PACKET_ND)
            p->drop = check(s, p);
    }
}
