/*
 * The first fragment's headers become those of the whole packet (RFC 791, 3.2; RFC 8200, 4.5): its
 * lengths, and no sign of a fragment any more. Nothing else of them changes.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define ECN_MASK 0x03

static void whole_ipv4(struct rte_mbuf *m, const struct packet *first, uint8_t ecn)
{
    uint8_t *h = rte_pktmbuf_mtod_offset(m, uint8_t *, first->l3_offset);

    h[1] = (uint8_t)((h[1] & ~ECN_MASK) | ecn);
    wire_store16(h + 2, (uint16_t)(m->pkt_len - first->l3_offset));
    wire_store16(h + 6, 0);
    wire_store16(h + 10, 0);
    wire_store_sum(h + 10, (uint16_t)~wire_sum(h, first->piece.data - first->l3_offset, 0));
}

/* The fragment header goes; what stands before it moves up to what stood behind it. */
static void whole_ipv6(struct rte_mbuf *m, const struct packet *first, uint8_t ecn)
{
    const struct packet_fragment *piece = &first->piece;
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    uint16_t gap = (uint16_t)(piece->data - piece->header);
    uint8_t *h;

    frame[piece->named_at] = frame[piece->header];
    memmove(frame + gap, frame, piece->header);
    rte_pktmbuf_adj(m, gap);
    h = frame + gap + first->l3_offset;
    h[1] = (uint8_t)((h[1] & ~(ECN_MASK << 4)) | ecn << 4);
    wire_store16(h + 4, (uint16_t)(m->pkt_len - first->l3_offset - WIRE_IPV6_LEN));
}

void wire_fragment_whole(struct rte_mbuf *m, const struct packet *first, uint8_t ecn)
{
    if (first->piece.header == 0)
        whole_ipv4(m, first, ecn);
    else
        whole_ipv6(m, first, ecn);
    /* What the device found out was about a fragment. */
    m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
    m->packet_type = 0;
}
