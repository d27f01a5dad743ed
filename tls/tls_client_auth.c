/*
 * Certificates of clients, on listeners that ask for them: who may have signed them is sent along
 * with the question (RFC 8446, 4.2.4), so that a client with several can choose.
 */
#include <openssl/err.h>

#include "tls/tls_internal.h"

/* Of names together; RFC 8446 has room for 64 KiB, and a list is a hint that may be absent. */
#define NAMES_MAX 16384

/* Bytes of a client's chain. OpenSSL holds the message until it is whole (before 3.0.22 it takes
 * the memory as soon as the length is there), so this is what half a handshake may cost. */
#define CHAIN_MAX 32768

/* Tickets are bound to this: see tls_ticket.c. */
static int digest(struct tls_server *s, const struct tls_ca_file *f)
{
    const uint8_t auth = (uint8_t)s->client_auth;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, s->worker->sha256, NULL) == 1 &&
              EVP_DigestUpdate(ctx, &auth, 1) == 1;

    for (unsigned i = 0; ok && f != NULL && i < f->count; i++)
        ok = EVP_DigestUpdate(ctx, f->certs[i].data, f->certs[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, s->clients_digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -1;
}

int tls_client_auth_init(struct tls_server *s, const struct tls_server_config *config,
                         struct error *e)
{
    s->client_auth = config->client_auth;
    if (s->client_auth == TLS_CLIENT_NONE)
        return digest(s, NULL) == 0 ? 0 : tls_error_set(e, "cannot bind tickets");
    if (config->client_ca == NULL)
        return error_set(e, "clients are asked for certificates, but no authorities are given");
    s->client_ca = tls_ca_get(s->worker, config->client_ca, e);
    if (s->client_ca == NULL)
        return -1;
    return digest(s, config->client_ca) == 0 ? 0 : tls_error_set(e, "cannot bind tickets");
}

/* Returns the length of the name's encoding, or -1. */
static int add_name(STACK_OF(X509_NAME) * names, const struct tls_der *der, OSSL_LIB_CTX *lib)
{
    X509 *x = tls_x509_decode(der, lib);
    X509_NAME *name = x != NULL ? X509_NAME_dup(X509_get_subject_name(x)) : NULL;
    int len = name != NULL ? i2d_X509_NAME(name, NULL) : -1;

    X509_free(x);
    if (len < 0 || sk_X509_NAME_push(names, name) == 0) {
        X509_NAME_free(name);
        return -1;
    }
    return len;
}

/* Empty where it would be too long: then any may come. */
static STACK_OF(X509_NAME) * authority_names(const struct tls_server *s)
{
    const struct tls_ca_file *f = s->client_ca->file;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int total = 0;

    for (unsigned i = 0; names != NULL && i < f->count && total <= NAMES_MAX; i++) {
        int len = add_name(names, &f->certs[i], s->worker->lib);

        if (len < 0) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return NULL;
        }
        total += len;
    }
    while (total > NAMES_MAX && sk_X509_NAME_num(names) > 0)
        X509_NAME_free(sk_X509_NAME_pop(names));
    return names;
}

int tls_client_auth_setup(SSL_CTX *ctx, const struct tls_server *s, struct error *e)
{
    int mode = SSL_VERIFY_NONE;
    STACK_OF(X509_NAME) * names;

    if (s->client_auth != TLS_CLIENT_NONE) {
        names = authority_names(s);
        if (names == NULL)
            return tls_error_set(e, "cannot set up client certificates");
        SSL_CTX_set_client_CA_list(ctx, names);
        SSL_CTX_set_max_cert_list(ctx, CHAIN_MAX);
        mode = SSL_VERIFY_PEER;
        if (s->client_auth == TLS_CLIENT_REQUIRED)
            mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    tls_verify_setup(ctx, s->client_ca, mode);
    return 0;
}
