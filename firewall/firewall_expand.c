/*
 * From a rule with lists to rules of the ACL library, which knows no lists: one for each
 * combination of their members. What can be one mask is not multiplied: interfaces and TCP flags
 * are bit masks, and the members of a set are one bit.
 *
 * Conditions on ports, TCP flags or ICMP types hold for packets that have such a field only, so
 * they narrow the protocols.
 */
#include <string.h>

#include <netinet/in.h>

#include <rte_byteorder.h>

#include "firewall/firewall_internal.h"

#define COMBINATIONS_MAX 4096 /* of one rule; a list that long is what sets are for */

static bool implied_protocol(const struct firewall_rule *r, enum firewall_family family, uint8_t p)
{
    bool ports = r->source_port_count + r->port_count > 0;

    if (ports && p != IPPROTO_TCP && p != IPPROTO_UDP)
        return false;
    if ((r->tcp_flags_set | r->tcp_flags_clear) != 0 && p != IPPROTO_TCP)
        return false;
    return r->icmp_type_count == 0 ||
           p == (family == FIREWALL_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static bool listed_protocol(const struct firewall_rule *r, uint8_t p)
{
    return r->protocol_count == 0 || memchr(r->protocols, p, r->protocol_count) != NULL;
}

/* Returns false when none is left. */
static bool protocols_init(struct firewall_terms *t)
{
    const struct firewall_rule *r = t->rule;

    t->protocol_count = 0;
    for (unsigned p = 0; p <= UINT8_MAX; p++) {
        if (listed_protocol(r, (uint8_t)p) && implied_protocol(r, t->family, (uint8_t)p))
            t->protocols[t->protocol_count++] = (uint8_t)p;
    }
    if (t->protocol_count == 0)
        return false;
    if (t->protocol_count == UINT8_MAX + 1)
        t->protocol_count = 0;
    return true;
}

static uint64_t choices(unsigned count)
{
    return count > 0 ? count : 1;
}

int firewall_terms_init(struct firewall_terms *t, const struct firewall_rule *rule,
                        enum firewall_family family, struct error *e)
{
    const unsigned lists[] = {rule->source_count, rule->destination_count, rule->source_port_count,
                              rule->port_count, rule->icmp_type_count};
    uint64_t product;

    t->rule = rule;
    t->family = family;
    t->combinations = 0;
    if (!protocols_init(t))
        return 0;
    product = choices(t->protocol_count);
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        product *= choices(lists[i]);
        if (product > COMBINATIONS_MAX)
            return error_set(e,
                             "firewall rule \"%s\": its lists have more than %d combinations; put "
                             "the addresses into a set, or make several rules of it",
                             rule->name, COMBINATIONS_MAX);
    }
    t->combinations = (uint32_t)product;
    return 0;
}

static struct rte_acl_field bits32(uint32_t value, uint32_t mask)
{
    return (struct rte_acl_field){.value.u32 = value, .mask_range.u32 = mask};
}

/* False when it is a prefix of the other family. */
static bool put_origin(const struct firewall_origin *o, enum firewall_family family,
                       struct rte_acl_field *addr, struct rte_acl_field *sets)
{
    const struct ip_prefix net = ip_prefix_network(&o->prefix);
    unsigned words = family == FIREWALL_IPV4 ? 1 : 4;
    unsigned skipped = family == FIREWALL_IPV4 ? 96 : 0;

    if (o->set >= 0) {
        *sets = bits32(UINT32_C(1) << o->set, UINT32_C(1) << o->set);
        return true;
    }
    if ((net.len >= 96 && ip_is_v4(&net.addr)) != (family == FIREWALL_IPV4))
        return false;
    for (unsigned w = 0; w < words; w++) {
        unsigned before = skipped + 32 * w;
        unsigned len = net.len <= before ? 0 : net.len - before;

        addr[w].value.u32 = rte_be_to_cpu_32(net.addr.w[4 - words + w]);
        addr[w].mask_range.u32 = len < 32 ? len : 32;
    }
    return true;
}

static struct rte_acl_field port_range(const struct firewall_ports *list, unsigned count,
                                       unsigned i)
{
    struct firewall_ports any = {0, UINT16_MAX};
    const struct firewall_ports *range = count > 0 ? &list[i] : &any;

    return (struct rte_acl_field){.value.u16 = range->first, .mask_range.u16 = range->last};
}

/* What is the same in all combinations. */
static void put_masks(const struct firewall_rule *r, struct rte_acl_field *fields)
{
    uint8_t flags = r->tcp_flags_set | r->tcp_flags_clear;

    /* A packet has the bit of one interface: it must not be one of the others. */
    if (r->interfaces != 0)
        fields[FIREWALL_FIELD_IFACE].mask_range.u16 = (uint16_t)~r->interfaces;
    fields[FIREWALL_FIELD_TCP_FLAGS].value.u8 = r->tcp_flags_set;
    fields[FIREWALL_FIELD_TCP_FLAGS].mask_range.u8 = flags;
}

/* Takes the next digit of a number whose digits choose from the lists. */
static unsigned next_choice(uint32_t *number, unsigned count)
{
    unsigned digit = *number % (uint32_t)choices(count);

    *number /= (uint32_t)choices(count);
    return digit;
}

static void put_byte(struct rte_acl_field *field, const uint8_t *list, unsigned count, unsigned i)
{
    if (count > 0)
        *field = (struct rte_acl_field){.value.u8 = list[i], .mask_range.u8 = UINT8_MAX};
}

bool firewall_terms_get(const struct firewall_terms *t, uint32_t i, struct firewall_acl_rule *out)
{
    const struct firewall_rule *r = t->rule;
    struct rte_acl_field *f = out->field;
    unsigned source = next_choice(&i, r->source_count);
    unsigned destination = next_choice(&i, r->destination_count);

    memset(f, 0, sizeof out->field);
    put_masks(r, f);
    put_byte(&f[FIREWALL_FIELD_PROTOCOL], t->protocols, t->protocol_count,
             next_choice(&i, t->protocol_count));
    put_byte(&f[FIREWALL_FIELD_ICMP_TYPE], r->icmp_types, r->icmp_type_count,
             next_choice(&i, r->icmp_type_count));
    f[FIREWALL_FIELD_SPORT] =
        port_range(r->source_ports, r->source_port_count, next_choice(&i, r->source_port_count));
    f[FIREWALL_FIELD_DPORT] = port_range(r->ports, r->port_count, next_choice(&i, r->port_count));
    if (r->source_count > 0 && !put_origin(&r->sources[source], t->family, &f[FIREWALL_FIELD_SRC],
                                           &f[FIREWALL_FIELD_SRC_SETS]))
        return false;
    return r->destination_count == 0 ||
           put_origin(&r->destinations[destination], t->family, &f[FIREWALL_FIELD_DST],
                      &f[FIREWALL_FIELD_DST_SETS]);
}
