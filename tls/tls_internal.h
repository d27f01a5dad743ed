/*
 * Shared by the files of tls/ alone.
 */
#ifndef TLS_TLS_INTERNAL_H
#define TLS_TLS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include "tls/tls.h"

/* ---- host names (tls_names.c) ---- */

/*
 * Lower case, without one trailing dot. False unless it is a host name: labels of 1 to 63 letters,
 * digits, '-' or '_' (which RFC 952 lacks and real names have), 253 characters in all.
 */
bool tls_names_normalise(const char *name, size_t len, char out[TLS_HELLO_NAME_MAX + 1]);

struct tls_name {
    const char *name; /* exact, or "*.rest"; the certificate file's */
    unsigned cert;
};

struct tls_names {
    struct tls_name *entries; /* by name, then by certificate */
    size_t count;
};

int tls_names_build(struct tls_names *n, struct tls_cert_file *const *certs, unsigned count);
void tls_names_free(struct tls_names *n);

/* True for an IP address in text. */
bool tls_names_is_address(const char *name);

/* The certificate for a normalised name, or -1. */
int tls_names_find(const struct tls_names *n, const char *name);

/* ---- ClientHello ---- */

/* The body of a server_name extension: NULL, or what is wrong with it. */
const char *tls_hello_server_name(const uint8_t *ext, size_t len, char out[TLS_HELLO_NAME_MAX + 1]);

/* ---- text for log lines (tls_text.c): what does not fit is left out ---- */

struct tls_text {
    char *out;
    size_t size, len;
};

