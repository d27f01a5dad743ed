#include "stack/wire/wire_internal.h"

void wire_ether_emit(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
    memcpy(out, dst, 6);
    memcpy(out + 6, src, 6);
    wire_store16(out + 12, type);
}

void wire_ether_emit_tagged(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t vlan,
                            uint16_t type)
{
    wire_ether_emit(out, dst, src, WIRE_TYPE_VLAN);
    wire_store16(out + WIRE_ETHER_LEN, vlan);
    wire_store16(out + WIRE_ETHER_LEN + 2, type);
}
