/*
 * The client's end of a connection: what differs from a server's is how it begins, and what its
 * failures mean. A server that speaks no TLS is recognised by the first bytes it sends, which are
 * kept for the log line; OpenSSL tells only of a wrong version number.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

#define TEXT_MAX    256
#define STRANGE_MAX 32 /* bytes shown of what is no TLS */

/* An address as it is, a host name in lower case without trailing dot. */
static char *canonical(const char *name)
{
    char host[TLS_HELLO_NAME_MAX + 1];

    return strdup(tls_names_normalise(name, strlen(name), host) ? host : name);
}

static int set_name(struct tls_conn *c, const char *name)
{
    SSL_SESSION *session;

    c->name = canonical(name != NULL ? name : "");
    if (c->name == NULL)
        return -1;
    if (c->client->ca != NULL && tls_verify_expect(c->ssl, c->name) != 0)
        return -1;
    /* RFC 6066, 3: no literal addresses. */
    if (c->name[0] != '\0' && !tls_names_is_address(c->name) &&
        SSL_set_tlsext_host_name(c->ssl, c->name) != 1)
        return -1;
    session = tls_session_find(&c->client->sessions, c->name, tls_worker_time(c->worker));
    if (session != NULL && SSL_set_session(c->ssl, session) == 1)
        c->session_offered = true;
    return 0;
}

struct tls_conn *tls_conn_create_client(struct tls_client *client, const char *name,
                                        const struct tls_transport *transport, void *ctx)
{
    struct tls_conn *c = calloc(1, sizeof *c);

    if (client->server_name != NULL)
        name = client->server_name;
    if (c == NULL)
        return NULL;
    c->worker = client->worker;
    c->client = client;
    c->transport = transport;
    c->transport_ctx = ctx;
    client->refs++;
    if (tls_conn_set_up(c, client->ctx) != 0 || set_name(c, name) != 0) {
        c->failed = true; /* never begun, so not counted */
        tls_conn_destroy(c);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_connect_state(c->ssl);
    return c;
}

/* Of a TLS 1.2 session that was resumed and got a new ticket OpenSSL does not tell. */
void tls_conn_client_established(struct tls_conn *c)
{
    SSL_SESSION *session;

    if (SSL_session_reused(c->ssl) == 0 || SSL_version(c->ssl) != TLS1_2_VERSION)
        return;
    session = SSL_get1_session(c->ssl);
    if (!tls_session_keep(&c->client->sessions, c->name, session))
        SSL_SESSION_free(session);
}

void tls_conn_client_end(struct tls_conn *c)
{
    /* A session that was refused, or that led to a failure, is not offered again. */
    if (c->failed && !c->established && c->session_offered)
        tls_session_forget(&c->client->sessions, c->name);
    /*
     * OpenSSL takes a session whose connection ends without close_notify for one that must not be
     * resumed, as SSL 3.0 had it; TLS has dropped that (RFC 5246, 7.2.1).
     */
    if (c->established && !c->failed)
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    free(c->name);
}

/* ---- what is no TLS ---- */

void tls_conn_client_received(struct tls_conn *c, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && c->first_len < sizeof c->first; i++)
        c->first[c->first_len++] = data[i];
}

static bool is_tls(const struct tls_conn *c)
{
    return c->first_len >= 2 && c->first[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
           c->first[0] <= SSL3_RT_APPLICATION_DATA && c->first[1] == 3;
}

static void add_bytes(struct tls_text *t, const uint8_t *data, size_t len)
{
    bool text = true;

    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
        len--;
    for (size_t i = 0; i < len; i++)
        text &= isprint(data[i]) || data[i] == '\r' || data[i] == '\n' || data[i] == '\t';
    tls_text_add(t, text ? "\"" : "");
    for (size_t i = 0; i < len; i++) {
        if (!text)
            tls_text_add(t, "%s%02x", i > 0 ? " " : "", data[i]);
        else if (!isprint(data[i]) || data[i] == '"' || data[i] == '\\')
            tls_text_add(t, "\\x%02x", data[i]);
        else
            tls_text_add(t, "%c", data[i]);
    }
    tls_text_add(t, text ? "\"" : "");
}

bool tls_conn_client_blame_stranger(struct tls_conn *c)
{
    uint8_t data[STRANGE_MAX];
    size_t len = c->first_len;
    char text[TEXT_MAX];
    struct tls_text t = tls_text_begin(text, sizeof text);
    ssize_t more;

    if (len == 0 || is_tls(c))
        return false;
    memcpy(data, c->first, len);
    /* OpenSSL took the length of a record's header only. */
    more = c->eof ? 0 : c->transport->read(c->transport_ctx, data + len, sizeof data - len);
    if (more > 0)
        len += (size_t)more;
    tls_text_add(&t, "the server speaks no TLS: its first bytes are ");
    add_bytes(&t, data, len);
    tls_text_add(&t, "; remove tls from the backend, or name the server's TLS port");
    tls_conn_blame(c, text);
    return true;
}
