/*
 * Fragments are put together before the firewall sees them, so that ports are those of the whole
 * packet and no rule can be eluded by how it is cut (RFC 1858, RFC 3128). A packet that is whole
 * stands in the burst in place of the fragment that completed it, and nobody above knows.
 *
 *     fragment -> what can never be right -> its packet (made, if new) -> its place -> whole?
 *
 * A packet's fragments are a list by offset. One that overlaps another, or says otherwise where the
 * packet ends, ends the packet: what was collected is dropped, and what still comes of it, too
 * (RFC 5722; nobody honest cuts IPv4 so either, and which of two versions a receiver takes is what
 * attackers play with). A fragment that comes twice, byte for byte, is ignored (RFC 8200, 4.5).
 *
 * How many of them may wait, and for how long: net_fragment_table.c.
 *
 * DPDK's librte_ip_frag is not used: it keeps whichever of two overlapping fragments came last,
 * knows neither duplicates nor ECN nor a bound for a source, and takes 8 fragments a packet.
 */
#include "stack/net/net_fragment.h"

#define PIECES_MAX   128 /* of one packet: 64 KiB cut for an MTU of 576 */
#define PACKET_MAX   UINT16_MAX

#define ECN_CE       3
#define ECN_BIT(ecn) (1u << (ecn))

/* ---- one fragment ---- */

static uint32_t data_length(const struct packet *p)
{
    return p->l3_length - (uint32_t)(p->piece.data - p->l3_offset);
}

/* No fragment that a sender in its right mind makes: of no data, not in units of 8, beyond the
 * largest packet (the "ping of death"), or one that parts TCP's header (RFC 3128), of which
 * wire_parse() wants all in the first. */
static bool is_impossible(const struct packet *p)
{
    uint32_t len = data_length(p), end = p->piece.offset + len;

    if (len == 0 || (p->piece.more && len % 8 != 0))
        return true;
    if (end + (uint32_t)(p->piece.data - p->l3_offset) > PACKET_MAX)
        return true;
    return p->ip_protocol == WIRE_IP_PROTO_TCP && p->piece.offset != 0 &&
           p->piece.offset < WIRE_TCP_LEN;
}

/* Cuts an mbuf down to what is kept of it: the padding goes, and of all but the first fragment the
 * headers. Returns false where they do not lie in one piece, which no driver does to them. */
static bool cut(struct packet *p)
{
    uint32_t padding = p->m->pkt_len - p->l3_offset - p->l3_length;

    if (p->m->data_len < p->piece.data || rte_pktmbuf_trim(p->m, (uint16_t)padding) != 0)
        return false;
    return p->piece.offset == 0 || rte_pktmbuf_adj(p->m, p->piece.data) != NULL;
}

static bool same_bytes(const struct rte_mbuf *a, uint32_t a_at, const struct rte_mbuf *b,
                       uint32_t b_at, uint32_t len)
{
    uint8_t a_copy[256], b_copy[256];

    for (uint32_t done = 0; done < len;) {
        uint32_t step = RTE_MIN(len - done, (uint32_t)sizeof a_copy);

        if (memcmp(rte_pktmbuf_read(a, a_at + done, step, a_copy),
                   rte_pktmbuf_read(b, b_at + done, step, b_copy), step) != 0)
            return false;
        done += step;
    }
    return true;
}

enum place { PLACE_FREE, PLACE_DUPLICATE, PLACE_OVERLAP };

/* Where a fragment goes: *at is the link that is to point at it. */
static enum place place_find(struct net_partial *partial, const struct packet *p,
                             struct net_piece ***at)
{
    uint32_t offset = p->piece.offset, len = data_length(p), end = offset + len;
    struct net_piece **link = &partial->head;

    while (*link != NULL && (uint32_t)(*link)->offset + (*link)->len <= offset)
        link = &(*link)->next;
    *at = link;
    if (partial->end != 0 && (end > partial->end || (!p->piece.more && end != partial->end)))
        return PLACE_OVERLAP;
    if (!p->piece.more && partial->reach > end)
        return PLACE_OVERLAP;
    if (*link == NULL || (*link)->offset >= end)
        return PLACE_FREE;
    if ((*link)->offset != offset || (*link)->len != len ||
        p->piece.more == (partial->end == end) ||
        !same_bytes((*link)->m, offset == 0 ? partial->first.piece.data : 0, p->m, p->piece.data,
                    len))
        return PLACE_OVERLAP;
    return PLACE_DUPLICATE;
}

/* Takes the mbuf. Returns false, and leaves it, when there is no room for it. */
static bool piece_add(struct net *n, struct net_partial *partial, struct packet *p,
                      struct net_piece **at)
{
    struct net_piece new = {p->m, p->piece.offset, (uint16_t)data_length(p), *at};
    uint32_t end = (uint32_t) new.offset + new.len;

