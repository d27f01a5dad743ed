/*
 * Values that could not be read are zero (policy_schema.c): addresses then have no family, since
 * IPv4 ones are kept IPv4-mapped, and strings are NULL. Both are skipped here.
 */
#include "policy/policy_check.h"

#include <stdio.h>
#include <string.h>

#include "policy/policy_scalar.h"

static bool known(const struct ip_addr *a)
{
    return a->q[0] != 0 || a->q[1] != 0;
}

/* ---- interfaces ---- */

/* Kernel interfaces have one name space, whatever they are used through. */
static bool same_device(const struct policy_interface *a, const struct policy_interface *b)
{
    bool a_netdev = a->device_kind != POLICY_DEVICE_PCI && a->device_kind != POLICY_DEVICE_VDEV;
    bool b_netdev = b->device_kind != POLICY_DEVICE_PCI && b->device_kind != POLICY_DEVICE_VDEV;
    size_t len;

    if (a->device == NULL || b->device == NULL)
        return false;
    if (a_netdev || b_netdev)
        return a_netdev && b_netdev && strcmp(a->device, b->device) == 0;
    if (a->device_kind != b->device_kind)
        return false;
    /* A vdev's name ends at the first comma and must be unique in the process. */
    len = strcspn(a->device, ",");
    return len == strcspn(b->device, ",") && strncmp(a->device, b->device, len) == 0;
}

bool policy_interface_shares(const struct policy_interface *a, const struct policy_interface *b)
{
    return a->device_kind == b->device_kind && strcmp(a->device, b->device) == 0;
}

static bool overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return known(&a->addr) && known(&b->addr) &&
           (ip_in_prefix(&a->addr, b) || ip_in_prefix(&b->addr, a));
}

static void check_overlap(struct policy_reader *r, unsigned index, unsigned addr_index,
                          const struct policy_interface *former)
{
    const struct policy_interface *in = &r->snapshot->policy.interfaces[index];
    const struct ip_prefix *addr = &in->addrs[addr_index];
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < former->addr_count; i++) {
        bool same = ip_equal(&addr->addr, &former->addrs[i].addr);

        if (!overlap(addr, &former->addrs[i]) || (former == in && (i >= addr_index || !same)))
            continue;
        policy_reader_error(
            r, policy_node_at(policy_reader_entry(r, "interfaces", index, "addresses"), addr_index),
            same ? "the address is that of interface \"%s\" (line %u) already: %s"
                 : "the network overlaps that of interface \"%s\" (line %u): %s",
            former->name, former->mark.line, ip_prefix_format(&former->addrs[i], text));
        return;
    }
}

/* Interfaces may share a device that both write alike; a VLAN of it is one interface's. */
static void check_device(struct policy_reader *r, unsigned index, unsigned former)
{
    const struct policy_interface *in = &r->snapshot->policy.interfaces[index];
    const struct policy_interface *of = &r->snapshot->policy.interfaces[former];

    if (!same_device(in, of))
        return;
    if (!policy_interface_shares(in, of) || (in->vlan == of->vlan && in->vlan == 0))
        policy_reader_error(r, policy_reader_entry(r, "interfaces", index, "device"),
                            "the device is that of interface \"%s\" (line %u) already", of->name,
                            of->mark.line);
    else if (in->vlan == of->vlan)
        policy_reader_error(r, policy_reader_entry(r, "interfaces", index, "vlan"),
                            "VLAN %u of the device is that of interface \"%s\" (line %u) already",
                            in->vlan, of->name, of->mark.line);
}

/* RFC 8200, 5. */
static void check_mtu(struct policy_reader *r, const struct policy_interface *in, unsigned index)
{
    for (unsigned i = 0; i < in->addr_count; i++) {
        const struct ip_addr *addr = &in->addrs[i].addr;

        if (!known(addr) || ip_is_v4(addr) || in->mtu == 0 || in->mtu >= 1280)
            continue;
        policy_reader_error(r, policy_reader_entry(r, "interfaces", index, "mtu"),
                            "IPv6 needs an MTU of at least 1280");
        return;
    }
}

static void check_interface(struct policy_reader *r, unsigned index)
{
    const struct policy_interface *interfaces = r->snapshot->policy.interfaces;

    for (unsigned former = 0; former < index; former++)
        check_device(r, index, former);
    check_mtu(r, &interfaces[index], index);
    for (unsigned i = 0; i < interfaces[index].addr_count; i++)
        for (unsigned former = 0; former <= index; former++)
            check_overlap(r, index, i, &interfaces[former]);
}

static bool is_netdev(const struct policy_interface *in, const char *name)
{
    return in->device != NULL && in->device_kind != POLICY_DEVICE_PCI &&
           in->device_kind != POLICY_DEVICE_VDEV && strcmp(in->device, name) == 0;
}

