/* Interfaces and routes. */
#include <string.h>

#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* What the stack can hold (STACK_MAX_IFACES and STACK_IFACE_ADDRS in stack/stack.h). */
#define INTERFACES_MAX 16
#define ADDRESSES_MAX  16

/* ---- interfaces ---- */

static const struct policy_type type_netdev = {
    .name = "interface name",
    .expected = "the name of a network interface (at most 15 characters)",
    .size = sizeof(char *),
    .read = policy_device_netdev,
};

static const struct policy_type type_pci = {
    .name = "PCI address",
    .expected = "a PCI address such as 0000:03:00.0",
    .size = sizeof(char *),
    .read = policy_device_pci,
};

static const struct policy_type type_vdev = {
    .name = "vdev string",
    .expected = "a virtual device as DPDK writes it, such as net_memif0,role=client",
    .size = sizeof(char *),
    .read = policy_device_vdev,
};

/* The order of enum policy_device. */
static const struct policy_key device_keys[] = {
    {.name = "kernel",
     .type = &type_netdev,
     .offset = AT(interface, device),
     .help = "A kernel interface, through AF_XDP; through AF_PACKET where XDP is refused."},
    {.name = "pci",
     .type = &type_pci,
     .offset = AT(interface, device),
     .help = "A network card that is bound to a driver for DPDK (vfio-pci)."},
    {.name = "af-packet",
     .type = &type_netdev,
     .offset = AT(interface, device),
     .help = "A kernel interface through AF_PACKET."},
    {.name = "tap",
     .type = &type_netdev,
     .offset = AT(interface, device),
     .help = "A TAP interface of this name, which is created."},
    {.name = "vdev",
     .type = &type_vdev,
     .offset = AT(interface, device),
     .help = "Any virtual device of DPDK, in DPDK's own notation."},
    {.name = NULL},
};

static void device_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_interface *interface = out;

    interface->device_mark = policy_node_place(n);
    if (n->count != 1) {
        policy_reader_error(r, n, "expected one of kernel, pci, af-packet, tap and vdev, found %s",
                            n->count == 0 ? "none" : "several keys");
        interface->device = NULL;
        return;
    }
    for (unsigned i = 0; device_keys[i].name != NULL; i++)
        if (strcmp(device_keys[i].name, n->first->key->text) == 0)
            interface->device_kind = (enum policy_device)i;
}

static const struct policy_type type_device = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping with one key",
    .expected = "a mapping with one key, such as {kernel: eth1}",
    .finish = device_finish,
    .keys = device_keys,
};

static const struct policy_type type_interface_address = {
    .name = "address/length",
    .expected = "an address with its prefix length, such as 192.0.2.10/24 or 2001:db8::10/64",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_interface,
};

static const struct policy_type type_addresses = {
    .kind = POLICY_KIND_LIST,
    .name = "list of address/length",
    .expected = "a list of addresses with prefix length, such as [192.0.2.10/24]",
    .size = sizeof(struct ip_prefix),
    .element = &type_interface_address,
    .count_max = ADDRESSES_MAX,
    .empty = "an interface needs an address",
};

static const struct policy_type type_mtu = {
    .name = "bytes",
    .expected = "a number of bytes",
    .size = sizeof(uint16_t),
    .read = policy_scalar_number,
    .min = 576,
    .max = 9000,
    .range = "from 576 to 9000",
};

static const struct policy_type type_vlan = {
    .name = "VLAN",
    .expected = "the number of a VLAN",
    .size = sizeof(uint16_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 4094,
    .range = "from 1 to 4094",
};

static void read_advertisements(struct policy_reader *r, const struct policy_type *type,
                                const struct policy_node *n, void *out)
{
    if (strcmp(n->text, "accept") == 0)
        *(bool *)out = true;
    else if (strcmp(n->text, "ignore") != 0)
        policy_schema_mismatch(r, type, n);
}

static const struct policy_type type_advertisements = {
    .name = "accept or ignore",
    .expected = "accept or ignore",
    .size = sizeof(bool),
    .read = read_advertisements,
};

static const struct policy_key punt_keys[] = {
    {.name = "tap",
     .type = &type_netdev,
     .offset = AT(interface, punt_tap),
     .required = true,
     .help =
         "A TAP interface of this name is created; the kernel sees them come in there, and what "
         "it sends there goes out of the interface."},
    {.name = NULL},
};

static void punt_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_interface *interface = out;
    const struct policy_node *tap = policy_node_get(n, "tap");

    (void)r;
    interface->punt_mark = policy_node_place(tap != NULL ? tap : n);
}

static const struct policy_type type_punt = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {tap: sluice0}",
    .finish = punt_finish,
    .keys = punt_keys,
};

