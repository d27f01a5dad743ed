/*
 * TLS of the client's connections, equal for whatever server is measured: one version, AES-128-GCM,
 * X25519. The chain is verified once and the certificate compared with it from then on: verifying
 * it anew would take the client longer than some servers need for the whole handshake. The server's
 * signature is verified each time.
 *
 * With --resume each connection offers the newest ticket that any has got, and must be resumed.
 */
#include "tests/bench/kload.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#define CIPHERS "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
#define SUITES  "TLS_AES_128_GCM_SHA256"
/* The second is for certificates: in TLS 1.2 the list limits their curves, too (RFC 8422, 5.1). */
#define GROUPS "X25519:P-256"

static int kload_tls_fail(struct kload *k, const char *what)
{
    char text[128];
    int error = errno;
    unsigned long code = ERR_peek_last_error();

    if (code == 0) /* not TLS itself, but what is below it */
        return kload_fail(k, "%s: %s", what, strerror(error));
    ERR_error_string_n(code, text, sizeof text);
    return kload_fail(k, "%s: %s", what, text);
}

static int kload_tls_session(SSL *ssl, SSL_SESSION *session)
{
    struct kload *k = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (!k->resume)
        return 0;
    SSL_SESSION_free(k->session);
    k->session = session;
    return 1;
}

static int kload_tls_verify(X509_STORE_CTX *store, void *ctx)
{
    struct kload *k = ctx;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);

    if (k->pinned != NULL)
        return X509_cmp(k->pinned, leaf) == 0;
    if (X509_verify_cert(store) != 1)
        return 0;
    k->pinned = leaf;
    return X509_up_ref(leaf);
}

int kload_tls_init(struct kload *k)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    k->ctx = ctx;
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, k->tls) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, k->tls) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 || SSL_CTX_set_ciphersuites(ctx, SUITES) != 1 ||
        SSL_CTX_set1_groups_list(ctx, GROUPS) != 1)
        return kload_tls_fail(k, "TLS");
    if (SSL_CTX_load_verify_file(ctx, k->ca) != 1)
        return kload_tls_fail(k, k->ca);
    SSL_CTX_set_app_data(ctx, k);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, kload_tls_verify, k);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, kload_tls_session);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* A complete answer needs no close_notify (RFC 9112, 9.8); incomplete ones fail anyway. */
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return 0;
}

void kload_tls_fini(struct kload *k)
{
    X509_free(k->pinned);
    SSL_SESSION_free(k->session);
    SSL_CTX_free(k->ctx);
}

/* A copy, since OpenSSL spoils a TLS 1.3 session for further use once a connection that resumed it
 * gets a ticket of its own, and others may just be opening with it. */
static int kload_tls_offer(struct kload *k, struct kload_conn *c)
{
    SSL_SESSION *session = SSL_SESSION_dup(k->session);
    int result = session != NULL && SSL_set_session(c->ssl, session) == 1 ? 0 : -1;

    SSL_SESSION_free(session);
    return result == 0 ? 0 : kload_tls_fail(k, "TLS session");
}

int kload_tls_open(struct kload *k, struct kload_conn *c)
{
    c->ssl = SSL_new(k->ctx);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
        SSL_set_tlsext_host_name(c->ssl, (char *)(uintptr_t)k->name) != 1 ||
        SSL_set1_host(c->ssl, k->name) != 1)
        return kload_tls_fail(k, "TLS");
    SSL_set_connect_state(c->ssl);
    return k->session != NULL ? kload_tls_offer(k, c) : 0;
}

int kload_tls_handshake(struct kload *k, struct kload_conn *c)
{
    int result, reason;
    bool resumed;

    ERR_clear_error();
    result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        reason = SSL_get_error(c->ssl, result);
        if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
            return 0;
        return kload_tls_fail(k, "TLS handshake");
    }
    resumed = SSL_session_reused(c->ssl);
    if (resumed != k->resume && !k->warming)
        return kload_fail(k, "the TLS handshake was %s", resumed ? "resumed" : "a full one");
    k->handshakes++;
    k->resumed += resumed;
    return 1;
}

/* What an unsuccessful call means, in read()'s and write()'s terms. */
static ssize_t kload_tls_result(struct kload *k, struct kload_conn *c, int result, const char *what)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    default:
        kload_tls_fail(k, what);
        errno = 0;
        return -1;
    }
}

ssize_t kload_tls_read(struct kload *k, struct kload_conn *c, void *buf, size_t len)
{
    int n;

    ERR_clear_error();
    n = SSL_read(c->ssl, buf, len < INT_MAX ? (int)len : INT_MAX);
    return n > 0 ? n : kload_tls_result(k, c, n, "TLS while reading");
}

ssize_t kload_tls_write(struct kload *k, struct kload_conn *c, const void *buf, size_t len)
{
    int n;

    ERR_clear_error();
    n = SSL_write(c->ssl, buf, len < INT_MAX ? (int)len : INT_MAX);
    return n > 0 ? n : kload_tls_result(k, c, n, "TLS while writing");
}
