/*
 * Every listener gets its own list of rules: those that can apply to it, without those that an
 * earlier one covers there. A rule that is left in no list can never match, which is worth a
 * warning that names the rule in the way.
 *
 * One rule covers another when its sources, names, protocols and versions hold all of the other's.
 * Looking for it is a courtesy: COVER_BUDGET bounds what it may cost with huge files. That a rule
 * for everything ends a list is not left to the budget.
 */
#include "policy/policy_program.h"

#include <string.h>

#include "policy/policy_match.h"

#define COVER_BUDGET 10000000 /* pairs of rules or names compared, over the whole file */

struct compiler {
    struct policy_reader *r;
    struct policy_arena *memory;
    const struct policy *policy;
    struct policy_range_set *sources;      /* by rule */
    const struct policy_rule **covered_by; /* by rule: what was in its way, somewhere */
    bool *applies, *live;                  /* by rule: to any listener; left in any list */
    uint64_t budget;
};

static int no_memory(struct compiler *c)
{
    c->r->no_memory = true;
    return -1;
}

static const struct policy_node *rule_node(const struct compiler *c, const struct policy_rule *rule)
{
    return policy_node_at(policy_node_get(c->r->root, "policy"), rule->index);
}

/* ---- does one rule cover another? ---- */

static bool spend(struct compiler *c)
{
    if (c->budget == 0)
        return false;
    c->budget--;
    return true;
}

/* Does a name or wildcard of a rule hold all that another one does? */
static bool name_covers(const char *outer, const char *inner)
{
    const char *dot = strchr(inner, '.');

    return strcmp(outer, inner) == 0 ||
           (outer[0] == '*' && dot != NULL && strcmp(outer + 1, dot) == 0);
}

static bool has_name(struct compiler *c, const struct policy_rule *rule, const char *name)
{
    for (unsigned i = 0; i < rule->sni_count; i++) {
        if (!spend(c))
            return false;
        if (name_covers(rule->snis[i], name))
            return true;
    }
    return false;
}

static bool names_cover(struct compiler *c, const struct policy_rule *outer,
                        const struct policy_rule *inner)
{
    if (outer->sni_count == 0)
        return true;
    for (unsigned i = 0; i < inner->sni_count; i++)
        if (!has_name(c, outer, inner->snis[i]))
            return false;
    return inner->sni_count > 0;
}

static bool alpns_cover(struct compiler *c, const struct policy_rule *outer,
                        const struct policy_rule *inner)
{
    for (unsigned i = 0; i < inner->alpn_count; i++) {
        unsigned j = 0;

        while (j < outer->alpn_count && spend(c) && strcmp(outer->alpns[j], inner->alpns[i]) != 0)
            j++;
        if (j == outer->alpn_count || c->budget == 0)
            return outer->alpn_count == 0;
    }
    return outer->alpn_count == 0 || inner->alpn_count > 0;
}

static unsigned version_mask(const struct policy_rule *rule)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < rule->tls_version_count; i++)
        mask |= rule->tls_versions[i] == 0x0303 ? 1 : 2;
    return mask;
}

static bool versions_cover(const struct policy_rule *outer, const struct policy_rule *inner)
{
    if (outer->tls_version_count == 0)
        return true;
    return inner->tls_version_count > 0 && (version_mask(inner) & ~version_mask(outer)) == 0;
}

static bool covers(struct compiler *c, const struct policy_rule *outer,
                   const struct policy_rule *inner)
{
    if (outer->source_count > 0 &&
        (inner->source_count == 0 ||
         !policy_range_set_covers(&c->sources[outer->index], &c->sources[inner->index])))
        return false;
    return alpns_cover(c, outer, inner) && versions_cover(outer, inner) &&
           names_cover(c, outer, inner);
}

static const struct policy_rule *find_cover(struct compiler *c, const struct policy_chain *chain,
                                            const struct policy_rule *rule)
{
    for (const struct policy_link *link = chain->first; link != NULL && spend(c); link = link->next)
        if (covers(c, link->rule, rule))
            return link->rule;
    return NULL;
}

/* ---- one listener's program ---- */

static bool applies(const struct policy_rule *rule, const struct policy_listener *listener)
{
    if (rule->listener != NULL)
        return rule->listener == listener;
    return listener->tls != NULL || !policy_match_needs_hello(rule);
}

static int chain_add(struct compiler *c, struct policy_chain *chain, const struct policy_rule *rule)
{
    struct policy_link *link;

    if (chain->last != NULL && chain->last->rule == rule)
        return 0; /* a name given twice */
    link = policy_arena_alloc(c->memory, 1, sizeof *link);
    if (link == NULL)
        return no_memory(c);
    link->rule = rule;
    link->sources = &c->sources[rule->index];
    if (chain->last != NULL)
        chain->last->next = link;
    else
        chain->first = link;
    chain->last = link;
    return 0;
}

