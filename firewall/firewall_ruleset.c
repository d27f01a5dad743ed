/*
 * Rulesets: what is shared by all workers and never changes. The costly part, the compiled rules,
 * is a program of its own, so that an edit of a set makes a new ruleset without compiling anything.
 */
#include <stdlib.h>
#include <string.h>

#include "firewall/firewall_internal.h"

static bool observes(const struct firewall_rule *r)
{
    return r->action == FIREWALL_COUNT || r->action == FIREWALL_LOG;
}

static uint64_t name_id(const char *name)
{
    static const struct siphash_key key = {0, 0}; /* the names are the administrator's */

    return siphash(name, strlen(name), &key);
}

#define MEMORY_PER_RULE 4096 /* measured: a third of it to two thirds */
#define MEMORY_OF_ONE   (1 << 20)

uint64_t firewall_ruleset_memory(unsigned rule_count)
{
    return rule_count > 0 ? MEMORY_OF_ONE + (uint64_t)rule_count * MEMORY_PER_RULE : 0;
}

/* ---- checks ---- */

static int check_origins(const struct firewall_rule *r, const struct firewall_origin *list,
                         unsigned count, unsigned set_count, struct error *e)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i].set >= (int)set_count)
            return error_set(e, "firewall rule \"%s\" refers to a set that is not there", r->name);
    }
    return 0;
}

static int check(const struct firewall_ruleset_config *c, struct error *e)
{
    unsigned observers = 0, limits = 0;

    if (c->set_count > FIREWALL_SETS_MAX)
        return error_set(e, "the firewall's rules refer to %u sets; at most %d can be",
                         c->set_count, FIREWALL_SETS_MAX);
    for (unsigned i = 0; i < c->rule_count; i++) {
        const struct firewall_rule *r = &c->rules[i];

        if (check_origins(r, r->sources, r->source_count, c->set_count, e) < 0 ||
            check_origins(r, r->destinations, r->destination_count, c->set_count, e) < 0)
            return -1;
        observers += observes(r);
        limits += r->action == FIREWALL_LIMIT;
    }
    if (observers > FIREWALL_OBSERVERS_MAX)
        return error_set(e, "the firewall has %u rules that count or log; at most %d can be",
                         observers, FIREWALL_OBSERVERS_MAX);
    if (limits >= FIREWALL_LABELS / 2)
        return error_set(e, "the firewall has %u rules that limit; at most %d can be", limits,
                         FIREWALL_LABELS / 2 - 1);
    return 0;
}

int firewall_ruleset_check(const struct firewall_ruleset_config *config, struct error *e)
{
    uint32_t *all = calloc(config->rule_count + 1, sizeof *all);
    const struct firewall_acl_config acl = {
        .rules = config->rules, .chosen = all, .chosen_count = config->rule_count, .categories = 1};
    int result;

    if (all == NULL)
        return error_set(e, "out of memory for the firewall's rules");
    for (uint32_t i = 0; i < config->rule_count; i++)
        all[i] = i;
    result = check(config, e) < 0 ? -1 : firewall_acl_check(&acl, e);
    free(all);
    return result;
}

/* ---- programs ---- */

static void program_unref(struct firewall_program *p)
{
    if (p == NULL || __atomic_sub_fetch(&p->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    firewall_acl_destroy(p->deciders);
    for (unsigned i = 0; i < p->observer_count; i++)
        firewall_acl_destroy(p->observers[i].acl);
    for (unsigned i = 0; p->rules != NULL && i < p->rule_count; i++)
        free((char *)(uintptr_t)p->rules[i].name);
    free(p->rules);
    free(p->by_id);
    free(p);
}

struct by_id {
    uint64_t id;
    uint32_t rule;
};

static int by_id_compare(const void *a, const void *b)
{
    const struct by_id *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int sort_ids(struct firewall_program *p)
{
    struct by_id *order = calloc(p->rule_count + 1, sizeof *order);

    p->by_id = calloc(p->rule_count + 1, sizeof *p->by_id);
    if (order == NULL || p->by_id == NULL) {
        free(order);
        return -1;
    }
    for (uint32_t i = 0; i < p->rule_count; i++)
        order[i] = (struct by_id){p->rules[i].id, i};
    qsort(order, p->rule_count, sizeof *order, by_id_compare);
    for (uint32_t i = 0; i < p->rule_count; i++)
        p->by_id[i] = order[i].rule;
    free(order);
    return 0;
}

static bool uses_sets(const struct firewall_origin *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i].set >= 0)
            return true;
    }
    return false;
}

/* The part of each rule that is not compiled. */
static int copy_rules(struct firewall_program *p, const struct firewall_ruleset_config *c)
{
    p->rules = calloc(c->rule_count + 1, sizeof *p->rules);
    if (p->rules == NULL)
        return -1;
    p->rule_count = c->rule_count;
    for (unsigned i = 0; i < c->rule_count; i++) {
        const struct firewall_rule *r = &c->rules[i];

        p->rules[i] = (struct firewall_verdict){
            .name = strdup(r->name),
            .id = name_id(r->name),
            .action = r->action,
            .log = r->log || r->action == FIREWALL_LOG,
            .egress_class = r->egress_class,
            .syn_cookies = r->syn_cookies,
            .limit = r->limit,
        };
        if (p->rules[i].name == NULL)
            return -1;
        p->source_sets |= uses_sets(r->sources, r->source_count);
        p->destination_sets |= uses_sets(r->destinations, r->destination_count);
    }
    return sort_ids(p);
}

