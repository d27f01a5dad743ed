/* Sets of prefixes and the firewall. */
#include <string.h>

#include "policy/policy_firewall.h"
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* ---- sets ---- */

static const struct policy_type type_members = {
    .kind = POLICY_KIND_LIST,
    .name = "list of prefixes",
    .expected = "a list of prefixes such as [198.51.100.0/24]",
    .size = sizeof(struct ip_prefix),
    .element = &policy_keys_member,
    .count_max = 65536,
};

static const struct policy_key set_keys[] = {
    {.name = "prefixes",
     .type = &type_members,
     LIST_AT(set, prefixes, prefix_count),
     .help = "The prefixes, of IPv4 or IPv6."},
    {.name = "file",
     .type = &policy_keys_path,
     .offset = AT(set, file),
     .help = "A file of prefixes or addresses, one a line; `#` begins a comment. Read at the start "
             "and at each reload."},
    {.name = NULL},
};

static void set_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_set *set = out;

    set->name = n->key->text;
    set->mark = n->key->mark;
    set->index = index;
}

static const struct policy_type type_set = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {prefixes: [198.51.100.0/24]} or {file: blocked.txt}",
    .size = sizeof(struct policy_set),
    .begin = set_begin,
    .finish = policy_set_finish,
    .keys = set_keys,
};

const struct policy_type policy_keys_sets = {
    .kind = POLICY_KIND_SECTION,
    .name = "sets by name",
    .expected = "a mapping of sets by name",
    .size = sizeof(struct policy_set),
    .element = &type_set,
    .count_max = 1024,
    .defines = POLICY_SECTION_SETS,
};

/* ---- what a rule matches ---- */

static const struct policy_type type_interface_name = {
    .name = "name of an interface",
    .expected = "the name of an interface",
    .size = sizeof(void *),
    .read = policy_name_reference,
    .section = POLICY_SECTION_INTERFACES,
};

static const struct policy_type type_interface_names = {
    .kind = POLICY_KIND_LIST,
    .name = "name of an interface, or a list of them",
    .expected = "the name of an interface, or a list of them",
    .size = sizeof(void *),
    .element = &type_interface_name,
    .count_max = 64,
    .empty = "leave the key out to match any",
    .single = true,
    .unique = true,
};

static const struct policy_type type_origin = {
    .name = "prefix or name of a set",
    .expected = "an address, a prefix such as 198.51.100.0/24, or the name of a set",
    .size = sizeof(struct policy_origin),
    .read = policy_addr_origin,
    .section = POLICY_SECTION_SETS,
};

static const struct policy_type type_origins = {
    .kind = POLICY_KIND_LIST,
    .name = "prefix or name of a set, or a list of them",
    .expected = "a prefix such as 198.51.100.0/24, the name of a set, or a list of them",
    .size = sizeof(struct policy_origin),
    .element = &type_origin,
    .count_max = 16384,
    .empty = "leave the key out to match any address",
    .single = true,
};

static const struct policy_choice protocol_choices[] = {
    {"icmp", 1}, {"icmpv6", 58}, {"tcp", 6}, {"udp", 17}, {NULL, 0},
};

static const struct policy_type type_protocol = {
    .name = "`tcp`, `udp`, `icmp`, `icmpv6` or a number",
    .expected = "tcp, udp, icmp, icmpv6, or the number of an IP protocol",
    .size = sizeof(uint8_t),
    .read = policy_scalar_named,
    .choices = protocol_choices,
    .max = 255,
    .range = "from 0 to 255",
};

static const struct policy_type type_protocols = {
    .kind = POLICY_KIND_LIST,
    .name = "`tcp`, `udp`, `icmp`, `icmpv6` or a number, or a list of them",
    .expected = "tcp, udp, icmp, icmpv6 or the number of an IP protocol, or a list of them",
    .size = sizeof(uint8_t),
    .element = &type_protocol,
    .count_max = 256,
    .empty = "leave the key out to match any protocol",
    .single = true,
    .unique = true,
};

