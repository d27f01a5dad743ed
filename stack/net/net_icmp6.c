/*
 * ICMPv6 (RFC 4443): which messages mean what. The rest is as with ICMP (net_icmp.c): answers are
 * rate-limited by the same limits, errors that we get are held against the quoted packet.
 */
#include "stack/net/net_internal.h"

#define CODE_UNKNOWN_NEXT 1

/* An error quotes as much as fits into the least MTU (RFC 4443, 2.4 c). */
#define ERROR_QUOTE_MAX (1280 - WIRE_IPV6_LEN - WIRE_ICMP_LEN)

static enum net_error_kind error_kind(uint8_t type, uint8_t code)
{
    switch (type) {
    case WIRE_ICMP6_TOO_BIG:
        return NET_ERROR_MTU;
    case WIRE_ICMP6_TIME:
        return NET_ERROR_TIME;
    case WIRE_ICMP6_PROBLEM:
        return code == CODE_UNKNOWN_NEXT ? NET_ERROR_PORT : NET_ERROR_UNREACHABLE;
    default:
        return code == WIRE_ICMP6_CODE_PORT ? NET_ERROR_PORT : NET_ERROR_UNREACHABLE;
    }
}

void net_icmp6_input(struct net *n, struct packet *p, clock_ns now)
{
    switch (p->icmp.type) {
    case WIRE_ICMP6_ECHO_REQUEST:
        net_icmp_echo(n, p, WIRE_ICMP6_ECHO_REPLY, now);
        break;
    case WIRE_ICMP6_UNREACHABLE:
    case WIRE_ICMP6_TOO_BIG:
    case WIRE_ICMP6_TIME:
    case WIRE_ICMP6_PROBLEM:
        net_icmp_quoted(n, p, error_kind(p->icmp.type, p->icmp.code), p->icmp.rest, now);
        break;
    default:
        p->drop = drop_icmp_type;
        break;
    }
}

/* Never about an error, nor about what was sent to a group but for an option that asks for it (RFC
 * 4443, 2.4 e), nor about fragments but the first of what never was whole. */
static bool error_allowed(const struct packet *p, uint8_t type, uint8_t code)
{
    if (p->fragment && type != WIRE_ICMP6_PROBLEM && type != WIRE_ICMP6_TIME)
        return false;
    if (net_addr6_is_group(&p->dst) &&
        (type != WIRE_ICMP6_PROBLEM || code != WIRE_ICMP6_CODE_OPTION))
        return false;
    return net_addr6_is_host(&p->src) && p->kind != PACKET_ND &&
           (p->kind != PACKET_ICMP || p->icmp.type >= WIRE_ICMP6_INFORMATIONAL);
}

void net_icmp6_error(struct net *n, const struct packet *p, uint8_t type, uint8_t code,
                     uint32_t rest, clock_ns now)
{
    const struct net_icmp_message told = {
        .type = type, .code = code, .rest = rest, .quote_max = ERROR_QUOTE_MAX};

    if (error_allowed(p, type, code))
        net_icmp_tell(n, p, &told, now);
}
