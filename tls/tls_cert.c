/*
 * Theory of operation: a certificate is read and judged once, by the thread that loads the
 * configuration, and kept as DER. Each worker decodes it into its own library context, so that no
 * lock or reference count of a key is shared on the handshake path.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

#define CHAIN_MAX 16 /* certificates; each costs every client its transfer */

static int keep_chain(struct tls_cert_file *f, STACK_OF(X509) * chain)
{
    f->chain = calloc((size_t)sk_X509_num(chain), sizeof *f->chain);
    if (f->chain == NULL)
        return -1;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int len = i2d_X509(sk_X509_value(chain, i), &f->chain[i].data);

        if (len <= 0)
            return -1;
        f->chain[i].len = (size_t)len;
        f->chain_len++;
    }
    return 0;
}

static int keep_key(struct tls_cert_file *f, EVP_PKEY *key)
{
    int len = i2d_PrivateKey(key, &f->key.data);

    if (len <= 0)
        return -1;
    f->key.len = (size_t)len;
    f->key_kind = tls_signature_key(key);
    return 0;
}

static struct tls_cert_file *cert_alloc(const char *name)
{
    struct tls_cert_file *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    atomic_init(&f->refs, 1);
    f->name = strdup(name);
    if (f->name == NULL) {
        free(f);
        return NULL;
    }
    return f;
}

/* Lets OpenSSL itself take the certificate, so that a worker's turn cannot fail later. */
static int rehearse(const struct tls_cert_file *f, struct error *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int status;

    if (ctx == NULL)
        return tls_error_set(e, "cannot set up TLS");
    SSL_CTX_set_security_level(ctx, TLS_SECURITY_LEVEL);
    status = tls_cert_install(f, ctx, NULL, e);
    SSL_CTX_free(ctx);
    return status;
}

static int cert_fill(struct tls_cert_file *f, STACK_OF(X509) * chain, EVP_PKEY *key,
                     enum tls_cert_use use, struct error *e)
{
    X509 *leaf = sk_X509_value(chain, 0);

    if (keep_chain(f, chain) != 0 || keep_key(f, key) != 0)
        return tls_error_set(e, "cannot keep the certificate");
    f->expiry = tls_x509_time(X509_get0_notAfter(leaf));
    f->must_staple = tls_x509_must_staple(leaf);
    tls_x509_subject(leaf, f->subject);
    tls_x509_issuer(leaf, f->issuer);
    if (use == TLS_CERT_OF_SERVER && tls_cert_names(f, leaf, e) != 0)
        return -1;
    return rehearse(f, e);
}

static struct tls_cert_file *cert_load(const char *name, const char *chain_path,
                                       const char *key_path, enum tls_cert_use use, time_t now,
                                       struct error *e)
{
    STACK_OF(X509) *chain = NULL;
    struct tls_cert_file *f = NULL;
    EVP_PKEY *key = NULL;

    chain = tls_pem_certs(chain_path, CHAIN_MAX, e);
    if (chain == NULL)
        goto err;
    key = tls_pem_key(key_path, e);
    if (key == NULL)
        goto err;
    if (tls_cert_check(chain, key, use, now, chain_path, key_path, e) != 0)
        goto err;
    f = cert_alloc(name);
    if (f == NULL) {
        error_set(e, "out of memory");
        goto err;
    }
    if (cert_fill(f, chain, key, use, e) != 0) {
        error_prefix(e, "%s", chain_path);
        goto err;
    }
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return f;

err:
    error_prefix(e, "certificate %s", name);
    tls_cert_file_unref(f);
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return NULL;
}

struct tls_cert_file *tls_cert_file_load(const char *name, const char *chain_path,
                                         const char *key_path, time_t now, struct error *e)
{
    return cert_load(name, chain_path, key_path, TLS_CERT_OF_SERVER, now, e);
}

struct tls_cert_file *tls_cert_file_load_client(const char *name, const char *chain_path,
                                                const char *key_path, time_t now, struct error *e)
{
    return cert_load(name, chain_path, key_path, TLS_CERT_OF_CLIENT, now, e);
}

