/*
 * Answers to segments that belong to no connection: made from the segment alone, and forgotten.
 * They go in the egress class that the firewall gave the segment.
 */
#include <rte_mbuf.h>

#include "stack/tcp/tcp_cookie.h"
#include "stack/tcp/tcp_ecn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_isn.h"
#include "stack/tcp/tcp_output.h"
#include "stack/wire/wire.h"

static void reply_send(struct tcp *t, const struct packet *p, const struct net_path *path,
                       struct wire_tcp *h)
{
    const struct ip_endpoint local = {p->dst, p->dport}, remote = {p->src, p->sport};
    struct net_path labelled = *path;
    bool offload = (path->offloads & (STACK_TX_TCP_CHECKSUM | STACK_TX_TCP_SEGMENT)) != 0;
    struct rte_mbuf *m = rte_pktmbuf_alloc(path->tx_pool);
    size_t len = wire_tcp_length(h);

    if (m == NULL) {
        tcp_count(t, tx_no_mbuf);
        return;
    }
    h->sport = p->dport;
    h->dport = p->sport;
    wire_tcp_emit(h, (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len));
    if (offload) {
        m->l4_len = (uint8_t)len;
        m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    }
    wire_tcp_checksum(m, &p->dst, &p->src, offload, false);
    tcp_count(t, tcp_segments_sent);
    net_path_label(t->net, &labelled, &local, &remote);
    net_send(t->net, &labelled, &p->dst, &p->src, WIRE_IP_PROTO_TCP, EGRESS_CONTROL, m, t->now);
}

void tcp_reply_reset(struct tcp *t, const struct packet *p)
{
    struct wire_tcp h = {.flags = TCP_RST};
    struct net_path path;

    if (net_path_find(t->net, &p->src, &path) < 0) {
        tcp_count(t, tx_no_route);
        return;
    }
    path.egress_class = p->label.egress_class;
    if ((p->tcp.flags & TCP_ACK) != 0) {
        h.seq = p->tcp.ack;
    } else {
        h.flags |= TCP_ACK;
        h.ack = p->tcp.seq + p->payload_length + ((p->tcp.flags & TCP_SYN) != 0) +
                ((p->tcp.flags & TCP_FIN) != 0);
    }
    tcp_count(t, tcp_resets_sent);
    reply_send(t, p, &path, &h);
}

void tcp_reply_cookie(struct tcp *t, const struct packet *p, const struct net_path *path,
                      uint16_t window, uint16_t mss)
{
    const struct tcp_cookie_flow flow = {{p->dst, p->dport}, {p->src, p->sport}};
    uint32_t clock =
        (uint32_t)(t->now / CLOCK_MS) + tcp_ts_offset(t, &flow.local.addr, &flow.remote.addr);
    struct packet_tcp syn = p->tcp;
    struct tcp_cookie cookie;
    struct wire_tcp h = {
        .ack = p->tcp.seq + 1,
        .flags = TCP_SYN | TCP_ACK,
        .window = window,
        .has_mss = true,
        .mss = mss,
        .has_wscale = p->tcp.has_wscale,
        .wscale = t->config.window_scale,
        .sack_permitted = p->tcp.sack_permitted && !t->config.sack_off,
        .has_timestamp = p->tcp.has_timestamp && !t->config.timestamps_off,
    };

    syn.has_timestamp = h.has_timestamp;
    if (!h.has_timestamp || !tcp_ecn_offered(t, p))
        syn.flags = TCP_SYN; /* what cannot be remembered, or was not agreed to */
    else
        h.flags |= TCP_ECE;
    cookie = tcp_cookie_make(&t->cookie_key, &flow, &syn, t->now, clock);
    h.seq = cookie.iss;
    if (h.has_timestamp) {
        h.ts_value = cookie.ts_value;
        h.ts_echo = p->tcp.ts_value;
    }
    tcp_count(t, tcp_cookies_sent);
    reply_send(t, p, path, &h);
}
