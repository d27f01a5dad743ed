/*
 * Neighbour and router discovery (RFC 4861), multicast listener discovery (RFC 3810).
 *
 * Options have a length of their own, in units of eight bytes. One of length 0 would never end and
 * makes the whole message invalid (RFC 4861, 4.6); one that reaches beyond the message does so,
 * too. Options that we do not know are skipped.
 */
#include "stack/wire/wire_nd.h"

#include "stack/wire/wire_internal.h"

#define ND_MIN     24
#define ROUTER_MIN 16
#define QUERY_V1   24
#define QUERY_MIN  28

enum { OPTION_SOURCE_MAC = 1, OPTION_TARGET_MAC = 2, OPTION_PREFIX = 3, OPTION_MTU = 5 };

#define FLAG_ROUTER       0x80
#define FLAG_SOLICITED    0x40
#define FLAG_OVERRIDE     0x20
#define PREFIX_ON_LINK    0x80
#define PREFIX_AUTONOMOUS 0x40
#define PREFIX_OPTION_LEN 32

/* Steps to the option at *at; sets its length. Returns false at the end, and when it is malformed,
 * which *ok tells. */
static bool option_next(const uint8_t *data, size_t len, size_t *at, size_t *size, bool *ok)
{
    *at += *size;
    if (*at == len)
        return false;
    *ok = len - *at >= 8;
    if (!*ok)
        return false;
    *size = data[*at + 1] * 8u;
    *ok = *size != 0 && *size <= len - *at;
    return *ok;
}

/* The link-layer address of an option of the wanted kind, where there is one. */
static bool mac_option(const uint8_t *option, size_t size, uint8_t kind, uint8_t mac[6])
{
    if (option[0] != kind || size != 8)
        return false;
    memcpy(mac, option + 2, 6);
    return true;
}

bool wire_nd_parse(const uint8_t *data, size_t len, struct wire_nd *out)
{
    size_t at = ND_MIN, size = 0;
    uint8_t kind;
    bool ok = true;

    memset(out, 0, sizeof *out);
    if (len < ND_MIN || (data[0] != WIRE_ND_SOLICITATION && data[0] != WIRE_ND_ADVERTISEMENT))
        return false;
    out->type = data[0];
    if (out->type == WIRE_ND_ADVERTISEMENT) {
        out->router = (data[4] & FLAG_ROUTER) != 0;
        out->solicited = (data[4] & FLAG_SOLICITED) != 0;
        out->override_ = (data[4] & FLAG_OVERRIDE) != 0;
    }
    out->target = wire_load_addr6(data + 8);
    if (out->target.b[0] == 0xff || ip_is_v4(&out->target) || ip_is_unspecified(&out->target))
        return false;
    kind = out->type == WIRE_ND_SOLICITATION ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC;
    while (option_next(data, len, &at, &size, &ok))
        out->has_mac |= mac_option(data + at, size, kind, out->mac);
    return ok;
}

/* Writes a link-layer address option where there is an address; returns its length. */
static size_t mac_emit(uint8_t kind, const uint8_t *mac, uint8_t *out)
{
    if (mac == NULL)
        return 0;
    out[0] = kind;
    out[1] = 1;
    memcpy(out + 2, mac, 6);
    return 8;
}

size_t wire_nd_emit(const struct wire_nd *nd, uint8_t *out)
{
    bool asks = nd->type == WIRE_ND_SOLICITATION;

    memset(out, 0, ND_MIN);
    out[0] = nd->type;
    if (!asks)
        out[4] = (uint8_t)((nd->router ? FLAG_ROUTER : 0) | (nd->solicited ? FLAG_SOLICITED : 0) |
                           (nd->override_ ? FLAG_OVERRIDE : 0));
    memcpy(out + 8, nd->target.b, 16);
    return ND_MIN + mac_emit(asks ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC,
                             nd->has_mac ? nd->mac : NULL, out + ND_MIN);
}

/* ---- routers ---- */

/* RFC 4191, 2.1 and 2.2: two bits; the reserved value counts as medium. */
static int8_t preference(uint8_t flags)
{
    switch (flags >> 3 & 3) {
    case 1:
        return 1;
    case 3:
        return -1;
    default:
        return 0;
    }
}