struct tls_text tls_text_begin(char *out, size_t size);
void tls_text_add(struct tls_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tls_text_version(struct tls_text *t, uint16_t version);             /* "TLS 1.3" */
void tls_text_group(struct tls_text *t, uint16_t group);                 /* "X25519" */
void tls_text_alpn(struct tls_text *t, const uint8_t *list, size_t len); /* "h2, http/1.1" */

/* ---- OpenSSL's error queue (tls_error.c) ---- */

/* Empties the queue and says its first cause in plain words; returns out. `fallback` where it is
 * empty; `peer` is what the other side is: "client". */
const char *tls_error_take(const char *peer, const char *fallback, char *out, size_t size);

/* The same as "what: cause" in *e. Returns -1. */
int tls_error_set(struct error *e, const char *what);

/* ---- alerts (tls_alert.c) ---- */

const char *tls_alert_name(uint8_t alert);    /* RFC 8446's word, or "unknown alert" */
const char *tls_alert_meaning(uint8_t alert); /* what a peer says with it, or NULL */

/* ---- files (tls_file.c) ---- */

struct tls_file {
    char *data; /* and a NUL behind */
    size_t len;
    mode_t mode;
};

/* A regular file of at most 1 MiB; freed, and wiped, by tls_file_free(). */
int tls_file_read(const char *path, struct tls_file *f, struct error *e);
void tls_file_free(struct tls_file *f);

/* ---- PEM files (tls_pem.c) ---- */

/* The certificates of a file, 1 to `max`, in their order; or NULL. */
STACK_OF(X509) * tls_pem_certs(const char *path, int max, struct error *e);
EVP_PKEY *tls_pem_key(const char *path, struct error *e);

/* ---- certificates ---- */

#define TLS_X509_NAME_MAX   128
#define TLS_X509_DATE_MAX   32
#define TLS_X509_NAMES_SAID 5

struct tls_der {
    uint8_t *data;
    size_t len;
};

/* What a key can sign with; bits, so that sets can be told. */
enum tls_key {
    TLS_KEY_NONE = 0,
    TLS_KEY_RSA = 1,
    TLS_KEY_RSA_PSS = 2,
    TLS_KEY_P256 = 4,
    TLS_KEY_P384 = 8,
    TLS_KEY_P521 = 16,
    TLS_KEY_ED25519 = 32,
    TLS_KEY_ED448 = 64,
};

/* TLS 1.2 has suites for RSA, and for all other keys. */
#define TLS_KEY_IS_RSA(key) (((key) & (TLS_KEY_RSA | TLS_KEY_RSA_PSS)) != 0)

struct tls_cert_file {
    atomic_uint refs;
    char *name;
    struct tls_der key;    /* OpenSSL's preferred private key encoding; wiped when freed */
    struct tls_der *chain; /* leaf first */
    unsigned chain_len;
    char **dns; /* normalised, "*." kept */
    unsigned dns_count;
    time_t expiry;
    struct tls_der ocsp; /* empty: none */
    time_t ocsp_expiry;
    bool must_staple;
    char subject[TLS_X509_NAME_MAX], issuer[TLS_X509_NAME_MAX];
    enum tls_key key_kind;
};

/* Puts chain and key into an SSL_CTX, decoded anew for its library context. Returns 0 or -1. */
int tls_cert_install(const struct tls_cert_file *f, SSL_CTX *ctx, OSSL_LIB_CTX *lib,
                     struct error *e);

/* The chain, leaf first, decoded anew for a library context; or NULL. */
STACK_OF(X509) * tls_cert_chain(const struct tls_cert_file *f, OSSL_LIB_CTX *lib);

/* The DNS names of a leaf, into f->dns. Returns 0 or -1 when there is none. */
int tls_cert_names(struct tls_cert_file *f, X509 *leaf, struct error *e);

enum tls_cert_use { TLS_CERT_OF_SERVER, TLS_CERT_OF_CLIENT };

/* Refuses a leaf and chain that clients could not or would not accept, see tls_cert_file_load(). */
int tls_cert_check(STACK_OF(X509) * chain, EVP_PKEY *key, enum tls_cert_use use, time_t now,
                   const char *chain_path, const char *key_path, struct error *e);

/* ---- certificates in words (tls_x509.c) ---- */

/* In RFC 4514's form, cut to fit. Return out. */
const char *tls_x509_subject(const X509 *x, char out[TLS_X509_NAME_MAX]);
const char *tls_x509_issuer(const X509 *x, char out[TLS_X509_NAME_MAX]);
void tls_x509_common_name(const X509 *x, char *out, size_t size); /* see tls_conn_common_name() */

/* An ASN.1 time as time_t, or -1. */
time_t tls_x509_time(const ASN1_TIME *t);
const char *tls_x509_date(time_t t, char out[TLS_X509_DATE_MAX]);

/* RFC 7633: the leaf's tlsfeature extension has status_request. */
bool tls_x509_must_staple(const X509 *x);

/* "a.example, 192.0.2.1": the first subjectAltNames. */
void tls_x509_add_names(struct tls_text *t, const X509 *x);

/* For a library context; NULL when it cannot be parsed. */
X509 *tls_x509_decode(const struct tls_der *der, OSSL_LIB_CTX *lib);

/* ---- certificate authorities (tls_ca.c) ---- */

struct tls_ca_file {
    atomic_uint refs;
    char *path;
    struct tls_der *certs;
    unsigned count;
};

/* A worker's copy of a file. */
struct tls_ca {
    struct tls_ca_file *file;
    X509_STORE *store;
    unsigned users;
    struct tls_ca *next;
};

/* Shared by all of a worker's servers and clients. Any thread. */
struct tls_ca *tls_ca_get(struct tls_worker *w, struct tls_ca_file *f, struct error *e);
void tls_ca_put(struct tls_worker *w, struct tls_ca *ca);

/* ---- cipher suites and security (tls_cipher.c) ---- */

#define TLS_SECURITY_LEVEL 2 /* OpenSSL's: 112 bits, no SHA-1 signatures in certificates */

/* OpenSSL's lists, in our order of preference. */
extern const char tls_cipher_tls12[], tls_cipher_tls13[];

/* True when a suite is one that we accept for the version, with a certificate of that kind. */
bool tls_cipher_accepted(uint16_t suite, uint16_t version, bool rsa);

/* ---- signatures (tls_signature.c) ---- */

enum tls_key tls_signature_key(const EVP_PKEY *key);
const char *tls_signature_key_name(enum tls_key key); /* "ECDSA P-256" */
const char *tls_signature_name(uint16_t scheme);      /* RFC 8446's, or NULL */
bool tls_signature_possible(uint16_t scheme, uint16_t version, enum tls_key key);

/* ---- worker, server, connection ---- */

struct tls_worker {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *provider;
    BIO_METHOD *bio;
    EVP_MD *sha256;
    EVP_KDF *hkdf;
    EVP_CIPHER *cbc;     /* AES-256 */
    time_t (*now)(void); /* wall-clock time */
    pthread_mutex_t cas_lock;
    struct tls_ca *cas;
    struct tls_counters counters;
};

time_t tls_worker_time(const struct tls_worker *w);

/* ---- SSL_CTX (tls_ctx.c) ---- */

SSL_CTX *tls_ctx_create(struct tls_worker *w, const SSL_METHOD *method, uint16_t min, uint16_t max,
                        struct error *e);

/* True for the key exchange groups that we accept. */
bool tls_ctx_group_accepted(uint16_t group);

/* Return 0 or -1. ALPN: a well-formed ProtocolNameList, no empty name, nothing left over. */
int tls_ctx_check_versions(uint16_t min, uint16_t max, struct error *e);
int tls_ctx_check_alpn(const uint8_t *list, size_t len, struct error *e);

/* ---- keys of tickets (tls_ticket_key.c) ---- */

#define TLS_TICKET_KEYS 4 /* places; three epochs are accepted */

struct tls_ticket_key {
    uint64_t epoch;
    bool derived;
    uint8_t name[16], cipher[32], mac[32];
};

struct tls_ticket_keys {
    uint8_t secret[TLS_TICKET_SECRET_LEN];
    uint32_t rotation; /* s */
    struct tls_ticket_key keys[TLS_TICKET_KEYS];
};

void tls_ticket_keys_init(struct tls_ticket_keys *k, const struct tls_ticket_config *config);
void tls_ticket_keys_wipe(struct tls_ticket_keys *k);

/* NULL when OpenSSL fails. Valid until the next call. */
const struct tls_ticket_key *tls_ticket_key_current(struct tls_ticket_keys *k, EVP_KDF *kdf,
                                                    time_t now);
/* The key of that name (16 bytes) if it is the current epoch's, the former's or the next; or NULL.
 */
const struct tls_ticket_key *tls_ticket_key_find(struct tls_ticket_keys *k, EVP_KDF *kdf,
                                                 time_t now, const uint8_t *name);

/* ---- servers ---- */

#define TLS_DIGEST_LEN 32 /* SHA-256 */

struct tls_server {
    struct tls_worker *worker;
    unsigned refs; /* the owner's and each connection's; one thread */
    struct tls_cert_file **certs;
    SSL_CTX **ctx; /* one a certificate */
    unsigned cert_count;
    int default_cert;
    enum tls_profile profile;
    uint16_t min_version, max_version;
    uint8_t *alpn;
    size_t alpn_len;
    enum tls_client_auth client_auth;
    struct tls_ca *client_ca;               /* NULL: clients are not asked for certificates */
    uint8_t clients_digest[TLS_DIGEST_LEN]; /* of what is asked of clients */
    struct tls_ticket_keys tickets;
    struct tls_names names;
};

void tls_server_unref(struct tls_server *s);

/* ---- sessions of clients (tls_session.c) ---- */

#define TLS_SESSIONS_MAX 32

struct tls_session {
    char *name; /* NULL: free */
    SSL_SESSION *session;
    uint64_t used;
};

struct tls_sessions {
    struct tls_session entries[TLS_SESSIONS_MAX];
    uint64_t uses;
};

/* Borrowed; NULL when there is none that may still be resumed. */
SSL_SESSION *tls_session_find(struct tls_sessions *s, const char *name, time_t now);
/* Takes the reference when it returns true. */
bool tls_session_keep(struct tls_sessions *s, const char *name, SSL_SESSION *session);
void tls_session_forget(struct tls_sessions *s, const char *name);
void tls_session_forget_all(struct tls_sessions *s);

/* ---- clients ---- */

struct tls_client {
    struct tls_worker *worker;
    unsigned refs; /* as a server's */
    SSL_CTX *ctx;
    struct tls_ca *ca;                 /* NULL: servers are not verified */
    struct tls_cert_file *certificate; /* or NULL */
    char *server_name;                 /* or NULL */
    struct tls_sessions sessions;
};

void tls_client_unref(struct tls_client *c);

/* ---- the peer's certificate (tls_verify.c) ---- */

/* `ca`: whom to trust, or NULL; mode: SSL_VERIFY_*. */
void tls_verify_setup(SSL_CTX *ctx, const struct tls_ca *ca, int mode);

/* The name or address that the peer's certificate must have. Returns 0 or -1. */
int tls_verify_expect(SSL *ssl, const char *name);

/* ---- connections ---- */

enum tls_close { TLS_CLOSE_NONE, TLS_CLOSE_WRITING, TLS_CLOSE_SENT };

struct tls_conn {
    SSL *ssl;
    struct tls_worker *worker;
    struct tls_server *server; /* one of these two */
    struct tls_client *client;
    const struct tls_transport *transport;
    void *transport_ctx;
    char *name;        /* a client's: of the server; "" for none */
    char *error;       /* first cause, or NULL */
    size_t unfinished; /* bytes of the write to be repeated, or 0 */
    unsigned cert;
    uint16_t idle_records; /* records after the handshake since the last one with data */
    enum tls_close close;
    bool established;
    bool eof; /* the transport's read has ended */
    bool failed;
    bool name_matched;    /* a server's: the client's name is one of its own */
    bool session_offered; /* a client's */
    bool ocsp_stapled;    /* a server's */
    uint8_t first_len;
    uint8_t first[5]; /* a client's: the first bytes that came */
};

int tls_conn_set_up(struct tls_conn *c, SSL_CTX *ctx);

/* What the peer is: "client" or "server". */
const char *tls_conn_peer(const struct tls_conn *c);

/* ---- of a server's connection: clients that prove who they are (tls_client_auth.c) ---- */

/* What is asked of clients, in the server and in each of its SSL_CTXs. Return 0 or -1. */
int tls_client_auth_init(struct tls_server *s, const struct tls_server_config *config,
                         struct error *e);
int tls_client_auth_setup(SSL_CTX *ctx, const struct tls_server *s, struct error *e);

/* ---- OCSP responses (tls_ocsp.c) ---- */

/* Reads and checks the response about a certificate into it. Returns 0 or -1. */
int tls_ocsp_load(struct tls_cert_file *f, const char *path, time_t now, struct error *e);
void tls_ocsp_setup(SSL_CTX *ctx, const struct tls_cert_file *f);
void tls_ocsp_done(struct tls_conn *c); /* after the handshake */

/* ---- of a client's connection (tls_conn_client.c) ---- */

void tls_conn_client_received(struct tls_conn *c, const uint8_t *data, size_t len);

/* True when the server was found to speak no TLS, which is then the cause kept. */
bool tls_conn_client_blame_stranger(struct tls_conn *c);

void tls_conn_client_established(struct tls_conn *c);

/* Before the SSL is freed. */
void tls_conn_client_end(struct tls_conn *c);

/* The connection behind a callback of OpenSSL's. */
struct tls_conn *tls_conn_of(const SSL *ssl);

/* Keeps the cause of a failure, unless one is kept already. */
void tls_conn_blame(struct tls_conn *c, const char *text);

/* Records without application data in a row that a peer may send: each costs us work (key updates,
 * empty records) and moves nothing. */
#define TLS_CONN_IDLE_RECORDS_MAX 64

/* ---- transport BIO (tls_bio.c) ---- */

BIO_METHOD *tls_bio_method_create(void);
BIO *tls_bio_create(struct tls_worker *w, struct tls_conn *c);

/* ---- tickets (tls_ticket.c) ---- */

#define TLS_TICKET_LIFETIME  7200  /* s */
#define TLS_TICKET_CHAIN_MAX 86400 /* s from the full handshake, over all renewals */

int tls_ticket_setup(SSL_CTX *ctx, const struct tls_server *s, struct error *e);

#endif
