/*
 * Theory of operation: TLS 1.3's key schedule (RFC 8446, 7.1) derives some twenty secrets in a
 * handshake, each by one EVP_KDF of libssl's. The default provider's TLS13-KDF answers with a
 * fetch of the digest, a fetch of HMAC, copies of all parameters and two contexts, which together
 * take several times as long as the hashing. Here is the same function as a provider of its own,
 * loaded into each worker's library context and preferred there: digests are fetched once,
 * parameters are read where libssl has them, and HMAC (RFC 2104) is two passes of one digest
 * context.
 *
 * It takes its parameters with the derivation only, as libssl gives them.
 */
#include <string.h>
#include <strings.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tls/tls_internal.h"

#define HASH_MAX  48              /* SHA-384 */
#define BLOCK_MAX 128             /* of SHA-384 */
#define LABEL_MAX (2 + 256 + 256) /* struct HkdfLabel: RFC 8446, 7.1 */

/* A provider's context: the worker's digests. */
struct kdf_provider {
    const EVP_MD *sha256, *sha384;
};

struct kdf {
    const struct kdf_provider *provider;
    EVP_MD_CTX *hash;
};

struct bytes {
    const uint8_t *data; /* NULL: not given */
    size_t len;
};

/* What libssl asks for. */
struct request {
    const EVP_MD *md;
    size_t md_len;
    int mode;
    struct bytes key, salt, prefix, label, data;
};

static const struct bytes nothing = {(const uint8_t *)"", 0};

/* ---- HMAC and HKDF ---- */

