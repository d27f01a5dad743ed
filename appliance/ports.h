/*
 * The ports of all interfaces, in the order of the policy: an interface's index in the stack is its
 * index here. Opened before the workers start, closed after they ended.
 *
 * Interfaces of several VLANs may share a device. The first of them owns it: what is counted of the
 * device and its pools is told under that one's name.
 */
#ifndef APPLIANCE_PORTS_H
#define APPLIANCE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/memory.h"
#include "appliance/secrets.h"
#include "base/error.h"
#include "base/ip.h"
#include "policy/policy.h"
#include "stack/io/io.h"
#include "stack/stack.h"

struct port {
    char *name;         /* the policy's */
    struct io_port *io; /* of the interface's device */
    struct io_port_facts facts;
    unsigned device;     /* index of the port that owns the device: its own, or an earlier one's */
    bool shared;         /* several ports have the device */
    uint16_t vlan, mtu;  /* of the interface */
    struct io_port *tap; /* to the kernel, for what is punted; NULL: none */
    bool link_up;
    struct ip_prefix addrs[STACK_IFACE_ADDRS];
    unsigned addr_count;
    bool router_advertisements; /* are taken in */
};

struct ports {
    unsigned count;
    struct port port[STACK_MAX_IFACES];
};

/* What EAL must know of the policy before ports are opened: the PCI devices. Returns how many were
 * written to out[STACK_MAX_IFACES]. */
unsigned ports_pci(const struct policy *policy, const char **out);

/* Bytes that all ports together will need of EAL. */
uint64_t ports_memory(const struct policy *policy, unsigned workers,
                      const struct memory_plan *memory);

/* Opens all, or none. */
int ports_open(struct ports *ports, const struct policy *policy, unsigned workers,
               const struct memory_plan *memory, const struct secrets *secrets, struct error *e);
void ports_close(struct ports *ports);

/* The port on which this address is ours; the first one when it is none of ours. */
const struct port *ports_of_address(const struct ports *ports, const struct ip_addr *addr);

/* The port to which a VLAN of a device belongs (0: untagged frames); the device's owner when it is
 * no port's. */
unsigned ports_of_vlan(const struct ports *ports, unsigned device, uint16_t vlan);

/* The NUMA node that all ports share, or -1 where they differ or none is known. */
int ports_numa_node(const struct ports *ports);

/* Logs links that went down or came up since the last call. */
void ports_links_poll(struct ports *ports);

#endif
