/*
 * Certificates in words and in bytes: what log lines and error texts say of one.
 */
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

static const char *name_text(const X509_NAME *name, char out[TLS_X509_NAME_MAX])
{
    struct tls_text t = tls_text_begin(out, TLS_X509_NAME_MAX);
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    long len;

    /* RFC 2253 form; OpenSSL escapes control characters in it. */
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) > 0) {
        len = BIO_get_mem_data(bio, &data);
        tls_text_add(&t, "%.*s", (int)len, data);
    }
    if (t.len == 0)
        tls_text_add(&t, "no subject");
    BIO_free(bio);
    return out;
}

const char *tls_x509_subject(const X509 *x, char out[TLS_X509_NAME_MAX])
{
    return name_text(X509_get_subject_name(x), out);
}

const char *tls_x509_issuer(const X509 *x, char out[TLS_X509_NAME_MAX])
{
    return name_text(X509_get_issuer_name(x), out);
}

/* From the entry itself: in a text of the whole name another entry may look like it. */
static const ASN1_STRING *last_common_name(const X509_NAME *name)
{
    int at = -1, next;

    while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        at = next;
    return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
}

void tls_x509_common_name(const X509 *x, char *out, size_t size)
{
    const ASN1_STRING *name = last_common_name(X509_get_subject_name(x));
    uint8_t *utf8 = NULL;
    int len = name != NULL ? ASN1_STRING_to_UTF8(&utf8, name) : -1;

    out[0] = '\0';
    if (len > 0 && (size_t)len < size && memchr(utf8, '\0', (size_t)len) == NULL) {
        memcpy(out, utf8, (size_t)len);
        out[len] = '\0';
    }
    OPENSSL_free(utf8);
    ERR_clear_error();
}

time_t tls_x509_time(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : -1;
}

const char *tls_x509_date(time_t t, char out[TLS_X509_DATE_MAX])
{
    struct tm tm;

    if (t == -1 || gmtime_r(&t, &tm) == NULL ||
        strftime(out, TLS_X509_DATE_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        return "an unknown date";
    return out;
}

X509 *tls_x509_decode(const struct tls_der *der, OSSL_LIB_CTX *lib)
{
    const uint8_t *p = der->data;
    X509 *x = X509_new_ex(lib, NULL);

    /* d2i frees x and sets it to NULL when it fails. */
    return x != NULL ? d2i_X509(&x, &p, (long)der->len) : NULL;
}

bool tls_x509_must_staple(const X509 *x)
{
    TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
    TLS_FEATURE_free(features);
    ERR_clear_error();
    return found;
}

/* ---- the names of a certificate that somebody showed ---- */

static void add_printable(struct tls_text *t, const ASN1_STRING *s)
{
    const uint8_t *data = ASN1_STRING_get0_data(s);

    for (int i = 0; i < ASN1_STRING_length(s); i++)
        tls_text_add(t, "%c", data[i] > 0x20 && data[i] < 0x7f ? data[i] : '?');
}

static bool add_address(struct tls_text *t, const ASN1_OCTET_STRING *s)
{
    const uint8_t *a = ASN1_STRING_get0_data(s);
    int len = ASN1_STRING_length(s);

    if (len != 4 && len != 16)
        return false;
    if (len == 4) {
        tls_text_add(t, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        return true;
    }
    for (int i = 0; i < 16; i += 2)
        tls_text_add(t, "%s%x", i > 0 ? ":" : "", a[i] << 8 | a[i + 1]);
    return true;
}

static void add_general_name(struct tls_text *t, const GENERAL_NAME *n, unsigned *said)
{
    if (n->type != GEN_DNS && n->type != GEN_IPADD)
        return;
    if ((*said)++ > 0)
        tls_text_add(t, ", ");
    if (n->type == GEN_DNS)
        add_printable(t, n->d.dNSName);
    else if (!add_address(t, n->d.iPAddress))
        tls_text_add(t, "a malformed address");
}

void tls_x509_add_names(struct tls_text *t, const X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    unsigned said = 0;
    int count = sk_GENERAL_NAME_num(names);

    for (int i = 0; i < count && said < TLS_X509_NAMES_SAID; i++)
        add_general_name(t, sk_GENERAL_NAME_value(names, i), &said);
    if (said == TLS_X509_NAMES_SAID && count > TLS_X509_NAMES_SAID)
        tls_text_add(t, " and others");
    if (said == 0)
        tls_text_add(t, "no name");
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}
