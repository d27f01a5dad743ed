#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "policy/policy_scalar.h"

bool policy_addr_link_local(const struct ip_addr *addr)
{
    return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

/* A colon before any port makes an address IPv6. */
static bool is_ipv6(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon != NULL && (text[0] == '[' || strchr(colon + 1, ':') != NULL);
}

/* Reports text that did not parse by what was expected instead. An IPv4 address has one way to be
 * written: mapped ones ("::ffff:192.0.2.1") are on no wire. */
static bool accepted(struct policy_reader *r, const struct policy_type *type,
                     const struct policy_node *n, const struct ip_addr *addr, bool parsed)
{
    char text[IP_TEXT_MAX];

    if (!parsed)
        policy_schema_mismatch(r, type, n);
    else if (ip_is_v4(addr) && is_ipv6(n->text))
        policy_reader_error(r, n, "an IPv4 address is written as such: %s", ip_format(addr, text));
    else
        return true;
    return false;
}

/* Why no host can have the address (RFC 6890), or NULL. */
static const char *unusable_v4(const struct ip_addr *addr)
{
    uint32_t a = ntohl(ip_to_v4(addr));

    if (a == 0)
        return "the unspecified address";
    if (a >> 24 == 0)
        return "in 0.0.0.0/8, which no host has";
    if (a >> 24 == 127)
        return "a loopback address";
    if (a >> 28 == 14)
        return "a multicast address";
    if (a == UINT32_MAX)
        return "the broadcast address";
    return a >> 28 == 15 ? "in 240.0.0.0/4, which is reserved" : NULL;
}

static const struct ip_addr loopback_v6 = {.b = {[15] = 1}};

static const char *unusable_v6(const struct ip_addr *addr)
{
    if (ip_is_unspecified(addr))
        return "the unspecified address";
    if (ip_equal(addr, &loopback_v6))
        return "a loopback address";
    if (addr->b[0] == 0xff)
        return "a multicast address";
    return policy_addr_link_local(addr) ? "a link-local address, which is good on its link only"
                                        : NULL;
}

static const char *unusable(const struct ip_addr *addr)
{
    return ip_is_v4(addr) ? unusable_v4(addr) : unusable_v6(addr);
}

const char *policy_addr_special_in(const struct ip_addr *addr, const struct ip_prefix *p)
{
    uint32_t host_bits, host;

    /* RFC 3021: a /31 has two hosts, and a /32 is one, without network or broadcast address. */
    if (!ip_is_v4(addr) || p->len < 96 || p->len >= 96 + 31 || !ip_in_prefix(addr, p))
        return NULL;
    host_bits = UINT32_MAX >> (p->len - 96);
    host = ntohl(ip_to_v4(addr)) & host_bits;
    if (host == 0)
        return "the address of the network itself";
    return host == host_bits ? "the broadcast address of the network" : NULL;
}

static bool usable(struct policy_reader *r, const struct policy_node *n, const struct ip_addr *addr)
{
    const char *why = unusable(addr);
    char text[IP_TEXT_MAX];

    if (why != NULL)
        policy_reader_error(r, n, "expected the address of a host, found %s, %s",
                            ip_format(addr, text), why);
    return why == NULL;
}

void policy_addr_host(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *n, void *out)
{
    struct ip_addr addr;

    if (accepted(r, type, n, &addr, ip_parse(n->text, &addr) == 0) && usable(r, n, &addr))
        *(struct ip_addr *)out = addr;
}

void policy_addr_gateway(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out)
{
    struct ip_addr addr;

    if (accepted(r, type, n, &addr, ip_parse(n->text, &addr) == 0) &&
        (policy_addr_link_local(&addr) || usable(r, n, &addr)))
        *(struct ip_addr *)out = addr;
}

/* RFC 4291, 2.6.1: any router of the network answers to it. A /127 has two hosts (RFC 6164). */
static bool is_anycast(const struct ip_prefix *p)
{
    struct ip_prefix network = ip_prefix_network(p);

    return !ip_is_v4(&p->addr) && p->len < 127 && ip_equal(&network.addr, &p->addr);
}

void policy_addr_interface(struct policy_reader *r, const struct policy_type *type,
                           const struct policy_node *n, void *out)
{
    struct ip_prefix p;
    bool parsed = strchr(n->text, '/') != NULL && ip_prefix_parse(n->text, &p) == 0;
    char text[IP_TEXT_MAX];
    const char *why;

    if (!accepted(r, type, n, &p.addr, parsed) || !usable(r, n, &p.addr))
        return;
    if (p.len == (ip_is_v4(&p.addr) ? 96 : 0))
        why = "which leaves no address outside the network";
    else
        why = is_anycast(&p) ? "the address of all the network's routers"
                             : policy_addr_special_in(&p.addr, &p);
    if (why != NULL)
        policy_reader_error(r, n, "expected the address of a host, found %s, %s",
                            ip_prefix_format(&p, text), why);
    else
        *(struct ip_prefix *)out = p;
}

/* Stores a prefix without host's part. */
static void store_network(struct policy_reader *r, const struct policy_node *n,
                          const struct ip_prefix *p, struct ip_prefix *out)
{
    struct ip_prefix network = ip_prefix_network(p);
    char found[IP_TEXT_MAX], meant[IP_TEXT_MAX];

    if (ip_equal(&network.addr, &p->addr))
        *out = *p;
    else
        policy_reader_error(r, n, "%s has bits set beyond its length, did you mean %s?",
                            ip_prefix_format(p, found), ip_prefix_format(&network, meant));
}

void policy_addr_network(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out)
{
    struct ip_prefix p;

    if (accepted(r, type, n, &p.addr, ip_prefix_parse(n->text, &p) == 0))
        store_network(r, n, &p, out);
}

void policy_addr_member(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    struct ip_prefix p;

    if (ip_prefix_parse(n->text, &p) == 0)
        store_network(r, n, &p, out);
    else
        policy_schema_mismatch(r, type, n);
}

/* Names of sets begin with a letter and have neither '.' nor ':' (policy_name_check()). */
void policy_addr_origin(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    struct policy_origin *origin = out;

    if (strcmp(n->text, "any") == 0 &&
        policy_table_find(&r->names[POLICY_SECTION_SETS], n->text) == NULL)
        policy_reader_error(r, n, "leave the key out to match any address");
    else if (isalpha((unsigned char)n->text[0]) && strpbrk(n->text, ".:") == NULL)
        policy_name_reference(r, type, n, &origin->set);
    else
        policy_addr_network(r, type, n, &origin->prefix);
}

void policy_addr_default(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out)
{
    if (strcmp(n->text, "default") == 0)
        *(struct ip_prefix *)out = (struct ip_prefix){ip_from_v4(0), 96};
    else
        policy_addr_network(r, type, n, out);
}

static void read_endpoint(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, struct ip_endpoint *out)
{
    struct ip_endpoint e;

    if (accepted(r, type, n, &e.addr, ip_endpoint_parse(n->text, &e) == 0) && usable(r, n, &e.addr))
        *out = e;
}

void policy_addr_bind(struct policy_reader *r, const struct policy_type *type,
                      const struct policy_node *n, void *out)
{
    struct ip_endpoint e;

    char text[IP_TEXT_MAX];

    if (ip_endpoint_parse(n->text, &e) == 0 && ip_is_unspecified(&e.addr))
        policy_reader_error(r, n,
                            "expected one of the interfaces' addresses, found %s: a listener has "
                            "one address",
                            ip_format(&e.addr, text));
    else
        read_endpoint(r, type, n, out);
}

void policy_addr_loopback(struct policy_reader *r, const struct policy_type *type,
                          const struct policy_node *n, void *out)
{
    struct ip_endpoint e;
    char text[IP_TEXT_MAX];

    if (!accepted(r, type, n, &e.addr, ip_endpoint_parse(n->text, &e) == 0))
        return;
    if (ip_is_v4(&e.addr) ? ntohl(ip_to_v4(&e.addr)) >> 24 == 127 : ip_equal(&e.addr, &loopback_v6))
        *(struct ip_endpoint *)out = e;
    else
        policy_reader_error(r, n,
                            "expected a loopback address such as 127.0.0.1, found %s: it is served "
                            "without TLS and password, to this machine only",
                            ip_format(&e.addr, text));
}

void policy_addr_server(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out)
{
    struct policy_server *server = out;
    char found[POLICY_NODE_QUOTE_MAX];

    if (isalpha((unsigned char)n->text[0]) && !is_ipv6(n->text))
        policy_reader_error(r, n,
                            "expected %s, found %s: names are not looked up, write the address",
                            type->expected, policy_node_describe(n, found));
    else
        read_endpoint(r, type, n, &server->endpoint);
}
