/*
 * Theory of operation: compiling takes from a millisecond to seconds, and is done by the main
 * thread before any worker is told; handing over is an exchange of pointers between two of a
 * worker's rounds. The main thread keeps a reference to the ruleset in force and gives up that to
 * the former one when all workers have the new one, so that none of them ever frees a ruleset.
 *
 * An edit of a set makes a new set and a ruleset that shares the compiled rules. The sets that
 * rules refer to are numbered in the order in which the policy has them.
 */
#include "appliance/firewall_rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* ---- from the policy ---- */

/* A ruleset's configuration and the lists that it points to. */
struct translation {
    struct firewall_ruleset_config config;
    struct firewall_rule *rules;
    struct firewall_origin *origins; /* of all rules */
    struct firewall_ports *ports;    /* of all rules */
    int *numbers;                    /* of sets, by policy_set.index; -1: no rule refers to it */
};

static void translation_free(struct translation *t)
{
    free(t->rules);
    free(t->origins);
    free(t->ports);
    free(t->numbers);
}

static void mark_sets(struct translation *t, const struct policy_origin *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i].set != NULL)
            t->numbers[list[i].set->index] = 0;
    }
}

static void number_sets(struct translation *t, const struct policy *policy)
{
    for (unsigned i = 0; i < policy->set_count; i++)
        t->numbers[i] = -1;
    for (unsigned i = 0; i < policy->firewall.rule_count; i++) {
        const struct policy_firewall_rule *r = &policy->firewall.rules[i];

        mark_sets(t, r->sources, r->source_count);
        mark_sets(t, r->destinations, r->destination_count);
    }
    for (unsigned i = 0; i < policy->set_count; i++) {
        if (t->numbers[i] == 0)
            t->numbers[i] = (int)t->config.set_count++;
    }
}

static int translation_alloc(struct translation *t, const struct policy *policy)
{
    const struct policy_firewall *f = &policy->firewall;
    size_t origins = 0, ports = 0;

    for (unsigned i = 0; i < f->rule_count; i++) {
        origins += f->rules[i].source_count + f->rules[i].destination_count;
        ports += f->rules[i].source_port_count + f->rules[i].port_count;
    }
    t->rules = calloc(f->rule_count + 1, sizeof *t->rules);
    t->origins = calloc(origins + 1, sizeof *t->origins);
    t->ports = calloc(ports + 1, sizeof *t->ports);
    t->numbers = calloc(policy->set_count + 1, sizeof *t->numbers);
    return t->rules != NULL && t->origins != NULL && t->ports != NULL && t->numbers != NULL ? 0
                                                                                            : -1;
}

static const struct firewall_origin *put_origins(const struct translation *t,
                                                 struct firewall_origin **next,
                                                 const struct policy_origin *list, unsigned count)
{
    const struct firewall_origin *first = *next;

    for (unsigned i = 0; i < count; i++) {
        (*next)->set = list[i].set != NULL ? t->numbers[list[i].set->index] : -1;
        (*next)++->prefix = list[i].prefix;
    }
    return first;
}

static const struct firewall_ports *put_ports(struct firewall_ports **next,
                                              const struct policy_port_range *list, unsigned count)
{
    const struct firewall_ports *first = *next;

    for (unsigned i = 0; i < count; i++)
        *(*next)++ = (struct firewall_ports){list[i].first, list[i].last};
    return first;
}

static uint32_t interface_bits(const struct policy *policy, const struct policy_firewall_rule *r)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < r->interface_count; i++)
        bits |= UINT32_C(1) << (r->interfaces[i] - policy->interfaces);
    return bits;
}

static enum firewall_action action_of(enum policy_firewall_action action)
{
    static const enum firewall_action actions[] = {
        [POLICY_FIREWALL_ACCEPT] = FIREWALL_ACCEPT, [POLICY_FIREWALL_DROP] = FIREWALL_DROP,
        [POLICY_FIREWALL_REJECT] = FIREWALL_REJECT, [POLICY_FIREWALL_LIMIT] = FIREWALL_LIMIT,
        [POLICY_FIREWALL_COUNT] = FIREWALL_COUNT,   [POLICY_FIREWALL_LOG] = FIREWALL_LOG,
    };

    return actions[action];
}

static struct firewall_limit limit_of(const struct policy_firewall_limit *l)
{
    return (struct firewall_limit){
        .connections = l->connections,
        .connections_per_second = l->connections_per_second,
        .connection_burst = l->connection_burst,
        .handshakes_per_second = l->handshakes_per_second,
        .handshake_burst = l->handshake_burst,
        .prefix4 = l->prefix4,
        .prefix6 = l->prefix6,
        .reject = l->reject,
    };
}

