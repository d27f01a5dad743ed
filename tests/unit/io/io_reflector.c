/*
 * A station made of stack/io alone, for the checks in namespaces (tests/scenario/test_io_ports.py).
 * io_answer.h tells what it answers. Each worker checks that the TCP segments it gets are those
 * that io_port_worker_of() says it gets.
 *
 *     io_reflector KIND DEVICE WORKERS IPV4 IPV6 [key=value…]
 *
 * KIND is kernel, af-packet, tap or vdev. Keys: sleep (us after an empty round), mtu, hugepages
 * (auto, require, off), buffers. Runs until SIGTERM or SIGINT, then prints a line for each worker
 * and one for the port, as key=value words.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "base/log.h"
#include "io_answer.h"

#define BURST 64

struct options {
    struct io_port_config port;
    struct ip_addr ipv4, ipv6;
    unsigned sleep_us;
    enum io_hugepages hugepages;
};

struct station {
    struct io_port *port;
    struct io_port_facts facts;
    const struct options *options;
};

struct worker {
    struct station *station;
    pthread_t thread;
    struct io_answer answer;
    uint64_t rounds;
};

static atomic_bool stopping;

/* Blocked in all threads from the start, so that no moment is too early for them. */
static sigset_t end_signals;

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct timespec nap = {0, (long)w->station->options->sleep_us * 1000};
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), index = w->answer.worker;
    struct error e = {.set = false};

    if (io_worker_enter(index % cpus, w->station->facts.numa_node, &e) != 0) {
        log_error("reflector", "%s", e.text);
        exit(1);
    }
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        struct rte_mbuf *frames[BURST];
        unsigned n = io_port_receive(w->station->port, index, frames, BURST);

        for (unsigned i = 0; i < n; i++)
            io_answer_frame(&w->answer, frames[i]);
        w->rounds++;
        if (n == 0 && w->station->options->sleep_us > 0)
            nanosleep(&nap, NULL);
    }
    io_worker_leave();
    return NULL;
}

static void report(const struct station *s, const struct worker *workers)
{
    struct timespec cpu;

    for (unsigned i = 0; i < s->options->port.workers; i++) {
        const struct io_answer *a = &workers[i].answer;
        struct io_counters c = {0};
        uint32_t used, size;

        io_port_counters(s->port, i, &c);
        io_port_pool_usage(s->port, i, &used, &size);
        printf("worker=%u arp=%" PRIu64 " nd=%" PRIu64 " echo=%" PRIu64 " tcp=%" PRIu64
               " astray=%" PRIu64 " other=%" PRIu64 " unsent=%" PRIu64 " rounds=%" PRIu64
               " used=%u size=%u",
               i, a->arp, a->nd, a->echo, a->tcp, a->astray, a->other, a->unsent, workers[i].rounds,
               used, size);
        for (size_t k = 0; k < io_counter_table.count; k++)
            printf(" %s=%" PRIu64, io_counter_table.desc[k].name, counter_read(&c, k));
        printf("\n");
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("driver=%s queues=%u mtu=%u offloads=%u link=%d cpu_ms=%ld\n", s->facts.driver,
           s->facts.queues, s->facts.mtu, s->facts.offloads, io_port_link_up(s->port),
           (long)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000);
}

static int run(const struct options *o)
{
    struct worker *workers = calloc(o->port.workers, sizeof *workers);
    struct station s = {.options = o};
    struct error e = {.set = false};
    int signo;

    s.port = io_port_open(&o->port, &e);
    if (s.port == NULL || workers == NULL) {
        fprintf(stderr, "%s\n", e.text);
        free(workers);
        return 1;
    }
    io_port_facts(s.port, &s.facts);
    for (unsigned i = 0; i < o->port.workers; i++) {
        workers[i].station = &s;
        workers[i].answer = (struct io_answer){
            .port = s.port, .facts = &s.facts, .ipv4 = o->ipv4, .ipv6 = o->ipv6, .worker = i};
        pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
    }
    printf("ready driver=%s\n", s.facts.driver);
    fflush(stdout);
    sigwait(&end_signals, &signo);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < o->port.workers; i++)
        pthread_join(workers[i].thread, NULL);
    report(&s, workers);
    io_port_close(s.port);
    free(workers);
    return 0;
}

static int parse_kind(const char *text, enum io_device *out)
{
    static const char *const names[] = {[IO_DEVICE_KERNEL] = "kernel",
                                        [IO_DEVICE_PCI] = "pci",
                                        [IO_DEVICE_AF_PACKET] = "af-packet",
                                        [IO_DEVICE_TAP] = "tap",
                                        [IO_DEVICE_VDEV] = "vdev"};

    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum io_device)i;
            return 0;
        }
    }
    return -1;
}

static int parse(int argc, char **argv, struct options *o)
{
    char huge[16] = "auto";

    *o = (struct options){.port = {.name = "test", .buffers = 4096}};
    for (unsigned i = 0; i < sizeof o->port.rss_key; i++)
        o->port.rss_key[i] = (uint8_t)(17 * i + 5);
    if (argc < 6 || parse_kind(argv[1], &o->port.kind) != 0 || ip_parse(argv[4], &o->ipv4) != 0 ||
        ip_parse(argv[5], &o->ipv6) != 0)
        return -1;
    o->port.device = argv[2];
    o->port.workers = (unsigned)atoi(argv[3]);
    for (int i = 6; i < argc; i++) {
        if (sscanf(argv[i], "sleep=%u", &o->sleep_us) != 1 &&
            sscanf(argv[i], "mtu=%hu", &o->port.mtu) != 1 &&
            sscanf(argv[i], "buffers=%u", &o->port.buffers) != 1 &&
            sscanf(argv[i], "hugepages=%15s", huge) != 1)
            return -1;
    }
    o->hugepages = strcmp(huge, "off") == 0       ? IO_HUGEPAGES_OFF
                   : strcmp(huge, "require") == 0 ? IO_HUGEPAGES_REQUIRE
                                                  : IO_HUGEPAGES_AUTO;
    return 0;
}

int main(int argc, char **argv)
{
    struct error e = {.set = false};
    struct options o;
    int result;

    if (parse(argc, argv, &o) != 0) {
        fprintf(stderr, "usage: io_reflector KIND DEVICE WORKERS IPV4 IPV6 [key=value...]\n");
        return 2;
    }
    if (getenv("SLUICE_LOG") != NULL)
        log_level_set(LOG_LEVEL_DEBUG);
    sigemptyset(&end_signals);
    sigaddset(&end_signals, SIGTERM);
    sigaddset(&end_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end_signals, NULL);
    if (io_env_init(
            &(struct io_env_config){.hugepages = o.hugepages, .memory = io_port_memory(&o.port)},
            &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    result = run(&o);
    io_env_fini();
    return result;
}
