/*
 * The device: does in software what the stack left to it (checksums, segmentation), so that what
 * reaches the wire is the same with any offloads.
 */
#include <assert.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "tests/sim/sim_internal.h"

static bool is_ipv6(const uint8_t *l3)
{
    return l3[0] >> 4 == 6;
}

/* Bytes of IP header and payload, as the header has it. */
static uint32_t ip_length(const uint8_t *l3)
{
    return is_ipv6(l3) ? 40u + (uint32_t)(l3[4] << 8 | l3[5]) : (uint32_t)(l3[2] << 8 | l3[3]);
}

static void ip_length_set(uint8_t *l3, uint32_t len)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)l3;

    if (is_ipv6(l3)) {
        ((struct rte_ipv6_hdr *)(void *)l3)->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40));
        return;
    }
    ip->total_length = rte_cpu_to_be_16((uint16_t)len);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void finish_checksums(uint8_t *frame, const struct rte_mbuf *m)
{
    uint8_t *l3 = frame + m->l2_len;

    if ((m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
        ip_length_set(l3, ip_length(l3));
    if ((m->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)) != 0) {
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(l3 + m->l3_len);
        uint32_t sum = rte_raw_cksum(tcp, ip_length(l3) - m->l3_len);

        /* the pseudo-header's sum is in the field */
        sum = (sum & 0xffff) + (sum >> 16);
        tcp->cksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    }
}

static void segment(struct sim_port *p, const struct rte_mbuf *m, const uint8_t *frame,
                    uint32_t len)
{
    uint32_t header = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
    uint8_t out[9100 + 64];

    for (uint32_t done = 0; header + done < len; done += m->tso_segsz) {
        uint32_t n = len - header - done < m->tso_segsz ? len - header - done : m->tso_segsz;
        uint8_t *l3 = out + m->l2_len;
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(l3 + m->l3_len);

        memcpy(out, frame, header);
        memcpy(out + header, frame + header + done, n);
        ip_length_set(l3, header - m->l2_len + n);
        tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + done);
        if (header + done + n < len)
            tcp->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
        tcp->cksum = 0;
        tcp->cksum = is_ipv6(l3) ? rte_ipv6_udptcp_cksum((const void *)l3, tcp)
                                 : rte_ipv4_udptcp_cksum((const void *)l3, tcp);
        sim_wire_send(p, out, header + n);
    }
}

void sim_device_send(struct sim_port *p, struct rte_mbuf *m)
{
    static uint8_t frame[70000];
    uint32_t len = m->pkt_len;
    const uint8_t *bytes = rte_pktmbuf_read(m, 0, len, frame);

    assert(len <= sizeof frame && bytes != NULL);
    assert(m->nb_segs == 1 || (p->offloads & STACK_TX_MULTI_SEGMENT) != 0);
    if (bytes != frame)
        memcpy(frame, bytes, len);
    if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
        assert((p->offloads & STACK_TX_TCP_SEGMENT) != 0);
        segment(p, m, frame, len);
    } else {
        assert(len <= (uint32_t)p->host->mtu + RTE_ETHER_HDR_LEN);
        finish_checksums(frame, m);
        sim_wire_send(p, frame, len);
    }
    rte_pktmbuf_free(m);
}