    if (partial->pieces == PIECES_MAX || !cut(p) || !net_partial_add(n, partial, at, &new))
        return false;
    partial->bytes += new.len;
    partial->reach = RTE_MAX(partial->reach, end);
    partial->ecn |= (uint8_t)ECN_BIT(p->tos & 3);
    if (!p->piece.more)
        partial->end = end;
    if (new.offset == 0) {
        partial->first = *p;
        partial->first.m = NULL;
    }
    return true;
}

/* ---- the whole ---- */

/* RFC 3168, 5.3. Returns false where the mark of congestion is on what is not ECN-capable. */
static bool ecn_join(const struct net_partial *p, uint8_t *out)
{
    *out = p->first.tos & 3;
    if ((p->ecn & ECN_BIT(ECN_CE)) == 0)
        return true;
    *out = ECN_CE;
    return (p->ecn & ECN_BIT(0)) == 0;
}

/* The frame of the whole packet, as if it had come so; ends the entry. NULL: there is none. */
static struct rte_mbuf *join(struct net *n, struct net_partial *p)
{
    struct rte_mbuf *m = NULL;
    uint8_t ecn;

    if (ecn_join(p, &ecn)) {
        m = p->head->m;
        for (struct net_piece *piece = p->head->next; piece != NULL; piece = piece->next)
            rte_pktmbuf_chain(m, piece->m);
        wire_fragment_whole(m, &p->first, ecn);
        for (struct net_piece *piece = p->head; piece != NULL; piece = piece->next)
            piece->m = NULL;
        p->whole = true;
        COUNTER_INC(n->counters->ip_reassembled);
    }
    net_partial_remove(n, p);
    return m;
}

static void overlap(struct net *n, struct net_partial *p)
{
    COUNTER_INC(n->counters->ip_reassembly_overlaps);
    net_partial_clear(n, p);
    p->dead = true;
}

/* What is not for us is not worth its keep; but somebody else's stack may have use for what was
 * sent to another address of this station. */
static enum drop_cause addresses_check(const struct net *n, const struct packet *p)
{
    const struct net_iface *iface = &n->iface[p->iface];
    uint8_t scattered[6]; /* a first mbuf may be of less */
    const uint8_t *mac = rte_pktmbuf_read(p->m, 0, sizeof scattered, scattered);

    if ((mac[0] & 1) == 0 && memcmp(mac, iface->mac, 6) != 0)
        return drop_ethernet_address;
    if (iface->punt != NULL)
        return DROP_NONE;
    if (!ip_is_v4(&p->dst))
        return net_ipv6_addresses_check(iface, &p->src, &p->dst);
    return net_ipv4_addresses_check(iface, ip_to_v4(&p->src), ip_to_v4(&p->dst));
}

/* Keeps a fragment: returns true when it is taken. *whole is what it completes, or NULL. */
static bool collect(struct net *n, struct packet *p, struct rte_mbuf **whole, clock_ns now)
{
    struct net_partial key = {.src = p->src,
                              .dst = p->dst,
                              .id = p->piece.id,
                              .iface = p->iface,
                              .protocol = p->piece.header == 0 ? p->ip_protocol : 0};
    struct net_partial *partial = net_partial_get(n, &key, p->m->nb_segs, now);
    struct net_piece **at;

    if (partial == NULL || partial->dead)
        return false;
    switch (place_find(partial, p, &at)) {
    case PLACE_DUPLICATE:
        return false;
    case PLACE_OVERLAP:
        overlap(n, partial);
        return false;
    case PLACE_FREE:
        break;
    }
    if (!piece_add(n, partial, p, at))
        return false;
    if (partial->bytes == partial->end)
        *whole = join(n, partial);
    return true;
}

/* ---- the burst ---- */

/* Returns false when the packet is gone from the burst: its mbuf waits for others. */
static bool fragment_input(struct net *n, struct packet *p, clock_ns now)
{
    struct rte_mbuf *whole = NULL;
    uint8_t iface = p->iface;

    COUNTER_INC(n->counters->ip_fragments);
    p->drop = addresses_check(n, p);
    if (p->drop != DROP_NONE)
        return true;
    if (!n->fragments.enabled || is_impossible(p) || !collect(n, p, &whole, now)) {
        p->drop = drop_ip_fragment;
        return true;
    }
    if (whole == NULL)
        return false;
    *p = (struct packet){.m = whole, .iface = iface};
    if (wire_parse(p) == DROP_NONE && (p->fragment || p->kind == PACKET_ND))
        p->drop = drop_ip_fragment; /* fragments of fragments; RFC 6980 */
    p->reassembled = true;
    return true;
}

unsigned net_fragments_input(struct net *n, struct packet *packets, unsigned count, clock_ns now)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        bool stays = packets[i].drop != DROP_NONE || !packets[i].fragment ||
                     packets[i].problem != 0 || fragment_input(n, &packets[i], now);

        if (stays && kept != i)
            packets[kept] = packets[i];
        kept += stays;
    }
    return kept;
}
