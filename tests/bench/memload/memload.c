/*
 * The load of the memory lab: clients, and where a proxy is measured its server, on our stack in
 * one thread, joined to what is measured by DPDK devices (memif) without a kernel on the way.
 *
 * Whoever runs it leads it, so that counters can be read at the right time: a JSON line says that
 * the connections to keep are open; a line on standard input begins the measurement; a JSON line is
 * its result, once every request that was begun is answered; the end of standard input ends it.
 *
 * Exit status 1: something failed, as told; 3: a link did not come up, as memif's may not when the
 * machine is busy while both ends start.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "app/app.h"
#include "base/log.h"
#include "tests/bench/memload/memload.h"

#define MEMLOAD_LINK_WAIT (5 * CLOCK_SEC)
#define MEMLOAD_OPENING   300 /* s, for all connections that are kept */
#define MEMLOAD_DRAINING  20  /* s, for the last answers */
#define MEMLOAD_LOOK      CLOCK_MS
#define MEMLOAD_BUFFERS   65536
#define MEMLOAD_TIME_WAIT CLOCK_SEC /* the server's ends: its CPU and memory are not measured */
#define MEMLOAD_SPARE     65536     /* connections in TIME_WAIT and the like */

#define EXIT_LINK         3

enum {
    OPTION_CPU = 256,
    OPTION_CLIENT,
    OPTION_SERVER,
    OPTION_ADDRESS,
    OPTION_LISTEN,
    OPTION_TO,
    OPTION_SIZE,
    OPTION_KEEP,
    OPTION_PARALLEL,
    OPTION_RATE,
    OPTION_SECONDS,
    OPTION_NEW,
    OPTION_TLS,
};

static const struct option long_options[] = {
    {"cpu", required_argument, NULL, OPTION_CPU},
    {"client", required_argument, NULL, OPTION_CLIENT},
    {"server", required_argument, NULL, OPTION_SERVER},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"to", required_argument, NULL, OPTION_TO},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"keep", required_argument, NULL, OPTION_KEEP},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"new", no_argument, NULL, OPTION_NEW},
    {"tls", required_argument, NULL, OPTION_TLS},
    {0},
};

static const char usage[] =
    "usage: memload --cpu CPU --client VDEV --address ADDRESS/BITS... --to ADDRESS:PORT[+N]...\n"
    "               [--server VDEV --address ADDRESS/BITS... --listen PORT[+N]] [OPTION...]\n"
    "\n"
    "  --address goes with the device before it; +N: that many ports from that one on\n"
    "  --size BYTES      of an answer; 64\n"
    "  --keep N          connections that are opened before; 1\n"
    "  --new             each request on a connection of its own, else on the kept ones\n"
    "  --parallel N      requests at a time; 64\n"
    "  --rate N          requests a second at most\n"
    "  --seconds N       5\n"
    "  --tls full|resume TLS 1.3; new connections resume a session when as many are kept as there\n"
    "                    are at a time, 32 at most\n";

struct memload {
    struct load load;
    struct app_interface interface[2];
    unsigned interfaces, cpu;
    unsigned long seconds;
    struct stack *stack;
    struct client *client;
    struct server *server;
};

static char content[LOAD_CHUNK + LOAD_PERIOD];

const char *load_content(uint64_t at)
{
    return content + at % LOAD_PERIOD;
}

/* ---- the stack thread ---- */

static int memload_start(void *ctx, struct stack *s, unsigned thread, void **state, struct error *e)
{
    struct memload *m = ctx;

    (void)thread;
    *state = m;
    m->stack = s;
    m->client = client_create(&m->load, s, e);
    if (m->client == NULL)
        return -1;
    if (m->load.config.listen == 0)
        return 0;
    m->server = server_create(&m->load, s, e);
    if (m->server != NULL)
        return 0;
    client_destroy(m->client);
    return -1;
}

static clock_ns memload_round(void *state, clock_ns now)
{
    struct memload *m = state;
    struct event e;

    /* One by one: a client whose run has failed closes sockets other than the event's own. */
    while (event_next(m->stack, &e)) {
        struct load_sink *sink = e.user;

        sink->take(sink, &e);
    }
    client_round(m->client, now);
    return client_deadline(m->client);
}

