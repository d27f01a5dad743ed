#include "appliance/ports.h"

#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#include "base/log.h"

static const enum io_device device_kinds[] = {
    [POLICY_DEVICE_KERNEL] = IO_DEVICE_KERNEL,       [POLICY_DEVICE_PCI] = IO_DEVICE_PCI,
    [POLICY_DEVICE_AF_PACKET] = IO_DEVICE_AF_PACKET, [POLICY_DEVICE_TAP] = IO_DEVICE_TAP,
    [POLICY_DEVICE_VDEV] = IO_DEVICE_VDEV,
};

unsigned ports_pci(const struct policy *policy, const char **out)
{
    unsigned count = 0;

    for (unsigned i = 0; i < policy->interface_count && count < STACK_MAX_IFACES; i++) {
        if (policy->interfaces[i].device_kind == POLICY_DEVICE_PCI)
            out[count++] = policy->interfaces[i].device;
    }
    return count;
}

static struct io_port_config port_config(const struct policy_interface *f, unsigned workers,
                                         const struct memory_plan *memory)
{
    return (struct io_port_config){
        .name = f->name,
        .kind = device_kinds[f->device_kind],
        .device = f->device,
        .workers = workers,
        .mtu = f->mtu,
        .buffers = memory->buffers,
    };
}

/* The kernel's frames wait in the interface's scheduler and device, beside the stack's own. */
#define TAP_BUFFERS 4096

/* `mac`: of the interface, once that is open. */
static struct io_port_config tap_config(const struct policy_interface *f, unsigned workers,
                                        uint16_t mtu, const uint8_t *mac)
{
    return (struct io_port_config){
        .name = f->name,
        .kind = IO_DEVICE_TAP,
        .device = f->punt_tap,
        .workers = workers,
        .mtu = mtu < RTE_ETHER_MTU ? mtu : RTE_ETHER_MTU,
        .buffers = TAP_BUFFERS,
        .mac = mac,
        .undivided = true,
    };
}

uint64_t ports_memory(const struct policy *policy, unsigned workers,
                      const struct memory_plan *memory)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < policy->interface_count; i++) {
        const struct io_port_config config = port_config(&policy->interfaces[i], workers, memory);

        bytes += io_port_memory(&config);
        if (policy->interfaces[i].punt_tap != NULL) {
            const struct io_port_config tap =
                tap_config(&policy->interfaces[i], workers, RTE_ETHER_MTU, NULL);

            bytes += io_port_memory(&tap);
        }
    }
    return bytes;
}

static int tap_open(struct port *p, const struct policy_interface *f,
                    const struct io_port_config *of, struct error *e)
{
    struct io_port_config config = tap_config(f, of->workers, p->facts.mtu, p->facts.mac);

    p->tap = NULL;
    if (f->punt_tap == NULL)
        return 0;
    memcpy(config.rss_key, of->rss_key, sizeof config.rss_key);
    p->tap = io_port_open(&config, e);
    return p->tap != NULL ? 0 : -1;
}

static int port_open(struct port *p, const struct policy_interface *f,
                     const struct io_port_config *config, struct error *e)
{
    if (f->addr_count > STACK_IFACE_ADDRS)
        return error_set(e, "interface %s: more than %d addresses", f->name, STACK_IFACE_ADDRS);
    p->addr_count = f->addr_count;
    memcpy(p->addrs, f->addrs, f->addr_count * sizeof *f->addrs);
    p->name = strdup(f->name);
    if (p->name == NULL)
        return error_set(e, "out of memory");
    p->io = io_port_open(config, e);
    if (p->io == NULL) {
        free(p->name);
        return -1;
    }
    io_port_facts(p->io, &p->facts);
    if (tap_open(p, f, config, e) < 0) {
        io_port_close(p->io);
        free(p->name);
        return -1;
    }
    p->link_up = io_port_link_up(p->io);
    if (!p->link_up)
        log_warn("port", "%s: the link is down", p->name);
    return 0;
}

int ports_open(struct ports *ports, const struct policy *policy, unsigned workers,
               const struct memory_plan *memory, const struct secrets *secrets, struct error *e)
{
    ports->count = 0;
    if (policy->interface_count > STACK_MAX_IFACES)
        return error_set(e, "more than %d interfaces", STACK_MAX_IFACES);
    for (unsigned i = 0; i < policy->interface_count; i++) {
        const struct policy_interface *f = &policy->interfaces[i];
        struct io_port_config config = port_config(f, workers, memory);

        memcpy(config.rss_key, secrets->rss_key, sizeof config.rss_key);
        if (port_open(&ports->port[i], f, &config, e) < 0) {
            ports_close(ports);
            return -1;
        }
        ports->count++;
    }
    return 0;
}

void ports_close(struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++) {
        io_port_stop(ports->port[i].io);
        if (ports->port[i].tap != NULL)
            io_port_stop(ports->port[i].tap);
    }
    while (ports->count > 0) {
        struct port *p = &ports->port[--ports->count];

        io_port_close(p->io);
        io_port_close(p->tap);
        free(p->name);
    }
}

const struct port *ports_of_address(const struct ports *ports, const struct ip_addr *addr)
{
    for (unsigned i = 0; i < ports->count; i++) {
        const struct port *p = &ports->port[i];

        for (unsigned a = 0; a < p->addr_count; a++) {
            if (ip_equal(&p->addrs[a].addr, addr))
                return p;
        }
    }
    return &ports->port[0];
}

int ports_numa_node(const struct ports *ports)
{
    int node = -1;

    for (unsigned i = 0; i < ports->count; i++) {
        int here = ports->port[i].facts.numa_node;

        if (here >= 0 && node >= 0 && here != node)
            return -1;
        if (here >= 0)
            node = here;
    }
    return node;
}

void ports_links_poll(struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++) {
        struct port *p = &ports->port[i];
        bool up = io_port_link_up(p->io);

        if (up == p->link_up)
            continue;
        p->link_up = up;
        log_warn("port", "%s: the link %s", p->name, up ? "is up again" : "went down");
    }
}
