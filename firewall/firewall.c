/*
 * One worker's firewall. First what is always wrong, then, where there is a ruleset, the rules, a
 * burst at a time. Without a ruleset the second part is one comparison.
 *
 * The ruleset is shared and immutable; what changes with packets (hits, log limits) is an array of
 * the worker's own beside it, which a new ruleset replaces as a whole. Rules are recognized by
 * their names then, in one pass over both rulesets' lists, which are kept in the order of the
 * names' hashes: ten thousand rules change within a round of the worker.
 */
#include "firewall/firewall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/firewall_internal.h"

COUNTER_TABLE(firewall_counter_table, FIREWALL_COUNTERS);

/* ---- the parts of a ruleset that are the worker's ---- */

struct parts {
    struct firewall_rule_state *state;
    uint32_t *label_rule;
};

static int parts_alloc(struct parts *p, const struct firewall_ruleset *r, struct error *e)
{
    unsigned rules = r != NULL ? r->program->rule_count : 0;

    p->state = calloc(rules + 1, sizeof *p->state);
    p->label_rule = calloc(FIREWALL_LABELS, sizeof *p->label_rule);
    if (p->state != NULL && p->label_rule != NULL)
        return 0;
    free(p->state);
    free(p->label_rule);
    error_set(e, "out of memory for the firewall's counters");
    return -1;
}

/* Rules that both have go on counting, and keep their labels where they limit still. */
static void parts_carry(struct parts *to, const struct firewall_program *next,
                        const struct firewall *f)
{
    const struct firewall_program *former = f->ruleset->program;
    unsigned i = 0, k = 0;

    to->state[next->rule_count] = f->state[former->rule_count];
    while (i < former->rule_count && k < next->rule_count) {
        uint32_t from = former->by_id[i], into = next->by_id[k];
        uint64_t from_id = former->rules[from].id, into_id = next->rules[into].id;

        if (from_id == into_id) {
            to->state[into] = f->state[from];
            if (next->rules[into].action != FIREWALL_LIMIT)
                to->state[into].label = 0;
        }
        i += from_id <= into_id;
        k += into_id <= from_id;
    }
}

/* Gives the others labels that were not in use for long: connections that began under a rule that
 * is gone keep its label for a while. */
static void parts_label(struct parts *p, const struct firewall_program *next, uint16_t *last)
{
    for (uint32_t i = 0; i < next->rule_count; i++) {
        if (p->state[i].label != 0)
            p->label_rule[p->state[i].label] = i + 1;
    }
    for (uint32_t i = 0; i < next->rule_count; i++) {
        if (next->rules[i].action != FIREWALL_LIMIT || p->state[i].label != 0)
            continue;
        do
            ++*last;
        while (*last == 0 || p->label_rule[*last] != 0);
        p->state[i].label = *last;
        p->label_rule[*last] = i + 1;
    }
}

static void parts_install(struct firewall *f, const struct parts *p)
{
    free(f->state);
    free(f->label_rule);
    f->state = p->state;
    f->label_rule = p->label_rule;
}

int firewall_apply(struct firewall *f, struct firewall_ruleset *ruleset, struct error *e)
{
    struct firewall_ruleset *former = f->ruleset;
    struct parts p;

    if (parts_alloc(&p, ruleset, e) < 0)
        return -1;
    if (former != NULL && ruleset != NULL)
        parts_carry(&p, ruleset->program, f);
    if (ruleset != NULL)
        parts_label(&p, ruleset->program, &f->last_label);
    parts_install(f, &p);
    f->ruleset = ruleset != NULL ? firewall_ruleset_ref(ruleset) : NULL;
    firewall_ruleset_unref(former);
    return 0;
}

/* ---- life ---- */

static int copy_interfaces(struct firewall *f, const struct firewall_config *c)
{
    f->interfaces = calloc(c->interface_count + 1, sizeof *f->interfaces);
    if (f->interfaces == NULL)
        return -1;
    f->interface_count = c->interface_count;
    for (unsigned i = 0; i < c->interface_count; i++)
        snprintf(f->interfaces[i], sizeof f->interfaces[i], "%s", c->interfaces[i]);
    return 0;
}

struct firewall *firewall_create(const struct firewall_config *config, struct error *e)
{
    struct firewall *f = calloc(1, sizeof *f);

    if (f == NULL) {
        error_set(e, "out of memory for the firewall");
        return NULL;
    }
    snprintf(f->name, sizeof f->name, "%s", config->name != NULL ? config->name : "firewall");
    f->limits = config->limits;
    f->expected = config->expected;
    f->expected_ctx = config->expected_ctx;
    f->sanity = firewall_sanity_create(config->own, config->own_count);
    if (f->sanity == NULL || copy_interfaces(f, config) < 0 ||
        firewall_apply(f, config->ruleset, e) < 0) {
        error_set(e, "out of memory for the firewall");
        firewall_destroy(f);
        return NULL;
    }
    return f;
}

void firewall_destroy(struct firewall *f)
{
    if (f == NULL)
        return;
    firewall_ruleset_unref(f->ruleset);
    firewall_sanity_destroy(f->sanity);
    free(f->state);
    free(f->label_rule);
    free(f->interfaces);
    free(f);
}

/* ---- a burst ---- */

static void run_rules(struct firewall *f, struct packet *packets, unsigned count, clock_ns now)
{
    struct packet *of_family[FIREWALL_FAMILIES][FIREWALL_BURST];
    unsigned counts[FIREWALL_FAMILIES] = {0};

    for (unsigned i = 0; i < count; i++) {
        struct packet *p = &packets[i];
        enum firewall_family family;

        if (p->drop != DROP_NONE || p->kind == PACKET_ARP || p->kind == PACKET_ND)
            continue;
        family = firewall_family_of(&p->src);
        of_family[family][counts[family]++] = p;
    }
    for (unsigned family = 0; family < FIREWALL_FAMILIES; family++) {
        if (counts[family] > 0)
            firewall_rules_run(f, of_family[family], counts[family], (enum firewall_family)family,
                               now);
    }
}

void firewall_ingress(void *ctx, struct packet *packets, unsigned count, clock_ns now)
{
    struct firewall *f = ctx;

    firewall_sanity_check(f->sanity, packets, count);
    if (f->ruleset == NULL)
        return;
    while (count > 0) {
        unsigned n = count < FIREWALL_BURST ? count : FIREWALL_BURST;

        run_rules(f, packets, n, now);
        packets += n;
        count -= n;
    }
}

/* ---- reports ---- */

void firewall_rule_hits(const struct firewall *f, unsigned rule, struct firewall_hits *out)
{
    unsigned count = f->ruleset != NULL ? f->ruleset->program->rule_count : 0;
    const struct firewall_hits *hits = &f->state[rule].hits;

    if (rule > count) {
        *out = (struct firewall_hits){0};
        return;
    }
    out->packets = __atomic_load_n(&hits->packets, __ATOMIC_RELAXED);
    out->bytes = __atomic_load_n(&hits->bytes, __ATOMIC_RELAXED);
}

const struct firewall_counters *firewall_counters(const struct firewall *f)
{
    return &f->counters;
}
