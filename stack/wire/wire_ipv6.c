/*
 * The IPv6 header and its extension headers (RFC 8200).
 *
 * Extension headers are a list without a bound, and whoever walks it works for its sender. So the
 * list has a bound here: five headers (RFC 8200, 4.1 lists no more for one packet that TCP can
 * use), 128 bytes, eight options in each, and no more padding than alignment needs (RFC 8504, 5.3).
 * What is beyond that is dropped in silence.
 *
 * Some faults the sender is to be told about. The packet then ends where the fault is: it goes on
 * as one of that header's protocol, with `problem` set, so that the firewall can still refuse it in
 * silence.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define EXTENSION_MIN   8
#define OPTIONS_MAX     8 /* in one header, padding not counted */
#define PADDING_MAX     7 /* bytes in a row: what aligns to eight */
#define FRAGMENT_OFFSET 0xfff8
#define FRAGMENT_MORE   0x0001
#define OPTION_ACTION   0xc0 /* RFC 8200, 4.2 */

enum {
    HEADER_HOP_BY_HOP = 0,
    HEADER_ROUTING = 43,
    HEADER_FRAGMENT = 44,
    HEADER_DESTINATION = 60,
};

enum { OPTION_PAD1 = 0, OPTION_PADN = 1 };
enum { ACTION_SKIP = 0x00, ACTION_DISCARD = 0x40, ACTION_TELL = 0x80, ACTION_TELL_UNICAST = 0xc0 };

/* The walk along the headers. Offsets are from the start of the frame. */
struct walk {
    const uint8_t *head;
    uint32_t at, end; /* the next header; of the packet */
    uint32_t named_at;
    uint32_t bytes;
    uint8_t next;
    uint8_t count;
    bool ended; /* the next header is nothing that we walk, or must not be walked */
};

/* The packet ends here, and its sender is told why. */
static enum drop_cause problem(struct packet *p, struct walk *w, uint8_t code, uint32_t at)
{
    p->problem = (uint8_t)(code + 1);
    p->problem_at = (uint16_t)(at - p->l3_offset);
    w->ended = true;
    return DROP_NONE;
}

static enum drop_cause option_unknown(struct packet *p, struct walk *w, uint32_t at)
{
    bool group = p->dst.b[0] == 0xff;

    switch (w->head[at] & OPTION_ACTION) {
    case ACTION_SKIP:
        return DROP_NONE;
    case ACTION_TELL_UNICAST:
        if (group)
            return drop_ip_option;
        return problem(p, w, WIRE_ICMP6_CODE_OPTION, at);
    case ACTION_TELL:
        return problem(p, w, WIRE_ICMP6_CODE_OPTION, at);
    default:
        return drop_ip_option;
    }
}

/* The options of a hop-by-hop or destination options header. None of them means anything to us but
 * what its first two bits say; the router alert (RFC 2711) is one of those to be skipped. */
static enum drop_cause options_input(struct packet *p, struct walk *w, uint32_t len)
{
    uint32_t at = w->at + 2, end = w->at + len, options = 0, padding = 0, size;
    enum drop_cause drop = DROP_NONE;

    for (; at < end && drop == DROP_NONE && !w->ended; at += size) {
        const uint8_t *o = w->head + at;

        size = o[0] == OPTION_PAD1 ? 1 : end - at < 2 ? 0 : 2u + o[1];
        if (size == 0 || size > end - at)
            return drop_ip_option;
        if (o[0] <= OPTION_PADN) {
            padding += size;
            if (padding > PADDING_MAX)
                return drop_ip_option;
            continue;
        }
        padding = 0;
        if (++options > OPTIONS_MAX)
            return drop_ip_option;
        drop = option_unknown(p, w, at);
    }
    return drop;
}

/* No routing type is known here, so that type 0, which sends packets in circles, is refused as RFC
 * 5095 wants it; where no segment is left, any is as good as none (RFC 8200, 4.4). */
static enum drop_cause routing_input(struct packet *p, struct walk *w)
{
    if (w->head[w->at + 3] != 0)
        return problem(p, w, WIRE_ICMP6_CODE_FIELD, w->at + 2);
    return DROP_NONE;
}

/* A packet that is its own only fragment is none (RFC 6946). */
static enum drop_cause fragment_input(struct packet *p, struct walk *w)
{
    const uint8_t *h = w->head + w->at;
    uint16_t field = wire_load16(h + 2);
    uint32_t len = w->end - w->at - EXTENSION_MIN;

