/*
 * Internet addresses as values: IPv4 addresses are kept IPv4-mapped (RFC 4291, 2.5.5.2), so that
 * one type serves both families and a flow's key has one size.
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
    union {
        uint8_t b[16]; /* network byte order */
        uint32_t w[4];
        uint64_t q[2];
    };
};

struct ip_endpoint {
    struct ip_addr addr;
    uint16_t port; /* host byte order */
};

struct ip_prefix {
    struct ip_addr addr; /* bits beyond the length are zero, or the host's part where noted */
    uint8_t len;         /* 0 to 128; an IPv4 prefix of /n has 96 + n */
};

#define IP_TEXT_MAX 64 /* any address, endpoint or prefix as text, with its NUL */

static inline struct ip_addr ip_from_v4(uint32_t network_order)
{
    struct ip_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

    a.w[3] = network_order;
    return a;
}

static inline bool ip_is_v4(const struct ip_addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

/* The IPv4 address in network byte order; only for addresses that are IPv4. */
static inline uint32_t ip_to_v4(const struct ip_addr *a)
{
    return a->w[3];
}

static inline bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* True for 0.0.0.0 and ::. */
bool ip_is_unspecified(const struct ip_addr *a);

/* True when the address lies in the prefix; an IPv4 address is never in an IPv6 prefix. */
bool ip_in_prefix(const struct ip_addr *a, const struct ip_prefix *p);

/* Clears the host's part of a prefix. */
struct ip_prefix ip_prefix_network(const struct ip_prefix *p);

/*
 * Parse text; return 0 or -1. An address is "192.0.2.1" or "2001:db8::1"; a prefix has "/n" (where
 * it is missing, the address alone is meant: /32 or /128) and keeps the host's part as written; an
 * endpoint is "192.0.2.1:443" or "[2001:db8::1]:443" with a port from 1 to 65535.
 */
int ip_parse(const char *text, struct ip_addr *out);
int ip_prefix_parse(const char *text, struct ip_prefix *out);
int ip_endpoint_parse(const char *text, struct ip_endpoint *out);

/* Write text into out[IP_TEXT_MAX]; return out. */
const char *ip_format(const struct ip_addr *a, char *out);
const char *ip_prefix_format(const struct ip_prefix *p, char *out);
const char *ip_endpoint_format(const struct ip_endpoint *e, char *out);

#endif