static void prefix_option(const uint8_t *o, struct wire_nd_router *out)
{
    struct wire_nd_prefix *p = &out->prefix[out->prefix_count];

    if (out->prefix_count == WIRE_ND_PREFIXES || o[2] > 128)
        return;
    p->prefix.addr = wire_load_addr6(o + 16);
    p->prefix.len = o[2];
    p->prefix = ip_prefix_network(&p->prefix); /* bits beyond the length mean nothing (4.6.2) */
    p->on_link = (o[3] & PREFIX_ON_LINK) != 0;
    p->autonomous = (o[3] & PREFIX_AUTONOMOUS) != 0;
    p->valid = wire_load32(o + 4);
    p->preferred = wire_load32(o + 8);
    if (p->preferred <= p->valid) /* else the option is to be ignored (RFC 4862, 5.5.3 c) */
        out->prefix_count++;
}

bool wire_nd_router_parse(const uint8_t *data, size_t len, struct wire_nd_router *out)
{
    size_t at = ROUTER_MIN, size = 0;
    bool ok = true;

    memset(out, 0, sizeof *out);
    if (len < ROUTER_MIN)
        return false;
    out->hop_limit = data[4];
    out->preference = preference(data[5]);
    out->lifetime = wire_load16(data + 6);
    while (option_next(data, len, &at, &size, &ok)) {
        const uint8_t *o = data + at;

        out->has_mac |= mac_option(o, size, OPTION_SOURCE_MAC, out->mac);
        if (o[0] == OPTION_MTU && size == 8)
            out->mtu = wire_load32(o + 4);
        if (o[0] == OPTION_PREFIX && size == PREFIX_OPTION_LEN)
            prefix_option(o, out);
    }
    return ok;
}

size_t wire_nd_router_solicitation_emit(const uint8_t *mac, uint8_t *out)
{
    memset(out, 0, 8);
    out[0] = WIRE_ND_ROUTER_SOLICITATION;
    return 8 + mac_emit(OPTION_SOURCE_MAC, mac, out + 8);
}

/* ---- groups ---- */

/* Version 2 has larger ones as floating point (RFC 3810, 5.1.3). */
static uint32_t response_delay(uint16_t code)
{
    if (code < 0x8000)
        return code;
    return (uint32_t)((code & 0x0fff) | 0x1000) << ((code >> 12 & 7) + 3);
}

bool wire_mld_query_parse(const uint8_t *data, size_t len, struct wire_mld_query *out)
{
    if (len < QUERY_V1 || (len > QUERY_V1 && len < QUERY_MIN) || data[0] != WIRE_MLD_QUERY)
        return false;
    out->v1 = len == QUERY_V1;
    out->delay = out->v1 ? wire_load16(data + 4) : response_delay(wire_load16(data + 4));
    out->group = wire_load_addr6(data + 8);
    return true;
}

size_t wire_mld_report_length(unsigned groups)
{
    return 8 + groups * (size_t)WIRE_MLD_RECORD_LEN;
}

void wire_mld_report_emit(const struct ip_addr *groups, unsigned count, enum wire_mld_record record,
                          uint8_t *out)
{
    memset(out, 0, wire_mld_report_length(count));
    out[0] = WIRE_MLD_REPORT;
    wire_store16(out + 6, (uint16_t)count);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *r = out + 8 + i * (size_t)WIRE_MLD_RECORD_LEN;

        r[0] = (uint8_t)record;
        memcpy(r + 4, groups[i].b, 16);
    }
}

void wire_mld_report_v1_emit(const struct ip_addr *group, uint8_t *out)
{
    memset(out, 0, WIRE_MLD_REPORT_V1_LEN);
    out[0] = WIRE_MLD_REPORT_V1;
    memcpy(out + 8, group->b, 16);
}

void wire_mld_alert_emit(uint8_t next_header, uint8_t *out)
{
    static const uint8_t options[6] = {5, 2, 0, 0, 1, 0}; /* router alert: MLD; PadN of two */

    out[0] = next_header;
    out[1] = 0;
    memcpy(out + 2, options, sizeof options);
}
