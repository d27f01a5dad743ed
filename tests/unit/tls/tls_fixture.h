/*
 * What the TLS tests share: certificates made on the spot in a temporary directory, and a client of
 * OpenSSL's joined to a tls_conn by two byte queues that can be narrow.
 */
#ifndef TESTS_UNIT_TLS_TLS_FIXTURE_H
#define TESTS_UNIT_TLS_TLS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "tls/tls.h"

/* ---- certificates ---- */

#define FIXTURE_PATH_MAX 512
#define FIXTURE_NOW      1800000000 /* the time the certificates are made for: 2027-01-15 */
#define FIXTURE_DAY      86400

enum fixture_key {
    FIXTURE_P256,
    FIXTURE_P384,
    FIXTURE_SECP256K1,
    FIXTURE_RSA2048,
    FIXTURE_RSA1024,
    FIXTURE_ED25519,
};

struct fixture_spec {
    const char *common_name;
    const char *alt_names; /* as in openssl.cnf: "DNS:a.example,DNS:*.b.example"; may be NULL */
    enum fixture_key key;
    int from_day, to_day; /* from FIXTURE_NOW; both 0: yesterday to 90 days on */
    bool ca;
    const char *key_usage, *extended_key_usage; /* as in openssl.cnf; may be NULL */
};

struct fixture_cert {
    X509 *x509;
    EVP_PKEY *key;
};

/* Self-signed without an issuer. Freed by fixture_cert_free(). */
struct fixture_cert fixture_cert_make(const struct fixture_spec *spec,
                                      const struct fixture_cert *issuer);
void fixture_cert_free(struct fixture_cert *c);

/* A temporary directory for the whole program; fixture_dir_remove() deletes it with its files. */
void fixture_dir_create(void);
void fixture_dir_remove(void);
const char *fixture_path(const char *file, char out[FIXTURE_PATH_MAX]);
void fixture_write(const char *file, const void *data, size_t len);

/* `count` certificates as one PEM file; a key, encrypted when there is a pass phrase. */
void fixture_write_chain(const char *file, X509 *const *certs, unsigned count);
void fixture_write_key(const char *file, EVP_PKEY *key, const char *passphrase);

/* Makes, writes and loads a self-signed certificate; fails the test when it cannot be loaded. */
struct tls_cert_file *fixture_cert_file(const char *name, const struct fixture_spec *spec);

/* ---- connections ---- */

struct fixture_queue {
    uint8_t *data;
    size_t len, size;
};

struct fixture_wire {
    struct fixture_queue up, down; /* to the server, to the client */
    size_t read_max;               /* bytes a read of the server's may take; 0: any */
    size_t write_max;              /* bytes a write of the server's may move; 0: any */
    size_t room;                   /* bytes `down` holds at most; 0: any */
    bool eof;                      /* after `up` is empty, the stream ends */
    bool dead;                     /* writes fail */
};

struct fixture_pair {
    struct fixture_wire wire;
    struct tls_conn *server;
    SSL *client;
    int client_error; /* SSL_get_error of the client's last call */
    enum tls_result server_result;
};

extern const struct tls_transport fixture_transport;

/* A client context that trusts everything and speaks TLS 1.2 and 1.3. */
SSL_CTX *fixture_client_ctx(void);

/* `ctx` is used, not kept. */
void fixture_pair_open(struct fixture_pair *p, struct tls_server *s, int cert, SSL_CTX *ctx,
                       const char *sni);
void fixture_pair_close(struct fixture_pair *p);

/* Moves bytes between the client's BIOs and the wire. */
void fixture_pair_pump(struct fixture_pair *p);

/* Both sides step until both are done or one has failed; true when both are done. */
bool fixture_pair_handshake(struct fixture_pair *p);

/* Sends and receives, asserting success; the server's side loops over what it wants. */
void fixture_client_send(struct fixture_pair *p, const void *data, size_t len);
void fixture_server_send(struct fixture_pair *p, const void *data, size_t len);
void fixture_client_expect(struct fixture_pair *p, const char *text);
void fixture_server_expect(struct fixture_pair *p, const char *text);

/* ---- servers ---- */

extern const uint8_t fixture_alpn[12]; /* h2, http/1.1 */

struct tls_server *fixture_server(struct tls_worker *w, struct tls_cert_file *const *certs,
                                  unsigned count);
struct tls_server_config fixture_server_config(struct tls_cert_file *const *certs, unsigned count);

void fixture_assert_contains(const char *text, const char *part);

#endif