/* A TAP to the kernel is one of our making, and of one interface. */
static void check_punt(struct policy_reader *r, unsigned index)
{
    const struct policy *p = &r->snapshot->policy;
    const char *tap = p->interfaces[index].punt_tap;
    const struct policy_node *at =
        policy_node_get(policy_reader_entry(r, "interfaces", index, "punt"), "tap");

    for (unsigned i = 0; i < p->interface_count; i++) {
        const struct policy_interface *other = &p->interfaces[i];

        if (is_netdev(other, tap))
            policy_reader_error(r, at, "\"%s\" is the device of interface \"%s\" (line %u)", tap,
                                other->name, other->mark.line);
        if (i < index && other->punt_tap != NULL && strcmp(other->punt_tap, tap) == 0)
            policy_reader_error(r, at, "interface \"%s\" (line %u) has this TAP already",
                                other->name, other->mark.line);
    }
}

/* ---- what is reached how ---- */

/* Is every address of every interface known? Otherwise one cannot say that something is not
 * reached. */
static bool complete(const struct policy *p)
{
    for (unsigned i = 0; i < p->interface_count; i++) {
        if (p->interfaces[i].addr_count == 0)
            return false;
        for (unsigned j = 0; j < p->interfaces[i].addr_count; j++)
            if (!known(&p->interfaces[i].addrs[j].addr))
                return false;
    }
    return p->interface_count > 0;
}

/* The interface's network that holds the address; *own: it is the interface's own address. */
static const struct ip_prefix *connected(const struct policy *p, const struct ip_addr *addr,
                                         const struct policy_interface **own)
{
    const struct ip_prefix *found = NULL;

    *own = NULL;
    for (unsigned i = 0; i < p->interface_count; i++) {
        for (unsigned j = 0; j < p->interfaces[i].addr_count; j++) {
            const struct ip_prefix *prefix = &p->interfaces[i].addrs[j];

            if (!ip_in_prefix(addr, prefix))
                continue;
            found = prefix;
            if (ip_equal(addr, &prefix->addr)) {
                *own = &p->interfaces[i];
                return found;
            }
        }
    }
    return found;
}

/* ::/0 is all zero as well: its gateway tells it from what could not be read. */
static bool known_prefix(const struct policy_route *route)
{
    return known(&route->to.addr) ||
           (route->to.len == 0 && known(&route->via) && !ip_is_v4(&route->via));
}

static bool routed(const struct policy *p, const struct ip_addr *addr)
{
    for (unsigned i = 0; i < p->route_count; i++)
        if (known_prefix(&p->routes[i]) && ip_in_prefix(addr, &p->routes[i].to))
            return true;
    return false;
}

/* A link-local gateway is on a link that speaks IPv6. */
static void check_link(struct policy_reader *r, unsigned index)
{
    const struct policy_interface *in = r->snapshot->policy.routes[index].interface;
    bool ipv6;

    if (in == NULL)
        return;
    ipv6 = in->router_advertisements;
    for (unsigned i = 0; i < in->addr_count; i++)
        ipv6 |= !ip_is_v4(&in->addrs[i].addr);
    if (!ipv6)
        policy_reader_error(r, policy_reader_entry(r, "routes", index, "interface"),
                            "the interface \"%s\" (line %u) has no IPv6 address", in->name,
                            in->mark.line);
}

static void check_gateway(struct policy_reader *r, unsigned index)
{
    const struct ip_addr *via = &r->snapshot->policy.routes[index].via;
    const struct policy_node *at = policy_reader_entry(r, "routes", index, "via");
    const struct policy_interface *own;
    const struct ip_prefix *network = connected(&r->snapshot->policy, via, &own);
    char text[IP_TEXT_MAX];
    const char *special;

    if (policy_addr_link_local(via)) {
        check_link(r, index);
        return;
    }
    if (network == NULL) {
        policy_reader_error(r, at, "no interface has a network that holds the gateway %s",
                            ip_format(via, text));
        return;
    }
    special = policy_addr_special_in(via, network);
    if (own != NULL)
        policy_reader_error(r, at, "the gateway is interface \"%s\" itself", own->name);
    else if (special != NULL)
        policy_reader_error(r, at, "expected the address of a host, found %s", special);
}

static bool family_differs(const struct policy_route *route)
{
    return ip_is_v4(&route->via) != (route->to.len >= 96 && ip_is_v4(&route->to.addr));
}

static void check_route(struct policy_reader *r, unsigned index)
{
    const struct policy_route *routes = r->snapshot->policy.routes;
    const struct policy_route *route = &routes[index];

    if (known(&route->via) && complete(&r->snapshot->policy))
        check_gateway(r, index);
    if (known(&route->via) && known_prefix(route) && family_differs(route))
        policy_reader_error(r, policy_reader_entry(r, "routes", index, "via"),
                            "the gateway is %s, the destination is not",
                            ip_is_v4(&route->via) ? "IPv4" : "IPv6");
    for (unsigned i = 0; i < index && known_prefix(route); i++) {
        if (!known_prefix(&routes[i]))
            continue;
        if (routes[i].to.len != route->to.len || !ip_equal(&routes[i].to.addr, &route->to.addr))
            continue;
        policy_reader_error(r, policy_reader_entry(r, "routes", index, "to"),
                            "there is a route to this destination already, in line %u",
                            routes[i].mark.line);
        break;
    }
}

