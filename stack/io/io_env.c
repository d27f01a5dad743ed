/*
 * EAL's start. Nothing is shared with other DPDK processes: no files, a prefix of our own for what
 * is named all the same, no telemetry socket. Hugepages are a gift, not a condition: `auto` takes
 * them only when all that the pools need is free, since EAL would otherwise start and the last pool
 * fail. Without them EAL reserves one piece of address space of the size given by -m, of which only
 * touched pages cost memory; the slack on top is therefore generous.
 *
 * IOVA is the virtual address wherever no PCI device takes part: then a pool's objects lie densely
 * in one piece, which AF_XDP needs (io_pool.c).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <numa.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "base/log.h"
#include "stack/io/io_internal.h"

#define IO_ENV_PAGE      (UINT64_C(2) << 20)
#define IO_ENV_SLACK     (UINT64_C(64) << 20) /* device and library state beside the pools */
#define IO_ENV_ARGS_MAX  96
#define IO_ENV_ARG_LEN   64
#define IO_ENV_HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"

struct io_env_args {
    int count;
    char text[IO_ENV_ARGS_MAX][IO_ENV_ARG_LEN];
    char *argv[IO_ENV_ARGS_MAX + 1];
};

static int io_env_arg(struct io_env_args *a, struct error *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int io_env_arg(struct io_env_args *a, struct error *e, const char *fmt, ...)
{
    va_list ap;
    int len;

    if (a->count == IO_ENV_ARGS_MAX)
        return error_set(e, "too many PCI devices");
    va_start(ap, fmt);
    len = vsnprintf(a->text[a->count], IO_ENV_ARG_LEN, fmt, ap);
    va_end(ap);
    if (len >= IO_ENV_ARG_LEN)
        return error_set(e, "PCI address too long: \"%s…\"", a->text[a->count]);
    a->argv[a->count] = a->text[a->count];
    a->argv[++a->count] = NULL;
    return 0;
}

static uint64_t io_env_read_number(const char *path)
{
    uint64_t value = 0;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%" SCNu64, &value) != 1)
        value = 0;
    fclose(f);
    return value;
}

static uint64_t io_env_need(const struct io_env_config *config)
{
    return config->memory + config->memory / 8 + IO_ENV_SLACK;
}

/* Decides on hugepages and logs why. Returns 1 to use them, 0 not to, -1 when they are required. */
static int io_env_hugepages(const struct io_env_config *config, struct error *e)
{
    uint64_t need = (io_env_need(config) + IO_ENV_PAGE - 1) / IO_ENV_PAGE;
    uint64_t free_pages = io_env_read_number(IO_ENV_HUGEPAGES "free_hugepages");
    uint64_t total = io_env_read_number(IO_ENV_HUGEPAGES "nr_hugepages");

    if (config->hugepages == IO_HUGEPAGES_OFF) {
        log_info(IO_AREA, "memory: ordinary pages (hugepages: off)");
        return 0;
    }
    if (free_pages >= need) {
        log_info(IO_AREA, "memory: hugepages, %" PRIu64 " of 2 MiB free, %" PRIu64 " needed",
                 free_pages, need);
        return 1;
    }
    if (config->hugepages == IO_HUGEPAGES_REQUIRE)
        return error_set(e,
                         "hugepages: require, but %" PRIu64
                         " pages of 2 MiB are needed and %" PRIu64
                         " are free; reserve them with: sysctl -w vm.nr_hugepages=%" PRIu64,
                         need, free_pages, total + need - free_pages);
    log_info(IO_AREA,
             "memory: ordinary pages; for hugepages: sysctl -w vm.nr_hugepages=%" PRIu64
             " (%" PRIu64 " of 2 MiB are needed, %" PRIu64 " are free)",
             total + need - free_pages, need, free_pages);
    return 0;
}

/* The main lcore sits on main_cpu; where that is not ours to use, on whatever is. */
static int io_env_main_lcore(struct io_env_args *a, unsigned main_cpu, struct error *e)
{
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return error_set(e, "cannot read the CPU affinity: %s", strerror(errno));
    if (main_cpu < CPU_SETSIZE && CPU_ISSET(main_cpu, &allowed))
        return io_env_arg(a, e, "--lcores=0@%u", main_cpu);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            log_warn(IO_AREA, "CPU %u is not available to this process; its main thread runs on %u",
                     main_cpu, cpu);
            return io_env_arg(a, e, "--lcores=0@%u", cpu);
        }
    }
    return error_set(e, "no CPU is available to this process");
}

