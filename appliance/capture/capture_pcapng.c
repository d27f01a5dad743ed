/*
 * pcapng (draft-ietf-opsawg-pcapng): a section header, a description of each interface, a block for
 * each frame with its direction, and at the end what the file lacks.
 *
 * DPDK's rte_pcapng is not used: it knows DPDK's ports, of which one of our interfaces may have
 * several (AF_XDP) or share one with others (VLANs), and names them by the device.
 */
#include <string.h>

#include "appliance/capture/capture_internal.h"

#define BLOCK_SECTION     0x0a0d0d0au
#define BLOCK_INTERFACE   1u
#define BLOCK_STATISTICS  5u
#define BLOCK_PACKET      6u
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINK_ETHERNET     1

#define OPTION_COMMENT    1
#define OPTION_IF_NAME    2
#define OPTION_IF_TSRESOL 9
#define OPTION_EPB_FLAGS  2
#define OPTION_SHB_APPL   4
#define OPTION_ISB_IFDROP 5

#define FLAG_INBOUND      1u
#define FLAG_OUTBOUND     2u
#define NANOSECONDS       9 /* 10^-9 */
#define OPTION_TEXT_MAX   256
#define BLOCK_MAX         1024 /* of blocks without a frame */

/* A block as it is put together. */
struct block {
    size_t len;
    uint8_t bytes[BLOCK_MAX];
};

static void put(struct block *b, const void *data, size_t len)
{
    static const uint8_t zero[4];
    size_t padding = (4 - len % 4) % 4;

    memcpy(b->bytes + b->len, data, len);
    memcpy(b->bytes + b->len + len, zero, padding);
    b->len += len + padding;
}

static void put16(struct block *b, uint16_t first, uint16_t second)
{
    uint16_t pair[2] = {first, second};

    put(b, pair, sizeof pair);
}

static void put32(struct block *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static void put_option(struct block *b, uint16_t code, const void *data, size_t len)
{
    put16(b, code, (uint16_t)len);
    put(b, data, len);
}

static void put_text(struct block *b, uint16_t code, const char *text)
{
    put_option(b, code, text, strnlen(text, OPTION_TEXT_MAX));
}

static struct block begin(uint32_t type)
{
    struct block b = {.len = 0};

    put32(&b, type);
    put32(&b, 0); /* the length, by finish() */
    return b;
}

static size_t finish(struct block *b, FILE *out)
{
    uint32_t len = (uint32_t)b->len + 4;

    memcpy(b->bytes + 4, &len, sizeof len);
    put32(b, len);
    return fwrite(b->bytes, b->len, 1, out) == 1 ? b->len : 0;
}

static size_t write_section(FILE *out, const char *comment)
{
    static const uint64_t unknown_length = UINT64_MAX;
    struct block b = begin(BLOCK_SECTION);

    put32(&b, BYTE_ORDER_MAGIC);
    put16(&b, 1, 0); /* the version */
    put(&b, &unknown_length, sizeof unknown_length);
    put_text(&b, OPTION_COMMENT, comment);
    put_text(&b, OPTION_SHB_APPL, "sluice " SLUICE_VERSION);
    put16(&b, 0, 0);
    return finish(&b, out);
}

static size_t write_interface(FILE *out, const char *name, uint32_t snaplen)
{
    static const uint8_t resolution = NANOSECONDS;
    struct block b = begin(BLOCK_INTERFACE);

    put16(&b, LINK_ETHERNET, 0);
    put32(&b, snaplen);
    put_text(&b, OPTION_IF_NAME, name);
    put_option(&b, OPTION_IF_TSRESOL, &resolution, sizeof resolution);
    put16(&b, 0, 0);
    return finish(&b, out);
}

size_t capture_pcapng_begin(FILE *out, const struct capture_config *config)
{
    size_t total = write_section(out, config->comment);

    for (unsigned i = 0; i < config->interface_count && total != 0; i++) {
        size_t len = write_interface(out, config->interface[i], config->snaplen);

        total = len != 0 ? total + len : 0;
    }
    return total;
}

size_t capture_pcapng_frame(FILE *out, const struct capture_record *record)
{
    static const uint8_t zero[4];
    const uint32_t flags = record->outgoing ? FLAG_OUTBOUND : FLAG_INBOUND;
    size_t padding = (4 - record->captured % 4) % 4;
    struct block head = begin(BLOCK_PACKET), tail = {.len = 0};
    uint32_t len;

    put32(&head, record->interface);
    put32(&head, (uint32_t)((uint64_t)record->at >> 32));
    put32(&head, (uint32_t)record->at);
    put32(&head, record->captured);
    put32(&head, record->length);
    put_option(&tail, OPTION_EPB_FLAGS, &flags, sizeof flags);
    put16(&tail, 0, 0);
    len = (uint32_t)(head.len + record->captured + padding + tail.len + 4);
    memcpy(head.bytes + 4, &len, sizeof len);
    put32(&tail, len);
    if (fwrite(head.bytes, head.len, 1, out) != 1 ||
        fwrite(record + 1, record->captured, 1, out) != 1 ||
        fwrite(zero, 1, padding, out) != padding || fwrite(tail.bytes, tail.len, 1, out) != 1)
        return 0;
    return len;
}

size_t capture_pcapng_end(FILE *out, const struct capture_config *config, uint64_t dropped)
{
    size_t total = 0;

    for (unsigned i = 0; i < config->interface_count; i++) {
        struct block b = begin(BLOCK_STATISTICS);

        put32(&b, i);
        put32(&b, 0);
        put32(&b, 0);
        /* The rings are the workers', not the interfaces': what they lack is told once. */
        dropped = i == 0 ? dropped : 0;
        put_option(&b, OPTION_ISB_IFDROP, &dropped, sizeof dropped);
        put16(&b, 0, 0);
        total += finish(&b, out);
    }
    return total;
}
