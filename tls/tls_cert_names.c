/*
 * The names of a certificate (RFC 6125, 6.4): dNSName entries of its subjectAltName, or, when it
 * has none of those, its common name. Entries that are no host names (an embedded NUL, a wildcard
 * elsewhere than as the whole leftmost label) match nothing and are left out.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

static bool normalise_pattern(const char *name, size_t len, char out[TLS_HELLO_NAME_MAX + 1])
{
    char rest[TLS_HELLO_NAME_MAX + 1] = "";

    if (len < 2 || name[0] != '*' || name[1] != '.')
        return tls_names_normalise(name, len, out);
    if (!tls_names_normalise(name + 2, len - 2, rest))
        return false;
    out[0] = '*';
    out[1] = '.';
    memcpy(out + 2, rest, strlen(rest) + 1);
    return true;
}

static bool is_known(const struct tls_cert_file *f, const char *name)
{
    for (unsigned i = 0; i < f->dns_count; i++) {
        if (strcmp(f->dns[i], name) == 0)
            return true;
    }
    return false;
}

/* 0 also when the name is left out; -1: out of memory. */
static int add_name(struct tls_cert_file *f, const ASN1_STRING *s)
{
    char name[TLS_HELLO_NAME_MAX + 1], **grown;

    if (!normalise_pattern((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s),
                           name) ||
        is_known(f, name))
        return 0;
    grown = reallocarray(f->dns, f->dns_count + 1, sizeof *f->dns);
    if (grown == NULL)
        return -1;
    f->dns = grown;
    f->dns[f->dns_count] = strdup(name);
    if (f->dns[f->dns_count] == NULL)
        return -1;
    f->dns_count++;
    return 0;
}

/* Returns how many dNSName entries there are, usable or not, or -1 when memory is out. */
static int add_alt_names(struct tls_cert_file *f, X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int found = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type != GEN_DNS)
            continue;
        found++;
        if (add_name(f, n->d.dNSName) != 0) {
            found = -1;
            break;
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

static int add_common_name(struct tls_cert_file *f, X509 *leaf)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return 0;
    return add_name(f, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

int tls_cert_names(struct tls_cert_file *f, X509 *leaf, struct error *e)
{
    int found = add_alt_names(f, leaf);

    if (found < 0 || (found == 0 && add_common_name(f, leaf) != 0))
        return error_set(e, "out of memory");
    ERR_clear_error();
    if (f->dns_count == 0)
        return error_set(e, "has no DNS name, neither as subjectAltName nor as common name");
    return 0;
}
