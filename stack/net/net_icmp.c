/*
 * ICMP (RFC 792): answers to echo, errors that we send, errors that we get. What ICMPv6 does alike
 * is here for both; net_icmp6.c has what it calls differently.
 *
 * Both kinds of answers are rate-limited, so that the stack cannot be made to reflect a flood. An
 * error that we get is somebody's claim about a packet of ours: it goes to the transport only when
 * the quoted packet came from the address that the error was sent to, and the transport holds the
 * quoted sequence number against its connection (RFC 5927).
 */
#include "stack/net/net_internal.h"

#define ECHO_PER_SECOND  1000
#define ECHO_BURST       200
#define ERROR_PER_SECOND 200
#define ERROR_BURST      50

/* An error quotes as much as fits into 576 bytes in all (RFC 1812, 4.3.2.3). */
#define ERROR_QUOTE_MAX (576 - WIRE_IPV4_LEN - WIRE_ICMP_LEN)

bool net_limit_pass(net_limit *due, clock_ns now, unsigned per_second, unsigned burst)
{
    clock_ns interval = CLOCK_SEC / per_second;
    clock_ns start = RTE_MAX(*due, now);

    if (start - now > (burst - 1) * interval)
        return false;
    *due = start + interval;
    return true;
}

/* ---- echo ---- */

/* May its bytes be overwritten? Not when others refer to them, or when they lie in foreign memory.
 */
static bool mbuf_is_ours(const struct rte_mbuf *m)
{
    return m->nb_segs == 1 && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

/* The received mbuf, cut down to the ICMP message, with nothing left of what the driver noted. */
static struct rte_mbuf *echo_reuse(struct packet *p, uint32_t len)
{
    struct rte_mbuf *m = p->m;

    p->m = NULL;
    rte_pktmbuf_adj(m, p->l4_offset);
    rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - len));
    m->ol_flags = 0;
    m->tx_offload = 0;
    m->packet_type = 0;
    m->vlan_tci = 0;
    return m;
}

/* An mbuf with `len` bytes to fill, or NULL (counted). */
static struct rte_mbuf *mbuf_alloc(struct net *n, const struct net_path *path, uint32_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(path->tx_pool);

    if (m != NULL && rte_pktmbuf_append(m, (uint16_t)len) == NULL) {
        rte_pktmbuf_free(m);
        m = NULL;
    }
    if (m == NULL)
        COUNTER_INC(n->counters->tx_no_mbuf);
    return m;
}

static struct rte_mbuf *echo_copy(struct net *n, const struct packet *p, uint32_t len,
                                  const struct net_path *path)
{
    struct rte_mbuf *m = mbuf_alloc(n, path, len);

    if (m != NULL)
        net_copy(p->m, p->l4_offset, len, rte_pktmbuf_mtod(m, void *));
    return m;
}

/* The answer comes from the address that was spoken to, unless that was a group. */
static void icmp_send(struct net *n, const struct net_path *path, const struct packet *p,
                      struct rte_mbuf *m, clock_ns now)
{
    bool v4 = ip_is_v4(&p->src);
    const struct ip_addr *src = !v4 && net_addr6_is_group(&p->dst) ? &path->src : &p->dst;

    if (v4)
        wire_icmp_checksum(m);
    else
        wire_icmp6_checksum(m, src, &p->src);
    net_send(n, path, src, &p->src, v4 ? WIRE_IP_PROTO_ICMP : WIRE_IP_PROTO_ICMP6, EGRESS_CONTROL,
             m, now);
}

void net_icmp_echo(struct net *n, struct packet *p, uint8_t reply, clock_ns now)
{
    uint32_t len = WIRE_ICMP_LEN + p->payload_length;
    struct net_path path;
    struct rte_mbuf *m;

    if (net_path_back(n, p, &path) < 0) {
        COUNTER_INC(n->counters->tx_no_route);
        return;
    }
    if (len > net_path_payload(&path) ||
        !net_limit_pass(&n->echo_limit, now, ECHO_PER_SECOND, ECHO_BURST)) {
        p->drop = drop_icmp_limited;
        return;
    }
    m = mbuf_is_ours(p->m) ? echo_reuse(p, len) : echo_copy(n, p, len, &path);
    if (m == NULL)
        return;
    wire_icmp_emit(rte_pktmbuf_mtod(m, uint8_t *), reply, 0, p->icmp.rest);
    COUNTER_INC(n->counters->icmp_echo_replies_sent);
    icmp_send(n, &path, p, m, now);
}

/* ---- errors received ---- */

