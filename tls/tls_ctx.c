/*
 * What the SSL_CTXs of servers and clients have in common. The settings avoid what makes OpenSSL
 * 3.0 slow: chains are given, not built anew in each handshake (SSL_MODE_NO_AUTO_CHAIN); X25519
 * comes first because it costs a third of what P-256's validated points do.
 */
#include "tls/tls_internal.h"

#define GROUPS "X25519:P-256:P-384"

/* No SHA-1 (RFC 9155); with SECURITY_LEVEL nothing weaker would be taken either. */
#define SIGNATURES                                                 \
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:"        \
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:" \
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"    \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"

bool tls_ctx_group_accepted(uint16_t group)
{
    /* GROUPS' code points: RFC 8446, 4.2.7 */
    return group == 29 || group == 23 || group == 24;
}

int tls_ctx_check_versions(uint16_t min, uint16_t max, struct error *e)
{
    if (min < TLS_VERSION_1_2 || max > TLS_VERSION_1_3 || min > max)
        return error_set(e, "TLS versions 0x%04x to 0x%04x: 1.2 and 1.3 are supported", min, max);
    return 0;
}

int tls_ctx_check_alpn(const uint8_t *list, size_t len, struct error *e)
{
    size_t at = 0;

    while (at < len && list[at] > 0 && list[at] < len - at)
        at += 1 + (size_t)list[at];
    return at == len ? 0 : error_set(e, "malformed list of ALPN names");
}

SSL_CTX *tls_ctx_create(struct tls_worker *w, const SSL_METHOD *method, uint16_t min, uint16_t max,
                        struct error *e)
{
    char groups[] = GROUPS, signatures[] = SIGNATURES; /* the setters take them without const */
    SSL_CTX *ctx = SSL_CTX_new_ex(w->lib, NULL, method);

    if (ctx == NULL) {
        tls_error_set(e, "cannot set up TLS");
        return NULL;
    }
    SSL_CTX_set_security_level(ctx, TLS_SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    if (SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
        SSL_CTX_set_max_proto_version(ctx, max) == 1 &&
        SSL_CTX_set_cipher_list(ctx, tls_cipher_tls12) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, tls_cipher_tls13) == 1 &&
        SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
        SSL_CTX_set1_sigalgs_list(ctx, signatures) == 1)
        return ctx;
    tls_error_set(e, "cannot set TLS parameters");
    SSL_CTX_free(ctx);
    return NULL;
}
