#include "appliance/ports.h"

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "base/log.h"

static const enum io_device device_kinds[] = {
    [POLICY_DEVICE_KERNEL] = IO_DEVICE_KERNEL,       [POLICY_DEVICE_PCI] = IO_DEVICE_PCI,
    [POLICY_DEVICE_AF_PACKET] = IO_DEVICE_AF_PACKET, [POLICY_DEVICE_TAP] = IO_DEVICE_TAP,
    [POLICY_DEVICE_VDEV] = IO_DEVICE_VDEV,
};

/* The first interface on the device of another one. */
static unsigned device_owner(const struct policy *policy, unsigned index)
{
    unsigned i = 0;

    while (!policy_interface_shares(&policy->interfaces[i], &policy->interfaces[index]))
        i++;
    return i;
}

unsigned ports_pci(const struct policy *policy, const char **out)
{
    unsigned count = 0;

    for (unsigned i = 0; i < policy->interface_count && count < STACK_MAX_IFACES; i++) {
        if (policy->interfaces[i].device_kind == POLICY_DEVICE_PCI && device_owner(policy, i) == i)
            out[count++] = policy->interfaces[i].device;
    }
    return count;
}

/* Of the device that an interface owns: it carries the largest packets that any interface on it is
 * to carry. */
static struct io_port_config port_config(const struct policy *policy, unsigned owner,
                                         unsigned workers, const struct memory_plan *memory)
{
    const struct policy_interface *f = &policy->interfaces[owner];
    struct io_port_config config = {
        .name = f->name,
        .kind = device_kinds[f->device_kind],
        .device = f->device,
        .workers = workers,
        .buffers = memory->buffers + MEMORY_FRAGMENT_BUFFERS,
    };

    for (unsigned i = owner; i < policy->interface_count; i++) {
        if (device_owner(policy, i) != owner)
            continue;
        config.interfaces++;
        config.mtu = RTE_MAX(config.mtu, policy->interfaces[i].mtu);
    }
    return config;
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
        if (device_owner(policy, i) == i) {
            const struct io_port_config config = port_config(policy, i, workers, memory);

            bytes += io_port_memory(&config);
        }
        if (policy->interfaces[i].punt_tap != NULL) {
            const struct io_port_config tap =
                tap_config(&policy->interfaces[i], workers, RTE_ETHER_MTU, NULL);

            bytes += io_port_memory(&tap);
        }
    }
    return bytes;
}

static int tap_open(struct port *p, const struct policy_interface *f, unsigned workers,
                    const struct secrets *secrets, struct error *e)
{
    struct io_port_config config = tap_config(f, workers, p->mtu, p->facts.mac);

    if (f->punt_tap == NULL)
        return 0;
    memcpy(config.rss_key, secrets->rss_key, sizeof config.rss_key);
    p->tap = io_port_open(&config, e);
    return p->tap != NULL ? 0 : -1;
}

/* What does not need the device. */
static int port_init(struct port *p, const struct policy_interface *f, struct error *e)
{
    *p = (struct port){.vlan = f->vlan,
                       .addr_count = f->addr_count,
                       .router_advertisements = f->router_advertisements};
    if (f->addr_count > STACK_IFACE_ADDRS)
        return error_set(e, "interface %s: more than %d addresses", f->name, STACK_IFACE_ADDRS);
    memcpy(p->addrs, f->addrs, f->addr_count * sizeof *f->addrs);
    p->name = strdup(f->name);
    return p->name != NULL ? 0 : error_set(e, "out of memory");
}

/* Opens the device, or shares it with the port that owns it. */
static int port_attach(struct ports *ports, unsigned index, struct io_port_config *config,
                       const struct secrets *secrets, struct error *e)
{
    struct port *p = &ports->port[index];

    if (p->device == index) {
        memcpy(config->rss_key, secrets->rss_key, sizeof config->rss_key);
        p->io = io_port_open(config, e);
        p->shared = config->interfaces > 1;
    } else {
        p->io = ports->port[p->device].io;
        p->shared = true;
    }
    if (p->io == NULL)
        return -1;
    io_port_facts(p->io, &p->facts);
    return 0;
}

static void port_close(struct port *p, bool owner)
{
    io_port_close(p->tap);
    if (owner)
        io_port_close(p->io);
    free(p->name);
    p->name = NULL;
}

static int port_open(struct ports *ports, const struct policy *policy, unsigned index,
                     unsigned workers, const struct memory_plan *memory,
                     const struct secrets *secrets, struct error *e)
{
    const struct policy_interface *f = &policy->interfaces[index];
    unsigned owner = device_owner(policy, index);
    struct io_port_config config = port_config(policy, owner, workers, memory);
    struct port *p = &ports->port[index];

    if (port_init(p, f, e) < 0)
        return -1;
    p->device = owner;
    if (port_attach(ports, index, &config, secrets, e) < 0) {
        free(p->name);
        return -1;
    }
    p->mtu = f->mtu != 0 ? f->mtu : p->facts.mtu;
    if (tap_open(p, f, workers, secrets, e) < 0) {
        port_close(p, owner == index);
        return -1;
    }
    if (p->vlan != 0)
        log_info("port", "%s: VLAN %u of %s, MTU %u", p->name, p->vlan, f->device, p->mtu);
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
        if (port_open(ports, policy, i, workers, memory, secrets, e) < 0) {
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
        ports->count--;
        port_close(&ports->port[ports->count], ports->port[ports->count].device == ports->count);
    }
}

unsigned ports_of_vlan(const struct ports *ports, unsigned device, uint16_t vlan)
{
    for (unsigned i = device; i < ports->count; i++) {
        if (ports->port[i].device == device && ports->port[i].vlan == vlan)
            return i;
    }
    return device;
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
