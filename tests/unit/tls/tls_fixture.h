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
    const char *organization; /* NULL: "Test" */
    const char *alt_names;    /* as in openssl.cnf: "DNS:a.example,DNS:*.b.example"; may be NULL */
    enum fixture_key key;
    int from_day, to_day; /* from FIXTURE_NOW; both 0: yesterday to 90 days on */
    bool ca;
    bool must_staple;
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

/* The same, of an issuer whose certificate is not in the chain. */
struct tls_cert_file *fixture_issued_file(const char *name, const struct fixture_spec *spec,
                                          const struct fixture_cert *issuer);

/* As fixture_issued_file(), for us to show to servers. */
struct tls_cert_file *fixture_client_cert(const char *name, const struct fixture_spec *spec,
                                          const struct fixture_cert *issuer);

/* Writes a certificate as NAME.pem and loads it as an authority's. */
struct tls_ca_file *fixture_ca_file(const char *name, X509 *x);

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

/* ---- our client with our server ---- */

struct fixture_link {
    struct fixture_wire to_server, to_client; /* each is the transport of the end it is named for */
    struct tls_conn *server, *client;         /* server may be NULL: the test plays it */
    enum tls_result server_result, client_result;
};

void fixture_link_open(struct fixture_link *l, struct tls_server *s, int cert, struct tls_client *c,
                       const char *name);
void fixture_link_close(struct fixture_link *l);
void fixture_link_pump(struct fixture_link *l);

/* Both ends step until both are done or one has failed, and once more so that alerts and tickets
 * arrive; true when both are done. */
bool fixture_link_handshake(struct fixture_link *l);

/* One message each way, asserting success. */
void fixture_link_exchange(struct fixture_link *l);

/* Bytes for an end to receive. */
void fixture_wire_feed(struct fixture_wire *w, const void *data, size_t len);

/* ---- servers ---- */

extern const uint8_t fixture_alpn[12]; /* h2, http/1.1 */

/* A worker whose clock shows fixture_now, FIXTURE_NOW unless a test moves it. */
extern time_t fixture_now;
struct tls_worker *fixture_worker(void);

struct tls_server *fixture_server(struct tls_worker *w, struct tls_cert_file *const *certs,
                                  unsigned count);
struct tls_server_config fixture_server_config(struct tls_cert_file *const *certs, unsigned count);

void fixture_assert_contains(const char *text, const char *part);

#endif
