/*
 * Start is all or nothing: EAL, the ports, then the stack threads one after the other, each of
 * which builds itself on its own CPU. What was built is taken down in reverse order, packet pools
 * last: a device may refer to payload until it is closed.
 */
#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/app_internal.h"
#include "app/app_thread.h"
#include "base/log.h"
#include "base/siphash.h"

#define APP_CONNECTIONS 16384
#define APP_BUFFERS     32768
#define APP_LINK_LOOK   (100 * CLOCK_MS)

/* Equal on all threads; not to be guessed by peers. */
struct app_secrets {
    uint8_t stack[16];
    uint8_t rss_key[40];
};

struct app {
    struct app_secrets secrets;
    struct app_port port[STACK_MAX_IFACES];
    unsigned port_count;
    struct stack_route *routes;
    struct app_thread *thread[APP_THREADS_MAX];
    unsigned thread_count;
    bool env;
};

static struct io_port_config port_config(const struct app_interface *f, unsigned threads,
                                         uint32_t buffers)
{
    return (struct io_port_config){
        .name = f->name,
        .kind = f->kind,
        .device = f->device,
        .workers = threads,
        .mtu = f->mtu,
        .buffers = buffers,
    };
}

static uint64_t memory_needed(const struct app_config *config)
{
    uint32_t mbufs = io_data_pool_size(config->buffers, config->interface_count);
    uint64_t bytes = config->cpu_count * io_data_pool_bytes(mbufs);

    for (unsigned i = 0; i < config->interface_count; i++) {
        const struct io_port_config port =
            port_config(&config->interfaces[i], config->cpu_count, config->buffers);

        bytes += io_port_memory(&port);
    }
    return bytes;
}

static int start_env(struct app *a, const struct app_config *config, struct error *e)
{
    const char *pci[STACK_MAX_IFACES];
    struct io_env_config env = {
        .hugepages = config->hugepages,
        .memory = memory_needed(config),
        .pci = pci,
        .main_cpu = config->main_cpu,
    };

    for (unsigned i = 0; i < config->interface_count; i++) {
        if (config->interfaces[i].kind == IO_DEVICE_PCI)
            pci[env.pci_count++] = config->interfaces[i].device;
    }
    if (io_env_init(&env, e) < 0)
        return -1;
    a->env = true;
    return 0;
}

static int open_port(struct app *a, const struct app_interface *f, const struct app_config *config,
                     struct error *e)
{
    struct io_port_config port = port_config(f, config->cpu_count, config->buffers);
    struct app_port *p = &a->port[a->port_count];

    memcpy(port.rss_key, a->secrets.rss_key, sizeof port.rss_key);
    p->io = io_port_open(&port, e);
    if (p->io == NULL)
        return -1;
    a->port_count++;
    io_port_facts(p->io, &p->facts);
    snprintf(p->name, sizeof p->name, "%s", f->name);
    p->addr_count = f->addr_count;
    memcpy(p->addrs, f->addrs, sizeof p->addrs);
    return 0;
}

static int open_ports(struct app *a, const struct app_config *config, struct error *e)
{
    for (unsigned i = 0; i < config->interface_count; i++) {
        if (open_port(a, &config->interfaces[i], config, e) < 0)
            return -1;
    }
    return 0;
}

/* Links come up by themselves: EAL's own thread sees to those that need a peer. */
static void await_links(const struct app *a, clock_ns patience)
{
    clock_ns end = clock_now() + patience;

    while (!app_links_up(a) && clock_now() < end)
        nanosleep(&(struct timespec){.tv_nsec = APP_LINK_LOOK}, NULL);
    if (patience > 0 && !app_links_up(a))
        log_warn("app", "a link is down");
}

