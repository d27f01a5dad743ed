#include "stack/wire/wire_internal.h"

void wire_ether_emit(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
    memcpy(out, dst, 6);
    memcpy(out + 6, src, 6);
    wire_store16(out + 12, type);
}
