/*
 * Theory of operation: a packet of either family is read into a request, from which a header back
 * to the sender is written; echo and TCP then are the same for both. Checksums and chained buffers
 * are left to the device wherever it says that it takes them, so that the checks see whether it
 * does.
 */
#include "io_answer.h"

#include <netinet/icmp6.h>
#include <stdbool.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "stack/stack.h"

/* A packet without IP options or extension headers. */
struct request {
    struct rte_mbuf *in; /* NULL: taken */
    bool v6;
    uint8_t protocol;
    uint16_t header, payload; /* bytes of the IP header, and behind it */
    struct ip_addr src, dst;
};

static void *payload_of(const struct request *r, const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, char *, RTE_ETHER_HDR_LEN + r->header);
}

/* Sends the frame, trying again while the device is full; a station must not lose replies. */
static void send_frame(struct io_answer *a, struct rte_mbuf *m)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (io_port_transmit(a->port, a->worker, &m, 1) == 1)
            return;
    }
    a->unsent++;
    rte_pktmbuf_free(m);
}

/* An empty frame with an Ethernet header back to the sender of `in`. */
static struct rte_mbuf *reply_begin(struct io_answer *a, const struct rte_mbuf *in, unsigned len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(io_port_tx_pool(a->port, a->worker));
    const struct rte_ether_hdr *from = rte_pktmbuf_mtod(in, const struct rte_ether_hdr *);
    struct rte_ether_hdr *eth;

    if (m == NULL)
        return NULL;
    eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, (uint16_t)len);
    eth->dst_addr = from->src_addr;
    memcpy(&eth->src_addr, a->facts->mac, RTE_ETHER_ADDR_LEN);
    eth->ether_type = from->ether_type;
    return m;
}

static void write_ipv4(const struct io_answer *a, struct rte_mbuf *m, const struct request *r,
                       uint16_t payload)
{
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);

    *ip = (struct rte_ipv4_hdr){
        .version_ihl = RTE_IPV4_VHL_DEF,
        .total_length = rte_cpu_to_be_16((uint16_t)(r->header + payload)),
        .fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
        .time_to_live = 64,
        .next_proto_id = r->protocol,
        .src_addr = ip_to_v4(&r->dst),
        .dst_addr = ip_to_v4(&r->src),
    };
    if (a->facts->offloads & STACK_TX_IPV4_CHECKSUM)
        m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
    else
        ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void write_ipv6(struct rte_mbuf *m, const struct request *r, uint16_t payload)
{
    struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN);

    *ip = (struct rte_ipv6_hdr){
        .vtc_flow = rte_cpu_to_be_32(6u << 28),
        .payload_len = rte_cpu_to_be_16(payload),
        .proto = r->protocol,
        .hop_limits = 255, /* RFC 4861, 7.1.2, of advertisements */
    };
    memcpy(ip->src_addr, r->dst.b, sizeof ip->src_addr);
    memcpy(ip->dst_addr, r->src.b, sizeof ip->dst_addr);
}

/* A frame to the sender of the request: Ethernet and IP for a packet with `payload` bytes, of which
 * the frame has `linear` so far. */
static struct rte_mbuf *ip_begin(struct io_answer *a, const struct request *r, uint16_t payload,
                                 uint16_t linear)
{
    struct rte_mbuf *m = reply_begin(a, r->in, (unsigned)RTE_ETHER_HDR_LEN + r->header + linear);

    if (m == NULL)
        return NULL;
    if (r->v6)
        write_ipv6(m, r, payload);
    else
        write_ipv4(a, m, r, payload);
    m->l2_len = RTE_ETHER_HDR_LEN;
    m->l3_len = r->header;
    return m;
}

static void answer_arp(struct io_answer *a, const struct rte_mbuf *in)
{
    const struct rte_arp_hdr *q =
        rte_pktmbuf_mtod_offset(in, const struct rte_arp_hdr *, RTE_ETHER_HDR_LEN);
    struct rte_arp_hdr *reply;
    struct rte_mbuf *m;

    a->arp++;
    if (a->worker != 0 || in->data_len < RTE_ETHER_HDR_LEN + sizeof *q ||
        q->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) ||
        q->arp_data.arp_tip != ip_to_v4(&a->ipv4))
        return;
    m = reply_begin(a, in, RTE_ETHER_HDR_LEN + sizeof *reply);
    if (m == NULL)
        return;
    reply = rte_pktmbuf_mtod_offset(m, struct rte_arp_hdr *, RTE_ETHER_HDR_LEN);
    *reply = *q;
    reply->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
    reply->arp_data.arp_tha = q->arp_data.arp_sha;
    reply->arp_data.arp_tip = q->arp_data.arp_sip;
    memcpy(&reply->arp_data.arp_sha, a->facts->mac, RTE_ETHER_ADDR_LEN);
    reply->arp_data.arp_sip = q->arp_data.arp_tip;
    send_frame(a, m);
}

