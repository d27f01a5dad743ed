/*
 * ICMP (RFC 792). The quote inside an error comes back from the network as somebody else's copy of
 * what we sent: it is parsed, never trusted, and its checksums say nothing any more.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define IP_PROTO_UDP 17

enum drop_cause wire_icmp_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l4_offset;
    uint32_t len = p->payload_length; /* of the whole message, so far */

    /* Drivers' transport marks speak of TCP and UDP: ICMP is always summed here. */
    if (len < WIRE_ICMP_LEN || wire_sum_mbuf(f->m, p->l4_offset, len, 0) != UINT16_MAX)
        return drop_icmp_invalid;
    p->kind = PACKET_ICMP;
    p->icmp.type = h[0];
    p->icmp.code = h[1];
    p->icmp.rest = wire_load32(h + 4);
    p->payload_offset = (uint16_t)(p->l4_offset + WIRE_ICMP_LEN);
    p->payload_length = len - WIRE_ICMP_LEN;
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

bool wire_quote_parse(const uint8_t *data, size_t len, struct wire_quote *out)
{
    size_t header;

    if (len < WIRE_IPV4_LEN || data[0] >> 4 != 4)
        return false;
    header = (data[0] & 0x0fu) * 4;
    if (header < WIRE_IPV4_LEN || len < header + 8)
        return false;
    if ((wire_load16(data + 6) & 0x1fff) != 0)
        return false; /* a later fragment has no ports */
    memset(out, 0, sizeof *out);
    out->protocol = data[9];
    out->length = wire_load16(data + 2);
    out->src = ip_from_v4(wire_load_addr(data + 12));
    out->dst = ip_from_v4(wire_load_addr(data + 16));
    data += header;
    if (out->protocol == WIRE_IP_PROTO_TCP || out->protocol == IP_PROTO_UDP) {
        out->sport = wire_load16(data);
        out->dport = wire_load16(data + 2);
    }
    if (out->protocol == WIRE_IP_PROTO_TCP)
        out->seq = wire_load32(data + 4);
    return true;
}
