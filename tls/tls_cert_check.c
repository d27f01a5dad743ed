/*
 * What would make clients refuse a certificate, told when the configuration is loaded rather than
 * by the first client.
 */
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

#define RSA_BITS_MIN 2048

static int check_dates(X509 *leaf, time_t now, const char *path, struct error *e)
{
    time_t from = tls_x509_time(X509_get0_notBefore(leaf));
    time_t to = tls_x509_time(X509_get0_notAfter(leaf));
    char a[TLS_X509_DATE_MAX], b[TLS_X509_DATE_MAX];

    if (from == -1 || to == -1)
        return error_set(e, "%s: the dates of its validity cannot be parsed", path);
    if (now < from)
        return error_set(e, "%s is not valid before %s (it is %s)", path, tls_x509_date(from, a),
                         tls_x509_date(now, b));
    if (now > to)
        return error_set(e, "%s expired on %s (it is %s)", path, tls_x509_date(to, a),
                         tls_x509_date(now, b));
    return 0;
}

static int check_key_kind(EVP_PKEY *key, const char *path, struct error *e)
{
    const char *type = EVP_PKEY_get0_type_name(key);
    char group[64] = "";

    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) {
        int bits = EVP_PKEY_get_bits(key);

        if (bits < RSA_BITS_MIN)
            return error_set(e, "%s: RSA key of %d bits, at least %d are needed", path, bits,
                             RSA_BITS_MIN);
        return 0;
    }
    if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
        return 0;
    if (!EVP_PKEY_is_a(key, "EC"))
        return error_set(e, "%s: a key of type %s cannot be used for TLS; use ECDSA or RSA", path,
                         type != NULL ? type : "unknown");
    EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    /* The curves of TLS 1.3's ECDSA signatures (RFC 8446, 4.2.3). */
    if (strcmp(group, "prime256v1") != 0 && strcmp(group, "secp384r1") != 0 &&
        strcmp(group, "secp521r1") != 0)
        return error_set(e, "%s: an ECDSA key on curve %s cannot be used for TLS; use P-256", path,
                         group[0] != '\0' ? group : "(explicit parameters)");
    return 0;
}

static bool key_fits(X509 *x, EVP_PKEY *key)
{
    EVP_PKEY *public = X509_get0_pubkey(x);
    bool fits = public != NULL && EVP_PKEY_eq(public, key) == 1;

    ERR_clear_error();
    return fits;
}

static int check_key_fits(STACK_OF(X509) * chain, EVP_PKEY *key, const char *chain_path,
                          const char *key_path, struct error *e)
{
    char subject[TLS_X509_NAME_MAX];

    if (key_fits(sk_X509_value(chain, 0), key))
        return 0;
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (key_fits(sk_X509_value(chain, i), key))
            return error_set(e,
                             "%s: the certificate of key %s is number %d in the file and has to "
                             "be the first, followed by its issuers",
                             chain_path, key_path, i + 1);
    }
    return error_set(e, "the key in %s does not belong to the certificate in %s (%s)", key_path,
                     chain_path, tls_x509_subject(sk_X509_value(chain, 0), subject));
}

/*
 * Only the leaf's issuer is insisted on: further down, certificates for a second path (a
 * cross-signed root) are allowed in any order (RFC 8446, 4.4.2).
 */
static int check_order(STACK_OF(X509) * chain, const char *path, struct error *e)
{
    X509 *leaf = sk_X509_value(chain, 0), *issuer = sk_X509_value(chain, 1);
    char a[TLS_X509_NAME_MAX], b[TLS_X509_NAME_MAX];
    bool issued;

    if (issuer == NULL)
        return 0;
    issued = X509_check_issued(issuer, leaf) == X509_V_OK &&
             X509_verify(leaf, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    if (issued)
        return 0;
    return error_set(e,
                     "%s: the second certificate (%s) did not issue the first (%s); the order is "
                     "the server's certificate, then its issuer, then the issuer's issuer",
                     path, tls_x509_subject(issuer, b), tls_x509_subject(leaf, a));
}

/* RFC 8446, 4.4.2.2: with these suites the key signs, whatever its kind; absent extensions allow
 * all. */
static int check_usage(X509 *leaf, enum tls_cert_use use, const char *path, struct error *e)
{
    uint32_t extended = X509_get_extended_key_usage(leaf);
    bool server = use == TLS_CERT_OF_SERVER;

    if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return error_set(e, "%s: its keyUsage lacks digitalSignature, which TLS needs", path);
    if ((extended & ((server ? XKU_SSL_SERVER : XKU_SSL_CLIENT) | XKU_ANYEKU)) == 0)
        return error_set(e, "%s: its extendedKeyUsage lacks %sAuth: no certificate for a %s", path,
                         server ? "server" : "client", server ? "server" : "client");
    return 0;
}

int tls_cert_check(STACK_OF(X509) * chain, EVP_PKEY *key, enum tls_cert_use use, time_t now,
                   const char *chain_path, const char *key_path, struct error *e)
{
    X509 *leaf = sk_X509_value(chain, 0);

    if (check_key_fits(chain, key, chain_path, key_path, e) != 0 ||
        check_key_kind(key, key_path, e) != 0 || check_usage(leaf, use, chain_path, e) != 0 ||
        check_order(chain, chain_path, e) != 0)
        return -1;
    return check_dates(leaf, now, chain_path, e);
}
