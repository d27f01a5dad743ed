/*
 * From a frame to a struct packet: each layer checks its header against what the layer below left
 * of the frame, then hands on. The first thing that is wrong names the drop.
 *
 * Headers are read where they lie when the first segment holds them, as with nearly every driver;
 * a header that spans segments is read from a copy on the stack. The mbuf is never changed.
 */
#include <rte_mbuf.h>

#include "stack/wire/wire_internal.h"

#define TYPE_QINQ 0x88a8
#define VLAN_VID  0x0fff

/* The tag that stands in the frame, if any. VLAN 0 is no VLAN but a priority (IEEE 802.1Q, 6.9):
 * such frames are untagged ones, and some virtual switches tag everything so. */
static enum drop_cause tag_input(struct packet *p, const struct wire_frame *f, uint16_t *type)
{
    uint16_t vlan;

    if (f->len < WIRE_ETHER_LEN + WIRE_VLAN_LEN)
        return drop_truncated;
    vlan = wire_load16(f->head + WIRE_ETHER_LEN) & VLAN_VID;
    if (vlan != 0 && p->vlan != 0)
        return drop_vlan;
    p->vlan |= vlan;
    *type = wire_load16(f->head + WIRE_ETHER_LEN + 2);
    p->l3_offset += WIRE_VLAN_LEN;
    return *type == WIRE_TYPE_VLAN || *type == TYPE_QINQ ? drop_vlan : DROP_NONE;
}

/* Finds the VLAN, the type, and where its header begins. Drivers may have taken the tag out. */
static enum drop_cause ether_input(struct packet *p, const struct wire_frame *f, uint16_t *type)
{
    if (f->len < WIRE_ETHER_LEN)
        return drop_truncated;
    if ((f->m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)
        p->vlan = f->m->vlan_tci & VLAN_VID;
    *type = wire_load16(f->head + 12);
    p->l3_offset = WIRE_ETHER_LEN;
    if (*type == WIRE_TYPE_VLAN)
        return tag_input(p, f, type);
    return *type == TYPE_QINQ ? drop_vlan : DROP_NONE;
}

static enum drop_cause frame_input(struct packet *p, const struct wire_frame *f)
{
    uint16_t type;
    enum drop_cause drop = ether_input(p, f, &type);

    if (drop != DROP_NONE)
        return drop;
    switch (type) {
    case WIRE_TYPE_IPV4:
        return wire_ipv4_input(p, f);
    case WIRE_TYPE_IPV6:
        return wire_ipv6_input(p, f);
    case WIRE_TYPE_ARP:
        return wire_arp_input(p, f);
    default:
        return drop_ethernet_type;
    }
}

uint16_t wire_ether_vlan(const struct rte_mbuf *m)
{
    uint8_t copy[WIRE_ETHER_LEN + WIRE_VLAN_LEN];
    const uint8_t *head;

    if ((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 && (m->vlan_tci & VLAN_VID) != 0)
        return m->vlan_tci & VLAN_VID;
    head = rte_pktmbuf_read(m, 0, sizeof copy, copy);
    if (head == NULL || wire_load16(head + 12) != WIRE_TYPE_VLAN)
        return 0;
    return wire_load16(head + WIRE_ETHER_LEN) & VLAN_VID;
}

enum drop_cause wire_parse(struct packet *p)
{
    uint8_t copy[WIRE_HEADERS_MAX];
    struct wire_frame f = {.m = p->m, .len = p->m->pkt_len};

    *p = (struct packet){.m = p->m, .iface = p->iface, .kind = PACKET_OTHER};
    f.head = rte_pktmbuf_read(p->m, 0, RTE_MIN(f.len, (uint32_t)WIRE_HEADERS_MAX), copy);
    p->drop = frame_input(p, &f);
    return p->drop;
}
