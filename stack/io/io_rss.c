/*
 * Receive-side scaling: the Toeplitz hash over addresses and ports (Microsoft's RSS specification)
 * and the table from hash to worker.
 *
 * The same map holds for every port: hash modulo 128, that modulo the workers. So a flow's worker
 * can be told without asking a device, and a source port chosen so that replies come back to it. A
 * device spreads flows by itself only if it can be made to follow that map exactly: one queue a
 * worker, our key, a table whose size is a multiple of 128 - and if all of it reads back as
 * written. Everything else is spread by software with the very same function.
 */
#include <string.h>

#include <rte_thash.h>

#include "stack/io/io_internal.h"

#define IO_RSS_TYPES       (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define IO_RSS_RETA_GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

void io_rss_init(struct io_rss *r, const uint8_t key[IO_RSS_KEY_LEN], unsigned workers)
{
    uint32_t aligned_key[IO_RSS_KEY_LEN / sizeof(uint32_t)];

    memcpy(aligned_key, key, IO_RSS_KEY_LEN);
    for (unsigned i = 0; i < IO_RSS_BUCKETS; i++)
        r->worker[i] = (uint16_t)(i % workers);
    for (unsigned nibble = 0; nibble < 2 * IO_RSS_TUPLE; nibble++) {
        for (uint32_t value = 0; value < 16; value++) {
            uint32_t tuple[IO_RSS_TUPLE / sizeof(uint32_t)] = {0};

            tuple[nibble / 8] = value << (28 - 4 * (nibble % 8));
            r->part[nibble][value] =
                rte_softrss(tuple, RTE_DIM(tuple), (const uint8_t *)aligned_key);
        }
    }
}

unsigned io_port_worker_of(const struct io_port *p, const struct ip_endpoint *remote,
                           const struct ip_endpoint *local)
{
    uint16_t ports[2] = {rte_cpu_to_be_16(remote->port), rte_cpu_to_be_16(local->port)};
    unsigned len = ip_is_v4(&remote->addr) ? 4 : 16;
    uint8_t tuple[IO_RSS_TUPLE];

    if (p->workers == 1)
        return 0;
    memcpy(tuple, remote->addr.b + 16 - len, len);
    memcpy(tuple + len, local->addr.b + 16 - len, len);
    memcpy(tuple + 2 * len, ports, sizeof ports);
    return io_rss_worker(&p->rss, tuple, 2 * len + 4);
}

bool io_rss_capable(const struct rte_eth_dev_info *info, unsigned workers, unsigned queues)
{
    return workers > 1 && queues == workers && info->hash_key_size >= IO_RSS_KEY_LEN &&
           info->hash_key_size <= IO_RSS_KEY_MAX && info->reta_size >= IO_RSS_BUCKETS &&
           info->reta_size <= RTE_ETH_RSS_RETA_SIZE_512 && info->reta_size % IO_RSS_BUCKETS == 0 &&
           (info->flow_type_rss_offloads & IO_RSS_TYPES) == IO_RSS_TYPES;
}

void io_rss_conf(const struct rte_eth_dev_info *info, const uint8_t key[IO_RSS_KEY_LEN],
                 uint8_t padded_key[IO_RSS_KEY_MAX], struct rte_eth_conf *conf)
{
    /* Our inputs end where the first 40 bytes of a longer key do. */
    memset(padded_key, 0, IO_RSS_KEY_MAX);
    memcpy(padded_key, key, IO_RSS_KEY_LEN);
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf.rss_key = padded_key;
    conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
    conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & IO_RSS_TYPES;
}

static int io_rss_check_key(uint16_t ethdev, const uint8_t key[IO_RSS_KEY_LEN], struct error *e)
{
    uint8_t read[IO_RSS_KEY_MAX] = {0};
    struct rte_eth_rss_conf conf = {.rss_key = read, .rss_key_len = sizeof read};
    int err = rte_eth_dev_rss_hash_conf_get(ethdev, &conf);

    if (err != 0)
        return error_set(e, "its RSS key cannot be read back: %s", rte_strerror(-err));
    if (memcmp(read, key, IO_RSS_KEY_LEN) != 0)
        return error_set(e, "it does not take our RSS key");
    if ((conf.rss_hf & IO_RSS_TYPES) != IO_RSS_TYPES)
        return error_set(e, "it does not hash TCP ports");
    return 0;
}

static int io_rss_write_table(const struct io_rss *r, uint16_t ethdev, uint16_t size,
                              struct error *e)
{
    struct rte_eth_rss_reta_entry64 want[IO_RSS_RETA_GROUPS] = {0};
    struct rte_eth_rss_reta_entry64 got[IO_RSS_RETA_GROUPS] = {0};
    int err;

    for (unsigned i = 0; i < size; i++) {
        struct rte_eth_rss_reta_entry64 *group = &want[i / RTE_ETH_RETA_GROUP_SIZE];

        group->mask = got[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
        group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = r->worker[i % IO_RSS_BUCKETS];
    }
    err = rte_eth_dev_rss_reta_update(ethdev, want, size);
    if (err == 0)
        err = rte_eth_dev_rss_reta_query(ethdev, got, size);
    if (err != 0)
        return error_set(e, "its RSS table cannot be set: %s", rte_strerror(-err));
    for (unsigned i = 0; i < (unsigned)size / RTE_ETH_RETA_GROUP_SIZE; i++) {
        if (memcmp(want[i].reta, got[i].reta, sizeof want[i].reta) != 0)
            return error_set(e, "it does not take our RSS table");
    }
    return 0;
}

int io_rss_program(const struct io_rss *r, uint16_t ethdev, const struct rte_eth_dev_info *info,
                   const uint8_t key[IO_RSS_KEY_LEN], struct error *e)
{
    if (io_rss_write_table(r, ethdev, info->reta_size, e) != 0)
        return -1;
    return io_rss_check_key(ethdev, key, e);
}