static int add_names(struct compiler *c, struct policy_program *program,
                     const struct policy_rule *rule)
{
    for (unsigned i = 0; i < rule->sni_count; i++) {
        const char *name = rule->snis[i][0] == '*' ? rule->snis[i] + 1 : rule->snis[i];
        struct policy_chain *chain = policy_table_find(&program->names, name);

        if (chain == NULL) {
            chain = policy_arena_alloc(c->memory, 1, sizeof *chain);
            if (chain == NULL)
                return no_memory(c);
            policy_table_add(&program->names, name, chain);
        }
        if (chain_add(c, chain, rule) < 0)
            return -1;
    }
    return 0;
}

static int program_add(struct compiler *c, struct policy_program *program,
                       const struct policy_rule *rule)
{
    c->live[rule->index] = true;
    if (chain_add(c, &program->all, rule) < 0)
        return -1;
    if (rule->sni_count == 0)
        return chain_add(c, &program->nameless, rule);
    return add_names(c, program, rule);
}

static int names_init(struct compiler *c, struct policy_program *program,
                      const struct policy_listener *listener)
{
    size_t names = 0;

    for (unsigned i = 0; i < c->policy->rule_count; i++)
        if (applies(&c->policy->rules[i], listener))
            names += c->policy->rules[i].sni_count;
    if (names == 0 || policy_table_init(&program->names, c->memory, names) == 0)
        return 0;
    return no_memory(c);
}

/* A plain listener has no TLS to terminate; that a rule names one was reported when it was read. */
static void check_terminate(struct compiler *c, const struct policy_rule *rule,
                            const struct policy_listener *listener)
{
    if (rule->action == POLICY_TERMINATE && listener->tls == NULL)
        policy_reader_error(c->r, policy_node_get(rule_node(c, rule), "action"),
                            "the rule applies to the listener \"%s\" (line %u) too, which has no "
                            "tls to terminate: expected match with a listener",
                            listener->name, listener->mark.line);
}

static int compile_listener(struct compiler *c, const struct policy_listener *listener)
{
    struct policy_program *program = &c->r->snapshot->programs[listener->index];
    const struct policy_rule *closed_by = NULL;

    if (names_init(c, program, listener) < 0)
        return -1;
    for (unsigned i = 0; i < c->policy->rule_count; i++) {
        const struct policy_rule *rule = &c->policy->rules[i];
        const struct policy_rule *cover;

        if (!applies(rule, listener))
            continue;
        c->applies[i] = true;
        cover = closed_by != NULL ? closed_by : find_cover(c, &program->all, rule);
        if (cover != NULL) {
            c->covered_by[i] = cover;
            continue;
        }
        if (program_add(c, program, rule) < 0)
            return -1;
        check_terminate(c, rule, listener);
        if (rule->source_count == 0 && !policy_match_needs_hello(rule))
            closed_by = rule;
    }
    return 0;
}

/* ---- the whole policy ---- */

static void report_useless(struct compiler *c)
{
    const struct policy *p = c->policy;

    for (unsigned i = 0; i < p->rule_count; i++) {
        if (!c->applies[i])
            policy_reader_warn(c->r, rule_node(c, &p->rules[i]),
                               "\"%s\" can never match: a rule with sni, alpn or tls-version that "
                               "names no listener applies to listeners with tls, and there is none",
                               p->rules[i].name);
        else if (!c->live[i])
            policy_reader_warn(c->r, rule_node(c, &p->rules[i]),
                               "\"%s\" can never match: \"%s\" (line %u) comes first and matches "
                               "all that this one does",
                               p->rules[i].name, c->covered_by[i]->name,
                               c->covered_by[i]->mark.line);
    }
    for (unsigned i = 0; i < p->listener_count; i++)
        if (c->r->snapshot->programs[i].all.first == NULL)
            policy_reader_warn(c->r, policy_node_at(policy_node_get(c->r->root, "listeners"), i),
                               "no rule applies to this listener: every connection is rejected");
}

static int compiler_init(struct compiler *c)
{
    struct policy_reader *r = c->r;
    unsigned rules = c->policy->rule_count;

    c->sources = policy_arena_alloc(c->memory, rules, sizeof *c->sources);
    c->covered_by = policy_arena_alloc(&r->nodes, rules, sizeof *c->covered_by);
    c->applies = policy_arena_alloc(&r->nodes, rules, sizeof *c->applies);
    c->live = policy_arena_alloc(&r->nodes, rules, sizeof *c->live);
    r->snapshot->programs =
        policy_arena_alloc(c->memory, c->policy->listener_count, sizeof *r->snapshot->programs);
    if (c->sources == NULL || c->covered_by == NULL || c->applies == NULL || c->live == NULL ||
        r->snapshot->programs == NULL)
        return no_memory(c);
    for (unsigned i = 0; i < rules; i++)
        if (policy_range_set_init(&c->sources[i], c->memory, c->policy->rules[i].sources,
                                  c->policy->rules[i].source_count) < 0)
            return no_memory(c);
    return 0;
}

void policy_program_compile(struct policy_reader *r)
{
    struct compiler c = {
        .r = r,
        .memory = &r->snapshot->memory,
        .policy = &r->snapshot->policy,
        .budget = COVER_BUDGET,
    };

    if (compiler_init(&c) < 0)
        return;
    for (unsigned i = 0; i < c.policy->listener_count; i++)
        if (compile_listener(&c, &c.policy->listeners[i]) < 0)
            return;
    report_useless(&c);
}
