/*
 * Packetization-layer path MTU discovery (RFC 4821): finding out by trying, where nobody tells.
 *
 * A router that drops what is too large without a word, or whose word is filtered, is a black hole:
 * everything small passes, and no full segment ever does. When such a segment is lost again and
 * again, and nothing but timeouts tell, segments become smaller: in steps, until one passes (7.7).
 *
 * From there the search goes up again (7.3). A probe is one segment of new data, larger than those
 * that are known to pass, with others behind it that tell soon whether it was lost. First comes the
 * largest that is possible, for the silence may have had another reason; then the middle of what is
 * left. That a probe is lost says something of its size and nothing of congestion: what it carried
 * is sent again, and no window shrinks (7.6.2). When too little is left to be gained, the search
 * rests for ten minutes.
 *
 * path.mtu is what is known to pass, mtu_high what may: 0 while nothing is searched for.
 */
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_mtu.h"
#include "stack/tcp/tcp_recovery.h"
#include "stack/tcp/tcp_sent.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/wire/wire.h"

#define PROBE_GAIN   16              /* bytes that are worth a probe */
#define PROBE_BEHIND 4               /* segments that are to follow a probe */
#define PROBE_LOSSES 3               /* timeouts of a segment before it is held to be too large */
#define PROBE_WAIT   (5 * CLOCK_SEC) /* after a black hole was found */
#define PROBE_REST   (600 * CLOCK_SEC)

static enum stack_mtu_probing mode(const struct tcp_conn *c)
{
    return c->sock.tcp->config.mtu_probing;
}

/* What passes nearly everywhere (7.2). */
static uint16_t base_mtu(const struct tcp_conn *c)
{
    return ip_is_v4(&c->remote.addr) ? 1024 : net_pmtu_floor(&c->remote.addr);
}

/* The next smaller size to try; beneath the base there is what passes everywhere. */
static uint16_t smaller_mtu(const struct tcp_conn *c)
{
    if (c->path.mtu > 1500)
        return 1500;
    return c->path.mtu > base_mtu(c) ? base_mtu(c) : net_pmtu_floor(&c->remote.addr);
}

/* Packets of the size `mtu` carry segments of this one. */
static uint16_t mss_of(const struct tcp_conn *c, uint16_t mtu)
{
    return (uint16_t)(mtu - net_path_header(&c->path) - WIRE_TCP_LEN);
}

/* The search begins anew at `at`, as far up as the path was not said to take less, and the peer
 * would take it. */
static void search_from(struct tcp_conn *c, clock_ns at)
{
    uint32_t known = net_pmtu_of(c->sock.tcp->net, &c->path, &c->remote.addr);
    uint32_t peer = (uint32_t)c->peer_mss + WIRE_TCP_LEN + net_path_header(&c->path);

    c->mtu_high = (uint16_t)(known < peer ? known : peer);
    c->mtu_bisect = false;
    c->mtu_probe_at = (uint32_t)(at / CLOCK_SEC);
    if (c->mtu_high <= c->path.mtu)
        c->mtu_high = 0;
}

void tcp_mtu_probe_init(struct tcp_conn *c)
{
    if (mode(c) != STACK_MTU_PROBING_ALWAYS || c->path.mtu <= base_mtu(c))
        return;
    tcp_mtu_set(c, base_mtu(c));
    search_from(c, c->sock.tcp->now);
}

/* ---- probes ---- */

/* The size to try next. */
static uint16_t candidate(const struct tcp_conn *c)
{
    return c->mtu_bisect ? (uint16_t)((c->path.mtu + c->mtu_high + 1) / 2) : c->mtu_high;
}

/* Is there enough to send, and room for it? A probe may exceed the congestion window by what it is
 * larger than others: there is one at a time. */
static bool possible(const struct tcp_conn *c)
{
    uint32_t segment = tcp_segment_size(c), probe = segment + candidate(c) - c->path.mtu;
    uint32_t behind = PROBE_BEHIND * segment, sent = c->snd_max - c->snd_una;

    return (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT) &&
           tcp_send_end(c) - c->snd_max >= probe + behind && c->snd_wnd >= sent + probe &&
           c->cwnd >= probe + behind && c->cwnd >= tcp_in_flight(c) + segment;
}

