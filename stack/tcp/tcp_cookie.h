/*
 * SYN cookies (RFC 4987, 3.6): initial sequence numbers that say what a half-open connection would
 * have remembered, so that none need be kept. Only the codec; tcp_listen.c says when.
 */
#ifndef STACK_TCP_TCP_COOKIE_H
#define STACK_TCP_TCP_COOKIE_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/siphash.h"
#include "stack/packet.h"

/* A cookie holds for at least one epoch and for less than two. */
#define TCP_COOKIE_EPOCH (30 * CLOCK_SEC)

/* The flow as the SYN has it: `remote` is its source. */
struct tcp_cookie_flow {
    struct ip_endpoint local, remote;
};

/* What answers the SYN. */
struct tcp_cookie {
    uint32_t iss;
    uint32_t ts_value; /* where the SYN has timestamps: at most 64 before `clock` */
};

/* `clock` is what our timestamp for this peer would be now. */
struct tcp_cookie tcp_cookie_make(const struct siphash_key *key, const struct tcp_cookie_flow *flow,
                                  const struct packet_tcp *syn, clock_ns now, uint32_t clock);

enum tcp_cookie_verdict {
    TCP_COOKIE_NONE,  /* the segment acknowledges no cookie that still holds */
    TCP_COOKIE_AHEAD, /* it does, but is not the first after the SYN: that one is late or lost */
    TCP_COOKIE_GOOD,
};

/*
 * Does the segment acknowledge a cookie of ours? Where it is the first one after the SYN, *syn says
 * what the cookie knows of the SYN: sequence number, window (that of *ack: the SYN's is not kept),
 * MSS, window scale, SACK; timestamps where *ack has them, as it may only when the SYN had (RFC
 * 7323, 3.2), and with them the flags that ask for ECN.
 */
enum tcp_cookie_verdict tcp_cookie_open(const struct siphash_key *key,
                                        const struct tcp_cookie_flow *flow,
                                        const struct packet_tcp *ack, clock_ns now,
                                        struct packet_tcp *syn);

#endif
