/*
 * Explains by the plain reading of the rules, one after the other, not by the compiled programs:
 * the reader wants to know of every rule, also of those that were left out of a program because
 * they can never match. That both come to the same decision is tested.
 */
#include <string.h>

#include "policy/policy_match.h"

#define SHOWN_MAX 4 /* values of a list that are written out */

/* What does not match is written as it is found, each part after a separator. */
struct explanation {
    FILE *out;
    const struct policy_facts *facts;
    unsigned faults; /* of the rule at hand */
};

/* Begins the description of something that does not match. */
static FILE *fault(struct explanation *x)
{
    fputs(x->faults++ > 0 ? "; " : "does not match: ", x->out);
    return x->out;
}

/* ", " between values, and a count in place of those that are too many. Returns whether the i-th
 * of them is to be written. */
static bool shown(FILE *out, unsigned i, unsigned count)
{
    if (i == SHOWN_MAX)
        fprintf(out, " and %u more", count - SHOWN_MAX);
    else if (i > 0 && i < SHOWN_MAX)
        fputs(", ", out);
    return i < SHOWN_MAX;
}

static const char *version_text(uint16_t version)
{
    return version == 0x0304 ? "1.3" : version == 0x0303 ? "1.2" : "unknown";
}

/* ---- the parts of a rule ---- */

static void explain_listener(struct explanation *x, const struct policy_rule *rule)
{
    const struct policy_listener *listener = x->facts->listener;

    if (rule->listener != NULL && rule->listener != listener)
        fprintf(fault(x), "listener is %s, not %s", listener->name, rule->listener->name);
    else if (rule->listener == NULL && listener->tls == NULL && policy_match_needs_hello(rule))
        fprintf(fault(x),
                "it has sni, alpn or tls-version and names no listener, so it applies to listeners "
                "with tls only");
}

static void explain_source(struct explanation *x, const struct policy_rule *rule)
{
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < rule->source_count; i++)
        if (ip_in_prefix(&x->facts->source, &rule->sources[i]))
            return;
    if (rule->source_count == 0)
        return;
    fprintf(fault(x), "source %s is not in ", ip_format(&x->facts->source, text));
    for (unsigned i = 0; i < rule->source_count; i++)
        if (shown(x->out, i, rule->source_count))
            fputs(ip_prefix_format(&rule->sources[i], text), x->out);
}

static bool name_matches(const char *pattern, const char *sni)
{
    const char *dot = strchr(sni, '.');

    return strcmp(pattern, sni) == 0 ||
           (pattern[0] == '*' && dot != NULL && dot != sni && strcmp(pattern + 1, dot) == 0);
}

static void explain_sni(struct explanation *x, const struct policy_rule *rule)
{
    const char *sni = x->facts->sni;

    for (unsigned i = 0; i < rule->sni_count && sni != NULL; i++)
        if (name_matches(rule->snis[i], sni))
            return;
    if (rule->sni_count == 0)
        return;
    if (sni != NULL)
        fprintf(fault(x), "sni %s is not ", sni);
    else
        fputs("without sni, wanted is ", fault(x));
    for (unsigned i = 0; i < rule->sni_count; i++)
        if (shown(x->out, i, rule->sni_count))
            fputs(rule->snis[i], x->out);
}

static void explain_alpn(struct explanation *x, const struct policy_rule *rule)
{
    if (policy_match_alpn(rule, x->facts))
        return;
    fputs("alpn does not offer ", fault(x));
    for (unsigned i = 0; i < rule->alpn_count; i++)
        if (shown(x->out, i, rule->alpn_count))
            fputs(rule->alpns[i], x->out);
}

static void explain_version(struct explanation *x, const struct policy_rule *rule)
{
    if (policy_match_version(rule, x->facts))
        return;
    fputs("tls-version does not offer ", fault(x));
    for (unsigned i = 0; i < rule->tls_version_count; i++)
        if (shown(x->out, i, rule->tls_version_count))
            fputs(version_text(rule->tls_versions[i]), x->out);
}

/* ---- rules ---- */

/* Writes a rule's line. */
static enum policy_verdict explain_rule(struct explanation *x, const struct policy_rule *rule)
{
    x->faults = 0;
    fprintf(x->out, "  line %u, %s: ", rule->mark.line, rule->name);
    explain_listener(x, rule);
    explain_source(x, rule);
    if (x->facts->hello_known) {
        explain_sni(x, rule);
        explain_alpn(x, rule);
        explain_version(x, rule);
    }
    if (x->faults == 0 && !x->facts->hello_known && policy_match_needs_hello(rule)) {
        fputs("may match, by what the ClientHello says\n", x->out);
        return POLICY_NEED_HELLO;
    }
    fputs(x->faults == 0 ? "matches\n" : "\n", x->out);
    return x->faults == 0 ? POLICY_MATCHED : POLICY_UNMATCHED;
}

static void print_decision(FILE *out, const struct policy *p, const struct policy_rule *rule)
{
    static const char *const actions[] = {
        [POLICY_TERMINATE] = "terminate",
        [POLICY_SPLICE] = "splice",
        [POLICY_REJECT] = "reject",
    };

    fprintf(out, "%s (%s:%u) decides: %s", rule->name, p->path, rule->mark.line,
            actions[rule->action]);
    if (rule->backend != NULL)
        fprintf(out, ", backend %s", rule->backend->name);
    if (rule->egress_class != NULL)
        fprintf(out, ", class %s", rule->egress_class->name);
    fputc('\n', out);
}

/* ---- the connection ---- */

static void print_offers(FILE *out, const struct policy_facts *f)
{
    for (size_t at = 0; at < f->alpn_len; at += 1 + (size_t)f->alpn[at])
        fprintf(out, "%s%.*s", at == 0 ? ", alpn " : " ", f->alpn[at],
                (const char *)f->alpn + at + 1);
    for (unsigned i = 0; i < f->version_count; i++)
        fprintf(out, "%s%s", i == 0 ? ", tls-version " : " ", version_text(f->versions[i]));
}

static void print_facts(FILE *out, const struct policy_facts *f)
{
    char text[IP_TEXT_MAX];

    fprintf(out, "listener %s, source %s", f->listener->name, ip_format(&f->source, text));
    if (!f->hello_known)
        fputs(", ClientHello not known", out);
    else if (f->sni != NULL)
        fprintf(out, ", sni %s", f->sni);
    else
        fputs(", no sni", out);
    if (f->hello_known)
        print_offers(out, f);
    fputc('\n', out);
}

enum policy_verdict policy_explain(const struct policy *p, const struct policy_facts *facts,
                                   FILE *out)
{
    struct explanation x = {.out = out, .facts = facts};

    print_facts(out, facts);
    for (unsigned i = 0; i < p->rule_count; i++) {
        enum policy_verdict verdict = explain_rule(&x, &p->rules[i]);

        if (verdict == POLICY_UNMATCHED)
            continue;
        if (verdict == POLICY_MATCHED)
            print_decision(out, p, &p->rules[i]);
        else
            fputs("not decided yet: the ClientHello is waited for\n", out);
        return verdict;
    }
    fputs("no rule matches: the connection is rejected\n", out);
    return POLICY_UNMATCHED;
}
