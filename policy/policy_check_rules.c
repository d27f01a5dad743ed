/* Names of rules, and rates of classes against those of interfaces. */
#include <inttypes.h>
#include <stdio.h>

#include "policy/policy_check.h"

/* ---- names ---- */

static void check_name(struct policy_reader *r, struct policy_table *seen, const char *list,
                       const char *name, unsigned index, struct policy_mark *mark)
{
    const struct policy_mark *former;

    if (name == NULL)
        return;
    former = policy_table_add(seen, name, mark);
    if (former != NULL)
        policy_reader_error(r, policy_reader_entry(r, list, index, "name"),
                            "the rule in line %u has this name", former->line);
}

void policy_check_names(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;
    struct policy_table rules = {0}, firewall = {0};

    if (policy_table_init(&rules, &r->nodes, p->rule_count) < 0 ||
        policy_table_init(&firewall, &r->nodes, p->firewall.rule_count) < 0) {
        r->no_memory = true;
        return;
    }
    for (unsigned i = 0; i < p->rule_count; i++)
        check_name(r, &rules, "policy", p->rules[i].name, i, &p->rules[i].mark);
    for (unsigned i = 0; i < p->firewall.rule_count; i++)
        check_name(r, &firewall, "firewall.rules", p->firewall.rules[i].name, i,
                   &p->firewall.rules[i].mark);
}

/* ---- rates ---- */

/* A rate as one would write it. */
static const char *format_rate(uint64_t rate, char out[32])
{
    static const char *const units[] = {"bit", "kbit", "Mbit", "Gbit"};
    unsigned unit = 0;

    while (unit < 3 && rate >= 1000 && rate % 1000 == 0) {
        rate /= 1000;
        unit++;
    }
    snprintf(out, 32, "%" PRIu64 "%s", rate, units[unit]);
    return out;
}

/* The class with which the guarantees go beyond what an interface sends, or NULL. */
static const struct policy_class *too_much(const struct policy *p, uint64_t rate, uint64_t *sum)
{
    const struct policy_class *first = NULL;

    *sum = 0;
    for (unsigned i = 0; i < p->class_count; i++) {
        *sum += p->classes[i].rate;
        if (*sum > rate && first == NULL)
            first = &p->classes[i];
    }
    return first;
}

static void check_guarantees(struct policy_reader *r, const struct policy_interface *interface)
{
    const struct policy *p = &r->snapshot->policy;
    char guaranteed[32], sent[32];
    uint64_t sum;
    const struct policy_class *class = too_much(p, interface->rate, &sum);

    if (class != NULL)
        policy_reader_error(r, policy_reader_entry(r, "classes", class->index, "rate"),
                            "the classes' guaranteed rates add up to %s, more than the %s of "
                            "interface \"%s\" (line %u)",
                            format_rate(sum, guaranteed), format_rate(interface->rate, sent),
                            interface->name, interface->mark.line);
}

/* The highest rate of an interface; 0: one of them has no bound. */
static uint64_t highest_rate(const struct policy *p)
{
    uint64_t highest = 0;

    for (unsigned i = 0; i < p->interface_count; i++) {
        if (p->interfaces[i].rate == 0)
            return 0;
        if (p->interfaces[i].rate > highest)
            highest = p->interfaces[i].rate;
    }
    return highest;
}

void policy_check_rates(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;
    uint64_t highest = highest_rate(p);

    for (unsigned i = 0; i < p->interface_count; i++)
        if (p->interfaces[i].rate > 0)
            check_guarantees(r, &p->interfaces[i]);
    for (unsigned i = 0; i < p->class_count && highest > 0; i++)
        if (p->classes[i].ceiling > highest)
            policy_reader_warn(r, policy_reader_entry(r, "classes", i, "ceiling"),
                               "the ceiling is above the rate of every interface and never "
                               "reached");
}
