/*
 * Segment sizes: what the peer takes, bounded by what the path takes (RFC 9293, 3.7.1 and 3.7.2).
 *
 * What a path takes is known by destination (net_pmtu.c). A connection holds it in path.mtu, and
 * looks it up anew before it sends once anything has changed there. Where segments have become
 * smaller, what is in flight may have been lost for its size and for no congestion: it goes out
 * again, cut anew, and the congestion window stays as it is (RFC 1191, 6.4; RFC 8201, 5.4).
 */
#include "stack/tcp/tcp_mtu.h"

#include <rte_common.h>

#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/wire/wire.h"

/* RFC 9293 has no floor, but smaller ones would cause storms of segments. */
#define TCP_MSS_MIN 88

void tcp_mtu_set(struct tcp_conn *c, uint16_t mtu)
{
    uint16_t path;

    c->path.mtu = mtu;
    path = (uint16_t)(net_path_payload(&c->path) - WIRE_TCP_LEN);
    c->mss = c->peer_mss < path ? c->peer_mss : path;
}

void tcp_mtu_init(struct tcp_conn *c, uint16_t peer_mss)
{
    c->peer_mss = RTE_MAX(RTE_MIN(peer_mss, c->mss_max), TCP_MSS_MIN);
    tcp_mtu_set(c, c->path.mtu);
}

uint16_t tcp_mtu_offer(const struct net_path *path, uint16_t mss_max)
{
    uint16_t link = (uint16_t)(net_link_payload(path) - WIRE_TCP_LEN);

    return mss_max != 0 && mss_max < link ? mss_max : link;
}

void tcp_mtu_changed(struct tcp_conn *c, uint16_t mtu)
{
    uint32_t before = tcp_segment_size(c);

    tcp_mtu_set(c, mtu);
    if (tcp_segment_size(c) >= before || c->snd_una == c->snd_max)
        return;
    tcp_recovery_resize(c);
    tcp_conn_output(c);
}

void tcp_mtu_refresh(struct tcp_conn *c)
{
    const struct net *n = c->sock.tcp->net;
    uint16_t mtu;

    if (c->path_generation == net_pmtu_generation(n))
        return;
    c->path_generation = net_pmtu_generation(n);
    mtu = net_pmtu_of(n, &c->path, &c->remote.addr);
    if (c->mtu_high != 0)
        tcp_mtu_probe_bound(c, mtu);
    if (mtu < c->path.mtu || (mtu > c->path.mtu && c->mtu_high == 0))
        tcp_mtu_changed(c, mtu);
}

void tcp_mtu_error(struct tcp_conn *c, const struct net_error *error)
{
    uint16_t largest = RTE_MAX(c->path.mtu, c->mtu_probe);
    struct tcp *t = c->sock.tcp;

    /* A packet that is no larger than what is said to be taken was not refused for its size, and
     * one that is larger than what we send was never ours (RFC 5927, 7). */
    if (!tcp_synchronized(c) || error->length <= error->mtu || error->length > largest)
        return;
    if (net_pmtu_learn(t->net, &c->path, &c->remote.addr, error->mtu, t->now))
        tcp_mtu_refresh(c);
}
