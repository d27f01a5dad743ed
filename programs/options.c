#include "programs/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define OPTIONS_CPUS_HIGHEST 1023

void options_init(struct options *o, const char *program)
{
    *o = (struct options){.program = program};
    log_level_set(LOG_LEVEL_WARN);
}

int options_fail(const struct options *o, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", o->program);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    return -1;
}

int options_number(const struct options *o, const char *option, const char *value,
                   unsigned long low, unsigned long high, unsigned long *out)
{
    char *end;

    errno = 0;
    *out = strtoul(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && value[0] != '-' && *out >= low &&
        *out <= high)
        return 0;
    return options_fail(o, "%s %s: expected a number from %lu to %lu", option, value, low, high);
}

static int take_device(struct options *o, const char *value)
{
    static const struct {
        const char *name;
        enum io_device kind;
    } kinds[] = {{"kernel", IO_DEVICE_KERNEL},
                 {"af-packet", IO_DEVICE_AF_PACKET},
                 {"tap", IO_DEVICE_TAP},
                 {"pci", IO_DEVICE_PCI},
                 {"vdev", IO_DEVICE_VDEV}};
    size_t len = strcspn(value, ":");

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].name) != len || strncmp(kinds[i].name, value, len) != 0)
            continue;
        if (value[len] == '\0' || value[len + 1] == '\0')
            break;
        o->interface.kind = kinds[i].kind;
        o->interface.device = o->interface.name = value + len + 1;
        return 0;
    }
    return options_fail(
        o, "--device %s: expected kernel:, af-packet:, tap:, pci: or vdev: and a name", value);
}

static int take_address(struct options *o, const char *value)
{
    if (o->interface.addr_count == STACK_IFACE_ADDRS)
        return options_fail(o, "more than %d addresses", STACK_IFACE_ADDRS);
    if (ip_prefix_parse(value, &o->interface.addrs[o->interface.addr_count]) < 0)
        return options_fail(o, "--address %s: expected an address such as 10.0.0.1/24", value);
    o->interface.addr_count++;
    return 0;
}

static int take_route(struct options *o, const char *value)
{
    struct stack_route *r = &o->routes[o->route_count];
    char to[IP_TEXT_MAX];
    const char *comma = strchr(value, ',');

    if (o->route_count == OPTIONS_ROUTES_MAX)
        return options_fail(o, "more than %d routes", OPTIONS_ROUTES_MAX);
    if (comma != NULL && (size_t)(comma - value) < sizeof to) {
        snprintf(to, sizeof to, "%.*s", (int)(comma - value), value);
        if (ip_prefix_parse(to, &r->to) == 0 && ip_parse(comma + 1, &r->via) == 0) {
            o->route_count++;
            return 0;
        }
    }
    return options_fail(o, "--route %s: expected PREFIX,VIA such as 0.0.0.0/0,10.0.0.254", value);
}

static int take_cpus(struct options *o, const char *option, const char *value, unsigned *out,
                     unsigned *count)
{
    const char *at = value;

    *count = 0;
    for (;;) {
        char *end;
        unsigned long cpu = strtoul(at, &end, 10);

        if (end == at || *at == '-' || cpu > OPTIONS_CPUS_HIGHEST || *count == APP_THREADS_MAX)
            break;
        out[(*count)++] = (unsigned)cpu;
        if (*end == '\0')
            return 0;
        if (*end != ',')
            break;
        at = end + 1;
    }
    return options_fail(o, "%s %s: expected CPUs such as 0 or 0,2, at most %d", option, value,
                        APP_THREADS_MAX);
}

static int take_number(struct options *o, int option, const char *value)
{
    unsigned long n;

    switch (option) {
    case OPTION_MTU:
        if (options_number(o, "--mtu", value, 576, 9000, &n) < 0)
            return -1;
        o->interface.mtu = (uint16_t)n;
        return 0;
    case OPTION_CONNECTIONS:
        if (options_number(o, "--connections", value, 1, 100000000, &n) < 0)
            return -1;
        o->connections = (unsigned)n;
        return 0;
    default:
        if (options_number(o, "--spin", value, 0, 1000000, &n) < 0)
            return -1;
        o->spin = n * CLOCK_US;
        return 0;
    }
}

int options_take(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPTION_DEVICE:
        return take_device(o, value);
    case OPTION_ADDRESS:
        return take_address(o, value);
    case OPTION_ROUTE:
        return take_route(o, value);
    case OPTION_CPU:
        return take_cpus(o, "--cpu", value, o->cpus, &o->cpu_count);
    case OPTION_APP_CPU:
        return take_cpus(o, "--app-cpu", value, o->app_cpus, &o->app_cpu_count);
    case OPTION_MTU:
    case OPTION_CONNECTIONS:
    case OPTION_SPIN:
        return take_number(o, option, value);
    case OPTION_VERBOSE:
        log_level_set(LOG_LEVEL_INFO);
        return 0;
    case OPTION_INSIDE:
    case OPTION_BESIDE:
        o->inside = option == OPTION_INSIDE;
        return 0;
    default:
        fprintf(stderr, "%s: --help tells what there is\n", o->program);
        return -1;
    }
}

int options_finish(const struct options *o, char *const *rest)
{
    if (*rest != NULL)
        return options_fail(o, "\"%s\" is no option (--help tells what there is)", *rest);
    if (o->interface.device == NULL)
        return options_fail(o, "which --device? (--help tells what there is)");
    if (o->interface.addr_count == 0)
        return options_fail(o, "which --address is ours? (--help tells what there is)");
    if (o->inside && (o->app_cpu_count > 0 || o->spin > 0))
        return options_fail(o, "--app-cpu and --spin are for --beside");
    if (o->app_cpu_count > 0 && o->app_cpu_count != (o->cpu_count > 0 ? o->cpu_count : 1))
        return options_fail(o, "--app-cpu names %u CPUs, there are %u stack threads",
                            o->app_cpu_count, o->cpu_count > 0 ? o->cpu_count : 1);
    return 0;
}

struct app_config options_app_config(const struct options *o)
{
    static const unsigned first = 0;

    return (struct app_config){
        .interfaces = &o->interface,
        .interface_count = 1,
        .routes = o->routes,
        .route_count = o->route_count,
        .cpus = o->cpu_count > 0 ? o->cpus : &first,
        .cpu_count = o->cpu_count > 0 ? o->cpu_count : 1,
        .main_cpu = o->cpu_count > 0 ? o->cpus[0] : first,
        .connections = o->connections,
        .link_wait = o->link_wait,
    };
}
