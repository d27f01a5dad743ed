/* Backends: servers, how one is chosen, checked and spoken to. */
#include <string.h>

#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* ---- servers ---- */

static void server_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_server *server = out;

    (void)index;
    server->mark = n->mark;
}

static const struct policy_type type_server_address = {
    .name = "address:port",
    .expected = "an address and a port from 1 to 65535, such as 10.0.0.11:8080",
    .read = policy_addr_server,
};

static const struct policy_type type_server_weight = {
    .name = "number",
    .expected = "a number",
    .size = sizeof(uint16_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 256,
    .range = "from 1 to 256",
};

static const struct policy_key server_keys[] = {
    {.name = "address",
     .type = &type_server_address,
     .required = true,
     .help = "The server's address and port. `address:port` alone stands for a mapping with this "
             "key."},
    {.name = "weight",
     .type = &type_server_weight,
     .offset = AT(server, weight),
     .fallback = "1",
     .help = "Its share of the connections, from 1 to 256, against that of the others."},
    {.name = NULL},
};

static const struct policy_type type_server = {
    .kind = POLICY_KIND_MAP,
    .name = "address:port, or mapping",
    .expected = "an address and a port from 1 to 65535, such as 10.0.0.11:8080",
    .size = sizeof(struct policy_server),
    .begin = server_begin,
    .read = policy_addr_server,
    .keys = server_keys,
};

static const struct policy_type type_servers = {
    .kind = POLICY_KIND_LIST,
    .name = "list of address:port",
    .expected = "a list of servers such as [10.0.0.11:8080]",
    .size = sizeof(struct policy_server),
    .element = &type_server,
    .count_max = 1024,
    .empty = "a backend needs a server",
};

static const struct policy_choice balance_choices[] = {
    {"round-robin", POLICY_ROUND_ROBIN},
    {"least-connections", POLICY_LEAST_CONNECTIONS},
    {"source-hash", POLICY_SOURCE_HASH},
    {NULL, 0},
};

static const struct policy_type type_balance = {
    .name = "`round-robin`, `least-connections` or `source-hash`",
    .expected = "round-robin, least-connections or source-hash",
    .size = sizeof(enum policy_balance),
    .read = policy_scalar_choice,
    .choices = balance_choices,
};

/* ---- health ---- */

static const struct policy_choice health_check_choices[] = {
    {"tcp", 1},
    {NULL, 0},
};

static const struct policy_type type_health_check_type = {
    .name = "`tcp`",
    .expected = "tcp",
    .size = sizeof(bool),
    .read = policy_scalar_choice,
    .choices = health_check_choices,
};

static const struct policy_type type_in_a_row = {
    .name = "number",
    .expected = "a number",
    .size = sizeof(unsigned),
    .read = policy_scalar_number,
    .min = 1,
    .max = 1000,
    .range = "from 1 to 1000",
};

static const struct policy_key health_check_keys[] = {
    {.name = "type",
     .type = &type_health_check_type,
     .offset = AT(health_check, enabled),
     .required = true,
     .help = "`tcp`: a server that accepts a connection is well."},
    {.name = "interval",
     .type = &policy_keys_duration,
     .offset = AT(health_check, interval),
     .fallback = "2s",
     .help = "From one check of a server to the next."},
    {.name = "timeout",
     .type = &policy_keys_duration,
     .offset = AT(health_check, timeout),
     .fallback = "1s",
     .help = "How long the server may take; no longer than the interval."},
    {.name = "rise",
     .type = &type_in_a_row,
     .offset = AT(health_check, rise),
     .fallback = "2",
     .help = "Successes in a row after which a server that was down is used again."},
    {.name = "fall",
     .type = &type_in_a_row,
     .offset = AT(health_check, fall),
     .fallback = "3",
     .help = "Failures in a row after which a server is down."},
    {.name = NULL},
};

static void health_check_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    const struct policy_health_check *check = out;
    const struct policy_node *timeout = policy_node_get(n, "timeout");
    const struct policy_node *interval = policy_node_get(n, "interval");

    if (check->timeout > check->interval && check->interval > 0)
        policy_reader_error(r, timeout != NULL ? timeout : interval,
                            "the timeout is longer than the interval, expected at most as long");
}

static const struct policy_type type_health_check = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key type",
    .finish = health_check_finish,
    .keys = health_check_keys,
};

static const struct policy_key ejection_keys[] = {
    {.name = "failures",
     .type = &type_in_a_row,
     .offset = AT(ejection, failures),
     .fallback = "5",
     .help = "Connections in a row that the server did not accept."},
    {.name = "time",
     .type = &policy_keys_duration,
     .offset = AT(ejection, time),
     .fallback = "30s",
     .help = "How long the server is then left out."},
    {.name = NULL},
};