static void check_server(struct policy_reader *r, const struct policy_node *at,
                         const struct ip_addr *addr)
{
    const struct policy *p = &r->snapshot->policy;
    const struct policy_interface *own;
    const struct ip_prefix *network = connected(p, addr, &own);
    const char *special = network != NULL ? policy_addr_special_in(addr, network) : NULL;
    char text[IP_TEXT_MAX];

    if (own != NULL)
        policy_reader_error(r, at, "%s is the address of interface \"%s\": connections would loop",
                            ip_format(addr, text), own->name);
    else if (special != NULL)
        policy_reader_error(r, at, "expected the address of a host, found %s, %s",
                            ip_format(addr, text), special);
    else if (network == NULL && !routed(p, addr))
        policy_reader_error(r, at, "no interface and no route reaches %s", ip_format(addr, text));
}

/* The node of the index-th server: its address, where it is a mapping. */
static const struct policy_node *server_node(const struct policy_node *servers, unsigned index)
{
    const struct policy_node *server = policy_node_at(servers, index);
    const struct policy_node *address = policy_node_get(server, "address");

    return address != NULL ? address : server;
}

/* Finds equal servers by their canonical text. */
static void check_backend(struct policy_reader *r, unsigned index)
{
    const struct policy_backend *backend = &r->snapshot->policy.backends[index];
    const struct policy_node *servers = policy_reader_entry(r, "backends", index, "servers");
    struct policy_table seen = {0};

    if (policy_table_init(&seen, &r->nodes, backend->server_count) < 0) {
        r->no_memory = true;
        return;
    }
    for (unsigned i = 0; i < backend->server_count; i++) {
        struct policy_server *server = &backend->servers[i];
        char text[IP_TEXT_MAX];
        const char *key;

        if (!known(&server->endpoint.addr))
            continue;
        ip_endpoint_format(&server->endpoint, text);
        key = policy_arena_copy(&r->nodes, text, strlen(text));
        if (key == NULL) {
            r->no_memory = true;
            return;
        }
        if (policy_table_add(&seen, key, server) != NULL)
            policy_reader_error(r, server_node(servers, i), "listed twice");
        else if (complete(&r->snapshot->policy))
            check_server(r, server_node(servers, i), &server->endpoint.addr);
    }
}

/* ---- listeners ---- */

static void check_bind(struct policy_reader *r, unsigned index)
{
    const struct policy *p = &r->snapshot->policy;
    const struct ip_addr *addr = &p->listeners[index].bind.addr;
    const struct policy_interface *own;
    char found[IP_TEXT_MAX], have[256];
    size_t len = 0;

    connected(p, addr, &own);
    if (own != NULL)
        return;
    for (unsigned i = 0; i < p->interface_count; i++) {
        for (unsigned j = 0; j < p->interfaces[i].addr_count && len < sizeof have; j++) {
            char text[IP_TEXT_MAX];

            len += (size_t)snprintf(have + len, sizeof have - len, "%s%s", len > 0 ? ", " : "",
                                    ip_format(&p->interfaces[i].addrs[j].addr, text));
        }
    }
    policy_reader_error(r, policy_reader_entry(r, "listeners", index, "bind"),
                        "no interface has the address %s, expected one of: %s",
                        ip_format(addr, found), have);
}

/* Finds equal endpoints by their text, which is canonical. */
static void check_binds(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;
    struct policy_table seen = {0};

    if (policy_table_init(&seen, &r->nodes, p->listener_count) < 0) {
        r->no_memory = true;
        return;
    }
    for (unsigned i = 0; i < p->listener_count; i++) {
        struct policy_listener *listener = &p->listeners[i], *former;
        const struct policy_node *at = policy_reader_entry(r, "listeners", i, "bind");
        char text[IP_TEXT_MAX];
        const char *key;

        if (!known(&listener->bind.addr))
            continue;
        ip_endpoint_format(&listener->bind, text); /* IPv6 has many ways to write an address */
        key = policy_arena_copy(&r->nodes, text, strlen(text));
        if (key == NULL) {
            r->no_memory = true;
            return;
        }
        if (complete(p))
            check_bind(r, i);
        former = policy_table_add(&seen, key, listener);
        if (former != NULL)
            policy_reader_error(r, at, "the listener \"%s\" (line %u) has this address and port",
                                former->name, former->mark.line);
    }
}

void policy_check_network(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;

    for (unsigned i = 0; i < p->interface_count; i++) {
        check_interface(r, i);
        if (p->interfaces[i].punt_tap != NULL)
            check_punt(r, i);
    }
    for (unsigned i = 0; i < p->route_count; i++)
        check_route(r, i);
    for (unsigned i = 0; i < p->backend_count; i++)
        check_backend(r, i);
    check_binds(r);
}
