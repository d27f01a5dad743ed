/* Any bytes as a configuration: refused with findings, or a snapshot that can be matched. */
#include <stdlib.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

/* The plain reading of the rules comes to the same decision as the compiled ones. */
static void explain(const struct policy *p, const struct policy_facts *facts,
                    enum policy_verdict verdict)
{
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL || policy_explain(p, facts, nowhere) != verdict)
        abort();
}

static void match_all(const struct policy *p)
{
    static const uint16_t versions[] = {0x0304, 0x0303};
    static const char *const names[] = {NULL, "shop.example", "a.shop.example", ".example", ""};

    for (unsigned i = 0; i < p->listener_count; i++) {
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
            struct policy_facts facts = {
                .listener = &p->listeners[i],
                .source = ip_from_v4(0x010200c0),
                .hello_known = j > 0,
                .sni = names[j],
                .alpn = (const uint8_t *)"\2h2\1x",
                .alpn_len = j > 1 ? 5 : 0,
                .versions = versions,
                .version_count = (unsigned)j % 3,
            };
            const struct policy_rule *rule;
            enum policy_verdict verdict = policy_match(p, &facts, &rule);

            if ((verdict == POLICY_MATCHED) != (rule != NULL))
                abort();
            if (facts.hello_known && verdict == POLICY_NEED_HELLO)
                abort();
            if (rule != NULL && (rule->backend == NULL) != (rule->action == POLICY_REJECT))
                abort();
            explain(p, &facts, verdict);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_report r = {0};
    struct policy *p = policy_parse((const char *)data, size, "fuzz.yaml", &r);

    if ((p == NULL) != (r.errors > 0))
        abort();
    if (p != NULL) {
        match_all(p);
        if (policy_reloadable(p, p, &r) < 0)
            abort();
    }
    policy_free(p);
    policy_report_free(&r);
    return 0;
}
