/* The Toeplitz hash against the verification suite of Microsoft's RSS specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stack/io/io_internal.h"

static const uint8_t ms_key[IO_RSS_KEY_LEN] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const struct {
    const char *src, *dst;
    uint32_t hash;
} vectors[] = {
    {"66.9.149.187:2794", "161.142.100.80:1766", 0x51ccc178},
    {"199.92.111.2:14230", "65.69.140.83:4739", 0xc626b0ea},
    {"24.19.198.95:12898", "12.22.207.184:38024", 0x5c2b394a},
    {"38.27.205.30:48228", "209.142.163.6:2217", 0xafc7327f},
    {"153.39.163.191:44251", "202.188.127.2:1303", 0x10e828a2},
    {"[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x40207d3d},
    {"[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0xdde51bbf},
    {"[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", "[fe80::200:f8ff:fe21:67cf]:38024", 0x02d1feef},
};

static unsigned tuple_of(const struct ip_endpoint *src, const struct ip_endpoint *dst, uint8_t *out)
{
    unsigned len = ip_is_v4(&src->addr) ? 4 : 16;

    memcpy(out, src->addr.b + 16 - len, len);
    memcpy(out + len, dst->addr.b + 16 - len, len);
    out[2 * len] = (uint8_t)(src->port >> 8);
    out[2 * len + 1] = (uint8_t)src->port;
    out[2 * len + 2] = (uint8_t)(dst->port >> 8);
    out[2 * len + 3] = (uint8_t)dst->port;
    return 2 * len + 4;
}

static void test_vectors(void **state)
{
    struct io_rss rss;

    (void)state;
    io_rss_init(&rss, ms_key, 3);
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct ip_endpoint src, dst;
        uint8_t tuple[IO_RSS_TUPLE];
        unsigned len;

        assert_int_equal(ip_endpoint_parse(vectors[i].src, &src), 0);
        assert_int_equal(ip_endpoint_parse(vectors[i].dst, &dst), 0);
        len = tuple_of(&src, &dst, tuple);
        assert_int_equal(io_rss_hash(&rss, tuple, len), vectors[i].hash);
        assert_int_equal(io_rss_worker(&rss, tuple, len), vectors[i].hash % 128 % 3);
    }
}

static void test_worker_of_is_the_wire_hash(void **state)
{
    struct io_port port = {.workers = 3};

    (void)state;
    io_rss_init(&port.rss, ms_key, port.workers);
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct ip_endpoint remote, local;

        assert_int_equal(ip_endpoint_parse(vectors[i].src, &remote), 0);
        assert_int_equal(ip_endpoint_parse(vectors[i].dst, &local), 0);
        assert_int_equal(io_port_worker_of(&port, &remote, &local), vectors[i].hash % 128 % 3);
    }
    port.workers = 1;
    assert_int_equal(io_port_worker_of(&port, &(struct ip_endpoint){.port = 1},
                                       &(struct ip_endpoint){.port = 2}),
                     0);
}

static void test_every_worker_has_its_share(void **state)
{
    struct io_rss rss;

    (void)state;
    for (unsigned workers = 1; workers <= IO_MAX_WORKERS; workers++) {
        unsigned share[IO_MAX_WORKERS] = {0};

        io_rss_init(&rss, ms_key, workers);
        for (unsigned i = 0; i < IO_RSS_BUCKETS; i++)
            share[rss.worker[i]]++;
        for (unsigned w = 0; w < workers; w++)
            assert_in_range(share[w], IO_RSS_BUCKETS / workers,
                            (IO_RSS_BUCKETS + workers - 1) / workers);
    }
}

static void test_what_a_device_must_offer(void **state)
{
    const struct rte_eth_dev_info good = {.hash_key_size = 40,
                                          .reta_size = 128,
                                          .flow_type_rss_offloads = RTE_ETH_RSS_NONFRAG_IPV4_TCP |
                                                                    RTE_ETH_RSS_NONFRAG_IPV6_TCP};
    struct rte_eth_dev_info info = good;

    (void)state;
    assert_true(io_rss_capable(&info, 4, 4));
    assert_false(io_rss_capable(&info, 4, 2));
    assert_false(io_rss_capable(&info, 1, 1));
    info.reta_size = 64;
    assert_false(io_rss_capable(&info, 4, 4));
    info.reta_size = 512;
    assert_true(io_rss_capable(&info, 4, 4));
    info.hash_key_size = 52;
    assert_true(io_rss_capable(&info, 4, 4));
    info.hash_key_size = 0;
    assert_false(io_rss_capable(&info, 4, 4));
    info = good;
    info.flow_type_rss_offloads = RTE_ETH_RSS_NONFRAG_IPV4_TCP;
    assert_false(io_rss_capable(&info, 4, 4));
}

static void test_long_keys_are_padded(void **state)
{
    const struct rte_eth_dev_info info = {.hash_key_size = 52,
                                          .flow_type_rss_offloads =
                                              RTE_ETH_RSS_IP | RTE_ETH_RSS_NONFRAG_IPV4_TCP};
    struct rte_eth_conf conf = {0};
    uint8_t key[IO_RSS_KEY_MAX];

    (void)state;
    memset(key, 0xff, sizeof key);
    io_rss_conf(&info, ms_key, key, &conf);
    assert_int_equal(conf.rx_adv_conf.rss_conf.rss_key_len, 52);
    assert_memory_equal(key, ms_key, IO_RSS_KEY_LEN);
    for (unsigned i = IO_RSS_KEY_LEN; i < 52; i++)
        assert_int_equal(key[i], 0);
    /* Addresses alone must not be hashed: fragments would leave their flow's worker. */
    assert_true(conf.rx_adv_conf.rss_conf.rss_hf == RTE_ETH_RSS_NONFRAG_IPV4_TCP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_worker_of_is_the_wire_hash),
        cmocka_unit_test(test_every_worker_has_its_share),
        cmocka_unit_test(test_what_a_device_must_offer),
        cmocka_unit_test(test_long_keys_are_padded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
