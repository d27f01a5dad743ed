/*
 * What lies behind the IP header, whichever family that is of.
 *
 * A fragment is no transport's. But of a packet that never becomes whole the first one may yet be
 * judged by the firewall, before its sender is told (net_fragment_table.c). So what rules ask for
 * is read from it: it has to be there (RFC 1858, 3).
 */
#include "stack/wire/wire_internal.h"

#define TCP_FLAGS_AT 13

static bool is_icmp(const struct packet *p)
{
    return p->ip_protocol == (ip_is_v4(&p->src) ? WIRE_IP_PROTO_ICMP : WIRE_IP_PROTO_ICMP6);
}

static void ports_input(struct packet *p, const struct wire_frame *f)
{
    p->sport = wire_load16(f->head + p->l4_offset);
    p->dport = wire_load16(f->head + p->l4_offset + 2);
}

static enum drop_cause first_fragment_input(struct packet *p, const struct wire_frame *f)
{
    bool tcp = p->ip_protocol == WIRE_IP_PROTO_TCP, udp = p->ip_protocol == WIRE_IP_PROTO_UDP;
    const uint8_t *h = f->head + p->l4_offset;

    if (!tcp && !udp && !is_icmp(p))
        return DROP_NONE;
    if (p->payload_length < (tcp ? WIRE_TCP_LEN : WIRE_TRANSPORT_MIN))
        return drop_ip_fragment;
    if (tcp || udp)
        ports_input(p, f);
    if (tcp)
        p->tcp.flags = h[TCP_FLAGS_AT];
    if (is_icmp(p)) {
        p->icmp.type = h[0];
        p->icmp.code = h[1];
    }
    return DROP_NONE;
}

enum drop_cause wire_transport_input(struct packet *p, const struct wire_frame *f)
{
    if (p->fragment)
        return p->piece.offset == 0 ? first_fragment_input(p, f) : DROP_NONE;
    if (p->ip_protocol == WIRE_IP_PROTO_TCP)
        return wire_tcp_input(p, f);
    if (is_icmp(p))
        return ip_is_v4(&p->src) ? wire_icmp_input(p, f) : wire_icmp6_input(p, f);
    /* UDP's ports are for the firewall: nothing here speaks it. Too short, it has none. */
    if (p->ip_protocol == WIRE_IP_PROTO_UDP && p->payload_length >= WIRE_TRANSPORT_MIN)
        ports_input(p, f);
    return DROP_NONE;
}
