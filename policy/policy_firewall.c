/* Values of firewall rules, and what of them goes together. */
#include "policy/policy_firewall.h"

#include <string.h>

#include "policy/policy_scalar.h"

/* The children of a list, or the one value that stands for it. */
static const struct policy_node *next_of(const struct policy_node *list,
                                         const struct policy_node *child)
{
    return list->kind == POLICY_NODE_SCALAR ? NULL : child->next;
}

/* ---- ports ---- */

void policy_firewall_ports(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, void *out)
{
    uint64_t first, last;
    const char *end = policy_scalar_digits(n->text, &first);

    last = first;
    if (end != NULL && *end == '-')
        end = policy_scalar_digits(end + 1, &last);
    if (end == NULL || *end != '\0' || first > UINT16_MAX || last > UINT16_MAX)
        policy_schema_mismatch(r, type, n);
    else if (first > last)
        policy_reader_error(r, n, "the range ends before it begins, did you mean \"%u-%u\"?",
                            (unsigned)last, (unsigned)first);
    else
        *(struct policy_port_range *)out =
            (struct policy_port_range){(uint16_t)first, (uint16_t)last};
}

/* ---- TCP flags ---- */

void policy_firewall_flags(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, void *out)
{
    struct policy_firewall_rule *rule =
        (struct policy_firewall_rule *)((char *)out -
                                        offsetof(struct policy_firewall_rule, tcp_flags_set));

    for (const struct policy_node *c = policy_node_at(n, 0); c != NULL; c = next_of(n, c)) {
        bool clear = c->kind == POLICY_NODE_SCALAR && c->text[0] == '!';
        uint8_t flag = 0;

        policy_schema_read(r, type->element, c, &flag, NULL);
        if ((flag & (clear ? rule->tcp_flags_set : rule->tcp_flags_clear)) != 0)
            policy_reader_error(r, c, "the flag %s cannot be set and not set",
                                c->text + (clear ? 1 : 0));
        *(clear ? &rule->tcp_flags_clear : &rule->tcp_flags_set) |= flag;
    }
}

/* ---- protocols ---- */

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };

enum { WITH_ICMP = 1, WITH_TCP = 2, WITH_UDP = 4, WITH_ICMPV6 = 8, WITH_ANY = 15 };

static const struct demand {
    const char *key;
    unsigned protocols;
    const char *words;
} demands[] = {
    {"source-port", WITH_TCP | WITH_UDP, "tcp or udp"},
    {"port", WITH_TCP | WITH_UDP, "tcp or udp"},
    {"icmp-type", WITH_ICMP | WITH_ICMPV6, "icmp or icmpv6"},
    {"tcp-flags", WITH_TCP, "tcp"},
};

#define DEMANDS (sizeof demands / sizeof demands[0])

static unsigned protocol_bit(uint8_t protocol)
{
    return protocol == ICMP     ? WITH_ICMP
           : protocol == TCP    ? WITH_TCP
           : protocol == UDP    ? WITH_UDP
           : protocol == ICMPV6 ? WITH_ICMPV6
                                : 0;
}

/* The first protocol that was written and is none of these, or NULL. */
static const struct policy_node *other_protocol(const struct policy_firewall_rule *rule,
                                                const struct policy_node *protocols,
                                                unsigned allowed)
{
    const struct policy_node *c = policy_node_at(protocols, 0);

    if (protocols == NULL)
        return NULL;
    for (unsigned i = 0; i < rule->protocol_count && c != NULL; i++, c = next_of(protocols, c)) {
        uint8_t protocol = rule->protocols[i];

        /* One that could not be read was reported, and is 0. */
        if (protocol == 0 && (c->kind != POLICY_NODE_SCALAR || strcmp(c->text, "0") != 0))
            continue;
        if ((protocol_bit(protocol) & allowed) == 0)
            return c;
    }
    return NULL;
}

static void imply_protocols(struct policy_reader *r, struct policy_firewall_rule *rule,
                            unsigned allowed)
{
    static const uint8_t all[] = {ICMP, TCP, UDP};

    rule->protocols = policy_reader_alloc(r, sizeof all, sizeof all[0]);
    for (unsigned i = 0; i < sizeof all && rule->protocols != NULL; i++)
        if ((protocol_bit(all[i]) & allowed) != 0)
            rule->protocols[rule->protocol_count++] = all[i];
}

static void check_protocols(struct policy_reader *r, const struct policy_node *n,
                            struct policy_firewall_rule *rule)
{
    const struct policy_node *protocols = policy_node_get(n, "protocol");
    unsigned allowed = WITH_ANY;
    const char *former = NULL;

