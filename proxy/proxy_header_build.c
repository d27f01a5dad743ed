/* Writing PROXY headers for servers. Everything written has a bound, so the buffer always holds. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proxy/proxy_header.h"
#include "proxy/proxy_header_internal.h"

/* ALPN, authority, version, cipher and common name, the SSL TLV around three of them. */
static_assert(PP2_HEADER + PP2_SIZE_INET6 + 5 * (3 + PROXY_HEADER_TEXT_MAX) + 3 + 5 <=
                  PROXY_HEADER_BUILD_MAX,
              "every header that is built fits into its buffer");

struct writer {
    uint8_t *out;
    size_t len;
};

static void put(struct writer *w, const void *data, size_t len)
{
    assert(w->len + len <= PROXY_HEADER_BUILD_MAX);
    memcpy(w->out + w->len, data, len);
    w->len += len;
}

static void put8(struct writer *w, unsigned value)
{
    put(w, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct writer *w, size_t value)
{
    put8(w, (unsigned)(value >> 8) & 0xff);
    put8(w, (unsigned)value & 0xff);
}

static bool both_v4(const struct proxy_header_facts *facts)
{
    return ip_is_v4(&facts->source.addr) && ip_is_v4(&facts->destination.addr);
}

size_t proxy_header_build_v1(const struct proxy_header_facts *facts,
                             uint8_t out[PROXY_HEADER_BUILD_MAX])
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
    bool v4 = both_v4(facts);
    unsigned skip = v4 ? 12 : 0; /* of the mapped address */

    inet_ntop(v4 ? AF_INET : AF_INET6, facts->source.addr.b + skip, source, sizeof source);
    inet_ntop(v4 ? AF_INET : AF_INET6, facts->destination.addr.b + skip, destination,
              sizeof destination);
    return (size_t)snprintf((char *)out, PROXY_HEADER_BUILD_MAX, "PROXY %s %s %s %u %u\r\n",
                            v4 ? "TCP4" : "TCP6", source, destination, facts->source.port,
                            facts->destination.port);
}

static void put_tlv(struct writer *w, uint8_t type, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len > PROXY_HEADER_TEXT_MAX)
        return;
    put8(w, type);
    put16(w, len);
    put(w, text, len);
}

/* Returns where the length is to be written by fill_length(). */
static size_t reserve_length(struct writer *w)
{
    put16(w, 0);
    return w->len - 2;
}

static void fill_length(struct writer *w, size_t at)
{
    struct writer length = {w->out, at};

    put16(&length, w->len - at - 2);
}

static void put_tls(struct writer *w, const struct proxy_header_tls *tls)
{
    size_t length;

    put8(w, PP2_TYPE_SSL);
    length = reserve_length(w);
    put8(w, PP2_CLIENT_SSL | (tls->certificate ? PP2_CLIENT_CERT_SESS : 0) |
                (tls->certificate && !tls->resumed ? PP2_CLIENT_CERT_CONN : 0));
    put16(w, 0);
    put16(w, tls->certificate && tls->verified ? 0 : 1); /* 32 bits: zero is "verified" */
    put_tlv(w, PP2_SUBTYPE_SSL_VERSION, tls->version);
    put_tlv(w, PP2_SUBTYPE_SSL_CIPHER, tls->cipher);
    if (tls->certificate)
        put_tlv(w, PP2_SUBTYPE_SSL_CN, tls->common_name);
    fill_length(w, length);
}

static void put_addresses(struct writer *w, const struct proxy_header_facts *facts)
{
    unsigned skip = both_v4(facts) ? 12 : 0;

    put(w, facts->source.addr.b + skip, 16 - skip);
    put(w, facts->destination.addr.b + skip, 16 - skip);
    put16(w, facts->source.port);
    put16(w, facts->destination.port);
}

static size_t put_head(struct writer *w, unsigned command, unsigned family, unsigned transport)
{
    put(w, PROXY_HEADER_V2_SIGNATURE, sizeof PROXY_HEADER_V2_SIGNATURE - 1);
    put8(w, 2u << 4 | command);
    put8(w, family << 4 | transport);
    return reserve_length(w);
}

size_t proxy_header_build_v2(const struct proxy_header_facts *facts,
                             uint8_t out[PROXY_HEADER_BUILD_MAX])
{
    struct writer w = {.out = out};
    size_t length =
        put_head(&w, PP2_COMMAND_PROXY, both_v4(facts) ? PP2_FAMILY_INET : PP2_FAMILY_INET6,
                 PP2_TRANSPORT_STREAM);

    put_addresses(&w, facts);
    put_tlv(&w, PP2_TYPE_ALPN, facts->alpn);
    put_tlv(&w, PP2_TYPE_AUTHORITY, facts->authority);
    if (facts->tls != NULL)
        put_tls(&w, facts->tls);
    fill_length(&w, length);
    return w.len;
}

size_t proxy_header_build_local(uint8_t version, uint8_t out[PROXY_HEADER_BUILD_MAX])
{
    static const char unknown[] = "PROXY UNKNOWN\r\n";
    struct writer w = {.out = out};

    if (version == 1)
        put(&w, unknown, sizeof unknown - 1);
    else
        put_head(&w, PP2_COMMAND_LOCAL, 0, 0);
    return w.len;
}
