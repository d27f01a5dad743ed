/*
 * Every key of the file: name, type, default, help, and where its value goes. The order is that in
 * which keys are read: what is referred to by name comes before what refers to it.
 */
#include "policy/policy_keys.h"

#include "policy/policy_scalar.h"

/* ---- workers and memory ---- */

static const struct policy_type type_cpu = {
    .name = "CPU number",
    .expected = "the number of a CPU",
    .size = sizeof(unsigned),
    .read = policy_scalar_number,
    .max = 1023,
    .range = "from 0 to 1023",
};

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

static const struct policy_choice fragments_choices[] = {
    {"reassemble", POLICY_FRAGMENTS_REASSEMBLE},
    {"drop", POLICY_FRAGMENTS_DROP},
    {NULL, 0},
};

static const struct policy_type type_fragments = {
    .name = "`reassemble` or `drop`",
    .expected = "reassemble or drop",
    .size = sizeof(enum policy_fragments),
    .read = policy_scalar_choice,
    .choices = fragments_choices,
};

/* ---- timeouts ---- */

static const struct policy_type type_duration_or_zero = {
    .name = "duration",
    .expected = "a duration such as 30s, or 0s",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .max = 7 * 86400 * CLOCK_SEC,
    .range = "from 0s to 7d",
};

static const struct policy_key timeouts_keys[] = {
    {.name = "client-hello",
     .type = &policy_keys_duration,
     .offset = AT(timeouts, client_hello),
     .fallback = "10s",
     .help = "From the connection to the end of the client's ClientHello."},
    {.name = "handshake",
     .type = &policy_keys_duration,
     .offset = AT(timeouts, handshake),
     .fallback = "10s",
     .help = "The TLS handshake that follows."},
    {.name = "idle",
     .type = &policy_keys_duration,
     .offset = AT(timeouts, idle),
     .fallback = "5m",
     .help = "Time without a byte in either direction."},
    {.name = "half-closed",
     .type = &policy_keys_duration,
     .offset = AT(timeouts, half_closed),
     .fallback = "1m",
     .help = "The same, once one side has closed its direction."},
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

/* ---- limits ---- */

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

static void limits_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_limits *limits = out;
    const struct policy_node *connections = policy_node_get(n, "connections");
    const struct policy_node *buffer_memory = policy_node_get(n, "buffer-memory");

    (void)r;
    limits->connections_mark = policy_node_place(connections != NULL ? connections : n);
    limits->buffer_memory_mark = policy_node_place(buffer_memory != NULL ? buffer_memory : n);
}

static const struct policy_type type_limits = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping of limits",
    .finish = limits_finish,
    .keys = limits_keys,
};

/* ---- the file ---- */

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
     .type = &policy_keys_interfaces,
     FILE_LIST_AT(interfaces, interface_count),
     .required = true,
     .help = "The appliance's network interfaces."},
    {.name = "routes",
     .type = &policy_keys_routes,
     FILE_LIST_AT(routes, route_count),
     .help = "Ways to networks that are not on an interface; the longest prefix wins."},
    {.name = "fragments",
     .type = &type_fragments,
     .offset = FILE_AT(fragments),
     .fallback = "reassemble",
     .help = "Fragments of IP packets: put together before the firewall sees them, or dropped."},
    {.name = "classes",
     .type = &policy_keys_classes,
     FILE_LIST_AT(classes, class_count),
     .help = "Egress classes, which share the interfaces' bandwidth."},
    {.name = "certificates",
     .type = &policy_keys_certificates,
     FILE_LIST_AT(certificates, certificate_count),
     .help = "Certificates for listeners, and to show to servers."},
    {.name = "backends",
     .type = &policy_keys_backends,
     FILE_LIST_AT(backends, backend_count),
     .help = "Groups of servers that connections go to."},
    {.name = "listeners",
     .type = &policy_keys_listeners,
     FILE_LIST_AT(listeners, listener_count),
     .required = true,
     .help = "Where connections are accepted."},
    {.name = "sets",
     .type = &policy_keys_sets,
     FILE_LIST_AT(sets, set_count),
     .help = "Named sets of prefixes for the firewall."},
    {.name = "firewall",
     .type = &policy_keys_firewall,
     .offset = FILE_AT(firewall),
     .help = "Which packets may come in."},
    {.name = "policy",
     .type = &policy_keys_rules,
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
    {.name = "tcp",
     .type = &policy_keys_tcp,
     .offset = FILE_AT(tcp),
     .help = "How TCP behaves, towards clients and servers."},
    {.name = "tickets",
     .type = &policy_keys_tickets,
     .offset = FILE_AT(tickets),
     .help = "Keys of session tickets."},
    {.name = "control",
     .type = &policy_keys_control,
     .offset = FILE_AT(control),
     .help = "The socket for sluicectl(1); without this key there is none."},
    {.name = "metrics",
     .type = &policy_keys_metrics,
     .offset = FILE_AT(metrics),
     .help = "Metrics for Prometheus; without this key none are served."},
    {.name = "session-log",
     .type = &policy_keys_session_log,
     .offset = FILE_AT(session_log),
     .help = "A line for each session when it ends; without this key there is none."},
    {.name = NULL},
};

static void file_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy *policy = out;
    const struct policy_node *workers = policy_node_get(n, "workers");
    const struct policy_node *hugepages = policy_node_get(n, "hugepages");
    const struct policy_node *fragments = policy_node_get(n, "fragments");

    (void)r;
    if (fragments != NULL)
        policy->fragments_mark = policy_node_place(fragments);
    if (hugepages != NULL)
        policy->hugepages_mark = policy_node_place(hugepages);
    if (workers != NULL)
        policy->workers_mark = policy_node_place(workers);
}

const struct policy_type policy_type_file = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys interfaces, listeners and policy",
    .size = sizeof(struct policy),
    .finish = file_finish,
    .keys = file_keys,
};
