#include "tests/unit/support/test_mbuf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>

static struct rte_mempool *pool;

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "test_mbuf: %s failed\n", what);
    abort();
}

void test_eal_init(void)
{
    static char words[][20] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
                               "-m",   "128",       "-l",       "0",           "--log-level=error"};
    char *args[sizeof words / sizeof words[0]]; /* EAL rewrites it */

    if (pool != NULL)
        return;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        args[i] = words[i];
    require(rte_eal_init(sizeof words / sizeof words[0], args) >= 0, "rte_eal_init");
    pool = rte_pktmbuf_pool_create("test", TEST_MBUF_COUNT, 0, 0,
                                   RTE_PKTMBUF_HEADROOM + TEST_MBUF_ROOM, 0);
    require(pool != NULL, "rte_pktmbuf_pool_create");
}

struct rte_mempool *test_mbuf_pool(void)
{
    test_eal_init();
    return pool;
}

unsigned test_mbuf_in_use(void)
{
    return rte_mempool_in_use_count(test_mbuf_pool());
}

/* A block and what DPDK keeps about it, which must not lie within the block here. */
struct exact {
    struct rte_mbuf_ext_shared_info shared;
    void *block;
};

static void exact_free(void *block, void *opaque)
{
    struct exact *x = opaque;

    (void)block;
    free(x->block);
    free(x);
}

struct rte_mbuf *test_mbuf_exact(const void *bytes, size_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(test_mbuf_pool());
    struct exact *x = calloc(1, sizeof *x);

    require(m != NULL && x != NULL && len <= UINT16_MAX, "allocation of an mbuf");
    x->block = malloc(len);
    require(x->block != NULL || len == 0, "malloc");
    if (len != 0)
        memcpy(x->block, bytes, len);
    x->shared.free_cb = exact_free;
    x->shared.fcb_opaque = x;
    rte_mbuf_ext_refcnt_set(&x->shared, 1);
    rte_pktmbuf_attach_extbuf(m, x->block, 0, (uint16_t)len, &x->shared);
    require(rte_pktmbuf_append(m, (uint16_t)len) != NULL, "rte_pktmbuf_append");
    return m;
}

struct rte_mbuf *test_mbuf_split(const void *bytes, size_t len, const uint16_t *cut, unsigned cuts)
{
    const uint8_t *p = bytes;
    struct rte_mbuf *head = NULL;
    size_t from = 0;

    for (unsigned i = 0; i <= cuts; i++) {
        size_t to = i < cuts && cut[i] < len ? cut[i] : len;
        struct rte_mbuf *m;

        if (head != NULL && to <= from)
            continue;
        m = test_mbuf_exact(p + from, to - from);
        if (head == NULL)
            head = m;
        else
            require(rte_pktmbuf_chain(head, m) == 0, "rte_pktmbuf_chain");
        from = to;
    }
    return head;
}

struct rte_mbuf *test_mbuf_plain(const void *bytes, size_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(test_mbuf_pool());
    char *data;

    require(m != NULL && len <= TEST_MBUF_ROOM, "allocation of an mbuf");
    data = rte_pktmbuf_append(m, (uint16_t)len);
    require(data != NULL, "rte_pktmbuf_append");
    memcpy(data, bytes, len);
    return m;
}
