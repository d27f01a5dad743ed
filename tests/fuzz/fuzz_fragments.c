/*
 * Fragments of both families, as wire_parse() and net_fragments_input() take them.
 *
 * An input is a sequence of records of 8 bytes: kind (FUZZ_*), identification and source, offset in
 * units of 8 (two bytes), length in units of 8, bytes beyond that, protocol, time in seconds that
 * passes before. All data come from one pattern, so that whatever is put together must be that
 * pattern, except where a record asks for other bytes.
 */
#include <assert.h>
#include <string.h>

#include "stack/net/net.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_mbuf.h"

#undef assert /* in every build */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())

#define FUZZ_V6           0x01
#define FUZZ_MORE         0x02
#define FUZZ_OTHER        0x04 /* bytes that are not the pattern's */
#define FUZZ_CUT          0x08 /* the frame ends early */
#define FUZZ_LONG         0x10 /* more data than the length says: padding */

#define RECORD            8
#define BUFFERS           32
#define HEADERS_MAX       (WIRE_ETHER_LEN + 48)

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10};
static uint8_t pattern[65536 + 4096];

struct run {
    struct net *net;
    struct stack_counters counters;
    bool other; /* not all is the pattern */
    clock_ns now;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    test_eal_init();
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static void enqueue(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    (void)ctx;
    (void)band;
    (void)egress_class;
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return 64;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static size_t header_v4(uint8_t *h, const uint8_t *record, uint32_t offset, uint32_t len)
{
    static const uint8_t dst[4] = {192, 0, 2, 10};
    uint16_t sum;

    h[0] = 0x45;
    h[1] = record[1] >> 6;
    put16(h + 2, 20 + len);
    put16(h + 4, record[1] & 3);
    put16(h + 6, (offset / 8) | ((record[0] & FUZZ_MORE) != 0 ? 0x2000 : 0));
    h[8] = 64;
    h[9] = record[6];
    memcpy(h + 12, (uint8_t[]){198, 51, 100, (uint8_t)(1 + ((record[1] >> 2) & 15))}, 4);
    memcpy(h + 16, dst, 4);
    sum = (uint16_t)~wire_sum(h, 20, 0);
    memcpy(h + 10, &sum, 2);
    return 20;
}

static size_t header_v6(uint8_t *h, const uint8_t *record, uint32_t offset, uint32_t len)
{
    h[0] = 0x60;
    h[1] = (uint8_t)((record[1] >> 6) << 4);
    put16(h + 4, 8 + len);
    h[6] = 44;
    h[7] = 64;
    h[8] = 0x20;
    h[23] = (uint8_t)(1 + ((record[1] >> 2) & 15));
    memcpy(h + 24, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8}, 4);
    h[39] = 0x10;
    h[40] = record[6];
    put16(h + 42, offset | ((record[0] & FUZZ_MORE) != 0));
    h[47] = record[1] & 3;
    return 48;
}

static struct rte_mbuf *build(struct run *r, const uint8_t *record)
{
    static uint8_t frame[HEADERS_MAX + 4096];
    uint32_t offset = (uint32_t)((record[2] & 0x1f) << 8 | record[3]) * 8;
    uint32_t len = record[4] * 8u + record[5] % 8;
    bool v6 = (record[0] & FUZZ_V6) != 0;
    size_t at = WIRE_ETHER_LEN, total;

    memset(frame, 0, HEADERS_MAX);
    wire_ether_emit(frame, mac, (const uint8_t[]){2, 0, 0, 0, 0, 0x77},
                    v6 ? WIRE_TYPE_IPV6 : WIRE_TYPE_IPV4);
    at += v6 ? header_v6(frame + at, record, offset, len)
             : header_v4(frame + at, record, offset, len);
    memcpy(frame + at, pattern + offset, len);
    if ((record[0] & FUZZ_OTHER) != 0 && len > 0) {
        frame[at + record[7] % len] ^= 0x80;
        r->other = true;
    }
    total = at + len;
    if ((record[0] & FUZZ_CUT) != 0)
        total -= record[7] % total;
    else if ((record[0] & FUZZ_LONG) != 0)
        total += record[7] % 47;
    return test_mbuf_exact(frame, total > 0 ? total : 1);
}

static void check_whole(const struct run *r, const struct packet *p)
{
    static uint8_t copy[65536];
    uint32_t at = ip_is_v4(&p->src) ? p->l3_offset + 20u : p->l3_offset + 40u;
    uint32_t len = p->m->pkt_len - at;

    assert(!p->fragment && p->l3_offset + (uint32_t)p->l3_length == p->m->pkt_len);
    assert(r->other || memcmp(rte_pktmbuf_read(p->m, at, len, copy), pattern, len) == 0);
}

static void one(struct run *r, const uint8_t *record)
{
    struct packet p = {.iface = (record[0] & FUZZ_V6) != 0};

    r->now += (record[7] % 8) * CLOCK_SEC;
    net_timers(r->net, r->now);
    p.m = build(r, record);
    wire_parse(&p);
    if (net_fragments_input(r->net, &p, 1, r->now) == 1) {
        if (p.drop == DROP_NONE && p.reassembled)
            check_whole(r, &p);
        net_input(r->net, &p, 1, r->now);
    }
    assert(test_mbuf_in_use() <= BUFFERS + 64);
}

static void iface_add(struct run *r, const char *name, const char *address)
{
    struct stack_iface_config c = {.name = name,
                                   .mtu = 1500,
                                   .tx_pool = test_mbuf_pool(),
                                   .egress = {NULL, enqueue, room, NULL},
                                   .addr_count = 1};
    struct ip_prefix prefix;

    assert(ip_prefix_parse(address, &prefix) == 0);
    c.addrs[0] = prefix;
    memcpy(c.mac, mac, 6);
    assert(net_iface_add(r->net, &c, r->now, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct siphash_key key = {1, 2};
    struct run r = {.now = 100 * CLOCK_SEC};

    r.net = net_create(&key, &r.counters, r.now, NULL);
    assert(r.net != NULL && net_fragments_enable(r.net, BUFFERS, NULL, NULL, NULL) == 0);
    iface_add(&r, "v4", "192.0.2.10/24");
    iface_add(&r, "v6", "2001:db8::10/64");
    for (unsigned i = 0; i < 10; i++) {
        r.now += CLOCK_SEC;
        net_timers(r.net, r.now);
    }
    for (; size >= RECORD; data += RECORD, size -= RECORD)
        one(&r, data);
    net_destroy(r.net);
    assert(test_mbuf_in_use() == 0);
    return 0;
}
