/*
 * Theory of operation: a client is one SSL_CTX with what a backend expects of its servers, and a
 * small cache of their sessions. Each connection brings the name that it asks for and verifies.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

static int check_config(const struct tls_client_config *config, struct error *e)
{
    char name[TLS_HELLO_NAME_MAX + 1];
    const char *given = config->server_name;

    if (config->verify && config->ca == NULL)
        return error_set(e, "no certificate authorities to verify servers with");
    if (given != NULL && !tls_names_is_address(given) &&
        !tls_names_normalise(given, strlen(given), name))
        return error_set(e, "the server name \"%s\" is neither a host name nor an address", given);
    if (tls_ctx_check_versions(config->min_version, config->max_version, e) != 0)
        return -1;
    return tls_ctx_check_alpn(config->alpn, config->alpn_len, e);
}

/* TLS 1.3 brings sessions after the handshake, and each time newer ones. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_conn *c = tls_conn_of(ssl);

    return tls_session_keep(&c->client->sessions, c->name, session);
}

static int set_up(struct tls_client *c, const struct tls_client_config *config, struct error *e)
{
    if (config->verify) {
        c->ca = tls_ca_get(c->worker, config->ca, e);
        if (c->ca == NULL)
            return -1;
    }
    c->ctx =
        tls_ctx_create(c->worker, TLS_client_method(), config->min_version, config->max_version, e);
    if (c->ctx == NULL)
        return -1;
    tls_verify_setup(c->ctx, c->ca, config->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, on_session);
    /* This one returns 0 for success. */
    if (config->alpn_len > 0 &&
        SSL_CTX_set_alpn_protos(c->ctx, config->alpn, (unsigned)config->alpn_len) != 0)
        return tls_error_set(e, "cannot set ALPN");
    if (config->certificate == NULL)
        return 0;
    c->certificate = tls_cert_file_ref(config->certificate);
    if (tls_cert_install(c->certificate, c->ctx, c->worker->lib, e) != 0)
        return error_prefix(e, "certificate %s", c->certificate->name);
    return 0;
}

struct tls_client *tls_client_create(struct tls_worker *w, const struct tls_client_config *config,
                                     struct error *e)
{
    struct tls_client *c;

    ERR_clear_error();
    if (check_config(config, e) != 0)
        return NULL;
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    c->worker = w;
    c->refs = 1;
    if (config->server_name != NULL) {
        c->server_name = strdup(config->server_name);
        if (c->server_name == NULL) {
            error_set(e, "out of memory");
            goto err;
        }
    }
    if (set_up(c, config, e) != 0)
        goto err;
    return c;

err:
    tls_client_unref(c);
    return NULL;
}

void tls_client_unref(struct tls_client *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    tls_session_forget_all(&c->sessions);
    SSL_CTX_free(c->ctx);
    tls_ca_put(c->worker, c->ca);
    tls_cert_file_unref(c->certificate);
    free(c->server_name);
    free(c);
}

void tls_client_destroy(struct tls_client *c)
{
    tls_client_unref(c);
}