/* A solicitation is sent to a group; what goes back comes from the address that it asks for. */
static void answer_solicitation(struct io_answer *a, struct request *r)
{
    struct {
        struct nd_neighbor_advert advert;
        struct nd_opt_hdr option;
        uint8_t mac[RTE_ETHER_ADDR_LEN];
    } reply = {.option = {ND_OPT_TARGET_LINKADDR, 1}};
    const uint8_t *target =
        (const uint8_t *)payload_of(r, r->in) + offsetof(struct nd_neighbor_solicit, nd_ns_target);
    struct rte_mbuf *m;

    if (memcmp(target, a->ipv6.b, sizeof a->ipv6.b) != 0) {
        a->other++;
        return;
    }
    a->nd++;
    if (a->worker != 0 || ip_is_unspecified(&r->src))
        return;
    r->dst = a->ipv6;
    m = ip_begin(a, r, sizeof reply, sizeof reply);
    if (m == NULL)
        return;
    reply.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
    reply.advert.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
    memcpy(&reply.advert.nd_na_target, a->ipv6.b, sizeof a->ipv6.b);
    memcpy(reply.mac, a->facts->mac, sizeof reply.mac);
    memcpy(payload_of(r, m), &reply, sizeof reply);
    reply.advert.nd_na_cksum = rte_ipv6_udptcp_cksum(
        rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN), payload_of(r, m));
    memcpy(payload_of(r, m), &reply, sizeof reply);
    send_frame(a, m);
}

/* RFC 1624: the checksum changes by the type only, as the two addresses change places. */
static void write_echo(struct rte_icmp_hdr *icmp, uint8_t type)
{
    uint32_t sum = rte_be_to_cpu_16(icmp->icmp_cksum) + ((uint32_t)icmp->icmp_type << 8) +
                   (0xffff ^ (uint32_t)type << 8);

    icmp->icmp_type = type;
    sum = (sum & 0xffff) + (sum >> 16);
    icmp->icmp_cksum = rte_cpu_to_be_16((uint16_t)(sum + (sum >> 16)));
}

/* The request's payload, behind headers of our own: as a second segment where the device sends
 * several, else copied. */
static void answer_echo(struct io_answer *a, struct request *r)
{
    uint16_t data = (uint16_t)(r->payload - sizeof(struct rte_icmp_hdr));
    bool chained = (a->facts->offloads & STACK_TX_MULTI_SEGMENT) != 0 && data > 0;
    uint16_t linear = chained ? sizeof(struct rte_icmp_hdr) : r->payload;
    struct rte_mbuf *m = ip_begin(a, r, r->payload, linear);

    a->echo++;
    if (m == NULL)
        return;
    memcpy(payload_of(r, m), payload_of(r, r->in), linear);
    write_echo(payload_of(r, m), r->v6 ? ICMP6_ECHO_REPLY : RTE_IP_ICMP_ECHO_REPLY);
    if (chained) {
        rte_pktmbuf_adj(r->in, (uint16_t)(RTE_ETHER_HDR_LEN + r->header + linear));
        r->in->data_len = data;
        r->in->pkt_len = data;
        rte_pktmbuf_chain(m, r->in);
        r->in = NULL;
    }
    send_frame(a, m);
}

static void check_worker(struct io_answer *a, const struct request *r,
                         const struct rte_tcp_hdr *tcp)
{
    struct ip_endpoint remote = {r->src, rte_be_to_cpu_16(tcp->src_port)};
    struct ip_endpoint local = {r->dst, rte_be_to_cpu_16(tcp->dst_port)};

    a->tcp++;
    if (io_port_worker_of(a->port, &remote, &local) != a->worker)
        a->astray++;
}

