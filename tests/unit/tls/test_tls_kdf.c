/*
 * The key schedule's function against the default provider's, on random requests of the forms that
 * libssl makes; and what it refuses.
 */
#include "tests/unit/tls/tls_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "tls/tls_internal.h"

#define ROUNDS  2000
#define OUT_MAX 300

static struct tls_worker *worker;
static EVP_KDF *ours, *theirs;

static int set_up(void **state)
{
    (void)state;
    worker = fixture_worker();
    ours = EVP_KDF_fetch(worker->lib, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    theirs = EVP_KDF_fetch(worker->lib, OSSL_KDF_NAME_TLS1_3_KDF, "provider=default");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_KDF_free(ours);
    EVP_KDF_free(theirs);
    tls_worker_destroy(worker);
    return 0;
}

struct request {
    char digest[16], label[32];
    int mode;
    uint8_t key[64], salt[64], data[64];
    size_t hash_len, key_len, salt_len, data_len, label_len, out_len;
    bool has_key, has_salt, has_data;
};

static void draw_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)random();
}

static void draw(struct request *r)
{
    bool sha384 = random() % 2 == 0;
    bool expand = random() % 2 == 0;

    *r = (struct request){.mode = expand ? EVP_KDF_HKDF_MODE_EXPAND_ONLY
                                         : EVP_KDF_HKDF_MODE_EXTRACT_ONLY};
    snprintf(r->digest, sizeof r->digest, "%s", sha384 ? "SHA2-384" : "SHA2-256");
    r->hash_len = sha384 ? 48 : 32;
    r->label_len = (size_t)random() % 13;
    draw_bytes((uint8_t *)r->label, r->label_len);
    r->has_key = expand || random() % 2 == 0;
    r->has_salt = !expand && random() % 2 == 0;
    r->has_data = expand && random() % 4 != 0;
    r->key_len = r->has_salt || expand ? r->hash_len : 1 + (size_t)random() % 64;
    r->salt_len = r->hash_len;
    r->data_len = (size_t)random() % sizeof r->data;
    draw_bytes(r->key, r->key_len);
    draw_bytes(r->salt, r->salt_len);
    draw_bytes(r->data, r->data_len);
    r->out_len = expand ? 1 + (size_t)random() % OUT_MAX : r->hash_len;
}

static int derive(EVP_KDF *kdf, struct request *r, uint8_t *out)
{
    char prefix[] = "tls13 ";
    OSSL_PARAM params[8], *p = params;
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int ok;

    assert_non_null(ctx);
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &r->mode);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, r->digest, 0);
    if (r->has_key)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, r->key, r->key_len);
    if (r->has_salt)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, r->salt, r->salt_len);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, 6);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, r->label, r->label_len);
    if (r->has_data)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, r->data, r->data_len);
    *p = OSSL_PARAM_construct_end();
    ok = EVP_KDF_derive(ctx, out, r->out_len, params);
    EVP_KDF_CTX_free(ctx);
    return ok;
}

static void test_preferred(void **state)
{
    (void)state;
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(ours)), TLS_KDF_PROVIDER);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(theirs)), "default");
}

static void test_same(void **state)
{
    uint8_t a[OUT_MAX], b[OUT_MAX];
    struct request r;

    (void)state;
    srandom(1);
    for (int i = 0; i < ROUNDS; i++) {
        draw(&r);
        assert_int_equal(derive(theirs, &r, a), 1);
        assert_int_equal(derive(ours, &r, b), 1);
        assert_memory_equal(a, b, r.out_len);
    }
}

static void expect_refusal(struct request *r)
{
    uint8_t out[OUT_MAX];

    assert_int_equal(derive(ours, r, out), 0);
}

static void test_refused(void **state)
{
    struct request good = {.digest = "SHA2-256",
                           .mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                           .has_key = true,
                           .key_len = 32,
                           .out_len = 32};
    struct request r = good;
    uint8_t out[OUT_MAX];

    (void)state;
    assert_int_equal(derive(ours, &good, out), 1);
    r.has_key = false;
    expect_refusal(&r);
    r = good;
    snprintf(r.digest, sizeof r.digest, "SHA2-512");
    expect_refusal(&r);
    r = good;
    r.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    expect_refusal(&r);
    r = good;
    r.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    r.out_len = 31;
    expect_refusal(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preferred),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
