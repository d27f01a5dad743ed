/*
 * The wire: a device that does what the stack leaves to it, and a next hop that answers for every
 * address but ours.
 *
 * Scripts know no link layer. Frames lose their Ethernet header on the way out; requests of ARP
 * and neighbour discovery are answered at once, at no cost of time, and never shown. Frames that
 * the device is to segment are cut to packets, as on a real wire.
 */
#include "tests/packetdrill/door_internal.h"

#include <assert.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#define LINK_ROOM    1024  /* data frames; the wire is never full */
#define LINK_HEADERS 40    /* of IPv4 and TCP */
#define LINK_FRAME   70000 /* bytes of the longest frame that may ask to be cut */

const uint8_t door_link_mac[6] = {0x02, 0, 0, 0, 0, 1};
static const struct rte_ether_addr next_hop = {{0x02, 0, 0, 0, 0, 2}};

static void packet_append(struct door *d, struct door_packets *to, const void *bytes, size_t len)
{
    struct door_packet *p = malloc(sizeof *p + len);

    assert(p != NULL);
    p->at = d->now;
    p->len = len;
    memcpy(p->bytes, bytes, len);
    STAILQ_INSERT_TAIL(to, p, link);
}

/* ---- the next hop ---- */

static bool local_address(const struct door *d, const void *v4)
{
    uint32_t addr;

    memcpy(&addr, v4, sizeof addr);
    return addr == ip_to_v4(&d->config.local[0].addr);
}

static void answer_arp(struct door *d, const uint8_t *frame)
{
    struct {
        struct rte_ether_hdr ether;
        struct rte_arp_hdr arp;
    } __attribute__((packed, aligned(2))) a;

    memcpy(&a, frame, sizeof a);
    if (a.arp.arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) ||
        local_address(d, &a.arp.arp_data.arp_tip))
        return;
    a.ether.dst_addr = a.ether.src_addr;
    a.ether.src_addr = next_hop;
    a.arp.arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
    a.arp.arp_data.arp_tha = a.arp.arp_data.arp_sha;
    a.arp.arp_data.arp_sha = next_hop;
    {
        uint32_t asked = a.arp.arp_data.arp_tip;

        a.arp.arp_data.arp_tip = a.arp.arp_data.arp_sip;
        a.arp.arp_data.arp_sip = asked;
    }
    packet_append(d, &d->answers, &a, sizeof a);
}

/* A neighbour advertisement (RFC 4861, 4.4); duplicate address detection gets none. */
static void answer_solicitation(struct door *d, const uint8_t *frame)
{
    struct {
        struct rte_ether_hdr ether;
        struct rte_ipv6_hdr ip;
        struct nd_neighbor_advert advert;
        struct nd_opt_hdr option;
        struct rte_ether_addr mac;
    } __attribute__((packed, aligned(2))) a;
    static const uint8_t unspecified[16];

    memcpy(&a, frame, sizeof a.ether + sizeof a.ip + sizeof a.advert);
    if (memcmp(a.ip.src_addr, unspecified, sizeof unspecified) == 0)
        return;
    a.ether.dst_addr = a.ether.src_addr;
    a.ether.src_addr = next_hop;
    memcpy(a.ip.dst_addr, a.ip.src_addr, sizeof a.ip.dst_addr);
    memcpy(a.ip.src_addr, &a.advert.nd_na_target, sizeof a.ip.src_addr);
    a.ip.hop_limits = 255;
    a.ip.payload_len = rte_cpu_to_be_16(sizeof a.advert + sizeof a.option + sizeof a.mac);
    a.advert.nd_na_hdr = (struct icmp6_hdr){.icmp6_type = ND_NEIGHBOR_ADVERT};
    a.advert.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
    a.option = (struct nd_opt_hdr){.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1};
    a.mac = next_hop;
    a.advert.nd_na_cksum = rte_ipv6_udptcp_cksum(&a.ip, &a.advert);
    packet_append(d, &d->answers, &a, sizeof a);
}

/* Messages between neighbours are not the scripts' concern. */
static bool between_neighbours(struct door *d, const uint8_t *frame, size_t len)
{
    const struct rte_ipv6_hdr *ip = (const void *)(frame + RTE_ETHER_HDR_LEN);
    uint8_t type = frame[RTE_ETHER_HDR_LEN + sizeof *ip];

    if (ip->proto == IPPROTO_HOPOPTS) /* multicast listener reports: RFC 3810, 5 */
        return true;
    if (ip->proto != IPPROTO_ICMPV6 || type < ND_ROUTER_SOLICIT || type > ND_REDIRECT)
        return false;
    if (type == ND_NEIGHBOR_SOLICIT &&
        len >= RTE_ETHER_HDR_LEN + sizeof *ip + sizeof(struct nd_neighbor_solicit))
        answer_solicitation(d, frame);
    return true;
}

