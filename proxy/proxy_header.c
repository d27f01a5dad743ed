/*
 * Parsing PROXY headers. Which version it is, or that it is none, shows within the first bytes. A
 * version 1 header is a line of text of at most 107 bytes; a version 2 header says its length in
 * its first 16 bytes and is looked into once it is there as a whole.
 *
 * A trusted peer that sends a broken header is misconfigured, and guessing at what it meant would
 * attribute its clients to somebody else: the grammar is taken literally.
 */
#include "proxy/proxy_header.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_header_internal.h"

#define V1_MAX 107 /* with CR and LF */

static enum proxy_header_status malformed(struct proxy_header *h, const char *why)
{
    h->why = why;
    return PROXY_HEADER_MALFORMED;
}

static enum proxy_header_status more(struct proxy_header *h, size_t need)
{
    h->need = need;
    return PROXY_HEADER_MORE;
}

/* ---- version 1 ---- */

/* Takes the next word of a line into `out`. Words are divided by exactly one space. Returns where
 * the next one begins, or NULL when there is none or it is too long. */
static const char *v1_word(const char *at, const char *end, char *out, size_t size)
{
    const char *stop;
    size_t len;

    if (at == NULL || at >= end)
        return NULL;
    stop = memchr(at, ' ', (size_t)(end - at));
    len = (size_t)((stop != NULL ? stop : end) - at);
    if (len == 0 || len >= size || memchr(at, '\0', len) != NULL)
        return NULL;
    memcpy(out, at, len);
    out[len] = '\0';
    return stop != NULL ? stop + 1 : end;
}

static const char *v1_address(const char *at, const char *end, bool v6, struct ip_addr *out)
{
    char text[IP_TEXT_MAX];

    at = v1_word(at, end, text, sizeof text);
    if (at == NULL || (strchr(text, ':') != NULL) != v6 || ip_parse(text, out) < 0)
        return NULL;
    return at;
}

/* Decimal, 0 to 65535, without surplus zeros. */
static const char *v1_port(const char *at, const char *end, uint16_t *out)
{
    char text[6];
    unsigned long n;

    at = v1_word(at, end, text, sizeof text);
    if (at == NULL || strspn(text, "0123456789") != strlen(text) ||
        (text[0] == '0' && text[1] != '\0'))
        return NULL;
    n = strtoul(text, NULL, 10);
    if (n > UINT16_MAX)
        return NULL;
    *out = (uint16_t)n;
    return at;
}

static enum proxy_header_status v1_endpoints(const char *at, const char *end, bool v6,
                                             struct proxy_header *h)
{
    at = v1_address(at, end, v6, &h->source.addr);
    if (at == NULL)
        return malformed(h, "source address of version 1");
    at = v1_address(at, end, v6, &h->destination.addr);
    if (at == NULL)
        return malformed(h, "destination address of version 1");
    at = v1_port(at, end, &h->source.port);
    if (at == NULL)
        return malformed(h, "source port of version 1");
    at = v1_port(at, end, &h->destination.port);
    if (at == NULL)
        return malformed(h, "destination port of version 1");
    /* A space behind the last word promises another one. */
    if (at != end || end[-1] == ' ')
        return malformed(h, "surplus text in version 1");
    return PROXY_HEADER_OK;
}

/* `line` to `end` is the header without CR and LF, behind "PROXY ". */
static enum proxy_header_status v1_line(const char *line, const char *end, struct proxy_header *h)
{
    char family[8];
    const char *at = v1_word(line, end, family, sizeof family);

    h->version = 1;
    if (at != NULL && strcmp(family, "UNKNOWN") == 0) {
        h->local = true; /* whatever follows it */
        return PROXY_HEADER_OK;
    }
    if (at != NULL && strcmp(family, "TCP4") == 0)
        return v1_endpoints(at, end, false, h);
    if (at != NULL && strcmp(family, "TCP6") == 0)
        return v1_endpoints(at, end, true, h);
    return malformed(h, "protocol of version 1: neither TCP4, TCP6 nor UNKNOWN");
}

static enum proxy_header_status v1_parse(const uint8_t *data, size_t len, struct proxy_header *h)
{
    size_t line = len < V1_MAX ? len : V1_MAX;
    const uint8_t *cr = memchr(data, '\r', line), *lf = memchr(data, '\n', line);

    if (lf != NULL && (cr == NULL || lf < cr))
        return malformed(h, "line of version 1 without CR");
    if (cr == NULL || cr == data + V1_MAX - 1)
        return line < V1_MAX ? more(h, len + 1) : malformed(h, "version 1 over 107 bytes");
    if (cr == data + len - 1)
        return more(h, len + 1);
    if (cr[1] != '\n')
        return malformed(h, "CR within version 1");
    h->length = (size_t)(cr - data) + 2;
    return v1_line((const char *)data + sizeof PROXY_HEADER_V1_SIGNATURE - 1, (const char *)cr, h);
}

/* ---- version 2 ---- */

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* CRC-32C (Castagnoli; RFC 9260, appendix A) of the header with the checksum's own bytes as zeros,
 * half a byte at a time. */
