/*
 * The connection is described on the command line. With any of sni, alpn and tls-version its
 * ClientHello counts as known, and what of these is missing as not in it; `sni=` alone is the hello
 * of a client that names no server.
 */
#include "appliance/explain.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "appliance/findings.h"
#include "policy/policy.h"
#include "policy/policy_suggest.h"

#define REFUSED      1
#define CALLED_WRONG 2
#define NAME_MAX_LEN 255
#define VERSIONS_MAX 4

struct request {
    const struct policy *policy;
    struct policy_facts facts;
    bool source_given;
    char sni[NAME_MAX_LEN + 1];
    uint8_t alpn[1024];
    uint16_t versions[VERSIONS_MAX];
};

/* ---- values; each returns 0, or -1 after saying what is wrong ---- */

static int wrong(const char *key, const char *value, const char *expected)
{
    fprintf(stderr, "sluice: %s=%s: expected %s\n", key, value, expected);
    return -1;
}

static int read_listener(struct request *q, const char *value)
{
    struct policy_suggest suggest = {.text = value};

    for (unsigned i = 0; i < q->policy->listener_count; i++) {
        if (strcmp(q->policy->listeners[i].name, value) == 0) {
            q->facts.listener = &q->policy->listeners[i];
            return 0;
        }
        policy_suggest_offer(&suggest, q->policy->listeners[i].name);
    }
    fprintf(stderr, "sluice: there is no listener \"%s\"", value);
    if (suggest.best != NULL)
        fprintf(stderr, ", did you mean \"%s\"?", suggest.best);
    fputc('\n', stderr);
    return -1;
}

static int read_source(struct request *q, const char *value)
{
    if (ip_parse(value, &q->facts.source) < 0)
        return wrong("source", value, "an address such as 198.51.100.7");
    q->source_given = true;
    return 0;
}

/* As a ClientHello's is compared: lower case, without a final dot. */
static int read_sni(struct request *q, const char *value)
{
    size_t len = strlen(value);

    if (len > NAME_MAX_LEN)
        return wrong("sni", value, "a server name of at most 255 characters");
    for (size_t i = 0; i <= len; i++)
        q->sni[i] = (char)tolower((unsigned char)value[i]);
    if (len > 1 && q->sni[len - 1] == '.')
        q->sni[len - 1] = '\0';
    q->facts.sni = len > 0 ? q->sni : NULL;
    q->facts.hello_known = true;
    return 0;
}

/* The next of several values with commas between them; NULL: there is none. */
static const char *next_value(const char **rest, size_t *len)
{
    const char *value = *rest;

    if (value == NULL)
        return NULL;
    *len = strcspn(value, ",");
    *rest = value[*len] == ',' ? value + *len + 1 : NULL;
    return value;
}

static int read_alpn(struct request *q, const char *value)
{
    const char *rest = value, *name;
    size_t len;

    while ((name = next_value(&rest, &len)) != NULL) {
        if (len == 0 || len > NAME_MAX_LEN || q->facts.alpn_len + 1 + len > sizeof q->alpn)
            return wrong("alpn", value, "protocol names with commas between, such as h2,http/1.1");
        q->alpn[q->facts.alpn_len] = (uint8_t)len;
        memcpy(q->alpn + q->facts.alpn_len + 1, name, len);
        q->facts.alpn_len += 1 + len;
    }
    q->facts.alpn = q->alpn;
    q->facts.hello_known = true;
    return 0;
}

static int read_versions(struct request *q, const char *value)
{
    const char *rest = value, *name;
    size_t len;

    while ((name = next_value(&rest, &len)) != NULL) {
        bool known = len == 3 && (memcmp(name, "1.2", 3) == 0 || memcmp(name, "1.3", 3) == 0);

        if (!known || q->facts.version_count == VERSIONS_MAX)
            return wrong("tls-version", value, "1.2, 1.3 or 1.2,1.3");
        q->versions[q->facts.version_count++] = name[2] == '2' ? 0x0303 : 0x0304;
    }
    q->facts.versions = q->versions;
    q->facts.hello_known = true;
    return 0;
}

/* ---- arguments ---- */

static const struct argument {
    const char *key;
    int (*read)(struct request *q, const char *value);
} known_arguments[] = {
    {"listener", read_listener}, {"source", read_source},        {"sni", read_sni},
    {"alpn", read_alpn},         {"tls-version", read_versions},
};

#define ARGUMENTS (sizeof known_arguments / sizeof known_arguments[0])

static int unknown_argument(const char *text, size_t key_len)
{
    char key[64];
    struct policy_suggest suggest = {.text = key};

    snprintf(key, sizeof key, "%.*s", (int)key_len, text);
    for (unsigned i = 0; i < ARGUMENTS; i++)
        policy_suggest_offer(&suggest, known_arguments[i].key);
    fprintf(stderr,
            "sluice: '%s': expected listener=NAME, source=ADDRESS, sni=NAME, "
            "alpn=NAME,... or tls-version=1.2,1.3",
            text);
    if (suggest.best != NULL)
        fprintf(stderr, "; did you mean %s=?", suggest.best);
    fputc('\n', stderr);
    return -1;
}

static int read_argument(struct request *q, const char *text, unsigned *seen)
{
    size_t len = strcspn(text, "=");

    for (unsigned i = 0; i < ARGUMENTS && text[len] == '='; i++) {
        if (strlen(known_arguments[i].key) != len ||
            strncmp(known_arguments[i].key, text, len) != 0)
            continue;
        if ((*seen & 1u << i) != 0) {
            fprintf(stderr, "sluice: %s= is given twice\n", known_arguments[i].key);
            return -1;
        }
        *seen |= 1u << i;
        return known_arguments[i].read(q, text + len + 1);
    }
    return unknown_argument(text, len);
}

static int read_arguments(struct request *q, char *const *arguments, unsigned count)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < count; i++)
        if (read_argument(q, arguments[i], &seen) < 0)
            return -1;
    if (q->facts.listener == NULL && q->policy->listener_count == 1)
        q->facts.listener = &q->policy->listeners[0];
    if (!q->source_given)
        fputs("sluice: source=ADDRESS is missing\n", stderr);
    else if (q->facts.listener == NULL)
        fputs("sluice: listener=NAME is missing: there are several listeners\n", stderr);
    else
        return 0;
    return -1;
}

static void explain(const struct request *q)
{
    if (policy_explain(q->policy, &q->facts, stdout) == POLICY_NEED_HELLO)
        puts("(sni=NAME, alpn=NAME,... and tls-version=1.2,1.3 describe it; sni= is a client that "
             "names no server)");
}

int explain_run(const char *path, char *const *arguments, unsigned count)
{
    struct policy_report report = {0};
    struct policy *policy = policy_load(path, &report);
    struct request q = {.policy = policy};
    int result = 0;

    findings_print(stderr, &report);
    policy_report_free(&report);
    if (policy == NULL)
        return REFUSED;
    if (read_arguments(&q, arguments, count) == 0)
        explain(&q);
    else
        result = CALLED_WRONG;
    policy_free(policy);
    return result;
}
