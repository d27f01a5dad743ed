/*
 * Theory of operation: OpenSSL 3.0 takes shared locks in its library context for every algorithm
 * that it fetches, some forty times a handshake. With one context for each worker these locks are
 * never contended; every SSL_CTX, key and certificate of a worker is made in its context, because
 * an object of another context would fetch there.
 */
#include <assert.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/provider.h>

#include "tls/tls_internal.h"

COUNTER_TABLE(tls_counter_table, TLS_COUNTERS);

static time_t system_time(void)
{
    return time(NULL);
}

struct tls_worker *tls_worker_create(struct error *e)
{
    struct tls_worker *w = calloc(1, sizeof *w);

    if (w == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&w->cas_lock, NULL);
    w->now = system_time;
    ERR_clear_error();
    w->lib = OSSL_LIB_CTX_new();
    if (w->lib == NULL)
        goto err;
    /* Loaded by name: the implicit default would be looked for again, under a lock, in each fetch.
     */
    w->provider = OSSL_PROVIDER_load(w->lib, "default");
    if (w->provider == NULL)
        goto err;
    w->bio = tls_bio_method_create();
    w->sha256 = EVP_MD_fetch(w->lib, "SHA2-256", NULL);
    w->hkdf = EVP_KDF_fetch(w->lib, "HKDF", NULL);
    w->cbc = EVP_CIPHER_fetch(w->lib, "AES-256-CBC", NULL);
    if (w->bio == NULL || w->sha256 == NULL || w->hkdf == NULL || w->cbc == NULL)
        goto err;
    return w;

err:
    tls_error_set(e, "cannot set up OpenSSL");
    tls_worker_destroy(w);
    return NULL;
}

void tls_worker_destroy(struct tls_worker *w)
{
    if (w == NULL)
        return;
    assert(w->cas == NULL);
    EVP_CIPHER_free(w->cbc);
    EVP_KDF_free(w->hkdf);
    EVP_MD_free(w->sha256);
    BIO_meth_free(w->bio);
    if (w->provider != NULL)
        OSSL_PROVIDER_unload(w->provider);
    OSSL_LIB_CTX_free(w->lib);
    pthread_mutex_destroy(&w->cas_lock);
    free(w);
}

const struct tls_counters *tls_worker_counters(const struct tls_worker *w)
{
    return &w->counters;
}

time_t tls_worker_time(const struct tls_worker *w)
{
    return w->now();
}

void tls_worker_set_clock(struct tls_worker *w, time_t (*now)(void))
{
    w->now = now;
}
