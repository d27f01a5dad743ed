/*
 * Every key of the file: name, type, default, help, and where its value goes. The order is that in
 * which keys are read: certificates before listeners, both and backends before the policy.
 */
#include <string.h>

#include "policy/policy_scalar.h"

#define AT(type, member)          offsetof(struct policy_##type, member)
#define LIST_AT(type, list, size) .offset = AT(type, list), .count_offset = AT(type, size)

/* What the stack can hold (STACK_MAX_IFACES and STACK_IFACE_ADDRS in stack/stack.h). */
#define INTERFACES_MAX 16
#define ADDRESSES_MAX  16

/* ---- single values ---- */

static const struct policy_type type_cpu = {
    .name = "CPU number",
    .expected = "the number of a CPU",
    .size = sizeof(unsigned),
    .read = policy_scalar_number,
    .max = 1023,
    .range = "from 0 to 1023",
};

static const struct policy_choice hugepages_choices[] = {
    {"auto", POLICY_HUGEPAGES_AUTO},
    {"require", POLICY_HUGEPAGES_REQUIRE},
    {"off", POLICY_HUGEPAGES_OFF},
    {NULL, 0},
};

static const struct policy_type type_hugepages = {
    .name = "`auto`, `require` or `off`",
    .expected = "auto, require or off",
    .size = sizeof(enum policy_hugepages),
    .read = policy_scalar_choice,
    .choices = hugepages_choices,
};

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

