/* EAL's start and its refusals, and threads that become workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "base/log.h"
#include "stack/io/io_internal.h"

#define THREADS 9 /* more than this machine is likely to lend a test CPUs */

static void assert_refused(const struct io_env_config *config, const char *part)
{
    struct error e = {.set = false};

    assert_int_equal(io_env_init(config, &e), -1);
    if (strstr(e.text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", e.text, part);
}

static void test_required_hugepages(void **state)
{
    /* 8 TiB, which nobody reserves. */
    const struct io_env_config config = {.hugepages = IO_HUGEPAGES_REQUIRE,
                                         .memory = UINT64_C(8) << 40};

    (void)state;
    assert_refused(&config, "sysctl -w vm.nr_hugepages=4718");
}

static void test_pci_addresses(void **state)
{
    static const char *const bad[] = {"eth0", "", "0000:03:00", "03:00.0x", "0000:03:00.0,a=b"};

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct io_env_config config = {
            .hugepages = IO_HUGEPAGES_OFF, .memory = 1 << 20, .pci = &bad[i], .pci_count = 1};

        assert_refused(&config, "is not a PCI address");
    }
}

static void test_start(void **state)
{
    const struct io_env_config config = {.hugepages = IO_HUGEPAGES_OFF,
                                         .memory = UINT64_C(64) << 20};
    struct rte_malloc_socket_stats s;

    (void)state;
    assert_int_equal(io_env_init(&config, NULL), 0);
    assert_int_equal(rte_malloc_get_socket_stats(0, &s), 0);
    assert_true(s.heap_totalsz_bytes >= (UINT64_C(64) << 20));
    assert_true(rte_eal_iova_mode() == RTE_IOVA_VA);
    assert_refused(&config, "DPDK does not start");
}

static pthread_barrier_t all_registered;

static void *become_worker(void *arg)
{
    bool *good = arg;
    struct error e = {.set = false};
    cpu_set_t set;

    if (io_worker_enter(0, -1, &e) == 0) {
        /* All at once, each with an id of its own. */
        pthread_barrier_wait(&all_registered);
        *good = rte_lcore_id() < RTE_MAX_LCORE && rte_lcore_id() != rte_get_main_lcore() &&
                pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 &&
                CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set);
        pthread_barrier_wait(&all_registered);
        io_worker_leave();
        *good = *good && rte_lcore_id() == LCORE_ID_ANY;
    }
    return NULL;
}

static void test_more_workers_than_cpus(void **state)
{
    unsigned before = rte_lcore_count();
    bool good[THREADS] = {false};
    pthread_t threads[THREADS];

    (void)state;
    pthread_barrier_init(&all_registered, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, become_worker, &good[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_registered);
    for (unsigned i = 0; i < THREADS; i++)
        assert_true(good[i]);
    assert_int_equal(rte_lcore_count(), before);
}

static void *want_cpu(void *arg)
{
    io_worker_enter(CPU_SETSIZE - 1, -1, arg);
    return NULL;
}

static void test_cpu_that_is_not_there(void **state)
{
    struct error e = {.set = false};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, want_cpu, &e), 0);
    pthread_join(thread, NULL);
    assert_true(e.set);
    assert_non_null(strstr(e.text, "CPU 1023 is not available"));
    assert_non_null(strstr(e.text, "it may use 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_required_hugepages),
        cmocka_unit_test(test_pci_addresses),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_more_workers_than_cpus),
        cmocka_unit_test(test_cpu_that_is_not_there),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    io_env_fini();
    return failed;
}