static void memload_stop(void *state)
{
    struct memload *m = state;

    client_destroy(m->client);
    if (m->server != NULL)
        server_destroy(m->server);
}

/* ---- the main thread ---- */

static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int fail(const char *fmt, ...)
{
    va_list ap;

    fputs("memload: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return -1;
}

static void say(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT);
    json_decref(line);
    putchar('\n');
    fflush(stdout);
}

static bool await(const atomic_bool *flag, unsigned seconds)
{
    clock_ns end = clock_now() + seconds * CLOCK_SEC;

    while (!atomic_load(flag) && clock_now() < end)
        nanosleep(&(struct timespec){.tv_nsec = MEMLOAD_LOOK}, NULL);
    return atomic_load(flag);
}

/* A line, or the end. */
static bool told(void)
{
    char line[16];

    return fgets(line, sizeof line, stdin) != NULL;
}

static double microseconds(const struct latency *l, double part)
{
    return (double)latency_percentile(l, part) / 1e3;
}

static void say_result(const struct load_result *r, const struct app *app)
{
    const struct stack_counters *counters = app_counters(app, 0);
    json_t *drops = json_object();

    for (size_t i = 0; i < DROP_NONE; i++) {
        uint64_t n = counter_read(counters, i);

        if (n > 0)
            json_object_set_new(drops, stack_counter_table.desc[i].name,
                                json_integer((json_int_t)n));
    }
    say(json_pack("{s:I, s:I, s:s, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:o}", "requests",
                  (json_int_t)r->requests, "failed", (json_int_t)r->failed, "fault", r->fault,
                  "seconds", (double)(r->ended - r->begun) / 1e9, "bytes", (json_int_t)r->bytes,
                  "handshakes", (json_int_t)r->handshakes, "resumed", (json_int_t)r->resumed,
                  "p50_us", microseconds(&r->latency, 0.5), "p99_us",
                  microseconds(&r->latency, 0.99), "p999_us", microseconds(&r->latency, 0.999),
                  "busy_seconds", (double)app_busy(app, 0) / 1e9, "retransmissions",
                  (json_int_t)counters->tcp_retransmissions, "drops", drops));
}

static int measure(struct memload *m, const struct app *app)
{
    struct load *l = &m->load;

    if (!await(&l->opened, MEMLOAD_OPENING))
        return fail("the connections to keep are not open after %d s", MEMLOAD_OPENING);
    say(json_pack("{s:I, s:f}", "opened", (json_int_t)l->config.kept, "seconds",
                  (double)(clock_now() - l->result.opening) / 1e9));
    if (!told())
        return fail("told to end before it began");
    atomic_store(&l->phase, LOAD_RUN);
    nanosleep(&(struct timespec){.tv_sec = (time_t)m->seconds}, NULL);
    atomic_store(&l->phase, LOAD_DRAIN);
    if (!await(&l->drained, MEMLOAD_DRAINING))
        return fail("requests have no answer after %d s", MEMLOAD_DRAINING);
    say_result(&l->result, app);
    while (told())
        ;
    return l->result.failed == 0 ? 0 : fail("%s", l->result.fault);
}

static int run(struct memload *m)
{
    const struct load_config *load = &m->load.config;
    const struct app_config config = {
        .interfaces = m->interface,
        .interface_count = m->interfaces,
        .cpus = &m->cpu,
        .cpu_count = 1,
        .main_cpu = m->cpu,
        /* Both ends of each; a listener leaves a part of the blocks to others. */
        .connections = 2 * load->kept + load->kept / 2 + 4 * load->parallel + MEMLOAD_SPARE,
        .buffers = MEMLOAD_BUFFERS,
        .link_wait = MEMLOAD_LINK_WAIT,
        .time_wait = MEMLOAD_TIME_WAIT,
        .inside = {.ctx = m, .start = memload_start, .round = memload_round, .stop = memload_stop},
    };
    struct error e = {0};
    struct app *app = app_start(&config, &e);
    int result = EXIT_LINK;

    if (app == NULL) {
        fail("%s", e.text);
        return EXIT_FAILURE;
    }
    if (app_links_up(app))
        result = measure(m, app) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    else
        fail("a link is down");
    app_stop(app);
    return result;
}

/* ---- the command line ---- */

