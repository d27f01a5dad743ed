#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>

static void print_findings(const struct policy_case *c, const struct policy_report *r)
{
    print_error("case \"%s\": findings were\n", c->name);
    for (size_t i = 0; i < r->count; i++)
        print_error("    %s\n", r->findings[i].text);
}

static bool finding_is(const struct policy_finding *f, const char *wanted)
{
    bool warning = strstr(wanted, " warning: ") != NULL;

    return f->warning == warning && strncmp(f->text, "t.yaml:", 7) == 0 &&
           strcmp(f->text + 7, wanted) == 0;
}

static bool as_wanted(const struct policy_case *c, const struct policy_report *r, bool accepted)
{
    size_t wanted = 0, warnings = 0;

    for (; wanted < FINDINGS_MAX && c->findings[wanted] != NULL; wanted++) {
        if (wanted >= r->count || !finding_is(&r->findings[wanted], c->findings[wanted]))
            return false;
        warnings += r->findings[wanted].warning;
    }
    return r->count == wanted && r->warnings == warnings && r->errors == wanted - warnings &&
           accepted == (r->errors == 0);
}

void policy_cases_run(const struct policy_case *cases, size_t count)
{
    unsigned failed = 0;

    for (size_t i = 0; i < count; i++) {
        struct policy_report r = {0};
        struct policy *p = policy_parse(cases[i].text, strlen(cases[i].text), "t.yaml", &r);

        if (!as_wanted(&cases[i], &r, p != NULL)) {
            print_findings(&cases[i], &r);
            failed++;
        }
        policy_free(p);
        policy_report_free(&r);
    }
    assert_int_equal(failed, 0);
}

struct policy *policy_good(const char *text)
{
    struct policy_report r = {0};
    struct policy *p = policy_parse(text, strlen(text), "etc/t.yaml", &r);
    size_t findings = r.count;

    for (size_t i = 0; i < r.count; i++)
        print_error("unexpected: %s\n", r.findings[i].text);
    policy_report_free(&r);
    if (findings > 0)
        policy_free(p);
    assert_int_equal(findings, 0);
    return p;
}
