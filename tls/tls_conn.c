/*
 * Theory of operation: a thin state around an SSL whose two ends are our BIO. OpenSSL's answers are
 * turned into enum tls_result in one place (judge()), and the first cause of a failure is kept as
 * text; memory for the text exists only once there is one.
 *
 * Three things OpenSSL leaves to us. The end of the stream without close_notify ends reading only
 * (tls_bio.c). A peer that sends record after record without data (key updates, empty records,
 * refused renegotiations) is cut off after TLS_CONN_IDLE_RECORDS_MAX of them. And a write that
 * found no room must be repeated before anything else is written, which close_notify would do.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include "tls/tls_internal.h"

#define ERROR_MAX  256
#define RECORD_MAX 16384 /* application bytes: RFC 8446, 5.1 */

struct tls_conn *tls_conn_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

static struct tls_counters *counters(const struct tls_conn *c)
{
    return &c->worker->counters;
}

const char *tls_conn_peer(const struct tls_conn *c)
{
    return c->client != NULL ? "server" : "client";
}

/* ---- failing ---- */

void tls_conn_blame(struct tls_conn *c, const char *text)
{
    if (c->error == NULL)
        c->error = strdup(text);
}

static void count_failed_handshake(const struct tls_conn *c)
{
    if (c->client != NULL)
        COUNTER_INC(counters(c)->tls_backend_handshakes_failed);
    else
        COUNTER_INC(counters(c)->tls_handshakes_failed);
}

__attribute__((format(printf, 2, 3))) static enum tls_result fail(struct tls_conn *c,
                                                                  const char *fmt, ...)
{
    char text[ERROR_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tls_conn_blame(c, text);
    if (!c->failed && c->established)
        COUNTER_INC(counters(c)->tls_record_errors);
    else if (!c->failed)
        count_failed_handshake(c);
    c->failed = true;
    ERR_clear_error();
    return TLS_FAILED;
}

static enum tls_result fail_by_queue(struct tls_conn *c)
{
    char text[ERROR_MAX];

    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        COUNTER_INC(counters(c)->tls_client_certificates_refused);
    tls_error_take(tls_conn_peer(c), "the connection was lost while writing", text, sizeof text);
    if (c->client != NULL && !c->established)
        tls_conn_client_blame_stranger(c);
    return fail(c, "%s", text);
}

/* Whether the peer has not yet answered, or not completed, its first message. */
static bool before_hello(const struct tls_conn *c)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(c->ssl);

    if (c->client != NULL)
        return state == TLS_ST_CW_CLNT_HELLO;
    return state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO;
}

static enum tls_result end_of_stream(struct tls_conn *c)
{
    if (c->established) {
        /* Not fatal for writing: see tls_conn_read(). */
        tls_conn_blame(c, "stream ended without close_notify");
        return TLS_FAILED;
    }
    if (c->client != NULL && tls_conn_client_blame_stranger(c))
        return fail(c, "the server speaks no TLS");
    if (before_hello(c))
        return fail(c, c->client != NULL
                           ? "server closed the connection upon our ClientHello, without an alert; "
                             "perhaps it speaks no TLS"
                           : "client closed the connection within its ClientHello");
    return fail(c,
                "%s closed the connection during the handshake, without an alert; %ss that do not "
                "accept the certificate often do so",
                tls_conn_peer(c), tls_conn_peer(c));
}

/* What a call of OpenSSL's that returned `ret` (<= 0) means. */
static enum tls_result judge(struct tls_conn *c, int ret)
{
    switch (SSL_get_error(c->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return c->eof ? end_of_stream(c) : TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        if (c->idle_records > TLS_CONN_IDLE_RECORDS_MAX)
            return fail(c, "%s sent too many records without data in a row", tls_conn_peer(c));
        return fail_by_queue(c);
    }
}

/* ---- life ---- */

/* Counts what a peer makes us read without sending data. */
static void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
                       void *arg)
{
    struct tls_conn *c = arg;

    (void)version, (void)data, (void)len, (void)ssl;
    if (!sent && type == SSL3_RT_HEADER && c->established)
        c->idle_records++;
}

