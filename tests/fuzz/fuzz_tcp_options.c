/*
 * TCP options: parsing ends and stays inside its bytes, and what was understood, emitted again and
 * parsed again, says the same.
 */
#include <string.h>

#include "stack/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Emits what a header has room for: a SYN's options and SACK blocks never come together. */
static size_t emit(const struct packet_tcp *o, uint8_t *out)
{
    struct wire_tcp h = {
        .has_mss = o->has_mss,
        .has_wscale = o->has_wscale,
        .sack_permitted = o->sack_permitted,
        .has_timestamp = o->has_timestamp,
        .mss = o->mss,
        .wscale = o->wscale,
        .ts_value = o->ts_value,
        .ts_echo = o->ts_echo,
        .sack_count = o->sack_count,
    };

    for (unsigned i = 0; i < o->sack_count; i++) {
        h.sack[i].left = o->sack[i].left;
        h.sack[i].right = o->sack[i].right;
    }
    if (wire_tcp_length(&h) > WIRE_TCP_MAX)
        return 0;
    return wire_tcp_emit(&h, out);
}

static bool same(const struct packet_tcp *a, const struct packet_tcp *b)
{
    if (a->has_mss != b->has_mss || a->has_wscale != b->has_wscale ||
        a->sack_permitted != b->sack_permitted || a->has_timestamp != b->has_timestamp ||
        a->sack_count != b->sack_count)
        return false;
    return (!a->has_mss || a->mss == b->mss) && (!a->has_wscale || a->wscale == b->wscale) &&
           (!a->has_timestamp || (a->ts_value == b->ts_value && a->ts_echo == b->ts_echo)) &&
           memcmp(a->sack, b->sack, a->sack_count * sizeof a->sack[0]) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packet_tcp first = {0}, second = {0};
    uint8_t out[WIRE_TCP_MAX];
    size_t len;

    if (!wire_tcp_options_parse(data, size, &first))
        return 0;
    if (first.sack_count > 4 || first.wscale > 14)
        __builtin_trap();
    len = emit(&first, out);
    if (len == 0)
        return 0;
    if (!wire_tcp_options_parse(out + WIRE_TCP_LEN, len - WIRE_TCP_LEN, &second) ||
        !same(&first, &second))
        __builtin_trap();
    return 0;
}