static bool hmac_pass(EVP_MD_CTX *hash, const struct request *r, uint8_t pad, struct bytes key,
                      const struct bytes *parts, unsigned count, uint8_t out[HASH_MAX])
{
    uint8_t block[BLOCK_MAX];
    size_t block_len = (size_t)EVP_MD_get_block_size(r->md);
    bool ok;

    memset(block, pad, block_len);
    for (size_t i = 0; i < key.len; i++)
        block[i] ^= key.data[i];
    ok =
        EVP_DigestInit_ex2(hash, r->md, NULL) == 1 && EVP_DigestUpdate(hash, block, block_len) == 1;
    for (unsigned i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(hash, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(hash, out, NULL) == 1;
    OPENSSL_cleanse(block, block_len);
    return ok;
}

/* RFC 2104. The keys of the schedule are hashes, and shorter than a block. */
static bool hmac(EVP_MD_CTX *hash, const struct request *r, struct bytes key,
                 const struct bytes *parts, unsigned count, uint8_t out[HASH_MAX])
{
    uint8_t inner[HASH_MAX];
    struct bytes digest = {inner, r->md_len};

    return key.len <= (size_t)EVP_MD_get_block_size(r->md) &&
           hmac_pass(hash, r, 0x36, key, parts, count, inner) &&
           hmac_pass(hash, r, 0x5c, key, &digest, 1, out);
}

/* HKDF-Expand: RFC 5869, 2.3 */
static bool expand(EVP_MD_CTX *hash, const struct request *r, struct bytes key, struct bytes info,
                   uint8_t *out, size_t len)
{
    uint8_t block[HASH_MAX], number = 0;
    struct bytes parts[3] = {{block, 0}, info, {&number, 1}};
    bool ok = len <= 255 * r->md_len;

    while (ok && len > 0) {
        size_t n = len < r->md_len ? len : r->md_len;

        number++;
        ok = hmac(hash, r, key, parts, 3, block);
        parts[0].len = r->md_len;
        if (ok)
            memcpy(out, block, n);
        out += n;
        len -= n;
    }
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

static uint8_t *put(uint8_t *at, struct bytes b)
{
    if (b.len > 0)
        memcpy(at, b.data, b.len);
    return at + b.len;
}

static bool expand_label(EVP_MD_CTX *hash, const struct request *r, struct bytes key,
                         struct bytes context, uint8_t *out, size_t len)
{
    uint8_t label[LABEL_MAX], *at = label;

    if (r->prefix.len + r->label.len > UINT8_MAX || context.len > UINT8_MAX || len > UINT16_MAX)
        return false;
    *at++ = (uint8_t)(len >> 8);
    *at++ = (uint8_t)len;
    *at++ = (uint8_t)(r->prefix.len + r->label.len);
    at = put(put(at, r->prefix), r->label);
    *at++ = (uint8_t)context.len;
    at = put(at, context);
    return expand(hash, r, key, (struct bytes){label, (size_t)(at - label)}, out, len);
}

/* A step down the schedule: Derive-Secret of the secret before, if there is one, is the salt with
 * which the new one is extracted. */
static bool extract(EVP_MD_CTX *hash, const struct request *r, uint8_t *out, size_t len)
{
    static const uint8_t zeros[HASH_MAX];
    struct bytes input = r->key.data != NULL ? r->key : (struct bytes){zeros, r->md_len};
    uint8_t empty[HASH_MAX], derived[HASH_MAX];
    struct bytes salt = {zeros, 0};
    bool ok = len == r->md_len;

    if (r->salt.data != NULL) {
        salt = (struct bytes){derived, r->md_len};
        ok = ok && EVP_DigestInit_ex2(hash, r->md, NULL) == 1 &&
             EVP_DigestFinal_ex(hash, empty, NULL) == 1 &&
             expand_label(hash, r, r->salt, (struct bytes){empty, r->md_len}, derived, r->md_len);
    }
    ok = ok && hmac(hash, r, salt, &input, 1, out);
    OPENSSL_cleanse(derived, sizeof derived);
    return ok;
}

/* ---- what libssl asks ---- */

static bool bytes_of(const OSSL_PARAM *p, struct bytes *out)
{
    *out = (struct bytes){p->data, p->data_size};
    return p->data_type == OSSL_PARAM_OCTET_STRING;
}

static bool digest_of(const OSSL_PARAM *p, const struct kdf_provider *provider, const EVP_MD **out)
{
    const char *name = p->data;

    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return false;
    if (strcasecmp(name, "SHA2-256") == 0 || strcasecmp(name, "SHA256") == 0)
        *out = provider->sha256;
    else if (strcasecmp(name, "SHA2-384") == 0 || strcasecmp(name, "SHA384") == 0)
        *out = provider->sha384;
    return *out != NULL;
}

static bool parse_one(const OSSL_PARAM *p, const struct kdf_provider *provider, struct request *r)
{
    if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0)
        return OSSL_PARAM_get_int(p, &r->mode) == 1;
    if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0)
        return digest_of(p, provider, &r->md);
    if (strcmp(p->key, OSSL_KDF_PARAM_KEY) == 0)
        return bytes_of(p, &r->key);
    if (strcmp(p->key, OSSL_KDF_PARAM_SALT) == 0)
        return bytes_of(p, &r->salt);
    if (strcmp(p->key, OSSL_KDF_PARAM_PREFIX) == 0)
        return bytes_of(p, &r->prefix);
    if (strcmp(p->key, OSSL_KDF_PARAM_LABEL) == 0)
        return bytes_of(p, &r->label);
    if (strcmp(p->key, OSSL_KDF_PARAM_DATA) == 0)
        return bytes_of(p, &r->data);
    return false;
}

static bool parse(const OSSL_PARAM *p, const struct kdf_provider *provider, struct request *r)
{
    *r = (struct request){.mode = -1};
    for (; p != NULL && p->key != NULL; p++) {
        if (!parse_one(p, provider, r))
            return false;
    }
    if (r->md == NULL)
        return false;
    r->md_len = (size_t)EVP_MD_get_size(r->md);
    return true;
}

static int kdf_derive(void *ctx, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
    struct kdf *k = ctx;
    struct request r;

    if (!parse(params, k->provider, &r))
        return 0;
    switch (r.mode) {
    case EVP_KDF_HKDF_MODE_EXTRACT_ONLY:
        return extract(k->hash, &r, out, len);
    case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
        return r.key.data != NULL &&
               expand_label(k->hash, &r, r.key, r.data.data != NULL ? r.data : nothing, out, len);
    default:
        return 0;
    }
}

/* ---- the provider ---- */

static void kdf_free(void *ctx)
{
    struct kdf *k = ctx;

    if (k == NULL)
        return;
    EVP_MD_CTX_free(k->hash);
    OPENSSL_free(k);
}

static void *kdf_new(void *provider)
{
    struct kdf *k = OPENSSL_zalloc(sizeof *k);

    if (k == NULL)
        return NULL;
    k->provider = provider;
    k->hash = EVP_MD_CTX_new();
    if (k->hash != NULL)
        return k;
    kdf_free(k);
    return NULL;
}

static int kdf_set_params(void *ctx, const OSSL_PARAM params[])
{
    (void)ctx;
    return params == NULL || params->key == NULL;
}

#define FUNCTION(id, f)           \
    {                             \
        (id), (void (*)(void))(f) \
    }

static const OSSL_DISPATCH kdf_functions[] = {
    FUNCTION(OSSL_FUNC_KDF_NEWCTX, kdf_new),
    FUNCTION(OSSL_FUNC_KDF_FREECTX, kdf_free),
    FUNCTION(OSSL_FUNC_KDF_DERIVE, kdf_derive),
    FUNCTION(OSSL_FUNC_KDF_SET_CTX_PARAMS, kdf_set_params),
    {0, NULL},
};

static const OSSL_ALGORITHM kdfs[] = {
    {OSSL_KDF_NAME_TLS1_3_KDF, "provider=" TLS_KDF_PROVIDER, kdf_functions, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static void teardown(void *provider)
{
    OPENSSL_free(provider);
}

static const OSSL_DISPATCH provider_functions[] = {
    FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    FUNCTION(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
    {0, NULL},
};

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **provider)
{
    (void)handle, (void)in;
    *out = provider_functions;
    *provider = OPENSSL_zalloc(sizeof(struct kdf_provider));
    return *provider != NULL;
}

OSSL_PROVIDER *tls_kdf_load(OSSL_LIB_CTX *lib)
{
    /* A preference: all else is still found in the default provider. */
    if (OSSL_PROVIDER_add_builtin(lib, TLS_KDF_PROVIDER, init) != 1 ||
        EVP_set_default_properties(lib, "?provider=" TLS_KDF_PROVIDER) != 1)
        return NULL;
    return OSSL_PROVIDER_load(lib, TLS_KDF_PROVIDER);
}

void tls_kdf_set_digests(OSSL_PROVIDER *p, const EVP_MD *sha256, const EVP_MD *sha384)
{
    struct kdf_provider *provider = OSSL_PROVIDER_get0_provider_ctx(p);

    provider->sha256 = sha256;
    provider->sha384 = sha384;
}
