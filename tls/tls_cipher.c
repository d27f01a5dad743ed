/*
 * The cipher suites that servers accept, once for OpenSSL and once as code points for telling a
 * client what it lacks. All have forward secrecy and authenticated encryption (RFC 9325, 4.2);
 * AES-128-GCM leads because hardware makes it the cheapest, and a client that puts ChaCha20 first
 * (it has no such hardware) gets it: SSL_OP_PRIORITIZE_CHACHA.
 */
#include "tls/tls_internal.h"

const char tls_cipher_tls12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

const char tls_cipher_tls13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                "TLS_CHACHA20_POLY1305_SHA256";

static const uint16_t tls13[] = {0x1301, 0x1302, 0x1303};
static const uint16_t ecdhe_ecdsa[] = {0xc02b, 0xc02c, 0xcca9};
static const uint16_t ecdhe_rsa[] = {0xc02f, 0xc030, 0xcca8};

#define SUITES 3

bool tls_cipher_accepted(uint16_t suite, uint16_t version, bool rsa)
{
    const uint16_t *list = version == TLS_VERSION_1_3 ? tls13 : rsa ? ecdhe_rsa : ecdhe_ecdsa;

    for (unsigned i = 0; i < SUITES; i++) {
        if (list[i] == suite)
            return true;
    }
    return false;
}
