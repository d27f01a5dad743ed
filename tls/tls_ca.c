/*
 * Theory of operation: the certificates of authorities are read once and kept as DER. A worker
 * decodes them into a store in its own library context, once for all its servers and clients that
 * name the same file: the system's authorities alone take about a megabyte. The list of stores is
 * the one thing of a worker that is locked, since servers and clients are made by another thread
 * than the one that may destroy them; no packet ever waits for it.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "tls/tls_internal.h"

#define CERTS_MAX   4096
#define SYSTEM_FILE "/etc/ssl/certs/ca-certificates.crt" /* Debian's ca-certificates */

/* ---- files ---- */

static int keep_certs(struct tls_ca_file *f, STACK_OF(X509) * certs)
{
    f->certs = calloc((size_t)sk_X509_num(certs), sizeof *f->certs);
    if (f->certs == NULL)
        return -1;
    for (int i = 0; i < sk_X509_num(certs); i++) {
        int len = i2d_X509(sk_X509_value(certs, i), &f->certs[i].data);

        if (len <= 0)
            return -1;
        f->certs[i].len = (size_t)len;
        f->count++;
    }
    return 0;
}

struct tls_ca_file *tls_ca_file_load(const char *path, struct error *e)
{
    const char *from = path != NULL ? path : SYSTEM_FILE;
    STACK_OF(X509) *certs = tls_pem_certs(from, CERTS_MAX, e);
    struct tls_ca_file *f = NULL;

    if (certs == NULL)
        goto err;
    f = calloc(1, sizeof *f);
    if (f == NULL) {
        error_set(e, "out of memory");
        goto err;
    }
    atomic_init(&f->refs, 1);
    f->path = strdup(from);
    if (f->path == NULL || keep_certs(f, certs) != 0) {
        error_set(e, "out of memory");
        goto err;
    }
    sk_X509_pop_free(certs, X509_free);
    return f;

err:
    if (path == NULL)
        error_prefix(e, "the system's certificate authorities (package ca-certificates)");
    tls_ca_file_unref(f);
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
    return NULL;
}

struct tls_ca_file *tls_ca_file_ref(struct tls_ca_file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void tls_ca_file_unref(struct tls_ca_file *f)
{
    if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < f->count; i++)
        OPENSSL_free(f->certs[i].data);
    free(f->certs);
    free(f->path);
    free(f);
}

/* ---- stores ---- */

static int fill(X509_STORE *store, const struct tls_ca_file *f, OSSL_LIB_CTX *lib)
{
    for (unsigned i = 0; i < f->count; i++) {
        X509 *x = tls_x509_decode(&f->certs[i], lib);
        int ok = x != NULL && X509_STORE_add_cert(store, x) == 1;

        X509_free(x);
        if (!ok)
            return -1;
    }
    return 0;
}

static void ca_free(struct tls_ca *ca)
{
    X509_STORE_free(ca->store);
    tls_ca_file_unref(ca->file);
    free(ca);
}

static struct tls_ca *ca_create(struct tls_worker *w, struct tls_ca_file *f, struct error *e)
{
    struct tls_ca *ca = calloc(1, sizeof *ca);

    if (ca == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    ca->file = tls_ca_file_ref(f);
    ca->store = X509_STORE_new();
    if (ca->store == NULL || fill(ca->store, f, w->lib) != 0) {
        tls_error_set(e, "cannot set up the certificate authorities");
        ca_free(ca);
        return NULL;
    }
    /* Whatever the file holds is trusted, be it the root, an intermediate or the server's own. */
    X509_STORE_set_flags(ca->store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    return ca;
}

static struct tls_ca *find(struct tls_worker *w, const struct tls_ca_file *f)
{
    struct tls_ca *ca = w->cas;

    while (ca != NULL && ca->file != f)
        ca = ca->next;
    return ca;
}

struct tls_ca *tls_ca_get(struct tls_worker *w, struct tls_ca_file *f, struct error *e)
{
    struct tls_ca *ca;

    pthread_mutex_lock(&w->cas_lock);
    ca = find(w, f);
    if (ca == NULL) {
        ca = ca_create(w, f, e);
        if (ca != NULL) {
            ca->next = w->cas;
            w->cas = ca;
        }
    }
    if (ca != NULL)
        ca->users++;
    pthread_mutex_unlock(&w->cas_lock);
    return ca;
}

void tls_ca_put(struct tls_worker *w, struct tls_ca *ca)
{
    struct tls_ca **link = &w->cas;

    if (ca == NULL)
        return;
    pthread_mutex_lock(&w->cas_lock);
    if (--ca->users == 0) {
        while (*link != ca)
            link = &(*link)->next;
        *link = ca->next;
        ca_free(ca);
    }
    pthread_mutex_unlock(&w->cas_lock);
}
