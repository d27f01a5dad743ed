/* The sizes of pools against what may be held at the worst moment, and a pool's layout in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "stack/io/io_internal.h"

#define CACHE     768
#define SCHEDULER 2048 /* frames that wait for the device: 1,024 of control and of data */

static struct io_port_config config_of(unsigned workers, uint32_t buffers)
{
    return (struct io_port_config){.workers = workers, .buffers = buffers};
}

static void test_receive_pool_outlasts_the_worst(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 8; workers++) {
        for (unsigned queues = 1; queues <= workers; queues++) {
            struct io_port_config config = config_of(workers, 5000);
            struct io_pool_plan plan;
            struct io_pool_size size;
            uint32_t held;

            io_device_plan(IO_DRIVER_OTHER, &config, queues, 1500, false, &plan);
            io_pool_size(&plan, &size);
            held = 1024                                 /* posted to the device */
                   + workers * 5000                     /* every stack full of it */
                   + (workers - 1) * (IO_RING_SIZE - 1) /* every hand-off ring */
                   + workers * CACHE + workers * IO_BURST;
            assert_true(size.rx >= held);
            assert_true(size.rx < held + 4096);
        }
    }
}

static void test_hardware_rss_needs_one_share(void **state)
{
    struct io_port_config config = config_of(8, 100000);
    struct io_pool_plan plan;
    struct io_pool_size size;

    (void)state;
    io_device_plan(IO_DRIVER_OTHER, &config, 8, 1500, true, &plan);
    io_pool_size(&plan, &size);
    assert_in_range(size.rx, 100000, 200000);
}

static void test_transmit_pool(void **state)
{
    struct io_port_config config = config_of(3, 1000);
    struct io_pool_plan plan;
    struct io_pool_size own, through_ring;

    (void)state;
    io_device_plan(IO_DRIVER_OTHER, &config, 3, 1500, false, &plan);
    io_pool_size(&plan, &own);
    io_device_plan(IO_DRIVER_OTHER, &config, 1, 1500, false, &plan);
    io_pool_size(&plan, &through_ring);
    assert_true(own.tx >= 1024 + SCHEDULER + IO_BURST + CACHE);
    assert_true(through_ring.tx >= own.tx + IO_RING_SIZE);
}

/* AF_XDP: one pool holds the driver's fill and completion rings and both directions' frames. */
static void test_shared_pool(void **state)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct io_port_config config = config_of(workers, 3000);
        struct io_pool_plan plan;
        struct io_pool_size size;

        (void)state;
        io_device_plan(IO_DRIVER_XDP, &config, 1, 1500, false, &plan);
        io_pool_size(&plan, &size);
        assert_int_equal(size.tx, 0);
        assert_true(size.rx >= 2048 + 2048 + 2048 + workers * (3000 + SCHEDULER + CACHE) +
                                   (workers - 1) * 2 * (IO_RING_SIZE - 1));
    }
}

static void test_data_room(void **state)
{
    struct io_port_config config = config_of(1, 100);
    struct io_pool_plan plan;
    struct io_pool_size size;

    (void)state;
    io_device_plan(IO_DRIVER_OTHER, &config, 1, 1500, false, &plan);
    io_pool_size(&plan, &size);
    assert_int_equal(size.data_room, 2048 + RTE_PKTMBUF_HEADROOM);
    io_device_plan(IO_DRIVER_OTHER, &config, 1, 9000, false, &plan);
    io_pool_size(&plan, &size);
    assert_in_range(size.data_room, 9022 + RTE_PKTMBUF_HEADROOM, 9216 + RTE_PKTMBUF_HEADROOM);
    /* The largest MTU of AF_XDP: the whole object fits into a page, and the kernel's 256 bytes of
     * headroom leave a full frame. */
    io_device_plan(IO_DRIVER_XDP, &config, 1, 3434, false, &plan);
    io_pool_size(&plan, &size);
    assert_true(rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + size.data_room, 0, NULL) <=
                4096);
    assert_true(size.data_room - RTE_PKTMBUF_HEADROOM >= 256 + 3434 + 18);
}

/* net_af_xdp takes count times object size as the extent of its UMEM. */
static void test_pool_is_dense(void **state)
{
    const uint32_t count = 3001;
    struct rte_mempool *mp = io_pool_create("dense", count, 2176, -1, NULL);
    struct rte_mbuf **all = calloc(count, sizeof(struct rte_mbuf *));
    uintptr_t low = UINTPTR_MAX, high = 0;
    size_t stride;

    (void)state;
    assert_non_null(mp);
    assert_non_null(all);
    stride = mp->header_size + mp->elt_size + mp->trailer_size;
    assert_int_equal(mp->populated_size, count);
    assert_int_equal(mp->nb_mem_chunks, 1);
    for (uint32_t i = 0; i < count; i++) {
        all[i] = rte_pktmbuf_alloc(mp);
        assert_non_null(all[i]);
        assert_true(all[i]->buf_iova == (uintptr_t)all[i]->buf_addr);
        assert_int_equal(rte_pktmbuf_tailroom(all[i]), 2048);
        low = RTE_MIN(low, (uintptr_t)all[i]);
        high = RTE_MAX(high, (uintptr_t)all[i]);
    }
    assert_int_equal(high - low, (count - 1) * stride);
    rte_pktmbuf_free_bulk(all, count);
    free(all);
    rte_mempool_free(mp);
}

static size_t heap_used(void)
{
    struct rte_malloc_socket_stats s;

    assert_int_equal(rte_malloc_get_socket_stats(0, &s), 0);
    return s.heap_allocsz_bytes;
}

static void test_bytes_are_not_underestimated(void **state)
{
    const struct io_pool_plan plan = {.workers = 1,
                                      .queues = 1,
                                      .device_rx = 1024,
                                      .device_tx = 1024,
                                      .buffers = 4000,
                                      .mtu = 1500};
    struct io_pool_size size;
    struct rte_mempool *rx, *tx;
    size_t before = heap_used(), used;

    (void)state;
    io_pool_size(&plan, &size);
    rx = io_pool_create("rx", size.rx, size.data_room, -1, NULL);
    tx = io_pool_create("tx", size.tx, size.data_room, -1, NULL);
    used = heap_used() - before;
    assert_non_null(rx);
    assert_non_null(tx);
    assert_in_range(io_pool_bytes(&plan), used * 49 / 50, used * 3 / 2);
    rte_mempool_free(rx);
    rte_mempool_free(tx);
}

static void test_no_memory_says_how_much(void **state)
{
    struct error e = {.set = false};

    (void)state;
    assert_null(io_pool_create("huge", 1000000, 2176, -1, &e));
    assert_non_null(strstr(e.text, "1000000 buffers"));
    /* Nothing of the failed attempt is left. */
    assert_null(rte_mempool_lookup("huge"));
}

static int set_up(void **state)
{
    (void)state;
    return io_env_init(
        &(struct io_env_config){.hugepages = IO_HUGEPAGES_OFF, .memory = UINT64_C(96) << 20}, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    io_env_fini();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receive_pool_outlasts_the_worst),
        cmocka_unit_test(test_hardware_rss_needs_one_share),
        cmocka_unit_test(test_transmit_pool),
        cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_data_room),
        cmocka_unit_test(test_pool_is_dense),
        cmocka_unit_test(test_bytes_are_not_underestimated),
        cmocka_unit_test(test_no_memory_says_how_much),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