static enum net_error_kind error_kind(uint8_t type, uint8_t code)
{
    if (type == WIRE_ICMP_TIME)
        return NET_ERROR_TIME;
    switch (code) {
    case WIRE_ICMP_CODE_PROTOCOL:
    case WIRE_ICMP_CODE_PORT:
        return NET_ERROR_PORT;
    case WIRE_ICMP_CODE_MTU:
        return NET_ERROR_MTU;
    default:
        return NET_ERROR_UNREACHABLE;
    }
}

bool net_error_pass(struct net *n, struct net_error *error, const struct wire_quote *quote,
                    clock_ns now)
{
    const struct net_protocol *protocol = &n->protocol[quote->protocol];

    error->ip_protocol = quote->protocol;
    error->local = (struct ip_endpoint){quote->src, quote->sport};
    error->remote = (struct ip_endpoint){quote->dst, quote->dport};
    error->seq = quote->seq;
    error->length = quote->length;
    return protocol->error != NULL && protocol->error(protocol->ctx, error, now);
}

void net_icmp_quoted(struct net *n, struct packet *p, enum net_error_kind kind, uint32_t mtu,
                     clock_ns now)
{
    uint8_t copy[60 + 8]; /* the longest IPv4 header, and 8 bytes behind it; IPv6's is shorter */
    uint32_t len = RTE_MIN(p->payload_length, (uint32_t)sizeof copy);
    struct net_error error = {.kind = kind};
    struct wire_quote quote;

    /* Of a packet in several segments nothing may be read where nothing is left. */
    if (len == 0 ||
        !wire_quote_parse(rte_pktmbuf_read(p->m, p->payload_offset, len, copy), len, &quote)) {
        p->drop = drop_icmp_invalid;
        return;
    }
    if (kind == NET_ERROR_MTU)
        error.mtu = net_pmtu_claimed(mtu, quote.length);
    if (!ip_equal(&quote.src, &p->dst) || !net_error_pass(n, &error, &quote, now)) {
        p->drop = drop_icmp_unmatched;
        return;
    }
    COUNTER_INC(n->counters->icmp_errors_received);
}

void net_icmp_input(struct net *n, struct packet *p, clock_ns now)
{
    switch (p->icmp.type) {
    case WIRE_ICMP_ECHO_REQUEST:
        net_icmp_echo(n, p, WIRE_ICMP_ECHO_REPLY, now);
        break;
    case WIRE_ICMP_UNREACHABLE:
    case WIRE_ICMP_TIME:
        net_icmp_quoted(n, p, error_kind(p->icmp.type, p->icmp.code), p->icmp.rest & UINT16_MAX,
                        now); /* RFC 1191, 4 */
        break;
    default: /* source quench and redirect among them: RFC 6633; RFC 1812, 5.2.7.2 */
        p->drop = drop_icmp_type;
        break;
    }
}

/* ---- errors sent ---- */

/* Never about an ICMP error, which could loop. Broadcasts, and fragments but the first, about which
 * there must be none either (RFC 1122, 3.2.2), do not come this far. */
static bool error_allowed(const struct packet *p)
{
    return p->ip_protocol != WIRE_IP_PROTO_ICMP || p->icmp.type == WIRE_ICMP_ECHO_REQUEST;
}

void net_icmp_tell(struct net *n, const struct packet *p, const struct net_icmp_message *told,
                   clock_ns now)
{
    uint32_t quote = RTE_MIN(p->l3_length, told->quote_max);
    struct net_path path;
    struct rte_mbuf *m;
    uint8_t *message;

    if (!net_limit_pass(&n->error_limit, now, ERROR_PER_SECOND, ERROR_BURST))
        return;
    if (net_path_back(n, p, &path) < 0) {
        COUNTER_INC(n->counters->tx_no_route);
        return;
    }
    m = mbuf_alloc(n, &path, WIRE_ICMP_LEN + quote);
    if (m == NULL)
        return;
    message = rte_pktmbuf_mtod(m, uint8_t *);
    wire_icmp_emit(message, told->type, told->code, told->rest);
    net_copy(p->m, p->l3_offset, quote, message + WIRE_ICMP_LEN);
    COUNTER_INC(n->counters->icmp_errors_sent);
    icmp_send(n, &path, p, m, now);
}

void net_icmp_error(struct net *n, const struct packet *p, uint8_t type, uint8_t code, clock_ns now)
{
    const struct net_icmp_message told = {.type = type, .code = code, .quote_max = ERROR_QUOTE_MAX};

    if (error_allowed(p))
        net_icmp_tell(n, p, &told, now);
}