static int number(const char *what, const char *text, unsigned long max, unsigned long *out)
{
    char *end;

    errno = 0;
    *out = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *out > max)
        return fail("%s: %s is no number up to %lu", what, text, max);
    return 0;
}

/* Cuts "+N" off; 1 without. */
static int count_take(char *text, unsigned long *count)
{
    char *plus = strchr(text, '+');

    *count = 1;
    if (plus == NULL)
        return 0;
    *plus = '\0';
    return number("+N", plus + 1, LOAD_TARGETS_MAX, count);
}

static int take_device(struct memload *m, const char *name, const char *device)
{
    if (m->interfaces == 2)
        return fail("more than two devices");
    m->interface[m->interfaces++] =
        (struct app_interface){.name = name, .kind = IO_DEVICE_VDEV, .device = device};
    return 0;
}

static int take_address(struct memload *m, const char *text)
{
    struct app_interface *f = m->interfaces > 0 ? &m->interface[m->interfaces - 1] : NULL;

    if (f == NULL || f->addr_count == STACK_IFACE_ADDRS)
        return fail("--address %s: no device, or too many", text);
    if (ip_prefix_parse(text, &f->addrs[f->addr_count]) < 0)
        return fail("--address %s: expected ADDRESS/BITS", text);
    f->addr_count++;
    return 0;
}

static int take_targets(struct load_config *l, char *text)
{
    struct ip_endpoint first;
    unsigned long count;

    if (count_take(text, &count) < 0)
        return -1;
    if (ip_endpoint_parse(text, &first) < 0 || l->to_count + count > LOAD_TARGETS_MAX)
        return fail("--to %s: expected ADDRESS:PORT, at most %d in all", text, LOAD_TARGETS_MAX);
    for (unsigned long i = 0; i < count; i++, first.port++)
        l->to[l->to_count++] = first;
    return 0;
}

static int take_listen(struct load_config *l, char *text)
{
    unsigned long port, count;

    if (count_take(text, &count) < 0 || number("--listen", text, 65535, &port) < 0)
        return -1;
    l->listen = (uint16_t)port;
    l->ports = (uint16_t)count;
    return 0;
}

static int take_tls(struct load_config *l, const char *text)
{
    l->tls = true;
    l->resume = strcmp(text, "resume") == 0;
    return l->resume || strcmp(text, "full") == 0 ? 0 : fail("--tls %s: full or resume", text);
}

static int take_number(struct memload *m, int option, const char *text)
{
    struct load_config *l = &m->load.config;
    unsigned long n;

    if (number("an option", text, UINT32_MAX, &n) < 0)
        return -1;
    if (option == OPTION_CPU)
        m->cpu = (unsigned)n;
    else if (option == OPTION_SIZE)
        l->size = n;
    else if (option == OPTION_KEEP)
        l->kept = (uint32_t)n;
    else if (option == OPTION_PARALLEL)
        l->parallel = (uint32_t)n;
    else if (option == OPTION_RATE)
        l->rate = n;
    else
        m->seconds = n;
    return 0;
}

static int take(struct memload *m, int option)
{
    struct load_config *l = &m->load.config;

    switch (option) {
    case OPTION_CLIENT:
        return take_device(m, "clients", optarg);
    case OPTION_SERVER:
        return take_device(m, "server", optarg);
    case OPTION_ADDRESS:
        return take_address(m, optarg);
    case OPTION_LISTEN:
        return take_listen(l, optarg);
    case OPTION_TO:
        return take_targets(l, optarg);
    case OPTION_TLS:
        return take_tls(l, optarg);
    case OPTION_NEW:
        l->renew = true;
        return 0;
    case '?':
        fputs(usage, stderr);
        return -1;
    default:
        return take_number(m, option, optarg);
    }
}

int main(int argc, char **argv)
{
    static struct memload m = {.load.config = {.size = 64, .kept = 1, .parallel = 64},
                               .seconds = 5};
    const struct load_config *l = &m.load.config;
    int option;

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)('a' + i % LOAD_PERIOD);
    log_level_set(LOG_LEVEL_WARN);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (take(&m, option) < 0)
            return 2;
    }
    if (m.interfaces == 0 || l->to_count == 0 || l->parallel == 0 || l->kept == 0) {
        fputs(usage, stderr);
        return 2;
    }
    return run(&m);
}
