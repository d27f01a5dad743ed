/* What is offered to clients: certificates and listeners. */
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* ---- certificates ---- */

static const struct policy_key certificate_keys[] = {
    {.name = "chain",
     .type = &policy_keys_path,
     .offset = AT(certificate, chain),
     .required = true,
     .help = "PEM file of the certificate and its intermediates, the certificate first."},
    {.name = "key",
     .type = &policy_keys_path,
     .offset = AT(certificate, key),
     .required = true,
     .help = "PEM file of its private key, not encrypted."},
    {.name = "ocsp",
     .type = &policy_keys_path,
     .offset = AT(certificate, ocsp),
     .help = "DER file of an OCSP response, which is stapled for clients that ask (RFC 6066, 8)."},
    {.name = NULL},
};

static void certificate_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_certificate *certificate = out;
    const struct policy_node *chain = policy_node_get(n, "chain");
    const struct policy_node *key = policy_node_get(n, "key");
    const struct policy_node *ocsp = policy_node_get(n, "ocsp");

    certificate->name = n->key->text;
    certificate->index = index;
    certificate->mark = n->key->mark;
    certificate->chain_mark = policy_node_place(chain != NULL ? chain : n);
    certificate->key_mark = policy_node_place(key != NULL ? key : n);
    certificate->ocsp_mark = policy_node_place(ocsp != NULL ? ocsp : n);
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

/* ---- listeners ---- */

static const struct policy_type type_certificate_names = {
    .kind = POLICY_KIND_LIST,
    .name = "list of names of certificates",
    .expected = "a list of names of certificates",
    .size = sizeof(void *),
    .element = &policy_keys_certificate_name,
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

static const struct policy_choice profile_choices[] = {
    {"modern", POLICY_TLS_MODERN},
    {"intermediate", POLICY_TLS_INTERMEDIATE},
    {NULL, 0},
};

static const struct policy_type type_profile = {
    .name = "`modern` or `intermediate`",
    .expected = "modern or intermediate",
    .size = sizeof(enum policy_tls_profile),
    .read = policy_scalar_choice,
    .choices = profile_choices,
};

/* ---- listeners: client certificates ---- */

static const struct policy_choice client_auth_choices[] = {
    {"optional", POLICY_CLIENT_OPTIONAL},
    {"required", POLICY_CLIENT_REQUIRED},
    {NULL, 0},
};

static const struct policy_type type_client_auth_mode = {
    .name = "`optional` or `required`",
    .expected = "optional or required",
    .size = sizeof(enum policy_client_auth),
    .read = policy_scalar_choice,
    .choices = client_auth_choices,
};

static const struct policy_key client_auth_keys[] = {
    {.name = "mode",
     .type = &type_client_auth_mode,
     .offset = AT(tls, client_auth),
     .required = true,
     .help = "Whether a client may do without a certificate. One that is shown must be valid."},
    {.name = "ca",
     .type = &policy_keys_path,
     .offset = AT(tls, client_ca),
     .required = true,
     .help = "PEM file of the authorities that sign clients' certificates."},
    {.name = NULL},
};

static void client_auth_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_tls *tls = out;
    const struct policy_node *ca = policy_node_get(n, "ca");

    (void)r;
    tls->client_ca_mark = policy_node_place(ca != NULL ? ca : n);
}

static const struct policy_type type_client_auth = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys mode and ca",
    .finish = client_auth_finish,
    .keys = client_auth_keys,
};

/* ---- listeners: TLS ---- */

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
    {.name = "profile",
     .type = &type_profile,
     .offset = AT(tls, profile),
     .fallback = "intermediate",
     .help = "`intermediate`: TLS 1.2 with forward secrecy and TLS 1.3; `modern`: TLS 1.3 only."},
    {.name = "min-version",
     .type = &policy_keys_tls_version,
     .offset = AT(tls, min_version),
     .fallback = "1.2",
     .help = "Lowest version of TLS that is accepted; with the profile `modern` it is 1.3."},
    {.name = "max-version",
     .type = &policy_keys_tls_version,
     .offset = AT(tls, max_version),
     .fallback = "1.3",
     .help = "Highest version of TLS that is offered."},
    {.name = "alpn",
     .type = &policy_keys_alpn,
     .offset = AT(tls, alpn),
     .help = "Application protocols that the servers speak, in order of preference (RFC 7301)."},
    {.name = "client-auth",
     .type = &type_client_auth,
     .help = "Certificates of clients: without this key none is asked for."},
    {.name = NULL},
};

static void tls_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_tls *tls = out;

    (void)index;
    tls->mark = policy_node_place(n);
    tls->default_certificate = -1;
}

/* The profile means TLS 1.3 only, and a version that says otherwise contradicts it. */
static void finish_modern(struct policy_reader *r, const struct policy_node *n,
                          struct policy_tls *tls)
{
    static const char *const keys[] = {"min-version", "max-version"};

    for (unsigned i = 0; i < 2; i++) {
        const struct policy_node *version = policy_node_get(n, keys[i]);

        if (version != NULL && *(i == 0 ? &tls->min_version : &tls->max_version) == 0x0303)
            policy_reader_error(r, version,
                                "expected 1.3: the profile \"modern\" has nothing older");
    }
    tls->min_version = 0x0304;
}

static void tls_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_tls *tls = out;

    if (tls->profile == POLICY_TLS_MODERN)
        finish_modern(r, n, tls);
    else
        policy_tls_check_versions(r, n, tls->min_version, tls->max_version, "client");
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

static const struct policy_choice syn_cookies_choices[] = {
    {"auto", POLICY_SYN_COOKIES_AUTO},
    {"always", POLICY_SYN_COOKIES_ALWAYS},
    {"off", POLICY_SYN_COOKIES_OFF},
    {NULL, 0},
};

static const struct policy_type type_syn_cookies = {
    .name = "`auto`, `always` or `off`",
    .expected = "auto, always or off",
    .size = sizeof(enum policy_syn_cookies),
    .read = policy_scalar_choice,
    .choices = syn_cookies_choices,
};

static const struct policy_type type_proxy_from = {
    .kind = POLICY_KIND_LIST,
    .name = "prefix, or a list of them",
    .expected = "a prefix such as 10.0.0.0/8, or a list of them",
    .size = sizeof(struct ip_prefix),
    .element = &policy_keys_prefix,
    .count_max = 1024,
    .empty = "leave proxy-protocol out to expect no header",
    .single = true,
};

static const struct policy_key proxy_protocol_keys[] = {
    {.name = "from",
     .type = &type_proxy_from,
     LIST_AT(listener, proxy_from, proxy_from_count),
     .required = true,
     .help = "Networks whose connections must begin with a PROXY header, version 1 or 2; from "
             "others a header is not accepted."},
    {.name = NULL},
};

static const struct policy_type type_proxy_protocol = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key from",
    .keys = proxy_protocol_keys,
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
    {.name = "syn-cookies",
     .type = &type_syn_cookies,
     .offset = AT(listener, syn_cookies),
     .fallback = "auto",
     .help = "SYN cookies (RFC 4987): when the backlog fills, for every SYN, or never."},
    {.name = "proxy-protocol",
     .type = &type_proxy_protocol,
     .help = "Takes the client's address from a PROXY header that a load balancer sends first."},
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
