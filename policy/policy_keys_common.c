/* Types of values that several parts of the file have. */
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

static const struct policy_choice bool_choices[] = {
    {"true", 1},
    {"false", 0},
    {NULL, 0},
};

const struct policy_type policy_keys_bool = {
    .name = "`true` or `false`",
    .expected = "true or false",
    .size = sizeof(bool),
    .read = policy_scalar_choice,
    .choices = bool_choices,
};

/* Durations longer than the timing wheel's reach would be cut by it; a week is well within. */
const struct policy_type policy_keys_duration = {
    .name = "duration",
    .expected = "a duration such as 500ms, 10s, 5m, 1h or 1d",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = CLOCK_MS,
    .max = 7 * 86400 * CLOCK_SEC,
    .range = "from 1ms to 7d",
};

const struct policy_type policy_keys_path = {
    .name = "path",
    .expected = "the path of a file",
    .size = sizeof(char *),
    .read = policy_scalar_path,
};

const struct policy_type policy_keys_prefix = {
    .name = "prefix",
    .expected = "an address or prefix such as 198.51.100.0/24",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_network,
};

const struct policy_type policy_keys_member = {
    .name = "prefix",
    .expected = "an address or prefix such as 198.51.100.0/24",
    .size = sizeof(struct ip_prefix),
    .read = policy_addr_member,
};

const struct policy_type policy_keys_sni = {
    .name = "server name",
    .expected = "a server name such as shop.example or *.shop.example",
    .size = sizeof(char *),
    .read = policy_name_sni,
};

const struct policy_type policy_keys_rate = {
    .name = "rate",
    .expected = "a rate such as 100Mbit or 1Gbit",
    .size = sizeof(uint64_t),
    .read = policy_scalar_rate,
    .min = 8 * 1000,
    .max = 1000ull * 1000 * 1000 * 1000,
    .range = "from 8kbit to 1000Gbit",
};

const struct policy_type policy_keys_tls_version = {
    .name = "`1.2` or `1.3`",
    .expected = "1.2 or 1.3",
    .size = sizeof(uint16_t),
    .read = policy_tls_version,
};

const struct policy_type policy_keys_protocol = {
    .name = "protocol name",
    .expected = "a protocol name such as http/1.1",
    .size = sizeof(char *),
    .read = policy_tls_protocol,
};

const struct policy_type policy_keys_alpn = {
    .kind = POLICY_KIND_LIST,
    .name = "list of protocol names",
    .expected = "a list of protocol names such as [http/1.1]",
    .read = policy_tls_alpn,
    .element = &policy_keys_protocol,
    .count_max = 64,
    .empty = "leave the key out to take no part in ALPN",
    .unique = true,
};

const struct policy_type policy_keys_rule_name = {
    .name = "name",
    .expected = "a name of at most 64 letters, digits, '-', '_' and '.' that begins with a letter "
                "or digit",
    .size = sizeof(char *),
    .read = policy_name_rule,
};

const struct policy_type policy_keys_class_name = {
    .name = "name of a class",
    .expected = "the name of a class",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_CLASSES,
};

const struct policy_type policy_keys_certificate_name = {
    .name = "name of a certificate",
    .expected = "the name of a certificate",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_CERTIFICATES,
};