int tls_conn_set_up(struct tls_conn *c, SSL_CTX *ctx)
{
    BIO *bio;

    c->ssl = SSL_new(ctx);
    if (c->ssl == NULL)
        return -1;
    bio = tls_bio_create(c->worker, c);
    if (bio == NULL)
        return -1;
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_msg_callback(c->ssl, on_message);
    SSL_set_msg_callback_arg(c->ssl, c);
    return 0;
}

struct tls_conn *tls_conn_create(struct tls_server *s, int cert,
                                 const struct tls_transport *transport, void *ctx)
{
    struct tls_conn *c;

    assert(cert >= 0 && (unsigned)cert < s->cert_count);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->worker = s->worker;
    c->server = s;
    c->cert = (unsigned)cert;
    c->transport = transport;
    c->transport_ctx = ctx;
    ERR_clear_error();
    if (tls_conn_set_up(c, s->ctx[cert]) != 0) {
        SSL_free(c->ssl);
        free(c);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(c->ssl);
    s->refs++;
    COUNTER_INC(counters(c)->tls_handshakes_started);
    return c;
}

void tls_conn_destroy(struct tls_conn *c)
{
    if (c == NULL)
        return;
    /* Given up by the caller: what was begun is either completed or failed. */
    if (!c->established && !c->failed)
        count_failed_handshake(c);
    if (c->client != NULL)
        tls_conn_client_end(c);
    SSL_free(c->ssl);
    tls_server_unref(c->server);
    tls_client_unref(c->client);
    free(c->error);
    free(c);
}

/* ---- handshake ---- */

static void count_completed_handshake(const struct tls_conn *c)
{
    struct tls_counters *n = counters(c);
    bool resumed = SSL_session_reused(c->ssl) == 1;

    if (c->client != NULL) {
        COUNTER_INC(n->tls_backend_handshakes_completed);
        COUNTER_ADD(n->tls_backend_handshakes_resumed, resumed);
    } else {
        COUNTER_INC(n->tls_handshakes_completed);
        COUNTER_ADD(n->tls_client_certificates,
                    !resumed && SSL_get0_peer_certificate(c->ssl) != NULL);
        COUNTER_ADD(n->tls_handshakes_resumed, resumed);
    }
    if (SSL_version(c->ssl) == TLS1_3_VERSION)
        COUNTER_INC(n->tls_tls13);
    else
        COUNTER_INC(n->tls_tls12);
}

enum tls_result tls_conn_handshake(struct tls_conn *c)
{
    enum tls_result result;
    int ret;

    if (c->failed)
        return TLS_FAILED;
    if (c->established)
        return TLS_DONE;
    ERR_clear_error();
    ret = SSL_do_handshake(c->ssl);
    if (ret != 1) {
        result = judge(c, ret);
        return result == TLS_CLOSED
                   ? fail(c, "%s sent close_notify during the handshake", tls_conn_peer(c))
                   : result;
    }
    c->established = true;
    count_completed_handshake(c);
    if (c->client != NULL)
        tls_conn_client_established(c);
    else
        tls_ocsp_done(c);
    return TLS_DONE;
}

/* ---- data ---- */

/* Alerts leave record buffers behind, SSL_MODE_RELEASE_BUFFERS or not, and a half-closed connection
 * may last. Does nothing while one is in use, which before 3.0.14 was not checked (CVE-2024-4741).
 */
static void release_buffers(struct tls_conn *c)
{
    if (OpenSSL_version_num() >= 0x300000e0)
        SSL_free_buffers(c->ssl);
}

static enum tls_result receive(struct tls_conn *c, int (*take)(SSL *, void *, size_t, size_t *),
                               void *out, size_t len, size_t *got)
{
    enum tls_result result;
    int ret;

    *got = 0;
    assert(c->established || c->failed);
    if (c->failed)
        return TLS_FAILED;
    ERR_clear_error();
    ret = take(c->ssl, out, len, got);
    if (ret != 1) {
        result = judge(c, ret);
        if (result == TLS_CLOSED)
            release_buffers(c);
        return result;
    }
    c->idle_records = 0;
    return TLS_DONE;
}

enum tls_result tls_conn_read(struct tls_conn *c, void *out, size_t len, size_t *got)
{
    enum tls_result result = receive(c, SSL_read_ex, out, len, got);

    COUNTER_ADD(counters(c)->tls_bytes_decrypted, *got);
    return result;
}

enum tls_result tls_conn_peek(struct tls_conn *c, void *out, size_t len, size_t *got)
{
    return receive(c, SSL_peek_ex, out, len, got);
}

enum tls_result tls_conn_write(struct tls_conn *c, const void *data, size_t len, size_t *taken)
{
    enum tls_result result;
    int ret;

    *taken = 0;
    assert(c->established || c->failed);
    assert(len >= c->unfinished);
    if (c->failed)
        return TLS_FAILED;
    if (len == 0)
        return TLS_DONE;
    ERR_clear_error();
    ret = SSL_write_ex(c->ssl, data, len, taken);
    if (ret != 1) {
        result = judge(c, ret);
        if (result == TLS_WANT_WRITE)
            c->unfinished = len < RECORD_MAX ? len : RECORD_MAX;
        return result;
    }
    c->unfinished = 0;
    COUNTER_ADD(counters(c)->tls_bytes_encrypted, *taken);
    return TLS_DONE;
}

enum tls_result tls_conn_close_notify(struct tls_conn *c)
{
    int ret;

    if (c->failed)
        return TLS_FAILED;
    if (c->close == TLS_CLOSE_SENT || !c->established)
        return TLS_DONE;
    if (c->unfinished > 0)
        return TLS_WANT_WRITE;
    ERR_clear_error();
    /* A third call would read, and take data that still comes as an error. */
    ret = SSL_shutdown(c->ssl);
    if (ret < 0) {
        c->close = TLS_CLOSE_WRITING;
        return judge(c, ret);
    }
    c->close = TLS_CLOSE_SENT;
    release_buffers(c);
    return TLS_DONE;
}

bool tls_conn_truncated(const struct tls_conn *c)
{
    return c->established && c->eof && (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN) == 0;
}

bool tls_conn_pending(const struct tls_conn *c)
{
    /* Without read-ahead OpenSSL takes one record at a time from the transport. */
    return !c->failed && SSL_pending(c->ssl) > 0;
}

const char *tls_conn_error(const struct tls_conn *c)
{
    return c->error != NULL ? c->error : "out of memory";
}

/* ---- what was negotiated ---- */

static const char *group_name(int nid)
{
    const char *nist;

    if (nid <= 0)
        return ""; /* resumed without key exchange */
    nist = EC_curve_nid2nist(nid);
    return nist != NULL ? nist : OBJ_nid2sn(nid);
}

static void describe_peer(const struct tls_conn *c, struct tls_conn_info *out)
{
    const X509 *peer = SSL_get0_peer_certificate(c->ssl);
    const struct tls_ca *ca = c->client != NULL ? c->client->ca : c->server->client_ca;

    out->peer[0] = '\0';
    if (peer != NULL)
        tls_x509_subject(peer, out->peer);
    out->peer_verified = peer != NULL && ca != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK;
}

static const char *own_certificate(const struct tls_conn *c)
{
    if (c->server != NULL)
        return c->server->certs[c->cert]->name;
    return c->client->certificate != NULL ? c->client->certificate->name : "";
}

void tls_conn_info(const struct tls_conn *c, struct tls_conn_info *out)
{
    const unsigned char *alpn;
    unsigned len;

    *out = (struct tls_conn_info){0};
    out->version = SSL_get_version(c->ssl);
    out->cipher = SSL_get_cipher_name(c->ssl);
    out->group = group_name((int)SSL_get_negotiated_group(c->ssl));
    out->certificate = own_certificate(c);
    out->resumed = SSL_session_reused(c->ssl) == 1;
    SSL_get0_alpn_selected(c->ssl, &alpn, &len);
    snprintf(out->alpn, sizeof out->alpn, "%.*s", (int)len, alpn != NULL ? (const char *)alpn : "");
    out->ocsp_stapled = c->ocsp_stapled;
    describe_peer(c, out);
}

void tls_conn_common_name(const struct tls_conn *c, char *out, size_t size)
{
    const X509 *peer = SSL_get0_peer_certificate(c->ssl);

    out[0] = '\0';
    if (peer != NULL)
        tls_x509_common_name(peer, out, size);
}
