/*
 * Firewall rules that can never match, because an earlier one that ends the matter covers them:
 * each part of it holds all that the same part of the later rule does. That is enough to find, not
 * to prove: two rules that cover a third only together are not noticed, and of sets only equal ones
 * and those written inline are compared.
 *
 * Every rule is held against all earlier ones, which for ten thousand rules are fifty million
 * pairs. Nearly all are told apart by the hulls of their addresses and ports, which lie dense in
 * memory; what is left is compared in full, within a budget.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_check.h"
#include "policy/policy_range.h"

#define BUDGET 10000000 /* full comparisons, and values compared in them */

struct bits {
    uint64_t word[4]; /* 256 of them */
};

struct hull {
    uint32_t first, last;
};

/* A rule's parts in the form in which they are compared. */
struct shape {
    const struct policy_firewall_rule *rule;
    struct policy_range_set sources, destinations; /* without those of sets */
    struct bits protocols, icmp_types;
    uint32_t interfaces;
    struct policy_port_range *source_ports, *ports; /* ascending, apart from each other */
    unsigned source_port_count, port_count;
};

/* What a rule must hold of another one, and what of it others must hold. */
struct hulls {
    struct hull sources, destinations, ports;
};

struct shadow {
    struct policy_reader *r;
    struct policy_range_set *sets; /* by index; empty for those from files */
    struct shape *shapes;          /* of the earlier rules that end the matter */
    struct hulls *holds;           /* of the same */
    unsigned count;
    uint64_t budget;
};

/* ---- shapes ---- */

static struct bits bits_of(const uint8_t *values, unsigned count)
{
    struct bits bits = {0};

    if (count == 0)
        memset(&bits, 0xff, sizeof bits);
    for (unsigned i = 0; i < count; i++)
        bits.word[values[i] / 64] |= UINT64_C(1) << values[i] % 64;
    return bits;
}

static int compare_ports(const void *a, const void *b)
{
    const struct policy_port_range *x = a, *y = b;

    return (int)x->first - (int)y->first;
}

/* Sorts, and joins ranges that overlap or adjoin. */
static struct policy_port_range *join_ports(struct shadow *s, const struct policy_port_range *in,
                                            unsigned count, unsigned *kept)
{
    struct policy_port_range *out = policy_arena_alloc(&s->r->nodes, count, sizeof *out);

    *kept = 0;
    if (out == NULL || count == 0)
        return out;
    memcpy(out, in, count * sizeof *out);
    qsort(out, count, sizeof *out, compare_ports);
    for (unsigned i = 0; i < count; i++) {
        if (*kept == 0 || out[i].first > out[*kept - 1].last + 1u)
            out[(*kept)++] = out[i];
        else if (out[i].last > out[*kept - 1].last)
            out[*kept - 1].last = out[i].last;
    }
    return out;
}

/* The prefixes among a rule's origins. */
static int ranges_of(struct shadow *s, const struct policy_origin *origins, unsigned count,
                     struct policy_range_set *out)
{
    struct ip_prefix *prefixes = policy_arena_alloc(&s->r->nodes, count, sizeof *prefixes);
    unsigned n = 0;

    if (prefixes == NULL)
        return -1;
    for (unsigned i = 0; i < count; i++)
        if (origins[i].set == NULL)
            prefixes[n++] = origins[i].prefix;
    return policy_range_set_init(out, &s->r->nodes, prefixes, n);
}

static uint32_t interfaces_of(const struct policy *p, const struct policy_firewall_rule *rule)
{
    uint32_t mask = rule->interface_count == 0 ? UINT32_MAX : 0;

    for (unsigned i = 0; i < rule->interface_count; i++)
        mask |= UINT32_C(1) << (rule->interfaces[i] - p->interfaces);
    return mask;
}

static int shape_init(struct shadow *s, struct shape *shape,
                      const struct policy_firewall_rule *rule)
{
    *shape = (struct shape){
        .rule = rule,
        .protocols = bits_of(rule->protocols, rule->protocol_count),
        .icmp_types = bits_of(rule->icmp_types, rule->icmp_type_count),
        .interfaces = interfaces_of(&s->r->snapshot->policy, rule),
    };
    shape->source_ports =
        join_ports(s, rule->source_ports, rule->source_port_count, &shape->source_port_count);
    shape->ports = join_ports(s, rule->ports, rule->port_count, &shape->port_count);
    if (shape->source_ports == NULL || shape->ports == NULL)
        return -1;
    if (ranges_of(s, rule->sources, rule->source_count, &shape->sources) < 0)
        return -1;
    return ranges_of(s, rule->destinations, rule->destination_count, &shape->destinations);
}

/* ---- hulls ---- */