    if ((field & (FRAGMENT_OFFSET | FRAGMENT_MORE)) == 0)
        return DROP_NONE;
    p->fragment = true;
    p->piece = (struct packet_fragment){.id = wire_load32(h + 4),
                                        .offset = field & FRAGMENT_OFFSET,
                                        .data = (uint16_t)(w->at + EXTENSION_MIN),
                                        .header = (uint16_t)w->at,
                                        .named_at = (uint16_t)w->named_at,
                                        .more = (field & FRAGMENT_MORE) != 0};
    if (p->piece.more && len % 8 != 0)
        return problem(p, w, WIRE_ICMP6_CODE_FIELD, p->l3_offset + 4u);
    if (p->piece.offset + len > UINT16_MAX)
        return problem(p, w, WIRE_ICMP6_CODE_FIELD, w->at + 2);
    return DROP_NONE;
}

static bool is_extension(uint8_t header)
{
    return header == HEADER_HOP_BY_HOP || header == HEADER_ROUTING || header == HEADER_FRAGMENT ||
           header == HEADER_DESTINATION;
}

/* Moves over one extension header, which must be whole: in a first fragment, too (RFC 7112). */
static enum drop_cause extension_input(struct packet *p, struct walk *w)
{
    uint8_t header = w->next;
    enum drop_cause drop;
    uint32_t len;

    if (header == HEADER_HOP_BY_HOP && w->count > 0)
        return problem(p, w, WIRE_ICMP6_CODE_NEXT, w->named_at);
    if (++w->count > WIRE_IPV6_EXT_COUNT)
        return drop_ip_extension;
    if (w->end - w->at < EXTENSION_MIN)
        return drop_truncated;
    len = header == HEADER_FRAGMENT ? EXTENSION_MIN : (w->head[w->at + 1] + 1u) * 8;
    w->bytes += len;
    if (w->bytes > WIRE_IPV6_EXT_BYTES)
        return drop_ip_extension;
    if (len > w->end - w->at)
        return drop_truncated;
    if (header == HEADER_ROUTING)
        drop = routing_input(p, w);
    else if (header == HEADER_FRAGMENT)
        drop = p->fragment ? drop_ip_extension : fragment_input(p, w);
    else
        drop = options_input(p, w, len);
    if (drop != DROP_NONE || w->ended)
        return drop;
    w->named_at = w->at;
    w->next = w->head[w->at];
    w->at += len;
    w->ended = p->fragment && p->piece.offset != 0; /* what follows is not its beginning */
    return DROP_NONE;
}

enum drop_cause wire_ipv6_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l3_offset;
    uint32_t room = f->len - p->l3_offset;
    struct walk w = {.head = f->head, .named_at = p->l3_offset + 6u};
    uint32_t total;

    if (room < WIRE_IPV6_LEN)
        return drop_truncated;
    if (h[0] >> 4 != 6)
        return drop_ip_version;
    total = WIRE_IPV6_LEN + (uint32_t)wire_load16(h + 4);
    if (total > room || total > UINT16_MAX)
        return drop_ip_length;
    p->tos = (uint8_t)(wire_load16(h) >> 4);
    p->ttl = h[7];
    p->src = wire_load_addr6(h + 8);
    p->dst = wire_load_addr6(h + 24);
    if (ip_is_v4(&p->src) || ip_is_v4(&p->dst))
        return drop_ip_martian; /* RFC 4291, 2.5.5.2; here they would pass for IPv4 */
    p->l3_length = (uint16_t)total;
    w.next = h[6];
    w.at = p->l3_offset + WIRE_IPV6_LEN;
    w.end = p->l3_offset + total;
    while (is_extension(w.next) && !w.ended) {
        enum drop_cause drop = extension_input(p, &w);

        if (drop != DROP_NONE)
            return drop;
    }
    p->ip_protocol = w.next;
    p->named_at = (uint16_t)(w.named_at - p->l3_offset);
    p->l4_offset = p->payload_offset = (uint16_t)w.at;
    p->payload_length = w.end - w.at;
    return p->problem != 0 ? DROP_NONE : wire_transport_input(p, f);
}

void wire_ipv6_emit(const struct wire_ipv6 *h, uint8_t *out)
{
    wire_store32(out, 6u << 28 | (uint32_t)h->traffic_class << 20 | (h->flow_label & 0x000fffffu));
    wire_store16(out + 4, h->payload_length);
    out[6] = h->next_header;
    out[7] = h->hop_limit;
    memcpy(out + 8, h->src.b, 16);
    memcpy(out + 24, h->dst.b, 16);
}