static const struct policy_type type_interface_address = {
    .name = "address/length",
    .expected = "an address with its prefix length, such as 192.0.2.10/24",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_interface,
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

static const struct policy_type type_destination = {
    .name = "prefix or `default`",
    .expected = "a prefix such as 198.51.100.0/24, or default",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_default,
};

static const struct policy_type type_gateway = {
    .name = "address",
    .expected = "an address such as 192.0.2.1",
    .size = sizeof(struct ip_addr),
    .read = policy_addr_host,
};

static const struct policy_type type_path = {
    .name = "path",
    .expected = "the path of a file",
    .size = sizeof(char *),
    .read = policy_scalar_path,
};

static const struct policy_choice balance_choices[] = {
    {"round-robin", POLICY_ROUND_ROBIN},
    {NULL, 0},
};

static const struct policy_type type_balance = {
    .name = "`round-robin`",
    .expected = "round-robin",
    .size = sizeof(enum policy_balance),
    .read = policy_scalar_choice,
    .choices = balance_choices,
};

/* Durations longer than the timing wheel's reach would be cut by it; a week is well within. */
static const struct policy_type type_duration = {
    .name = "duration",
    .expected = "a duration such as 500ms, 10s, 5m, 1h or 1d",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = CLOCK_MS,
    .max = 7 * 86400 * CLOCK_SEC,
    .range = "from 1ms to 7d",
};

static const struct policy_type type_duration_or_zero = {
    .name = "duration",
    .expected = "a duration such as 30s, or 0s",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .max = 7 * 86400 * CLOCK_SEC,
    .range = "from 0s to 7d",
};

static const struct policy_type type_bind = {
    .name = "address:port",
    .expected = "an address and a port from 1 to 65535, such as 192.0.2.10:443",
    .size = sizeof(struct ip_endpoint),
    .read = policy_addr_bind,
};

static const struct policy_type type_backlog = {
    .name = "number",
    .expected = "a number of connections",
    .size = sizeof(uint32_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 1 << 20,
    .range = "from 1 to 1048576",
};

static const struct policy_type type_version = {
    .name = "`1.2` or `1.3`",
    .expected = "1.2 or 1.3",
    .size = sizeof(uint16_t),
    .read = policy_tls_version,
};

static const struct policy_type type_protocol = {
    .name = "protocol name",
    .expected = "a protocol name such as http/1.1",
    .size = 1,
};

static const struct policy_type type_certificate_name = {
    .name = "name of a certificate",
    .expected = "the name of a certificate",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_CERTIFICATES,
};

static const struct policy_type type_default_certificate = {
    .name = "name of a certificate",
    .expected = "one of the listener's certificates",
    .size = sizeof(int),
    .read = policy_tls_default,
};

static const struct policy_type type_backend_name = {
    .name = "name of a backend",
    .expected = "the name of a backend",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_BACKENDS,
};

static const struct policy_type type_listener_name = {
    .name = "name of a listener",
    .expected = "the name of a listener",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_LISTENERS,
};

static const struct policy_type type_source = {
    .name = "prefix",
    .expected = "an address or prefix such as 198.51.100.0/24",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_network,
};

static const struct policy_type type_sni = {
    .name = "server name",
    .expected = "a server name such as shop.example or *.shop.example",
    .size = sizeof(char *),
    .read = policy_name_sni,
};

static const struct policy_choice action_choices[] = {
    {"terminate", POLICY_TERMINATE},
    {"splice", POLICY_SPLICE},
    {"reject", POLICY_REJECT},
    {NULL, 0},
};

static const struct policy_type type_action = {
    .name = "`terminate`, `splice` or `reject`",
    .expected = "terminate, splice or reject",
    .size = sizeof(enum policy_action),
    .read = policy_scalar_choice,
    .choices = action_choices,
};

static const struct policy_type type_connections = {
    .name = "number",
    .expected = "a number of connections",
    .size = sizeof(uint32_t),
    .read = policy_scalar_number,
    .min = 64,
    .max = 1 << 24,
    .range = "from 64 to 16777216",
};

static const struct policy_type type_memory = {
    .name = "size",
    .expected = "a size such as 64MiB or 1GiB",
    .size = sizeof(uint64_t),
    .read = policy_scalar_size,
    .min = 1ull << 20,
    .max = 1ull << 40,
    .range = "from 1MiB to 1TiB",
};

/* ---- workers, interfaces, routes ---- */

static const struct policy_type type_workers = {
    .kind = POLICY_KIND_LIST,
    .name = "list of CPU numbers",
    .expected = "a list of CPU numbers such as [1, 2, 3]",
    .size = sizeof(unsigned),
    .element = &type_cpu,
    .count_max = 128,
    .empty = "leave the key out to use all CPUs but the first",
    .unique = true,
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

static const struct policy_type type_addresses = {
    .kind = POLICY_KIND_LIST,
    .name = "list of address/length",
    .expected = "a list of addresses with prefix length, such as [192.0.2.10/24]",
    .size = sizeof(struct ip_prefix),
    .element = &type_interface_address,
    .count_max = ADDRESSES_MAX,
    .empty = "an interface needs an address",
    .unique = true,
};

static const struct policy_key interface_keys[] = {
    {.name = "device",
     .type = &type_device,
     .required = true,
     .help = "Where packets come from and go to."},
    {.name = "addresses",
     .type = &type_addresses,
     LIST_AT(interface, addrs, addr_count),
     .required = true,
     .help = "Addresses that this interface answers to, each with the length of its network."},
    {.name = "mtu",
     .type = &type_mtu,
     .offset = AT(interface, mtu),
     .help = "Largest IP packet, from 576 to 9000; by default the device's own."},
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

static const struct policy_type type_interfaces = {
    .kind = POLICY_KIND_SECTION,
    .name = "interfaces by name",
    .expected = "a mapping of interfaces by name",
    .size = sizeof(struct policy_interface),
    .element = &type_interface,
    .count_max = INTERFACES_MAX,
    .empty = "there must be an interface",
};

static const struct policy_key route_keys[] = {
    {.name = "to",
     .type = &type_destination,
     .offset = AT(route, to),
     .required = true,
     .help = "The destinations of the route; `default` is 0.0.0.0/0."},
    {.name = "via",
     .type = &type_gateway,
     .offset = AT(route, via),
     .required = true,
     .help = "The gateway, an address in the network of one of the interfaces."},
    {.name = NULL},
};

static void route_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_route *route = out;

    (void)index;
    route->mark = policy_node_place(n);
}

static const struct policy_type type_route = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys to and via",
    .size = sizeof(struct policy_route),
    .begin = route_begin,
    .keys = route_keys,
};

static const struct policy_type type_routes = {
    .kind = POLICY_KIND_LIST,
    .name = "list of routes",
    .expected = "a list of routes such as [{to: default, via: 192.0.2.1}]",
    .size = sizeof(struct policy_route),
    .element = &type_route,
    .count_max = 1024,
};

/* ---- certificates and backends ---- */

static const struct policy_key certificate_keys[] = {
    {.name = "chain",
     .type = &type_path,
     .offset = AT(certificate, chain),
     .required = true,
     .help = "PEM file of the certificate and its intermediates, the certificate first."},
    {.name = "key",
     .type = &type_path,
     .offset = AT(certificate, key),
     .required = true,
     .help = "PEM file of its private key, not encrypted."},
    {.name = NULL},
};

static void certificate_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_certificate *certificate = out;
    const struct policy_node *chain = policy_node_get(n, "chain");
    const struct policy_node *key = policy_node_get(n, "key");

    (void)index;
    certificate->name = n->key->text;
    certificate->mark = n->key->mark;
    certificate->chain_mark = policy_node_place(chain != NULL ? chain : n);
    certificate->key_mark = policy_node_place(key != NULL ? key : n);
}

static const struct policy_type type_certificate = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys chain and key",
    .size = sizeof(struct policy_certificate),
    .begin = certificate_begin,
    .keys = certificate_keys,
};

