/*
 * Theory of operation: OpenSSL verifies the peer's chain; we choose the time it is judged by, and
 * where it is refused say what was expected, what came, and which side can change it. That is told
 * from within OpenSSL's verification, since a certificate that was refused is not kept.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

#define TEXT_MAX 480

static void add_which(struct tls_text *t, const X509 *x, int depth)
{
    char subject[TLS_X509_NAME_MAX];

    if (depth == 0)
        tls_text_add(t, "it");
    else
        tls_text_add(t, "its issuer %s", tls_x509_subject(x, subject));
}

static void add_date_fault(struct tls_text *t, const X509 *x, int depth, bool expired)
{
    char date[TLS_X509_DATE_MAX];
    const ASN1_TIME *when = expired ? X509_get0_notAfter(x) : X509_get0_notBefore(x);

    add_which(t, x, depth);
    tls_text_add(t, expired ? " expired on %s: renew it" : " is not valid before %s",
                 tls_x509_date(tls_x509_time(when), date));
}

static void add_wrong_name(struct tls_text *t, const X509 *x, const struct tls_conn *c,
                           const char *kind)
{
    tls_text_add(t, "it is for ");
    tls_x509_add_names(t, x);
    tls_text_add(t,
                 ", not for the %s %s: set tls.server-name to a name that it has, or have one "
                 "issued for that %s",
                 kind, c->name, kind);
}

static const struct tls_ca *trusted(const struct tls_conn *c)
{
    return c->client != NULL ? c->client->ca : c->server->client_ca;
}

static void add_untrusted(struct tls_text *t, X509 *x, const struct tls_conn *c, int depth)
{
    char name[TLS_X509_NAME_MAX];

    if (X509_check_issued(x, x) == X509_V_OK) {
        add_which(t, x, depth);
        tls_text_add(t, " is self-signed and not in %s", trusted(c)->file->path);
    } else {
        tls_text_add(t, "the issuer %s is neither in %s nor in the chain that the %s sent",
                     tls_x509_issuer(x, name), trusted(c)->file->path, tls_conn_peer(c));
    }
    tls_text_add(
        t, c->client != NULL
               ? ": name a file with it in tls.ca, or complete the server's chain"
               : ": add it to that file (tls.client-auth.ca), or complete the client's chain");
}

static void add_reason(struct tls_text *t, X509_STORE_CTX *store, const struct tls_conn *c)
{
    int fault = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
    X509 *x = X509_STORE_CTX_get_current_cert(store);

    switch (x != NULL ? fault : X509_V_OK) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        add_date_fault(t, x, depth, fault == X509_V_ERR_CERT_HAS_EXPIRED);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        add_wrong_name(t, x, c, "name");
        break;
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        add_wrong_name(t, x, c, "address");
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        add_untrusted(t, x, c, depth);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        add_which(t, x, depth);
        tls_text_add(t, " is not meant for a TLS %s (extendedKeyUsage, keyUsage)",
                     tls_conn_peer(c));
        break;
    default:
        if (x != NULL)
            add_which(t, x, depth);
        tls_text_add(t, ": %s", X509_verify_cert_error_string(fault));
    }
}

static void blame(struct tls_conn *c, X509_STORE_CTX *store)
{
    char text[TEXT_MAX], subject[TLS_X509_NAME_MAX];
    struct tls_text t = tls_text_begin(text, sizeof text);
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);

    tls_text_add(&t, "the %s's certificate (%s) is refused: ", tls_conn_peer(c),
                 tls_x509_subject(leaf, subject));
    add_reason(&t, store, c);
    tls_conn_blame(c, text);
}

static int verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_conn *c = tls_conn_of(ssl);

    (void)arg;
    if (trusted(c) == NULL)
        return 1; /* nobody asked for it */
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(store), tls_worker_time(c->worker));
    if (X509_verify_cert(store) == 1)
        return 1;
    blame(c, store);
    if (c->server != NULL)
        COUNTER_INC(c->worker->counters.tls_client_certificates_refused);
    return 0;
}

void tls_verify_setup(SSL_CTX *ctx, const struct tls_ca *ca, int mode)
{
    if (ca != NULL)
        SSL_CTX_set1_cert_store(ctx, ca->store);
    SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
    SSL_CTX_set_verify(ctx, mode, NULL);
}

int tls_verify_expect(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (name[0] == '\0')
        return -1; /* which OpenSSL would take for "any" */
    if (tls_names_is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 : -1;
    /* RFC 9525, 2: a common name is no host name. */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 ? 0 : -1;
}