static const struct policy_type type_port_range = {
    .name = "port or range of ports",
    .expected = "a port from 0 to 65535, or a range such as 8000-8999",
    .size = sizeof(struct policy_port_range),
    .read = policy_firewall_ports,
};

static const struct policy_type type_port_ranges = {
    .kind = POLICY_KIND_LIST,
    .name = "port or `first-last`, or a list of them",
    .expected = "a port, a range such as 8000-8999, or a list of them",
    .size = sizeof(struct policy_port_range),
    .element = &type_port_range,
    .count_max = 1024,
    .empty = "leave the key out to match any port",
    .single = true,
    .unique = true,
};

/* RFC 792, RFC 1256. */
static const struct policy_choice icmp_choices[] = {
    {"echo-reply", 0},
    {"destination-unreachable", 3},
    {"redirect", 5},
    {"echo-request", 8},
    {"router-advertisement", 9},
    {"router-solicitation", 10},
    {"time-exceeded", 11},
    {"parameter-problem", 12},
    {"timestamp-request", 13},
    {"timestamp-reply", 14},
    {NULL, 0},
};

static const struct policy_type type_icmp_type = {
    .name = "type of ICMP",
    .expected = "a type of ICMP such as echo-request, or its number",
    .size = sizeof(uint8_t),
    .read = policy_scalar_named,
    .choices = icmp_choices,
    .max = 255,
    .range = "from 0 to 255",
};

static const struct policy_type type_icmp_types = {
    .kind = POLICY_KIND_LIST,
    .name = "type of ICMP, or a list of them",
    .expected = "a type of ICMP such as echo-request or its number, or a list of them",
    .size = sizeof(uint8_t),
    .element = &type_icmp_type,
    .count_max = 256,
    .empty = "leave the key out to match any",
    .single = true,
    .unique = true,
};

/* RFC 9293, 3.1. */
static const struct policy_choice flag_choices[] = {
    {"fin", 0x01},  {"syn", 0x02},  {"rst", 0x04},  {"psh", 0x08},  {"ack", 0x10},  {"urg", 0x20},
    {"ece", 0x40},  {"cwr", 0x80},  {"!fin", 0x01}, {"!syn", 0x02}, {"!rst", 0x04}, {"!psh", 0x08},
    {"!ack", 0x10}, {"!urg", 0x20}, {"!ece", 0x40}, {"!cwr", 0x80}, {NULL, 0},
};

static const struct policy_type type_tcp_flag = {
    .name = "TCP flag",
    .expected = "a TCP flag such as syn or \"!ack\"",
    .size = sizeof(uint8_t),
    .read = policy_scalar_choice,
    .choices = flag_choices,
};

static const struct policy_type type_tcp_flags = {
    .kind = POLICY_KIND_LIST,
    .name = "TCP flag, or a list of them",
    .expected = "a list of TCP flags such as [syn, \"!ack\"]",
    .read = policy_firewall_flags,
    .element = &type_tcp_flag,
    .count_max = 16,
    .empty = "leave the key out to match any flags",
    .single = true,
};

/* ---- limits ---- */

