/* Any bytes as a configuration: refused with findings, or a snapshot that can be matched. */
#include <stdlib.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_all(const struct policy *p)
{
    static const char *const names[] = {NULL, "shop.example", "a.shop.example", ".example", ""};

    for (unsigned i = 0; i < p->listener_count; i++) {
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
            struct policy_facts facts = {
                .listener = &p->listeners[i],
                .source = ip_from_v4(0x010200c0),
                .hello_known = j > 0,
                .sni = names[j],
            };
            const struct policy_rule *rule;
            enum policy_verdict verdict = policy_match(p, &facts, &rule);

            if ((verdict == POLICY_MATCHED) != (rule != NULL))
                abort();
            if (facts.hello_known && verdict == POLICY_NEED_HELLO)
                abort();
            if (rule != NULL && (rule->backend == NULL) != (rule->action == POLICY_REJECT))
                abort();
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
