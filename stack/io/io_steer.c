/*
 * Which worker a received frame is for. Only what decides that is read; the frame is checked by
 * whoever gets it, so a frame that makes no sense goes to worker 0 to be dropped and counted there.
 *
 *   TCP            the flow's worker
 *   ICMP error     the worker of the flow whose packet it quotes
 *   ARP, IPv6 ND   every worker: each keeps its own neighbours
 *   all else       worker 0: echo requests, and fragments, which have no ports to go by
 *
 * IPv6 extension headers are stepped over. Devices look behind them or not as they like, so that
 * their own spreading counts for nothing then.
 */
#include <string.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "stack/io/io_internal.h"

/* More in a row than the stack takes (WIRE_IPV6_EXT_COUNT). */
#define IO_STEER_EXTENSIONS 8

/* Of the low byte with the fragment's offset and its M flag. */
#define IO_STEER_FRAGMENT_RESERVED 0x06

/* A window on bytes that are really there: readers ask for lengths and get NULL beyond the end. */
struct io_steer_bytes {
    const uint8_t *at;
    unsigned len;
};

static const void *io_steer_take(struct io_steer_bytes *b, unsigned len)
{
    const uint8_t *taken = b->at;

    if (len > b->len)
        return NULL;
    b->at += len;
    b->len -= len;
    return taken;
}

/* The worker of the TCP flow between two addresses of `alen` bytes, ports as they stand in a TCP
 * header; `reversed` when the packet is one we sent. */
static unsigned io_steer_flow(const struct io_rss *r, const void *src, const void *dst,
                              unsigned alen, struct io_steer_bytes b, bool reversed)
{
    const uint8_t *ports = io_steer_take(&b, 4);
    uint8_t tuple[IO_RSS_TUPLE];

    if (ports == NULL)
        return 0;
    memcpy(tuple, reversed ? dst : src, alen);
    memcpy(tuple + alen, reversed ? src : dst, alen);
    memcpy(tuple + 2 * alen, ports + (reversed ? 2 : 0), 2);
    memcpy(tuple + 2 * alen + 2, ports + (reversed ? 0 : 2), 2);
    return io_rss_worker(r, tuple, 2 * alen + 4);
}

/* Reads an IPv4 header and steps behind its options; NULL when it is not one or is a fragment. */
static const struct rte_ipv4_hdr *io_steer_take_ipv4(struct io_steer_bytes *b)
{
    const struct rte_ipv4_hdr *ip = io_steer_take(b, sizeof *ip);

    if (ip == NULL || (ip->version_ihl >> 4) != 4 || rte_ipv4_hdr_len(ip) < sizeof *ip ||
        io_steer_take(b, rte_ipv4_hdr_len(ip) - (unsigned)sizeof *ip) == NULL)
        return NULL;
    if ((ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) !=
        0)
        return NULL;
    return ip;
}

static bool io_steer_icmp_is_error(uint8_t type)
{
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETERPROB;
}

static unsigned io_steer_icmp(const struct io_rss *r, struct io_steer_bytes b)
{
    const uint8_t *icmp = io_steer_take(&b, 8);
    const struct rte_ipv4_hdr *quoted;

    if (icmp == NULL || !io_steer_icmp_is_error(icmp[0]))
        return 0;
    quoted = io_steer_take_ipv4(&b);
    if (quoted == NULL || quoted->next_proto_id != IPPROTO_TCP)
        return 0;
    return io_steer_flow(r, &quoted->src_addr, &quoted->dst_addr, 4, b, true);
}

static unsigned io_steer_ipv4(const struct io_rss *r, struct io_steer_bytes b, unsigned self,
                              bool hashed)
{
    const struct rte_ipv4_hdr *ip = io_steer_take_ipv4(&b);

    if (ip == NULL)
        return 0;
    if (ip->next_proto_id == IPPROTO_TCP)
        return hashed ? self : io_steer_flow(r, &ip->src_addr, &ip->dst_addr, 4, b, false);
    if (ip->next_proto_id == IPPROTO_ICMP)
        return io_steer_icmp(r, b);
    return 0;
}

static unsigned io_steer_icmp6(const struct io_rss *r, struct io_steer_bytes b)
{
    const uint8_t *icmp = io_steer_take(&b, 8);
    const struct rte_ipv6_hdr *quoted;

    if (icmp == NULL)
        return 0;
    if (icmp[0] >= ND_ROUTER_SOLICIT && icmp[0] <= ND_REDIRECT)
        return IO_STEER_ALL;
    if ((icmp[0] & ICMP6_INFOMSG_MASK) != 0)
        return 0;
    quoted = io_steer_take(&b, sizeof *quoted);
    if (quoted == NULL || quoted->proto != IPPROTO_TCP)
        return 0;
    return io_steer_flow(r, quoted->src_addr, quoted->dst_addr, 16, b, true);
}

/* Steps over extension headers (RFC 8200, 4). Returns the protocol behind them, or IPPROTO_NONE for
 * a fragment, but not for one that is whole (RFC 6946), and for what makes no sense. */
static uint8_t io_steer_extensions(uint8_t next, struct io_steer_bytes *b)
{
    for (unsigned i = 0; i < IO_STEER_EXTENSIONS; i++) {
        const uint8_t *h;

        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_FRAGMENT)
            return next;
        h = io_steer_take(b, 8);
        if (h == NULL)
            return IPPROTO_NONE;
        if (next == IPPROTO_FRAGMENT) {
            if (h[2] != 0 || (h[3] & ~IO_STEER_FRAGMENT_RESERVED) != 0)
                return IPPROTO_NONE;
        } else if (io_steer_take(b, h[1] * 8u) == NULL) {
            return IPPROTO_NONE;
        }
        next = h[0];
    }
    return IPPROTO_NONE;
}

static unsigned io_steer_ipv6(const struct io_rss *r, struct io_steer_bytes b, unsigned self,
                              bool hashed)
{
    const struct rte_ipv6_hdr *ip = io_steer_take(&b, sizeof *ip);
    uint8_t protocol;

    if (ip == NULL)
        return 0;
    if (ip->proto == IPPROTO_TCP && hashed)
        return self;
    protocol = io_steer_extensions(ip->proto, &b);
    if (protocol == IPPROTO_TCP)
        return io_steer_flow(r, ip->src_addr, ip->dst_addr, 16, b, false);
    if (protocol == IPPROTO_ICMPV6)
        return io_steer_icmp6(r, b);
    return 0;
}

unsigned io_steer(const struct io_rss *r, const struct rte_mbuf *m, unsigned self, bool hashed)
{
    struct io_steer_bytes b = {rte_pktmbuf_mtod(m, const uint8_t *), m->data_len};
    const struct rte_ether_hdr *eth = io_steer_take(&b, sizeof *eth);
    const struct rte_vlan_hdr *tag;
    uint16_t type;

    if (eth == NULL)
        return 0;
    type = eth->ether_type;
    if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)) {
        tag = io_steer_take(&b, sizeof *tag);
        if (tag == NULL)
            return 0;
        type = tag->eth_proto;
    }
    switch (rte_be_to_cpu_16(type)) {
    case RTE_ETHER_TYPE_ARP:
        return IO_STEER_ALL;
    case RTE_ETHER_TYPE_IPV4:
        return io_steer_ipv4(r, b, self, hashed);
    case RTE_ETHER_TYPE_IPV6:
        return io_steer_ipv6(r, b, self, hashed);
    default:
        return 0;
    }
}