static const struct policy_type type_certificates = {
    .kind = POLICY_KIND_SECTION,
    .name = "certificates by name",
    .expected = "a mapping of certificates by name",
    .size = sizeof(struct policy_certificate),
    .element = &type_certificate,
    .count_max = 16384,
    .defines = POLICY_SECTION_CERTIFICATES,
};

static void server_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_server *server = out;

    (void)index;
    server->mark = n->mark;
}

static const struct policy_type type_server = {
    .name = "address:port",
    .expected = "an address and a port from 1 to 65535, such as 10.0.0.11:8080",
    .size = sizeof(struct policy_server),
    .begin = server_begin,
    .read = policy_addr_server,
};

static const struct policy_type type_servers = {
    .kind = POLICY_KIND_LIST,
    .name = "list of address:port",
    .expected = "a list of servers such as [10.0.0.11:8080]",
    .size = sizeof(struct policy_server),
    .element = &type_server,
    .count_max = 1024,
    .empty = "a backend needs a server",
    .unique = true,
};

static const struct policy_key backend_keys[] = {
    {.name = "servers",
     .type = &type_servers,
     LIST_AT(backend, servers, server_count),
     .required = true,
     .help = "The servers that connections are made to."},
    {.name = "balance",
     .type = &type_balance,
     .offset = AT(backend, balance),
     .fallback = "round-robin",
     .help = "How a server is chosen: each in its turn."},
    {.name = "connect-timeout",
     .type = &type_duration,
     .offset = AT(backend, connect_timeout),
     .fallback = "5s",
     .help = "How long one server may take to accept a connection before the next is tried."},
    {.name = NULL},
};

static void backend_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_backend *backend = out;

    backend->name = n->key->text;
    backend->mark = n->key->mark;
    backend->index = index;
}

static const struct policy_type type_backend = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key servers",
    .size = sizeof(struct policy_backend),
    .begin = backend_begin,
    .keys = backend_keys,
};

static const struct policy_type type_backends = {
    .kind = POLICY_KIND_SECTION,
    .name = "backends by name",
    .expected = "a mapping of backends by name",
    .size = sizeof(struct policy_backend),
    .element = &type_backend,
    .count_max = 4096,
    .defines = POLICY_SECTION_BACKENDS,
};