static void translate_rules(struct translation *t, const struct policy *policy,
                            const struct classes *classes)
{
    struct firewall_origin *origins = t->origins;
    struct firewall_ports *ports = t->ports;

    for (unsigned i = 0; i < policy->firewall.rule_count; i++) {
        const struct policy_firewall_rule *r = &policy->firewall.rules[i];

        t->rules[i] = (struct firewall_rule){
            .name = r->name,
            .interfaces = interface_bits(policy, r),
            .sources = put_origins(t, &origins, r->sources, r->source_count),
            .source_count = r->source_count,
            .destinations = put_origins(t, &origins, r->destinations, r->destination_count),
            .destination_count = r->destination_count,
            .protocols = r->protocols,
            .protocol_count = r->protocol_count,
            .source_ports = put_ports(&ports, r->source_ports, r->source_port_count),
            .source_port_count = r->source_port_count,
            .ports = put_ports(&ports, r->ports, r->port_count),
            .port_count = r->port_count,
            .icmp_types = r->icmp_types,
            .icmp_type_count = r->icmp_type_count,
            .tcp_flags_set = r->tcp_flags_set,
            .tcp_flags_clear = r->tcp_flags_clear,
            .action = action_of(r->action),
            .log = r->log,
            .limit = limit_of(&r->limit),
            .syn_cookies = r->syn_cookies,
            .egress_class = classes != NULL ? classes_number(classes, r->egress_class) : 0,
        };
    }
}

/* Without `classes` the rules are good for anything but to be in force. To be given to
 * translation_free() in any case. */
static int translate(struct translation *t, const struct policy *policy,
                     const struct classes *classes, struct error *e)
{
    *t = (struct translation){0};
    if (translation_alloc(t, policy) < 0)
        return error_set(e, "out of memory for the firewall's rules");
    number_sets(t, policy);
    translate_rules(t, policy, classes);
    t->config.rules = t->rules;
    t->config.rule_count = policy->firewall.rule_count;
    t->config.drop_by_default = policy->firewall.drop_by_default;
    t->config.numa_node = -1;
    return 0;
}

void firewall_rules_check(const struct policy *policy, struct policy_report *report)
{
    struct translation t;
    struct error e = {0};

    if (policy->firewall.rule_count > 0 &&
        (translate(&t, policy, NULL, &e) < 0 || firewall_ruleset_check(&t.config, &e) < 0)) {
        const struct policy_mark *mark = &policy->firewall.rules[0].mark;

        policy_report_add(report, false, policy->path, mark->line, mark->column, "firewall.rules",
                          "%s", e.text);
    }
    if (policy->firewall.rule_count > 0)
        translation_free(&t);
}

/* ---- compilation ---- */

static struct firewall_set *make_set(const struct sets *edits, const struct policy_set *set,
                                     struct error *e)
{
    unsigned count;
    struct ip_prefix *prefixes = sets_prefixes(edits, set, &count);
    struct firewall_set *made = NULL;

    if (prefixes != NULL)
        made = firewall_set_create(set->name, prefixes, count, e);
    else
        error_set(e, "out of memory for set %s", set->name);
    free(prefixes);
    return made;
}

/* Makes the sets that rules refer to, in the order of their numbers. */
static int make_sets(const struct translation *t, const struct policy *policy,
                     const struct sets *edits, struct firewall_set **sets, struct error *e)
{
    for (unsigned i = 0; i < policy->set_count; i++) {
        int number = t->numbers[i];

        if (number < 0)
            continue;
        sets[number] = make_set(edits, &policy->sets[i], e);
        if (sets[number] == NULL)
            return -1;
    }
    return 0;
}

static struct firewall_ruleset *compile(const struct firewall_rules *f, struct translation *t,
                                        const struct policy *policy, struct error *e)
{
    struct firewall_set *sets[FIREWALL_SETS_MAX] = {NULL};
    struct firewall_ruleset *ruleset = NULL;

    t->config.sets = sets;
    t->config.numa_node = f->numa_node;
    if (firewall_ruleset_check(&t->config, e) == 0 && make_sets(t, policy, &f->sets, sets, e) == 0)
        ruleset = firewall_ruleset_create(&t->config, e);
    for (unsigned i = 0; i < FIREWALL_SETS_MAX; i++)
        firewall_set_unref(sets[i]);
    return ruleset;
}

int firewall_rules_compile(const struct firewall_rules *f, const struct policy *policy,
                           const struct classes *classes, struct firewall_ruleset **out,
                           struct error *e)
{
    struct translation t;

