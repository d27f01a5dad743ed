/*
 * Matching: the meaning of the rules by example, and the compiled rules against a walk over all of
 * them that does nothing but what policy.h says, on random policies and facts.
 */
#include "tests/unit/policy/policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                   \
    INTERFACES BACKENDS CERTIFICATES                                           \
        "listeners:\n"                                                         \
        "  https: {bind: 192.0.2.10:443, tls: {certificates: [shop, blog]}}\n" \
        "  plain: {bind: 192.0.2.10:80}\n"                                     \
        "policy:\n"

enum { HTTPS, PLAIN_TCP };

#define NO_NAME ""   /* the ClientHello is known and has none */
#define NOT_YET NULL /* the ClientHello is not known */
#define NO_RULE (-1) /* POLICY_UNMATCHED */
#define ASKS    (-2) /* POLICY_NEED_HELLO */

/* The index of the rule that decides, NO_RULE or ASKS. */
static int decide(const struct policy *p, int listener, const char *source, const char *sni)
{
    struct policy_facts facts = {.listener = &p->listeners[listener]};
    const struct policy_rule *rule;

    assert_int_equal(ip_parse(source, &facts.source), 0);
    facts.hello_known = sni != NULL;
    facts.sni = sni != NULL && sni[0] != '\0' ? sni : NULL;
    switch (policy_match(p, &facts, &rule)) {
    case POLICY_MATCHED:
        return (int)rule->index;
    case POLICY_NEED_HELLO:
        return ASKS;
    default:
        return NO_RULE;
    }
}

static void test_first_match(void **state)
{
    struct policy *p = policy_good(
        HEAD "  - {match: {sni: legacy.example}, action: splice, backend: web}\n"
             "  - {match: {listener: https, source: [198.51.100.0/24]}, action: reject}\n"
             "  - {match: {listener: https}, action: terminate, backend: web}\n"
             "  - {match: {listener: plain}, action: splice, backend: web}\n");

    (void)state;
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", NOT_YET), ASKS);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "legacy.example"), 0);
    assert_int_equal(decide(p, HTTPS, "198.51.100.7", "legacy.example"), 0);
    assert_int_equal(decide(p, HTTPS, "198.51.100.7", "shop.example"), 1);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "shop.example"), 2);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", NO_NAME), 2);
    assert_int_equal(decide(p, PLAIN_TCP, "198.51.100.7", NOT_YET), 3);
    assert_int_equal(p->rules[2].action, POLICY_TERMINATE);
    assert_ptr_equal(p->rules[2].backend, &p->backends[0]);
    policy_free(p);
}

/* The name is asked for only when a rule that needs it comes first for this source. */
static void test_need_for_hello(void **state)
{
    struct policy *p = policy_good(
        HEAD
        "  - {match: {source: 10.0.0.0/8}, action: reject}\n"
        "  - {match: {listener: plain, source: 172.16.0.0/12, sni: a.b}, action: reject}\n"
        "  - {match: {listener: https}, action: terminate, backend: web}\n"
        "  - {match: {listener: plain, source: 172.16.0.0/13}, action: splice, backend: web}\n");

    (void)state;
    assert_int_equal(decide(p, HTTPS, "10.1.2.3", NOT_YET), 0);
    assert_int_equal(decide(p, HTTPS, "172.16.0.1", NOT_YET), 2);
    assert_int_equal(decide(p, PLAIN_TCP, "10.1.2.3", NOT_YET), 0);
    assert_int_equal(decide(p, PLAIN_TCP, "172.16.0.1", NOT_YET), ASKS);
    assert_int_equal(decide(p, PLAIN_TCP, "172.16.0.1", NO_NAME), 3);
    assert_int_equal(decide(p, PLAIN_TCP, "172.16.0.1", "a.b"), 1);
    assert_int_equal(decide(p, PLAIN_TCP, "172.24.0.1", "c.b"), NO_RULE);
    assert_int_equal(decide(p, PLAIN_TCP, "192.0.2.1", NOT_YET), NO_RULE);
    policy_free(p);
}

static void test_names(void **state)
{
    struct policy *p =
        policy_good(HEAD "  - {match: {sni: [\"*.Shop.example\", exact.example.]}, action: "
                         "terminate, backend: web}\n"
                         "  - {match: {sni: \"*.example\"}, action: splice, backend: web}\n"
                         "  - {match: {listener: plain}, action: reject}\n");

    (void)state;
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "a.shop.example"), 0);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "exact.example"), 0);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "shop.example"), 1);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "a.b.shop.example"), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "example"), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", ".example"), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", ".shop.example"), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "."), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", NO_NAME), NO_RULE);
    assert_string_equal(p->rules[0].snis[0], "*.shop.example");
    assert_string_equal(p->rules[0].snis[1], "exact.example");
    policy_free(p);
}

