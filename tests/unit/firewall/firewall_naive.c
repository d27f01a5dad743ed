#include "tests/unit/firewall/firewall_naive.h"

#include <stdio.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>

static uint64_t state;

void naive_seed(uint64_t seed)
{
    state = seed;
}

uint32_t naive_random(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33);
}

unsigned naive_below(unsigned limit)
{
    return naive_random() % limit;
}

/* Few values for each byte, so that prefixes of all lengths hold many addresses. */
struct ip_addr naive_addr(bool v6)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct ip_addr a = ip_from_v4(0);

    for (unsigned i = v6 ? 0 : 12; i < 16; i++)
        a.b[i] = bytes[naive_below(sizeof bytes)];
    if (v6)
        a.b[0] = 0x20;
    else
        a.b[12] = (uint8_t)(10 + naive_below(3));
    return a;
}

struct ip_prefix naive_prefix(bool v6)
{
    uint8_t len = (uint8_t)(v6 ? naive_below(129) : 96 + naive_below(33));
    struct ip_prefix p = {naive_addr(v6), len};

    return ip_prefix_network(&p);
}

bool naive_set_has(const struct naive_set *s, const struct ip_addr *a)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (ip_in_prefix(a, &s->prefixes[i]))
            return true;
    }
    return false;
}

/* ---- drawing ---- */

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
                                    IPPROTO_GRE};

static unsigned draw_origins(struct firewall_origin *out)
{
    unsigned count = naive_below(2) == 0 ? 0 : naive_below(NAIVE_LIST_MAX + 1);

    for (unsigned i = 0; i < count; i++) {
        out[i].set = naive_below(3) == 0 ? (int)naive_below(NAIVE_SETS) : -1;
        out[i].prefix = naive_prefix(naive_below(2) == 0);
    }
    return count;
}

/* Among few, or among the last few. */
static uint16_t draw_port(unsigned limit)
{
    return (uint16_t)(naive_below(6) == 0 ? UINT16_MAX - naive_below(4) : naive_below(limit));
}

static unsigned draw_ports(struct firewall_ports *out)
{
    unsigned count = naive_below(4) != 0 ? 0 : naive_below(NAIVE_LIST_MAX + 1);

    for (unsigned i = 0; i < count; i++) {
        out[i].first = draw_port(20);
        out[i].last = (uint16_t)RTE_MIN(out[i].first + naive_below(5), (unsigned)UINT16_MAX);
        if (naive_below(8) == 0)
            out[i].last = UINT16_MAX;
    }
    return count;
}

static unsigned draw_bytes(uint8_t *out, const uint8_t *from, unsigned choices, unsigned one_in)
{
    unsigned count = naive_below(one_in) != 0 ? 0 : naive_below(NAIVE_LIST_MAX + 1);

    for (unsigned i = 0; i < count; i++)
        out[i] = from[naive_below(choices)];
    return count;
}

static const uint8_t icmp_types[] = {0, 3, 8, 11, 128};

void naive_rule_draw(struct naive_rule *n, struct firewall_rule *r, unsigned index)
{
    *r = (struct firewall_rule){
        .name = n->name,
        .interfaces = naive_below(3) == 0 ? naive_below(1u << NAIVE_IFACES) : 0,
        .sources = n->sources,
        .destinations = n->destinations,
        .source_ports = n->source_ports,
        .ports = n->ports,
        .protocols = n->protocols,
        .icmp_types = n->icmp_types,
        .source_count = draw_origins(n->sources),
        .destination_count = draw_origins(n->destinations),
        .source_port_count = draw_ports(n->source_ports),
        .port_count = draw_ports(n->ports),
        .protocol_count = draw_bytes(n->protocols, protocols, sizeof protocols, 3),
        .icmp_type_count = draw_bytes(n->icmp_types, icmp_types, sizeof icmp_types, 6),
        .egress_class = (uint8_t)naive_below(4),
        .syn_cookies = naive_below(2) == 0,
    };
    snprintf(n->name, sizeof n->name, "rule %u", index);
    if (naive_below(5) == 0) {
        r->tcp_flags_set = (uint8_t)(naive_random() & TCP_SYN);
        r->tcp_flags_clear = (uint8_t)(naive_random() & (TCP_ACK | TCP_PSH));
    }
    r->action = (enum firewall_action[]){FIREWALL_ACCEPT, FIREWALL_DROP, FIREWALL_REJECT,
                                         FIREWALL_COUNT, FIREWALL_COUNT}[naive_below(5)];
}