    *out = NULL;
    if (policy->firewall.rule_count == 0 && !policy->firewall.drop_by_default)
        return 0;
    if (translate(&t, policy, classes, e) == 0)
        *out = compile(f, &t, policy, e);
    translation_free(&t);
    return *out != NULL ? 0 : -1;
}

int firewall_rules_open(struct firewall_rules *f, const struct snapshot *first, int numa_node,
                        const uint8_t key[16], struct error *e)
{
    f->numa_node = numa_node;
    f->limits = firewall_limits_create(first->policy->firewall.limit_entries, key, e);
    if (f->limits == NULL)
        return -1;
    return firewall_rules_compile(f, first->policy, first->classes, &f->current, e);
}

void firewall_rules_close(struct firewall_rules *f)
{
    firewall_ruleset_unref(f->current);
    firewall_limits_destroy(f->limits);
    sets_free(&f->sets);
    *f = (struct firewall_rules){0};
}

/* ---- to the workers ---- */

/* Hands a ruleset to the first `count` workers; returns how many took it. */
static unsigned hand_over(struct workers *workers, unsigned count, struct firewall_ruleset *ruleset,
                          struct error *e)
{
    const struct mailbox_message message = {.kind = MAILBOX_FIREWALL, .ruleset = ruleset};

    for (unsigned i = 0; i < count; i++) {
        struct worker *w = &workers->worker[i];

        if (workers_tell_one(w, &message, e) == 0)
            continue;
        if (w->mailbox.awaited && ruleset != NULL)
            firewall_ruleset_ref(ruleset); /* it may take it yet: kept for good */
        return i;
    }
    return count;
}

int firewall_rules_put(struct firewall_rules *f, struct workers *workers,
                       struct firewall_ruleset *next, struct error *e)
{
    unsigned took = hand_over(workers, workers->count, next, e);
    struct error back = {0};

    if (took == workers->count) {
        firewall_ruleset_unref(f->current);
        f->current = next;
        return 0;
    }
    if (hand_over(workers, took, f->current, &back) < took)
        log_error("firewall", "cannot go back to the former rules: %s", back.text);
    firewall_ruleset_unref(next);
    return -1;
}

/* ---- edits ---- */

/* The ruleset in force with one set made anew, for `sets`; NULL where that cannot be. */
static struct firewall_ruleset *exchange(const struct firewall_rules *f,
                                         const struct translation *t, const struct sets *sets,
                                         const struct policy_set *set, struct error *e)
{
    struct firewall_set *made = make_set(sets, set, e);
    struct firewall_ruleset *next = NULL;

    if (made != NULL)
        next = firewall_ruleset_with_set(f->current, (unsigned)t->numbers[set->index], made, e);
    firewall_set_unref(made);
    return next;
}

/* Nothing is to be done where no rule refers to the set. */
static int put_edited(struct firewall_rules *f, struct workers *workers,
                      const struct policy *policy, const struct sets *sets,
                      const struct policy_set *set, struct error *e)
{
    struct translation t;
    struct firewall_ruleset *next = NULL;
    int result = translate(&t, policy, NULL, e);

    if (result == 0 && t.numbers[set->index] >= 0) {
        next = exchange(f, &t, sets, set, e);
        result = next != NULL ? firewall_rules_put(f, workers, next, e) : -1;
    }
    translation_free(&t);
    return result;
}

int firewall_rules_edit(struct firewall_rules *f, struct workers *workers,
                        const struct policy *policy, const char *name, bool add,
                        const struct ip_prefix *prefixes, unsigned count, struct sets_outcome *out,
                        struct error *e)
{
    const struct policy_set *set = sets_find(policy, name, e);
    struct sets edited;

    *out = (struct sets_outcome){0};
    if (set == NULL)
        return -1;
    if (sets_copy(&edited, &f->sets) < 0 ||
        sets_change(&edited, set, add, prefixes, count, out) < 0) {
        sets_free(&edited);
        return error_set(e, "out of memory for set %s", name);
    }
    if (out->changed > 0 && put_edited(f, workers, policy, &edited, set, e) < 0) {
        sets_free(&edited);
        *out = (struct sets_outcome){0};
        return -1;
    }
    sets_free(&f->sets);
    f->sets = edited;
    return 0;
}

/* ---- reports ---- */

void firewall_rules_hits(const struct workers *workers, unsigned rule, struct firewall_hits *out)
{
    *out = (struct firewall_hits){0};
    for (unsigned i = 0; i < workers->count; i++) {
        struct firewall_hits one;

        if (workers->worker[i].mailbox.awaited)
            continue; /* it may be taking other rules just now */
        firewall_rule_hits(workers->worker[i].firewall, rule, &one);
        out->packets += one.packets;
        out->bytes += one.bytes;
    }
}