/* ---- listeners ---- */

static const struct policy_type type_certificate_names = {
    .kind = POLICY_KIND_LIST,
    .name = "list of names of certificates",
    .expected = "a list of names of certificates",
    .size = sizeof(void *),
    .element = &type_certificate_name,
    .count_max = 16384,
    .empty = "a listener with tls needs a certificate",
    .unique = true,
};

static const struct policy_type type_alpn = {
    .kind = POLICY_KIND_LIST,
    .name = "list of protocol names",
    .expected = "a list of protocol names such as [http/1.1]",
    .size = 1,
    .read = policy_tls_alpn,
    .element = &type_protocol,
    .count_max = 64,
    .empty = "leave the key out to take no part in ALPN",
    .unique = true,
};

static const struct policy_key tls_keys[] = {
    {.name = "certificates",
     .type = &type_certificate_names,
     LIST_AT(tls, certificates, certificate_count),
     .required = true,
     .help = "Certificates offered here; the client's server name chooses among them."},
    {.name = "default-certificate",
     .type = &type_default_certificate,
     .offset = AT(tls, default_certificate),
     .help = "Certificate for clients that ask for another name or for none. Without it they are "
             "refused with the alert `unrecognized_name`."},
    {.name = "min-version",
     .type = &type_version,
     .offset = AT(tls, min_version),
     .fallback = "1.2",
     .help = "Lowest version of TLS that is accepted."},
    {.name = "max-version",
     .type = &type_version,
     .offset = AT(tls, max_version),
     .fallback = "1.3",
     .help = "Highest version of TLS that is offered."},
    {.name = "alpn",
     .type = &type_alpn,
     .offset = AT(tls, alpn),
     .help = "Application protocols that the servers speak, in order of preference (RFC 7301)."},
    {.name = NULL},
};

static void tls_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_tls *tls = out;

    (void)index;
    tls->mark = policy_node_place(n);
    tls->default_certificate = -1;
}

static void tls_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    const struct policy_tls *tls = out;
    const struct policy_node *min = policy_node_get(n, "min-version");
    const struct policy_node *max = policy_node_get(n, "max-version");

    if (tls->max_version != 0 && tls->min_version > tls->max_version)
        policy_reader_error(r, min != NULL ? min : max,
                            "min-version is above max-version: no client could connect");
}

static const struct policy_type type_tls = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key certificates",
    .size = sizeof(struct policy_tls),
    .begin = tls_begin,
    .finish = tls_finish,
    .keys = tls_keys,
};

static const struct policy_key listener_keys[] = {
    {.name = "bind",
     .type = &type_bind,
     .offset = AT(listener, bind),
     .required = true,
     .help = "An address of one of the interfaces, and a port."},
    {.name = "backlog",
     .type = &type_backlog,
     .offset = AT(listener, backlog),
     .fallback = "4096",
     .help = "Connections of one worker that may wait, half-open or complete, to be taken."},
    {.name = "tls",
     .type = &type_tls,
     .offset = AT(listener, tls),
     .by_pointer = true,
     .help = "How TLS is terminated here. Without it the listener takes plain TCP."},
    {.name = NULL},
};

static void listener_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_listener *listener = out;

    listener->name = n->key->text;
    listener->mark = n->key->mark;
    listener->index = index;
}

static const struct policy_type type_listener = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key bind",
    .size = sizeof(struct policy_listener),
    .begin = listener_begin,
    .keys = listener_keys,
};

static const struct policy_type type_listeners = {
    .kind = POLICY_KIND_SECTION,
    .name = "listeners by name",
    .expected = "a mapping of listeners by name",
    .size = sizeof(struct policy_listener),
    .element = &type_listener,
    .count_max = 1024,
    .empty = "there must be a listener",
    .defines = POLICY_SECTION_LISTENERS,
};

