#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

bool ip_is_unspecified(const struct ip_addr *a)
{
    if (ip_is_v4(a))
        return a->w[3] == 0;
    return a->q[0] == 0 && a->q[1] == 0;
}

bool ip_in_prefix(const struct ip_addr *a, const struct ip_prefix *p)
{
    unsigned bytes = p->len / 8, bits = p->len % 8;

    if (ip_is_v4(a) != (p->len >= 96 && ip_is_v4(&p->addr)))
        return false;
    if (memcmp(a->b, p->addr.b, bytes) != 0)
        return false;
    return bits == 0 || ((a->b[bytes] ^ p->addr.b[bytes]) >> (8 - bits)) == 0;
}

struct ip_prefix ip_prefix_network(const struct ip_prefix *p)
{
    struct ip_prefix net = *p;

    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = p->len > i * 8 ? p->len - i * 8 : 0;

        if (keep < 8)
            net.addr.b[i] &= (uint8_t)(0xff00u >> keep);
    }
    return net;
}

int ip_parse(const char *text, struct ip_addr *out)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = ip_from_v4(v4.s_addr);
        return 0;
    }
    return inet_pton(AF_INET6, text, out->b) == 1 ? 0 : -1;
}

/* A decimal number without sign, space or surplus digits. Returns -1 when it is none or above max.
 */
static long parse_number(const char *text, long max)
{
    char *end;
    long n;

    if (*text < '0' || *text > '9' || strlen(text) > 5 || (text[0] == '0' && text[1] != '\0'))
        return -1;
    n = strtol(text, &end, 10);
    return *end == '\0' && n <= max ? n : -1;
}

int ip_prefix_parse(const char *text, struct ip_prefix *out)
{
    char addr[IP_TEXT_MAX];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    bool v4;
    long bits;

    if (len >= sizeof addr)
        return -1;
    memcpy(addr, text, len);
    addr[len] = '\0';
    if (ip_parse(addr, &out->addr) < 0)
        return -1;
    v4 = ip_is_v4(&out->addr);
    bits = v4 ? 32 : 128;
    if (slash != NULL)
        bits = parse_number(slash + 1, bits);
    if (bits < 0)
        return -1;
    out->len = (uint8_t)(v4 ? 96 + bits : bits);
    return 0;
}

int ip_endpoint_parse(const char *text, struct ip_endpoint *out)
{
    char addr[IP_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    size_t len;
    long port;

    if (colon == NULL)
        return -1;
    len = (size_t)(colon - text);
    if (brackets) {
        if (len < 2 || text[len - 1] != ']')
            return -1;
        text++;
        len -= 2;
    }
    /* IPv6 addresses need brackets, and nothing else has them (RFC 3986, 3.2.2). */
    if ((memchr(text, ':', len) != NULL) != brackets)
        return -1;
    port = parse_number(colon + 1, 65535);
    if (len >= sizeof addr || port <= 0)
        return -1;
    memcpy(addr, text, len);
    addr[len] = '\0';
    if (ip_parse(addr, &out->addr) < 0)
        return -1;
    out->port = (uint16_t)port;
    return 0;
}

const char *ip_format(const struct ip_addr *a, char *out)
{
    if (ip_is_v4(a))
        inet_ntop(AF_INET, &a->w[3], out, IP_TEXT_MAX);
    else
        inet_ntop(AF_INET6, a->b, out, IP_TEXT_MAX);
    return out;
}

const char *ip_prefix_format(const struct ip_prefix *p, char *out)
{
    size_t n;

    ip_format(&p->addr, out);
    n = strlen(out);
    snprintf(out + n, IP_TEXT_MAX - n, "/%u",
             ip_is_v4(&p->addr) && p->len >= 96 ? p->len - 96u : p->len);
    return out;
}

const char *ip_endpoint_format(const struct ip_endpoint *e, char *out)
{
    char addr[IP_TEXT_MAX];

    ip_format(&e->addr, addr);
    snprintf(out, IP_TEXT_MAX, ip_is_v4(&e->addr) ? "%.*s:%u" : "[%.*s]:%u", IP_TEXT_MAX - 10, addr,
             e->port);
    return out;
}