static void test_offers(void **state)
{
    struct policy *p =
        policy_good(HEAD "  - {match: {alpn: [h2, acme-tls/1], sni: a.b}, action: reject}\n"
                         "  - {match: {tls-version: \"1.2\", source: 10.0.0.0/8}, action: reject}\n"
                         "  - {match: {listener: plain, alpn: h2}, action: reject}\n"
                         "  - {match: {listener: https}, action: terminate, backend: web}\n");
    static const uint16_t versions[] = {0x0304, 0x0303};
    struct policy_facts facts = {
        .listener = &p->listeners[HTTPS], .source = ip_from_v4(0x0100000a), .hello_known = true};
    const struct policy_rule *rule;

    (void)state;
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", NOT_YET), ASKS);
    assert_int_equal(decide(p, PLAIN_TCP, "192.0.2.1", NOT_YET), ASKS);
    assert_int_equal(decide(p, PLAIN_TCP, "192.0.2.1", NO_NAME), NO_RULE);
    assert_int_equal(decide(p, HTTPS, "192.0.2.1", "a.b"), 3);
    facts.sni = "a.b";
    facts.alpn = (const uint8_t *)"\10http/1.1\12acme-tls/1";
    facts.alpn_len = 9 + 11;
    assert_int_equal(policy_match(p, &facts, &rule), POLICY_MATCHED);
    assert_int_equal(rule->index, 0);
    facts.alpn_len = 9 + 10; /* a list that is cut is not read beyond its end */
    facts.versions = versions;
    facts.version_count = 2;
    assert_int_equal(policy_match(p, &facts, &rule), POLICY_MATCHED);
    assert_int_equal(rule->index, 1);
    facts.version_count = 1;
    assert_int_equal(policy_match(p, &facts, &rule), POLICY_MATCHED);
    assert_int_equal(rule->index, 3);
    policy_free(p);
}

/* ---- against the plain reading of policy.h ---- */

static bool reference_source(const struct policy_rule *rule, const struct ip_addr *source)
{
    for (unsigned i = 0; i < rule->source_count; i++)
        if (ip_in_prefix(source, &rule->sources[i]))
            return true;
    return rule->source_count == 0;
}

static bool reference_name(const struct policy_rule *rule, const char *sni)
{
    for (unsigned i = 0; i < rule->sni_count && sni != NULL; i++) {
        const char *pattern = rule->snis[i];
        const char *dot = strchr(sni, '.');

        if (strcmp(pattern, sni) == 0)
            return true;
        if (pattern[0] == '*' && dot != NULL && dot != sni && strcmp(pattern + 1, dot) == 0)
            return true;
    }
    return false;
}

static bool offers(const struct policy_facts *facts, const char *name)
{
    for (size_t at = 0; at < facts->alpn_len; at += 1 + (size_t)facts->alpn[at])
        if (facts->alpn[at] == strlen(name) &&
            memcmp(facts->alpn + at + 1, name, strlen(name)) == 0)
            return true;
    return false;
}

static bool reference_offers(const struct policy_rule *rule, const struct policy_facts *facts)
{
    bool alpn = rule->alpn_count == 0, version = rule->tls_version_count == 0;

    for (unsigned i = 0; i < rule->alpn_count; i++)
        alpn = alpn || offers(facts, rule->alpns[i]);
    for (unsigned i = 0; i < rule->tls_version_count; i++)
        for (unsigned j = 0; j < facts->version_count; j++)
            version = version || rule->tls_versions[i] == facts->versions[j];
    return alpn && version;
}

static enum policy_verdict reference_match(const struct policy *p, const struct policy_facts *facts,
                                           const struct policy_rule **out)
{
    for (unsigned i = 0; i < p->rule_count; i++) {
        const struct policy_rule *rule = &p->rules[i];

        bool hello = rule->sni_count + rule->alpn_count + rule->tls_version_count > 0;

        *out = rule;
        if (rule->listener != NULL && rule->listener != facts->listener)
            continue;
        if (rule->listener == NULL && hello && facts->listener->tls == NULL)
            continue;
        if (!reference_source(rule, &facts->source))
            continue;
        if (!hello)
            return POLICY_MATCHED;
        *out = NULL;
        if (!facts->hello_known)
            return POLICY_NEED_HELLO;
        *out = rule;
        if ((rule->sni_count == 0 || reference_name(rule, facts->sni)) &&
            reference_offers(rule, facts))
            return POLICY_MATCHED;
    }
    *out = NULL;
    return POLICY_UNMATCHED;
}

static uint32_t random_state;

static unsigned pick(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % below;
}

/* Few names and addresses, so that rules meet the facts, and each other, often. */
static const char *random_name(bool pattern)
{
    static const char *const names[] = {"a.b", "b",   "a.b.c", "x.b",   "c.x.b",
                                        "b.c", "*.b", "*.b.c", "*.x.b", "*.c"};

    return names[pick(pattern ? 10 : 6)];
}