/* ---- policy ---- */

static const struct policy_type type_sources = {
    .kind = POLICY_KIND_LIST,
    .name = "prefix, or a list of them",
    .expected = "a prefix such as 198.51.100.0/24, or a list of them",
    .size = sizeof(struct ip_prefix),
    .element = &type_source,
    .count_max = 16384,
    .empty = "leave the key out to match any address",
    .single = true,
};

static const struct policy_type type_snis = {
    .kind = POLICY_KIND_LIST,
    .name = "server name, or a list of them",
    .expected = "a server name such as shop.example, or a list of them",
    .size = sizeof(char *),
    .element = &type_sni,
    .count_max = 16384,
    .empty = "leave the key out to match any name",
    .single = true,
};

static const struct policy_key match_keys[] = {
    {.name = "listener",
     .type = &type_listener_name,
     .offset = AT(rule, listener),
     .help = "The listener that took the connection."},
    {.name = "source",
     .type = &type_sources,
     LIST_AT(rule, sources, source_count),
     .help = "Networks of which one must hold the client's address."},
    {.name = "sni",
     .type = &type_snis,
     LIST_AT(rule, snis, sni_count),
     .help = "Server names of which the client must have asked for one; `*.example` stands for one "
             "label before `.example`."},
    {.name = NULL},
};

static void match_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    (void)out;
    if (n->count == 0)
        policy_reader_error(r, n,
                            "expected listener, source or sni, found none: leave the key out "
                            "to match every connection");
}

static const struct policy_type type_match = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys listener, source or sni",
    .finish = match_finish,
    .keys = match_keys,
};

static const struct policy_key rule_keys[] = {
    {.name = "match",
     .type = &type_match,
     .help = "What a connection must be; all keys given must match. Without it every connection "
             "matches."},
    {.name = "action",
     .type = &type_action,
     .offset = AT(rule, action),
     .required = true,
     .help = "`terminate`: take TLS off and pass plain TCP on; `splice`: pass the bytes on as they "
             "are; `reject`: refuse."},
    {.name = "backend",
     .type = &type_backend_name,
     .offset = AT(rule, backend),
     .help = "Where to; required for `terminate` and `splice`."},
    {.name = NULL},
};

static void rule_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_rule *rule = out;

    rule->mark = policy_node_place(n);
    rule->index = index;
}

static void rule_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    const struct policy_rule *rule = out;
    const struct policy_node *action = policy_node_get(n, "action");
    const struct policy_node *backend = policy_node_get(n, "backend");

    /* A wrong action was reported and left its zero, which must not be taken for "terminate". */
    if (action == NULL || action->kind != POLICY_NODE_SCALAR ||
        (rule->action == POLICY_TERMINATE && strcmp(action->text, "terminate") != 0))
        return;
    if (rule->action == POLICY_REJECT && backend != NULL)
        policy_reader_error(r, backend, "a rule that rejects has no backend");
    if (rule->action != POLICY_REJECT && backend == NULL)
        policy_reader_error(r, action, "to %s, the rule needs a backend", action->text);
    if (rule->action == POLICY_TERMINATE && rule->listener != NULL && rule->listener->tls == NULL)
        policy_reader_error(r, action,
                            "expected splice or reject: the listener \"%s\" (line %u) has no tls "
                            "to terminate",
                            rule->listener->name, rule->listener->mark.line);
}

static const struct policy_type type_rule = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key action",
    .size = sizeof(struct policy_rule),
    .begin = rule_begin,
    .finish = rule_finish,
    .keys = rule_keys,
};

static const struct policy_type type_rules = {
    .kind = POLICY_KIND_LIST,
    .name = "list of rules",
    .expected = "a list of rules such as [{action: splice, backend: web}]",
    .size = sizeof(struct policy_rule),
    .element = &type_rule,
    .count_max = 16384,
    .empty = "without a rule every connection would be rejected",
};