bool tcp_mtu_probe_due(const struct tcp_conn *c)
{
    return c->mtu_high != 0 && c->mtu_probe == 0 &&
           c->sock.tcp->now / CLOCK_SEC >= c->mtu_probe_at && c->recovery == TCP_RECOVERY_NONE &&
           tcp_recovery_next(c) == NULL && possible(c);
}

uint16_t tcp_mtu_probe_mss(const struct tcp_conn *c)
{
    return mss_of(c, candidate(c));
}

void tcp_mtu_probe_sent(struct tcp_conn *c, uint32_t seq)
{
    c->mtu_probe = candidate(c);
    c->mtu_probe_seq = seq;
    tcp_count(c->sock.tcp, mtu_probes_sent);
}

/* What is left between the two is searched on, or it is time to rest. */
static void narrowed(struct tcp_conn *c)
{
    c->mtu_probe = 0;
    c->mtu_bisect = true;
    if (c->mtu_high < c->path.mtu + PROBE_GAIN)
        search_from(c, c->sock.tcp->now + PROBE_REST);
}

void tcp_mtu_probe_acked(struct tcp_conn *c)
{
    if (c->mtu_probe == 0 || seq_le(c->snd_una, c->mtu_probe_seq))
        return;
    tcp_mtu_set(c, c->mtu_probe);
    narrowed(c);
}

/* The probe was too large. */
static void failed(struct tcp_conn *c)
{
    tcp_count(c->sock.tcp, mtu_probes_lost);
    c->mtu_high = (uint16_t)(c->mtu_probe - 1);
    narrowed(c);
}

uint32_t tcp_mtu_probe_lost(struct tcp_conn *c)
{
    uint32_t end, segments = 0, steps = TCP_SENT_STEPS;
    struct tcp_sent *s;

    if (c->mtu_probe == 0 || seq_lt(c->mtu_probe_seq, c->snd_una))
        return 0;
    s = tcp_sent_at(c, c->mtu_probe_seq, &steps);
    if (s == NULL || s->state != TCP_SENT_LOST)
        return 0;
    /* All of it: without SACK only its first part is known to be lost. */
    end = c->mtu_probe_seq + mss_of(c, c->mtu_probe) - tcp_option_length(c);
    for (; s != NULL && seq_lt(s->seq, end); s = TAILQ_NEXT(s, link)) {
        if (s->state == TCP_SENT_IN_FLIGHT)
            tcp_sent_lose(c, s);
        segments += s->segments;
    }
    failed(c);
    return segments;
}

/* ---- a black hole ---- */

/* The packet that carries the first unacknowledged segment. */
static uint32_t head_packet(const struct tcp_conn *c)
{
    uint32_t left = c->snd_max - c->snd_una, segment = tcp_segment_size(c);

    return (left < segment ? left : segment) + tcp_option_length(c) + WIRE_TCP_LEN +
           net_path_header(&c->path);
}

void tcp_mtu_probe_timeout(struct tcp_conn *c)
{
    uint16_t mtu = smaller_mtu(c);
    bool sent; /* since the last timeout, or was there no room for it? */

    if (c->flight == NULL)
        return;
    sent = TAILQ_FIRST(&c->flight->all)->state == TCP_SENT_IN_FLIGHT;
    if (c->mtu_probe != 0 && c->mtu_probe_seq == c->snd_una)
        failed(c);
    c->mtu_probe = 0;
    if (mode(c) == STACK_MTU_PROBING_OFF || !sent || c->retries < PROBE_LOSSES ||
        head_packet(c) <= mtu)
        return;
    tcp_count(c->sock.tcp, mtu_black_holes);
    tcp_mtu_set(c, mtu);
    search_from(c, c->sock.tcp->now + PROBE_WAIT);
}

void tcp_mtu_probe_bound(struct tcp_conn *c, uint16_t mtu)
{
    if (mtu < c->mtu_high)
        c->mtu_high = mtu;
    if (c->mtu_high <= c->path.mtu)
        c->mtu_high = 0;
}
