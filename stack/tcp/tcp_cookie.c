/*
 * A cookie, from its highest bit down:
 *
 *    without    with timestamps
 *      5 bits     8 bits   keyed hash of both endpoints, the epoch and what the SYN said
 *     18 bits    20 bits   the same with the peer's initial sequence number
 *      1 bit      1 bit    the epoch's lowest: which of two the hashes were made in
 *      3 bits     3 bits   MSS, an index into a table
 *      1 bit        -      SACK permitted
 *      4 bits       -      window scale; 15: none offered
 *
 * A SYN with timestamps brings back the one that we answer with. Its lowest six bits then say what
 * has no room in the sequence number: window scale, SACK, ECN. It is that of the last moment whose
 * bits were these, so that the connection's clock never goes back.
 *
 * The bits under the hashes are masked by as many of another hash, or every number we send would
 * show what they say, and sequence numbers of one peer would resemble each other (RFC 6528). The
 * mask does not depend on the epoch, so that the epoch's bit can be read before the other hashes
 * are computed.
 *
 * Why two: the peer's first sequence number is known only where its first segment arrived, and a
 * later one may overtake that. It must not begin the connection, which would lack its first bytes;
 * nor must it be refused. So the first hash recognizes a cookie (well enough: one stale segment in
 * 32, or in 256, goes without a RST while cookies are about), and the second tells whether the
 * segment is the one that a connection begins with. A guess is right once in 2^23, and wins what a
 * SYN from a true address gets for nothing.
 */
#include "stack/tcp/tcp_cookie.h"

#include <stddef.h>

#define WSCALE_NONE 15
#define SAID_WSCALE 0x0fu
#define SAID_SACK   0x10u
#define SAID_ECN    0x20u
#define SAID_MASK   0x3fu
#define ECN_SETUP   (TCP_ECE | TCP_CWR) /* RFC 3168, 6.1.1 */

/* Which bits of the sequence number are what. */
struct form {
    uint32_t flow, peer, options;
    uint32_t epoch;
    unsigned mss_shift;
    uint32_t said; /* as much of it as is there */
    uint32_t hashed;
};

static const struct form forms[2] = {
    {0xf8000000, 0x07fffe00, 0x1ff, 0x100, 5, SAID_WSCALE | SAID_SACK, 0},
    {0xff000000, 0x00fffff0, 0x00f, 0x008, 0, 0, 0x80000000},
};

static const struct form *form_of(const struct packet_tcp *segment)
{
    return &forms[segment->has_timestamp];
}

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

/* What the SYN offers, in six bits. */
static uint32_t said_by(const struct packet_tcp *syn)
{
    uint32_t said = WSCALE_NONE;

    if (syn->has_wscale)
        said = syn->wscale < 14 ? syn->wscale : 14; /* RFC 7323, 2.3 */
    if (syn->sack_permitted)
        said |= SAID_SACK;
    if ((syn->flags & ECN_SETUP) == ECN_SETUP)
        said |= SAID_ECN;
    return said;
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
static uint32_t mask_of(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                        const struct form *form)
{
    return (uint32_t)hash(key, flow, 0, UINT64_MAX, 0) & form->options;
}

static uint32_t flow_proof(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                           const struct form *form, uint64_t epoch, uint32_t options)
{
    return (uint32_t)hash(key, flow, 0, epoch, options) & form->flow;
}

/* From other bits of the hash: a peer that begins with zero must not have both alike. */
static uint32_t peer_proof(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                           const struct form *form, uint32_t peer_iss, uint64_t epoch,
                           uint32_t options)
{
    return (uint32_t)(hash(key, flow, peer_iss, epoch, options) >> 32) & form->peer;
}

/* What is hashed of the options: all of them, and which form it is. */
static uint32_t hashed_options(const struct form *form, uint32_t options, uint32_t said)
{
    return form->hashed | options | (form->said == 0 ? said << 16 : 0);
}

/* The last value not after `clock` that ends in `said`. */
static uint32_t timestamp_saying(uint32_t clock, uint32_t said)
{
    uint32_t ts = (clock & ~SAID_MASK) | said;

    return (clock & SAID_MASK) < said ? ts - (SAID_MASK + 1) : ts;
}

struct tcp_cookie tcp_cookie_make(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                                  const struct packet_tcp *syn, clock_ns now, uint32_t clock)
{
    const struct form *form = form_of(syn);
    uint64_t epoch = now / TCP_COOKIE_EPOCH;
    uint32_t said = said_by(syn);
    uint32_t options = mss_index(syn) << form->mss_shift | (said & form->said);
    uint32_t hashed;

    options |= (epoch & 1) != 0 ? form->epoch : 0;
    hashed = hashed_options(form, options, said);
    return (struct tcp_cookie){
        .iss = flow_proof(key, flow, form, epoch, hashed) |
               peer_proof(key, flow, form, syn->seq, epoch, hashed) |
               (options ^ mask_of(key, flow, form)),
        .ts_value = timestamp_saying(clock, said),
    };
}

/* The last epoch not after `now` with that lowest bit. */
static uint64_t epoch_of(const struct form *form, clock_ns now, uint32_t options)
{
    uint64_t epoch = now / TCP_COOKIE_EPOCH;

    return (epoch & 1) == ((options & form->epoch) != 0) ? epoch : epoch - 1;
}

/* The SYN as the cookie remembers it. */
static struct packet_tcp syn_of(const struct packet_tcp *ack, unsigned mss, uint32_t said)
{
    struct packet_tcp syn = {
        .seq = ack->seq - 1,
        .flags = TCP_SYN,
        .window = ack->window,
        .has_mss = true,
        .mss = mss_table[mss],
        .has_wscale = (said & SAID_WSCALE) != WSCALE_NONE,
        .sack_permitted = (said & SAID_SACK) != 0,
        .has_timestamp = ack->has_timestamp,
        .ts_value = ack->ts_value,
    };

    if (syn.has_wscale)
        syn.wscale = said & SAID_WSCALE;
    if ((said & SAID_ECN) != 0)
        syn.flags |= ECN_SETUP;
    return syn;
}

enum tcp_cookie_verdict tcp_cookie_open(const struct siphash_key *key,
                                        const struct tcp_cookie_flow *flow,
                                        const struct packet_tcp *ack, clock_ns now,
                                        struct packet_tcp *syn)
{
    const struct form *form = form_of(ack);
    uint32_t cookie = ack->ack - 1, options = (cookie & form->options) ^ mask_of(key, flow, form);
    uint32_t said = form->said != 0 ? options & form->said : ack->ts_echo & SAID_MASK;
    uint32_t hashed = hashed_options(form, options, said);
    uint64_t epoch = epoch_of(form, now, options);

    if (flow_proof(key, flow, form, epoch, hashed) != (cookie & form->flow))
        return TCP_COOKIE_NONE;
    if (peer_proof(key, flow, form, ack->seq - 1, epoch, hashed) != (cookie & form->peer))
        return TCP_COOKIE_AHEAD;
    *syn = syn_of(ack, options >> form->mss_shift & 7, said);
    return TCP_COOKIE_GOOD;
}
