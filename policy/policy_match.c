/*
 * While the ClientHello is not known, the rules of the listener are walked in order: the first
 * whose sources match either decides or asks for the hello. Once it is known, the candidates are
 * the rules without sni, those that name it exactly, and those with the wildcard for it; each is a
 * chain in the rules' order, so the earliest of three first hits is the first match. The cost does
 * not grow with the number of names in the file.
 */
#include "policy/policy_match.h"

#include <string.h>

#include "policy/policy_program.h"

bool policy_match_needs_hello(const struct policy_rule *rule)
{
    return rule->sni_count > 0 || rule->alpn_count > 0 || rule->tls_version_count > 0;
}

static bool offers_protocol(const struct policy_facts *facts, const char *name)
{
    size_t len = strlen(name);

    for (size_t at = 0; at < facts->alpn_len; at += 1 + (size_t)facts->alpn[at])
        if (facts->alpn[at] == len && len < facts->alpn_len - at &&
            memcmp(facts->alpn + at + 1, name, len) == 0)
            return true;
    return false;
}

bool policy_match_alpn(const struct policy_rule *rule, const struct policy_facts *facts)
{
    for (unsigned i = 0; i < rule->alpn_count; i++)
        if (offers_protocol(facts, rule->alpns[i]))
            return true;
    return rule->alpn_count == 0;
}

bool policy_match_version(const struct policy_rule *rule, const struct policy_facts *facts)
{
    for (unsigned i = 0; i < rule->tls_version_count; i++)
        for (unsigned j = 0; j < facts->version_count; j++)
            if (rule->tls_versions[i] == facts->versions[j])
                return true;
    return rule->tls_version_count == 0;
}

/* Of a rule whose names, if it has any, are known to match. */
static bool matches(const struct policy_link *link, const struct policy_facts *facts)
{
    const struct policy_rule *rule = link->rule;

    if (rule->source_count > 0 && !policy_range_set_has(link->sources, &facts->source))
        return false;
    return !facts->hello_known ||
           (policy_match_alpn(rule, facts) && policy_match_version(rule, facts));
}

/* The first rule of a chain that matches, or NULL. */
static const struct policy_rule *first_match(const struct policy_chain *chain,
                                             const struct policy_facts *facts)
{
    const struct policy_link *link = chain != NULL ? chain->first : NULL;

    while (link != NULL && !matches(link, facts))
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
                                            const struct policy_facts *facts)
{
    const struct policy_rule *rule = first_match(&program->nameless, facts);
    const char *dot = strchr(facts->sni, '.');

    /* A name that begins with a dot is none, and would be found among the wildcards. */
    if (dot == facts->sni)
        return rule;
    rule = earlier(rule, first_match(policy_table_find(&program->names, facts->sni), facts));
    if (dot != NULL)
        rule = earlier(rule, first_match(policy_table_find(&program->names, dot), facts));
    return rule;
}

enum policy_verdict policy_match(const struct policy *p, const struct policy_facts *facts,
                                 const struct policy_rule **rule)
{
    const struct policy_snapshot *snapshot = (const struct policy_snapshot *)p;
    const struct policy_program *program = &snapshot->programs[facts->listener->index];

    if (!facts->hello_known) {
        *rule = first_match(&program->all, facts);
        if (*rule != NULL && policy_match_needs_hello(*rule)) {
            *rule = NULL;
            return POLICY_NEED_HELLO;
        }
    } else if (facts->sni != NULL) {
        *rule = match_name(program, facts);
    } else {
        *rule = first_match(&program->nameless, facts);
    }
    return *rule != NULL ? POLICY_MATCHED : POLICY_UNMATCHED;
}
