#include "stack/wire/wire_internal.h"

/* Hardware Ethernet (1), protocol IPv4, and the lengths of their addresses. */
static const uint8_t arp_fixed[6] = {0x00, 0x01, 0x08, 0x00, 6, 4};

bool wire_arp_parse(const uint8_t *data, size_t len, struct wire_arp *out)
{
    if (len < WIRE_ARP_LEN || memcmp(data, arp_fixed, sizeof arp_fixed) != 0)
        return false;
    out->operation = wire_load16(data + 6);
    memcpy(out->sender_mac, data + 8, 6);
    out->sender_ip = wire_load_addr(data + 14);
    memcpy(out->target_mac, data + 18, 6);
    out->target_ip = wire_load_addr(data + 24);
    return out->operation == WIRE_ARP_REQUEST || out->operation == WIRE_ARP_REPLY;
}

void wire_arp_emit(const struct wire_arp *a, uint8_t *out)
{
    memcpy(out, arp_fixed, sizeof arp_fixed);
    wire_store16(out + 6, a->operation);
    memcpy(out + 8, a->sender_mac, 6);
    memcpy(out + 14, &a->sender_ip, 4);
    memcpy(out + 18, a->target_mac, 6);
    memcpy(out + 24, &a->target_ip, 4);
}

enum drop_cause wire_arp_input(struct packet *p, const struct wire_frame *f)
{
    struct wire_arp arp;

    if (f->len < p->l3_offset + (uint32_t)WIRE_ARP_LEN)
        return drop_truncated;
    if (!wire_arp_parse(f->head + p->l3_offset, WIRE_ARP_LEN, &arp))
        return drop_arp_invalid;
    p->kind = PACKET_ARP;
    p->l3_length = WIRE_ARP_LEN;
    p->src = ip_from_v4(arp.sender_ip);
    p->dst = ip_from_v4(arp.target_ip);
    return DROP_NONE;
}