static void write_tcp_checksum(const struct io_answer *a, struct rte_mbuf *m, bool v6)
{
    const void *ip = rte_pktmbuf_mtod_offset(m, const char *, RTE_ETHER_HDR_LEN);
    struct rte_tcp_hdr *tcp =
        rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, m->l2_len + m->l3_len);

    m->l4_len = sizeof *tcp;
    if (a->facts->offloads & STACK_TX_TCP_CHECKSUM) {
        m->ol_flags |= (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) | RTE_MBUF_F_TX_TCP_CKSUM;
        tcp->cksum =
            v6 ? rte_ipv6_phdr_cksum(ip, m->ol_flags) : rte_ipv4_phdr_cksum(ip, m->ol_flags);
    } else {
        tcp->cksum = v6 ? rte_ipv6_udptcp_cksum(ip, tcp) : rte_ipv4_udptcp_cksum(ip, tcp);
    }
}

static void refuse_tcp(struct io_answer *a, const struct request *r)
{
    const struct rte_tcp_hdr *syn = payload_of(r, r->in);
    struct rte_tcp_hdr *rst;
    struct rte_mbuf *m;

    check_worker(a, r, syn);
    if ((syn->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) != RTE_TCP_SYN_FLAG)
        return;
    m = ip_begin(a, r, sizeof *rst, sizeof *rst);
    if (m == NULL)
        return;
    rst = payload_of(r, m);
    *rst = (struct rte_tcp_hdr){
        .src_port = syn->dst_port,
        .dst_port = syn->src_port,
        .recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(syn->sent_seq) + 1),
        .data_off = sizeof *rst << 2,
        .tcp_flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG,
    };
    write_tcp_checksum(a, m, r->v6);
    send_frame(a, m);
}

static bool read_ipv4(struct request *r)
{
    const struct rte_ipv4_hdr *ip =
        rte_pktmbuf_mtod_offset(r->in, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
    unsigned len = r->in->data_len - RTE_ETHER_HDR_LEN, total;

    if (len < sizeof *ip || rte_ipv4_hdr_len(ip) != sizeof *ip)
        return false;
    total = rte_be_to_cpu_16(ip->total_length);
    if (total < sizeof *ip || total > len)
        return false;
    r->protocol = ip->next_proto_id;
    r->header = sizeof *ip;
    r->payload = (uint16_t)(total - sizeof *ip);
    r->src = ip_from_v4(ip->src_addr);
    r->dst = ip_from_v4(ip->dst_addr);
    return true;
}

static bool read_ipv6(struct request *r)
{
    const struct rte_ipv6_hdr *ip =
        rte_pktmbuf_mtod_offset(r->in, const struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN);
    unsigned len = r->in->data_len - RTE_ETHER_HDR_LEN;

    if (len < sizeof *ip || rte_be_to_cpu_16(ip->payload_len) > len - sizeof *ip)
        return false;
    r->v6 = true;
    r->protocol = ip->proto;
    r->header = sizeof *ip;
    r->payload = rte_be_to_cpu_16(ip->payload_len);
    memcpy(r->src.b, ip->src_addr, sizeof r->src.b);
    memcpy(r->dst.b, ip->dst_addr, sizeof r->dst.b);
    return true;
}

static void answer_ip(struct io_answer *a, struct request *r)
{
    uint8_t icmp = r->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    uint8_t echo = r->v6 ? ICMP6_ECHO_REQUEST : RTE_IP_ICMP_ECHO_REQUEST;
    const uint8_t *payload = payload_of(r, r->in);
    bool ours = ip_equal(&r->dst, r->v6 ? &a->ipv6 : &a->ipv4);

    if (r->v6 && r->protocol == icmp && r->payload >= sizeof(struct nd_neighbor_solicit) &&
        payload[0] == ND_NEIGHBOR_SOLICIT)
        answer_solicitation(a, r);
    else if (ours && r->protocol == icmp && r->payload >= sizeof(struct rte_icmp_hdr) &&
             payload[0] == echo)
        answer_echo(a, r);
    else if (ours && r->protocol == IPPROTO_TCP && r->payload >= sizeof(struct rte_tcp_hdr))
        refuse_tcp(a, r);
    else
        a->other++;
}

void io_answer_frame(struct io_answer *a, struct rte_mbuf *in)
{
    struct request r = {.in = in};
    uint16_t type = 0;

    if (in->data_len >= RTE_ETHER_HDR_LEN)
        type = rte_be_to_cpu_16(rte_pktmbuf_mtod(in, const struct rte_ether_hdr *)->ether_type);
    if (type == RTE_ETHER_TYPE_ARP)
        answer_arp(a, in);
    else if ((type == RTE_ETHER_TYPE_IPV4 && read_ipv4(&r)) ||
             (type == RTE_ETHER_TYPE_IPV6 && read_ipv6(&r)))
        answer_ip(a, &r);
    else
        a->other++;
    rte_pktmbuf_free(r.in);
}