struct packet naive_packet_draw(void)
{
    bool v6 = naive_below(3) == 0;
    struct packet p = {.drop = DROP_NONE, .kind = PACKET_OTHER};

    p.ip_protocol = protocols[naive_below(sizeof protocols)];
    p.src = naive_addr(v6);
    do
        p.dst = naive_addr(v6);
    while (ip_equal(&p.src, &p.dst));
    p.iface = (uint8_t)naive_below(NAIVE_IFACES);
    p.l3_length = (uint16_t)(20 + naive_below(1480));
    if (p.ip_protocol == IPPROTO_TCP || p.ip_protocol == IPPROTO_UDP) {
        p.sport = draw_port(25);
        p.dport = draw_port(25);
    }
    if (p.ip_protocol == IPPROTO_TCP) {
        p.kind = PACKET_TCP;
        p.tcp.flags = (uint8_t[]){TCP_SYN, TCP_ACK, TCP_SYN | TCP_ACK, TCP_ACK | TCP_PSH,
                                  TCP_RST}[naive_below(5)];
    } else if (p.ip_protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
        p.kind = PACKET_ICMP;
        p.icmp.type = icmp_types[naive_below(sizeof icmp_types)];
        p.fragment = naive_below(8) == 0;
        if (p.fragment) /* the first one, as the parser tells it */
            p.kind = PACKET_OTHER;
    }
    return p;
}

/* ---- matching ---- */

static bool origin_matches(const struct firewall_origin *list, unsigned count,
                           const struct naive_set *sets, const struct ip_addr *a)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i].set >= 0 ? naive_set_has(&sets[list[i].set], a)
                             : ip_in_prefix(a, &list[i].prefix))
            return true;
    }
    return count == 0;
}

static bool port_matches(const struct firewall_ports *list, unsigned count, const struct packet *p,
                         uint16_t port)
{
    bool has_ports = p->ip_protocol == IPPROTO_TCP || p->ip_protocol == IPPROTO_UDP;

    for (unsigned i = 0; i < count; i++) {
        if (has_ports && port >= list[i].first && port <= list[i].last)
            return true;
    }
    return count == 0;
}

static bool has_icmp_type(const struct packet *p)
{
    return p->ip_protocol == (ip_is_v4(&p->src) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

bool naive_matches(const struct firewall_rule *r, const struct naive_set *sets,
                   const struct packet *p)
{
    if (r->interfaces != 0 && (r->interfaces >> p->iface & 1) == 0)
        return false;
    if (r->protocol_count > 0 && memchr(r->protocols, p->ip_protocol, r->protocol_count) == NULL)
        return false;
    if (r->icmp_type_count > 0 &&
        (!has_icmp_type(p) || memchr(r->icmp_types, p->icmp.type, r->icmp_type_count) == NULL))
        return false;
    if ((r->tcp_flags_set | r->tcp_flags_clear) != 0 &&
        (p->kind != PACKET_TCP || (p->tcp.flags & r->tcp_flags_set) != r->tcp_flags_set ||
         (p->tcp.flags & r->tcp_flags_clear) != 0))
        return false;
    return origin_matches(r->sources, r->source_count, sets, &p->src) &&
           origin_matches(r->destinations, r->destination_count, sets, &p->dst) &&
           port_matches(r->source_ports, r->source_port_count, p, p->sport) &&
           port_matches(r->ports, r->port_count, p, p->dport);
}