bool door_link_answer(struct door *d)
{
    struct door_packet *p = STAILQ_FIRST(&d->answers);
    struct rte_mbuf *m;

    if (p == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&d->answers, link);
    m = rte_pktmbuf_alloc(d->rx_pool);
    assert(m != NULL);
    memcpy(rte_pktmbuf_append(m, (uint16_t)p->len), p->bytes, p->len);
    free(p);
    stack_input(d->stack, 0, &m, 1, d->now);
    return true;
}

/* ---- the device ---- */

static void wire(struct door *d, const uint8_t *frame, size_t len)
{
    const struct rte_ether_hdr *ether = (const void *)frame;

    switch (rte_be_to_cpu_16(ether->ether_type)) {
    case RTE_ETHER_TYPE_ARP:
        answer_arp(d, frame);
        return;
    case RTE_ETHER_TYPE_IPV6:
        if (between_neighbours(d, frame, len))
            return;
        break;
    default:
        break;
    }
    packet_append(d, &d->sent, frame + sizeof *ether, len - sizeof *ether);
}

/* Lengths and checksums of a frame that has its final size. */
static void finish(uint8_t *frame, const struct rte_mbuf *m, uint32_t len)
{
    uint8_t *ip = frame + m->l2_len;
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(ip + m->l3_len);

    tcp->cksum = 0;
    if ((m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0) {
        struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)(void *)ip;

        v6->payload_len = rte_cpu_to_be_16((uint16_t)(len - m->l2_len - sizeof *v6));
        tcp->cksum = rte_ipv6_udptcp_cksum(v6, tcp);
    } else {
        struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)(void *)ip;

        v4->total_length = rte_cpu_to_be_16((uint16_t)(len - m->l2_len));
        v4->hdr_checksum = 0;
        v4->hdr_checksum = rte_ipv4_cksum(v4);
        tcp->cksum = rte_ipv4_udptcp_cksum(v4, tcp);
    }
}

/* Segmentation as devices do it: FIN and PSH are the last segment's, CWR the first's. */
static void cut(struct door *d, const struct rte_mbuf *m, const uint8_t *frame, uint32_t len)
{
    uint32_t header = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
    uint8_t out[RTE_ETHER_HDR_LEN + 9000];

    for (uint32_t done = 0; header + done < len; done += m->tso_segsz) {
        uint32_t left = len - header - done, n = left < m->tso_segsz ? left : m->tso_segsz;
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(out + m->l2_len + m->l3_len);

        memcpy(out, frame, header);
        memcpy(out + header, frame + header + done, n);
        tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + done);
        if (n < left)
            tcp->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
        if (done > 0)
            tcp->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
        finish(out, m, header + n);
        wire(d, out, header + n);
    }
}

static void link_enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct door *d = ctx;
    uint8_t frame[LINK_FRAME];
    uint32_t len = m->pkt_len;
    const uint8_t *bytes = rte_pktmbuf_read(m, 0, len, frame);

    (void)band;
    (void)egress_class;
    assert(len <= sizeof frame && bytes != NULL);
    if (bytes != frame)
        memcpy(frame, bytes, len);
    if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
        cut(d, m, frame, len);
    } else {
        if ((m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM) != 0)
            finish(frame, m, len);
        wire(d, frame, len);
    }
    rte_pktmbuf_free(m);
}

static uint32_t link_room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return LINK_ROOM;
}

static uint32_t link_frame_max(void *ctx, uint8_t egress_class)
{
    const struct door *d = ctx;

    (void)egress_class;
    return (uint32_t)d->config.tso * (d->config.mtu - LINK_HEADERS);
}

struct stack_egress door_link_egress(struct door *d)
{
    return (struct stack_egress){
        .ctx = d, .enqueue = link_enqueue, .room = link_room, .frame_max = link_frame_max};
}

uint32_t door_link_offloads(const struct door *d)
{
    if (d->config.tso == 0)
        return 0;
    return STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT | STACK_TX_MULTI_SEGMENT;
}

static void packets_free(struct door_packets *packets)
{
    struct door_packet *p;

    while ((p = STAILQ_FIRST(packets)) != NULL) {
        STAILQ_REMOVE_HEAD(packets, link);
        free(p);
    }
}

void door_link_drain(struct door *d)
{
    packets_free(&d->sent);
    packets_free(&d->answers);
}
