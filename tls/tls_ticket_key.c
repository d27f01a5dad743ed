/*
 * Theory of operation: the keys of tickets are functions of a master secret and the time. Time is
 * divided into epochs of `rotation` seconds, and HKDF (RFC 5869) gives each epoch its key's name,
 * its cipher key and its authentication key. So machines (and workers) with the same secret agree
 * without talking, and a key that leaks opens the tickets of one epoch only. Three keys are at
 * hand: the current epoch's makes tickets; the former one's opens them for as long again; the next
 * one's opens those of machines whose clocks are ahead.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tls/tls_internal.h"

#define ROTATION_DEFAULT 43200 /* s */
#define SECRET_FILE_MIN  32
#define SECRET_FILE_MAX  4096

/* OpenSSL's parameters are not const, but the KDF only reads. */
static int hkdf(EVP_KDF *kdf, const void *key, size_t key_len, const char *label, uint64_t number,
                uint8_t *out, size_t out_len)
{
    uint8_t info[64], secret[SECRET_FILE_MAX];
    size_t label_len = strlen(label);
    char digest[] = "SHA2-256";
    OSSL_PARAM params[4];
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int ok;

    memcpy(info, label, label_len);
    for (unsigned i = 0; i < 8; i++)
        info[label_len + i] = (uint8_t)(number >> (56 - 8 * i));
    memcpy(secret, key, key_len);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, key_len);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, label_len + 8);
    params[3] = OSSL_PARAM_construct_end();
    ok = ctx != NULL && EVP_KDF_derive(ctx, out, out_len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    OPENSSL_cleanse(secret, key_len);
    return ok ? 0 : -1;
}

void tls_ticket_keys_init(struct tls_ticket_keys *k, const struct tls_ticket_config *config)
{
    memcpy(k->secret, config->secret, sizeof k->secret);
    k->rotation = config->rotation > 0 ? config->rotation : ROTATION_DEFAULT;
}

void tls_ticket_keys_wipe(struct tls_ticket_keys *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

static int derive(struct tls_ticket_keys *k, EVP_KDF *kdf, uint64_t epoch,
                  struct tls_ticket_key *out)
{
    uint8_t bytes[sizeof out->name + sizeof out->cipher + sizeof out->mac];

    if (hkdf(kdf, k->secret, sizeof k->secret, "sluice ticket epoch", epoch, bytes, sizeof bytes) !=
        0)
        return -1;
    memcpy(out->name, bytes, sizeof out->name);
    memcpy(out->cipher, bytes + sizeof out->name, sizeof out->cipher);
    memcpy(out->mac, bytes + sizeof out->name + sizeof out->cipher, sizeof out->mac);
    out->epoch = epoch;
    out->derived = true;
    OPENSSL_cleanse(bytes, sizeof bytes);
    return 0;
}

/* Each epoch has its place, so that a new one costs one derivation. */
static const struct tls_ticket_key *key_of(struct tls_ticket_keys *k, EVP_KDF *kdf, uint64_t epoch)
{
    struct tls_ticket_key *key = &k->keys[epoch % TLS_TICKET_KEYS];

    if (key->derived && key->epoch == epoch)
        return key;
    return derive(k, kdf, epoch, key) == 0 ? key : NULL;
}

const struct tls_ticket_key *tls_ticket_key_current(struct tls_ticket_keys *k, EVP_KDF *kdf,
                                                    time_t now)
{
    return key_of(k, kdf, (uint64_t)now / k->rotation);
}

const struct tls_ticket_key *tls_ticket_key_find(struct tls_ticket_keys *k, EVP_KDF *kdf,
                                                 time_t now, const uint8_t *name)
{
    uint64_t current = (uint64_t)now / k->rotation;

    for (uint64_t epoch = current + 1; epoch + 2 > current; epoch--) {
        const struct tls_ticket_key *key = key_of(k, kdf, epoch);

        if (key != NULL && memcmp(key->name, name, sizeof key->name) == 0)
            return key;
        if (epoch == 0)
            break;
    }
    return NULL;
}

/* ---- a secret from a file ---- */

static int check_file(const struct tls_file *f, const char *path, struct error *e)
{
    if ((f->mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set(e, "%s can be read by others (mode %04o): chmod 600 it", path,
                         (unsigned)f->mode & 07777);
    if (f->len < SECRET_FILE_MIN || f->len > SECRET_FILE_MAX)
        return error_set(e,
                         "%s has %zu bytes; a ticket secret has %d to %d (openssl rand -out FILE "
                         "80 makes one)",
                         path, f->len, SECRET_FILE_MIN, SECRET_FILE_MAX);
    return 0;
}

int tls_ticket_secret_load(const char *path, uint8_t out[TLS_TICKET_SECRET_LEN], struct error *e)
{
    EVP_KDF *kdf = NULL;
    struct tls_file f;
    int status;

    if (tls_file_read(path, &f, e) != 0)
        return -1;
    status = check_file(&f, path, e);
    if (status == 0) {
        kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        if (kdf == NULL ||
            hkdf(kdf, f.data, f.len, "sluice ticket secret", 0, out, TLS_TICKET_SECRET_LEN) != 0)
            status = tls_error_set(e, "cannot derive the ticket secret");
    }
    EVP_KDF_free(kdf);
    tls_file_free(&f);
    return status;
}
