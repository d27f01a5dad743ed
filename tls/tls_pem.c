/* PEM files: certificates and keys. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/tls_internal.h"

/* After a PEM function found nothing: is the end of the file the reason? Empties the queue then. */
static bool at_end(void)
{
    unsigned long code = ERR_peek_last_error();

    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
        return false;
    ERR_clear_error();
    return true;
}

static int check_not_der(const struct tls_file *f, const char *path, struct error *e)
{
    if (f->len > 2 && (uint8_t)f->data[0] == 0x30 && ((uint8_t)f->data[1] & 0x80) != 0)
        return error_set(e, "%s is in DER form; PEM is needed (-----BEGIN ...)", path);
    return 0;
}

static int parse_chain(BIO *bio, const char *path, int max, STACK_OF(X509) * chain, struct error *e)
{
    char cause[256];
    X509 *x;

    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_num(chain) == max || sk_X509_push(chain, x) == 0) {
            X509_free(x);
            return error_set(e, "%s holds more than %d certificates", path, max);
        }
    }
    if (!at_end())
        return error_set(e, "certificate %d in %s cannot be parsed: %s", sk_X509_num(chain) + 1,
                         path, tls_error_take("peer", "no cause given", cause, sizeof cause));
    if (sk_X509_num(chain) == 0)
        return error_set(e, "no certificate (-----BEGIN CERTIFICATE-----) in %s", path);
    return 0;
}

STACK_OF(X509) * tls_pem_certs(const char *path, int max, struct error *e)
{
    STACK_OF(X509) *chain = NULL;
    BIO *bio = NULL;
    struct tls_file f;

    ERR_clear_error();
    if (tls_file_read(path, &f, e) != 0)
        return NULL;
    if (check_not_der(&f, path, e) != 0)
        goto err;
    chain = sk_X509_new_null();
    bio = BIO_new_mem_buf(f.data, (int)f.len);
    if (chain == NULL || bio == NULL) {
        error_set(e, "out of memory");
        goto err;
    }
    if (parse_chain(bio, path, max, chain, e) != 0)
        goto err;
    BIO_free(bio);
    tls_file_free(&f);
    return chain;

err:
    sk_X509_pop_free(chain, X509_free);
    BIO_free(bio);
    tls_file_free(&f);
    return NULL;
}

/* Asked for a pass phrase, that is: the key is encrypted. There is nobody to type one. */
static int no_passphrase(char *out, int size, int writing, void *encrypted)
{
    (void)out, (void)size, (void)writing;
    *(bool *)encrypted = true;
    return -1;
}

static EVP_PKEY *parse_key(BIO *bio, const char *path, struct error *e)
{
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    char cause[256];

    if (key != NULL)
        return key;
    if (encrypted)
        error_set(
            e,
            "the key in %s is encrypted: store it decrypted (openssl pkey -in FILE -out FILE) "
            "and protect it by the file's permissions",
            path);
    else
        error_set(e, "the key in %s cannot be parsed: %s", path,
                  tls_error_take("peer", "no cause given", cause, sizeof cause));
    ERR_clear_error();
    return NULL;
}

/* The decoder's own word for a file without a key is "unsupported". */
static int check_has_key(const struct tls_file *f, const char *path, struct error *e)
{
    if (strstr(f->data, "PRIVATE KEY-----") == NULL)
        return error_set(e, "no private key (-----BEGIN PRIVATE KEY-----) in %s", path);
    return 0;
}

EVP_PKEY *tls_pem_key(const char *path, struct error *e)
{
    EVP_PKEY *key = NULL;
    struct tls_file f;
    BIO *bio;

    ERR_clear_error();
    if (tls_file_read(path, &f, e) != 0)
        return NULL;
    if (check_not_der(&f, path, e) == 0 && check_has_key(&f, path, e) == 0) {
        bio = BIO_new_mem_buf(f.data, (int)f.len);
        key = bio != NULL ? parse_key(bio, path, e) : NULL;
        BIO_free(bio);
    }
    tls_file_free(&f);
    return key;
}
