/*
 * Theory of operation: a server keeps one SSL_CTX for each certificate, so that choosing the
 * certificate (by the ClientHello that tls_hello.c has parsed) costs one pointer and SSL_new has
 * nothing to replace.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

/* RFC 7301, 3.2: our preference; no protocol in common is fatal. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct tls_server *s = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, s->alpn, (unsigned)s->alpn_len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *ctx_create(struct tls_server *s, const struct tls_cert_file *cert, struct error *e)
{
    OSSL_LIB_CTX *lib = s->worker->lib;
    SSL_CTX *ctx =
        tls_ctx_create(s->worker, TLS_server_method(), s->min_version, s->max_version, e);

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (tls_ticket_setup(ctx, s, e) != 0 || tls_client_auth_setup(ctx, s, e) != 0 ||
        tls_cert_install(cert, ctx, lib, e) != 0) {
        error_prefix(e, "certificate %s", cert->name);
        SSL_CTX_free(ctx);
        return NULL;
    }
    tls_ocsp_setup(ctx, cert);
    if (s->alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, s);
    return ctx;
}

static int check_config(const struct tls_server_config *config, struct error *e)
{
    if (config->cert_count == 0)
        return error_set(e, "no certificate");
    if (config->default_cert >= (int)config->cert_count)
        return error_set(e, "the default certificate is none of the listener's");
    if (tls_ctx_check_versions(config->min_version, config->max_version, e) != 0)
        return -1;
    if (config->profile == TLS_PROFILE_MODERN && config->max_version < TLS_VERSION_1_3)
        return error_set(e, "the profile modern is TLS 1.3 only");
    return tls_ctx_check_alpn(config->alpn, config->alpn_len, e);
}

static int copy_config(struct tls_server *s, const struct tls_server_config *config)
{
    s->default_cert = config->default_cert;
    s->profile = config->profile;
    s->min_version = config->profile == TLS_PROFILE_MODERN ? TLS_VERSION_1_3 : config->min_version;
    s->max_version = config->max_version;
    s->certs = calloc(config->cert_count, sizeof(struct tls_cert_file *));
    s->ctx = calloc(config->cert_count, sizeof(SSL_CTX *));
    if (s->certs == NULL || s->ctx == NULL)
        return -1;
    for (unsigned i = 0; i < config->cert_count; i++)
        s->certs[s->cert_count++] = tls_cert_file_ref(config->certs[i]);
    if (config->alpn_len > 0) {
        s->alpn = malloc(config->alpn_len);
        if (s->alpn == NULL)
            return -1;
        memcpy(s->alpn, config->alpn, config->alpn_len);
        s->alpn_len = config->alpn_len;
    }
    return tls_names_build(&s->names, s->certs, s->cert_count);
}

struct tls_server *tls_server_create(struct tls_worker *w, const struct tls_server_config *config,
                                     struct error *e)
{
    struct tls_server *s;

    ERR_clear_error();
    if (check_config(config, e) != 0)
        return NULL;
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    s->worker = w;
    s->refs = 1;
    if (copy_config(s, config) != 0) {
        error_set(e, "out of memory");
        goto err;
    }
    tls_ticket_keys_init(&s->tickets, &config->tickets);
    if (tls_client_auth_init(s, config, e) != 0)
        goto err;
    for (unsigned i = 0; i < s->cert_count; i++) {
        s->ctx[i] = ctx_create(s, s->certs[i], e);
        if (s->ctx[i] == NULL)
            goto err;
    }
    return s;

err:
    tls_server_unref(s);
    return NULL;
}

void tls_server_unref(struct tls_server *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    for (unsigned i = 0; i < s->cert_count; i++) {
        SSL_CTX_free(s->ctx[i]);
        tls_cert_file_unref(s->certs[i]);
    }
    tls_ca_put(s->worker, s->client_ca);
    tls_ticket_keys_wipe(&s->tickets);
    tls_names_free(&s->names);
    free(s->alpn);
    free(s->ctx);
    free(s->certs);
    free(s);
}

void tls_server_destroy(struct tls_server *s)
{
    tls_server_unref(s);
}

int tls_server_select(const struct tls_server *s, const char *sni)
{
    int cert = sni != NULL ? tls_names_find(&s->names, sni) : -1;

    return cert >= 0 ? cert : s->default_cert;
}
