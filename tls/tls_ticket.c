/*
 * Theory of operation: a ticket (RFC 5077; RFC 8446, 4.6.1) carries the whole session, encrypted
 * and authenticated with the server's secret. The secret is the same on all workers and in each
 * SSL_CTX, so a session goes on wherever its next connection lands; nothing is stored here.
 *
 * One secret for many names needs a guard. RFC 6066, 3 forbids a server to resume a session under
 * another server name, RFC 8446, 4.6.1 and 4.2.11 leave that check to the client, and OpenSSL makes
 * it for neither version; without it, who diverts a connection from one name to another of the same
 * secret gets it accepted without that other's certificate ever being shown. So each session
 * is bound, by OpenSSL's session id context, to the name it was made for: a ticket for another
 * name is ignored and a full handshake follows. The certificate is not part of the bond: a session
 * outlives its renewal, for at most a ticket's lifetime after the last full handshake or
 * resumption. Servers that must not resume each other's sessions for one name need different
 * secrets.
 */
#include <assert.h>
#include <string.h>

#include "tls/tls_internal.h"

static_assert(SSL_MAX_SID_CTX_LENGTH >= 32, "a SHA-256 value fits a session id context");

/* RFC 6066, 3: a server that used the name says so. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    return tls_conn_of(ssl)->name_matched ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* Runs before OpenSSL looks at a ticket or PSK. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_conn *c = tls_conn_of(ssl);
    char name[TLS_HELLO_NAME_MAX + 1] = "";
    const char *why = NULL;
    const uint8_t *ext;
    size_t len;

    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) == 1)
        why = tls_hello_server_name(ext, len, name);
    if (why != NULL) {
        tls_conn_blame(c, why);
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    c->name_matched = name[0] != '\0' && tls_names_find(&c->server->names, name) >= 0;
    if (tls_ticket_bind(c, name) != 0) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

int tls_ticket_bind(struct tls_conn *c, const char *name)
{
    unsigned char context[EVP_MAX_MD_SIZE];
    unsigned len;

    if (EVP_Digest(name, strlen(name), context, &len, c->server->worker->sha256, NULL) != 1)
        return -1;
    return SSL_set_session_id_context(c->ssl, context, len) == 1 ? 0 : -1;
}

int tls_ticket_setup(SSL_CTX *ctx, const uint8_t secret[TLS_TICKET_SECRET_LEN], struct error *e)
{
    unsigned char keys[TLS_TICKET_SECRET_LEN];
    int ok;

    /* The setter takes them without const. */
    memcpy(keys, secret, sizeof keys);
    ok = SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys) == 1 &&
         SSL_CTX_set_num_tickets(ctx, 1) == 1; /* each costs some 25 us; a client wants one */
    OPENSSL_cleanse(keys, sizeof keys);
    if (!ok)
        return tls_error_set(e, "cannot set the ticket secret");
    SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFETIME);
    /* The internal cache is locked, and would not be shared by the workers. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* 0-RTT data can be replayed (RFC 8446, 8), and forces the cache on. */
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, acknowledge_name);
    return 0;
}
