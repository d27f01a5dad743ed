/*
 * The TCP header and its options (RFC 9293, 3.1 and 3.2; RFC 7323; RFC 2018).
 *
 * Options are the one part of the header with lengths of its own. Each length is checked against
 * what is left before it is used, and an option can never be shorter than its kind and length
 * bytes, so that the loop always moves on.
 */
#include <assert.h>

#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define OPTION_MAX       (WIRE_TCP_MAX - WIRE_TCP_LEN)
#define WSCALE_MAX       14         /* RFC 7323, 2.3: larger ones mean 14 */
#define TIMESTAMP_PREFIX 0x0101080a /* two NOPs, then the option: RFC 7323, appendix A */

enum {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WSCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMP = 8,
};

static bool tcp_sack_parse(const uint8_t *option, size_t len, struct packet_tcp *out)
{
    size_t blocks = (len - 2) / 8;

    if (blocks == 0 || blocks > 4 || len != 2 + blocks * 8)
        return false;
    for (size_t i = 0; i < blocks; i++) {
        out->sack[i].left = wire_load32(option + 2 + i * 8);
        out->sack[i].right = wire_load32(option + 6 + i * 8);
    }
    out->sack_count = (uint8_t)blocks;
    return true;
}

static void tcp_timestamp_parse(const uint8_t *value, struct packet_tcp *out)
{
    out->has_timestamp = true;
    out->ts_value = wire_load32(value);
    out->ts_echo = wire_load32(value + 4);
}

/* One option of `len` bytes, its kind and length included. Unknown kinds are skipped (RFC 9293,
 * MUST-6). */
static bool tcp_option_parse(const uint8_t *option, size_t len, struct packet_tcp *out)
{
    switch (option[0]) {
    case OPTION_MSS:
        out->has_mss = true;
        if (len == 4)
            out->mss = wire_load16(option + 2);
        return len == 4;
    case OPTION_WSCALE:
        out->has_wscale = true;
        if (len == 3)
            out->wscale = RTE_MIN(option[2], WSCALE_MAX);
        return len == 3;
    case OPTION_SACK_PERMITTED:
        out->sack_permitted = true;
        return len == 2;
    case OPTION_SACK:
        return tcp_sack_parse(option, len, out);
    case OPTION_TIMESTAMP:
        if (len == 10)
            tcp_timestamp_parse(option + 2, out);
        return len == 10;
    default:
        return true;
    }
}

bool wire_tcp_options_parse(const uint8_t *options, size_t len, struct packet_tcp *out)
{
    size_t i = 0;

    out->has_mss = out->has_wscale = out->sack_permitted = out->has_timestamp = false;
    out->sack_count = 0;
    if (len == 12 && wire_load32(options) == TIMESTAMP_PREFIX) {
        tcp_timestamp_parse(options + 4, out);
        return true;
    }
    while (i < len && options[i] != OPTION_END) {
        size_t size;

        if (options[i] == OPTION_NOP) {
            i++;
            continue;
        }
        if (len - i < 2)
            return false;
        size = options[i + 1];
        if (size < 2 || size > len - i || !tcp_option_parse(options + i, size, out))
            return false;
        i += size;
    }
    return true;
}