static void ejection_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_ejection *ejection = out;

    (void)r;
    (void)n;
    ejection->enabled = true;
}

static const struct policy_type type_ejection = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys failures and time",
    .finish = ejection_finish,
    .keys = ejection_keys,
};

/* ---- to the servers ---- */

static const struct policy_choice proxy_protocol_choices[] = {
    {"v1", POLICY_PROXY_V1},
    {"v2", POLICY_PROXY_V2},
    {NULL, 0},
};

static const struct policy_type type_proxy_protocol = {
    .name = "`v1` or `v2`",
    .expected = "v1 or v2",
    .size = sizeof(enum policy_proxy_protocol),
    .read = policy_scalar_choice,
    .choices = proxy_protocol_choices,
};

static const struct policy_type type_server_name = {
    .name = "server name",
    .expected = "a server name such as shop.example",
    .size = sizeof(char *),
    .read = policy_name_host,
};

static const struct policy_key tls_keys[] = {
    {.name = "verify",
     .type = &policy_keys_bool,
     .offset = AT(backend_tls, verify),
     .fallback = "true",
     .help = "Whether the server's certificate must be valid for its name."},
    {.name = "ca",
     .type = &policy_keys_path,
     .offset = AT(backend_tls, ca),
     .help = "PEM file of the authorities that are trusted; by default the system's."},
    {.name = "server-name",
     .type = &type_server_name,
     .offset = AT(backend_tls, server_name),
     .help = "The name that is asked for (SNI) and verified; by default the one the client asked "
             "for, and without one the server's address."},
    {.name = "certificate",
     .type = &policy_keys_certificate_name,
     .offset = AT(backend_tls, certificate),
     .help = "Shown to servers that ask for a certificate."},
    {.name = "min-version",
     .type = &policy_keys_tls_version,
     .offset = AT(backend_tls, min_version),
     .fallback = "1.2",
     .help = "Lowest version of TLS that is accepted."},
    {.name = "max-version",
     .type = &policy_keys_tls_version,
     .offset = AT(backend_tls, max_version),
     .fallback = "1.3",
     .help = "Highest version of TLS that is offered."},
    {.name = "alpn",
     .type = &policy_keys_alpn,
     .offset = AT(backend_tls, alpn),
     .help = "Application protocols that are offered, in order of preference (RFC 7301)."},
    {.name = NULL},
};

static void tls_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_backend_tls *tls = out;

    (void)index;
    tls->mark = policy_node_place(n);
}

static void tls_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_backend_tls *tls = out;
    const struct policy_node *ca = policy_node_get(n, "ca");
    const struct policy_node *verify = policy_node_get(n, "verify");

    tls->ca_mark = policy_node_place(ca != NULL ? ca : n);
    policy_tls_check_versions(r, n, tls->min_version, tls->max_version, "server");
    if (verify != NULL && verify->kind == POLICY_NODE_SCALAR && strcmp(verify->text, "false") == 0)
        policy_reader_warn(r, verify,
                           "whoever can reach the network between can pose as the server: give ca "
                           "or server-name instead");
}

static const struct policy_type type_tls = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {ca: ca.pem}, or {} for the defaults",
    .size = sizeof(struct policy_backend_tls),
    .begin = tls_begin,
    .finish = tls_finish,
    .keys = tls_keys,
};

/* ---- backends ---- */

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
     .help = "How a server is chosen: each in its turn; the one with the fewest connections; or by "
             "the client's address, always the same one."},
    {.name = "connect-timeout",
     .type = &policy_keys_duration,
     .offset = AT(backend, connect_timeout),
     .fallback = "5s",
     .help = "How long one server may take to accept a connection before the next is tried."},
    {.name = "health-check",
     .type = &type_health_check,
     .offset = AT(backend, health_check),
     .help = "Checks that the servers are there; without this key they are taken to be."},
    {.name = "ejection",
     .type = &type_ejection,
     .offset = AT(backend, ejection),
     .help = "Leaves a server out for a while when connections to it fail; off without this key."},
    {.name = "proxy-protocol",
     .type = &type_proxy_protocol,
     .offset = AT(backend, proxy_protocol),
     .help = "Sends the client's address ahead of its bytes, in a PROXY header of this version."},
    {.name = "tls",
     .type = &type_tls,
     .offset = AT(backend, tls),
     .by_pointer = true,
     .help = "TLS to the servers; without this key plain TCP."},
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

const struct policy_type policy_keys_backends = {
    .kind = POLICY_KIND_SECTION,
    .name = "backends by name",
    .expected = "a mapping of backends by name",
    .size = sizeof(struct policy_backend),
    .element = &type_backend,
    .count_max = 4096,
    .defines = POLICY_SECTION_BACKENDS,
};