static const struct hull everything = {0, UINT32_MAX};
static const struct hull nothing = {UINT32_MAX, 0};

static uint32_t last_bytes(const struct ip_addr *a)
{
    return ntohl(a->w[3]);
}

/* Of IPv4 prefixes. */
static struct hull hull_of(const struct policy_range_set *s)
{
    const struct policy_range *ranges = s->ranges[1];

    if (s->count[1] == 0)
        return nothing;
    return (struct hull){last_bytes(&ranges[0].first), last_bytes(&ranges[s->count[1] - 1].last)};
}

/* At least what origins hold. */
static struct hull hull_held(const struct policy_origin *origins, unsigned count,
                             const struct policy_range_set *ranges)
{
    for (unsigned i = 0; i < count; i++)
        if (origins[i].set != NULL)
            return everything;
    return count == 0 || ranges->count[0] > 0 ? everything : hull_of(ranges);
}

/* At most what a rule must hold to cover these origins. */
static struct hull hull_wanted(unsigned count, const struct policy_range_set *ranges)
{
    return count == 0 ? everything : hull_of(ranges);
}

static struct hull hull_of_ports(const struct shape *s)
{
    if (s->port_count == 0)
        return everything;
    return (struct hull){s->ports[0].first, s->ports[s->port_count - 1].last};
}

static struct hulls hulls_held(const struct shape *s)
{
    const struct policy_firewall_rule *rule = s->rule;

    return (struct hulls){
        hull_held(rule->sources, rule->source_count, &s->sources),
        hull_held(rule->destinations, rule->destination_count, &s->destinations),
        hull_of_ports(s),
    };
}

static struct hulls hulls_wanted(const struct shape *s)
{
    return (struct hulls){
        hull_wanted(s->rule->source_count, &s->sources),
        hull_wanted(s->rule->destination_count, &s->destinations),
        hull_of_ports(s),
    };
}

static bool hull_covers(const struct hull *outer, const struct hull *inner)
{
    return inner->first > inner->last ||
           (outer->first <= inner->first && inner->last <= outer->last);
}

static bool hulls_cover(const struct hulls *outer, const struct hulls *inner)
{
    return hull_covers(&outer->sources, &inner->sources) &&
           hull_covers(&outer->destinations, &inner->destinations) &&
           hull_covers(&outer->ports, &inner->ports);
}

/* ---- does one rule cover another? ---- */

static bool spend(struct shadow *s, uint64_t cost)
{
    if (s->budget < cost)
        s->budget = 0;
    else
        s->budget -= cost;
    return s->budget > 0;
}

static bool bits_cover(const struct bits *outer, const struct bits *inner)
{
    uint64_t more = 0;

    for (unsigned i = 0; i < 4; i++)
        more |= inner->word[i] & ~outer->word[i];
    return more == 0;
}

static bool ports_cover(const struct policy_port_range *outer, unsigned outer_count,
                        const struct policy_port_range *inner, unsigned inner_count)
{
    unsigned o = 0;

    if (outer_count == 0)
        return true;
    for (unsigned i = 0; i < inner_count; i++) {
        while (o < outer_count && outer[o].last < inner[i].first)
            o++;
        if (o == outer_count || outer[o].first > inner[i].first || outer[o].last < inner[i].last)
            return false;
    }
    return inner_count > 0;
}

/* The origins of a rule, one direction. */
struct side {
    const struct policy_origin *origins;
    unsigned count;
    const struct policy_range_set *ranges;
};

static unsigned range_count(const struct policy_range_set *s)
{
    return s->count[0] + s->count[1];
}

static bool side_holds(struct shadow *s, const struct side *outer,
                       const struct policy_range_set *ranges)
{
    if (policy_range_set_covers(outer->ranges, ranges))
        return true;
    for (unsigned i = 0; i < outer->count; i++) {
        const struct policy_set *set = outer->origins[i].set;

        if (!spend(s, 1 + range_count(ranges)))
            return false;
        if (set != NULL && policy_range_set_covers(&s->sets[set->index], ranges))
            return true;
    }
    return false;
}

static bool side_holds_set(struct shadow *s, const struct side *outer, const struct policy_set *set)
{
    for (unsigned i = 0; i < outer->count; i++) {
        if (outer->origins[i].set == set)
            return true;
        if (!spend(s, 1))
            return false;
    }
    return range_count(&s->sets[set->index]) > 0 && side_holds(s, outer, &s->sets[set->index]);
}

static bool side_covers(struct shadow *s, const struct side *outer, const struct side *inner)
{
    if (outer->count == 0)
        return true;
    if (inner->count == 0 || !side_holds(s, outer, inner->ranges))
        return false;
    for (unsigned i = 0; i < inner->count; i++)
        if (inner->origins[i].set != NULL && !side_holds_set(s, outer, inner->origins[i].set))
            return false;
    return true;
}