static const struct policy_key interface_keys[] = {
    {.name = "device",
     .type = &type_device,
     .required = true,
     .help = "Where packets come from and go to."},
    {.name = "vlan",
     .type = &type_vlan,
     .offset = AT(interface, vlan),
     .help = "Only frames with this IEEE 802.1Q tag, from 1 to 4094, are the interface's; without "
             "the key, untagged ones. Several interfaces may name one device, each with a VLAN of "
             "its own."},
    {.name = "addresses",
     .type = &type_addresses,
     LIST_AT(interface, addrs, addr_count),
     .required = true,
     .help = "Addresses that this interface answers to, each with the length of its network."},
    {.name = "mtu",
     .type = &type_mtu,
     .offset = AT(interface, mtu),
     .help = "Largest IP packet, from 576 to 9000; by default the device's own."},
    {.name = "rate",
     .type = &policy_keys_rate,
     .offset = AT(interface, rate),
     .help =
         "Bits a second that are sent at most, for classes to share; by default what the device "
         "takes."},
    {.name = "router-advertisements",
     .type = &type_advertisements,
     .offset = AT(interface, router_advertisements),
     .help = "`accept`: IPv6 routers, prefixes and the MTU are learned from routers; `ignore`, the "
             "default: only what is configured counts."},
    {.name = "punt",
     .type = &type_punt,
     .help = "Packets for addresses and ports that are not served here go to the kernel; without "
             "this key they are dropped."},
    {.name = NULL},
};

static void interface_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_interface *interface = out;

    (void)index;
    interface->name = n->key->text;
    interface->mark = n->key->mark;
}

static const struct policy_type type_interface = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys device and addresses",
    .size = sizeof(struct policy_interface),
    .begin = interface_begin,
    .keys = interface_keys,
};

const struct policy_type policy_keys_interfaces = {
    .kind = POLICY_KIND_SECTION,
    .name = "interfaces by name",
    .expected = "a mapping of interfaces by name",
    .size = sizeof(struct policy_interface),
    .element = &type_interface,
    .count_max = INTERFACES_MAX,
    .empty = "there must be an interface",
    .defines = POLICY_SECTION_INTERFACES,
};

/* ---- routes ---- */

static const struct policy_type type_destination = {
    .name = "prefix or `default`",
    .expected = "a prefix such as 198.51.100.0/24 or 2001:db8:1::/48, or default",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_default,
};

static const struct policy_type type_gateway = {
    .name = "address",
    .expected = "an address such as 192.0.2.1 or 2001:db8::1",
    .size = sizeof(struct ip_addr),
    .read = policy_addr_gateway,
};

static const struct policy_type type_link = {
    .name = "interface's name",
    .expected = "the name of an interface",
    .size = sizeof(struct policy_interface *),
    .section = POLICY_SECTION_INTERFACES,
    .read = policy_name_reference,
};

static const struct policy_key route_keys[] = {
    {.name = "to",
     .type = &type_destination,
     .offset = AT(route, to),
     .required = true,
     .help = "The destinations of the route; `default` is 0.0.0.0/0, or ::/0 via an IPv6 gateway."},
    {.name = "via",
     .type = &type_gateway,
     .offset = AT(route, via),
     .required = true,
     .help =
         "The gateway, an address in the network of one of the interfaces, or a link-local one."},
    {.name = "interface",
     .type = &type_link,
     .offset = AT(route, interface),
     .help = "Where a link-local gateway (fe80::/10) is; with others it is left out."},
    {.name = NULL},
};

static void route_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_route *route = out;

    (void)index;
    route->mark = policy_node_place(n);
}

/* The gateway says of which family the default is, whatever the keys' order. */
static void route_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    const struct policy_node *to = policy_node_get(n, "to"), *via = policy_node_get(n, "via");
    struct policy_route *route = out;
    bool known = route->via.q[0] != 0 || route->via.q[1] != 0;

    if (to != NULL && to->text != NULL && strcmp(to->text, "default") == 0 && known &&
        !ip_is_v4(&route->via))
        route->to = (struct ip_prefix){0};
    if (known && policy_addr_link_local(&route->via) && policy_node_get(n, "interface") == NULL)
        policy_reader_error(r, via,
                            "a link-local gateway needs the key \"interface\": the same address "
                            "may be on every link");
    if (known && !policy_addr_link_local(&route->via) && policy_node_get(n, "interface") != NULL)
        policy_reader_error(r, policy_node_get(n, "interface"),
                            "only a link-local gateway needs an interface: the network of %s says "
                            "which it is",
                            via->text);
}

static const struct policy_type type_route = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys to and via",
    .size = sizeof(struct policy_route),
    .begin = route_begin,
    .finish = route_finish,
    .keys = route_keys,
};

const struct policy_type policy_keys_routes = {
    .kind = POLICY_KIND_LIST,
    .name = "list of routes",
    .expected = "a list of routes such as [{to: default, via: 192.0.2.1}]",
    .size = sizeof(struct policy_route),
    .element = &type_route,
    .count_max = 1024,
};
