/*
 * The messages that IPv6 stations on one link exchange: neighbour and router discovery (RFC 4861),
 * and multicast listener discovery (RFC 3810, RFC 2710). Bytes only, no state.
 */
#ifndef STACK_WIRE_WIRE_ND_H
#define STACK_WIRE_WIRE_ND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

#define WIRE_ND_HOP_LIMIT            255

#define WIRE_MLD_QUERY               130
#define WIRE_MLD_REPORT_V1           131
#define WIRE_ND_ROUTER_SOLICITATION  133
#define WIRE_ND_ROUTER_ADVERTISEMENT 134
#define WIRE_ND_SOLICITATION         135
#define WIRE_ND_ADVERTISEMENT        136
#define WIRE_ND_REDIRECT             137
#define WIRE_MLD_REPORT              143

/* ---- neighbours (RFC 4861, 4.3 and 4.4) ---- */

struct wire_nd {
    uint8_t type;                      /* WIRE_ND_SOLICITATION or WIRE_ND_ADVERTISEMENT */
    bool router, solicited, override_; /* of advertisements */
    bool has_mac; /* of the sender (source link-layer address) or the target, as the type wants */
    uint8_t mac[6];
    struct ip_addr target;
};

#define WIRE_ND_LEN 32 /* as we emit it, with the link-layer address; without it 24 */

/* `len` bytes that begin at the ICMPv6 header. Returns false where RFC 4861, 7.1 has the message
 * dropped for what it is by itself: lengths, options of length 0, a multicast target. */
bool wire_nd_parse(const uint8_t *data, size_t len, struct wire_nd *out);

/* Writes the message, checksum zero; returns its length. */
size_t wire_nd_emit(const struct wire_nd *nd, uint8_t *out);

/* ---- routers (RFC 4861, 4.1 and 4.2) ---- */

#define WIRE_ND_PREFIXES 8 /* of one advertisement; more are not looked at */

struct wire_nd_prefix {
    struct ip_prefix prefix; /* without a host's part */
    bool on_link, autonomous;
    uint32_t valid, preferred; /* seconds; UINT32_MAX: for ever */
};

struct wire_nd_router {
    uint8_t hop_limit; /* 0: not said */
    int8_t preference; /* RFC 4191: 1 high, 0 medium, -1 low */
    uint16_t lifetime; /* as a default router, seconds; 0: it is none */
    bool has_mac;
    uint8_t mac[6];
    uint32_t mtu; /* 0: not said */
    unsigned prefix_count;
    struct wire_nd_prefix prefix[WIRE_ND_PREFIXES];
};

/* As wire_nd_parse(), by RFC 4861, 6.1.2. */
bool wire_nd_router_parse(const uint8_t *data, size_t len, struct wire_nd_router *out);

#define WIRE_ND_ROUTER_SOLICITATION_LEN 16 /* with the link-layer address; without it 8 */

/* Writes a router solicitation, checksum zero, with our address where `mac` is not NULL. */
size_t wire_nd_router_solicitation_emit(const uint8_t *mac, uint8_t *out);

/* ---- groups (RFC 3810, 5) ---- */

struct wire_mld_query {
    bool v1;              /* RFC 2710: the listener is to answer likewise */
    uint32_t delay;       /* milliseconds within which to answer */
    struct ip_addr group; /* unspecified: all that are listened to */
};

bool wire_mld_query_parse(const uint8_t *data, size_t len, struct wire_mld_query *out);

/* What the report says of each group: that it is listened to, whatever the source. */
enum wire_mld_record { WIRE_MLD_IS_EXCLUDE = 2, WIRE_MLD_TO_EXCLUDE = 4 };

#define WIRE_MLD_RECORD_LEN 20
#define WIRE_MLD_ALERT_LEN  8 /* the hop-by-hop header that goes ahead, with the router alert */

/* The report's length for that many groups, and the report itself, checksum zero. */
size_t wire_mld_report_length(unsigned groups);
void wire_mld_report_emit(const struct ip_addr *groups, unsigned count, enum wire_mld_record record,
                          uint8_t *out);

/* RFC 2710: 24 bytes, for one group. */
#define WIRE_MLD_REPORT_V1_LEN 24
void wire_mld_report_v1_emit(const struct ip_addr *group, uint8_t *out);

/* The hop-by-hop header of MLD (RFC 2711), before `next_header`. */
void wire_mld_alert_emit(uint8_t next_header, uint8_t *out);

#endif