static struct side sources(const struct shape *s)
{
    return (struct side){s->rule->sources, s->rule->source_count, &s->sources};
}

static struct side destinations(const struct shape *s)
{
    return (struct side){s->rule->destinations, s->rule->destination_count, &s->destinations};
}

static bool flags_cover(const struct policy_firewall_rule *outer,
                        const struct policy_firewall_rule *inner)
{
    return (outer->tcp_flags_set & ~inner->tcp_flags_set) == 0 &&
           (outer->tcp_flags_clear & ~inner->tcp_flags_clear) == 0;
}

static bool covers(struct shadow *s, const struct shape *outer, const struct shape *inner)
{
    const struct side out[] = {sources(outer), destinations(outer)};
    const struct side in[] = {sources(inner), destinations(inner)};

    return (inner->interfaces & ~outer->interfaces) == 0 &&
           bits_cover(&outer->protocols, &inner->protocols) &&
           bits_cover(&outer->icmp_types, &inner->icmp_types) &&
           flags_cover(outer->rule, inner->rule) &&
           ports_cover(outer->ports, outer->port_count, inner->ports, inner->port_count) &&
           ports_cover(outer->source_ports, outer->source_port_count, inner->source_ports,
                       inner->source_port_count) &&
           side_covers(s, &out[0], &in[0]) && side_covers(s, &out[1], &in[1]);
}

static const struct policy_firewall_rule *find_cover(struct shadow *s, const struct shape *inner)
{
    const struct hulls wanted = hulls_wanted(inner);

    for (unsigned i = 0; i < s->count; i++) {
        if (!hulls_cover(&s->holds[i], &wanted))
            continue;
        if (!spend(s, 1 + range_count(&inner->sources) + range_count(&inner->destinations) +
                          inner->port_count))
            return NULL;
        if (covers(s, &s->shapes[i], inner))
            return s->shapes[i].rule;
    }
    return NULL;
}

/* ---- all rules ---- */

static void report(struct shadow *s, const struct policy_firewall_rule *rule,
                   const struct policy_firewall_rule *by)
{
    char key[48];

    snprintf(key, sizeof key, "firewall.rules[%u]", rule->index);
    policy_report_add(s->r->report, true, s->r->path, rule->mark.line, rule->mark.column, key,
                      "\"%s\" can never match: \"%s\" (line %u) comes first and matches all that "
                      "this one does",
                      rule->name, by->name, by->mark.line);
}

static bool ends_the_matter(const struct policy_firewall_rule *rule)
{
    return rule->action != POLICY_FIREWALL_COUNT && rule->action != POLICY_FIREWALL_LOG;
}

static int shadow_init(struct shadow *s)
{
    const struct policy *p = &s->r->snapshot->policy;
    unsigned rules = p->firewall.rule_count;

    s->sets = policy_arena_alloc(&s->r->nodes, p->set_count, sizeof *s->sets);
    s->shapes = policy_arena_alloc(&s->r->nodes, rules, sizeof *s->shapes);
    s->holds = policy_arena_alloc(&s->r->nodes, rules, sizeof *s->holds);
    if (s->sets == NULL || s->shapes == NULL || s->holds == NULL)
        return -1;
    for (unsigned i = 0; i < p->set_count; i++)
        if (p->sets[i].file == NULL &&
            policy_range_set_init(&s->sets[i], &s->r->nodes, p->sets[i].prefixes,
                                  p->sets[i].prefix_count) < 0)
            return -1;
    return 0;
}

/* Returns -1 when memory is out. */
static int check_rule(struct shadow *s, const struct policy_firewall_rule *rule)
{
    struct shape *shape = &s->shapes[s->count];
    const struct policy_firewall_rule *by;

    if (shape_init(s, shape, rule) < 0)
        return -1;
    by = find_cover(s, shape);
    if (by != NULL) {
        report(s, rule, by);
    } else if (ends_the_matter(rule)) {
        s->holds[s->count] = hulls_held(shape);
        s->count++;
    }
    return 0;
}

void policy_shadow_check(struct policy_reader *r)
{
    struct shadow s = {.r = r, .budget = BUDGET};
    const struct policy_firewall *firewall = &r->snapshot->policy.firewall;

    if (firewall->rule_count == 0)
        return;
    if (shadow_init(&s) < 0) {
        r->no_memory = true;
        return;
    }
    for (unsigned i = 0; i < firewall->rule_count; i++) {
        if (check_rule(&s, &firewall->rules[i]) == 0)
            continue;
        r->no_memory = true;
        return;
    }
}