static int compile_observers(struct firewall_program *p, const struct firewall_ruleset_config *c,
                             const uint32_t *chosen, unsigned count, struct error *e)
{
    while (count > 0) {
        unsigned n = count < FIREWALL_OBSERVERS_PER_ACL ? count : FIREWALL_OBSERVERS_PER_ACL;
        struct firewall_observers *o = &p->observers[p->observer_count];
        const struct firewall_acl_config config = {
            .rules = c->rules,
            .chosen = chosen,
            .chosen_count = n,
            .categories = (n + 3) / 4 * 4, /* as the library wants them */
            .numa_node = c->numa_node,
        };

        o->acl = firewall_acl_create(&config, e);
        if (o->acl == NULL)
            return -1;
        o->categories = config.categories;
        o->first = chosen[0];
        p->observer_count++;
        chosen += n;
        count -= n;
    }
    return 0;
}

/* Which rules decide and which only look; `chosen` has room for twice the rules. */
static unsigned split(const struct firewall_ruleset_config *c, uint32_t *chosen,
                      unsigned *observer_count)
{
    uint32_t *observers = chosen + c->rule_count;
    unsigned deciders = 0;

    *observer_count = 0;
    for (uint32_t i = 0; i < c->rule_count; i++) {
        if (observes(&c->rules[i]))
            observers[(*observer_count)++] = i;
        else
            chosen[deciders++] = i;
    }
    return deciders;
}

static int compile(struct firewall_program *p, const struct firewall_ruleset_config *c,
                   uint32_t *chosen, struct error *e)
{
    struct firewall_acl_config config = {
        .rules = c->rules, .chosen = chosen, .categories = 1, .numa_node = c->numa_node};
    unsigned observer_count;

    config.chosen_count = split(c, chosen, &observer_count);
    if (config.chosen_count > 0) {
        p->deciders = firewall_acl_create(&config, e);
        if (p->deciders == NULL)
            return -1;
    }
    return compile_observers(p, c, chosen + c->rule_count, observer_count, e);
}

static struct firewall_program *program_create(const struct firewall_ruleset_config *c,
                                               struct error *e)
{
    struct firewall_program *p = calloc(1, sizeof *p);
    uint32_t *chosen = calloc(2 * (size_t)c->rule_count + 1, sizeof *chosen);
    int result = -1;

    if (p != NULL) {
        p->references = 1;
        p->drop_by_default = c->drop_by_default;
    }
    if (p == NULL || chosen == NULL || copy_rules(p, c) < 0)
        error_set(e, "out of memory for the firewall's rules");
    else
        result = compile(p, c, chosen, e);
    free(chosen);
    if (result == 0)
        return p;
    program_unref(p);
    return NULL;
}

/* ---- rulesets ---- */

static void ruleset_free(struct firewall_ruleset *r)
{
    firewall_map_destroy(r->map);
    for (unsigned i = 0; i < r->set_count; i++)
        firewall_set_unref(r->sets[i]);
    program_unref(r->program);
    free(r);
}

/* Takes over the reference to the program. */
static struct firewall_ruleset *ruleset_create(struct firewall_program *program,
                                               struct firewall_set *const *sets, unsigned count,
                                               struct error *e)
{
    struct firewall_ruleset *r = calloc(1, sizeof *r);

    if (r == NULL) {
        error_set(e, "out of memory for the firewall's rules");
        program_unref(program);
        return NULL;
    }
    r->references = 1;
    r->program = program;
    for (unsigned i = 0; i < count; i++)
        r->sets[r->set_count++] = firewall_set_ref(sets[i]);
    if (program->source_sets || program->destination_sets) {
        r->map = firewall_map_create(r->sets, r->set_count, e);
        if (r->map == NULL) {
            ruleset_free(r);
            return NULL;
        }
    }
    return r;
}

struct firewall_ruleset *firewall_ruleset_create(const struct firewall_ruleset_config *config,
                                                 struct error *e)
{
    struct firewall_program *program;

    if (firewall_ruleset_check(config, e) < 0)
        return NULL;
    program = program_create(config, e);
    if (program == NULL)
        return NULL;
    return ruleset_create(program, config->sets, config->set_count, e);
}

struct firewall_ruleset *firewall_ruleset_with_set(struct firewall_ruleset *r, unsigned set,
                                                   struct firewall_set *with, struct error *e)
{
    struct firewall_set *sets[FIREWALL_SETS_MAX];

    memcpy(sets, r->sets, sizeof sets);
    sets[set] = with;
    __atomic_add_fetch(&r->program->references, 1, __ATOMIC_RELAXED);
    return ruleset_create(r->program, sets, r->set_count, e);
}

struct firewall_ruleset *firewall_ruleset_ref(struct firewall_ruleset *r)
{
    __atomic_add_fetch(&r->references, 1, __ATOMIC_RELAXED);
    return r;
}

void firewall_ruleset_unref(struct firewall_ruleset *r)
{
    if (r != NULL && __atomic_sub_fetch(&r->references, 1, __ATOMIC_ACQ_REL) == 0)
        ruleset_free(r);
}