static uint32_t v2_crc(const uint8_t *data, size_t len, size_t checksum_at)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= i >= checksum_at && i < checksum_at + 4 ? 0 : data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static bool v2_crc_right(const uint8_t *data, size_t len, size_t at)
{
    uint32_t sent = (uint32_t)get16(data + at) << 16 | get16(data + at + 2);

    return v2_crc(data, len, at) == sent;
}

/* `at`: where the TLVs begin; they reach to the end of the header. */
static enum proxy_header_status v2_tlvs(const uint8_t *data, size_t at, struct proxy_header *h)
{
    while (at < h->length) {
        size_t left = h->length - at, len;

        if (left < 3)
            return malformed(h, "TLV of version 2 cut short");
        len = get16(data + at + 1);
        if (len > left - 3)
            return malformed(h, "TLV of version 2 past the end of the header");
        if (data[at] == PP2_TYPE_CRC32C) {
            if (len != 4)
                return malformed(h, "length of the CRC-32C of version 2");
            if (!v2_crc_right(data, h->length, at + 3))
                return malformed(h, "CRC-32C of version 2 is wrong");
        }
        at += 3 + len;
    }
    return PROXY_HEADER_OK;
}

static void v2_addresses4(const uint8_t *at, struct proxy_header *h)
{
    uint32_t source, destination;

    memcpy(&source, at, 4);
    memcpy(&destination, at + 4, 4);
    h->source = (struct ip_endpoint){ip_from_v4(source), get16(at + 8)};
    h->destination = (struct ip_endpoint){ip_from_v4(destination), get16(at + 10)};
}

static void v2_addresses6(const uint8_t *at, struct proxy_header *h)
{
    memcpy(h->source.addr.b, at, 16);
    memcpy(h->destination.addr.b, at + 16, 16);
    h->source.port = get16(at + 32);
    h->destination.port = get16(at + 34);
}

static enum proxy_header_status v2_proxied(const uint8_t *data, struct proxy_header *h)
{
    static const size_t sizes[] = {0, PP2_SIZE_INET, PP2_SIZE_INET6, PP2_SIZE_UNIX};
    unsigned family = data[13] >> 4, transport = data[13] & 15;

    if (family > PP2_FAMILY_UNIX || transport > PP2_TRANSPORT_DGRAM)
        return malformed(h, "address family or transport of version 2");
    if (transport == PP2_TRANSPORT_DGRAM)
        return malformed(h, "datagrams announced on a TCP connection");
    if (h->length - PP2_HEADER < sizes[family])
        return malformed(h, "version 2 too short for its addresses");
    /* "The receiver should ignore address information": a stream of an unspecified family. */
    h->local = true;
    if (transport == PP2_TRANSPORT_STREAM && family == PP2_FAMILY_INET)
        v2_addresses4(data + PP2_HEADER, h);
    else if (transport == PP2_TRANSPORT_STREAM && family == PP2_FAMILY_INET6)
        v2_addresses6(data + PP2_HEADER, h);
    else
        return v2_tlvs(data, PP2_HEADER + sizes[family], h);
    h->local = false;
    return v2_tlvs(data, PP2_HEADER + sizes[family], h);
}

static enum proxy_header_status v2_parse(const uint8_t *data, size_t len, struct proxy_header *h)
{
    if (len < PP2_HEADER)
        return more(h, PP2_HEADER);
    if (data[12] >> 4 != 2)
        return malformed(h, "version behind the signature of version 2");
    h->length = PP2_HEADER + get16(data + 14);
    if (h->length > PROXY_HEADER_MAX)
        return malformed(h, "version 2 over 4,096 bytes");
    if (len < h->length)
        return more(h, h->length);
    h->version = 2;
    switch (data[12] & 15) {
    case PP2_COMMAND_LOCAL:
        h->local = true; /* the rest of it is to be skipped */
        return PROXY_HEADER_OK;
    case PP2_COMMAND_PROXY:
        return v2_proxied(data, h);
    default:
        return malformed(h, "command of version 2: neither LOCAL nor PROXY");
    }
}

/* ---- which one ---- */

static bool begins_with(const uint8_t *data, size_t len, const char *signature, size_t size)
{
    return memcmp(data, signature, len < size ? len : size) == 0;
}

static enum proxy_header_status parse(const uint8_t *data, size_t len, struct proxy_header *out)
{
    const size_t v1 = sizeof PROXY_HEADER_V1_SIGNATURE - 1;
    const size_t v2 = sizeof PROXY_HEADER_V2_SIGNATURE - 1;

    if (len == 0)
        return more(out, 1);
    if (begins_with(data, len, PROXY_HEADER_V1_SIGNATURE, v1))
        return len < v1 ? more(out, len + 1) : v1_parse(data, len, out);
    if (begins_with(data, len, PROXY_HEADER_V2_SIGNATURE, v2))
        return len < v2 ? more(out, len + 1) : v2_parse(data, len, out);
    return PROXY_HEADER_ABSENT;
}

enum proxy_header_status proxy_header_parse(const uint8_t *data, size_t len,
                                            struct proxy_header *out)
{
    enum proxy_header_status status;

    memset(out, 0, sizeof *out);
    status = parse(data, len, out);
    if (status != PROXY_HEADER_OK)
        *out = (struct proxy_header){.why = out->why, .need = out->need};
    return status;
}