static void random_source(char *out, size_t size, bool prefix)
{
    unsigned len = prefix ? 24 + pick(9) : 32;
    unsigned host = pick(256) & (0xffu << (32 - len));

    snprintf(out, size, "198.51.100.%u/%u", host, len);
}

static size_t random_rule(char *out, size_t size)
{
    static const char *const listeners[] = {"https", "plain"};
    static const char *const offered[] = {"",
                                          "",
                                          ", alpn: h2",
                                          ", alpn: [http/1.1, h2]",
                                          ", tls-version: 1.3",
                                          ", tls-version: [1.2, 1.3]",
                                          ", tls-version: 1.2, alpn: x"};
    char sources[128] = "", names[128] = "", listener[32] = "", text[32];
    unsigned kind = pick(8);

    if (pick(2))
        snprintf(listener, sizeof listener, "listener: %s", listeners[pick(2)]);
    for (unsigned i = kind & 1 ? 1 + pick(3) : 0; i > 0; i--) {
        random_source(text, sizeof text, true);
        snprintf(sources + strlen(sources), sizeof sources - strlen(sources), "%s, ", text);
    }
    for (unsigned i = kind & 2 ? 1 + pick(3) : 0; i > 0; i--)
        snprintf(names + strlen(names), sizeof names - strlen(names), "\"%s\", ",
                 random_name(true));
    if (listener[0] == '\0' && sources[0] == '\0' && names[0] == '\0')
        snprintf(listener, sizeof listener, "listener: plain");
    return (size_t)snprintf(
        out, size, "  - {match: {%s%s%s%s%s%s%s%s}, action: splice, backend: web}\n", listener,
        sources[0] ? ", source: [" : "", sources, sources[0] ? "]" : "", names[0] ? ", sni: [" : "",
        names, names[0] ? "]" : "", offered[pick(7)]);
}

static struct policy *random_policy(void)
{
    static char text[8192];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", HEAD);
    struct policy_report r = {0}; /* rules that can never match are welcome here */
    struct policy *p;

    for (unsigned i = 1 + pick(12); i > 0; i--) {
        char rule[512], *comma;

        random_rule(rule, sizeof rule);
        while ((comma = strstr(rule, "{, ")) != NULL) /* the first key has no comma */
            memmove(comma + 1, comma + 3, strlen(comma + 3) + 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", rule);
    }
    p = policy_parse(text, len, "t.yaml", &r);
    if (p == NULL)
        print_error("%s\n%s", r.findings[0].text, text);
    policy_report_free(&r);
    assert_non_null(p);
    return p;
}

/* What --explain says must be what is done. */
static void compare_explanation(const struct policy *p, const struct policy_facts *facts,
                                enum policy_verdict verdict, const struct policy_rule *rule)
{
    char *text = NULL, decided[64];
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(policy_explain(p, facts, out), verdict);
    fclose(out);
    if (rule != NULL) {
        snprintf(decided, sizeof decided, "\n%s (t.yaml:%u) decides: splice, backend web\n",
                 rule->name, rule->mark.line);
        assert_non_null(strstr(text, decided));
    }
    free(text);
}

/* Any of a few offers in the ClientHello. */
static void random_offers(struct policy_facts *facts)
{
    static const uint8_t alpn[] = "\2h2\10http/1.1\1x\3h2x\1h";
    static const size_t starts[] = {0, 3, 12, 14, 18, 20};
    static const uint16_t versions[] = {0x0304, 0x0303, 0x0302};
    unsigned first = pick(6), last = first + pick(6 - first);

    facts->alpn = alpn + starts[first];
    facts->alpn_len = starts[last] - starts[first];
    facts->version_count = pick(3);
    facts->versions = versions + pick(4 - facts->version_count);
}

static void compare(const struct policy *p)
{
    const struct policy_rule *rule, *wanted;
    enum policy_verdict verdict;
    char source[32];
    struct policy_facts facts = {.listener = &p->listeners[pick(2)], .hello_known = pick(4) > 0};

    random_source(source, sizeof source, false);
    *strchr(source, '/') = '\0';
    assert_int_equal(ip_parse(source, &facts.source), 0);
    if (facts.hello_known && pick(5) > 0)
        facts.sni = random_name(false);
    if (facts.hello_known && pick(5) > 0)
        random_offers(&facts);
    verdict = policy_match(p, &facts, &rule);
    assert_int_equal(verdict, reference_match(p, &facts, &wanted));
    assert_ptr_equal(rule, wanted);
    compare_explanation(p, &facts, verdict, rule);
}

static void test_against_reference(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 500; seed++) {
        struct policy *p;

        random_state = seed;
        p = random_policy();
        for (unsigned i = 0; i < 300; i++)
            compare(p);
        policy_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_match),
        cmocka_unit_test(test_need_for_hello),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_against_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