static int start_threads(struct app *a, const struct app_config *config, struct error *e)
{
    struct app_thread_config thread = {
        .count = config->cpu_count,
        .numa_node = a->port[0].facts.numa_node,
        .ports = a->port,
        .port_count = a->port_count,
        .routes = a->routes,
        .route_count = config->route_count,
        .connections = config->connections,
        .buffers = config->buffers,
        .time_wait = config->time_wait,
        .tcp = config->tcp,
        .secret = a->secrets.stack,
        .inside = config->inside,
    };

    for (unsigned i = 0; i < config->cpu_count; i++) {
        thread.index = i;
        thread.cpu = config->cpus[i];
        a->thread[i] = app_thread_start(&thread, e);
        if (a->thread[i] == NULL)
            return -1;
        a->thread_count++;
    }
    return 0;
}

static int check(const struct app_config *config, struct error *e)
{
    if (config->interface_count == 0 || config->interface_count > STACK_MAX_IFACES)
        return error_set(e, "%u interfaces: expected 1 to %d", config->interface_count,
                         STACK_MAX_IFACES);
    if (config->cpu_count == 0 || config->cpu_count > APP_THREADS_MAX)
        return error_set(e, "%u CPUs: expected 1 to %d", config->cpu_count, APP_THREADS_MAX);
    for (unsigned i = 0; i < config->interface_count; i++) {
        if (config->interfaces[i].addr_count > STACK_IFACE_ADDRS)
            return error_set(e, "%s: more than %d addresses", config->interfaces[i].name,
                             STACK_IFACE_ADDRS);
    }
    return 0;
}

static int copy_routes(struct app *a, const struct app_config *config, struct error *e)
{
    if (config->route_count == 0)
        return 0;
    a->routes = calloc(config->route_count, sizeof *a->routes);
    if (a->routes == NULL)
        return error_set(e, "out of memory");
    memcpy(a->routes, config->routes, config->route_count * sizeof *a->routes);
    return 0;
}

static int start(struct app *a, const struct app_config *config, struct error *e)
{
    if (check(config, e) < 0)
        return -1;
    if (siphash_random(&a->secrets, sizeof a->secrets) < 0)
        return error_set(e, "cannot draw random secrets: %s", strerror(errno));
    if (copy_routes(a, config, e) < 0 || start_env(a, config, e) < 0 ||
        open_ports(a, config, e) < 0)
        return -1;
    await_links(a, config->link_wait);
    return start_threads(a, config, e);
}

struct app *app_start(const struct app_config *config, struct error *e)
{
    struct app_config full = *config;
    struct app *a = calloc(1, sizeof *a);

    if (a == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    full.connections = full.connections != 0 ? full.connections : APP_CONNECTIONS;
    full.buffers = full.buffers != 0 ? full.buffers : APP_BUFFERS;
    if (start(a, &full, e) == 0)
        return a;
    app_stop(a);
    return NULL;
}

void app_stop(struct app *a)
{
    for (unsigned i = 0; i < a->thread_count; i++)
        app_thread_stop(a->thread[i]);
    for (unsigned i = 0; i < a->thread_count; i++)
        app_thread_join(a->thread[i]);
    for (unsigned i = 0; i < a->port_count; i++)
        io_port_stop(a->port[i].io);
    for (unsigned i = 0; i < a->port_count; i++)
        io_port_close(a->port[i].io);
    if (a->env)
        io_env_fini();
    explicit_bzero(&a->secrets, sizeof a->secrets);
    free(a->routes);
    free(a);
}

unsigned app_thread_count(const struct app *a)
{
    return a->thread_count;
}

struct app_thread *app_thread_of(struct app *a, unsigned thread)
{
    return a->thread[thread];
}

bool app_links_up(const struct app *a)
{
    for (unsigned i = 0; i < a->port_count; i++) {
        if (!io_port_link_up(a->port[i].io))
            return false;
    }
    return true;
}

const struct stack_counters *app_counters(const struct app *a, unsigned thread)
{
    return stack_counters(app_thread_stack(a->thread[thread]));
}

void app_usage(const struct app *a, unsigned thread, struct stack_usage *out)
{
    stack_usage(app_thread_stack(a->thread[thread]), out);
}

clock_ns app_busy(const struct app *a, unsigned thread)
{
    return app_thread_busy(a->thread[thread]);
}
