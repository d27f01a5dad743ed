/*
 * The router whose next link takes less than the first: what it says of a packet that is too large
 * for it, over IPv4 (RFC 792, RFC 1191, 4) and IPv6 (RFC 4443, 3.2). It quotes as much as it must:
 * the headers and eight bytes of TCP's over IPv4, as much as fits over IPv6.
 */
#include <assert.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "tests/sim/sim_internal.h"

#define L3          RTE_ETHER_HDR_LEN
#define QUOTE4      28
#define ICMP_HEADER 8
#define IPV6_MIN    1280
#define QUOTE6_MAX  (IPV6_MIN - 40 - ICMP_HEADER)

/* Back to where the packet came from. */
static void ethernet(uint8_t *out, const uint8_t *bytes)
{
    memcpy(out, bytes + 6, 6);
    memcpy(out + 6, bytes, 6);
    memcpy(out + 12, bytes + 12, 2);
}

static uint32_t ipv4(uint8_t *out, const uint8_t *bytes, uint16_t mtu)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(out + L3);
    uint8_t *icmp = out + L3 + 20;

    *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45, .time_to_live = 64, .next_proto_id = 1};
    ip->total_length = RTE_BE16(20 + ICMP_HEADER + QUOTE4);
    ip->src_addr = RTE_BE32(RTE_IPV4(198u, 51, 100, 1));
    memcpy(&ip->dst_addr, bytes + L3 + 12, 4);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    icmp[0] = 3; /* unreachable: fragmentation needed and DF set */
    icmp[1] = 4;
    icmp[6] = (uint8_t)(mtu >> 8);
    icmp[7] = (uint8_t)mtu;
    memcpy(icmp + ICMP_HEADER, bytes + L3, QUOTE4);
    memcpy(icmp + 2, &(uint16_t){(uint16_t)~rte_raw_cksum(icmp, ICMP_HEADER + QUOTE4)}, 2);
    return L3 + 20 + ICMP_HEADER + QUOTE4;
}

static uint32_t ipv6(uint8_t *out, const uint8_t *bytes, uint32_t len, uint16_t mtu)
{
    static const uint8_t router[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff, [15] = 1};
    struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)(out + L3);
    uint32_t quote = len - L3 < QUOTE6_MAX ? len - L3 : QUOTE6_MAX, sum;
    uint8_t *icmp = out + L3 + 40;

    *ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(0x60000000), .proto = 58, .hop_limits = 64};
    ip->payload_len = rte_cpu_to_be_16((uint16_t)(ICMP_HEADER + quote));
    memcpy(ip->src_addr, router, 16);
    memcpy(ip->dst_addr, bytes + L3 + 8, 16);
    icmp[0] = 2; /* packet too big */
    icmp[6] = (uint8_t)(mtu >> 8);
    icmp[7] = (uint8_t)mtu;
    memcpy(icmp + ICMP_HEADER, bytes + L3, quote);
    sum = (uint32_t)rte_ipv6_phdr_cksum(ip, 0) + rte_raw_cksum(icmp, ICMP_HEADER + quote);
    sum = (sum & 0xffff) + (sum >> 16);
    memcpy(icmp + 2, &(uint16_t){(uint16_t)~sum}, 2);
    return L3 + 40 + ICMP_HEADER + quote;
}

void sim_router_too_big(struct sim_port *p, const uint8_t *bytes, uint32_t len, clock_ns at)
{
    uint16_t mtu = p->path.mtu_kind == SIM_MTU_TOLD ? p->path.mtu : 0;
    uint8_t out[L3 + IPV6_MIN] = {0};

    ethernet(out, bytes);
    len = bytes[12] == 0x86 ? ipv6(out, bytes, len, mtu) : ipv4(out, bytes, mtu);
    sim_wire_schedule(p->host->sim, p->host, p->index, at, out, len);
}
