/*
 * Neighbour and router discovery, and listener queries, against an interface that takes router
 * advertisements in: sequences of messages, of segments to send, and of time.
 *
 * An input is a sequence of records of four bytes and a body: what it is (FUZZ_ND_* below), a byte
 * that chooses source and destination, time that passes before in units of 100 ms, and the length
 * of the body, which is the message behind its ICMPv6 checksum. Each input begins with a fresh
 * struct net: a finding needs its own bytes only.
 */
#include <assert.h>
#include <string.h>

#include "stack/net/net.h"
#include "stack/wire/wire.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

#undef assert /* in every build */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())

#define FUZZ_ND_TYPE      0x07 /* which of types[] */
#define FUZZ_ND_SEND      0x08 /* no message: a segment to one of hosts[] */
#define FUZZ_ND_FAR       0x10 /* not from the link: hop limit 254 */
#define FUZZ_ND_OWN       0x20 /* the frame has our own Ethernet source */

static const uint8_t types[8] = {133, 134, 135, 136, 137, 130, 135, 134};
static const char *const hosts[8] = {"fe80::1", "2001:db8::7",    "2001:db8::10",
                                     "::",      "2001:db8:9::5",  "fe80::2",
                                     "ff02::1", "ff02::1:ff00:10"};
static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10}, peer[6] = {2, 0, 0, 0, 0, 0x77};

struct run {
    struct net *net;
    struct stack_counters counters;
    clock_ns now;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    test_eal_init();
    return 0;
}

static void egress(void *ctx, struct rte_mbuf *m, enum egress_band band, uint8_t egress_class)
{
    struct packet p = {.m = m};

    (void)ctx;
    (void)egress_class;
    rte_mbuf_sanity_check(m, 1);
    assert(wire_parse(&p) == DROP_NONE || band == EGRESS_DATA); /* segments here are none */
    rte_pktmbuf_free(m);
}

static uint32_t room(void *ctx, uint8_t egress_class)
{
    (void)ctx;
    (void)egress_class;
    return 1;
}

static void send_segment(struct run *r, const struct ip_addr *to)
{
    struct rte_mbuf *m;
    struct net_path path;

    if (net_path_find(r->net, to, &path) < 0)
        return;
    assert(path.mtu >= 1280 && !ip_is_unspecified(&path.src));
    m = rte_pktmbuf_alloc(test_mbuf_pool());
    assert(m != NULL);
    memset(rte_pktmbuf_append(m, 20), 0, 20);
    net_send(r->net, &path, &path.src, to, WIRE_IP_PROTO_UDP, EGRESS_DATA, m, r->now);
    net_path_confirm(r->net, &path, r->now);
}

static void hear(struct run *r, const uint8_t control[3], const uint8_t *body, size_t len)
{
    const char *src = hosts[control[1] & 7], *dst = hosts[control[1] >> 3 & 7];
    uint8_t type = types[control[0] & FUZZ_ND_TYPE];
    struct test_frame f;
    struct packet p = {0};

    test_frame_ether(&f, mac, (control[0] & FUZZ_ND_OWN) != 0 ? mac : peer, WIRE_TYPE_IPV6);
    test_frame_ipv6(&f, WIRE_IP_PROTO_ICMP6, src, dst);
    if (f.b[TEST_L3 + 24] == 0xff)
        memcpy(f.b,
               (uint8_t[]){0x33, 0x33, f.b[TEST_L3 + 36], f.b[TEST_L3 + 37], f.b[TEST_L3 + 38],
                           f.b[TEST_L3 + 39]},
               6);
    f.b[TEST_L3 + 7] = type == 130 ? 1 : (control[0] & FUZZ_ND_FAR) != 0 ? 254 : 255;
    test_frame_append(&f, (uint8_t[]){type, 0, 0, 0}, 4);
    test_frame_append(&f, body, len);
    test_frame_finish(&f);
    p.m = test_mbuf_exact(f.b, f.len);
    wire_parse(&p);
    net_input(r->net, &p, 1, r->now);
}

static void run_begin(struct run *r)
{
    static const struct siphash_key key = {1, 2};
    struct stack_iface_config c = {.name = "fuzz",
                                   .mtu = 1500,
                                   .tx_pool = test_mbuf_pool(),
                                   .egress = {.enqueue = egress, .room = room},
                                   .addr_count = 1,
                                   .router_advertisements = true};

    *r = (struct run){.now = CLOCK_SEC};
    r->net = net_create(&key, &r->counters, r->now, NULL);
    assert(r->net != NULL);
    memcpy(c.mac, mac, 6);
    assert(ip_prefix_parse("2001:db8::10/64", &c.addrs[0]) == 0);
    assert(net_iface_add(r->net, &c, r->now, NULL) == 0);
}

/* Every timer on its way there, in order. */
static void pass(struct run *r, clock_ns by)
{
    clock_ns end = r->now + by;

    while (net_deadline(r->net) <= end) {
        r->now = net_deadline(r->net) > r->now ? net_deadline(r->net) : r->now;
        net_timers(r->net, r->now);
        assert(net_deadline(r->net) > r->now);
    }
    r->now = end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r;

    run_begin(&r);
    while (size >= 4) {
        size_t len = data[3] < size - 4 ? data[3] : size - 4;
        struct ip_addr to;

        pass(&r, data[2] * 100 * CLOCK_MS);
        assert(ip_parse(hosts[data[1] & 7], &to) == 0);
        if ((data[0] & FUZZ_ND_SEND) != 0)
            send_segment(&r, &to);
        else
            hear(&r, data, data + 4, len);
        assert(net_neighbour_count(r.net) <= 1024);
        data += 4 + len;
        size -= 4 + len;
    }
    net_destroy(r.net);
    assert(test_mbuf_in_use() == 0);
    return 0;
}
