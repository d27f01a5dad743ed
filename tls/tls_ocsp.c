/*
 * Theory of operation: a response (RFC 6960) is judged once, when it is loaded: it must be about
 * the leaf, say "good", and be signed by the leaf's issuer or by a responder that the issuer
 * delegated to. The last needs the issuer's certificate, which is in the chain unless the leaf is
 * all there is; then clients are the first who can check it. A response that is over is kept but
 * not stapled, since a file that nobody renewed must not keep a proxy from starting.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "tls/tls_internal.h"

#define CLOCK_SLACK 300 /* s that the responder's clock may be ahead */

/* ---- reading ---- */

static OCSP_RESPONSE *parse(const struct tls_file *f, const char *path, struct error *e)
{
    const uint8_t *p = (const uint8_t *)f->data;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)f->len);

    if (r != NULL && p == (const uint8_t *)f->data + f->len)
        return r;
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    if (strncmp(f->data, "-----BEGIN", 10) == 0)
        error_set(e, "%s is in PEM form; an OCSP response is DER (openssl ocsp -respout)", path);
    else
        error_set(e, "%s is no OCSP response in DER form", path);
    return NULL;
}

static OCSP_BASICRESP *basic_of(OCSP_RESPONSE *r, const char *path, struct error *e)
{
    int status = OCSP_response_status(r);
    OCSP_BASICRESP *basic;

    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        error_set(e, "%s: the responder answered \"%s\"", path, OCSP_response_status_str(status));
        return NULL;
    }
    basic = OCSP_response_get1_basic(r);
    if (basic == NULL)
        tls_error_set(e, "the OCSP response is of an unknown type");
    return basic;
}

/* ---- which certificate ---- */

/* Without the issuer's certificate only the serial number can be compared. */
static bool is_about(const OCSP_CERTID *id, X509 *leaf, X509 *issuer)
{
    ASN1_OBJECT *digest;
    ASN1_INTEGER *serial;
    const EVP_MD *md;
    OCSP_CERTID *own, *copy;
    bool same;

    copy = OCSP_CERTID_dup(id); /* the getter takes it without const */
    if (copy == NULL || OCSP_id_get0_info(NULL, &digest, NULL, &serial, copy) != 1) {
        OCSP_CERTID_free(copy);
        return false;
    }
    same = ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0;
    md = EVP_get_digestbyobj(digest);
    if (same && issuer != NULL) {
        own = md != NULL ? OCSP_cert_to_id(md, leaf, issuer) : NULL;
        same = own != NULL && OCSP_id_cmp(own, copy) == 0;
        OCSP_CERTID_free(own);
    }
    OCSP_CERTID_free(copy);
    return same;
}

static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

        if (is_about(OCSP_SINGLERESP_get0_id(single), leaf, issuer))
            return single;
    }
    return NULL;
}

/* ---- what it says ---- */

static int check_status(OCSP_SINGLERESP *single, time_t now, time_t *over, const char *path,
                        struct error *e)
{
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
    int reason, status = OCSP_single_get0_status(single, &reason, &revoked, &from, &to);
    char date[TLS_X509_DATE_MAX];

    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return error_set(e, "%s: the certificate was revoked on %s: replace it", path,
                         tls_x509_date(tls_x509_time(revoked), date));
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return error_set(e, "%s: the responder does not know the certificate", path);
    *over = to != NULL ? tls_x509_time(to) : -1;
    if (*over == -1)
        return error_set(e, "%s has no nextUpdate: nobody can tell when it is over", path);
    if (tls_x509_time(from) > now + CLOCK_SLACK)
        return error_set(e, "%s is not valid before %s", path,
                         tls_x509_date(tls_x509_time(from), date));
    return 0;
}

static bool is_signed(OCSP_BASICRESP *basic, STACK_OF(X509) * chain, time_t now)
{
    X509_STORE *store = X509_STORE_new();
    bool ok = false;

    if (store != NULL && X509_STORE_add_cert(store, sk_X509_value(chain, 1)) == 1) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), now);
        ok = OCSP_basic_verify(basic, chain, store, OCSP_PARTIAL_CHAIN) == 1;
    }
    X509_STORE_free(store);
    ERR_clear_error();
    return ok;
}

static int check(OCSP_BASICRESP *basic, STACK_OF(X509) * chain, time_t now, time_t *over,
                 const char *path, struct error *e)
{
    X509 *leaf = sk_X509_value(chain, 0), *issuer = sk_X509_value(chain, 1);
    OCSP_SINGLERESP *single = find(basic, leaf, issuer);
    char subject[TLS_X509_NAME_MAX];

    if (single == NULL)
        return error_set(e, "%s is about another certificate than %s", path,
                         tls_x509_subject(leaf, subject));
    if (check_status(single, now, over, path, e) != 0)
        return -1;
    if (issuer != NULL && !is_signed(basic, chain, now))
        return error_set(e,
                         "%s is signed neither by the certificate's issuer %s nor by a responder "
                         "of the issuer's",
                         path, tls_x509_subject(issuer, subject));
    return 0;
}

int tls_ocsp_load(struct tls_cert_file *f, const char *path, time_t now, struct error *e)
{
    STACK_OF(X509) *chain = tls_cert_chain(f, NULL);
    OCSP_BASICRESP *basic = NULL;
    OCSP_RESPONSE *r = NULL;
    struct tls_file file;
    time_t over = -1;
    int status = -1;

    ERR_clear_error();
    if (tls_file_read(path, &file, e) != 0)
        goto out;
    r = parse(&file, path, e);
    basic = r != NULL ? basic_of(r, path, e) : NULL;
    if (basic == NULL || chain == NULL || check(basic, chain, now, &over, path, e) != 0)
        goto out;
    f->ocsp.data = OPENSSL_memdup(file.data, file.len);
    f->ocsp.len = file.len;
    f->ocsp_expiry = over;
    status = f->ocsp.data != NULL ? 0 : -1;

out:
    if (status != 0)
        error_set(e, "out of memory"); /* unless there is a cause already */
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    tls_file_free(&file);
    sk_X509_pop_free(chain, X509_free);
    return status;
}

/* ---- stapling ---- */

static int on_status_request(SSL *ssl, void *arg)
{
    struct tls_conn *c = tls_conn_of(ssl);
    const struct tls_cert_file *f = c->server->certs[c->cert];
    uint8_t *copy;

    (void)arg;
    if (tls_worker_time(c->worker) > f->ocsp_expiry)
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(f->ocsp.data, f->ocsp.len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)f->ocsp.len); /* which frees it */
    c->ocsp_stapled = true;
    return SSL_TLSEXT_ERR_OK;
}

void tls_ocsp_setup(SSL_CTX *ctx, const struct tls_cert_file *f)
{
    if (f->ocsp.len > 0)
        SSL_CTX_set_tlsext_status_cb(ctx, on_status_request);
}

void tls_ocsp_done(struct tls_conn *c)
{
    if (!c->ocsp_stapled)
        return;
    SSL_set_tlsext_status_ocsp_resp(c->ssl, NULL, 0);
    c->ocsp_stapled = SSL_session_reused(c->ssl) == 0; /* which shows no certificate */
    if (c->ocsp_stapled)
        COUNTER_INC(c->worker->counters.tls_ocsp_stapled);
}
