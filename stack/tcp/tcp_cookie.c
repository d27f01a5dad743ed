/*
 * A cookie, from its highest bit down:
 *
 *      5 bits  keyed hash of both endpoints, the epoch and the options below
 *     18 bits  the same with the peer's initial sequence number
 *      1 bit   the epoch's lowest: which of two the hashes were made in
 *      3 bits  MSS, an index into a table
 *      1 bit   SACK permitted
 *      4 bits  window scale; 15: none offered
 *
 * The lower nine are masked by nine more of a hash, or every number we send would show what they
 * say, and sequence numbers of one peer would resemble each other (RFC 6528). The mask does not
 * depend on the epoch, so that the epoch's bit can be read before the other hashes are computed.
 *
 * Why two: the peer's first sequence number is known only where its first segment arrived, and a
 * later one may overtake that. It must not begin the connection, which would lack its first bytes;
 * nor must it be refused. So the first hash recognizes a cookie (well enough: one stale segment in
 * 32 goes without a RST while cookies are about), and the second tells whether the segment is the
 * one that a connection begins with. A guess is right once in 2^23, and wins what a SYN from a true
 * address gets for nothing.
 */
#include "stack/tcp/tcp_cookie.h"

#include <stddef.h>

#define OPTION_BITS 9
#define OPTION_MASK ((1u << OPTION_BITS) - 1)
#define FLOW_MASK   0xf8000000u
#define PEER_MASK   0x07fffe00u
#define EPOCH_BIT   0x100u
#define SACK_BIT    0x10u
#define MSS_SHIFT   5
#define WSCALE_NONE 15

/* What paths are like: the floor below which we do not go, the default, IPv6's least MTU, tunnels,
 * PPPoE, Ethernet, jumbo frames. Rounding down costs a little speed, rounding up would lose all. */
static const uint16_t mss_table[8] = {88, 536, 1220, 1360, 1400, 1440, 1460, 8960};

static unsigned mss_index(const struct packet_tcp *syn)
{
    uint16_t mss = syn->has_mss ? syn->mss : 536;
    unsigned i = sizeof mss_table / sizeof mss_table[0] - 1;

    while (i > 0 && mss_table[i] > mss)
        i--;
    return i;
}

static uint64_t hash(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                     uint32_t peer_iss, uint64_t epoch, uint32_t options)
{
    struct {
        struct ip_addr local, remote;
        uint16_t local_port, remote_port;
        uint32_t peer_iss, options;
        uint64_t epoch;
    } __attribute__((packed)) id = {flow->local.addr,
                                    flow->remote.addr,
                                    flow->local.port,
                                    flow->remote.port,
                                    peer_iss,
                                    options,
                                    epoch};

    return siphash(&id, sizeof id, key);
}

/* Epochs are small numbers: the mask's is none of them. */
static uint32_t mask_of(const struct siphash_key *key, const struct tcp_cookie_flow *flow)
{
    return (uint32_t)hash(key, flow, 0, UINT64_MAX, 0) & OPTION_MASK;
}

static uint32_t flow_proof(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                           uint64_t epoch, uint32_t options)
{
    return (uint32_t)hash(key, flow, 0, epoch, options) & FLOW_MASK;
}

/* From other bits of the hash: a peer that begins with zero must not have both alike. */
static uint32_t peer_proof(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                           uint32_t peer_iss, uint64_t epoch, uint32_t options)
{
    return (uint32_t)(hash(key, flow, peer_iss, epoch, options) >> 32) & PEER_MASK;
}

uint32_t tcp_cookie_make(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                         const struct packet_tcp *syn, clock_ns now)
{
    uint64_t epoch = now / TCP_COOKIE_EPOCH;
    uint32_t options = mss_index(syn) << MSS_SHIFT;

    options |= (epoch & 1) != 0 ? EPOCH_BIT : 0;
    options |= syn->sack_permitted ? SACK_BIT : 0;
    if (!syn->has_wscale)
        options |= WSCALE_NONE;
    else
        options |= syn->wscale < 14 ? syn->wscale : 14; /* RFC 7323, 2.3 */
    return flow_proof(key, flow, epoch, options) | peer_proof(key, flow, syn->seq, epoch, options) |
           (options ^ mask_of(key, flow));
}

/* The last epoch not after `now` with that lowest bit. */
static uint64_t epoch_of(clock_ns now, uint32_t options)
{
    uint64_t epoch = now / TCP_COOKIE_EPOCH;

    return (epoch & 1) == ((options & EPOCH_BIT) != 0) ? epoch : epoch - 1;
}

enum tcp_cookie_verdict tcp_cookie_open(const struct siphash_key *key,
                                        const struct tcp_cookie_flow *flow,
                                        const struct packet_tcp *ack, clock_ns now,
                                        struct packet_tcp *syn)
{
    uint32_t cookie = ack->ack - 1, peer_iss = ack->seq - 1;
    uint32_t options = (cookie & OPTION_MASK) ^ mask_of(key, flow);
    uint64_t epoch = epoch_of(now, options);

    if (flow_proof(key, flow, epoch, options) != (cookie & FLOW_MASK))
        return TCP_COOKIE_NONE;
    if (peer_proof(key, flow, peer_iss, epoch, options) != (cookie & PEER_MASK))
        return TCP_COOKIE_AHEAD;
    *syn = (struct packet_tcp){
        .seq = peer_iss,
        .flags = TCP_SYN,
        .window = ack->window,
        .has_mss = true,
        .mss = mss_table[options >> MSS_SHIFT & 7],
        .has_wscale = (options & 15) != WSCALE_NONE,
        .wscale = options & 15,
        .sack_permitted = (options & SACK_BIT) != 0,
        .has_timestamp = ack->has_timestamp,
        .ts_value = ack->ts_value,
    };
    if (!syn->has_wscale)
        syn->wscale = 0;
    return TCP_COOKIE_GOOD;
}