static bool tcp_checksum_ok(const struct packet *p, const struct wire_frame *f, uint32_t len)
{
    uint64_t mark = f->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    uint16_t pseudo;

    if (mark == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        return false;
    if (mark != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN)
        return true; /* GOOD, or NONE: not filled in, but the data is known to be intact */
    pseudo = wire_pseudo_sum(&p->src, &p->dst, WIRE_IP_PROTO_TCP, len);
    return wire_sum_mbuf(f->m, p->l4_offset, len, pseudo) == UINT16_MAX;
}

enum drop_cause wire_tcp_input(struct packet *p, const struct wire_frame *f)
{
    const uint8_t *h = f->head + p->l4_offset;
    uint32_t len = p->payload_length; /* of the whole segment, so far */
    uint32_t header;

    if (len < WIRE_TCP_LEN)
        return drop_truncated;
    header = (h[12] >> 4) * 4u;
    if (header < WIRE_TCP_LEN || header > len)
        return drop_tcp_header;
    if (!tcp_checksum_ok(p, f, len))
        return drop_tcp_checksum;
    if (!wire_tcp_options_parse(h + WIRE_TCP_LEN, header - WIRE_TCP_LEN, &p->tcp))
        return drop_tcp_option;
    p->kind = PACKET_TCP;
    p->sport = wire_load16(h);
    p->dport = wire_load16(h + 2);
    p->tcp.seq = wire_load32(h + 4);
    p->tcp.ack = wire_load32(h + 8);
    p->tcp.flags = h[13];
    p->tcp.window = wire_load16(h + 14);
    p->tcp.urgent = wire_load16(h + 18);
    p->payload_offset = (uint16_t)(p->l4_offset + header);
    p->payload_length = len - header;
    return DROP_NONE;
}

size_t wire_tcp_length(const struct wire_tcp *h)
{
    size_t options = 0;

    options += h->has_mss ? 4 : 0;
    options += h->has_timestamp ? 12 : 0; /* SACK-permitted stands in place of its NOPs */
    options += h->sack_permitted && !h->has_timestamp ? 4 : 0;
    options += h->has_wscale ? 4 : 0;
    options += h->sack_count != 0 ? 4 + h->sack_count * 8u : 0;
    return WIRE_TCP_LEN + options;
}

/* NOPs in front of what is `len` bytes long, so that it ends on a multiple of four. */
static uint8_t *tcp_pad(uint8_t *p, size_t len)
{
    while (len++ % 4 != 0)
        *p++ = OPTION_NOP;
    return p;
}

static uint8_t *tcp_option_emit(uint8_t *p, uint8_t kind, uint8_t len)
{
    *p++ = kind;
    *p++ = len;
    return p;
}

static uint8_t *tcp_sack_emit(const struct wire_tcp *h, uint8_t *p)
{
    p = tcp_option_emit(p, OPTION_SACK, (uint8_t)(2 + h->sack_count * 8));
    for (unsigned i = 0; i < h->sack_count; i++, p += 8) {
        wire_store32(p, h->sack[i].left);
        wire_store32(p + 4, h->sack[i].right);
    }
    return p;
}

static uint8_t *tcp_timestamp_emit(const struct wire_tcp *h, uint8_t *p)
{
    p = tcp_option_emit(p, OPTION_TIMESTAMP, 10);
    wire_store32(p, h->ts_value);
    wire_store32(p + 4, h->ts_echo);
    return p + 8;
}

/* Options end on a multiple of four, so that the 32-bit values in them are aligned as a receiver's
 * fast path expects them (RFC 7323, appendix A); the order is that of Linux, which peers and
 * middleboxes have seen most. */
static uint8_t *tcp_options_emit(const struct wire_tcp *h, uint8_t *p)
{
    if (h->has_mss) {
        p = tcp_option_emit(p, OPTION_MSS, 4);
        wire_store16(p, h->mss);
        p += 2;
    }
    if (h->sack_permitted || h->has_timestamp)
        p = tcp_pad(p, (h->sack_permitted ? 2u : 0u) + (h->has_timestamp ? 10u : 0u));
    if (h->sack_permitted)
        p = tcp_option_emit(p, OPTION_SACK_PERMITTED, 2);
    if (h->has_timestamp)
        p = tcp_timestamp_emit(h, p);
    if (h->has_wscale) {
        p = tcp_option_emit(tcp_pad(p, 3), OPTION_WSCALE, 3);
        *p++ = h->wscale;
    }
    return h->sack_count != 0 ? tcp_sack_emit(h, tcp_pad(p, 2)) : p;
}

size_t wire_tcp_emit(const struct wire_tcp *h, uint8_t *out)
{
    size_t len = wire_tcp_length(h);
    uint8_t *end;

    assert(len <= WIRE_TCP_MAX && h->sack_count <= 4);
    wire_store16(out, h->sport);
    wire_store16(out + 2, h->dport);
    wire_store32(out + 4, h->seq);
    wire_store32(out + 8, h->ack);
    out[12] = (uint8_t)(len / 4 << 4);
    out[13] = h->flags;
    wire_store16(out + 14, h->window);
    wire_store16(out + 16, 0);
    wire_store16(out + 18, h->urgent);
    end = tcp_options_emit(h, out + WIRE_TCP_LEN);
    assert(end == out + len);
    (void)end;
    return len;
}

void wire_tcp_checksum(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst,
                       bool offload, bool tso)
{
    uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);
    uint16_t pseudo = wire_pseudo_sum(src, dst, WIRE_IP_PROTO_TCP, tso ? 0 : m->pkt_len);

    if (offload) {
        wire_store_sum(h + 16, pseudo);
        return;
    }
    wire_store16(h + 16, 0);
    wire_store_sum(h + 16, (uint16_t)~wire_sum_mbuf(m, 0, m->pkt_len, pseudo));
}
