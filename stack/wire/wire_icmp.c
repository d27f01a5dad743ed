/*
 * ICMP (RFC 792). The quote inside an error comes back from the network as somebody else's copy of
 * what we sent: it is parsed, never trusted, and its checksums say nothing any more.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

void wire_icmp_header(struct packet *p, const uint8_t *h)
{
    p->kind = PACKET_ICMP;
    p->icmp.type = h[0];
    p->icmp.code = h[1];
    p->icmp.rest = wire_load32(h + 4);
    p->payload_offset = (uint16_t)(p->l4_offset + WIRE_ICMP_LEN);
    p->payload_length -= WIRE_ICMP_LEN;
}

enum drop_cause wire_icmp_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l4_offset;
    uint32_t len = p->payload_length; /* of the whole message, so far */

    /* Drivers' transport marks speak of TCP and UDP: ICMP is always summed here. */
    if (len < WIRE_ICMP_LEN || wire_sum_mbuf(f->m, p->l4_offset, len, 0) != UINT16_MAX)
        return drop_icmp_invalid;
    wire_icmp_header(p, h);
    return DROP_NONE;
}

void wire_icmp_emit(uint8_t *out, uint8_t type, uint8_t code, uint32_t rest)
{
    out[0] = type;
    out[1] = code;
    wire_store16(out + 2, 0);
    wire_store32(out + 4, rest);
}

void wire_icmp_checksum(struct rte_mbuf *m)
{
    uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);

    wire_store16(h + 2, 0);
    wire_store_sum(h + 2, (uint16_t)~wire_sum_mbuf(m, 0, m->pkt_len, 0));
}

/* What every transport begins with: its ports, and TCP's sequence number. */
static void quote_transport(const uint8_t *data, struct wire_quote *out)
{
    if (out->protocol == WIRE_IP_PROTO_TCP || out->protocol == WIRE_IP_PROTO_UDP) {
        out->sport = wire_load16(data);
        out->dport = wire_load16(data + 2);
    }
    if (out->protocol == WIRE_IP_PROTO_TCP)
        out->seq = wire_load32(data + 4);
}

static bool quote_ipv6(const uint8_t *data, size_t len, struct wire_quote *out)
{
    if (len < WIRE_IPV6_LEN + WIRE_TRANSPORT_MIN)
        return false;
    out->protocol = data[6];
    out->length = (uint16_t)RTE_MIN(WIRE_IPV6_LEN + wire_load16(data + 4), UINT16_MAX);
    out->src = wire_load_addr6(data + 8);
    out->dst = wire_load_addr6(data + 24);
    if (ip_is_v4(&out->src) || ip_is_v4(&out->dst))
        return false; /* mapped addresses are IPv4 to us, and never on a wire */
    quote_transport(data + WIRE_IPV6_LEN, out);
    return true;
}

static bool quote_ipv4(const uint8_t *data, size_t len, struct wire_quote *out)
{
    size_t header = (data[0] & 0x0fu) * 4;

    if (header < WIRE_IPV4_LEN || len < header + WIRE_TRANSPORT_MIN)
        return false;
    if ((wire_load16(data + 6) & 0x1fff) != 0)
        return false; /* a later fragment has no ports */
    out->protocol = data[9];
    out->length = wire_load16(data + 2);
    out->src = ip_from_v4(wire_load_addr(data + 12));
    out->dst = ip_from_v4(wire_load_addr(data + 16));
    quote_transport(data + header, out);
    return true;
}

bool wire_quote_parse(const uint8_t *data, size_t len, struct wire_quote *out)
{
    memset(out, 0, sizeof *out);
    if (len < WIRE_IPV4_LEN)
        return false;
    switch (data[0] >> 4) {
    case 4:
        return quote_ipv4(data, len, out);
    case 6:
        return quote_ipv6(data, len, out);
    default:
        return false;
    }
}
