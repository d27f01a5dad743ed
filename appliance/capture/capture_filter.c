/*
 * Which frames a capture wants. The frame is not parsed yet, and may be malformed: only what lies
 * in it is looked at, and what cannot be found does not match.
 */
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "appliance/capture/capture_internal.h"

/* The addresses of a frame, and the ports, 0 where it has none. */
struct ends {
    struct ip_endpoint from, to;
    bool tcp;
};

static uint16_t read16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static struct ip_addr read_v4(const uint8_t *p)
{
    uint32_t v4;

    memcpy(&v4, p, sizeof v4);
    return ip_from_v4(v4);
}

static void read_ports(const struct rte_mbuf *m, uint32_t offset, uint8_t protocol,
                       struct ends *out)
{
    uint8_t copy[4];
    const uint8_t *ports = rte_pktmbuf_read(m, offset, sizeof copy, copy);

    out->tcp = protocol == IPPROTO_TCP;
    if (ports == NULL || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
        return;
    out->from.port = read16(ports);
    out->to.port = read16(ports + 2);
}

static bool read_ipv4(const struct rte_mbuf *m, uint32_t offset, struct ends *out)
{
    uint8_t copy[20];
    const uint8_t *h = rte_pktmbuf_read(m, offset, sizeof copy, copy);

    if (h == NULL)
        return false;
    out->from.addr = read_v4(h + 12);
    out->to.addr = read_v4(h + 16);
    if ((read16(h + 6) & RTE_IPV4_HDR_OFFSET_MASK) == 0)
        read_ports(m, offset + (h[0] & 0x0fu) * 4, h[9], out);
    return true;
}

static bool read_ipv6(const struct rte_mbuf *m, uint32_t offset, struct ends *out)
{
    uint8_t copy[40];
    const uint8_t *h = rte_pktmbuf_read(m, offset, sizeof copy, copy);

    if (h == NULL)
        return false;
    memcpy(&out->from.addr, h + 8, 16);
    memcpy(&out->to.addr, h + 24, 16);
    read_ports(m, offset + sizeof copy, h[6], out);
    return true;
}

static bool read_arp(const struct rte_mbuf *m, uint32_t offset, struct ends *out)
{
    uint8_t copy[28];
    const uint8_t *h = rte_pktmbuf_read(m, offset, sizeof copy, copy);

    if (h == NULL)
        return false;
    out->from.addr = read_v4(h + 14);
    out->to.addr = read_v4(h + 24);
    return true;
}

static bool read_ends(const struct rte_mbuf *m, struct ends *out)
{
    uint8_t copy[18];
    uint32_t offset = 14;
    const uint8_t *h = rte_pktmbuf_read(m, 0, sizeof copy, copy);
    uint16_t type;

    *out = (struct ends){.tcp = false};
    if (h == NULL)
        return false;
    type = read16(h + 12);
    if (type == RTE_ETHER_TYPE_VLAN) {
        type = read16(h + 16);
        offset += 4;
    }
    switch (type) {
    case RTE_ETHER_TYPE_IPV4:
        return read_ipv4(m, offset, out);
    case RTE_ETHER_TYPE_IPV6:
        return read_ipv6(m, offset, out);
    case RTE_ETHER_TYPE_ARP:
        return read_arp(m, offset, out);
    default:
        return false;
    }
}

static bool same_end(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

static bool in_flow(const struct ends *e, const struct capture_flow *f)
{
    return e->tcp && ((same_end(&e->from, &f->end[0]) && same_end(&e->to, &f->end[1])) ||
                      (same_end(&e->from, &f->end[1]) && same_end(&e->to, &f->end[0])));
}

static bool in_flows(const struct ends *e, const struct capture_filter *f)
{
    for (unsigned i = 0; i < f->flow_count; i++) {
        if (in_flow(e, &f->flow[i]))
            return true;
    }
    return f->flow_count == 0;
}

bool capture_filter_match(const struct capture_filter *f, const struct rte_mbuf *m)
{
    struct ends e;

    if (!f->has_host && f->port == 0 && f->flow_count == 0)
        return true;
    if (!read_ends(m, &e))
        return false;
    if (f->has_host && !ip_equal(&e.from.addr, &f->host) && !ip_equal(&e.to.addr, &f->host))
        return false;
    if (f->port != 0 && e.from.port != f->port && e.to.port != f->port)
        return false;
    return in_flows(&e, f);
}
