/*
 * While the server name is not known, the rules of the listener are walked in order: the first
 * whose sources match either decides or asks for the name. Once it is known, the candidates are the
 * rules without sni, those that name it exactly, and those with the wildcard for it; each is a
 * chain in the rules' order, so the earliest of three first hits is the first match. The cost does
 * not grow with the number of names in the file.
 */
#include <string.h>

#include "policy/policy_program.h"

/* The first rule of a chain whose sources hold the address, or NULL. */
static const struct policy_rule *first_match(const struct policy_chain *chain,
                                             const struct ip_addr *source)
{
    const struct policy_link *link = chain != NULL ? chain->first : NULL;

    while (link != NULL && link->rule->source_count > 0 &&
           !policy_range_set_has(link->sources, source))
        link = link->next;
    return link != NULL ? link->rule : NULL;
}

static const struct policy_rule *earlier(const struct policy_rule *a, const struct policy_rule *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return a->index < b->index ? a : b;
}

static const struct policy_rule *match_name(const struct policy_program *program,
                                            const struct ip_addr *source, const char *sni)
{
    const struct policy_rule *rule = first_match(&program->nameless, source);
    const char *dot = strchr(sni, '.');

    /* A name that begins with a dot is none, and would be found among the wildcards. */
    if (dot == sni)
        return rule;
    rule = earlier(rule, first_match(policy_table_find(&program->names, sni), source));
    if (dot != NULL)
        rule = earlier(rule, first_match(policy_table_find(&program->names, dot), source));
    return rule;
}

enum policy_verdict policy_match(const struct policy *p, const struct policy_facts *facts,
                                 const struct policy_rule **rule)
{
    const struct policy_snapshot *snapshot = (const struct policy_snapshot *)p;
    const struct policy_program *program = &snapshot->programs[facts->listener->index];

    if (!facts->hello_known) {
        *rule = first_match(&program->all, &facts->source);
        if (*rule != NULL && (*rule)->sni_count > 0) {
            *rule = NULL;
            return POLICY_NEED_HELLO;
        }
    } else if (facts->sni != NULL) {
        *rule = match_name(program, &facts->source, facts->sni);
    } else {
        *rule = first_match(&program->nameless, &facts->source);
    }
    return *rule != NULL ? POLICY_MATCHED : POLICY_UNMATCHED;
}
