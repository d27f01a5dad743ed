/* What is defined and nothing uses. */
#include "policy/policy_check.h"

static bool certificate_used(const struct policy *p, const struct policy_certificate *certificate)
{
    for (unsigned i = 0; i < p->listener_count; i++) {
        const struct policy_tls *tls = p->listeners[i].tls;

        for (unsigned j = 0; tls != NULL && j < tls->certificate_count; j++)
            if (tls->certificates[j] == certificate)
                return true;
    }
    for (unsigned i = 0; i < p->backend_count; i++)
        if (p->backends[i].tls != NULL && p->backends[i].tls->certificate == certificate)
            return true;
    return false;
}

static bool backend_used(const struct policy *p, const struct policy_backend *backend)
{
    for (unsigned i = 0; i < p->rule_count; i++)
        if (p->rules[i].backend == backend)
            return true;
    return false;
}

static bool class_used(const struct policy *p, const struct policy_class *class)
{
    for (unsigned i = 0; i < p->rule_count; i++)
        if (p->rules[i].egress_class == class)
            return true;
    for (unsigned i = 0; i < p->firewall.rule_count; i++)
        if (p->firewall.rules[i].egress_class == class)
            return true;
    return false;
}

/* Marks the sets that rules refer to. Returns how many they are. */
static unsigned mark_sets(const struct policy *p, bool *used)
{
    unsigned count = 0;

    for (unsigned i = 0; i < p->firewall.rule_count; i++) {
        const struct policy_firewall_rule *rule = &p->firewall.rules[i];

        for (unsigned j = 0; j < rule->source_count + rule->destination_count; j++) {
            const struct policy_origin *origin = j < rule->source_count
                                                     ? &rule->sources[j]
                                                     : &rule->destinations[j - rule->source_count];

            if (origin->set == NULL || used[origin->set->index])
                continue;
            used[origin->set->index] = true;
            count++;
        }
    }
    return count;
}

static void check_sets(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;
    bool *used = policy_arena_alloc(&r->nodes, p->set_count, sizeof *used);
    unsigned count;

    if (used == NULL) {
        r->no_memory = true;
        return;
    }
    count = mark_sets(p, used);
    if (count > POLICY_CHECK_SETS_MAX)
        policy_reader_error(r, policy_node_get(policy_node_get(r->root, "firewall"), "rules"),
                            "the rules refer to %u sets, expected at most %d", count,
                            POLICY_CHECK_SETS_MAX);
    for (unsigned i = 0; i < p->set_count; i++)
        if (!used[i])
            policy_reader_warn(r, policy_reader_entry(r, "sets", i, NULL), "no rule uses this set");
}

void policy_check_use(struct policy_reader *r)
{
    const struct policy *p = &r->snapshot->policy;

    for (unsigned i = 0; i < p->certificate_count; i++)
        if (!certificate_used(p, &p->certificates[i]))
            policy_reader_warn(r, policy_reader_entry(r, "certificates", i, NULL),
                               "neither a listener nor a backend uses this certificate");
    for (unsigned i = 0; i < p->backend_count; i++)
        if (!backend_used(p, &p->backends[i]))
            policy_reader_warn(r, policy_reader_entry(r, "backends", i, NULL),
                               "no rule uses this backend");
    for (unsigned i = 0; i < p->class_count; i++)
        if (!class_used(p, &p->classes[i]))
            policy_reader_warn(r, policy_reader_entry(r, "classes", i, NULL),
                               "no rule uses this class");
    check_sets(r);
}
