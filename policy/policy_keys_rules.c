/* The rules of the policy. */
#include <string.h>

#include "policy/policy_keys.h"
#include "policy/policy_match.h"
#include "policy/policy_scalar.h"

static const struct policy_type type_listener_name = {
    .name = "name of a listener",
    .expected = "the name of a listener",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_LISTENERS,
};

static const struct policy_type type_sources = {
    .kind = POLICY_KIND_LIST,
    .name = "prefix, or a list of them",
    .expected = "a prefix such as 198.51.100.0/24, or a list of them",
    .size = sizeof(struct ip_prefix),
    .element = &policy_keys_prefix,
    .count_max = 16384,
    .empty = "leave the key out to match any address",
    .single = true,
};

static const struct policy_type type_snis = {
    .kind = POLICY_KIND_LIST,
    .name = "server name, or a list of them",
    .expected = "a server name such as shop.example, or a list of them",
    .size = sizeof(char *),
    .element = &policy_keys_sni,
    .count_max = 16384,
    .empty = "leave the key out to match any name",
    .single = true,
};

static const struct policy_type type_sni_file = {
    .name = "path",
    .expected = "the path of a file",
    .read = policy_sni_file,
};

static const struct policy_type type_alpns = {
    .kind = POLICY_KIND_LIST,
    .name = "protocol name, or a list of them",
    .expected = "a protocol name such as h2, or a list of them",
    .size = sizeof(char *),
    .element = &policy_keys_protocol,
    .count_max = 64,
    .empty = "leave the key out to match any",
    .single = true,
    .unique = true,
};

static const struct policy_type type_tls_versions = {
    .kind = POLICY_KIND_LIST,
    .name = "`1.2` or `1.3`, or a list of them",
    .expected = "1.2 or 1.3, or a list of them",
    .size = sizeof(uint16_t),
    .element = &policy_keys_tls_version,
    .count_max = 2,
    .empty = "leave the key out to match any",
    .single = true,
    .unique = true,
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
    {.name = "sni-file",
     .type = &type_sni_file,
     .help = "A file of more such names, one a line; `#` begins a comment."},
    {.name = "alpn",
     .type = &type_alpns,
     LIST_AT(rule, alpns, alpn_count),
     .help = "Application protocols of which the client must offer one (RFC 7301)."},
    {.name = "tls-version",
     .type = &type_tls_versions,
     LIST_AT(rule, tls_versions, tls_version_count),
     .help = "Versions of TLS of which the client must offer one."},
    {.name = NULL},
};

static void match_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    (void)out;
    if (n->count == 0)
        policy_reader_error(r, n,
                            "expected listener, source, sni, sni-file, alpn or tls-version, found "
                            "none: leave the key out to match every connection");
}

static const struct policy_type type_match = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {listener: https}",
    .finish = match_finish,
    .keys = match_keys,
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

static const struct policy_type type_backend_name = {
    .name = "name of a backend",
    .expected = "the name of a backend",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_BACKENDS,
};

static const struct policy_key rule_keys[] = {
    {.name = "name",
     .type = &policy_keys_rule_name,
     .offset = AT(rule, name),
     .help = "For logs and counters; by default `rule N`, with its number in the list from 1."},
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
    {.name = "class",
     .type = &policy_keys_class_name,
     .offset = AT(rule, egress_class),
     .help =
         "The egress class of the connection, both ways; by default that of the firewall's rule "
         "which let it in, if it has one."},
    {.name = NULL},
};

static void rule_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_rule *rule = out;

    rule->mark = policy_node_place(n);
    rule->index = index;
}

/* A server takes one layer of TLS off. */
static void warn_of_tls_in_tls(struct policy_reader *r, const struct policy_node *action,
                               const struct policy_rule *rule)
{
    bool client_tls =
        policy_match_needs_hello(rule) || (rule->listener != NULL && rule->listener->tls != NULL);

    if (rule->action == POLICY_SPLICE && client_tls && rule->backend != NULL &&
        rule->backend->tls != NULL)
        policy_reader_warn(r, action,
                           "the client's TLS is passed on within that to the backend \"%s\" (line "
                           "%u): expected terminate, or a backend without tls",
                           rule->backend->name, rule->backend->mark.line);
}

static void rule_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_rule *rule = out;
    const struct policy_node *action = policy_node_get(n, "action");
    const struct policy_node *backend = policy_node_get(n, "backend");
    const struct policy_node *class = policy_node_get(n, "class");

    if (rule->name == NULL)
        rule->name = policy_name_of_rule(r, rule->index);
    /* A wrong action was reported and left its zero, which must not be taken for "terminate". */
    if (action == NULL || action->kind != POLICY_NODE_SCALAR ||
        (rule->action == POLICY_TERMINATE && strcmp(action->text, "terminate") != 0))
        return;
    if (rule->action == POLICY_REJECT && backend != NULL)
        policy_reader_error(r, backend, "a rule that rejects has no backend");
    if (rule->action == POLICY_REJECT && class != NULL)
        policy_reader_error(r, class, "a rule that rejects has no class");
    if (rule->action != POLICY_REJECT && backend == NULL)
        policy_reader_error(r, action, "to %s, the rule needs a backend", action->text);
    if (rule->action == POLICY_TERMINATE && rule->listener != NULL && rule->listener->tls == NULL)
        policy_reader_error(r, action,
                            "expected splice or reject: the listener \"%s\" (line %u) has no tls "
                            "to terminate",
                            rule->listener->name, rule->listener->mark.line);
    warn_of_tls_in_tls(r, action, rule);
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

const struct policy_type policy_keys_rules = {
    .kind = POLICY_KIND_LIST,
    .name = "list of rules",
    .expected = "a list of rules such as [{action: splice, backend: web}]",
    .size = sizeof(struct policy_rule),
    .element = &type_rule,
    .count_max = 16384,
    .empty = "without a rule every connection would be rejected",
};
