/*
 * Signature schemes (RFC 8446, 4.2.3): which of them a certificate's key can make. TLS 1.3 ties
 * ECDSA to the key's curve and has no PKCS #1 v1.5; TLS 1.2 has both looser (RFC 5246, 7.4.1.4.1).
 */
#include <string.h>

#include <openssl/evp.h>

#include "tls/tls_internal.h"

#define EC (TLS_KEY_P256 | TLS_KEY_P384 | TLS_KEY_P521)

static const struct {
    uint16_t scheme;
    const char *name;
    unsigned tls13, tls12; /* keys that can: TLS_KEY_* */
} schemes[] = {
    {0x0403, "ecdsa_secp256r1_sha256", TLS_KEY_P256, EC},
    {0x0503, "ecdsa_secp384r1_sha384", TLS_KEY_P384, EC},
    {0x0603, "ecdsa_secp521r1_sha512", TLS_KEY_P521, EC},
    {0x0807, "ed25519", TLS_KEY_ED25519, TLS_KEY_ED25519},
    {0x0808, "ed448", TLS_KEY_ED448, TLS_KEY_ED448},
    {0x0804, "rsa_pss_rsae_sha256", TLS_KEY_RSA, TLS_KEY_RSA},
    {0x0805, "rsa_pss_rsae_sha384", TLS_KEY_RSA, TLS_KEY_RSA},
    {0x0806, "rsa_pss_rsae_sha512", TLS_KEY_RSA, TLS_KEY_RSA},
    {0x0809, "rsa_pss_pss_sha256", TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS},
    {0x080a, "rsa_pss_pss_sha384", TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS},
    {0x080b, "rsa_pss_pss_sha512", TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS},
    {0x0401, "rsa_pkcs1_sha256", 0, TLS_KEY_RSA},
    {0x0501, "rsa_pkcs1_sha384", 0, TLS_KEY_RSA},
    {0x0601, "rsa_pkcs1_sha512", 0, TLS_KEY_RSA},
    /* known by name, never made: SHA-1 and SHA-224 (RFC 9155) */
    {0x0201, "rsa_pkcs1_sha1", 0, 0},
    {0x0203, "ecdsa_sha1", 0, 0},
    {0x0301, "rsa_pkcs1_sha224", 0, 0},
    {0x0303, "ecdsa_sha224", 0, 0},
};

#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

static const struct {
    enum tls_key key;
    const char *type, *group, *text;
} keys[] = {
    {TLS_KEY_RSA, "RSA", NULL, "RSA"},
    {TLS_KEY_RSA_PSS, "RSA-PSS", NULL, "RSA-PSS"},
    {TLS_KEY_P256, "EC", "prime256v1", "ECDSA P-256"},
    {TLS_KEY_P384, "EC", "secp384r1", "ECDSA P-384"},
    {TLS_KEY_P521, "EC", "secp521r1", "ECDSA P-521"},
    {TLS_KEY_ED25519, "ED25519", NULL, "Ed25519"},
    {TLS_KEY_ED448, "ED448", NULL, "Ed448"},
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])

enum tls_key tls_signature_key(const EVP_PKEY *key)
{
    char group[64] = "";

    if (EVP_PKEY_is_a(key, "EC"))
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (EVP_PKEY_is_a(key, keys[i].type) &&
            (keys[i].group == NULL || strcmp(keys[i].group, group) == 0))
            return keys[i].key;
    }
    return TLS_KEY_NONE;
}

const char *tls_signature_key_name(enum tls_key key)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].key == key)
            return keys[i].text;
    }
    return "unknown";
}

bool tls_signature_possible(uint16_t scheme, uint16_t version, enum tls_key key)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].scheme == scheme)
            return ((version == TLS_VERSION_1_3 ? schemes[i].tls13 : schemes[i].tls12) &
                    (unsigned)key) != 0;
    }
    return false;
}

const char *tls_signature_name(uint16_t scheme)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].scheme == scheme)
            return schemes[i].name;
    }
    return NULL;
}
