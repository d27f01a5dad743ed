/*
 * The IPv4 header (RFC 791). What it claims is held against the frame before anything behind it is
 * looked at: the total length bounds every later read, and what the frame has beyond it is
 * Ethernet padding.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define IPV4_DF       0x4000
#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV4_MORE     0x2000
#define IPV4_OFFSET   0x1fff
#define IPV4_TTL      64

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_LSRR = 131, OPTION_SSRR = 137 };

/* False for malformed options, and for source routes: they serve spoofing only (RFC 7126, 4.3). */
static bool ipv4_options_ok(const uint8_t *p, size_t len)
{
    size_t i = 0;

    while (i < len && p[i] != OPTION_END) {
        if (p[i] == OPTION_NOP) {
            i++;
            continue;
        }
        if (p[i] == OPTION_LSRR || p[i] == OPTION_SSRR)
            return false;
        if (len - i < 2 || p[i + 1] < 2 || p[i + 1] > len - i)
            return false;
        i += p[i + 1];
    }
    return true;
}

static bool ipv4_checksum_ok(const struct rte_mbuf *m, const uint8_t *header, size_t len)
{
    uint64_t mark = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

    if (mark == RTE_MBUF_F_RX_IP_CKSUM_BAD)
        return false;
    return mark != RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN || wire_sum(header, len, 0) == UINT16_MAX;
}

static struct packet_fragment ipv4_fragment(const struct packet *p, uint16_t id, uint16_t field)
{
    return (struct packet_fragment){.id = id,
                                    .offset = (uint16_t)((field & IPV4_OFFSET) * 8),
                                    .data = p->l4_offset,
                                    .more = (field & IPV4_MORE) != 0};
}

enum drop_cause wire_ipv4_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l3_offset;
    uint32_t room = f->len - p->l3_offset;
    uint32_t header, total;

    if (room < WIRE_IPV4_LEN)
        return drop_truncated;
    if (h[0] >> 4 != 4)
        return drop_ip_version;
    header = (h[0] & 0x0fu) * 4;
    if (header < WIRE_IPV4_LEN)
        return drop_ip_header;
    if (header > room)
        return drop_truncated;
    total = wire_load16(h + 2);
    if (total < header || total > room)
        return drop_ip_length;
    if (!ipv4_checksum_ok(f->m, h, header))
        return drop_ip_checksum;
    if (header > WIRE_IPV4_LEN && !ipv4_options_ok(h + WIRE_IPV4_LEN, header - WIRE_IPV4_LEN))
        return drop_ip_option;

    p->kind = PACKET_OTHER;
    p->tos = h[1];
    p->ttl = h[8];
    p->ip_protocol = h[9];
    p->src = ip_from_v4(wire_load_addr(h + 12));
    p->dst = ip_from_v4(wire_load_addr(h + 16));
    p->l3_length = (uint16_t)total;
    p->l4_offset = p->payload_offset = (uint16_t)(p->l3_offset + header);
    p->payload_length = total - header;
    p->fragment = (wire_load16(h + 6) & IPV4_FRAGMENT) != 0;
    if (p->fragment)
        p->piece = ipv4_fragment(p, wire_load16(h + 4), wire_load16(h + 6));
    return wire_transport_input(p, f);
}

void wire_ipv4_emit(uint8_t *out, const struct ip_addr *src, const struct ip_addr *dst,
                    uint8_t protocol, uint8_t tos, uint16_t total_length, uint16_t id, bool offload)
{
    uint32_t from = ip_to_v4(src), to = ip_to_v4(dst);

    out[0] = 0x45;
    out[1] = tos;
    wire_store16(out + 2, total_length);
    wire_store16(out + 4, id);
    wire_store16(out + 6, IPV4_DF);
    out[8] = IPV4_TTL;
    out[9] = protocol;
    wire_store16(out + 10, 0);
    memcpy(out + 12, &from, 4);
    memcpy(out + 16, &to, 4);
    if (!offload)
        wire_store_sum(out + 10, (uint16_t)~wire_sum(out, WIRE_IPV4_LEN, 0));
}