/* ---- timeouts, limits, the file ---- */

static const struct policy_key timeouts_keys[] = {
    {.name = "client-hello",
     .type = &type_duration,
     .offset = AT(timeouts, client_hello),
     .fallback = "10s",
     .help = "From the connection to the end of the client's ClientHello."},
    {.name = "handshake",
     .type = &type_duration,
     .offset = AT(timeouts, handshake),
     .fallback = "10s",
     .help = "The TLS handshake that follows."},
    {.name = "idle",
     .type = &type_duration,
     .offset = AT(timeouts, idle),
     .fallback = "5m",
     .help = "Time without a byte in either direction."},
    {.name = "half-closed",
     .type = &type_duration,
     .offset = AT(timeouts, half_closed),
     .fallback = "1m",
     .help = "Time that a connection may last after one side has closed."},
    {.name = "drain",
     .type = &type_duration_or_zero,
     .offset = AT(timeouts, drain),
     .fallback = "30s",
     .help = "Time for connections to end after SIGTERM."},
    {.name = NULL},
};

static const struct policy_type type_timeouts = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping of timeouts",
    .keys = timeouts_keys,
};

static const struct policy_key limits_keys[] = {
    {.name = "connections",
     .type = &type_connections,
     .offset = AT(limits, connections),
     .fallback = "131072",
     .help = "TCP connections of one worker; a proxied connection counts twice."},
    {.name = "buffer-memory",
     .type = &type_memory,
     .offset = AT(limits, buffer_memory),
     .fallback = "64MiB",
     .help = "Packet buffers of one worker."},
    {.name = NULL},
};

static const struct policy_type type_limits = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping of limits",
    .keys = limits_keys,
};

#define FILE_AT(member)          offsetof(struct policy, member)
#define FILE_LIST_AT(list, size) .offset = FILE_AT(list), .count_offset = FILE_AT(size)

static const struct policy_key file_keys[] = {
    {.name = "workers",
     .type = &type_workers,
     FILE_LIST_AT(workers, worker_count),
     .help = "CPUs that handle packets, one worker each; by default all but the first."},
    {.name = "hugepages",
     .type = &type_hugepages,
     .offset = FILE_AT(hugepages),
     .fallback = "auto",
     .help = "Whether memory comes from hugepages: where there are some, always, or never."},
    {.name = "interfaces",
     .type = &type_interfaces,
     FILE_LIST_AT(interfaces, interface_count),
     .required = true,
     .help = "The appliance's network interfaces."},
    {.name = "routes",
     .type = &type_routes,
     FILE_LIST_AT(routes, route_count),
     .help = "Ways to networks that are not on an interface; the longest prefix wins."},
    {.name = "certificates",
     .type = &type_certificates,
     FILE_LIST_AT(certificates, certificate_count),
     .help = "Certificates for listeners."},
    {.name = "backends",
     .type = &type_backends,
     FILE_LIST_AT(backends, backend_count),
     .help = "Groups of servers that connections go to."},
    {.name = "listeners",
     .type = &type_listeners,
     FILE_LIST_AT(listeners, listener_count),
     .required = true,
     .help = "Where connections are accepted."},
    {.name = "policy",
     .type = &type_rules,
     FILE_LIST_AT(rules, rule_count),
     .required = true,
     .help = "What happens to a connection: the first rule that matches decides."},
    {.name = "timeouts",
     .type = &type_timeouts,
     .offset = FILE_AT(timeouts),
     .help = "How long a connection may take for what."},
    {.name = "limits",
     .type = &type_limits,
     .offset = FILE_AT(limits),
     .help = "What one worker may use."},
    {.name = NULL},
};

const struct policy_type policy_type_file = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys interfaces, listeners and policy",
    .size = sizeof(struct policy),
    .keys = file_keys,
};
