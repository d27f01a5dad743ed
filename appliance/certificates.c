#include "appliance/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/expiry.h"

/* Whether a message is about the key rather than the chain: by the file it names first. */
static bool about_key(const struct policy_certificate *c, const char *why)
{
    const char *key = strstr(why, c->key), *chain = strstr(why, c->chain);

    if (strcmp(c->key, c->chain) == 0)
        return strstr(why, "private key") != NULL;
    return key != NULL && (chain == NULL || key < chain);
}

static void report_refusal(const struct policy *policy, const struct policy_certificate *c,
                           const char *why, struct policy_report *report)
{
    bool key = about_key(c, why);
    const struct policy_mark *mark = key ? &c->key_mark : &c->chain_mark;
    char path[256], prefix[256];
    int len = snprintf(prefix, sizeof prefix, "certificate %s: ", c->name);

    if (strncmp(why, prefix, (size_t)len) == 0)
        why += len; /* the path says it */
    snprintf(path, sizeof path, "certificates.%s.%s", c->name, key ? "key" : "chain");
    policy_report_add(report, false, policy->path, mark->line, mark->column, path, "%s", why);
}

static void add(const struct policy *policy, const struct policy_certificate *c, bool warning,
                const struct policy_mark *mark, const char *key, const char *text,
                struct policy_report *report)
{
    char path[256];

    snprintf(path, sizeof path, "certificates.%s%s", c->name, key);
    policy_report_add(report, warning, policy->path, mark->line, mark->column, path, "%s", text);
}

static void add_warnings(const struct policy *policy, const struct policy_certificate *c,
                         const struct tls_cert_file *f, time_t now, struct policy_report *report)
{
    char text[EXPIRY_TEXT_MAX];

    if (expiry_of_certificate(f, now, text) != NULL)
        add(policy, c, true, &c->chain_mark, "", text, report);
    if (expiry_of_ocsp(f, now, text) != NULL)
        add(policy, c, true, &c->ocsp_mark, ".ocsp", text, report);
    if (tls_cert_file_must_staple(f) && tls_cert_file_ocsp_expiry(f) <= now)
        add(policy, c, true, &c->mark, "",
            "the certificate demands an OCSP staple (RFC 7633), and there is none: clients will "
            "refuse it; give a response in ocsp",
            report);
}

static bool is_served(const struct policy *policy, const struct policy_certificate *c)
{
    for (unsigned i = 0; i < policy->listener_count; i++) {
        const struct policy_tls *tls = policy->listeners[i].tls;

        for (unsigned k = 0; tls != NULL && k < tls->certificate_count; k++) {
            if (tls->certificates[k] == c)
                return true;
        }
    }
    return false;
}

/* Shown to servers, and by no listener: then it must suit clients. */
static bool is_clients(const struct policy *policy, const struct policy_certificate *c)
{
    for (unsigned i = 0; i < policy->backend_count; i++) {
        const struct policy_backend_tls *tls = policy->backends[i].tls;

        if (tls != NULL && tls->certificate == c)
            return !is_served(policy, c);
    }
    return false;
}

static struct tls_cert_file *load_chain(const struct policy *policy,
                                        const struct policy_certificate *c, time_t now,
                                        struct policy_report *report)
{
    struct error why = {0};
    struct tls_cert_file *f = is_clients(policy, c)
                                  ? tls_cert_file_load_client(c->name, c->chain, c->key, now, &why)
                                  : tls_cert_file_load(c->name, c->chain, c->key, now, &why);

    if (f == NULL)
        report_refusal(policy, c, why.text, report);
    return f;
}

/* Replaces the certificate by one with its response. */
static struct tls_cert_file *load_ocsp(const struct policy *policy,
                                       const struct policy_certificate *c, struct tls_cert_file *f,
                                       time_t now, struct policy_report *report)
{
    struct error why = {0};
    struct tls_cert_file *with = tls_cert_file_with_ocsp(f, c->ocsp, now, &why);

    tls_cert_file_unref(f);
    if (with == NULL)
        add(policy, c, false, &c->ocsp_mark, ".ocsp", why.text, report);
    return with;
}

static struct tls_cert_file *load(const struct policy *policy, const struct policy_certificate *c,
                                  time_t now, struct policy_report *report)
{
    struct tls_cert_file *f = load_chain(policy, c, now, report);

    if (f != NULL && c->ocsp != NULL)
        f = load_ocsp(policy, c, f, now, report);
    if (f != NULL)
        add_warnings(policy, c, f, now, report);
    return f;
}

struct tls_cert_file **certificates_load(const struct policy *policy, time_t now,
                                         struct policy_report *report)
{
    struct tls_cert_file **files = calloc(policy->certificate_count + 1, sizeof *files);
    bool refused = false;

    if (files == NULL) {
        policy_report_add(report, false, policy->path, 0, 0, NULL, "out of memory");
        return NULL;
    }
    for (unsigned i = 0; i < policy->certificate_count; i++) {
        files[i] = load(policy, &policy->certificates[i], now, report);
        refused |= files[i] == NULL;
    }
    if (!refused)
        return files;
    certificates_free(files, policy->certificate_count);
    return NULL;
}

void certificates_free(struct tls_cert_file **certificates, unsigned count)
{
    if (certificates == NULL)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (certificates[i] != NULL)
            tls_cert_file_unref(certificates[i]);
    }
    free(certificates);
}
