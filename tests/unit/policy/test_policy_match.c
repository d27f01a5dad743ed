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

static enum policy_verdict reference_match(const struct policy *p, const struct policy_facts *facts,
                                           const struct policy_rule **out)
{
    for (unsigned i = 0; i < p->rule_count; i++) {
        const struct policy_rule *rule = &p->rules[i];

        *out = rule;
        if (rule->listener != NULL && rule->listener != facts->listener)
            continue;
        if (rule->listener == NULL && rule->sni_count > 0 && facts->listener->tls == NULL)
            continue;
        if (!reference_source(rule, &facts->source))
            continue;
        if (rule->sni_count == 0)
            return POLICY_MATCHED;
        *out = NULL;
        if (!facts->hello_known)
            return POLICY_NEED_HELLO;
        *out = rule;
        if (reference_name(rule, facts->sni))
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
        out, size, "  - {match: {%s%s%s%s%s%s%s}, action: splice, backend: web}\n", listener,
        sources[0] ? ", source: [" : "", sources, sources[0] ? "]" : "", names[0] ? ", sni: [" : "",
        names, names[0] ? "]" : "");
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

static void compare(const struct policy *p)
{
    const struct policy_rule *rule, *wanted;
    char source[32];
    struct policy_facts facts = {.listener = &p->listeners[pick(2)], .hello_known = pick(4) > 0};

    random_source(source, sizeof source, false);
    *strchr(source, '/') = '\0';
    assert_int_equal(ip_parse(source, &facts.source), 0);
    if (facts.hello_known && pick(5) > 0)
        facts.sni = random_name(false);
    assert_int_equal(policy_match(p, &facts, &rule), reference_match(p, &facts, &wanted));
    assert_ptr_equal(rule, wanted);
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
        cmocka_unit_test(test_against_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