static const struct policy_type type_amount = {
    .name = "number",
    .expected = "a number",
    .size = sizeof(uint32_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 1000000000,
    .range = "from 1 to 1000000000",
};

static const struct policy_type type_bits4 = {
    .name = "number",
    .expected = "a number of bits",
    .size = sizeof(uint8_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 32,
    .range = "from 1 to 32",
};

static const struct policy_type type_bits6 = {
    .name = "number",
    .expected = "a number of bits",
    .size = sizeof(uint8_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 128,
    .range = "from 1 to 128",
};

static const struct policy_choice over_choices[] = {
    {"drop", 0},
    {"reject", 1},
    {NULL, 0},
};

static const struct policy_type type_over = {
    .name = "`drop` or `reject`",
    .expected = "drop or reject",
    .size = sizeof(bool),
    .read = policy_scalar_choice,
    .choices = over_choices,
};

static const struct policy_key limit_keys[] = {
    {.name = "connections",
     .type = &type_amount,
     .offset = AT(firewall_limit, connections),
     .help = "Connections at a time."},
    {.name = "connections-per-second",
     .type = &type_amount,
     .offset = AT(firewall_limit, connections_per_second),
     .help = "New connections a second."},
    {.name = "connection-burst",
     .type = &type_amount,
     .offset = AT(firewall_limit, connection_burst),
     .help = "How many may come at once; by default those of one second."},
    {.name = "handshakes-per-second",
     .type = &type_amount,
     .offset = AT(firewall_limit, handshakes_per_second),
     .help = "TLS handshakes a second."},
    {.name = "handshake-burst",
     .type = &type_amount,
     .offset = AT(firewall_limit, handshake_burst),
     .help = "How many may come at once; by default those of one second."},
    {.name = "prefix-v4",
     .type = &type_bits4,
     .offset = AT(firewall_limit, prefix4),
     .fallback = "32",
     .help = "Bits of an IPv4 source that count as one."},
    {.name = "prefix-v6",
     .type = &type_bits6,
     .offset = AT(firewall_limit, prefix6),
     .fallback = "64",
     .help = "Bits of an IPv6 source that count as one."},
    {.name = "over",
     .type = &type_over,
     .offset = AT(firewall_limit, reject),
     .fallback = "drop",
     .help = "What happens to what is beyond the limit."},
    {.name = NULL},
};

static const struct policy_type type_limit = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping such as {connections: 100}",
    .finish = policy_firewall_limit_finish,
    .keys = limit_keys,
};

/* ---- rules ---- */

static const struct policy_choice action_choices[] = {
    {"accept", POLICY_FIREWALL_ACCEPT},
    {"drop", POLICY_FIREWALL_DROP},
    {"reject", POLICY_FIREWALL_REJECT},
    {"limit", POLICY_FIREWALL_LIMIT},
    {"count", POLICY_FIREWALL_COUNT},
    {"log", POLICY_FIREWALL_LOG},
    {NULL, 0},
};

static const struct policy_type type_action = {
    .name = "`accept`, `drop`, `reject`, `limit`, `count` or `log`",
    .expected = "accept, drop, reject, limit, count or log",
    .size = sizeof(enum policy_firewall_action),
    .read = policy_scalar_choice,
    .choices = action_choices,
};

static const struct policy_key rule_keys[] = {
    {.name = "name",
     .type = &policy_keys_rule_name,
     .offset = AT(firewall_rule, name),
     .help = "For logs and counters; by default `rule N`, with its number in the list from 1."},
    {.name = "interface",
     .type = &type_interface_names,
     LIST_AT(firewall_rule, interfaces, interface_count),
     .help = "Where the packet comes in."},
    {.name = "source",
     .type = &type_origins,
     LIST_AT(firewall_rule, sources, source_count),
     .help = "Where the packet comes from."},
    {.name = "destination",
     .type = &type_origins,
     LIST_AT(firewall_rule, destinations, destination_count),
     .help = "Where it goes to."},
    {.name = "protocol",
     .type = &type_protocols,
     LIST_AT(firewall_rule, protocols, protocol_count),
     .help = "Its IP protocol. Where the key is missing, ports mean `tcp` and `udp`, `icmp-type` "
             "means `icmp`, and `tcp-flags` mean `tcp`."},
    {.name = "source-port",
     .type = &type_port_ranges,
     LIST_AT(firewall_rule, source_ports, source_port_count),
     .help = "Ports of TCP and UDP that the packet comes from."},
    {.name = "port",
     .type = &type_port_ranges,
     LIST_AT(firewall_rule, ports, port_count),
     .help = "Ports of TCP and UDP that the packet goes to."},
    {.name = "icmp-type",
     .type = &type_icmp_types,
     LIST_AT(firewall_rule, icmp_types, icmp_type_count),
     .help =
         "Types of ICMP, by name such as `echo-request` or by number; of ICMPv6 by number, such as "
         "128 for an echo request."},
    {.name = "tcp-flags",
     .type = &type_tcp_flags,
     .offset = AT(firewall_rule, tcp_flags_set),
     .help = "Flags that must be set, and with `!` in front must not be; others may be."},
    {.name = "action",
     .type = &type_action,
     .offset = AT(firewall_rule, action),
     .required = true,
     .help =
         "`accept`; `drop`; `reject`: drop and tell the sender, by RST or ICMP; `limit`: accept "
         "within `limit`; `count`, `log`: count, or log and count, and go on with the next "
         "rule."},
    {.name = "log",
     .type = &policy_keys_bool,
     .offset = AT(firewall_rule, log),
     .fallback = "false",
     .help = "Whether matches are logged as well, a bounded number a second."},
    {.name = "limit",
     .type = &type_limit,
     .offset = AT(firewall_rule, limit),
     .help = "How much each source may have; required for the action `limit`."},
    {.name = "class",
     .type = &policy_keys_class_name,
     .offset = AT(firewall_rule, egress_class),
     .help = "The egress class of connections that such packets begin."},
    {.name = "syn-cookies",
     .type = &policy_keys_bool,
     .offset = AT(firewall_rule, syn_cookies),
     .fallback = "false",
     .help = "Whether each connection that such packets begin has to answer a SYN cookie first, "
             "which keeps no state for it, unless its listener has `syn-cookies: off`."},
    {.name = NULL},
};

static void rule_begin(void *out, const struct policy_node *n, unsigned index)
{
    struct policy_firewall_rule *rule = out;

    rule->mark = policy_node_place(n);
    rule->index = index;
}

static const struct policy_type type_rule = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key action",
    .size = sizeof(struct policy_firewall_rule),
    .begin = rule_begin,
    .finish = policy_firewall_rule_finish,
    .keys = rule_keys,
};

static const struct policy_type type_rules = {
    .kind = POLICY_KIND_LIST,
    .name = "list of rules",
    .expected = "a list of rules such as [{action: drop, source: 203.0.113.0/24}]",
    .size = sizeof(struct policy_firewall_rule),
    .element = &type_rule,
    .count_max = 16384,
};

/* ---- the firewall ---- */

static const struct policy_choice default_choices[] = {
    {"accept", 0},
    {"drop", 1},
    {NULL, 0},
};

static const struct policy_type type_default = {
    .name = "`accept` or `drop`",
    .expected = "accept or drop",
    .size = sizeof(bool),
    .read = policy_scalar_choice,
    .choices = default_choices,
};

static const struct policy_type type_limit_entries = {
    .name = "number",
    .expected = "a number of source prefixes",
    .size = sizeof(uint32_t),
    .read = policy_scalar_number,
    .min = 1024,
    .max = 1 << 24,
    .range = "from 1024 to 16777216",
};

static const struct policy_key firewall_keys[] = {
    {.name = "default",
     .type = &type_default,
     .offset = AT(firewall, drop_by_default),
     .fallback = "accept",
     .help =
         "What happens to a packet that no rule decides on. With `drop`, packets of connections "
         "that stand and ICMP errors still pass."},
    {.name = "limit-entries",
     .type = &type_limit_entries,
     .offset = AT(firewall, limit_entries),
     .fallback = "65536",
     .help = "Source prefixes that limits keep track of at a time."},
    {.name = "rules",
     .type = &type_rules,
     LIST_AT(firewall, rules, rule_count),
     .help = "The first rule that matches, and whose action is not `count` or `log`, decides."},
    {.name = NULL},
};

static void firewall_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_firewall *firewall = out;
    const struct policy_node *entries = policy_node_get(n, "limit-entries");

    (void)r;
    firewall->limit_entries_mark = policy_node_place(entries != NULL ? entries : n);
}

const struct policy_type policy_keys_firewall = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys default and rules",
    .finish = firewall_finish,
    .keys = firewall_keys,
};