static int io_env_memory_args(struct io_env_args *a, const struct io_env_config *config,
                              struct error *e)
{
    int huge = io_env_hugepages(config, e);

    if (huge < 0)
        return -1;
    if (huge)
        /* Pages without hugetlbfs, and one file descriptor for all instead of one for each. */
        return io_env_arg(a, e, "--in-memory") != 0 ||
                       io_env_arg(a, e, "--single-file-segments") != 0
                   ? -1
                   : 0;
    if (io_env_arg(a, e, "--no-huge") != 0 || io_env_arg(a, e, "--no-shconf") != 0)
        return -1;
    return io_env_arg(a, e, "-m%" PRIu64, ((io_env_need(config) + config->reserve) >> 20) + 1);
}

/* EAL answers an address that it cannot read with its usage text. */
static int io_env_pci_check(const char *address, struct error *e)
{
    unsigned domain, bus, device, function;
    int end = 0;

    if ((sscanf(address, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 ||
         sscanf(address, "%2x:%2x.%1x%n", &bus, &device, &function, &end) == 3) &&
        address[end] == '\0')
        return 0;
    return error_set(e, "\"%s\" is not a PCI address such as 0000:03:00.0", address);
}

static int io_env_bus_args(struct io_env_args *a, const struct io_env_config *config,
                           struct error *e)
{
    if (config->pci_count == 0)
        return io_env_arg(a, e, "--no-pci") != 0 || io_env_arg(a, e, "--iova-mode=va") != 0 ? -1
                                                                                            : 0;
    for (unsigned i = 0; i < config->pci_count; i++) {
        if (io_env_pci_check(config->pci[i], e) != 0 ||
            io_env_arg(a, e, "-a%s", config->pci[i]) != 0)
            return -1;
    }
    return 0;
}

static int io_env_args_build(struct io_env_args *a, const struct io_env_config *config,
                             struct error *e)
{
    a->count = 0;
    if (io_env_arg(a, e, "sluice") != 0 || io_env_arg(a, e, "--no-telemetry") != 0 ||
        io_env_arg(a, e, "--file-prefix=sluice-%ld", (long)getpid()) != 0 ||
        io_env_arg(a, e, "--log-level=%s", log_enabled(LOG_LEVEL_DEBUG) ? "info" : "warning") != 0)
        return -1;
    if (io_env_main_lcore(a, config->main_cpu, e) != 0 || io_env_bus_args(a, config, e) != 0)
        return -1;
    return io_env_memory_args(a, config, e);
}

/* libnuma reads a node's CPUs when first asked, into a cache without a lock; workers ask at once.
 */
static void io_env_read_nodes(void)
{
    struct bitmask *cpus;

    if (numa_available() < 0)
        return;
    cpus = numa_allocate_cpumask();
    for (int node = 0; node <= numa_max_node(); node++)
        numa_node_to_cpus(node, cpus);
    numa_free_cpumask(cpus);
}

int io_env_init(const struct io_env_config *config, struct error *e)
{
    struct io_env_args args;
    struct io_log_capture said;
    int result;

    if (io_env_args_build(&args, config, e) != 0 || io_log_open(e) != 0)
        return -1;
    io_log_capture_begin(&said);
    result = rte_eal_init(args.count, args.argv);
    io_log_capture_end();
    /* EAL makes this directory though nothing of ours will be in it. */
    rmdir(rte_eal_get_runtime_dir());
    if (result < 0) {
        error_set(e, "DPDK does not start: %s%s%s", rte_strerror(rte_errno),
                  said.text[0] != '\0' ? ": " : "", said.text);
        io_log_close();
        return -1;
    }
    io_log_hook_libraries();
    io_env_read_nodes();
    return 0;
}

void io_env_fini(void)
{
    rte_eal_cleanup();
    io_log_close();
}
