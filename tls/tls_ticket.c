/*
 * Theory of operation: a ticket (RFC 5077; RFC 8446, 4.6.1) carries the whole session, encrypted
 * and authenticated with a key of tls_ticket_key.c. Those are the same on all workers and in each
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
 *
 * A resumed session also stands for the client's certificate, which it carries. So it is bound to
 * what was asked of clients too: whether a certificate, and of which authorities. A session ends
 * with the certificate's validity, and TLS_TICKET_CHAIN_MAX after the handshake in which the client
 * proved who it is, however often it was renewed in between: that time travels in the ticket.
 */
#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "tls/tls_internal.h"

static_assert(SSL_MAX_SID_CTX_LENGTH >= 32, "a SHA-256 value fits a session id context");

/* ---- names ---- */

/* RFC 6066, 3: a server that used the name says so. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    return tls_conn_of(ssl)->name_matched ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int bind_session(struct tls_conn *c, const char *name)
{
    uint8_t bytes[TLS_DIGEST_LEN + TLS_HELLO_NAME_MAX], context[EVP_MAX_MD_SIZE];
    size_t len = strlen(name);
    unsigned context_len;

    memcpy(bytes, c->server->clients_digest, TLS_DIGEST_LEN);
    memcpy(bytes + TLS_DIGEST_LEN, name, len);
    if (EVP_Digest(bytes, TLS_DIGEST_LEN + len, context, &context_len, c->worker->sha256, NULL) !=
        1)
        return -1;
    return SSL_set_session_id_context(c->ssl, context, context_len) == 1 ? 0 : -1;
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
    if (bind_session(c, name) != 0) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- keys ---- */

static int begin_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
    uint8_t bytes[sizeof key->mac]; /* OpenSSL's parameters are not const */
    char digest[] = "SHA2-256";
    OSSL_PARAM params[3];
    int ok;

    memcpy(bytes, key->mac, sizeof bytes);
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bytes, sizeof bytes);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_end();
    ok = EVP_MAC_CTX_set_params(mac, params);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return ok;
}

static int begin_ticket(struct tls_conn *c, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac)
{
    const struct tls_ticket_key *key =
        tls_ticket_key_current(&c->server->tickets, c->worker->hkdf, tls_worker_time(c->worker));

    if (key == NULL ||
        RAND_bytes_ex(c->worker->lib, iv, (size_t)EVP_CIPHER_get_iv_length(c->worker->cbc), 0) != 1)
        return -1;
    memcpy(name, key->name, sizeof key->name);
    return EVP_EncryptInit_ex2(cipher, c->worker->cbc, key->cipher, iv, NULL) == 1 &&
                   begin_mac(mac, key) == 1
               ? 1
               : -1;
}

/* 1: opened; 2: opened, and to be renewed; 0: not ours. In TLS 1.3 each ticket is for one use
 * (RFC 8446, C.4), and a resumed session gets a new one. */
static int open_ticket(struct tls_conn *c, const uint8_t *name, const uint8_t *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    time_t now = tls_worker_time(c->worker);
    struct tls_ticket_keys *keys = &c->server->tickets;
    const struct tls_ticket_key *key = tls_ticket_key_find(keys, c->worker->hkdf, now, name);

    if (key == NULL)
        return 0;
    if (begin_mac(mac, key) != 1 ||
        EVP_DecryptInit_ex2(cipher, c->worker->cbc, key->cipher, iv, NULL) != 1)
        return -1;
    return SSL_version(c->ssl) == TLS1_3_VERSION || key->epoch < (uint64_t)now / keys->rotation ? 2
                                                                                                : 1;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int make)
{
    struct tls_conn *c = tls_conn_of(ssl);

    return make ? begin_ticket(c, name, iv, cipher, mac) : open_ticket(c, name, iv, cipher, mac);
}

/* ---- what a session stands for ---- */

/* When the handshake was full; a renewed ticket keeps its first one's time. */
static int on_ticket_made(SSL *ssl, void *arg)
{
    int64_t now = tls_worker_time(tls_conn_of(ssl)->worker);

    (void)arg;
    if (SSL_session_reused(ssl))
        return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &now, sizeof now);
}

static bool still_stands(const struct tls_conn *c, SSL_SESSION *session)
{
    time_t now = tls_worker_time(c->worker);
    X509 *peer = SSL_SESSION_get0_peer(session);
    int64_t since;
    size_t len = 0;
    void *data;

    if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof since)
        return false;
    memcpy(&since, data, sizeof since);
    if (now - since > TLS_TICKET_CHAIN_MAX)
        return false;
    if (peer == NULL)
        return c->server->client_auth != TLS_CLIENT_REQUIRED;
    return now <= tls_x509_time(X509_get0_notAfter(peer));
}

static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                          size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
    (void)name, (void)name_len, (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!still_stands(tls_conn_of(ssl), session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

int tls_ticket_setup(SSL_CTX *ctx, const struct tls_server *s, struct error *e)
{
    uint32_t rotation = s->tickets.rotation;

    if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) != 1 ||
        SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, on_ticket_opened, NULL) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1) /* each costs some 25 us; a client wants one */
        return tls_error_set(e, "cannot set up session tickets");
    /* The key of a ticket made at the end of an epoch opens it for `rotation` seconds more. */
    SSL_CTX_set_timeout(ctx, rotation < TLS_TICKET_LIFETIME ? rotation : TLS_TICKET_LIFETIME);
    /* The internal cache is locked, and would not be shared by the workers. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* 0-RTT data can be replayed (RFC 8446, 8), and forces the cache on. */
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, acknowledge_name);
    return 0;
}