    for (unsigned i = 0; i < DEMANDS; i++) {
        const struct policy_node *key = policy_node_get(n, demands[i].key);
        const struct policy_node *other =
            key != NULL ? other_protocol(rule, protocols, demands[i].protocols) : NULL;
        char found[POLICY_NODE_QUOTE_MAX];

        if (key == NULL)
            continue;
        if (other != NULL)
            policy_reader_error(r, other, "expected %s, found %s: the rule has %s",
                                demands[i].words, policy_node_describe(other, found),
                                demands[i].key);
        if (protocols == NULL && (allowed & demands[i].protocols) == 0) {
            policy_reader_error(r, key, "no packet has both %s and %s", former, demands[i].key);
            return;
        }
        allowed &= demands[i].protocols;
        former = demands[i].key;
    }
    if (protocols == NULL && former != NULL)
        imply_protocols(r, rule, allowed);
}

/* The names are those of ICMP (RFC 792); ICMPv6 has other numbers for the same. */
static void check_icmp_names(struct policy_reader *r, const struct policy_node *n,
                             const struct policy_firewall_rule *rule)
{
    const struct policy_node *types = policy_node_get(n, "icmp-type");
    bool v6 = false;

    for (unsigned i = 0; i < rule->protocol_count; i++)
        v6 |= rule->protocols[i] == ICMPV6;
    if (!v6 || types == NULL)
        return;
    for (const struct policy_node *c = policy_node_at(types, 0); c != NULL; c = next_of(types, c)) {
        if (c->kind == POLICY_NODE_SCALAR && (c->text[0] < '0' || c->text[0] > '9'))
            policy_reader_error(r, c,
                                "\"%s\" is a type of ICMP: write the number of ICMPv6's, such as "
                                "128 for an echo request",
                                c->text);
    }
}

/* ---- rules ---- */

static void check_limit(struct policy_reader *r, const struct policy_node *n,
                        const struct policy_firewall_rule *rule)
{
    const struct policy_node *action = policy_node_get(n, "action");
    const struct policy_node *limit = policy_node_get(n, "limit");

    /* A wrong action was reported and left its zero, which must not be taken for "accept". */
    if (action == NULL || action->kind != POLICY_NODE_SCALAR ||
        (rule->action == POLICY_FIREWALL_ACCEPT && strcmp(action->text, "accept") != 0))
        return;
    if (rule->action == POLICY_FIREWALL_LIMIT && limit == NULL)
        policy_reader_error(r, action, "to limit, the rule needs the key \"limit\"");
    if (rule->action != POLICY_FIREWALL_LIMIT && limit != NULL)
        policy_reader_error(r, limit, "only a rule with the action limit has one, found %s",
                            action->text);
}

static void check_no_class(struct policy_reader *r, const struct policy_node *n)
{
    const struct policy_node *class = policy_node_get(n, "class");

    if (class != NULL)
        policy_reader_error(r, class,
                            "no connection begins with a packet that is refused: expected "
                            "no class");
}

/* A wrong action was reported, and may have left anything. */
static void check_cookies(struct policy_reader *r, const struct policy_node *n)
{
    const struct policy_node *action = policy_node_get(n, "action");
    const struct policy_node *cookies = policy_node_get(n, "syn-cookies");

    if (cookies == NULL || action == NULL || action->kind != POLICY_NODE_SCALAR)
        return;
    if (strcmp(action->text, "accept") != 0 && strcmp(action->text, "limit") != 0)
        policy_reader_error(r, cookies,
                            "only a rule with the action accept or limit can ask for cookies, "
                            "found %s",
                            action->text);
}

void policy_firewall_rule_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_firewall_rule *rule = out;

    if (rule->name == NULL)
        rule->name = policy_name_of_rule(r, rule->index);
    check_protocols(r, n, rule);
    check_icmp_names(r, n, rule);
    check_limit(r, n, rule);
    check_cookies(r, n);
    if (rule->action == POLICY_FIREWALL_DROP || rule->action == POLICY_FIREWALL_REJECT)
        check_no_class(r, n);
}

/* A burst is by default what one second allows, and nothing without a rate. */
static void finish_burst(struct policy_reader *r, const struct policy_node *n, const char *key,
                         uint32_t *burst, const char *rate_key, uint32_t rate)
{
    const struct policy_node *written = policy_node_get(n, key);

    if (written == NULL)
        *burst = rate;
    else if (policy_node_get(n, rate_key) == NULL)
        policy_reader_error(r, written, "a burst needs the key \"%s\"", rate_key);
}

void policy_firewall_limit_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_firewall_limit *limit = out;

    if (policy_node_get(n, "connections") == NULL &&
        policy_node_get(n, "connections-per-second") == NULL &&
        policy_node_get(n, "handshakes-per-second") == NULL)
        policy_reader_error(r, n,
                            "expected connections, connections-per-second or "
                            "handshakes-per-second, found none");
    finish_burst(r, n, "connection-burst", &limit->connection_burst, "connections-per-second",
                 limit->connections_per_second);
    finish_burst(r, n, "handshake-burst", &limit->handshake_burst, "handshakes-per-second",
                 limit->handshakes_per_second);
}
