/* What is offered to clients and what stands behind it: certificates, backends, listeners. */
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* ---- certificates ---- */

static const struct policy_type type_path = {
    .name = "path",
    .expected = "the path of a file",
    .size = sizeof(char *),
    .read = policy_scalar_path,
};

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

const struct policy_type policy_keys_certificates = {
    .kind = POLICY_KIND_SECTION,
    .name = "certificates by name",
    .expected = "a mapping of certificates by name",
    .size = sizeof(struct policy_certificate),
    .element = &type_certificate,
    .count_max = 16384,
    .defines = POLICY_SECTION_CERTIFICATES,
};

/* ---- backends ---- */

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
     .type = &policy_keys_duration,
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

const struct policy_type policy_keys_backends = {
    .kind = POLICY_KIND_SECTION,
    .name = "backends by name",
    .expected = "a mapping of backends by name",
    .size = sizeof(struct policy_backend),
    .element = &type_backend,
    .count_max = 4096,
    .defines = POLICY_SECTION_BACKENDS,
};

/* ---- listeners ---- */

static const struct policy_type type_certificate_name = {
    .name = "name of a certificate",
    .expected = "the name of a certificate",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_CERTIFICATES,
};

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

static const struct policy_type type_default_certificate = {
    .name = "name of a certificate",
    .expected = "one of the listener's certificates",
    .size = sizeof(int),
    .read = policy_tls_default,
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

const struct policy_type policy_keys_listeners = {
    .kind = POLICY_KIND_SECTION,
    .name = "listeners by name",
    .expected = "a mapping of listeners by name",
    .size = sizeof(struct policy_listener),
    .element = &type_listener,
    .count_max = 1024,
    .empty = "there must be a listener",
    .defines = POLICY_SECTION_LISTENERS,
};
