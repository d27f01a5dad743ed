/* What `sluice --explain` says of each rule, line by line. */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Rules begin in line 14. */
static const char config[] = INTERFACES BACKENDS CERTIFICATES
    "listeners:\n"
    "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n"
    "  plain: {bind: 192.0.2.10:80}\n"
    "classes: {gold: {}}\n"
    "policy:\n"
    "  - {name: bots, match: {alpn: [h2, x], tls-version: 1.2}, action: reject}\n"
    "  - {match: {sni: [a.b, \"*.c\"], source: [10.0.0.0/8, 192.0.2.0/24]}, action: splice, "
    "backend: web}\n"
    "  - {match: {listener: https, sni: [a1, a2, a3, a4, a5, a6]}, action: reject}\n"
    "  - {name: shop, match: {listener: https, source: [10.0.0.0/8, 172.16.0.0/12]}, action: "
    "terminate, backend: web, class: gold}\n"
    "  - {match: {listener: plain, source: 203.0.113.0/24}, action: reject}\n";

static void expect(struct policy_facts *facts, const char *source, enum policy_verdict verdict,
                   const char *wanted)
{
    struct policy *p = policy_good(config);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(ip_parse(source, &facts->source), 0);
    facts->listener = &p->listeners[facts->listener != NULL];
    assert_int_equal(policy_explain(p, facts, out), verdict);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
    policy_free(p);
}

static void test_decision(void **state)
{
    static const uint16_t versions[] = {0x0304, 0x0303};
    struct policy_facts facts = {
        .hello_known = true,
        .sni = "shop.example",
        .alpn = (const uint8_t *)"\2h3\10http/1.1",
        .alpn_len = 12,
        .versions = versions,
        .version_count = 2,
    };

    (void)state;
    expect(&facts, "172.16.0.1", POLICY_MATCHED,
           "listener https, source 172.16.0.1, sni shop.example, alpn h3 http/1.1, tls-version 1.3 "
           "1.2\n"
           "  line 14, bots: does not match: alpn does not offer h2, x\n"
           "  line 15, rule 2: does not match: source 172.16.0.1 is not in 10.0.0.0/8, "
           "192.0.2.0/24; sni shop.example is not a.b, *.c\n"
           "  line 16, rule 3: does not match: sni shop.example is not a1, a2, a3, a4 and 2 more\n"
           "  line 17, shop: matches\n"
           "shop (etc/t.yaml:17) decides: terminate, backend web, class gold\n");
}

static void test_no_rule(void **state)
{
    struct policy_facts facts = {.hello_known = true};

    (void)state;
    expect(&facts, "198.51.100.1", POLICY_UNMATCHED,
           "listener https, source 198.51.100.1, no sni\n"
           "  line 14, bots: does not match: alpn does not offer h2, x; tls-version does not offer "
           "1.2\n"
           "  line 15, rule 2: does not match: source 198.51.100.1 is not in 10.0.0.0/8, "
           "192.0.2.0/24; without sni, wanted is a.b, *.c\n"
           "  line 16, rule 3: does not match: without sni, wanted is a1, a2, a3, a4 and 2 more\n"
           "  line 17, shop: does not match: source 198.51.100.1 is not in 10.0.0.0/8, "
           "172.16.0.0/12\n"
           "  line 18, rule 5: does not match: listener is https, not plain; source 198.51.100.1 "
           "is not in 203.0.113.0/24\n"
           "no rule matches: the connection is rejected\n");
}

static void test_hello_needed(void **state)
{
    struct policy_facts facts = {0};

    (void)state;
    expect(&facts, "10.0.0.7", POLICY_NEED_HELLO,
           "listener https, source 10.0.0.7, ClientHello not known\n"
           "  line 14, bots: may match, by what the ClientHello says\n"
           "not decided yet: the ClientHello is waited for\n");
}

static void test_plain_listener(void **state)
{
    static const struct policy_listener second;
    struct policy_facts facts = {.listener = &second};

    (void)state;
    expect(&facts, "10.0.0.7", POLICY_UNMATCHED,
           "listener plain, source 10.0.0.7, ClientHello not known\n"
           "  line 14, bots: does not match: it has sni, alpn or tls-version and names no "
           "listener, so it applies to listeners with tls only\n"
           "  line 15, rule 2: does not match: it has sni, alpn or tls-version and names no "
           "listener, so it applies to listeners with tls only\n"
           "  line 16, rule 3: does not match: listener is plain, not https\n"
           "  line 17, shop: does not match: listener is plain, not https\n"
           "  line 18, rule 5: does not match: source 10.0.0.7 is not in 203.0.113.0/24\n"
           "no rule matches: the connection is rejected\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decision),
        cmocka_unit_test(test_no_rule),
        cmocka_unit_test(test_hello_needed),
        cmocka_unit_test(test_plain_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