struct tls_cert_file *tls_cert_file_ref(struct tls_cert_file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void tls_cert_file_unref(struct tls_cert_file *f)
{
    if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
        return;
    OPENSSL_clear_free(f->key.data, f->key.len);
    for (unsigned i = 0; i < f->chain_len; i++)
        OPENSSL_free(f->chain[i].data);
    for (unsigned i = 0; i < f->dns_count; i++)
        free(f->dns[i]);
    OPENSSL_free(f->ocsp.data);
    free(f->chain);
    free(f->dns);
    free(f->name);
    free(f);
}

const char *tls_cert_file_name(const struct tls_cert_file *f)
{
    return f->name;
}

const char *tls_cert_file_subject(const struct tls_cert_file *f)
{
    return f->subject;
}

const char *tls_cert_file_issuer(const struct tls_cert_file *f)
{
    return f->issuer;
}

time_t tls_cert_file_expiry(const struct tls_cert_file *f)
{
    return f->expiry;
}

const char *tls_cert_file_dns(const struct tls_cert_file *f, unsigned i)
{
    return i < f->dns_count ? f->dns[i] : NULL;
}

time_t tls_cert_file_ocsp_expiry(const struct tls_cert_file *f)
{
    return f->ocsp_expiry;
}

bool tls_cert_file_must_staple(const struct tls_cert_file *f)
{
    return f->must_staple;
}

/* ---- copies ---- */

static bool copy_der(struct tls_der *to, const struct tls_der *from)
{
    to->data = OPENSSL_memdup(from->data, from->len);
    to->len = from->len;
    return to->data != NULL;
}

static bool copy_chain(struct tls_cert_file *to, const struct tls_cert_file *from)
{
    to->chain = calloc(from->chain_len, sizeof *to->chain);
    if (to->chain == NULL)
        return false;
    for (; to->chain_len < from->chain_len; to->chain_len++) {
        if (!copy_der(&to->chain[to->chain_len], &from->chain[to->chain_len]))
            return false;
    }
    return true;
}

static bool copy_names(struct tls_cert_file *to, const struct tls_cert_file *from)
{
    to->dns = calloc(from->dns_count + 1, sizeof *to->dns);
    if (to->dns == NULL)
        return false;
    for (; to->dns_count < from->dns_count; to->dns_count++) {
        to->dns[to->dns_count] = strdup(from->dns[to->dns_count]);
        if (to->dns[to->dns_count] == NULL)
            return false;
    }
    return true;
}

/* Without its OCSP response. */
static struct tls_cert_file *cert_copy(const struct tls_cert_file *from)
{
    struct tls_cert_file *f = cert_alloc(from->name);

    if (f == NULL)
        return NULL;
    memcpy(f->subject, from->subject, sizeof f->subject);
    memcpy(f->issuer, from->issuer, sizeof f->issuer);
    f->expiry = from->expiry;
    f->must_staple = from->must_staple;
    f->key_kind = from->key_kind;
    if (copy_der(&f->key, &from->key) && copy_chain(f, from) && copy_names(f, from))
        return f;
    tls_cert_file_unref(f);
    return NULL;
}

struct tls_cert_file *tls_cert_file_with_ocsp(struct tls_cert_file *f, const char *path, time_t now,
                                              struct error *e)
{
    struct tls_cert_file *copy = cert_copy(f);

    if (copy == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    if (tls_ocsp_load(copy, path, now, e) == 0)
        return copy;
    tls_cert_file_unref(copy);
    return NULL;
}

/* ---- into a library context ---- */

STACK_OF(X509) * tls_cert_chain(const struct tls_cert_file *f, OSSL_LIB_CTX *lib)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    for (unsigned i = 0; chain != NULL && i < f->chain_len; i++) {
        X509 *x = tls_x509_decode(&f->chain[i], lib);

        if (x == NULL || sk_X509_push(chain, x) == 0) {
            X509_free(x);
            sk_X509_pop_free(chain, X509_free);
            return NULL;
        }
    }
    return chain;
}

int tls_cert_install(const struct tls_cert_file *f, SSL_CTX *ctx, OSSL_LIB_CTX *lib,
                     struct error *e)
{
    const uint8_t *p = f->key.data;
    STACK_OF(X509) *issuers = tls_cert_chain(f, lib);
    X509 *leaf = issuers != NULL ? sk_X509_shift(issuers) : NULL;
    EVP_PKEY *key = d2i_AutoPrivateKey_ex(NULL, &p, (long)f->key.len, lib, NULL);
    int ok =
        leaf != NULL && key != NULL && SSL_CTX_use_cert_and_key(ctx, leaf, key, issuers, 1) == 1;

    if (!ok)
        tls_error_set(e, "cannot be used for TLS");
    EVP_PKEY_free(key);
    sk_X509_pop_free(issuers, X509_free);
    X509_free(leaf);
    return ok ? 0 : -1;
}
